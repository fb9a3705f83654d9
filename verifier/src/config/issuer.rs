//! One issuer's section.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use verifier_core::algorithm::Algorithm;

use super::{Encoding, SecretRef, SignedAnswersSection, Span};

/// One value, or a list of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl OneOrMany {
    /// As a list.
    pub fn list(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// `jwks`, `introspection`, `hybrid`, or `custom:NAME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StrategyName {
    /// Local verification.
    Jwks,
    /// RFC 7662.
    Introspection,
    /// Both.
    Hybrid,
    /// A verifier registered under this name.
    Custom(String),
}

/// One issuer: its name, how its tokens are verified, and what they must say.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IssuerConfig {
    /// The issuer's name, byte for byte as in `iss`. May hold `{tenantid}` where `tenants` lists what it stands for.
    pub issuer: String,
    /// What `{tenantid}` in the issuer's name stands for.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// How tokens are verified.
    pub strategy: StrategyName,
    /// What an access token looks like: `at+jwt`, `generic`, `keycloak`, `hydra`, `auth0`, `okta`, `entra`, `cognito`,
    /// `google-id-token`.
    pub profile: Option<String>,

    /// Who we are: one of these must be in the token.
    pub audience: Option<OneOrMany>,
    /// The claim that holds the audience; default `aud`.
    pub audience_claim: Option<String>,
    /// Accepts tokens for anybody.
    #[serde(default)]
    pub danger_accept_any_audience: bool,
    /// Accepts ID tokens, which say who calls and not what he may do; needed by profile `google-id-token`, and refused
    /// with every other.
    #[serde(default)]
    pub danger_accept_id_tokens: bool,
    /// Accepts tokens without `iss`; for at most one issuer.
    #[serde(default)]
    pub danger_accept_missing_issuer: bool,
    /// Allows plain http to hosts that aren't loopback.
    #[serde(default)]
    pub danger_allow_http: bool,

    /// Clock difference that is forgiven; default 30 s, at most 5 min.
    pub leeway: Option<Span>,
    /// Refuses tokens that were issued longer ago.
    pub max_age: Option<Span>,
    /// Refuses tokens whose `exp - iat` is greater.
    pub max_lifetime: Option<Span>,
    /// Claims that must be there.
    #[serde(default)]
    pub required_claims: Vec<String>,
    /// Scopes that every token must have.
    #[serde(default)]
    pub required_scopes: Vec<String>,
    /// Claims that may hold the scopes, instead of the profile's.
    pub scope_claims: Option<Vec<String>>,
    /// Claims that may name the client, instead of the profile's.
    pub client_claims: Option<Vec<String>>,
    /// RFC 6901 pointers to arrays of roles, instead of the profile's.
    pub roles: Option<Vec<String>>,
    /// Accepted values of the header's `typ`, instead of the profile's.
    pub types: Option<Vec<String>>,

    /// Whether tokens that are no JWT go to this issuer (strategy introspection, several issuers).
    pub opaque: Option<OpaqueTokens>,
    /// The cache of verified tokens: a section, or `false`.
    pub verified_tokens: Option<VerifiedTokensSection>,

    /// Sends what is meant for an origin to another: `"https://idp.example" = "http://keycloak:8080"`.
    #[serde(default)]
    pub connect: BTreeMap<String, String>,
    /// CA certificates, PEM, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy for all requests to this issuer.
    pub proxy: Option<String>,

    /// Where the keys are; absent: discovery.
    pub keys: Option<KeysSection>,
    /// The introspection endpoint.
    pub introspection: Option<IntrospectionSection>,
    /// The revocation check.
    pub revocation: Option<RevocationSection>,
}

/// The cache of verified tokens.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum VerifiedTokensSection {
    /// `false`: off; `true`: on, as by default.
    Switch(bool),
    /// On, with these bounds.
    Bounds {
        /// Greatest number of tokens; default 10,000.
        max_entries: usize,
    },
}

