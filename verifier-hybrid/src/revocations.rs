//! Revocation events that this service was told of, in memory.

mod shelf;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use verifier_core::identity::Identity;
use verifier_core::policy::MAX_LEEWAY;
use verifier_core::revocation::{RevocationEvent, RevocationList, RevocationLog, RevocationRule};
use verifier_core::time::{Clock, Instant, Now, WallTime};
use verifier_core::token::Digest;

use self::shelf::{Entry, Shelves};

/// How many rules are kept unless configured.
pub const DEFAULT_CAPACITY: usize = 100_000;
/// How long a rule is kept that names no `exp`, unless configured: the longest lifetime that tokens are taken to have.
pub const DEFAULT_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after a token's `exp` its rule is kept: the greatest leeway that can be configured, and as much again for
/// a clock that was set.
pub const KEPT_PAST_EXPIRY: Duration = Duration::from_secs(2 * MAX_LEEWAY.as_secs());
/// The least time between two searches for rules whose time is over.
const PRUNE_INTERVAL: Duration = Duration::from_secs(1);

/// A [`RevocationList`] that is told of events by [`ingest`](Self::ingest), and the [`RevocationLog`] of each issuer,
/// by which kept introspection answers learn of them.
///
/// Bounded: a list that is full refuses the next event, and never forgets one that still matters. A rule for a token
/// whose `exp` is known is kept until [`KEPT_PAST_EXPIRY`] after it; every other for the retention, which has to be at
/// least the longest lifetime of a token, counted from the later of its instant and its arrival here. Both clocks have
/// to have passed that point, so that neither setting the clock nor a sleeping machine drops a rule early.
///
/// A look-up takes no lock while the list is empty, and allocates nothing. The rules lie on 64 shelves: it waits only for
/// a writer at its own, who puts one rule there or, when the list is full, clears away those whose time is over.
pub struct Revocations {
    shelves: Shelves,
    clock: Arc<dyn Clock>,
    capacity: usize,
    retention: Duration,
    desk: Mutex<Desk>,
}

/// What only those who bring events need. One at a time.
#[derive(Debug)]
struct Desk {
    logs: HashMap<Box<str>, Arc<RevocationLog>>,
    /// No rule's time is over before this.
    prune_at: Instant,
}

impl Revocations {
    /// An empty list of [`DEFAULT_CAPACITY`] and [`DEFAULT_RETENTION`].
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            shelves: Shelves::default(),
            clock,
            capacity: DEFAULT_CAPACITY,
            retention: DEFAULT_RETENTION,
            desk: Mutex::new(Desk { logs: HashMap::new(), prune_at: Instant::from_nanos(u64::MAX) }),
        }
    }

    /// The same, for at most this many rules.
    #[must_use]
    pub fn with_capacity(self, rules: usize) -> Self {
        Self { capacity: rules, ..self }
    }

    /// The same, keeping rules without an `exp` for this long: at least the longest lifetime of a token.
    #[must_use]
    pub fn with_retention(self, retention: Duration) -> Self {
        Self { retention, ..self }
    }

    /// Takes an event in. Once this has returned, no verification that consults this list accepts a token that the
    /// event covers. Of several events for one subject or client, the one that reaches furthest counts.
    ///
    /// # Errors
    /// [`RevocationsFull`]: the event was **not** taken in; raise an alarm, and raise the capacity.
    pub fn ingest(&self, event: &RevocationEvent) -> Result<(), RevocationsFull> {
        let now = self.clock.now();
        let rule = RevocationRule::from(event);
        let entry = self.entry(event, rule, now);
        let mut desk = self.desk();
        if !self.shelves.extend(entry) {
            if self.shelves.len() >= self.capacity && now.monotonic >= desk.prune_at {
                self.prune(&mut desk, now);
            }
            if self.shelves.len() >= self.capacity {
                return Err(RevocationsFull { capacity: self.capacity });
            }
            self.shelves.insert(entry);
            desk.prune_at = desk.prune_at.min(entry.until.monotonic);
        }
        // The list first, then the log: whoever sees the number finds the rule.
        match issuer_of(event).and_then(|issuer| desk.logs.get(issuer)) {
            Some(log) => log.append(rule),
            None => desk.logs.values().for_each(|log| log.append(rule)),
        }
        Ok(())
    }

    /// The log of an issuer, for those who keep answers about its tokens; the same one at each call. An issuer that
    /// has none of its own, and events that name no issuer, are told to all.
    pub fn log(&self, issuer: &str) -> Arc<RevocationLog> {
        Arc::clone(self.desk().logs.entry(issuer.into()).or_default())
    }

    /// How many rules are kept, those included whose time is over but that nobody has cleared away yet.
    pub fn len(&self) -> usize {
        self.shelves.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The greatest number of rules.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How long rules are kept that name no `exp`.
    pub const fn retention(&self) -> Duration {
        self.retention
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prune(&self, desk: &mut Desk, now: Now) {
        let soonest = self.shelves.prune(now);
        desk.prune_at = soonest.max(now.monotonic.plus(PRUNE_INTERVAL));
    }

    fn entry(&self, event: &RevocationEvent, rule: RevocationRule, now: Now) -> Entry {
        let from_expiry = |expires_at: i64| {
            let wall = WallTime::from_unix_seconds(expires_at).plus(KEPT_PAST_EXPIRY);
            let remaining = wall.since(now.wall).max(KEPT_PAST_EXPIRY);
            Now::new(wall, now.monotonic.plus(remaining))
        };
        let until = match event {
            RevocationEvent::Token { expires_at: Some(exp), .. }
            | RevocationEvent::Text { expires_at: Some(exp), .. } => from_expiry(*exp),
            RevocationEvent::Subject { issued_at_or_before: limit, .. }
            | RevocationEvent::Client { issued_at_or_before: limit, .. } => {
                let ahead = WallTime::from_unix_seconds(*limit).since(now.wall);
                now.plus(ahead).plus(self.retention).plus(KEPT_PAST_EXPIRY)
            }
            _ => now.plus(self.retention).plus(KEPT_PAST_EXPIRY),
        };
        Entry { rule, until }
    }
}

fn issuer_of(event: &RevocationEvent) -> Option<&str> {
    match event {
        RevocationEvent::Token { issuer, .. }
        | RevocationEvent::Subject { issuer, .. }
        | RevocationEvent::Client { issuer, .. }
        | RevocationEvent::Session { issuer, .. } => Some(issuer),
        _ => None,
    }
}

impl RevocationList for Revocations {
    fn revokes(&self, who: &Identity, token: Digest) -> Option<RevocationRule> {
        if self.shelves.is_empty() {
            return None;
        }
        [who.jwt_id, who.session, who.subject, who.client, Some(token)]
            .into_iter()
            .flatten()
            .filter_map(|key| self.shelves.rule(key))
            .find(|rule| rule.covers(who, token))
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

/// The list holds as many rules as it may, and each still matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RevocationsFull {
    capacity: usize,
}

impl RevocationsFull {
    /// The greatest number of rules.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }
}

impl fmt::Display for RevocationsFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the revocation list is full at {} rules; the event was not taken in", self.capacity)
    }
}

impl std::error::Error for RevocationsFull {}

#[cfg(test)]
mod tests;
