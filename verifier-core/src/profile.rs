//! Token profiles as data: what an access token of one kind of issuer looks like, and what tells it from the other
//! tokens that the same keys sign.

mod providers;

use std::borrow::Cow;

use crate::error::Rejection;
use crate::header::JoseHeader;
use crate::json::{Json, Object};

type Text = Cow<'static, str>;

/// Something in a claims set, or in an introspection answer, that tells its kind.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Mark {
    /// The member is there, whatever its value.
    Present(Text),
    /// The member is one of these texts, ASCII case ignored.
    OneOf(Text, Vec<Text>),
    /// The only audience is the client itself, as in an ID token.
    AudienceIsClient,
    /// Each of these, and there is one.
    All(Vec<Mark>),
}

/// Whether a kind of issuer has an endpoint that says what has become of a token (RFC 7662).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[non_exhaustive]
pub enum IntrospectionOffer {
    /// It has one, or may have one.
    #[default]
    Possible,
    /// It has none: its tokens are verified locally, and only events tell of a revocation before `exp`.
    None,
}

/// How a member counts that should be a text and is something else.
#[derive(Clone, Copy)]
enum Odd {
    /// As a mark: a refusal must not be evaded by `["refresh_token"]`.
    Refuses,
    /// Not as one: nothing is proved by it.
    ProvesNothing,
}

impl Mark {
    fn borne_by(&self, members: &Object, client: Option<&str>, odd: Odd) -> bool {
        match self {
            Self::Present(name) => members.get(name).is_some_and(|value| !value.is_null()),
            Self::OneOf(name, texts) => match members.get(name) {
                None | Some(Json::Null) => false,
                Some(Json::String(value)) => texts.iter().any(|text| text.eq_ignore_ascii_case(value)),
                Some(_) => matches!(odd, Odd::Refuses),
            },
            Self::AudienceIsClient => client.is_some_and(|client| match members.get("aud") {
                Some(Json::String(only)) => &**only == client,
                Some(Json::Array(list)) => {
                    !list.is_empty() && list.iter().all(|one| one.as_str() == Some(client))
                }
                _ => false,
            }),
            Self::All(marks) => {
                !marks.is_empty() && marks.iter().all(|mark| mark.borne_by(members, client, odd))
            }
        }
    }
}

/// What an access token of one kind of issuer looks like. Has to be named: there is no default.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TokenProfile {
    /// The name, as in configuration.
    pub name: Text,
    /// Accepted values of the header's `typ`, without `application/`, ASCII case ignored.
    pub types: Vec<Text>,
    /// Whether a token without `typ` is accepted.
    pub type_may_be_absent: bool,
    /// Claims that a JWT must have.
    pub required: Vec<Text>,
    /// Marks of other kinds of tokens: one of them refuses a JWT that isn't explicitly typed as an access token.
    pub refused_marks: Vec<Mark>,
    /// Marks of an access token: a JWT must bear one. Empty: none is demanded.
    pub positive_marks: Vec<Mark>,
    /// Marks that refuse an introspection answer: refresh and ID tokens that a server calls active.
    pub refused_answers: Vec<Mark>,
    /// Claims that may hold the scopes; the first that is there counts.
    pub scope_claims: Vec<Text>,
    /// Whether scopes may come as an array of strings.
    pub scope_arrays: bool,
    /// Claims that may name the client; the first that is there counts.
    pub client_claims: Vec<Text>,
    /// RFC 6901 pointers to arrays of role names; all that are there count.
    pub roles: Vec<Text>,
    /// Whether this kind of issuer can be asked about a token.
    pub introspection: IntrospectionOffer,
    /// Whether these are ID tokens: they say who calls and nothing of what he may do.
    pub id_tokens: bool,
}