/// What becomes of tokens that are no JWT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OpaqueTokens {
    /// They are rejected.
    Refuse,
    /// They are introspected.
    Introspect,
}

/// Where the keys are, and how they are kept. At most one source.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KeysSection {
    /// Accepted algorithms; default: all asymmetric ones that are supported.
    pub algorithms: Option<Vec<Algorithm>>,
    /// The algorithm of keys that name none and that fit several.
    pub algorithm_when_absent: Option<Algorithm>,
    /// Greatest RSA modulus in bits; default 4096.
    pub max_rsa_bits: Option<usize>,

    /// The address of the JWK Set.
    pub url: Option<String>,
    /// A file with a JWK Set, or with public keys in PEM; read again when it changes.
    pub file: Option<PathBuf>,
    /// A JWK Set, as text.
    pub inline: Option<String>,
    /// A public key in PEM, as text.
    pub pem: Option<String>,
    /// The `kid` of the key in `pem`, or in a PEM `file`.
    pub kid: Option<String>,
    /// A shared HMAC secret.
    pub secret: Option<SecretRef>,
    /// How `secret` is written; default `utf8`.
    pub encoding: Option<Encoding>,
    /// Several shared secrets by `kid`.
    #[serde(default)]
    pub secrets: Vec<StaticSecret>,
    /// A source registered under this name: `custom:NAME`.
    pub source: Option<String>,

    /// Refresh when the key set is this old; default 10 min. A server's Cache-Control may shorten or lengthen it,
    /// inside [1 min, 1 h].
    pub max_age: Option<Span>,
    /// No more than one refresh for unknown keys in this time; default 30 s.
    pub cooldown: Option<Span>,
    /// How long keys stay in use while they can't be refreshed, beyond their age; default 1 h.
    pub stale_if_error: Option<Span>,
    /// Greatest time for one fetch; default 5 s.
    pub timeout: Option<Span>,
    /// Greatest time to connect; default 2 s.
    pub connect_timeout: Option<Span>,
    /// Greatest size of the document in bytes; default 512 KiB.
    pub max_size: Option<usize>,
    /// Greatest number of keys; default 100.
    pub max_keys: Option<usize>,
}

/// One of several shared secrets.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StaticSecret {
    /// The `kid` of tokens signed with it.
    pub kid: String,
    /// Where it is.
    pub secret: SecretRef,
    /// How it is written; default `utf8`.
    pub encoding: Option<Encoding>,
}

/// How the caller authenticates at the introspection endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuthName {
    /// Not at all: the endpoint is protected otherwise.
    None,
    /// HTTP Basic (RFC 6749 §2.3.1), each part form-encoded.
    ClientSecretBasic,
    /// HTTP Basic with id and secret as they are, for servers that don't decode.
    ClientSecretBasicRaw,
    /// In the body.
    ClientSecretPost,
    /// A static bearer token.
    Bearer,
    /// An assertion under our secret (RFC 7523).
    ClientSecretJwt,
    /// An assertion signed with our private key (RFC 7523).
    PrivateKeyJwt,
    /// A bearer token got by the client-credentials grant (RFC 6749 §4.4).
    ClientCredentials,
    /// Our certificate (RFC 8705 §2); `self_signed_tls_client_auth` means the same.
    #[serde(alias = "self_signed_tls_client_auth")]
    TlsClientAuth,
}

impl ClientAuthName {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretBasicRaw => "client_secret_basic_raw",
            Self::ClientSecretPost => "client_secret_post",
            Self::Bearer => "bearer",
            Self::ClientSecretJwt => "client_secret_jwt",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::ClientCredentials => "client_credentials",
            Self::TlsClientAuth => "tls_client_auth",
        }
    }
}

/// The client-credentials grant by which a bearer token for introspection is got. Identifier, secret and key are those
/// of `[issuer.introspection]`.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientCredentialsSection {
    /// The address; absent: discovery.
    pub token_endpoint: Option<String>,
    /// How we authenticate there; default `client_secret_basic` if there is a secret.
    pub client_auth: Option<ClientAuthName>,
    /// The scope that is asked for.
    pub scope: Option<String>,
    /// Further parameters, such as `resource` or `audience`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

