//! Keys that are configured in place and never change.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use verifier_core::algorithm::Algorithm;
use verifier_core::error::Unavailable;
use verifier_core::jwk::SkipReason;
use verifier_core::key::KeySet;
use verifier_core::signature::SignatureBackend;
use zeroize::Zeroizing;

use super::{ETag, Fetched, KeyFormat, KeySource};

/// Keys that are configured in place: nothing is ever fetched. If none of them can be used, that is an error when the
/// verifier is built; a key of a JWK Set that can't be used beside others that can is skipped, and shown by the health.
#[derive(Clone, Debug)]
pub struct StaticSource(Keys);

#[derive(Clone, Debug)]
enum Keys {
    Document { bytes: Bytes, format: KeyFormat },
    Secrets { secrets: Arc<[StaticSecret]>, backend: Arc<dyn SignatureBackend> },
}

impl StaticSource {
    /// A JWK Set (RFC 7517 §5) of public keys.
    pub fn jwk_set(bytes: impl Into<Bytes>) -> Self {
        Self(Keys::Document { bytes: bytes.into(), format: KeyFormat::JwkSet })
    }

    /// One public key in PEM, `PUBLIC KEY`, for this algorithm.
    pub fn pem(bytes: impl Into<Bytes>, algorithm: Algorithm, kid: Option<&str>) -> Self {
        let format = KeyFormat::Pem { algorithm, kid: kid.map(Into::into) };
        Self(Keys::Document { bytes: bytes.into(), format })
    }

    /// Secrets shared with the issuer, for HMAC.
    ///
    /// # Errors
    /// [`SkipReason::KeyTooSmall`] if one is shorter than its hash (RFC 7518 §3.2), [`SkipReason::AlgorithmMismatch`]
    /// if its algorithm is no HMAC, [`SkipReason::DuplicateKid`] if two share `kid` and algorithm,
    /// [`SkipReason::MissingMember`] if there is none.
    pub fn secrets(
        secrets: impl IntoIterator<Item = StaticSecret>,
        backend: Arc<dyn SignatureBackend>,
    ) -> Result<Self, SkipReason> {
        let secrets: Arc<[StaticSecret]> = secrets.into_iter().collect();
        if secrets.is_empty() {
            return Err(SkipReason::MissingMember);
        }
        prepare(&secrets, &*backend)?;
        Ok(Self(Keys::Secrets { secrets, backend }))
    }

    fn keys(&self) -> Option<Fetched> {
        match &self.0 {
            Keys::Document { bytes, format } => Some(Fetched::Document {
                bytes: bytes.clone(),
                format: format.clone(),
                etag: None,
                max_age: None,
            }),
            // Each taker gets keys of its own: what one withdraws, the others keep.
            Keys::Secrets { secrets, backend } => prepare(secrets, &**backend).ok().map(Fetched::Keys),
        }
    }
}

fn prepare(secrets: &[StaticSecret], backend: &dyn SignatureBackend) -> Result<KeySet, SkipReason> {
    let parts = secrets.iter().map(|it| (it.kid.as_deref(), it.algorithm, it.secret.as_slice()));
    KeySet::from_secrets(parts, backend)
}

#[async_trait]
impl KeySource for StaticSource {
    async fn fetch(&self, _known: Option<&ETag>) -> Result<Fetched, Unavailable> {
        Ok(self.keys().unwrap_or(Fetched::NotModified { max_age: None }))
    }

    fn fixed(&self) -> Option<Fetched> {
        self.keys()
    }

    fn is_remote(&self) -> bool {
        false
    }
}

/// A secret shared with the issuer. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct StaticSecret {
    kid: Option<Box<str>>,
    algorithm: Algorithm,
    secret: Zeroizing<Vec<u8>>,
}

impl StaticSecret {
    /// The secret's bytes, decoded, for this HMAC algorithm.
    pub const fn new(algorithm: Algorithm, secret: Zeroizing<Vec<u8>>) -> Self {
        Self { kid: None, algorithm, secret }
    }

    /// The same, for tokens that name it by this `kid`.
    #[must_use]
    pub fn with_kid(self, kid: impl Into<Box<str>>) -> Self {
        Self { kid: Some(kid.into()), ..self }
    }
}

impl fmt::Debug for StaticSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticSecret").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
