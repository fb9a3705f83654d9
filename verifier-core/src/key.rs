//! Keys that check signatures, and sets of them: which key a token means, and what becomes of a key when its set is
//! replaced.

mod pem;
mod set;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

pub use self::set::{KeySet, KeySetError, Selection, SkippedKey};
use crate::algorithm::Algorithm;
use crate::jwk::{self, KeyRules, SkipReason};
use crate::signature::{KeyMaterial, PreparedKey, SignatureBackend};

/// What makes two keys the same key: the thumbprint (RFC 7638, SHA-256) and the one algorithm. The use is the same for
/// all: a key that may not verify is not imported.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyIdentity {
    thumbprint: [u8; 32],
    algorithm: Algorithm,
}

impl KeyIdentity {
    pub(crate) const fn new(thumbprint: [u8; 32], algorithm: Algorithm) -> Self {
        Self { thumbprint, algorithm }
    }

    /// The JWK thumbprint (RFC 7638 §3); for a secret, a number that means nothing outside this process.
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Debug for KeyIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyIdentity").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A key ready to check signatures of one algorithm.
#[derive(Debug)]
pub struct VerificationKey {
    kid: Option<Box<str>>,
    identity: KeyIdentity,
    prepared: Box<dyn PreparedKey>,
    withdrawn: AtomicBool,
}

impl VerificationKey {
    pub(crate) fn new(kid: Option<&str>, identity: KeyIdentity, prepared: Box<dyn PreparedKey>) -> Self {
        let kid = kid.filter(|kid| !kid.is_empty()).map(Into::into);
        Self { kid, identity, prepared, withdrawn: AtomicBool::new(false) }
    }

    /// From the one `PUBLIC KEY` block of a PEM text (RFC 7468 §13, a SubjectPublicKeyInfo), for this algorithm, which
    /// need not be on the allow-list of `rules`.
    ///
    /// # Errors
    /// [`SkipReason::PrivateMembers`] for a private key, [`SkipReason::UnknownKeyType`] for other blocks and key types,
    /// [`SkipReason::AlgorithmMismatch`] if algorithm and type don't go together, and the reasons of the type.
    pub fn from_pem(
        text: &[u8],
        algorithm: Algorithm,
        kid: Option<&str>,
        rules: &KeyRules,
        backend: &dyn SignatureBackend,
    ) -> Result<Self, SkipReason> {
        let der = pem::public_key(text)?;
        jwk::prepare(kid, pem::material(&der)?, algorithm, rules, backend)
    }

    /// From a secret that issuer and service share, for an HMAC algorithm.
    ///
    /// # Errors
    /// [`SkipReason::KeyTooSmall`] if it is shorter than the hash (RFC 7518 §3.2), [`SkipReason::AlgorithmMismatch`] if
    /// `algorithm` is no HMAC.
    pub fn from_secret(
        secret: &[u8],
        algorithm: Algorithm,
        kid: Option<&str>,
        backend: &dyn SignatureBackend,
    ) -> Result<Self, SkipReason> {
        let rules = KeyRules::new([algorithm].into_iter().collect());
        jwk::prepare(kid, KeyMaterial::Secret(secret), algorithm, &rules, backend)
    }

    /// The key's id.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm it is for.
    pub const fn algorithm(&self) -> Algorithm {
        self.identity.algorithm
    }

    /// What makes it the same key as another.
    pub const fn identity(&self) -> KeyIdentity {
        self.identity
    }

    /// Whether `signature` is one of `message` by this key.
    pub fn check(&self, message: &[u8], signature: &[u8]) -> bool {
        self.prepared.check(message, signature)
    }

    /// Whether the issuer no longer publishes it: nothing that rests on it holds any longer. One load.
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire)
    }

    /// Marks it as no longer published, for good.
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
    }
}

#[cfg(test)]
#[cfg(feature = "aws-lc-rs")]
mod tests;
