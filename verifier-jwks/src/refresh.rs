//! When a key set is fetched: a pure state machine over attempts, their outcomes, unknown `kid`s and the time.
//!
//! Attempts are reserved by [`RefreshState::decide`], stamped when they are sent ([`RefreshState::departed`]) and end by
//! [`RefreshState::succeeded`], [`RefreshState::failed`] or [`RefreshState::lost`]. What was learnt is as old as the
//! attempt's departure. Unknown `kid`s share slots, one per cooldown and one spare, which attempts for other reasons use
//! up as well; a `kid` that a fetch did not bring rests on its own.

use std::collections::HashMap;
use std::time::Duration;

use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::time::{Instant, Now};
use verifier_core::token::Digest;

use crate::config::{MAX_KID_REST, RefreshConfig};

/// What a token's header names, hashed: a `kid`, or for a token without one "the only key of this algorithm".
pub type Wanted = Digest;

/// At most this many `kid`s are noted as asked for with one attempt.
const MAX_ASKED: usize = 64;

/// Why the key set is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// No key set may be used as it is: none was loaded yet, or it is past its age. A token may wait for a key of it.
    FirstUse(Option<Wanted>),
    /// The set is in use; it may be time to fetch it ahead of its end.
    Age,
    /// A token names a key that the set lacks.
    UnknownKid(Wanted),
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Fetch: the attempt of this number is reserved for the caller.
    Ask(u64),
    /// A fetch is under way: wait for it.
    Join,
    /// Ask nobody.
    Rest(Knowledge),
}

/// What can be said without asking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Knowledge {
    /// The set is known well enough: what it lacks, it lacks.
    Known,
    /// It can't be said; asking makes sense after this time.
    Unconfirmed {
        /// From now.
        retry_in: Duration,
    },
}

/// What kind of failure an attempt met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The server published an empty set: a server that is about to make its first key. Asked again every cooldown.
    EmptySet,
    /// Anything else.
    Other(Unavailable),
}

/// The last outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Failing {
    why: Unavailable,
    /// Failures in a row.
    count: u32,
    until: Instant,
}

/// An attempt under way.
#[derive(Clone, Debug)]
struct Airborne {
    number: u64,
    reserved: Instant,
    /// The attempt before, restored if this one is lost.
    previous_attempt: Option<Now>,
    departed: Option<Now>,
    /// Asked for before the departure: if the fetch doesn't bring these, they are missing.
    asked: Vec<Wanted>,
}

/// A `kid` that a fetch did not bring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Missing {
    /// The departure of that fetch.
    at: Now,
    misses: u32,
}

/// The state of one key set's refreshing.
#[derive(Clone, Debug)]
pub struct RefreshState {
    config: RefreshConfig,
    overdue: Duration,
    next_number: u64,
    airborne: Option<Airborne>,
    last_attempt: Option<Now>,
    last_success: Option<Now>,
    /// From the last success: its maximum age, and the age at which it is fetched ahead.
    max_age: Duration,
    refresh_age: Duration,
    failing: Option<Failing>,
    lost_in_a_row: u32,
    /// When the slots of unknown `kid`s would all be used up, if they were used evenly.
    slots_taken_until: Instant,
    missing: HashMap<Wanted, Missing>,
}

impl RefreshState {
    /// Nothing fetched yet. An attempt that has not ended after `overdue` counts as lost.
    pub fn new(config: RefreshConfig, overdue: Duration) -> Self {
        Self {
            config,
            overdue,
            next_number: 0,
            airborne: None,
            last_attempt: None,
            last_success: None,
            max_age: config.max_age,
            refresh_age: config.max_age,
            failing: None,
            lost_in_a_row: 0,
            slots_taken_until: Instant::ORIGIN,
            missing: HashMap::new(),
        }
    }

    /// What to do about `trigger`. With [`Decision::Ask`] the attempt is reserved, and has to be ended.
    pub fn decide(&mut self, trigger: Trigger, now: Now) -> Decision {
        if let Some(airborne) = self.airborne(now) {
            if let Trigger::UnknownKid(kid) | Trigger::FirstUse(Some(kid)) = trigger
                && airborne.departed.is_none()
                && airborne.asked.len() < MAX_ASKED
            {
                airborne.asked.push(kid);
            }
            return Decision::Join;
        }
        match trigger {
            Trigger::FirstUse(kid) => match self.backing_off(now) {
                Some(retry_in) => Decision::Rest(Knowledge::Unconfirmed { retry_in }),
                None => self.ask(kid, now),
            },
            Trigger::Age => match self.backing_off(now) {
                Some(retry_in) => Decision::Rest(Knowledge::Unconfirmed { retry_in }),
                None if self.is_due(now) => self.ask(None, now),
                None => Decision::Rest(Knowledge::Known),
            },
            Trigger::UnknownKid(kid) => self.decide_unknown(kid, now),
        }
    }