/// The introspection endpoint and what is kept of its answers.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IntrospectionSection {
    /// The address; absent: discovery.
    pub endpoint: Option<String>,
    /// Our client id there.
    pub client_id: Option<String>,
    /// Our secret there.
    pub client_secret: Option<SecretRef>,
    /// How we authenticate; default `client_secret_basic` if there is a secret.
    pub client_auth: Option<ClientAuthName>,
    /// Our private key, in PEM or as a JWK: for `private_key_jwt`, and for the certificate of `tls_client_auth`.
    pub client_key: Option<SecretRef>,
    /// The `kid` of our assertions; default: that of the key, if it is a JWK.
    pub client_key_id: Option<String>,
    /// The algorithm of our assertions; default: HS256, or the one that goes with the key.
    pub client_assertion_algorithm: Option<String>,
    /// Whom our assertions are made out to: `issuer` (default), `endpoint`, or a URI.
    pub client_assertion_audience: Option<String>,
    /// Our certificate chain in PEM.
    pub client_certificate: Option<SecretRef>,
    /// The grant of `client_auth = "client_credentials"`.
    pub client_credentials: Option<ClientCredentialsSection>,
    /// Further parameters of each request.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Further headers of each request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whether `token_type_hint` is sent; default true.
    pub token_type_hint: Option<bool>,
    /// Whether answers have to be JWTs that the issuer has signed (RFC 9701): `true`, or `{ algorithm = "ES256", audience
    /// = ".." }`; default false. With strategy introspection `[issuer.keys]` says where the keys are.
    pub signed_answers: Option<SignedAnswersSection>,

    /// Whether answers are kept; default true.
    pub cache: Option<bool>,
    /// Greatest number of kept answers; default 10,000.
    pub max_entries: Option<usize>,
    /// How long an inactive answer is kept; default 10 s.
    pub negative_ttl: Option<Span>,
    /// Greatest time for one call; default 2 s.
    pub timeout: Option<Span>,
    /// Greatest time to connect; default 1 s.
    pub connect_timeout: Option<Span>,
    /// Greatest number of calls at once; default 64.
    pub max_concurrent: Option<usize>,
    /// Greatest size of an answer in bytes; default 64 KiB.
    pub max_size: Option<usize>,
}

/// How old revocation knowledge may be, and what holds when it can't be had.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RevocationSection {
    /// Greatest age of an answer that an acceptance rests on; default 60 s. `"exp"`: as long as the token lives.
    pub freshness: Option<FreshnessSetting>,
    /// What holds when nobody can be asked: `"deny"` (default), or `{ allow_stale = "5m" }`.
    pub when_unknown: Option<WhenUnknown>,
    /// Which tokens are checked: `"always"` (default), or `{ lifetime_over = "15m" }`.
    pub check_when: Option<CheckWhen>,
    /// Whose claims the service sees: `"token"` (default) or `"introspection"`.
    pub claims: Option<ClaimsSide>,
    /// Who is asked: `"introspection"`, `"custom:NAME"`; default: introspection.
    pub checkers: Option<Vec<String>>,
    /// Accepts an answer that shares no jti, sub or client with the token.
    #[serde(default)]
    pub danger_skip_identity_check: bool,
}

/// `"30s"`, or `"exp"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FreshnessSetting {
    /// At most this old.
    AtMost(Span),
    /// As long as the token lives.
    UntilExpiry,
}

/// What holds when the status can't be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WhenUnknown {
    /// Unavailable.
    Deny,
    /// A token last known active is accepted up to this age of that knowledge.
    AllowStale(Span),
}

/// Which tokens are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CheckWhen {
    /// All.
    Always,
    /// Those whose whole lifetime is greater.
    LifetimeOver(Span),
}

/// Whose claims the service sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ClaimsSide {
    /// The signed token's.
    #[default]
    Token,
    /// The introspection answer's.
    Introspection,
}
