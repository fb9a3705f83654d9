use std::collections::HashMap;

use proptest::prelude::*;
use verifier_core::time::WallTime;

use super::*;
use crate::config::{DEFAULT_BACKOFF, DEFAULT_COOLDOWN};

const OVERDUE: Duration = Duration::from_secs(11);

fn at(millis: u64) -> Now {
    let since = Duration::from_millis(millis);
    Now::new(
        WallTime::from_unix_seconds(1_700_000_000).plus(since),
        Instant::from_nanos(1_000_000_000).plus(since),
    )
}

fn kid(n: u64) -> Wanted {
    Digest::of_parts(&[b"test", &n.to_be_bytes()])
}

fn down() -> Failure {
    Failure::Other(UnavailableReason::ConnectFailed.into())
}

/// Never due by age within these tests' time, so that only unknown `kid`s ask.
fn long_lived() -> RefreshConfig {
    let hours = Duration::from_secs(36_000);
    RefreshConfig { max_age: hours, max_age_ceiling: hours, ..RefreshConfig::default() }
}

fn state() -> RefreshState {
    RefreshState::new(long_lived(), OVERDUE)
}

/// Ends the attempt that `decision` reserved, at once.
fn succeed(state: &mut RefreshState, decision: Decision, now: Now, brought: &[Wanted]) {
    let Decision::Ask(attempt) = decision else { panic!("{decision:?}") };
    assert!(state.departed(attempt, now));
    assert!(state.succeeded(attempt, None, |kid| brought.contains(kid), 0));
}

fn fail(state: &mut RefreshState, decision: Decision, now: Now, failure: Failure) {
    let Decision::Ask(attempt) = decision else { panic!("{decision:?}") };
    assert!(state.departed(attempt, now));
    assert!(state.failed(attempt, failure, now, 0));
}

fn loaded(now: Now) -> RefreshState {
    let mut state = state();
    let decision = state.decide(Trigger::FirstUse(None), now);
    succeed(&mut state, decision, now, &[]);
    state
}

#[test]
fn first_use_asks_once_and_the_others_join() {
    let mut state = state();
    let Decision::Ask(attempt) = state.decide(Trigger::FirstUse(None), at(0)) else { panic!() };
    for trigger in [Trigger::FirstUse(None), Trigger::Age, Trigger::UnknownKid(kid(1))] {
        assert_eq!(state.decide(trigger, at(10)), Decision::Join);
    }
    assert!(state.departed(attempt, at(20)));
    assert!(state.succeeded(attempt, None, |_| false, 0));
    assert_eq!(state.last_success(), Some(at(20)), "as old as the departure");
}

#[test]
fn the_server_says_how_long_within_bounds() {
    let of = |said: Option<u64>| {
        let mut state = RefreshState::new(RefreshConfig::default(), OVERDUE);
        let Decision::Ask(attempt) = state.decide(Trigger::FirstUse(None), at(0)) else { panic!() };
        state.departed(attempt, at(0));
        state.succeeded(attempt, said.map(Duration::from_secs), |_| false, 0);
        state.max_age().as_secs()
    };
    assert_eq!(of(None), 600);
    assert_eq!(of(Some(120)), 120);
    assert_eq!(of(Some(0)), 60);
    assert_eq!(of(Some(315_360_000)), 3_600);
}

#[test]
fn a_set_is_fetched_ahead_at_80_percent_or_a_little_earlier() {
    for random in [0, 1, 12_345, 65_535, u64::MAX] {
        let age = refresh_age(Duration::from_secs(600), random);
        assert!((Duration::from_secs(420)..=Duration::from_secs(480)).contains(&age), "{age:?}");
    }
    let mut state = RefreshState::new(RefreshConfig::default(), OVERDUE);
    let decision = state.decide(Trigger::FirstUse(None), at(0));
    succeed(&mut state, decision, at(0), &[]);
    assert_eq!(state.decide(Trigger::Age, at(479_000)), Decision::Rest(Knowledge::Known));
    assert!(matches!(state.decide(Trigger::Age, at(480_000)), Decision::Ask(_)));
}

#[test]
fn a_machine_that_slept_finds_its_set_old() {
    let mut state = loaded(at(0));
    let awake = Now::new(at(36_000_000).wall, at(1_000).monotonic);
    assert!(matches!(state.decide(Trigger::Age, awake), Decision::Ask(_)));
}

