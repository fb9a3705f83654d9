//! What real authorization servers do that no RFC foresees, by name. Behaviours combine, and are switched on a running
//! server; each says where it was seen.

/// One habit of a server. None is on unless asked for.
///
/// Switched by [`Builder::behaviour`](crate::Builder::behaviour) and
/// [`AuthorizationServer::behave`](crate::AuthorizationServer::behave). A server that matches wildcard scopes itself
/// needs no switch: a token with `things.*` is active when it is asked about with `scope=things.read`, as at Hydra.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Behaviour {
    /// Introspecting anything that looks like a JWT (three parts of which the first decodes to a JSON object) is a 400
    /// `unsupported_token_type`, whoever signed it. Seen on node-oidc-provider.
    RefusesJwtIntrospection,
    /// Introspecting something that looks like a JWT and names no `alg` is a 400 `invalid_request`. Seen on Keycloak.
    RefusesOddTokens,
    /// Introspecting a token of more than 1,024 bytes is a 413. Seen on Keycloak, and on proxies before any server.
    RefusesLongTokens,
    /// Every token is inactive for as long as this is on. Seen on Hydra while its store is locked.
    LockedStore,
    /// Answers tell the roles and scopes that a subject has now, not those that the token was issued with: see
    /// [`AuthorizationServer::take_away`](crate::AuthorizationServer::take_away). Seen on Keycloak.
    ComputesClaimsAnew,
    /// JWTs say neither subject nor roles nor audience; answers do. Seen on Keycloak's lightweight tokens.
    SlimTokens,
    /// A key that is added from now on may sign at once, and is published with the first token that it has signed.
    /// Seen on Hydra.
    SignsBeforePublishing,
    /// The next reader of the key set sees a key that nobody else has seen, and nothing else; all later ones see all
    /// keys. Seen on Hydra, where parallel readers of an empty set each cause a key to be made.
    FirstReaderSeesAnotherKey,
    /// Every token is inactive whose audience doesn't name the caller. Seen on Keycloak.
    AudienceChecksTheCaller,
    /// Every JWT is inactive that wasn't signed with the key that signs now, published or not. Seen on Hydra.
    CurrentKeyOnly,
    /// Refresh tokens are active, and tell what they are in this way.
    RefreshTokensActive(RefreshTold),
    /// ID tokens are active, with this `token_type`; the answer's audience names more than the token's. Seen on
    /// Keycloak with `ID`.
    IdTokensActive(&'static str),
    /// All JWTs bear `typ: JWT`: only claims tell access, refresh and ID tokens apart. Seen on Hydra and Keycloak.
    OneTypeForAll,
    /// Keys and tokens bear an empty `kid`. Seen on home-made servers.
    EmptyKid,
    /// Keys and tokens bear no `kid`. Seen on servers with one key for ever.
    NoKid,
    /// The order of the key set changes with each reading. Seen on Hydra.
    KeyOrderChanges,
    /// The key that signs is published with `use: enc`. Keycloak has such keys in its set, beside those that sign.
    SigningKeyMarkedEnc,
    /// The key set comes with `Cache-Control: no-store`. Seen on Hydra.
    JwksNoStore,
    /// The key set comes with `Cache-Control: max-age=86400`, though keys live for less. Seen behind caching proxies.
    JwksLongMaxAge,
    /// The key set is a 500 for as long as this is on. Seen on Hydra while one odd key is in its store.
    JwksFails,
    /// Answers have a member `jwt` that is a usable token itself. Seen on Keycloak, where a client may be answered so.
    AnswersWithJwtMember,
    /// Tokens and answers have an object `ext` with `sub`, `iss` and `active` of its own. Seen on Hydra, which puts
    /// there whatever the consent application says.
    ExtWithOwnNames,
    /// Tokens have a private claim that is null; answers have a null `username`, `sid` and private member as well. Seen
    /// on servers that serialize all fields of a record.
    NullMembers,
    /// Tokens and answers have integers above 2^53 and below zero in private members. Seen where counters wrap.
    HugeIntegers,
    /// A token is active for one second more than its `exp` says. Seen on Hydra.
    ActiveUntilExpPlusOne,
    /// The introspection endpoint answers 307 with an address that has no host. Seen on Hydra, for a slash too many.
    RedirectsIntrospection,
    /// A caller of introspection with wrong credentials is told so in this way, instead of by 401 with a challenge.
    RefusesCallers(CallerRefusal),
    /// The issuer's name follows the `Host` of the request, in the metadata, in tokens by the token endpoint and in
    /// introspection, where a token issued under another name is inactive. Seen on Keycloak in development mode.
    IssuerFollowsHost,
    /// The parts of a token are decoded leniently: padding at the end, unused bits of last characters and the alphabet
    /// don't matter, so that an opaque token of 32 bytes has eight spellings at least. Seen on Hydra.
    ReadsTokensLeniently,
}

