//! The machine itself: slots, queue and breaker, with time and randomness as arguments.

use std::collections::BTreeSet;
use std::time::Duration;

use super::config::{MAX_RETRY_AFTER, SHED_RETRY_AFTER, UpstreamConfig};
use super::retry::jittered;
use super::{BreakerHealth, Outcome, Priority, UpstreamHealth};
use crate::error::{Unavailable, UnavailableReason};
use crate::time::{Instant, Now};

/// One server's limit, queue and circuit breaker. Owns no clock, wakes nobody.
///
/// After each [`report`](Self::report) or [`release`](Self::release), whoever drives this calls
/// [`settle`](Self::settle) and tells those who waited what it returned for them.
#[derive(Debug)]
pub struct UpstreamState {
    config: UpstreamConfig,
    known_in_flight: usize,
    unknown_in_flight: usize,
    known_waiting: BTreeSet<u64>,
    unknown_waiting: BTreeSet<u64>,
    next_waiter: u64,
    breaker: Breaker,
    /// Moves whenever the breaker does: what was admitted before tells nothing about the server as it is now.
    epoch: u64,
    /// Openings since the server was last alive: the exponent of the time to stay open.
    openings: u32,
    consecutive_failures: u32,
    last_failure: Option<(Now, Unavailable)>,
    last_success: Option<Now>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Breaker {
    Closed,
    /// Nobody is let in before `until`, then one probe. `reason` is what others are told meanwhile.
    Open {
        until: Instant,
        reason: UnavailableReason,
    },
    /// The probe is out since then.
    HalfOpen {
        since: Instant,
        reason: UnavailableReason,
    },
}

/// A slot: to be given back, once, by [`UpstreamState::report`] or [`UpstreamState::release`].
#[derive(Debug)]
#[must_use = "the slot stays taken until it is given back"]
pub struct Admission {
    priority: Priority,
    epoch: u64,
}

/// What becomes of a caller.
#[derive(Debug)]
pub enum Entry {
    /// He may ask.
    Admitted(Admission),
    /// He waits under this number, for [`UpstreamConfig::max_wait`] at most.
    Waiting(u64),
    /// He may not ask.
    Refused(Unavailable),
}

/// What became of a caller who waited.
#[derive(Debug)]
pub struct Settled {
    /// His number.
    pub waiter: u64,
    /// His slot, or why there is none.
    pub result: Result<Admission, Unavailable>,
}

impl UpstreamState {
    /// Nothing in flight, breaker closed. `config` is taken as it is: see [`UpstreamConfig::validate`].
    pub fn new(config: UpstreamConfig) -> Self {
        Self {
            config,
            known_in_flight: 0,
            unknown_in_flight: 0,
            known_waiting: BTreeSet::new(),
            unknown_waiting: BTreeSet::new(),
            next_waiter: 0,
            breaker: Breaker::Closed,
            epoch: 0,
            openings: 0,
            consecutive_failures: 0,
            last_failure: None,
            last_success: None,
        }
    }

    /// Somebody wants to ask.
    pub fn enter(&mut self, priority: Priority, now: Instant) -> Entry {
        if let Err(unavailable) = self.pass_breaker(priority, now) {
            return Entry::Refused(unavailable);
        }
        if self.has_slot(priority) {
            return Entry::Admitted(self.admit(priority));
        }
        let places = match priority {
            Priority::Known => self.config.max_waiting,
            Priority::Unknown => self.config.unknown_places().saturating_sub(self.unknown_waiting.len()),
        };
        if places == 0 || self.waiting() >= self.config.max_waiting {
            return Entry::Refused(shed());
        }
        let waiter = self.next_waiter;
        self.next_waiter = self.next_waiter.wrapping_add(1);
        match priority {
            Priority::Known => self.known_waiting.insert(waiter),
            Priority::Unknown => self.unknown_waiting.insert(waiter),
        };
        Entry::Waiting(waiter)
    }

    /// A caller waits no longer, by his own will or because his time is over. `false` if he was settled before.
    pub fn forget(&mut self, waiter: u64) -> bool {
        self.known_waiting.remove(&waiter) || self.unknown_waiting.remove(&waiter)
    }