    fn decide_unknown(&mut self, kid: Wanted, now: Now) -> Decision {
        if let Some(retry_in) = self.backing_off(now) {
            return Decision::Rest(Knowledge::Unconfirmed { retry_in });
        }
        // A fetch that is due anyway takes nobody's slot.
        if self.is_due(now) && self.failing.is_none() {
            return self.ask(Some(kid), now);
        }
        let rest = self.missing.get(&kid).map(|missing| (missing.at, self.rest_after(missing.misses)));
        if let Some((at, rest)) = rest
            && now.since(at) < rest
        {
            return Decision::Rest(self.knowledge(now, rest));
        }
        if self.has_slot(now) {
            return self.ask(Some(kid), now);
        }
        Decision::Rest(self.knowledge(now, self.config.cooldown))
    }

    fn ask(&mut self, kid: Option<Wanted>, now: Now) -> Decision {
        if self.has_slot(now) {
            self.slots_taken_until = self.slots_taken_until.max(now.monotonic).plus(self.config.cooldown);
        }
        self.next_number += 1;
        self.airborne = Some(Airborne {
            number: self.next_number,
            reserved: now.monotonic,
            previous_attempt: self.last_attempt,
            departed: None,
            asked: kid.into_iter().collect(),
        });
        Decision::Ask(self.next_number)
    }

    /// The attempt is being sent: what it brings will be as old as this. Whether it is still awaited.
    pub fn departed(&mut self, attempt: u64, now: Now) -> bool {
        match self.airborne.as_mut().filter(|airborne| airborne.number == attempt) {
            Some(airborne) => {
                airborne.departed = Some(now);
                self.last_attempt = Some(now);
                true
            }
            None => false,
        }
    }

    /// The attempt brought a set, current for `max_age` as its source says, in which these can be found. `false`, and
    /// nothing changes, if the attempt isn't awaited any more: its set must not be used.
    pub fn succeeded(
        &mut self,
        attempt: u64,
        max_age: Option<Duration>,
        brought: impl Fn(&Wanted) -> bool,
        random: u64,
    ) -> bool {
        let Some(airborne) = self.end(attempt) else { return false };
        let Some(departed) = airborne.departed else { return false };
        let config = &self.config;
        self.last_success = Some(departed);
        self.max_age =
            max_age.map_or(config.max_age, |said| said.clamp(config.max_age_floor, config.max_age_ceiling));
        self.refresh_age = refresh_age(self.max_age, random);
        self.failing = None;
        self.lost_in_a_row = 0;

        self.missing.retain(|kid, _| !brought(kid));
        for kid in airborne.asked {
            if !brought(&kid) {
                self.miss(kid, departed);
            }
        }
        true
    }

    fn miss(&mut self, kid: Wanted, departed: Now) {
        if !self.missing.contains_key(&kid) && self.missing.len() >= self.config.missing_kids {
            let oldest =
                self.missing.iter().min_by_key(|(_, missing)| missing.at.monotonic).map(|(kid, _)| *kid);
            if let Some(oldest) = oldest {
                self.missing.remove(&oldest);
            }
        }
        let missing = self.missing.entry(kid).or_insert(Missing { at: departed, misses: 0 });
        missing.misses = missing.misses.saturating_add(1);
        missing.at = departed;
    }

    /// The attempt failed. `false` if it isn't awaited any more.
    pub fn failed(&mut self, attempt: u64, failure: Failure, now: Now, random: u64) -> bool {
        let Some(airborne) = self.end(attempt) else { return false };
        if airborne.departed.is_none() {
            self.last_attempt = Some(now);
        }
        self.lost_in_a_row = 0;
        self.fail(failure, now, random);
        true
    }

    fn fail(&mut self, failure: Failure, now: Now, random: u64) {
        let (why, cap) = match failure {
            Failure::EmptySet => (
                UnavailableReason::UnreadableAnswer.into(),
                self.config.cooldown.min(self.config.backoff_max),
            ),
            Failure::Other(why) => (why, self.config.backoff_max),
        };
        let count = self.failing.map_or(0, |failing| failing.count).saturating_add(1);
        let mut rest = backoff(&self.config, count, random).min(cap);
        if let Some(asked_for) = why.retry_after() {
            rest = rest.max(asked_for.min(cap));
        }
        self.failing = Some(Failing { why, count, until: now.monotonic.plus(rest) });
    }

    /// The attempt ended without an outcome: its task was dropped, with its runtime, for instance. Nothing was learnt;
    /// the next call asks again. The second such end in a row counts as a failure.
    pub fn lost(&mut self, attempt: u64, now: Now, random: u64) -> bool {
        let Some(airborne) = self.end(attempt) else { return false };
        self.last_attempt = airborne.previous_attempt;
        self.lost_in_a_row = self.lost_in_a_row.saturating_add(1);
        if self.lost_in_a_row > 1 {
            self.last_attempt = Some(now);
            self.fail(Failure::Other(UnavailableReason::Crashed.into()), now, random);
        }
        true
    }