#[test]
fn one_slot_a_cooldown_and_a_spare_one() {
    let mut state = loaded(at(0));
    // the load took one, the spare one is left
    let decision = state.decide(Trigger::UnknownKid(kid(1)), at(1_000));
    succeed(&mut state, decision, at(1_000), &[]);
    assert_eq!(state.decide(Trigger::UnknownKid(kid(2)), at(2_000)), Decision::Rest(Knowledge::Known));
    assert_eq!(state.decide(Trigger::UnknownKid(kid(2)), at(29_999)), Decision::Rest(Knowledge::Known));
    let decision = state.decide(Trigger::UnknownKid(kid(2)), at(30_000));
    succeed(&mut state, decision, at(30_000), &[]);
    assert_eq!(state.decide(Trigger::UnknownKid(kid(3)), at(59_999)), Decision::Rest(Knowledge::Known));
}

#[test]
fn a_kid_that_a_fetch_did_not_bring_rests_longer_and_longer() {
    let mut state = loaded(at(0));
    let mut now = 100_000;
    for rest in [30, 60, 120, 240, 300, 300] {
        let decision = state.decide(Trigger::UnknownKid(kid(1)), at(now));
        succeed(&mut state, decision, at(now), &[]);
        let end = now + rest * 1_000;
        assert_eq!(state.decide(Trigger::UnknownKid(kid(1)), at(end - 1)), Decision::Rest(Knowledge::Known));
        now = end;
    }
    // once it was brought, it starts anew
    let decision = state.decide(Trigger::UnknownKid(kid(1)), at(now));
    succeed(&mut state, decision, at(now), &[kid(1)]);
    assert_eq!(state.missing_kids(), 0);
}

#[test]
fn one_dead_kid_leaves_a_slot_to_the_others() {
    for other in (0..3_600_u64).step_by(7) {
        let mut state = loaded(at(0));
        for second in 100..100 + other {
            let now = at(second * 1_000);
            if let decision @ Decision::Ask(_) = state.decide(Trigger::UnknownKid(kid(0)), now) {
                succeed(&mut state, decision, now, &[]);
            }
        }
        let now = at((100 + other) * 1_000);
        assert!(matches!(state.decide(Trigger::UnknownKid(kid(1)), now), Decision::Ask(_)), "{other}");
    }
}

#[test]
fn who_asks_after_the_departure_may_ask_again() {
    let mut state = loaded(at(0));
    let Decision::Ask(attempt) = state.decide(Trigger::UnknownKid(kid(1)), at(100_000)) else { panic!() };
    assert_eq!(state.decide(Trigger::UnknownKid(kid(2)), at(100_010)), Decision::Join);
    state.departed(attempt, at(100_020));
    assert_eq!(state.decide(Trigger::UnknownKid(kid(3)), at(100_030)), Decision::Join);
    state.succeeded(attempt, None, |_| false, 0);
    for early in [1, 2] {
        assert_eq!(
            state.decide(Trigger::UnknownKid(kid(early)), at(100_050)),
            Decision::Rest(Knowledge::Known)
        );
    }
    assert!(matches!(state.decide(Trigger::UnknownKid(kid(3)), at(100_050)), Decision::Ask(_)));
}

#[test]
fn after_a_failure_nothing_is_unknown_for_sure() {
    let mut state = loaded(at(0));
    let decision = state.decide(Trigger::UnknownKid(kid(1)), at(100_000));
    succeed(&mut state, decision, at(100_000), &[]);
    assert_eq!(state.decide(Trigger::UnknownKid(kid(1)), at(100_500)), Decision::Rest(Knowledge::Known));
    let decision = state.decide(Trigger::UnknownKid(kid(2)), at(101_000));
    fail(&mut state, decision, at(101_000), down());
    for n in [1, 2, 3] {
        let decision = state.decide(Trigger::UnknownKid(kid(n)), at(101_100));
        assert!(matches!(decision, Decision::Rest(Knowledge::Unconfirmed { .. })), "{n} {decision:?}");
    }
    // the backoff is over, and there is no slot: still not for sure
    let decision = state.decide(Trigger::UnknownKid(kid(1)), at(110_000));
    assert!(matches!(decision, Decision::Rest(Knowledge::Unconfirmed { .. })), "{decision:?}");
}

#[test]
fn failures_back_off_and_an_empty_set_only_to_the_cooldown() {
    for (failure, most) in [(down(), Duration::from_secs(300)), (Failure::EmptySet, DEFAULT_COOLDOWN)] {
        let mut state = state();
        let mut now = 0;
        let mut expected = DEFAULT_BACKOFF;
        for _ in 0..12 {
            let decision = state.decide(Trigger::FirstUse(None), at(now));
            fail(&mut state, decision, at(now), failure);
            let Decision::Rest(Knowledge::Unconfirmed { retry_in }) =
                state.decide(Trigger::FirstUse(None), at(now))
            else {
                panic!()
            };
            assert_eq!(retry_in, expected.min(most));
            now += u64::try_from(retry_in.as_millis()).unwrap();
            expected *= 2;
        }
    }
}

