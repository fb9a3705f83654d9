//! Kept answers: one record a token, the newest question wins. The cache crate only bounds; time is ours and is judged
//! on each use, and no failure is ever kept. Two budgets: tokens that are or were active, and all others, so that junk
//! can't drive out what is live.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache as Bounded;
use verifier_core::claims::Facts;
use verifier_core::error::{Rejection, Unavailable};
use verifier_core::identity::Identity;
use verifier_core::revocation::{RevocationLog, Touched};
use verifier_core::time::{Instant, Now};
use verifier_core::token::Digest;

use crate::config::Cache;
use crate::retention::is_kept;

/// Answers, and the log of revocation events that they are judged against: marks of one log mean nothing to another.
///
/// May outlive an introspector and serve its successor: what was asked elsewhere, as somebody else, or with other
/// parameters is not found.
pub struct Answers {
    log: Arc<RevocationLog>,
    segments: Option<Segments>,
}

struct Segments {
    /// Tokens that are active, or were when they came in.
    active: Bounded<Key, Arc<Record>>,
    /// All others; refusals to answer, too.
    negative: Bounded<Key, Arc<Record>>,
    /// Held while a record is put in its place. Reading takes no lock of ours.
    writing: Mutex<()>,
}

/// A token, as asked by somebody, somewhere, somehow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) token: Digest,
    pub(crate) scope: Digest,
}

/// What is known of a token.
pub(crate) struct Record {
    /// When the question was sent.
    pub(crate) as_of: Now,
    pub(crate) status: Status,
    /// Greatest age.
    keep: Duration,
    /// `exp` in seconds since the epoch, where known: not kept beyond.
    expires_at: Option<i64>,
    /// Revocation events up to this number don't concern it.
    clear_up_to: AtomicU64,
    /// Not asked for ahead of time before this instant.
    next_nudge: AtomicU64,
}

#[derive(Clone, Debug)]
pub(crate) enum Status {
    Active(Arc<Facts>),
    /// Active when last asked, and too long ago to be of any other use.
    Lapsed,
    Inactive,
    /// Active, but not for us.
    Unacceptable(Rejection),
    /// The server won't answer for this token, or says of it what can't be read.
    Refused(Unavailable),
}

impl Record {
    pub(crate) fn new(
        as_of: Now,
        status: Status,
        keep: Duration,
        expires_at: Option<i64>,
        clear_up_to: u64,
    ) -> Self {
        Self {
            as_of,
            status,
            keep,
            expires_at,
            clear_up_to: AtomicU64::new(clear_up_to),
            next_nudge: AtomicU64::new(0),
        }
    }

    /// Whether it is still kept.
    pub(crate) fn is_kept(&self, now: Now) -> bool {
        is_kept(self.as_of, now, self.keep, self.expires_at)
    }

    /// When the token ends, where known.
    pub(crate) const fn expires_at(&self) -> Option<i64> {
        self.expires_at
    }

    /// Whether a revocation event may concern it. `who` adds what the answer leaves out of the token's identity.
    pub(crate) fn is_touched(&self, log: &RevocationLog, who: Option<&Identity>, token: Digest) -> bool {
        let Status::Active(facts) = &self.status else { return false };
        let own = facts.identity();
        let whole = who.map_or(*own, |who| own.merged(who));
        match log.judge(self.clear_up_to.load(Ordering::Acquire), &whole, token) {
            Touched::Touched => true,
            Touched::Clear(n) => {
                self.clear_up_to.fetch_max(n, Ordering::AcqRel);
                false
            }
        }
    }

