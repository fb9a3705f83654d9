//! Clocks that run with the system's, at another place on the wall.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use verifier::core::time::{Clock, Now, SystemClock, WallTime};

/// Judges at another instant: the wall clock starts there, and both clocks go on from now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShiftedClock {
    start: Now,
    wall: WallTime,
}

impl ShiftedClock {
    pub(crate) fn starting_at(wall: WallTime) -> Self {
        Self { start: SystemClock.now(), wall }
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Now {
        let now = SystemClock.now();
        Now::new(self.wall.plus(now.monotonic.since(self.start.monotonic)), now.monotonic)
    }
}

/// The system's clocks, and a lever that moves both forward: seconds pass as they do, hours pass at once. Clones are
/// the same clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeapingClock {
    leapt_nanos: Arc<AtomicU64>,
}

impl LeapingClock {
    pub(crate) fn leap(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.leapt_nanos.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for LeapingClock {
    fn now(&self) -> Now {
        SystemClock.now().plus(Duration::from_nanos(self.leapt_nanos.load(Ordering::SeqCst)))
    }
}

/// An instant on the command line: RFC 3339, or seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Instant(pub(crate) WallTime);

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse::<i64>() {
            return Ok(Self(WallTime::from_unix_seconds(seconds)));
        }
        text.parse::<jiff::Timestamp>()
            .map(|at| Self(WallTime::from_unix_micros(at.as_microsecond())))
            .map_err(|_| "expected RFC 3339 (2026-01-31T12:00:00Z) or seconds since 1970".to_owned())
    }
}

/// RFC 3339, or the bare number if it is no time that can be written so.
pub(crate) fn rfc3339(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds).map_or_else(|_| unix_seconds.to_string(), |at| at.to_string())
}

/// A duration for people, to two units: `2h 5m`.
pub(crate) fn spoken(d: Duration) -> String {
    let whole = match d.as_secs() {
        0 => return format!("{} ms", d.as_millis()),
        // A tenth tells nothing of minutes and more.
        1..=9 => return format!("{:.1} s", d.as_secs_f64()),
        seconds => Duration::from_secs(seconds),
    };
    humantime::format_duration(whole).to_string().split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_both_forms() {
        let at = |text: &str| text.parse::<Instant>().map(|at| at.0.unix_seconds());
        assert_eq!(at("1767225600"), Ok(1_767_225_600));
        assert_eq!(at("-1"), Ok(-1));
        assert_eq!(at("2026-01-01T00:00:00Z"), Ok(1_767_225_600));
        assert_eq!(at("2026-01-01T01:00:00+01:00"), Ok(1_767_225_600));
        for wrong in ["", "tomorrow", "2026-01-01", "2026-01-01T00:00:00", "1e9"] {
            assert!(at(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times_are_written_so_that_people_can_read_them() {
        assert_eq!(rfc3339(1_767_225_600), "2026-01-01T00:00:00Z");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
        assert_eq!(spoken(Duration::from_millis(12)), "12 ms");
        assert_eq!(spoken(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(spoken(Duration::from_secs(7_384)), "2h 3m");
    }

    #[test]
    fn a_shifted_clock_goes_on_from_its_instant() {
        let clock = ShiftedClock::starting_at(WallTime::from_unix_seconds(1_000));
        let (one, two) = (clock.now(), clock.now());
        assert_eq!(one.wall.unix_seconds() / 100, 10);
        assert!(two.wall >= one.wall && two.monotonic >= one.monotonic);
    }

    #[test]
    fn a_leap_moves_both_clocks_of_all_clones() {
        let clock = LeapingClock::default();
        let before = clock.now();
        clock.clone().leap(Duration::from_secs(3_600));
        let passed = clock.now().since(before);
        assert!(passed >= Duration::from_secs(3_600) && passed < Duration::from_secs(3_700), "{passed:?}");
    }
}
