//! Where a key set comes from.

mod caching;
mod discovery;
mod file;
mod fixed;
mod url;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderValue;
use verifier_core::algorithm::Algorithm;
use verifier_core::endpoint::Endpoint;
use verifier_core::error::Unavailable;
use verifier_core::key::KeySet;

pub use self::discovery::{DiscoverySource, METADATA_MAX_AGE};
pub use self::file::FileSource;
pub use self::fixed::{StaticSecret, StaticSource};
pub use self::url::UrlSource;

/// Brings the keys of one issuer. When it is asked is decided by others.
#[async_trait]
pub trait KeySource: fmt::Debug + Send + Sync + 'static {
    /// The key set as it is now. `known` is the validator of what the caller holds, if the source gave one.
    ///
    /// # Errors
    /// [`Unavailable`], with the reason why the set could not be had. What the caller holds stays as it is.
    async fn fetch(&self, known: Option<&ETag>) -> Result<Fetched, Unavailable>;

    /// The keys, where they never change: taken once, when the verifier is built; nothing is fetched then.
    fn fixed(&self) -> Option<Fetched> {
        None
    }

    /// Whether what is fetched crossed a network: secrets found in such a set are an alarm.
    fn is_remote(&self) -> bool {
        true
    }
}

/// What a [`KeySource`] brings.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fetched {
    /// What the caller holds is still current.
    NotModified {
        /// For how long, as the source says.
        max_age: Option<Duration>,
    },
    /// A text that holds keys.
    Document {
        /// The text.
        bytes: Bytes,
        /// How to read it.
        format: KeyFormat,
        /// The validator for the next fetch.
        etag: Option<ETag>,
        /// For how long the source says that it is current.
        max_age: Option<Duration>,
    },
    /// Keys ready for use.
    Keys(KeySet),
}

impl Fetched {
    /// A JWK Set without validator, current for the default time.
    pub fn jwk_set(bytes: impl Into<Bytes>) -> Self {
        Self::Document { bytes: bytes.into(), format: KeyFormat::JwkSet, etag: None, max_age: None }
    }
}

/// How keys are written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum KeyFormat {
    /// A JWK Set (RFC 7517 §5).
    #[default]
    JwkSet,
    /// One public key in PEM, `PUBLIC KEY` (RFC 7468 §13), which says neither algorithm nor `kid`.
    Pem {
        /// The algorithm.
        algorithm: Algorithm,
        /// The `kid` that tokens name it by; without one it serves tokens without a `kid`.
        kid: Option<Box<str>>,
    },
}

/// The validator of a representation (RFC 9110 §8.8.3): compared, sent back, never read.
#[derive(Clone, PartialEq, Eq)]
pub struct ETag {
    value: HeaderValue,
    /// The address that gave it, where a source has several: it means nothing to another.
    given_by: Option<Endpoint>,
}

impl ETag {
    /// The value of an `ETag` header.
    pub const fn new(value: HeaderValue) -> Self {
        Self { value, given_by: None }
    }

    /// The value for `If-None-Match`.
    pub const fn value(&self) -> &HeaderValue {
        &self.value
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ETag(..)")
    }
}
