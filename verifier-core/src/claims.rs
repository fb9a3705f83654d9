//! What a token, or an introspection answer, says: read once, judged again on every use.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

use crate::error::{Rejection, VerifyError};
use crate::evidence::Evidence;
use crate::header::JoseHeader;
use crate::identity::Identity;
use crate::json::{Json, Number, Object};
use crate::policy::IssuerRules;
use crate::profile::TokenProfile;
use crate::time::Now;

/// The latest NumericDate that is accepted: 9999-12-31T23:59:59Z.
const LATEST: i64 = 253_402_300_799;

/// What a token is bound to (RFC 7800).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Confirmation {
    /// `x5t#S256`: SHA-256 of the client certificate (RFC 8705 §3.1).
    CertificateSha256([u8; 32]),
    /// `jkt`: SHA-256 thumbprint of the DPoP key (RFC 9449 §6.1).
    JwkThumbprint([u8; 32]),
    /// Something else, or several at once: can't be confirmed.
    Unsupported,
}

/// Why facts can't be read from an introspection answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnswerError {
    /// A member has a type that it must not have: no answer at all, nothing is known of the token.
    Unreadable,
    /// The answer is readable, and says that this token is not for us.
    Rejected(Rejection),
}

/// What one source says of a token: immutable, the same for every policy.
pub struct Facts {
    issuer: Arc<str>,
    subject: Option<Box<str>>,
    client: Option<Box<str>>,
    audience: Box<[Box<str>]>,
    scopes: Box<[Box<str>]>,
    roles: Box<[Box<str>]>,
    expires_at: Option<i64>,
    not_before: Option<i64>,
    issued_at: Option<i64>,
    jwt_id: Option<Box<str>>,
    session: Option<Box<str>>,
    confirmation: Option<Confirmation>,
    kid: Option<Box<str>>,
    identity: Identity,
    members: Object,
    typed: TypedClaims,
}

impl Facts {
    /// Reads the claims set of a JWT whose signature has been checked (RFC 7519 §4.1, RFC 9068 §2.2).
    ///
    /// # Errors
    /// [`Rejection::MalformedClaims`], [`Rejection::MissingClaim`], [`Rejection::WrongIssuer`], and those of the
    /// profile.
    pub(crate) fn from_claims(
        header: &JoseHeader,
        claims: Object,
        rules: &IssuerRules,
    ) -> Result<Self, Rejection> {
        let reader = Reader { members: &claims, lenient: false, profile: &rules.profile };
        let malformed = |_: Malformed| Rejection::MalformedClaims;

        // RFC 7519 §5.3: replicated claims must be the same
        if header.replicated_claims().any(|(name, value)| claims.get(name) != Some(value)) {
            return Err(Rejection::MalformedClaims);
        }
        let issuer = rules.matching(reader.text("iss").map_err(malformed)?)?;
        rules.profile.judge_header(header)?;
        let read = reader.read().map_err(malformed)?;
        rules.profile.judge_claims(header, &claims, read.client.as_deref())?;
        // A JWT without `exp` never ends, whatever the profile says (RFC 9068 §2.2).
        if read.expires_at.is_none() {
            return Err(Rejection::MissingClaim);
        }
        Ok(Self::assemble(issuer, read, header.kid(), claims))
    }

    /// Reads an active introspection answer (RFC 7662 §2.2). Texts that are null or empty count as absent.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn from_answer(answer: Object, rules: &IssuerRules) -> Result<Self, AnswerError> {
        let reader = Reader { members: &answer, lenient: true, profile: &rules.profile };
        let unreadable = |_: Malformed| AnswerError::Unreadable;

