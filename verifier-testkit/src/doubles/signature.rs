//! A cryptography library that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use verifier_core::algorithm::Algorithm;
use verifier_core::jwk::SkipReason;
use verifier_core::signature::{AwsLc, KeyMaterial, PreparedKey, SignatureBackend};

/// A [`SignatureBackend`] that counts the keys it prepares and the signatures that these check. Clones share the counts.
#[derive(Clone, Debug)]
pub struct CountingBackend {
    inner: Arc<dyn SignatureBackend>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    prepared: AtomicU64,
    checked: AtomicU64,
}

impl CountingBackend {
    /// Over the default backend.
    pub fn new() -> Self {
        Self::over(Arc::new(AwsLc))
    }

    /// Over another.
    pub fn over(inner: Arc<dyn SignatureBackend>) -> Self {
        Self { inner, counts: Arc::default() }
    }

    /// How many signatures were checked.
    pub fn checks(&self) -> u64 {
        self.counts.checked.load(Ordering::SeqCst)
    }

    /// How many keys were prepared.
    pub fn preparations(&self) -> u64 {
        self.counts.prepared.load(Ordering::SeqCst)
    }

    /// Starts both counts again.
    pub fn reset(&self) {
        self.counts.checked.store(0, Ordering::SeqCst);
        self.counts.prepared.store(0, Ordering::SeqCst);
    }
}

impl Default for CountingBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl SignatureBackend for CountingBackend {
    fn prepare(
        &self,
        material: &KeyMaterial<'_>,
        algorithm: Algorithm,
    ) -> Result<Box<dyn PreparedKey>, SkipReason> {
        let inner = self.inner.prepare(material, algorithm)?;
        self.counts.prepared.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(CountingKey { inner, counts: Arc::clone(&self.counts) }))
    }

    fn sha256(&self, message: &[u8]) -> [u8; 32] {
        self.inner.sha256(message)
    }
}

#[derive(Debug)]
struct CountingKey {
    inner: Box<dyn PreparedKey>,
    counts: Arc<Counts>,
}

impl PreparedKey for CountingKey {
    fn check(&self, message: &[u8], signature: &[u8]) -> bool {
        self.counts.checked.fetch_add(1, Ordering::SeqCst);
        self.inner.check(message, signature)
    }
}
