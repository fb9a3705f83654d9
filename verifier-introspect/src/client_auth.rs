//! How this service shows the introspection endpoint who it is (RFC 7662 §2.1).

mod credentials;

use std::fmt;
use std::path::PathBuf;

use verifier_core::secret::Secret;

pub(crate) use self::credentials::{Credentials, Presented};

/// The way of authenticating. Those that sign something (RFC 7523) or live in TLS (RFC 8705) will be further variants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientAuth {
    /// Nothing is sent: for an endpoint that the network protects.
    None,
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

    /// Who we are to the server, where the method names us.
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::Basic { client_id, .. } | Self::Post { client_id, .. } => Some(client_id),
            Self::None | Self::Bearer { .. } => None,
        }
    }

    /// The name that RFC 7591 §2 and RFC 8414 give the method, where they do.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
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
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyClientId => f.write_str("client_id: it is empty"),
            Self::EmptyValue => f.write_str("client_secret: it is empty"),
            Self::Unreadable { file, kind } => {
                write!(f, "client_secret: the file {} can't be read: {kind}", file.display())
            }
            Self::EmptyFile { file } => write!(f, "client_secret: the file {} is empty", file.display()),
            Self::NotASecret { file } => {
                write!(f, "client_secret: the file {} is over 64 KiB, or no UTF-8 text", file.display())
            }
            Self::ColonInClientId => {
                f.write_str("client_id: a colon can't be sent raw in Basic authentication; leave `raw` off")
            }
            Self::NotAHeaderValue => {
                f.write_str("bearer token: it holds characters that can't stand in a header")
            }
        }
    }
}

impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests;
