//! One fetch: a task of its own, which no caller owns and which ends with the store.

use std::collections::HashSet;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Either, Shared as SharedFuture, select};
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::key::KeySet;
use verifier_core::runtime::{Env, Runtime};
use verifier_core::time::{Instant, Now};

use super::reading::Brought;
use super::{Shared, Snapshot, Tower, random, wanted};
use crate::events;
use crate::refresh::{Failure, Wanted};
use crate::source::{ETag, Fetched, KeySource};

/// A fetch under way, as those see it who wait for it. It ends whether or not somebody waits.
#[derive(Clone)]
pub(crate) struct Flight(SharedFuture<oneshot::Receiver<()>>);

impl Flight {
    pub(super) fn new() -> (oneshot::Sender<()>, Self) {
        let (sender, landing) = oneshot::channel();
        (sender, Self(landing.shared()))
    }

    /// # Errors
    /// [`UnavailableReason::DeadlineExceeded`].
    pub(super) async fn landed(self, env: &Env, deadline: Option<Instant>) -> Result<(), Unavailable> {
        let landing = self.0;
        let Some(deadline) = deadline else {
            let _ = landing.await;
            return Ok(());
        };
        let left = deadline.since(env.clock.now().monotonic);
        if left.is_zero() {
            return Err(UnavailableReason::DeadlineExceeded.into());
        }
        let Ok(timer) = env.runtime.sleep(left) else {
            let _ = landing.await;
            return Ok(());
        };
        match select(landing, timer).await {
            Either::Left(_) => Ok(()),
            Either::Right(_) if env.clock.now().monotonic >= deadline => {
                Err(UnavailableReason::DeadlineExceeded.into())
            }
            // A timer that ended early, with its runtime, says nothing.
            Either::Right((_, landing)) => {
                let _ = landing.await;
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flight")
    }
}

/// Starts the task of a reserved attempt.
pub(super) fn launch(shared: &Arc<Shared>, attempt: u64, gone: oneshot::Receiver<()>) {
    let landing = Landing { shared: Arc::downgrade(shared), attempt, ended: false };
    let source = Arc::clone(&shared.source);
    let runtime = Arc::clone(&shared.env.runtime);
    let total = shared.config.total;
    let task = async move {
        let Some(known) = landing.depart() else { return };
        let fetching = fetch(&*source, known.as_ref(), &*runtime, total);
        match select(std::pin::pin!(fetching), gone).await {
            Either::Left((fetched, _)) => landing.land(fetched),
            // The store is gone, or has given this attempt up.
            Either::Right(_) => {}
        }
    };
    if shared.env.runtime.try_spawn(Box::pin(task)).is_err() {
        shared.unsent();
    }
}

async fn fetch(
    source: &dyn KeySource,
    known: Option<&ETag>,
    runtime: &dyn Runtime,
    total: Duration,
) -> Result<Fetched, Unavailable> {
    let crashed = |_| Err(UnavailableReason::Crashed.into());
    let fetching = AssertUnwindSafe(async { source.fetch(known).await }).catch_unwind();
    let Ok(timer) = runtime.sleep(total) else {
        return fetching.await.unwrap_or_else(crashed);
    };
    match select(std::pin::pin!(fetching), timer).await {
        Either::Left((fetched, _)) => fetched.unwrap_or_else(crashed),
        Either::Right(_) => Err(UnavailableReason::TimedOut.into()),
    }
}

/// Held by the task: no end of it goes unnoticed.
struct Landing {
    shared: Weak<Shared>,
    attempt: u64,
    ended: bool,
}

impl Landing {
    /// Stamps the attempt; the validator to send along. `None` if nobody waits for it any more.
    fn depart(&self) -> Option<Option<ETag>> {
        let shared = self.shared.upgrade()?;
        let now = shared.env.clock.now();
        let mut tower = shared.tower();
        tower.refresh.departed(self.attempt, now).then(|| tower.etag.clone())
    }

    fn land(mut self, fetched: Result<Fetched, Unavailable>) {
        let Some(shared) = self.shared.upgrade() else { return };
        let brought = fetched.map_err(Failure::Other).and_then(|fetched| shared.reading.read(fetched));
        self.ended = true;
        shared.land(self.attempt, brought);
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.ended
            && let Some(shared) = self.shared.upgrade()
        {
            shared.lost(self.attempt);
        }
    }
}

/// What happened, to be told when no lock is held.
enum Outcome {
    Loaded(Arc<KeySet>),
    Confirmed,
    Failed,
    Ignored,
}

impl Shared {
    fn land(&self, attempt: u64, brought: Result<Brought, Failure>) {
        let now = self.env.clock.now();
        let mut tower = self.tower();
        let previous = self.snapshot.load_full();
        let outcome = match (brought, &previous) {
            (Ok(Brought::Set { keys, etag, max_age }), _) => {
                let keys = Arc::new(match &previous {
                    Some(previous) => keys.adopt(&previous.keys),
                    None => keys,
                });
                let found = all_wanted(&keys);
                if tower.refresh.succeeded(attempt, max_age, |kid| found.contains(kid), random()) {
                    tower.etag = etag;
                    self.publish(&tower, Arc::clone(&keys));
                    if let Some(previous) = &previous {
                        KeySet::withdraw_missing(&previous.keys, &keys);
                    }
                    Outcome::Loaded(keys)
                } else {
                    Outcome::Ignored
                }
            }
            (Ok(Brought::Same { max_age }), Some(previous)) => {
                let found = all_wanted(&previous.keys);
                // RFC 9111 §3.2: what a confirmation doesn't say stays as it was said.
                let max_age = max_age.or(Some(previous.max_age));
                if tower.refresh.succeeded(attempt, max_age, |kid| found.contains(kid), random()) {
                    self.publish(&tower, Arc::clone(&previous.keys));
                    Outcome::Confirmed
                } else {
                    Outcome::Ignored
                }
            }
            // "Not modified", and there is nothing that it could speak of.
            (Ok(Brought::Same { .. }), None) => {
                let failure = Failure::Other(UnavailableReason::UnreadableAnswer.into());
                self.failed(&mut tower, attempt, failure, now)
            }
            (Err(failure), _) => self.failed(&mut tower, attempt, failure, now),
        };
        let ended = self.ended(&mut tower, &outcome);
        let why = tower.refresh.last_error();
        drop(tower);
        match (outcome, why) {
            (Outcome::Loaded(keys), _) => events::loaded(&keys),
            (Outcome::Confirmed, _) => events::confirmed(),
            (Outcome::Failed, Some(why)) => events::failed(why),
            _ => {}
        }
        drop(ended); // wakes those who wait
    }

    fn failed(&self, tower: &mut Tower, attempt: u64, failure: Failure, now: Now) -> Outcome {
        if tower.refresh.failed(attempt, failure, now, random()) { Outcome::Failed } else { Outcome::Ignored }
    }

    /// The attempt's task was dropped.
    fn lost(&self, attempt: u64) {
        let now = self.env.clock.now();
        let mut tower = self.tower();
        let outcome =
            if tower.refresh.lost(attempt, now, random()) { Outcome::Failed } else { Outcome::Ignored };
        let ended = self.ended(&mut tower, &outcome);
        drop(tower);
        drop(ended);
    }

    /// There was nothing to run the task on.
    fn unsent(&self) {
        let now = self.env.clock.now();
        let mut tower = self.tower();
        let unsent = tower.refresh.unsent(UnavailableReason::NoRuntime.into(), now, random());
        // If another attempt is under way by now, its waiters and its task are not ours to end.
        let outcome = if unsent { Outcome::Failed } else { Outcome::Ignored };
        let ended = self.ended(&mut tower, &outcome);
        drop(tower);
        drop(ended);
    }

    /// Lets the atomics follow the state. What it returns wakes those who wait, when it is dropped.
    fn ended(&self, tower: &mut Tower, outcome: &Outcome) -> Ended {
        if matches!(outcome, Outcome::Ignored) {
            return Ended(None);
        }
        let quiet_until = tower.refresh.backing_off_until();
        self.failing.store(quiet_until.is_some(), Ordering::Release);
        self.quiet_until.store(quiet_until.map_or(0, Instant::nanos), Ordering::Relaxed);
        tower.alive = None;
        Ended(tower.landing.take().map(|(landing, _)| landing))
    }

    fn publish(&self, tower: &Tower, keys: Arc<KeySet>) {
        let refresh = &tower.refresh;
        let max_age = refresh.max_age();
        self.snapshot.store(Some(Arc::new(Snapshot {
            keys,
            fetched_at: refresh.last_success(),
            max_age,
            refresh_age: refresh.refresh_age(),
            usable_for: max_age.saturating_add(self.config.stale_if_error),
        })));
    }
}

struct Ended(Option<oneshot::Sender<()>>);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(landing) = self.0.take() {
            let _ = landing.send(()); // an error: nobody waits
        }
    }
}

/// All that headers may ask for and find in this set.
fn all_wanted(keys: &KeySet) -> HashSet<Wanted> {
    let keys = keys.keys();
    let named = keys.iter().filter_map(|key| Some(wanted(Some(key.kid()?), key.algorithm())));
    named.chain(keys.iter().map(|key| wanted(None, key.algorithm()))).collect()
}
