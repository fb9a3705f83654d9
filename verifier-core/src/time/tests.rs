use proptest::prelude::*;

use super::*;

fn now(wall_seconds: i64, nanos: u64) -> Now {
    Now::new(WallTime::from_unix_seconds(wall_seconds), Instant::from_nanos(nanos))
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn an_age_is_the_greater_of_both_clocks() {
    let asked = now(1_000, 10 * SECOND);
    assert_eq!(now(1_005, 15 * SECOND).since(asked), Duration::from_secs(5));
    // The machine slept: its monotonic clock stood almost still.
    assert_eq!(now(4_600, 11 * SECOND).since(asked), Duration::from_secs(3_600));
    // The wall clock was set back.
    assert_eq!(now(500, 15 * SECOND).since(asked), Duration::from_secs(5));
    // Not earlier by the monotonic clock: no age, whatever the wall clock says.
    assert_eq!(now(9_999, 10 * SECOND).since(asked), Duration::ZERO);
    assert_eq!(now(9_999, 9 * SECOND).since(asked), Duration::ZERO);
}

#[test]
fn knowledge_from_before_this_process_keeps_its_age() {
    // Of a process that has just started, with knowledge an hour old from another one; then the wall clock is set back.
    let start = SystemClock.now();
    let asked = start.minus(Duration::from_secs(3_600));
    let later =
        Now::new(start.wall.minus(Duration::from_secs(7_200)), start.monotonic.plus(Duration::from_secs(1)));
    assert!(later.since(asked) >= Duration::from_secs(3_600), "{:?}", later.since(asked));
}

#[test]
fn the_system_clock_moves_on() {
    let first = SystemClock.now();
    let second = SystemClock.now();
    assert!(second.monotonic >= first.monotonic);
    assert!(first.wall > WallTime::from_unix_seconds(1_600_000_000));
}

#[test]
fn seconds_are_rounded_down_and_ends_saturate() {
    assert_eq!(WallTime::from_unix_micros(-1).unix_seconds(), -1);
    assert_eq!(WallTime::from_unix_micros(1_999_999).unix_seconds(), 1);
    assert_eq!(WallTime::from_unix_seconds(i64::MAX).unix_micros(), i64::MAX);
    assert_eq!(WallTime::from_unix_seconds(i64::MIN).unix_micros(), i64::MIN);
    assert_eq!(WallTime::from_unix_micros(i64::MAX).plus(Duration::MAX).unix_micros(), i64::MAX);
    assert_eq!(WallTime::from_unix_micros(i64::MIN).minus(Duration::MAX).unix_micros(), i64::MIN);
    assert_eq!(Instant::ORIGIN.minus(Duration::MAX), Instant::ORIGIN);
    assert_eq!(Instant::from_nanos(u64::MAX).plus(Duration::MAX).nanos(), u64::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arithmetic_never_panics_and_never_goes_the_wrong_way(
        micros in any::<i64>(), other in any::<i64>(), a in any::<u64>(), b in any::<u64>(), d in any::<Duration>(),
    ) {
        let (x, y) = (WallTime::from_unix_micros(micros), WallTime::from_unix_micros(other));
        prop_assert!(x.plus(d) >= x && x.minus(d) <= x);
        prop_assert_eq!(x.since(y).is_zero(), x <= y);
        let (i, j) = (Instant::from_nanos(a), Instant::from_nanos(b));
        prop_assert!(i.plus(d) >= i && i.minus(d) <= i);
        prop_assert_eq!(i.since(j).is_zero(), i <= j);
        let _ = format!("{x:?} {i:?}");
    }

    /// No step of the wall clock makes knowledge younger than the monotonic clock says.
    #[test]
    fn no_clock_step_makes_knowledge_younger(
        asked in 0_u64..1 << 60, passed in 0_u64..1 << 60, wall in any::<i64>(), later in any::<i64>(),
    ) {
        let asked = Now::new(WallTime::from_unix_micros(wall), Instant::from_nanos(asked));
        let then = Now::new(WallTime::from_unix_micros(later), asked.monotonic.plus(Duration::from_nanos(passed)));
        prop_assert!(then.since(asked) >= Duration::from_nanos(passed));
    }
}
