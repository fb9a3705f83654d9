use proptest::prelude::*;
use verifier_core::time::Instant;

use super::*;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn at(wall: i64, monotonic: u64) -> Now {
    Now::new(WallTime::from_unix_seconds(wall), Instant::ORIGIN.plus(secs(monotonic)))
}

const USUAL: Retention = Retention {
    freshness: secs(60),
    stale_allowance: Duration::ZERO,
    without_expiry: secs(60),
    negative: secs(10),
};

#[test]
fn an_answer_is_kept_for_as_long_as_it_can_be_of_use() {
    let now = WallTime::from_unix_seconds(1_000);
    assert_eq!(USUAL.of_active(now, Some(5_000)), secs(60));
    assert_eq!(USUAL.of_active(now, Some(1_030)), secs(30));
    assert_eq!(USUAL.of_active(now, Some(1_000)), Duration::ZERO);
    assert_eq!(USUAL.of_active(now, Some(900)), Duration::ZERO);
    assert_eq!(USUAL.of_active(now, None), secs(60));
    let stale = Retention { stale_allowance: secs(600), ..USUAL };
    assert_eq!(stale.of_active(now, Some(5_000)), secs(600));
    assert_eq!(stale.of_active(now, None), secs(60), "I04: without exp the cap holds");
    let for_life = Retention { freshness: Duration::MAX, ..USUAL };
    assert_eq!(for_life.of_active(now, Some(5_000)), secs(4_000));
    assert_eq!(for_life.of_active(now, None), secs(60));
}

#[test]
fn exp_is_kept_to_also_when_the_clock_was_set_back() {
    // I05, R18: not kept at exp itself.
    assert!(is_kept(at(1_000, 50), at(1_029, 79), secs(60), Some(1_030)));
    assert!(!is_kept(at(1_000, 50), at(1_030, 80), secs(60), Some(1_030)));
    // The wall clock says 990, yet 40 s have passed since an answer that was good for 30 s.
    assert!(!is_kept(at(1_000, 50), at(990, 90), secs(30), Some(1_030)));
}

#[test]
fn a_machine_asleep_holds_no_fresh_answer() {
    assert!(is_fresh(at(1_000, 50), at(1_060, 110), secs(60)));
    assert!(!is_fresh(at(1_000, 50), at(1_061, 111), secs(60)));
    assert!(!is_fresh(at(1_000, 50), at(4_600, 51), secs(60)), "slept for an hour");
    assert!(!is_fresh(at(1_000, 50), at(900, 111), secs(60)), "set back");
    assert!(is_fresh(at(1_000, 50), at(1_000, 50), Duration::ZERO));
    assert!(!is_fresh(at(1_000, 50), at(1_000, 51), Duration::ZERO));
}

#[test]
fn refresh_ahead_begins_beyond_four_fifths() {
    assert!(!wants_refresh(at(0, 100), at(48, 148), secs(60)));
    assert!(wants_refresh(at(0, 100), at(49, 149), secs(60)));
    assert!(!wants_refresh(at(0, 100), at(1_000_000, 1_000_100), Duration::MAX));
    assert_eq!(USUAL.usable_for(secs(10), Some(1)), secs(10));
    assert_eq!(USUAL.usable_for(secs(600), Some(1)), secs(60));
    let for_life = Retention { freshness: Duration::MAX, ..USUAL };
    assert_eq!(for_life.usable_for(Duration::MAX, Some(1)), Duration::MAX);
    assert_eq!(for_life.usable_for(Duration::MAX, None), secs(60));
}

proptest! {
    #[test]
    fn retention_never_exceeds_its_bounds(
        freshness in 0_u64..10_000,
        stale in 0_u64..10_000,
        cap in 0_u64..10_000,
        as_of in 0_i64..20_000,
        exp in proptest::option::of(0_i64..20_000),
    ) {
        let retention = Retention {
            freshness: secs(freshness),
            stale_allowance: secs(stale),
            without_expiry: secs(cap),
            negative: secs(10),
        };
        let kept = retention.of_active(WallTime::from_unix_seconds(as_of), exp);
        prop_assert!(kept <= secs(freshness.max(stale)));
        match exp {
            Some(exp) => prop_assert!(kept <= secs(u64::try_from(exp - as_of).unwrap_or(0))),
            None => prop_assert!(kept <= secs(cap)),
        }
    }

    #[test]
    fn whatever_is_kept_is_young_and_alive_by_either_clock(
        as_of in 1_000_i64..2_000,
        wall in 0_i64..4_000,
        mono in 0_u64..3_000,
        exp in 0_i64..4_000,
        freshness in 0_u64..1_000,
    ) {
        let asked = at(as_of, 500);
        let now = at(wall, 500 + mono);
        let retention = Retention { freshness: secs(freshness), ..USUAL };
        let keep = retention.of_active(asked.wall, Some(exp));
        if is_kept(asked, now, keep, Some(exp)) {
            prop_assert!(wall < exp);
            prop_assert!(mono <= freshness, "by the monotonic clock");
            prop_assert!(mono == 0 || wall - as_of <= i64::try_from(freshness).unwrap(), "by the wall clock");
        }
        if is_fresh(asked, now, secs(freshness)) {
            prop_assert!(mono <= freshness);
        }
    }
}