fn texts(list: &[&'static str]) -> Vec<Text> {
    list.iter().map(|text| Cow::Borrowed(*text)).collect()
}

/// Values of `typ`, `token_use` and `token_type` that name something else than an access token.
const OTHER_KINDS: &[&str] = &[
    "id",
    "id_token",
    "refresh",
    "refresh_token",
    "offline",
    "logout",
    "logout_token",
    "authorization_code",
    // RFC 8693 §3
    "urn:ietf:params:oauth:token-type:refresh_token",
    "urn:ietf:params:oauth:token-type:id_token",
];

/// Marks of other tokens that the same keys sign: ID tokens, logout tokens, security events, proofs.
fn foreign_marks() -> Vec<Mark> {
    let mut marks: Vec<Mark> =
        ["nonce", "at_hash", "c_hash", "s_hash", "events", "token_introspection", "htm", "htu", "vp", "vc"]
            .into_iter()
            .map(|name| Mark::Present(Cow::Borrowed(name)))
            .collect();
    marks.push(Mark::OneOf(Cow::Borrowed("typ"), texts(OTHER_KINDS)));
    marks.push(Mark::OneOf(Cow::Borrowed("token_use"), texts(OTHER_KINDS)));
    marks.push(Mark::AudienceIsClient);
    marks
}

/// RFC 7662 leaves it to us to tell an access token from a refresh token that is active, too.
fn refused_answers() -> Vec<Mark> {
    let mut kinds = texts(OTHER_KINDS);
    kinds.push(Cow::Borrowed("n_a"));
    // Hashes of what came beside an ID token (OpenID Connect Core §3.1.3.6, §3.3.2.11) stand in nothing else.
    let hashes = ["at_hash", "c_hash", "s_hash"].map(|name| Mark::Present(Cow::Borrowed(name)));
    ["token_type", "token_use", "typ"]
        .into_iter()
        .map(|name| Mark::OneOf(Cow::Borrowed(name), kinds.clone()))
        .chain(hashes)
        .collect()
}

impl TokenProfile {
    /// RFC 9068: `typ` is `at+jwt`, and all its required claims are there.
    pub fn at_jwt() -> Self {
        Self {
            name: Cow::Borrowed("at+jwt"),
            types: texts(&["at+jwt"]),
            type_may_be_absent: false,
            required: texts(&["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]),
            // Of no effect on what is typed as an access token: for a profile made from this one that accepts more types.
            refused_marks: foreign_marks(),
            positive_marks: Vec::new(),
            refused_answers: refused_answers(),
            scope_claims: texts(&["scope"]),
            scope_arrays: false,
            client_claims: texts(&["client_id"]),
            roles: texts(&["/roles"]),
            introspection: IntrospectionOffer::Possible,
            id_tokens: false,
        }
    }

    /// What most servers issue: `typ` absent, `JWT` or `at+jwt`. Refuses what bears the marks of another kind of
    /// token, and demands a client or a scope, which ID tokens lack.
    pub fn generic() -> Self {
        Self {
            name: Cow::Borrowed("generic"),
            types: texts(&["JWT", "at+jwt"]),
            type_may_be_absent: true,
            required: texts(&["iss", "exp"]),
            refused_marks: foreign_marks(),
            positive_marks: ["client_id", "azp", "scope", "scp"]
                .into_iter()
                .map(|name| Mark::Present(Cow::Borrowed(name)))
                .collect(),
            refused_answers: refused_answers(),
            scope_claims: texts(&["scope", "scp"]),
            scope_arrays: true,
            client_claims: texts(&["client_id", "azp", "cid", "appid"]),
            roles: texts(&["/roles"]),
            introspection: IntrospectionOffer::Possible,
            id_tokens: false,
        }
    }

    /// Keycloak: the claim `typ` says `Bearer` or `DPoP`, roles stand in `realm_access`.
    pub fn keycloak() -> Self {
        Self {
            name: Cow::Borrowed("keycloak"),
            type_may_be_absent: false,
            required: texts(&["iss", "exp", "iat", "jti"]),
            positive_marks: vec![Mark::OneOf(Cow::Borrowed("typ"), texts(&["Bearer", "DPoP"]))],
            client_claims: texts(&["azp", "client_id"]),
            roles: texts(&["/realm_access/roles"]),
            // An access token of a client for itself is an ordinary thing there, and `typ` tells an ID token apart.
            refused_marks: foreign_marks()
                .into_iter()
                .filter(|mark| {
                    !matches!(mark, Mark::AudienceIsClient) && *mark != Mark::Present("nonce".into())
                })
                .collect(),
            ..Self::generic()
        }
    }

    /// Ory Hydra: `client_id` and `jti` are always there, scopes stand in `scp`.
    pub fn hydra() -> Self {
        Self {
            name: Cow::Borrowed("hydra"),
            type_may_be_absent: false,
            required: texts(&["iss", "exp", "iat", "jti", "client_id"]),
            positive_marks: vec![Mark::Present(Cow::Borrowed("scp")), Mark::Present(Cow::Borrowed("scope"))],
            scope_claims: texts(&["scp", "scope"]),
            client_claims: texts(&["client_id"]),
            roles: Vec::new(),
            refused_marks: foreign_marks()
                .into_iter()
                .filter(|mark| !matches!(mark, Mark::AudienceIsClient))
                .collect(),
            ..Self::generic()
        }
    }

    /// A profile by its configured name.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "at+jwt" => Self::at_jwt(),
            "generic" => Self::generic(),
            "keycloak" => Self::keycloak(),
            "hydra" => Self::hydra(),
            "auth0" => Self::auth0(),
            "okta" => Self::okta(),
            "entra" => Self::entra(),
            "cognito" => Self::cognito(),
            "google-id-token" => Self::google_id_token(),
            _ => return None,
        })
    }

    /// The names that [`by_name`](Self::by_name) knows.
    pub const NAMES: &'static [&'static str] =
        &["at+jwt", "generic", "keycloak", "hydra", "auth0", "okta", "entra", "cognito", "google-id-token"];

    /// Whether the header's `typ` is one of this profile's (RFC 9068 §4, RFC 8725 §3.11).
    ///
    /// # Errors
    /// [`Rejection::WrongType`].
    pub fn judge_header(&self, header: &JoseHeader) -> Result<(), Rejection> {
        let accepted = match header.typ() {
            None => self.type_may_be_absent,
            Some(_) => self.types.iter().any(|typ| header.is_type(typ)),
        };
        if accepted { Ok(()) } else { Err(Rejection::WrongType) }
    }

    /// Whether a claims set is an access token's. An explicit `at+jwt` type settles what kind it is.
    ///
    /// # Errors
    /// [`Rejection::NotAnAccessToken`], [`Rejection::NoAccessTokenMark`], [`Rejection::MissingClaim`].
    pub fn judge_claims(
        &self,
        header: &JoseHeader,
        claims: &Object,
        client: Option<&str>,
    ) -> Result<(), Rejection> {
        if !header.is_type("at+jwt")
            && self.refused_marks.iter().any(|mark| mark.borne_by(claims, client, Odd::Refuses))
        {
            return Err(Rejection::NotAnAccessToken);
        }
        // An empty text identifies nobody, and no revocation could name it.
        let missing = |name: &Text| match claims.get(name) {
            None | Some(Json::Null) => true,
            Some(value) => value.as_str().is_some_and(str::is_empty),
        };
        if self.required.iter().any(missing) {
            return Err(Rejection::MissingClaim);
        }
        if !self.positive_marks.is_empty()
            && !self.positive_marks.iter().any(|mark| mark.borne_by(claims, client, Odd::ProvesNothing))
        {
            return Err(Rejection::NoAccessTokenMark);
        }
        Ok(())
    }

    /// Whether an active answer is an access token's.
    ///
    /// # Errors
    /// [`Rejection::NotAnAccessToken`].
    pub fn judge_answer(&self, answer: &Object, client: Option<&str>) -> Result<(), Rejection> {
        if self.refused_answers.iter().any(|mark| mark.borne_by(answer, client, Odd::Refuses)) {
            return Err(Rejection::NotAnAccessToken);
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests;