        let issuer = match reader.text("iss").map_err(unreadable)? {
            // Who answers is the issuer whom we asked; a name that is there must be his.
            None => rules.issuer().clone(),
            iss => rules.matching(iss).map_err(AnswerError::Rejected)?,
        };
        // RFC 9449 §6.2: a DPoP token whose binding the answer doesn't tell can't be confirmed.
        let is_dpop = reader
            .text("token_type")
            .map_err(unreadable)?
            .is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP"));
        let mut read = reader.read().map_err(unreadable)?;
        rules.profile.judge_answer(&answer, read.client.as_deref()).map_err(AnswerError::Rejected)?;
        if is_dpop {
            read.confirmation = read.confirmation.or(Some(Confirmation::Unsupported));
        }
        Ok(Self::assemble(issuer, read, None, answer))
    }

    fn assemble(issuer: Arc<str>, read: Read, kid: Option<&str>, members: Object) -> Self {
        let identity = Identity::new(
            &issuer,
            read.jwt_id.as_deref(),
            read.subject.as_deref(),
            read.session.as_deref(),
            read.client.as_deref(),
            read.issued_at,
        );
        Self {
            issuer,
            subject: read.subject,
            client: read.client,
            audience: read.audience,
            scopes: read.scopes,
            roles: read.roles,
            expires_at: read.expires_at,
            not_before: read.not_before,
            issued_at: read.issued_at,
            jwt_id: read.jwt_id,
            session: read.session,
            confirmation: read.confirmation,
            kid: kid.map(Box::from),
            identity,
            members,
            typed: TypedClaims::default(),
        }
    }

    /// The issuer, as configured.
    pub const fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// `sub`
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The client, from the claim that the profile names.
    pub fn client_id(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// `aud`, as a list.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter().map(|one| &**one)
    }

    /// The scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(|one| &**one)
    }

    /// Whether this scope is among them, byte for byte.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|one| &**one == scope)
    }

    /// The roles, from where the profile points to.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(|one| &**one)
    }

    /// `exp`, in seconds since the epoch, rounded down.
    pub const fn expires_at(&self) -> Option<i64> {
        self.expires_at
    }

    /// `nbf`, in seconds since the epoch, rounded up.
    pub const fn not_before(&self) -> Option<i64> {
        self.not_before
    }

    /// `iat`, in seconds since the epoch, rounded down.
    pub const fn issued_at(&self) -> Option<i64> {
        self.issued_at
    }

    /// `exp - iat`; `None` if either is absent.
    pub fn lifetime(&self) -> Option<Duration> {
        let (exp, iat) = (self.expires_at?, self.issued_at?);
        Some(u64::try_from(exp.saturating_sub(iat)).map_or(Duration::ZERO, Duration::from_secs))
    }

    /// `jti`
    pub fn jwt_id(&self) -> Option<&str> {
        self.jwt_id.as_deref()
    }

    /// `sid`
    pub fn session_id(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// `cnf`
    pub const fn confirmation(&self) -> Option<Confirmation> {
        self.confirmation
    }

    /// The `kid` of the header, for a JWT.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Who the token is, for revocation and comparison.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A claim by its name; `None` also for null.
    pub fn claim(&self, name: &str) -> Option<&Json> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// All members, as they came.
    pub const fn members(&self) -> &Object {
        &self.members
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("iss", &self.issuer)
            .field("sub", &self.subject)
            .field("client_id", &self.client)
            .field("jti", &self.jwt_id)
            .finish_non_exhaustive()
    }
}

/// A registered member has a type that it must not have.
struct Malformed;

/// The registered members, typed.
struct Read {
    subject: Option<Box<str>>,
    client: Option<Box<str>>,
    audience: Box<[Box<str>]>,
    scopes: Box<[Box<str>]>,
    roles: Box<[Box<str>]>,
    expires_at: Option<i64>,
    not_before: Option<i64>,
    issued_at: Option<i64>,
    jwt_id: Option<Box<str>>,
    session: Option<Box<str>>,
    confirmation: Option<Confirmation>,
}

/// Reads registered members. In a JWT, null and an empty `sub` are malformed; in an answer, both count as absent for
/// texts and audiences, while times and `cnf` are never null.
struct Reader<'m> {
    members: &'m Object,
    lenient: bool,
    profile: &'m TokenProfile,
}

impl<'m> Reader<'m> {
    fn read(&self) -> Result<Read, Malformed> {
        let subject = self.text("sub")?;
        let mut client = None;
        for name in &self.profile.client_claims {
            let named = match &**name {
                "client_id" | "azp" => self.text(name)?,
                // Private names, which another issuer may use for something else: only a text can name a client.
                _ => self.members.get(name).and_then(Json::as_str).filter(|text| !text.is_empty()),
            };
            client = client.or(named);
        }
        Ok(Read {
            subject: subject.map(Box::from),
            client: client.map(Box::from),
            audience: self.audience()?,
            scopes: self.scopes()?,
            roles: self.roles(),
            expires_at: self.date("exp", Round::Down)?,
            not_before: self.date("nbf", Round::Up)?,
            issued_at: self.date("iat", Round::Down)?,
            jwt_id: self.text("jti")?.map(Box::from),
            session: self.text("sid")?.map(Box::from),
            confirmation: self.confirmation()?,
        })
    }

