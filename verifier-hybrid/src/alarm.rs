//! What an operator should hear of, at most once a minute however often it happens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use verifier_core::time::Instant;

/// How long a mismatch stays in the health view after it was seen last.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// The least time between two log lines of one kind.
#[cfg(feature = "tracing")]
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Something that happened, and when it did last.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    /// Nanoseconds of the latest time, plus one; zero: never.
    last: AtomicU64,
    #[cfg(feature = "tracing")]
    logged: AtomicU64,
}

impl Alarm {
    /// Notes that it happened; says whether a log line is due.
    pub(crate) fn ring(&self, now: Instant) -> bool {
        self.last.fetch_max(now.nanos().saturating_add(1), Ordering::Relaxed);
        self.is_line_due(now)
    }

    #[cfg(feature = "tracing")]
    fn is_line_due(&self, now: Instant) -> bool {
        let logged = self.logged.load(Ordering::Relaxed);
        let due = logged == 0 || now.since(Instant::from_nanos(logged.saturating_sub(1))) >= LOG_INTERVAL;
        let next = now.nanos().saturating_add(1);
        due && self.logged.compare_exchange(logged, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    #[cfg(not(feature = "tracing"))]
    #[allow(clippy::unused_self)]
    const fn is_line_due(&self, _: Instant) -> bool {
        false
    }

    /// Whether it happened of late.
    pub(crate) fn is_ringing(&self, now: Instant) -> bool {
        match self.last.load(Ordering::Relaxed) {
            0 => false,
            last => now.since(Instant::from_nanos(last.saturating_sub(1))) < REMEMBERED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_remembered_for_an_hour() {
        let alarm = Alarm::default();
        let start = Instant::from_nanos(5_000_000_000);
        assert!(!alarm.is_ringing(start));
        alarm.ring(start);
        assert!(alarm.is_ringing(start));
        assert!(alarm.is_ringing(start.plus(REMEMBERED - Duration::from_nanos(1))));
        assert!(!alarm.is_ringing(start.plus(REMEMBERED)));
    }

    #[cfg(feature = "tracing")]
    #[test]
    fn a_flood_makes_one_line_a_minute() {
        let alarm = Alarm::default();
        let start = Instant::from_nanos(5_000_000_000);
        let lines = (0..600_u32).filter(|n| alarm.ring(start.plus(Duration::from_secs(1) * *n))).count();
        assert_eq!(lines, 10);
    }
}
