//! One server that is asked: how many calls at a time, who waits and for how long, what is tried again, and when it is
//! left alone because it failed. All of that is decided by one pure machine, [`UpstreamState`]; [`Upstream`] puts a
//! lock, a clock and wakers around it. Slots and waiting places have a share that only tokens known to be good may
//! take, so that junk can't starve them; and only what the server itself got wrong counts against it, so that a token
//! made to be refused can't look like an outage.

mod config;
mod retry;
mod state;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};

pub use config::{
    DEFAULT_BREAKER_FAILURES, DEFAULT_BREAKER_OPEN, DEFAULT_BREAKER_OPEN_MAX, DEFAULT_MAX_CONCURRENT,
    DEFAULT_MAX_WAIT, DEFAULT_MAX_WAITING, DEFAULT_RETRIES, DEFAULT_RETRY_BACKOFF, InvalidUpstreamConfig,
    MAX_RETRIES, MAX_RETRY_AFTER, SHED_RETRY_AFTER, UpstreamConfig,
};
pub use retry::RetryCause;
pub use state::{Admission, Entry, Settled, UpstreamState};

use crate::error::{Unavailable, UnavailableReason};
use crate::runtime::Env;
use crate::time::{Instant, Now};

/// On whose behalf a server is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Priority {
    /// A token that was verified locally, or was last known to be active: goes first, and may take every slot.
    Known,
    /// Anything else: kept out of the reserved share.
    Unknown,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The server answered as the protocol says.
    Answered,
    /// It didn't. Counted against it only if [`Unavailable::is_server_failure`]. `RefusedByServer`,
    /// `CredentialsRefused`, `Redirected` and the three about signed answers are answers, which show that it is alive; all other reasons say nothing.
    /// A `Retry-After` of a 429 or 503 closes the door for that long, up to [`MAX_RETRY_AFTER`].
    Failed(Unavailable),
}

/// One server, shared by all who ask it. Clones share it.
#[derive(Clone)]
pub struct Upstream {
    gate: Arc<Gate>,
}

struct Gate {
    env: Env,
    desk: Mutex<Desk>,
}

struct Desk {
    state: UpstreamState,
    waiters: HashMap<u64, Waiter>,
}

type Waiter = oneshot::Sender<Result<Permit, Unavailable>>;

impl Upstream {
    /// A server that nothing is known of yet. Asks nothing, starts nothing.
    ///
    /// # Errors
    /// [`InvalidUpstreamConfig`], see [`UpstreamConfig::validate`].
    pub fn new(env: Env, config: UpstreamConfig) -> Result<Self, InvalidUpstreamConfig> {
        config.validate()?;
        let desk = Desk { state: UpstreamState::new(config), waiters: HashMap::new() };
        Ok(Self { gate: Arc::new(Gate { env, desk: Mutex::new(desk) }) })
    }

    /// A permit to ask, as soon as there is a slot: first come, first served within a priority, known tokens first.
    ///
    /// # Errors
    /// `DeadlineExceeded` if the deadline is over, before or after a wait; `BreakerOpen` or `RateLimited`, at once, if
    /// the server is left alone; `Shed` if no slot came free within [`UpstreamConfig::max_wait`] or too many wait;
    /// `NoRuntime` if a wait is needed and there is no timer.
    pub async fn enter(&self, priority: Priority, deadline: Option<Instant>) -> Result<Permit, Unavailable> {
        let arrival = self.gate.now().monotonic;
        if over(deadline, arrival) {
            return Err(UnavailableReason::DeadlineExceeded.into());
        }
        let (wait, mut queued) = {
            let mut desk = self.gate.desk();
            match desk.state.enter(priority, arrival) {
                Entry::Admitted(admission) => return Ok(Permit::new(&self.gate, admission)),
                Entry::Refused(unavailable) => return Err(unavailable),
                Entry::Waiting(number) => {
                    let (waiter, turn) = oneshot::channel();
                    desk.waiters.insert(number, waiter);
                    let max_wait = desk.state.config().max_wait;
                    let wait = deadline.map_or(max_wait, |deadline| deadline.since(arrival).min(max_wait));
                    (wait, Queued { gate: &self.gate, number, turn })
                }
            }
        };
        let timer = self.gate.env.runtime.sleep(wait)?;
        let told = match select(&mut queued.turn, timer).await {
            Either::Left((told, _)) => Some(told),
            Either::Right(_) => None,
        };
        let told = match told {
            Some(told) => told,
            None if queued.give_up() => {
                return Err(if over(deadline, self.gate.now().monotonic.max(arrival.plus(wait))) {
                    UnavailableReason::DeadlineExceeded.into()
                } else {
                    Unavailable::new(UnavailableReason::Shed).retry_in(SHED_RETRY_AFTER)
                });
            }
            // Somebody has settled this call and is about to say so.
            None => (&mut queued.turn).await,
        };
        let permit = told.unwrap_or(Err(UnavailableReason::Shed.into()))?;
        if over(deadline, self.gate.now().monotonic) {
            return Err(UnavailableReason::DeadlineExceeded.into());
        }
        Ok(permit)
    }