    /// There was nothing to send an attempt on; the attempt itself has been [lost](Self::lost). `false`, and nothing
    /// changes, if another one is under way.
    pub fn unsent(&mut self, why: Unavailable, now: Now, random: u64) -> bool {
        if self.airborne.is_some() {
            return false;
        }
        match &mut self.failing {
            // The loss has been counted.
            Some(failing) if failing.until > now.monotonic => failing.why = why,
            _ => {
                self.last_attempt = Some(now);
                self.fail(Failure::Other(why), now, random);
            }
        }
        true
    }

    fn end(&mut self, attempt: u64) -> Option<Airborne> {
        self.airborne.take_if(|airborne| airborne.number == attempt)
    }

    /// The attempt under way; one that is overdue is given up.
    fn airborne(&mut self, now: Now) -> Option<&mut Airborne> {
        let overdue = self.overdue;
        if let Some(given_up) = self.airborne.take_if(|it| now.monotonic.since(it.reserved) >= overdue) {
            self.last_attempt = given_up.previous_attempt;
        }
        self.airborne.as_mut()
    }

    /// Whether `kid` is missing for sure, given that nobody is asked now. Only a success that is not older than the
    /// last attempt, and no older than the rest of the `kid`, can say so.
    fn knowledge(&self, now: Now, rest: Duration) -> Knowledge {
        match (self.last_success, self.last_attempt) {
            (Some(success), Some(attempt))
                if self.failing.is_none() && success == attempt && now.since(success) <= rest =>
            {
                Knowledge::Known
            }
            _ => Knowledge::Unconfirmed { retry_in: self.next_slot_in(now) },
        }
    }

    fn has_slot(&self, now: Now) -> bool {
        self.next_slot_in(now).is_zero()
    }

    /// One slot per cooldown and a spare one: two may be taken in a row, and each comes back after a cooldown.
    fn next_slot_in(&self, now: Now) -> Duration {
        self.slots_taken_until.since(now.monotonic).saturating_sub(self.config.cooldown)
    }

    fn rest_after(&self, misses: u32) -> Duration {
        doubled(self.config.cooldown, misses.saturating_sub(1)).min(MAX_KID_REST)
    }

    fn is_due(&self, now: Now) -> bool {
        self.last_success.is_none_or(|success| now.since(success) >= self.refresh_age)
    }

    fn backing_off(&self, now: Now) -> Option<Duration> {
        let rest = self.failing?.until.since(now.monotonic);
        (!rest.is_zero()).then_some(rest)
    }

    /// For how long the last set that was fetched counts as current.
    pub const fn max_age(&self) -> Duration {
        self.max_age
    }

    /// The age at which it is fetched ahead.
    pub const fn refresh_age(&self) -> Duration {
        self.refresh_age
    }

    /// When the last attempt that succeeded was sent.
    pub const fn last_success(&self) -> Option<Now> {
        self.last_success
    }

    /// When the last attempt was sent.
    pub const fn last_attempt(&self) -> Option<Now> {
        self.last_attempt
    }

    /// Why the last attempt failed; `None` if it succeeded.
    pub fn last_error(&self) -> Option<Unavailable> {
        self.failing.map(|failing| failing.why)
    }

    /// Until when nobody is asked after a failure.
    pub fn backing_off_until(&self) -> Option<Instant> {
        self.failing.map(|failing| failing.until)
    }

    /// Whether an attempt is under way.
    pub const fn is_airborne(&self) -> bool {
        self.airborne.is_some()
    }

    /// How many `kid`s are remembered as missing.
    pub fn missing_kids(&self) -> usize {
        self.missing.len()
    }
}

/// Fetch ahead at 80 % of the maximum age, or up to a tenth of it earlier: instances that started together drift apart.
fn refresh_age(max_age: Duration, random: u64) -> Duration {
    let tenth = max_age / 10;
    (tenth * 8).saturating_sub(fraction(tenth, random))
}

/// Doubling, less up to a quarter.
fn backoff(config: &RefreshConfig, count: u32, random: u64) -> Duration {
    let rest = doubled(config.backoff, count.saturating_sub(1)).min(config.backoff_max);
    rest.saturating_sub(fraction(rest / 4, random))
}

fn doubled(once: Duration, times: u32) -> Duration {
    once.saturating_mul(1_u32.checked_shl(times.min(31)).unwrap_or(u32::MAX))
}

/// A part of `whole` between nothing and all of it.
fn fraction(whole: Duration, random: u64) -> Duration {
    const STEPS: u32 = 1 << 16;
    let step = u32::try_from(random % u64::from(STEPS)).unwrap_or(0);
    (whole / STEPS).saturating_mul(step)
}

#[cfg(test)]
mod tests;
