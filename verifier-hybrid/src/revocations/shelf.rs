//! Rules by the digest they speak of, on several shelves, so that a look-up hardly ever meets a writer.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use verifier_core::revocation::RevocationRule;
use verifier_core::time::{Instant, Now};
use verifier_core::token::Digest;

const SHELVES: usize = 64;

/// One rule, and when its time is over: once both clocks are past `until`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) rule: RevocationRule,
    pub(super) until: Now,
}

impl Entry {
    fn is_over(&self, now: Now) -> bool {
        now.wall >= self.until.wall && now.monotonic >= self.until.monotonic
    }

    /// Reaches as far as either, and is kept as long as either.
    fn extend(&mut self, other: &Self) {
        self.rule = match (self.rule, other.rule) {
            (RevocationRule::Subject(key, a), RevocationRule::Subject(_, b)) => {
                RevocationRule::Subject(key, a.max(b))
            }
            (RevocationRule::Client(key, a), RevocationRule::Client(_, b)) => {
                RevocationRule::Client(key, a.max(b))
            }
            (rule, _) => rule,
        };
        self.until =
            Now::new(self.until.wall.max(other.until.wall), self.until.monotonic.max(other.until.monotonic));
    }
}

type Shelf = RwLock<HashMap<Digest, Entry, BuildHasherDefault<Folded>>>;

/// Digests of different kinds never meet, so one map serves all rules. Written to by one caller at a time.
pub(super) struct Shelves {
    len: AtomicUsize,
    shelves: Box<[Shelf]>,
}

impl Default for Shelves {
    fn default() -> Self {
        Self { len: AtomicUsize::new(0), shelves: (0..SHELVES).map(|_| Shelf::default()).collect() }
    }
}

impl Shelves {
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn rule(&self, key: Digest) -> Option<RevocationRule> {
        let shelf = self.shelf(key)?.read().unwrap_or_else(PoisonError::into_inner);
        shelf.get(&key).map(|entry| entry.rule)
    }

    /// Extends the entry of the same key; false if there is none.
    pub(super) fn extend(&self, entry: Entry) -> bool {
        let Some(shelf) = self.shelf(entry.rule.key()) else { return false };
        let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
        shelf.get_mut(&entry.rule.key()).map(|held| held.extend(&entry)).is_some()
    }

    pub(super) fn insert(&self, entry: Entry) {
        let Some(shelf) = self.shelf(entry.rule.key()) else { return };
        // Counted first: whoever finds the count at zero may take the list for empty.
        self.len.fetch_add(1, Ordering::Release);
        shelf.write().unwrap_or_else(PoisonError::into_inner).insert(entry.rule.key(), entry);
    }

    /// Clears away entries whose time is over, shelf by shelf; returns when that may be worth doing again.
    pub(super) fn prune(&self, now: Now) -> Instant {
        let mut soonest = Instant::from_nanos(u64::MAX);
        for shelf in &self.shelves {
            let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
            let before = shelf.len();
            shelf.retain(|_, entry| {
                let stays = !entry.is_over(now);
                if stays {
                    soonest = soonest.min(entry.until.monotonic);
                }
                stays
            });
            self.len.fetch_sub(before - shelf.len(), Ordering::Release);
        }
        soonest
    }

    fn shelf(&self, key: Digest) -> Option<&Shelf> {
        let hash = BuildHasherDefault::<Folded>::default().hash_one(key);
        // Other bits than those by which the map spreads its own.
        let place = usize::try_from(hash >> 40).unwrap_or(0) % SHELVES;
        self.shelves.get(place)
    }
}

/// A digest is evenly spread and keyed already: folding its bytes will do.
#[derive(Default)]
pub(super) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(word);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
