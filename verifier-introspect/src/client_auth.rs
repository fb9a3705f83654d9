//! How this service shows the introspection endpoint who it is (RFC 7662 §2.1).

mod assertion;
mod credentials;
mod direct;
mod grant;
mod held;
mod settings;
mod token_response;

use std::fmt;
use std::path::PathBuf;

use verifier_core::secret::Secret;
use verifier_core::signing::SigningError;

pub use self::assertion::ASSERTION_LIFETIME;
pub(crate) use self::credentials::{Credentials, Surroundings};
#[cfg(test)]
pub(crate) use self::direct::Direct;
pub(crate) use self::direct::{Aim, Presented};
pub use self::grant::{DEFAULT_TOKEN_LIFETIME, MAX_TOKEN_LIFETIME};
pub use self::settings::{Assertion, AssertionAudience, ClientCredentials};

/// The way of authenticating.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientAuth {
    /// Nothing is sent: for an endpoint that the network protects.
    None,
    /// A public client (RFC 6749 §2.1): its identifier is in the form, and nothing proves it. For an endpoint that the
    /// network protects, and that wants to know whom it answers.
    Public {
        /// The client's identifier.
        client_id: String,
    },
    /// `client_secret_basic` (RFC 6749 §2.3.1).
    Basic {
        /// The client's identifier.
        client_id: String,
        /// Its secret.
        secret: SecretSource,
        /// Sends both as they are. RFC 6749 wants them form-encoded first, which some servers forget to undo; it
        /// matters only for characters other than letters, digits and `-._~`.
        raw: bool,
    },
    /// `client_secret_post` (RFC 6749 §2.3.1).
    Post {
        /// The client's identifier.
        client_id: String,
        /// Its secret.
        secret: SecretSource,
    },
    /// A fixed bearer token (RFC 6750 §2.1).
    Bearer {
        /// The token.
        token: SecretSource,
    },
    /// `client_secret_jwt`: an assertion under the client's secret, a fresh one for each attempt (RFC 7523 §2.2, §3).
    SecretJwt {
        /// The client's identifier.
        client_id: String,
        /// Its secret; at least as long as the hash of the algorithm (RFC 7518 §3.2).
        secret: SecretSource,
        /// What the assertion says. The algorithm is HS256 unless named.
        assertion: Assertion,
    },
    /// `private_key_jwt`: an assertion signed with the client's private key, a fresh one for each attempt (RFC 7523
    /// §2.2, §3).
    PrivateKeyJwt {
        /// The client's identifier.
        client_id: String,
        /// Its private key, in PEM or as a JWK: see [`SigningKey::private`](verifier_core::signing::SigningKey::private).
        key: SecretSource,
        /// What the assertion says. The algorithm is the one that goes with the key unless named.
        assertion: Assertion,
    },
    /// `tls_client_auth` and `self_signed_tls_client_auth` (RFC 8705 §2): the client's certificate is the transport's,
    /// and the identifier is sent beside it. A discovered endpoint is the one that `mtls_endpoint_aliases` names, where
    /// there is one (RFC 8705 §5).
    Tls {
        /// The client's identifier.
        client_id: String,
    },
    /// A bearer token that is got by the client-credentials grant (RFC 6749 §4.4), kept, and renewed ahead of its end.
    ClientCredentials(Box<ClientCredentials>),
}

impl ClientAuth {
    /// `client_secret_basic`, encoded as RFC 6749 says.
    pub fn basic(client_id: impl Into<String>, secret: impl Into<SecretSource>) -> Self {
        Self::Basic { client_id: client_id.into(), secret: secret.into(), raw: false }
    }

    /// `client_secret_post`.
    pub fn post(client_id: impl Into<String>, secret: impl Into<SecretSource>) -> Self {
        Self::Post { client_id: client_id.into(), secret: secret.into() }
    }

    /// A fixed bearer token.
    pub fn bearer(token: impl Into<SecretSource>) -> Self {
        Self::Bearer { token: token.into() }
    }

    /// `client_secret_jwt`, HS256, for the issuer as audience.
    pub fn secret_jwt(client_id: impl Into<String>, secret: impl Into<SecretSource>) -> Self {
        let (client_id, secret) = (client_id.into(), secret.into());
        Self::SecretJwt { client_id, secret, assertion: Assertion::default() }
    }

    /// `private_key_jwt`, by the algorithm that goes with the key, for the issuer as audience.
    pub fn private_key_jwt(client_id: impl Into<String>, key: impl Into<SecretSource>) -> Self {
        let (client_id, key) = (client_id.into(), key.into());
        Self::PrivateKeyJwt { client_id, key, assertion: Assertion::default() }
    }

    /// `tls_client_auth`, by the certificate of the transport.
    pub fn tls(client_id: impl Into<String>) -> Self {
        Self::Tls { client_id: client_id.into() }
    }