    /// [`UpstreamState::retry_decision`], now: how long to rest before the next attempt, if there is to be one.
    pub fn retry_decision(
        &self,
        attempt: u32,
        cause: RetryCause,
        retry_after: Option<Duration>,
        deadline: Option<Instant>,
    ) -> Option<Duration> {
        let now = self.gate.now().monotonic;
        let random = random();
        self.gate.desk().state.retry_decision(attempt, cause, retry_after, now, deadline, random)
    }

    /// What is to be seen from outside, now.
    pub fn health(&self) -> UpstreamHealth {
        let now = self.gate.now().monotonic;
        self.gate.desk().state.health(now)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("health", &self.health()).finish_non_exhaustive()
    }
}

fn over(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

/// A slot. Dropped without a report it is freed, and says nothing of the server.
#[must_use = "the slot is freed when this is dropped"]
pub struct Permit {
    gate: Arc<Gate>,
    admission: Option<Admission>,
}

impl Permit {
    fn new(gate: &Arc<Gate>, admission: Admission) -> Self {
        Self { gate: Arc::clone(gate), admission: Some(admission) }
    }

    /// Frees the slot and says how the call ended: once a call, after its last attempt.
    pub fn report(mut self, outcome: Outcome) {
        if let Some(admission) = self.admission.take() {
            let random = if outcome == Outcome::Answered { 0 } else { random() };
            self.gate.update(|state, now| state.report(admission, outcome, now, random));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.gate.update(|state, now| state.release(admission, now.monotonic));
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

/// A place in the queue, given up when dropped.
struct Queued<'a> {
    gate: &'a Gate,
    number: u64,
    turn: oneshot::Receiver<Result<Permit, Unavailable>>,
}

impl Queued<'_> {
    /// Whether there still was a place to give up.
    fn give_up(&self) -> bool {
        let waiter = {
            let mut desk = self.gate.desk();
            desk.state.forget(self.number);
            desk.waiters.remove(&self.number)
        };
        waiter.is_some()
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Gate {
    fn now(&self) -> Now {
        self.env.clock.now()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then tells those whose wait that ends, with the lock released.
    fn update(self: &Arc<Self>, change: impl FnOnce(&mut UpstreamState, Now)) {
        let now = self.now();
        let told: Vec<_> = {
            let mut desk = self.desk();
            change(&mut desk.state, now);
            let settled = desk.state.settle(now.monotonic);
            settled
                .into_iter()
                .map(|Settled { waiter, result }| (desk.waiters.remove(&waiter), result))
                .collect()
        };
        // All of them are permits before the first is told: should a waker panic, the rest frees its slots.
        let told: Vec<_> = told
            .into_iter()
            .map(|(waiter, result)| (waiter, result.map(|admission| Permit::new(self, admission))))
            .collect();
        for (waiter, result) in told {
            if let Some(waiter) = waiter {
                let _ = waiter.send(result); // an error hands the permit back, which frees its slot
            }
        }
    }
}

/// Spreads retries and probes; nothing secret hangs on it.
fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX / 2)
}

/// What is to be seen of an upstream from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct UpstreamHealth {
    /// Slots taken.
    pub in_flight: usize,
    /// Callers that wait for one.
    pub waiting: usize,
    /// Whether the server is asked.
    pub breaker: BreakerHealth,
    /// Server failures since it last answered.
    pub consecutive_failures: u32,
    /// The last server failure.
    pub last_failure: Option<(Now, Unavailable)>,
    /// When it last answered.
    pub last_success: Option<Now>,
}

/// Whether the server is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BreakerHealth {
    /// Yes.
    Closed,
    /// Not before then.
    Open {
        /// When one call is let through to see.
        until: Instant,
    },
    /// One call is let through, or is out, to see.
    HalfOpen,
}

#[cfg(test)]
mod tests;
