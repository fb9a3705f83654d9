//! What the ways of authenticating that have more than a secret are told.

use std::fmt;

use super::ClientAuth;
use crate::place::EndpointSource;

/// What a client assertion says (RFC 7523 §3). `iss` and `sub` are the client's identifier, `jti` is random and new each
/// time, `exp` is [`ASSERTION_LIFETIME`](super::ASSERTION_LIFETIME) after `iat`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Assertion {
    /// The algorithm's name, as it is to stand in the header: `EdDSA` and `Ed25519` are one algorithm (RFC 9864), and
    /// many a server knows only the older name. `None`: HS256 for a secret; for a key the JWK's own, or RS256, that of
    /// the curve, or `EdDSA`.
    pub algorithm: Option<String>,
    /// The header's `kid`; `None`: that of the JWK, if the key is one that has it.
    pub key_id: Option<String>,
    /// Whom it is for.
    pub audience: AssertionAudience,
}

impl Assertion {
    /// Signed by this algorithm.
    #[must_use]
    pub fn with_algorithm(mut self, name: impl Into<String>) -> Self {
        self.algorithm = Some(name.into());
        self
    }

    /// With this `kid`.
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// For this audience.
    #[must_use]
    pub fn with_audience(mut self, audience: AssertionAudience) -> Self {
        self.audience = audience;
        self
    }
}

/// The `aud` of a client assertion: always one text, never a list, so that no second server takes the same assertion.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum AssertionAudience {
    /// The issuer's name: what the authorization server calls itself, wherever it was told to be asked.
    #[default]
    Issuer,
    /// The address that the request is sent to, as some servers demand. Only as trustworthy as that address.
    Endpoint,
    /// This text.
    Text(String),
}

/// The client-credentials grant (RFC 6749 §4.4), by which a bearer token for the introspection endpoint is got.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientCredentials {
    /// Where the token endpoint is. Discovered, the same rule holds as for the introspection endpoint: on the issuer's
    /// site, or nothing is sent there.
    pub token_endpoint: EndpointSource,
    /// How we authenticate there: anything with a client identifier.
    pub client_auth: ClientAuth,
    /// The `scope` that is asked for.
    pub scope: Option<String>,
    /// Further parameters, such as `resource` (RFC 8707) or `audience`.
    pub parameters: Vec<(String, String)>,
}

impl ClientCredentials {
    /// No scope, no further parameters.
    pub const fn new(token_endpoint: EndpointSource, client_auth: ClientAuth) -> Self {
        Self { token_endpoint, client_auth, scope: None, parameters: Vec::new() }
    }

    /// Asks for this scope.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// With one more parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }
}

impl fmt::Debug for ClientCredentials {
    /// Of the parameters the names: a value may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.parameters.iter().map(|(name, _)| name).collect();
        f.debug_struct("ClientCredentials")
            .field("token_endpoint", &self.token_endpoint)
            .field("client_auth", &self.client_auth)
            .field("scope", &self.scope)
            .field("parameters", &names)
            .finish()
    }
}