    /// Our client identifier, where the method has one; that at the token endpoint, where a token is got there.
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::None | Self::Bearer { .. } => None,
            Self::Basic { client_id, .. }
            | Self::Post { client_id, .. }
            | Self::SecretJwt { client_id, .. }
            | Self::PrivateKeyJwt { client_id, .. }
            | Self::Public { client_id }
            | Self::Tls { client_id } => Some(client_id),
            Self::ClientCredentials(grant) => grant.client_auth.client_id(),
        }
    }

    /// Whether we are known by a certificate, here or at the token endpoint.
    pub(crate) fn is_by_tls(&self) -> bool {
        match self {
            Self::Tls { .. } => true,
            Self::ClientCredentials(grant) => grant.client_auth.is_by_tls(),
            _ => false,
        }
    }

    /// The name that RFC 7591 §2 and RFC 8414 give the method, where they do.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::SecretJwt { .. } => "client_secret_jwt",
            Self::PrivateKeyJwt { .. } => "private_key_jwt",
            Self::Tls { .. } => "tls_client_auth",
            Self::ClientCredentials(_) => "client_credentials",
            Self::None | Self::Public { .. } => "none",
            Self::Basic { .. } => "client_secret_basic",
            Self::Post { .. } => "client_secret_post",
            Self::Bearer { .. } => "bearer",
        }
    }
}

/// Where a secret comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SecretSource {
    /// It is at hand, from an environment variable, for instance.
    Value(Secret),
    /// It stands in a file, alone; one trailing newline is not part of it. Read again when the file's time or length
    /// has changed, and after the server refused it.
    File(PathBuf),
}

impl From<Secret> for SecretSource {
    fn from(secret: Secret) -> Self {
        Self::Value(secret)
    }
}

/// Why a secret can't be used.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SecretError {
    /// The client identifier is empty.
    EmptyClientId,
    /// The secret, given as a value, is empty.
    EmptyValue,
    /// The file can't be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        kind: std::io::ErrorKind,
    },
    /// The file is empty, but for a newline.
    EmptyFile {
        /// The file.
        file: PathBuf,
    },
    /// The file is over 64 KiB, or no UTF-8.
    NotASecret {
        /// The file.
        file: PathBuf,
    },
    /// A raw client identifier holds a colon, which ends it (RFC 7617 §2).
    ColonInClientId,
    /// The bearer token holds characters that a header can't.
    NotAHeaderValue,
    /// The same of the private key.
    Key(Box<SecretError>),
    /// It can't sign an assertion.
    CannotSign(SigningError),
    /// The algorithm is none that is supported.
    UnknownAlgorithm {
        /// Its name.
        name: String,
    },
    /// The algorithm goes with the other kind of assertion: HMAC with a secret, all others with a private key.
    WrongKindOfAlgorithm {
        /// Its name.
        name: String,
        /// The method.
        method: &'static str,
    },
    /// The method can't be used where a token is got.
    NotAtTokenEndpoint {
        /// The method.
        method: &'static str,
    },
}

impl SecretError {
    fn show(&self, key: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyClientId => f.write_str("client_id: it is empty"),
            Self::EmptyValue => write!(f, "{key}: it is empty"),
            Self::Unreadable { file, kind } => {
                write!(f, "{key}: the file {} can't be read: {kind}", file.display())
            }
            Self::EmptyFile { file } => write!(f, "{key}: the file {} is empty", file.display()),
            Self::NotASecret { file } => {
                write!(f, "{key}: the file {} is over 64 KiB, or no UTF-8 text", file.display())
            }
            Self::Key(error) => error.show("client_key", f),
            Self::CannotSign(error @ SigningError::AlgorithmMismatch { .. }) => {
                write!(f, "client_assertion_algorithm: {error}: it contradicts {key}")
            }
            Self::CannotSign(error) => write!(f, "{key}: {error}"),
            Self::UnknownAlgorithm { name } => {
                write!(f, "client_assertion_algorithm: {name:?} is no signature algorithm that is supported")
            }
            Self::WrongKindOfAlgorithm { name, method } => write!(
                f,
                "client_assertion_algorithm: {name} contradicts client_auth = {method:?}: HMAC goes with \
                 client_secret_jwt, all others with private_key_jwt"
            ),
            Self::NotAtTokenEndpoint { method } => write!(
                f,
                "client_credentials.client_auth: {method:?} can't be used where the token is got; a method with a \
                 client_id is needed"
            ),
            Self::ColonInClientId => {
                f.write_str("client_id: a colon can't be sent raw in Basic authentication; leave `raw` off")
            }
            Self::NotAHeaderValue => {
                f.write_str("bearer token: it holds characters that can't stand in a header")
            }
        }
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show("client_secret", f)
    }
}

impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests;