#[test]
fn the_server_may_ask_for_a_longer_rest() {
    let mut state = state();
    let decision = state.decide(Trigger::FirstUse(None), at(0));
    let why = Unavailable::new(UnavailableReason::RateLimited).retry_in(Duration::from_secs(77));
    fail(&mut state, decision, at(0), Failure::Other(why));
    let decision = state.decide(Trigger::FirstUse(None), at(0));
    assert_eq!(decision, Decision::Rest(Knowledge::Unconfirmed { retry_in: Duration::from_secs(77) }));
}

#[test]
fn no_server_may_ask_for_a_rest_without_end() {
    let mut state = state();
    let decision = state.decide(Trigger::FirstUse(None), at(0));
    let why = Unavailable::new(UnavailableReason::RateLimited).retry_in(Duration::MAX);
    fail(&mut state, decision, at(0), Failure::Other(why));
    let retry_in = RefreshConfig::default().backoff_max;
    let decision = state.decide(Trigger::FirstUse(None), at(0));
    assert_eq!(decision, Decision::Rest(Knowledge::Unconfirmed { retry_in }));
}

#[test]
fn a_lost_attempt_teaches_nothing_and_the_second_one_is_a_failure() {
    let mut state = loaded(at(0));
    let Decision::Ask(first) = state.decide(Trigger::FirstUse(None), at(1_000)) else { panic!() };
    state.departed(first, at(1_000));
    assert!(state.lost(first, at(1_100), 0));
    assert_eq!(state.last_attempt(), Some(at(0)));
    assert_eq!(state.last_error(), None);
    let Decision::Ask(second) = state.decide(Trigger::FirstUse(None), at(1_200)) else { panic!() };
    assert!(state.lost(second, at(1_300), 0));
    assert_eq!(state.last_error().map(Unavailable::reason), Some(UnavailableReason::Crashed));
    assert!(matches!(state.decide(Trigger::FirstUse(None), at(1_300)), Decision::Rest(_)));
}

#[test]
fn an_overdue_attempt_is_given_up_and_its_late_end_is_ignored() {
    let mut state = loaded(at(0));
    let Decision::Ask(old) = state.decide(Trigger::FirstUse(None), at(1_000)) else { panic!() };
    state.departed(old, at(1_000));
    assert_eq!(state.decide(Trigger::FirstUse(None), at(11_999)), Decision::Join);
    let Decision::Ask(new) = state.decide(Trigger::FirstUse(None), at(12_000)) else { panic!() };
    assert!(!state.succeeded(old, None, |_| true, 0));
    assert!(!state.failed(old, down(), at(12_100), 0));
    assert!(!state.lost(old, at(12_100), 0));
    assert!(!state.departed(old, at(12_100)));
    assert!(state.departed(new, at(12_100)));
    assert!(state.succeeded(new, None, |_| true, 0));
}

#[test]
fn missing_kids_are_bounded() {
    let config = RefreshConfig { missing_kids: 5, ..long_lived() };
    let mut state = RefreshState::new(config, OVERDUE);
    let decision = state.decide(Trigger::FirstUse(None), at(0));
    succeed(&mut state, decision, at(0), &[]);
    for n in 0..50 {
        let now = at(100_000 + n * 30_000);
        let decision = state.decide(Trigger::UnknownKid(kid(n)), now);
        succeed(&mut state, decision, now, &[]);
        assert!(state.missing_kids() <= 5);
    }
}

#[test]
fn without_a_runtime_there_is_a_rest_too() {
    let mut state = state();
    let Decision::Ask(attempt) = state.decide(Trigger::FirstUse(None), at(0)) else { panic!() };
    state.lost(attempt, at(0), 0);
    state.unsent(UnavailableReason::NoRuntime.into(), at(0), 0);
    assert_eq!(state.last_error().map(Unavailable::reason), Some(UnavailableReason::NoRuntime));
    assert!(matches!(state.decide(Trigger::FirstUse(None), at(10)), Decision::Rest(_)));
}

