//! Tokens whose signature was checked, by digest: facts, never decisions. An entry dies with its key.

use std::fmt;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use verifier_core::claims::Facts;
use verifier_core::key::VerificationKey;
use verifier_core::token::{AccessToken, Digest};

use crate::config::{ConfigError, VerifiedTokensConfig};

/// What is known of a verified token: true for as long as its key is trusted, for every policy and at any time.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) facts: Arc<Facts>,
    pub(crate) key: Arc<VerificationKey>,
    weight: u64,
}

/// The bounded cache. Only verified tokens enter it, so that junk evicts nothing.
pub(crate) struct VerifiedTokens {
    kept: Cache<Digest, Arc<Entry>, ByWeight>,
    /// What an entry weighs at least, so that the bound on memory bounds the number too.
    least_weight: u64,
}

#[derive(Clone, Copy)]
struct ByWeight;

impl Weighter<Digest, Arc<Entry>> for ByWeight {
    fn weight(&self, _: &Digest, entry: &Arc<Entry>) -> u64 {
        entry.weight
    }
}

impl VerifiedTokens {
    /// # Errors
    /// [`ConfigError::NoRoomForTokens`] if either bound is zero.
    pub(crate) fn new(config: VerifiedTokensConfig) -> Result<Self, ConfigError> {
        let entries = u64::try_from(config.entries).unwrap_or(u64::MAX);
        if entries == 0 || config.bytes == 0 {
            return Err(ConfigError::NoRoomForTokens);
        }
        let least_weight = config.bytes.div_ceil(entries).max(1);
        Ok(Self { kept: Cache::with_weighter(config.entries, config.bytes, ByWeight), least_weight })
    }

    /// The entry of this token, if its key is still trusted. Allocates nothing.
    pub(crate) fn find(&self, digest: Digest) -> Option<Arc<Entry>> {
        let entry = self.kept.get(&digest)?;
        if entry.key.is_withdrawn() {
            self.forget(digest, &entry);
            return None;
        }
        Some(entry)
    }

    pub(crate) fn keep(&self, token: &AccessToken<'_>, facts: Arc<Facts>, key: Arc<VerificationKey>) {
        let weight = weight_of(token.as_str().len()).max(self.least_weight);
        self.kept.insert(token.digest(), Arc::new(Entry { facts, key, weight }));
    }

    /// Takes out this entry, unless another one has taken its place.
    pub(crate) fn forget(&self, digest: Digest, entry: &Arc<Entry>) {
        self.kept.remove_if(&digest, |kept| Arc::ptr_eq(kept, entry));
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }
}

/// Roughly what the facts of a token of this length take: the payload's texts, once as members and once typed, and the
/// tree around them.
fn weight_of(token_len: usize) -> u64 {
    u64::try_from(token_len).unwrap_or(u64::MAX).saturating_mul(3).saturating_add(512)
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedTokens").field("len", &self.len()).finish_non_exhaustive()
    }
}