    fn text(&self, name: &str) -> Result<Option<&'m str>, Malformed> {
        match self.members.get(name) {
            None => Ok(None),
            Some(Json::String(text)) if !text.is_empty() => Ok(Some(text)),
            // An empty identifier identifies nobody; an empty subject is an error of the issuer.
            Some(Json::String(_)) if self.lenient || !matches!(name, "sub" | "iss") => Ok(None),
            Some(Json::Null) if self.lenient => Ok(None),
            Some(_) => Err(Malformed),
        }
    }

    fn date(&self, name: &str, round: Round) -> Result<Option<i64>, Malformed> {
        let seconds = match self.members.get(name) {
            None => return Ok(None),
            Some(Json::Number(Number::Unsigned(seconds))) => {
                i64::try_from(*seconds).map_err(|_| Malformed)?
            }
            Some(Json::Number(Number::Float(seconds))) => round.apply(*seconds).ok_or(Malformed)?,
            Some(_) => return Err(Malformed),
        };
        if (0..=LATEST).contains(&seconds) { Ok(Some(seconds)) } else { Err(Malformed) }
    }

    fn audience(&self) -> Result<Box<[Box<str>]>, Malformed> {
        match self.members.get("aud") {
            None => Ok(Box::default()),
            Some(Json::Null) if self.lenient => Ok(Box::default()),
            Some(Json::String(one)) if one.is_empty() && self.lenient => Ok(Box::default()),
            Some(Json::String(one)) => Ok(Box::new([one.clone()])),
            Some(Json::Array(list)) => strings(list).ok_or(Malformed),
            Some(_) => Err(Malformed),
        }
    }

    /// RFC 6749 §3.3: scope tokens are separated by single spaces and compared byte for byte.
    fn scopes(&self) -> Result<Box<[Box<str>]>, Malformed> {
        let mut scopes: Option<Box<[Box<str>]>> = None;
        for name in &self.profile.scope_claims {
            let these: Box<[Box<str>]> = match self.members.get(name) {
                None => continue,
                Some(Json::Null) if self.lenient => continue,
                Some(Json::String(text)) => {
                    text.split(' ').filter(|one| !one.is_empty()).map(Box::from).collect()
                }
                Some(Json::Array(list)) if self.profile.scope_arrays || self.lenient => {
                    strings(list).ok_or(Malformed)?
                }
                Some(_) => return Err(Malformed),
            };
            scopes = scopes.or(Some(these));
        }
        Ok(scopes.unwrap_or_default())
    }

    /// Roles are a convenience: what isn't an array of strings there is passed over.
    fn roles(&self) -> Box<[Box<str>]> {
        self.profile
            .roles
            .iter()
            .filter_map(|pointer| self.members.pointer(pointer))
            .filter_map(Json::as_array)
            .flatten()
            .filter_map(Json::as_str)
            .map(Box::from)
            .collect()
    }

    /// RFC 7800 §3.1: an object; what can't be confirmed makes the whole token unconfirmable.
    fn confirmation(&self) -> Result<Option<Confirmation>, Malformed> {
        let members = match self.members.get("cnf") {
            None => return Ok(None),
            Some(Json::Object(members)) => members,
            Some(_) => return Err(Malformed),
        };
        let mut iter = members.iter();
        let (Some((name, value)), None) = (iter.next(), iter.next()) else {
            return Ok(Some(Confirmation::Unsupported));
        };
        let thumbprint = value
            .as_str()
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        Ok(Some(match (name, thumbprint) {
            ("x5t#S256", Some(bytes)) => Confirmation::CertificateSha256(bytes),
            ("jkt", Some(bytes)) => Confirmation::JwkThumbprint(bytes),
            _ => Confirmation::Unsupported,
        }))
    }
}

fn strings(list: &[Json]) -> Option<Box<[Box<str>]>> {
    list.iter().map(|one| one.as_str().map(Box::from)).collect()
}

/// Which way a fractional NumericDate goes: never to a longer life.
#[derive(Clone, Copy)]
enum Round {
    Down,
    Up,
}

impl Round {
    fn apply(self, seconds: f64) -> Option<i64> {
        let whole = match self {
            Self::Down => seconds.floor(),
            Self::Up => seconds.ceil(),
        };
        // Both ends are far inside what f64 holds exactly.
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        let inside = (0.0..=LATEST as f64).contains(&whole).then_some(whole as i64);
        inside
    }
}

/// How many types of claims are kept ready a token.
const MAX_TYPES: usize = 8;

/// The user's own types, read once a token and type.
#[derive(Default)]
struct TypedClaims(RwLock<Vec<(TypeId, Arc<dyn Any + Send + Sync>)>>);

impl TypedClaims {
    fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, value) = kept.iter().find(|(id, _)| *id == TypeId::of::<T>())?;
        Arc::clone(value).downcast().ok()
    }

    fn keep<T: Any + Send + Sync>(&self, value: &Arc<T>) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_TYPES && kept.iter().all(|(id, _)| *id != TypeId::of::<T>()) {
            kept.push((TypeId::of::<T>(), Arc::<T>::clone(value)));
        }
    }
}

/// The claims don't fit the type that was asked for. Neither `Display` nor `Debug` quotes them.
pub struct ClaimsError(serde_json::Error);

impl fmt::Debug for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClaimsError").field(&self.0.classify()).finish()
    }
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The cause may quote the token; the category never does.
        write!(f, "the claims do not fit the requested type ({:?} error)", self.0.classify())
    }
}