/// What happens next in a history.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Arrive(u64),
    /// The attempt under way ends: well, or not.
    End(bool),
    Lose,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1_u64..20_000).prop_map(Step::Wait),
        // few kids, so that they come again, and many
        6 => prop_oneof![0_u64..4, 0_u64..1_000_000].prop_map(Step::Arrive),
        4 => prop::bool::weighted(0.8).prop_map(Step::End),
        1 => Just(Step::Lose),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever the flood, however fetches end: in any time of n cooldowns at most n + 1 fetches, never two at once;
    /// and a kid is known to be missing only from the last attempt, which succeeded, within the kid's rest.
    #[test]
    fn floods_and_verdicts_stay_bounded(steps in steps()) {
        let mut state = loaded(at(0));
        let mut now = 100_000;
        let mut asked_at: Vec<u64> = Vec::new();
        let mut airborne: Option<(u64, u64)> = None;
        let mut last_end_failed = false;
        let mut last_success = 0;
        let mut misses: HashMap<u64, u32> = HashMap::new();
        let mut asked: Vec<u64> = Vec::new();

        for step in steps {
            match step {
                Step::Wait(millis) => {
                    // within the time after which an attempt is given up
                    if let Some((_, since)) = airborne && now + millis >= since + 10_900 {
                        continue;
                    }
                    now += millis;
                }
                Step::Arrive(n) => match state.decide(Trigger::UnknownKid(kid(n)), at(now)) {
                    Decision::Ask(attempt) => {
                        prop_assert!(airborne.is_none());
                        prop_assert!(state.departed(attempt, at(now)));
                        airborne = Some((attempt, now));
                        asked_at.push(now);
                        asked = vec![n];
                    }
                    Decision::Join => prop_assert!(airborne.is_some()),
                    Decision::Rest(Knowledge::Known) => {
                        prop_assert!(airborne.is_none() && !last_end_failed);
                        let doubling = misses.get(&n).map_or(0, |misses| misses - 1).min(10);
                        let rest = (30_000 << doubling).min(300_000);
                        prop_assert!(now - last_success <= rest, "{} {}", now - last_success, rest);
                    }
                    Decision::Rest(Knowledge::Unconfirmed { .. }) => prop_assert!(airborne.is_none()),
                },
                Step::End(well) => if let Some((attempt, departed)) = airborne.take() {
                    if well {
                        prop_assert!(state.succeeded(attempt, None, |_| false, now));
                        last_success = departed;
                        for n in asked.drain(..) {
                            *misses.entry(n).or_default() += 1;
                        }
                    } else {
                        prop_assert!(state.failed(attempt, down(), at(now), now));
                    }
                    last_end_failed = !well;
                },
                Step::Lose => if let Some((attempt, _)) = airborne.take() {
                    let before = state.last_error();
                    prop_assert!(state.lost(attempt, at(now), now));
                    last_end_failed |= state.last_error() != before;
                },
            }
        }
        for (i, first) in asked_at.iter().enumerate() {
            for (more, last) in asked_at.iter().skip(i).enumerate() {
                let cooldowns = usize::try_from((last - first) / 30_000).unwrap();
                prop_assert!(more < cooldowns + 2, "{more} more fetches in {} ms", last - first);
            }
        }
    }

    /// A rotation is picked up at once when it was quiet, whatever happened before.
    #[test]
    fn a_quiet_rotation_is_picked_up_at_once(steps in steps()) {
        let mut state = loaded(at(0));
        let mut now = 100_000;
        for step in steps {
            match step {
                Step::Wait(millis) => now += millis,
                Step::Arrive(n) => if let decision @ Decision::Ask(_) =
                    state.decide(Trigger::UnknownKid(kid(n)), at(now))
                {
                    succeed(&mut state, decision, at(now), &[]);
                },
                Step::End(_) | Step::Lose => {}
            }
        }
        now += 30_000;
        let rotated = state.decide(Trigger::UnknownKid(kid(u64::MAX)), at(now));
        prop_assert!(matches!(rotated, Decision::Ask(_)));
    }

    /// Under a flood a rotation is picked up within one cooldown, whoever's token makes the fetch: at the first arrival
    /// after it.
    #[test]
    fn a_rotation_under_flood_is_picked_up_within_a_cooldown(
        every in 50_u64..2_000,
        rotated_after in 0_u64..200_000,
        seed in any::<u64>(),
    ) {
        let mut state = loaded(at(0));
        let rotation = 100_000 + rotated_after;
        let new = kid(u64::MAX);
        let mut held = false;
        let mut now = 100_000;
        let mut n = 0;
        while now <= rotation + 30_000 + 2 * every && !held {
            n += 1;
            let published = now >= rotation;
            let rotated_token = published && (seed.wrapping_mul(n)) % 3 == 0;
            let wanted = if rotated_token { new } else { kid(n) };
            if let decision @ Decision::Ask(_) = state.decide(Trigger::UnknownKid(wanted), at(now)) {
                held = published;
                let brought = [new];
                succeed(&mut state, decision, at(now), if published { &brought } else { &[] });
            }
            now += every;
        }
        prop_assert!(held);
    }

    /// After n failures in a row nobody asks for at least three quarters of the doubled rest.
    #[test]
    fn backoff_is_never_cut_short(count in 1_u32..40, random in any::<u64>()) {
        let config = RefreshConfig::default();
        let whole = Duration::from_secs(1_u64 << (count - 1).min(20)).min(config.backoff_max);
        let rest = backoff(&config, count, random);
        prop_assert!(rest <= whole && rest >= whole * 3 / 4, "{rest:?} of {whole:?}");
    }
}
