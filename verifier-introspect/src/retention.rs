//! How long an answer is kept, and whether a kept one will do: pure. An answer is as old as its question. Retention
//! bounds keeping, freshness bounds use.

use std::time::Duration;

use verifier_core::time::{Now, WallTime};

/// How long answers are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Greatest age at which an active answer is used; [`Duration::MAX`] for as long as the token lives.
    pub freshness: Duration,
    /// Greatest age at which an active answer may stand in for a server that can't be asked; zero if it never may.
    pub stale_allowance: Duration,
    /// Greatest age of an active answer that names no `exp`.
    pub without_expiry: Duration,
    /// Greatest age of an inactive answer, of one that can't be accepted, and of a refusal to answer.
    pub negative: Duration,
}

impl Retention {
    /// Greatest age of an active answer to a question asked at `as_of`: min(exp - as_of, max(freshness, stale
    /// allowance)). `exp` is kept to without leeway (RFC 7662 §4); zero: not kept at all.
    pub fn of_active(&self, as_of: WallTime, expires_at: Option<i64>) -> Duration {
        let wanted = self.freshness.max(self.stale_allowance);
        match expires_at {
            Some(exp) => wanted.min(WallTime::from_unix_seconds(exp).since(as_of)),
            None => wanted.min(self.without_expiry),
        }
    }

    /// Greatest age at which an active answer serves a demand for `freshness`, its token's end aside: asking again
    /// ahead of that brings nothing.
    pub fn usable_for(&self, freshness: Duration, expires_at: Option<i64>) -> Duration {
        freshness.min(match expires_at {
            Some(_) => self.freshness.max(self.stale_allowance),
            None => self.of_active(WallTime::EPOCH, None),
        })
    }
}

/// Whether what was asked at `as_of` is fresh enough for a request that arrived at `arrival`.
pub fn is_fresh(as_of: Now, arrival: Now, freshness: Duration) -> bool {
    arrival.since(as_of) <= freshness
}

/// Whether what was asked at `as_of`, to be kept for `keep` and not beyond `exp`, is still kept at `now`.
pub fn is_kept(as_of: Now, now: Now, keep: Duration, expires_at: Option<i64>) -> bool {
    now.since(as_of) <= keep && expires_at.is_none_or(|exp| now.wall < WallTime::from_unix_seconds(exp))
}

/// Whether an answer that is still fresh should be asked for again ahead of time: beyond 80 % of the age at which it
/// can be used at most.
pub fn wants_refresh(as_of: Now, arrival: Now, usable_for: Duration) -> bool {
    arrival.since(as_of) > usable_for.saturating_sub(usable_for / 5)
}

#[cfg(test)]
mod tests;