impl std::error::Error for ClaimsError {}

/// A token that passed every check. Cheap to clone.
#[derive(Clone)]
pub struct VerifiedToken {
    facts: Arc<Facts>,
    other: Option<Arc<Facts>>,
    evidence: Evidence,
    arrival: Now,
}

impl VerifiedToken {
    /// The one constructor: called where all has been checked.
    pub(crate) const fn assertion(
        facts: Arc<Facts>,
        other: Option<Arc<Facts>>,
        evidence: Evidence,
        arrival: Now,
    ) -> Self {
        Self { facts, other, evidence, arrival }
    }

    /// The issuer, as configured.
    pub fn issuer(&self) -> &str {
        self.facts.issuer()
    }

    /// `sub`. In a client's own token it may name the client: see [`is_client_only`](Self::is_client_only).
    pub fn subject(&self) -> Option<&str> {
        self.facts.subject()
    }

    /// The client that the token was issued to.
    pub fn client_id(&self) -> Option<&str> {
        self.facts.client_id()
    }

    /// Whether the token speaks for a client alone and for no user: no subject, or the client is the subject
    /// (RFC 9700 §4.15).
    pub fn is_client_only(&self) -> bool {
        self.subject().is_none_or(|subject| Some(subject) == self.client_id())
    }

    /// `aud`, as a list.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.facts.audience()
    }

    /// The scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.facts.scopes()
    }

    /// Whether this scope was granted, byte for byte.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.facts.has_scope(scope)
    }

    /// Demands all of these scopes.
    ///
    /// # Errors
    /// [`InsufficientScope`], which makes a 403 with a challenge that names them (RFC 6750 §3.1).
    pub fn require_scopes(&self, scopes: &[&str]) -> Result<(), InsufficientScope> {
        if scopes.iter().all(|scope| self.has_scope(scope)) {
            Ok(())
        } else {
            Err(InsufficientScope { required: scopes.iter().map(|scope| Box::from(*scope)).collect() })
        }
    }

    /// The roles, from where the profile points to.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.facts.roles()
    }

    /// `exp`, in seconds since the epoch; `None` for an opaque token whose server doesn't tell.
    pub fn expires_at(&self) -> Option<i64> {
        self.facts.expires_at()
    }

    /// `iat`, in seconds since the epoch.
    pub fn issued_at(&self) -> Option<i64> {
        self.facts.issued_at()
    }

    /// `jti`
    pub fn jwt_id(&self) -> Option<&str> {
        self.facts.jwt_id()
    }

    /// The `kid` of the signed token.
    pub fn kid(&self) -> Option<&str> {
        self.facts.kid().or_else(|| self.other.as_ref().and_then(|other| other.kid()))
    }

    /// A claim by its name.
    pub fn claim(&self, name: &str) -> Option<&Json> {
        self.facts.claim(name)
    }

    /// All claims, as they came.
    pub fn members(&self) -> &Object {
        self.facts.members()
    }

    /// The claims as a type of your own. Read once a token and type; later calls share the value.
    ///
    /// # Errors
    /// [`ClaimsError`] if they don't fit.
    pub fn claims<T: DeserializeOwned + Any + Send + Sync>(&self) -> Result<Arc<T>, ClaimsError> {
        if let Some(kept) = self.facts.typed.get::<T>() {
            return Ok(kept);
        }
        let value = serde_json::to_value(&self.facts.members).and_then(serde_json::from_value::<T>);
        let value = Arc::new(value.map_err(ClaimsError)?);
        self.facts.typed.keep(&value);
        Ok(value)
    }

    /// What the acceptance rests on.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// How old the revocation knowledge was when the request arrived; `None` if this strategy has none.
    pub fn revocation_age(&self) -> Option<Duration> {
        self.evidence.revocation_age(self.arrival)
    }

    /// The facts that the service sees.
    pub const fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// The other side, where token and introspection answer are both at hand.
    pub const fn other_facts(&self) -> Option<&Arc<Facts>> {
        self.other.as_ref()
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken").field("facts", &self.facts).field("evidence", &self.evidence).finish()
    }
}

/// The token is good and lacks a scope: 403.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InsufficientScope {
    required: Box<[Box<str>]>,
}

impl InsufficientScope {
    /// The scopes that are needed.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        self.required.iter().map(|scope| &**scope)
    }

    /// The challenge that names them.
    pub fn challenge(&self) -> crate::challenge::Challenge {
        crate::challenge::Challenge::for_rejection(Rejection::InsufficientScope).with_scopes(self.required())
    }
}

impl From<InsufficientScope> for VerifyError {
    fn from(_: InsufficientScope) -> Self {
        Rejection::InsufficientScope.into()
    }
}

impl fmt::Display for InsufficientScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("insufficient_scope")
    }
}

impl std::error::Error for InsufficientScope {}

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests;