/// How the answer about an active refresh token tells what it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum RefreshTold {
    /// `token_type` is `Bearer`, and only `token_use: refresh_token` tells. Seen on Hydra.
    TokenUse,
    /// By this `token_type`: `Refresh` and `Offline` seen on Keycloak, `refresh_token` elsewhere.
    TokenType(&'static str),
    /// Not at all: no `token_type`, and no `aud`. Seen on node-oidc-provider.
    Nothing,
}

/// How a caller of introspection is turned away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum CallerRefusal {
    /// 400 `unauthorized_client`. Seen on node-oidc-provider and others.
    UnauthorizedClient400,
    /// 401 `invalid_client` without `WWW-Authenticate`. Seen on Keycloak.
    Bare401,
    /// 403 with a page of HTML: a gateway.
    Html403,
    /// 302 to a page to log in: a gateway.
    LoginPage302,
}

impl Behaviour {
    /// Every one of them, those with a choice once for each.
    pub const ALL: &'static [Self] = &[
        Self::RefusesJwtIntrospection,
        Self::RefusesOddTokens,
        Self::RefusesLongTokens,
        Self::LockedStore,
        Self::ComputesClaimsAnew,
        Self::SlimTokens,
        Self::SignsBeforePublishing,
        Self::FirstReaderSeesAnotherKey,
        Self::AudienceChecksTheCaller,
        Self::CurrentKeyOnly,
        Self::RefreshTokensActive(RefreshTold::TokenUse),
        Self::RefreshTokensActive(RefreshTold::TokenType("Refresh")),
        Self::RefreshTokensActive(RefreshTold::TokenType("Offline")),
        Self::RefreshTokensActive(RefreshTold::TokenType("refresh_token")),
        Self::RefreshTokensActive(RefreshTold::Nothing),
        Self::IdTokensActive("ID"),
        Self::IdTokensActive("id_token"),
        Self::OneTypeForAll,
        Self::EmptyKid,
        Self::NoKid,
        Self::KeyOrderChanges,
        Self::SigningKeyMarkedEnc,
        Self::JwksNoStore,
        Self::JwksLongMaxAge,
        Self::JwksFails,
        Self::AnswersWithJwtMember,
        Self::ExtWithOwnNames,
        Self::NullMembers,
        Self::HugeIntegers,
        Self::ActiveUntilExpPlusOne,
        Self::RedirectsIntrospection,
        Self::RefusesCallers(CallerRefusal::UnauthorizedClient400),
        Self::RefusesCallers(CallerRefusal::Bare401),
        Self::RefusesCallers(CallerRefusal::Html403),
        Self::RefusesCallers(CallerRefusal::LoginPage302),
        Self::IssuerFollowsHost,
        Self::ReadsTokensLeniently,
    ];

    /// The name: what a table of scenarios or a command line calls it. Those with a choice share one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RefusesJwtIntrospection => "refuses_jwt_introspection",
            Self::RefusesOddTokens => "refuses_odd_tokens",
            Self::RefusesLongTokens => "refuses_long_tokens",
            Self::LockedStore => "locked_store",
            Self::ComputesClaimsAnew => "computes_claims_anew",
            Self::SlimTokens => "slim_tokens",
            Self::SignsBeforePublishing => "signs_before_publishing",
            Self::FirstReaderSeesAnotherKey => "first_reader_sees_another_key",
            Self::AudienceChecksTheCaller => "audience_checks_the_caller",
            Self::CurrentKeyOnly => "current_key_only",
            Self::RefreshTokensActive(_) => "refresh_tokens_active",
            Self::IdTokensActive(_) => "id_tokens_active",
            Self::OneTypeForAll => "one_type_for_all",
            Self::EmptyKid => "empty_kid",
            Self::NoKid => "no_kid",
            Self::KeyOrderChanges => "key_order_changes",
            Self::SigningKeyMarkedEnc => "signing_key_marked_enc",
            Self::JwksNoStore => "jwks_no_store",
            Self::JwksLongMaxAge => "jwks_long_max_age",
            Self::JwksFails => "jwks_fails",
            Self::AnswersWithJwtMember => "answers_with_jwt_member",
            Self::ExtWithOwnNames => "ext_with_own_names",
            Self::NullMembers => "null_members",
            Self::HugeIntegers => "huge_integers",
            Self::ActiveUntilExpPlusOne => "active_until_exp_plus_one",
            Self::RedirectsIntrospection => "redirects_introspection",
            Self::RefusesCallers(_) => "refuses_callers",
            Self::IssuerFollowsHost => "issuer_follows_host",
            Self::ReadsTokensLeniently => "reads_tokens_leniently",
        }
    }

    /// Those of this name: several where there is a choice, none if there is no such name.
    pub fn by_name(name: &str) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |one| one.name() == name)
    }
}