    /// Whether the caller is the one who asks again ahead of time; nobody else is for `pause`.
    pub(crate) fn claim_nudge(&self, now: Instant, pause: Duration) -> bool {
        let due = self.next_nudge.load(Ordering::Acquire);
        now.nanos() >= due
            && self
                .next_nudge
                .compare_exchange(due, now.plus(pause).nanos(), Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("as_of", &self.as_of)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Answers {
    /// Nothing kept yet.
    pub fn new(cache: Cache, log: Arc<RevocationLog>) -> Self {
        let segments = match cache {
            Cache::Off => None,
            Cache::Bounded { active, negative } => Some(Segments {
                active: Bounded::new(active),
                negative: Bounded::new(negative),
                writing: Mutex::new(()),
            }),
        };
        Self { log, segments }
    }

    /// The log of revocation events.
    pub const fn log(&self) -> &Arc<RevocationLog> {
        &self.log
    }

    /// The latest answer for a token, of whatever age. What it says of an active token is forgotten here once it is
    /// kept no longer.
    pub(crate) fn latest(&self, key: &Key, now: Now) -> Option<Arc<Record>> {
        let segments = self.segments.as_ref()?;
        let Some(record) = segments.active.get(key) else {
            return segments.negative.get(key).filter(|record| !matches!(record.status, Status::Refused(_)));
        };
        if matches!(record.status, Status::Active(_)) && !record.is_kept(now) {
            return Some(segments.lapse(key, &record));
        }
        Some(record)
    }

    /// The server's refusal to answer for a token, if there was one a short while ago.
    pub(crate) fn refusal(&self, key: &Key, now: Now) -> Option<Arc<Record>> {
        let record = self.segments.as_ref()?.negative.get(key)?;
        (matches!(record.status, Status::Refused(_)) && record.is_kept(now)).then_some(record)
    }

    /// Keeps a record unless a newer one is there.
    pub(crate) fn keep(&self, key: Key, record: &Arc<Record>) {
        let Some(segments) = &self.segments else { return };
        if record.keep.is_zero() && matches!(record.status, Status::Active(_)) {
            // Nothing to keep, but what was known before is out of date.
            segments.forget(&key, record.as_of);
            return;
        }
        segments.keep(key, record);
    }

    /// Records held of tokens that are or were active, and of others: for tests and people, not exact at any moment.
    pub fn counts(&self) -> (u64, u64) {
        self.segments.as_ref().map_or((0, 0), |segments| {
            segments.active.run_pending_tasks();
            segments.negative.run_pending_tasks();
            (segments.active.entry_count(), segments.negative.entry_count())
        })
    }
}

impl Segments {
    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: Key, record: &Arc<Record>) {
        let _writing = self.writing();
        let newer = |held: Option<Arc<Record>>| {
            held.is_some_and(|held| held.as_of.monotonic > record.as_of.monotonic)
        };
        let known = self.active.get(&key);
        match record.status {
            // Says nothing of the token: an answer that is held stays.
            Status::Refused(_) => {
                if !newer(self.negative.get(&key)) {
                    self.negative.insert(key, Arc::clone(record));
                }
            }
            // A token that was active stays where it is: an answer that replaces one can't be pushed out by junk and
            // leave the older one behind.
            Status::Active(_) | Status::Lapsed => {
                if !newer(known) && !newer(self.negative.get(&key)) {
                    self.active.insert(key, Arc::clone(record));
                    self.negative.invalidate(&key);
                }
            }
            Status::Inactive | Status::Unacceptable(_) if known.is_some() => {
                if !newer(known) {
                    self.active.insert(key, Arc::clone(record));
                    self.negative.invalidate(&key);
                }
            }
            Status::Inactive | Status::Unacceptable(_) => {
                if !newer(self.negative.get(&key)) {
                    self.negative.insert(key, Arc::clone(record));
                }
            }
        }
    }

    fn forget(&self, key: &Key, as_of: Now) {
        let _writing = self.writing();
        for segment in [&self.active, &self.negative] {
            if segment.get(key).is_some_and(|held| held.as_of.monotonic <= as_of.monotonic) {
                segment.invalidate(key);
            }
        }
    }

    /// Leaves of a record only that the token was active.
    fn lapse(&self, key: &Key, record: &Arc<Record>) -> Arc<Record> {
        let lapsed = Arc::new(Record::new(record.as_of, Status::Lapsed, Duration::MAX, record.expires_at, 0));
        let _writing = self.writing();
        if self.active.get(key).is_some_and(|held| Arc::ptr_eq(&held, record)) {
            self.active.insert(*key, Arc::clone(&lapsed));
        }
        lapsed
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("on", &self.segments.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