    /// A call has ended. `random` spreads the time that the breaker stays open.
    pub fn report(&mut self, admission: Admission, outcome: Outcome, now: Now, random: u64) {
        self.give_back(&admission);
        let current = admission.epoch == self.epoch;
        match Judgement::of(outcome) {
            Judgement::Alive => {
                self.last_success = Some(now);
                if current {
                    self.close();
                }
            }
            Judgement::Failed(unavailable) => {
                self.last_failure = Some((now, unavailable));
                if current {
                    self.consecutive_failures = self.consecutive_failures.saturating_add(1);
                }
                self.after_failure(unavailable, current, now.monotonic, random);
            }
            Judgement::Nothing => self.reopen_after(&admission, now.monotonic),
        }
    }

    /// A call has ended, or was never made, and nothing is known of the server.
    pub fn release(&mut self, admission: Admission, now: Instant) {
        self.give_back(&admission);
        self.reopen_after(&admission, now);
    }

    /// Those whose wait is over, in the order in which they are to be told: all, refused, if the breaker is no longer
    /// closed, else as many as there are slots, known tokens first.
    pub fn settle(&mut self, now: Instant) -> Vec<Settled> {
        let mut settled = Vec::new();
        if let Some(refusal) = self.refusal(now) {
            for queue in [&mut self.known_waiting, &mut self.unknown_waiting] {
                let refused = std::mem::take(queue).into_iter();
                settled.extend(refused.map(|waiter| Settled { waiter, result: Err(refusal) }));
            }
            return settled;
        }
        for priority in [Priority::Known, Priority::Unknown] {
            while self.has_slot(priority) {
                let queue = match priority {
                    Priority::Known => &mut self.known_waiting,
                    Priority::Unknown => &mut self.unknown_waiting,
                };
                let Some(waiter) = queue.pop_first() else { break };
                settled.push(Settled { waiter, result: Ok(self.admit(priority)) });
            }
        }
        settled
    }

    /// What is to be seen from outside.
    pub fn health(&self, now: Instant) -> UpstreamHealth {
        UpstreamHealth {
            in_flight: self.in_flight(),
            waiting: self.waiting(),
            breaker: match self.breaker {
                Breaker::Closed => BreakerHealth::Closed,
                Breaker::Open { until, .. } if now < until => BreakerHealth::Open { until },
                Breaker::Open { .. } | Breaker::HalfOpen { .. } => BreakerHealth::HalfOpen,
            },
            consecutive_failures: self.consecutive_failures,
            last_failure: self.last_failure,
            last_success: self.last_success,
        }
    }

    pub(super) const fn config(&self) -> &UpstreamConfig {
        &self.config
    }

    pub(super) fn is_closed(&self) -> bool {
        self.breaker == Breaker::Closed
    }

    fn in_flight(&self) -> usize {
        self.known_in_flight.saturating_add(self.unknown_in_flight)
    }

    fn waiting(&self) -> usize {
        self.known_waiting.len().saturating_add(self.unknown_waiting.len())
    }

    fn has_slot(&self, priority: Priority) -> bool {
        self.in_flight() < self.config.max_concurrent
            && (priority == Priority::Known || self.unknown_in_flight < self.config.unknown_slots())
    }

    fn admit(&mut self, priority: Priority) -> Admission {
        *self.taken(priority) += 1;
        Admission { priority, epoch: self.epoch }
    }

    fn give_back(&mut self, admission: &Admission) {
        let taken = self.taken(admission.priority);
        *taken = taken.saturating_sub(1);
    }

    fn taken(&mut self, priority: Priority) -> &mut usize {
        match priority {
            Priority::Known => &mut self.known_in_flight,
            Priority::Unknown => &mut self.unknown_in_flight,
        }
    }

    /// Lets the caller by if the breaker is closed, or if he is to be the probe. A probe finds a slot: it is
    /// admitted by the call that lets it by.
    fn pass_breaker(&mut self, priority: Priority, now: Instant) -> Result<(), Unavailable> {
        let reason = match self.breaker {
            Breaker::Closed => return Ok(()),
            Breaker::Open { until, reason } if now >= until => reason,
            // A probe that never came back must not close the door for good.
            Breaker::HalfOpen { since, reason } if now.since(since) >= self.config.breaker_open_max => reason,
            _ => return self.refusal(now).map_or(Ok(()), Err),
        };
        if !self.has_slot(priority) {
            return Err(Unavailable::new(reason).retry_in(self.config.breaker_open));
        }
        self.turn(Breaker::HalfOpen { since: now, reason });
        Ok(())
    }

