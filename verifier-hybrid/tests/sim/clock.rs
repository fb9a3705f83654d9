//! Both clocks of a service's machine, and the time that nobody on it can see.

use std::sync::Mutex;
use std::time::Duration;

use verifier_core::time::{Clock, Instant, Now, WallTime};

/// When a history begins, in seconds since the epoch.
pub const START: i64 = 1_800_000_000;

#[derive(Debug)]
pub struct SimClock(Mutex<Times>);

#[derive(Debug)]
struct Times {
    wall_micros: i64,
    monotonic: u64,
    /// How long the machine has slept, in nanoseconds, and by which monotonic reading.
    slept: u64,
    sleeps: Vec<(u64, u64)>,
}

impl SimClock {
    pub fn new() -> Self {
        let monotonic = 1_000_000_000_000;
        Self(Mutex::new(Times { wall_micros: START * 1_000_000, monotonic, slept: 0, sleeps: Vec::new() }))
    }

    pub fn advance(&self, d: Duration) {
        let mut times = self.0.lock().unwrap();
        times.wall_micros += d.as_micros() as i64;
        times.monotonic += d.as_nanos() as u64;
    }

    /// Somebody sets the wall clock.
    pub fn step_wall(&self, micros: i64) {
        self.0.lock().unwrap().wall_micros += micros;
    }

    /// The machine sleeps: its monotonic clock stands still.
    pub fn sleep(&self, d: Duration) {
        let mut times = self.0.lock().unwrap();
        times.wall_micros += d.as_micros() as i64;
        times.slept += d.as_nanos() as u64;
        let (at, total) = (times.monotonic, times.slept);
        times.sleeps.push((at, total));
    }

    /// True nanoseconds: what an observer outside would measure. Moves the clock by a tick, so that no two events are
    /// simultaneous.
    pub fn tick(&self) -> u64 {
        let mut times = self.0.lock().unwrap();
        times.monotonic += 1;
        times.monotonic + times.slept
    }

    /// The true time of a monotonic reading.
    pub fn true_time_of(&self, reading: Instant) -> u64 {
        let times = self.0.lock().unwrap();
        let slept =
            times.sleeps.iter().rev().find(|(at, _)| *at < reading.nanos()).map_or(0, |(_, total)| *total);
        reading.nanos() + slept
    }

    /// The true time in seconds since the epoch: the authorization server's clock is right.
    pub fn true_seconds(&self) -> i64 {
        let times = self.0.lock().unwrap();
        START + ((times.monotonic + times.slept - 1_000_000_000_000) / 1_000_000_000) as i64
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        let mut times = self.0.lock().unwrap();
        times.monotonic += 1;
        Now::new(WallTime::from_unix_micros(times.wall_micros), Instant::from_nanos(times.monotonic))
    }
}
