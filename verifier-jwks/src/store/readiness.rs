//! Whether keys are there, and what is known of them.

use std::time::Duration;

use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::health::KeySetHealth;
use verifier_core::key::KeySet;
use verifier_core::time::{Instant, Now};

use super::{KeyStore, Reply, Snapshot};
use crate::refresh::{Knowledge, Trigger};

impl KeyStore {
    /// Resolves once a key set is held that may be used. Tries until the deadline, with the rests that failures demand.
    ///
    /// # Errors
    /// Why the last fetch failed: at the deadline, or at once if trying again is of no use.
    /// [`UnavailableReason::DeadlineExceeded`] if none has ended by then.
    pub async fn ready(&self, deadline: Option<Instant>) -> Result<(), Unavailable> {
        let env = &self.shared.env;
        loop {
            let now = env.clock.now();
            let (why, reply) = {
                let held = self.shared.snapshot.load_full();
                let Err(why) = self.judge(held.as_deref(), now) else { return Ok(()) };
                // `None`: another set has landed since, and is looked at instead of being fetched again.
                let Some(reply) = self.shared.decide_on(held.as_ref(), Trigger::FirstUse(None)) else {
                    continue;
                };
                (why, reply)
            };
            let retry_in = match reply {
                Reply::Wait(flight) => {
                    if let Err(over) = self.landed(flight, deadline).await {
                        return Err(self.last_error().unwrap_or(over));
                    }
                    continue;
                }
                Reply::Rest { knowledge: Knowledge::Unconfirmed { retry_in }, .. } => retry_in,
                Reply::Rest { .. } => Duration::ZERO,
            };
            if !why.is_retryable() {
                return Err(why);
            }
            let now = env.clock.now().monotonic;
            let until = deadline.map_or(now.plus(retry_in), |deadline| deadline.min(now.plus(retry_in)));
            env.runtime.sleep(until.since(now))?.await;
            let now = env.clock.now().monotonic;
            // A timer that fires early, its runtime gone, must not make this loop spin.
            if now < until || deadline.is_some_and(|deadline| now >= deadline) {
                return Err(why);
            }
        }
    }

    /// Whether the keys may be used at `now`, without starting anything.
    ///
    /// # Errors
    /// [`UnavailableReason::KeysStale`]; why the last fetch failed, or [`UnavailableReason::KeysNotLoaded`].
    pub fn is_usable(&self, now: Now) -> Result<(), Unavailable> {
        self.judge(self.shared.snapshot.load().as_deref(), now)
    }

    fn judge(&self, held: Option<&Snapshot>, now: Now) -> Result<(), Unavailable> {
        match held {
            None => Err(self.last_error().unwrap_or(UnavailableReason::KeysNotLoaded.into())),
            Some(snapshot) if snapshot.age(now) >= snapshot.usable_for => {
                Err(UnavailableReason::KeysStale.into())
            }
            Some(_) => Ok(()),
        }
    }

    /// The state of the key set, for people and probes.
    pub fn health(&self, now: Now) -> KeySetHealth {
        let snapshot = self.shared.snapshot.load_full();
        let mut health = KeySetHealth::default();
        if let Some(snapshot) = &snapshot {
            let keys = &snapshot.keys;
            health.usable = keys.len();
            health.kids = keys.kids().map(Into::into).collect();
            health.skipped = keys.skipped().iter().map(|key| (key.kid.clone(), key.reason)).collect();
            if snapshot.fetched_at.is_none() {
                return health;
            }
            health.usable_for = Some(snapshot.usable_for.saturating_sub(snapshot.age(now)));
        }
        let tower = self.shared.tower();
        let refresh = &tower.refresh;
        health.last_success = refresh.last_success();
        health.last_attempt = refresh.last_attempt();
        health.last_error = refresh.last_error();
        health.next_attempt_in = match (refresh.backing_off_until(), refresh.last_success()) {
            _ if refresh.is_airborne() => Some(Duration::ZERO),
            (Some(until), _) => Some(until.since(now.monotonic)),
            (None, Some(success)) => Some(refresh.refresh_age().saturating_sub(now.since(success))),
            (None, None) => None,
        };
        health
    }

    /// Whether the set that was published holds private or symmetric keys.
    pub(crate) fn exposes_secrets(&self) -> bool {
        self.shared.source.is_remote()
            && self.shared.snapshot.load().as_ref().is_some_and(|snapshot| {
                snapshot.keys.skipped().iter().any(|skipped| skipped.reason.is_alarming())
            })
    }

    /// The usable keys, at present.
    pub(crate) fn with_keys<T>(&self, read: impl FnOnce(&KeySet) -> T) -> Option<T> {
        self.shared.snapshot.load().as_ref().map(|snapshot| read(&snapshot.keys))
    }

    fn last_error(&self) -> Option<Unavailable> {
        self.shared.tower().refresh.last_error()
    }
}