    fn refusal(&self, now: Instant) -> Option<Unavailable> {
        match self.breaker {
            Breaker::Closed => None,
            Breaker::Open { until, reason } => Some(Unavailable::new(reason).retry_in(until.since(now))),
            Breaker::HalfOpen { reason, .. } => {
                Some(Unavailable::new(reason).retry_in(self.config.breaker_open))
            }
        }
    }

    fn close(&mut self) {
        self.consecutive_failures = 0;
        self.openings = 0;
        if self.breaker != Breaker::Closed {
            self.turn(Breaker::Closed);
        }
    }

    fn after_failure(&mut self, unavailable: Unavailable, current: bool, now: Instant, random: u64) {
        // The server's own word on when to come back holds, whenever its call was admitted.
        if let Some(after) = retry_after(unavailable) {
            let reason = match unavailable.reason() {
                UnavailableReason::RateLimited => UnavailableReason::RateLimited,
                _ => UnavailableReason::BreakerOpen,
            };
            let until = now.plus(after);
            match self.breaker {
                Breaker::Open { until: held, .. } if held >= until => {}
                _ => self.turn(Breaker::Open { until, reason }),
            }
            return;
        }
        let opens = match self.breaker {
            Breaker::Closed => self.consecutive_failures >= self.config.breaker_failures,
            Breaker::HalfOpen { .. } => true,
            Breaker::Open { .. } => false,
        };
        if current && opens {
            let factor = 1_u32.checked_shl(self.openings).unwrap_or(u32::MAX);
            let open = self.config.breaker_open.saturating_mul(factor).min(self.config.breaker_open_max);
            self.openings = self.openings.saturating_add(1);
            let until = now.plus(jittered(open, random));
            self.turn(Breaker::Open { until, reason: UnavailableReason::BreakerOpen });
        }
    }

    /// A probe that brought no answer makes room for another, at once.
    fn reopen_after(&mut self, admission: &Admission, now: Instant) {
        if let Breaker::HalfOpen { reason, .. } = self.breaker
            && admission.epoch == self.epoch
        {
            self.turn(Breaker::Open { until: now, reason });
        }
    }

    fn turn(&mut self, breaker: Breaker) {
        self.breaker = breaker;
        self.epoch = self.epoch.wrapping_add(1);
    }
}

/// What an outcome says about the server.
enum Judgement {
    Alive,
    Failed(Unavailable),
    Nothing,
}

impl Judgement {
    fn of(outcome: Outcome) -> Self {
        let unavailable = match outcome {
            Outcome::Answered => return Self::Alive,
            Outcome::Failed(unavailable) => unavailable,
        };
        match unavailable.reason() {
            // Our own door was closed: the server was not asked.
            UnavailableReason::BreakerOpen => Self::Nothing,
            _ if unavailable.is_server_failure() => Self::Failed(unavailable),
            UnavailableReason::RefusedByServer
            | UnavailableReason::CredentialsRefused
            | UnavailableReason::AnswerNotSigned
            | UnavailableReason::AnswerEncrypted
            | UnavailableReason::AnswerNotTrusted
            | UnavailableReason::Redirected => Self::Alive,
            _ => Self::Nothing,
        }
    }
}

/// The `Retry-After` of a 429 or 503, bounded; none if it is zero.
fn retry_after(unavailable: Unavailable) -> Option<Duration> {
    match unavailable.reason() {
        UnavailableReason::RateLimited | UnavailableReason::ServerError => {
            unavailable.retry_after().filter(|after| !after.is_zero()).map(|after| after.min(MAX_RETRY_AFTER))
        }
        _ => None,
    }
}

fn shed() -> Unavailable {
    Unavailable::new(UnavailableReason::Shed).retry_in(SHED_RETRY_AFTER)
}

#[cfg(test)]
mod tests;
