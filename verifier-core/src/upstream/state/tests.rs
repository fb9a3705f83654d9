use proptest::prelude::*;

use super::super::RetryCause;
use super::*;
use crate::time::WallTime;
use crate::transport::TransportError;

use UnavailableReason as R;

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);

fn at(after: Duration) -> Now {
    Now::new(WallTime::EPOCH, Instant::ORIGIN).plus(after)
}

fn mono(after: Duration) -> Instant {
    at(after).monotonic
}

fn failed(reason: R) -> Outcome {
    Outcome::Failed(reason.into())
}

fn admitted(entry: Entry) -> Admission {
    match entry {
        Entry::Admitted(admission) => admission,
        other => panic!("{other:?}"),
    }
}

fn refused(entry: Entry) -> Unavailable {
    match entry {
        Entry::Refused(unavailable) => unavailable,
        other => panic!("{other:?}"),
    }
}

fn waiting(entry: Entry) -> u64 {
    match entry {
        Entry::Waiting(waiter) => waiter,
        other => panic!("{other:?}"),
    }
}

/// One call at `when` that ends with `outcome` at once.
fn call(state: &mut UpstreamState, when: Duration, outcome: Outcome) {
    let admission = admitted(state.enter(Priority::Known, mono(when)));
    state.report(admission, outcome, at(when), u64::MAX);
}

/// Opened at `when`, by the configured number of failures, for the whole of `breaker_open`, less rounding.
fn opened(when: Duration) -> UpstreamState {
    let mut state = UpstreamState::new(UpstreamConfig::default());
    for _ in 0..5 {
        call(&mut state, when, failed(R::TimedOut));
    }
    state
}

#[test]
fn the_breaker_opens_at_the_fifth_consecutive_failure_and_closes_by_one_probe() {
    let mut state = UpstreamState::new(UpstreamConfig::default());
    for _ in 0..4 {
        call(&mut state, SEC, failed(R::ServerError));
    }
    call(&mut state, SEC, Outcome::Answered);
    for _ in 0..4 {
        call(&mut state, SEC, failed(R::ConnectFailed));
    }
    assert_eq!(state.health(mono(SEC)).breaker, BreakerHealth::Closed);
    call(&mut state, SEC, failed(R::UnreadableAnswer));

    let unavailable = refused(state.enter(Priority::Known, mono(SEC + 400 * MS)));
    assert_eq!(unavailable.reason(), R::BreakerOpen);
    let rest = unavailable.retry_after().unwrap();
    assert!(rest > 599 * MS && rest <= 600 * MS, "{rest:?}");

    let probe = admitted(state.enter(Priority::Unknown, mono(2 * SEC)));
    assert_eq!(state.health(mono(2 * SEC)).breaker, BreakerHealth::HalfOpen);
    assert_eq!(refused(state.enter(Priority::Known, mono(2 * SEC))).reason(), R::BreakerOpen);
    state.report(probe, Outcome::Answered, at(2 * SEC), 0);
    let health = state.health(mono(2 * SEC));
    assert_eq!((health.breaker, health.consecutive_failures), (BreakerHealth::Closed, 0));
    assert_eq!(health.last_success, Some(at(2 * SEC)));
    assert_eq!(health.last_failure, Some((at(SEC), R::UnreadableAnswer.into())));
}

#[test]
fn the_time_open_doubles_with_each_failed_probe_up_to_its_end() {
    let mut state = opened(SEC);
    let mut when = SEC;
    for expected in [1, 2, 4, 8, 16, 30, 30] {
        let BreakerHealth::Open { until } = state.health(mono(when)).breaker else { panic!("closed") };
        let open = until.since(mono(when));
        assert!(open <= expected * SEC && open + MS > expected * SEC, "{open:?} for {expected} s");
        when = Duration::from_nanos(until.nanos());
        call(&mut state, when, failed(R::TimedOut));
    }
    let BreakerHealth::Open { until } = state.health(mono(when)).breaker else { panic!("closed") };
    when = Duration::from_nanos(until.nanos());
    call(&mut state, when, Outcome::Answered);
    assert!(state.is_closed());
    for _ in 0..5 {
        call(&mut state, when, failed(R::TimedOut));
    }
    let BreakerHealth::Open { until } = state.health(mono(when)).breaker else { panic!("closed") };
    assert!(until <= mono(when + SEC), "an answer ends the doubling");
}

#[test]
fn a_probe_without_an_answer_makes_room_for_another() {
    let mut state = opened(SEC);
    let probe = admitted(state.enter(Priority::Known, mono(2 * SEC)));
    state.release(probe, mono(2 * SEC));
    let probe = admitted(state.enter(Priority::Known, mono(2 * SEC)));
    state.report(probe, failed(R::Crashed), at(2 * SEC), 0);
    let probe = admitted(state.enter(Priority::Known, mono(2 * SEC)));
    assert_eq!(refused(state.enter(Priority::Known, mono(31 * SEC))).reason(), R::BreakerOpen);
    // One that never comes back doesn't close the door for good, and has no say when it does.
    let second = admitted(state.enter(Priority::Known, mono(32 * SEC)));
    state.report(probe, Outcome::Answered, at(32 * SEC), 0);
    assert!(!state.is_closed());
    state.report(second, Outcome::Answered, at(32 * SEC), 0);
    assert!(state.is_closed());
}

#[test]
fn calls_from_before_the_breaker_moved_do_not_move_it() {
    let mut state = UpstreamState::new(UpstreamConfig::default());
    let mut early: Vec<_> = (0..20).map(|_| admitted(state.enter(Priority::Known, mono(SEC)))).collect();
    for _ in 0..5 {
        state.report(early.pop().unwrap(), failed(R::TimedOut), at(SEC), u64::MAX);
    }
    state.report(early.pop().unwrap(), Outcome::Answered, at(SEC), 0);
    assert!(!state.is_closed());
    let probe = admitted(state.enter(Priority::Known, mono(2 * SEC)));
    state.report(early.pop().unwrap(), failed(R::TimedOut), at(2 * SEC), u64::MAX);
    state.release(early.pop().unwrap(), mono(2 * SEC));
    assert_eq!(
        refused(state.enter(Priority::Known, mono(2 * SEC))).reason(),
        R::BreakerOpen,
        "one probe at a time"
    );
    state.report(probe, Outcome::Answered, at(2 * SEC), 0);
    for admission in early {
        state.report(admission, failed(R::TimedOut), at(2 * SEC), u64::MAX);
    }
    assert!(state.is_closed());
}

#[test]
fn answers_that_refuse_one_token_are_answers() {
    for reason in [
        R::RefusedByServer,
        R::CredentialsRefused,
        R::Redirected,
        R::AnswerNotSigned,
        R::AnswerEncrypted,
        R::AnswerNotTrusted,
    ] {
        let mut state = UpstreamState::new(UpstreamConfig::default());
        for _ in 0..1_000 {
            call(&mut state, SEC, failed(reason));
        }
        for _ in 0..4 {
            call(&mut state, SEC, failed(R::TimedOut));
        }
        call(&mut state, SEC, failed(reason));
        assert_eq!(state.health(mono(SEC)).consecutive_failures, 0, "{reason}");
        assert!(state.is_closed());
    }
}

#[test]
fn what_never_reached_the_server_says_nothing_of_it() {
    for reason in [R::Shed, R::DeadlineExceeded, R::NoRuntime, R::Crashed, R::BreakerOpen, R::Misconfigured] {
        let mut state = UpstreamState::new(UpstreamConfig::default());
        for _ in 0..3 {
            call(&mut state, SEC, failed(R::TimedOut));
        }
        let before = state.health(mono(SEC));
        call(&mut state, 2 * SEC, failed(reason));
        assert_eq!(state.health(mono(SEC)), before, "{reason}");
    }
}

#[test]
fn a_retry_after_closes_the_door_for_that_long_and_five_minutes_at_most() {
    for (said, held, reason, told) in [
        (10, 10, R::RateLimited, R::RateLimited),
        (10, 10, R::ServerError, R::BreakerOpen),
        (86_400, 300, R::RateLimited, R::RateLimited),
    ] {
        let mut state = UpstreamState::new(UpstreamConfig::default());
        let early = admitted(state.enter(Priority::Known, mono(SEC)));
        call(&mut state, SEC, Outcome::Failed(Unavailable::new(reason).retry_in(said * SEC)));
        let unavailable = refused(state.enter(Priority::Known, mono(SEC)));
        assert_eq!((unavailable.reason(), unavailable.retry_after()), (told, Some(held * SEC)));
        // A shorter word that comes later doesn't open it.
        let shorter = Unavailable::new(R::RateLimited).retry_in(SEC);
        state.report(early, Outcome::Failed(shorter), at(SEC), 0);
        refused(state.enter(Priority::Known, mono((held + 1) * SEC - MS)));
        let probe = admitted(state.enter(Priority::Known, mono((held + 1) * SEC)));
        state.report(probe, Outcome::Answered, at((held + 1) * SEC), 0);
        assert!(state.is_closed());
    }
}

#[test]
fn only_a_429_or_503_closes_the_door_and_zero_does_not() {
    for unavailable in [
        Unavailable::new(R::RateLimited).retry_in(Duration::ZERO),
        Unavailable::new(R::RateLimited),
        Unavailable::new(R::TimedOut).retry_in(SEC),
        Unavailable::new(R::Shed).retry_in(SEC),
    ] {
        let mut state = UpstreamState::new(UpstreamConfig::default());
        call(&mut state, SEC, Outcome::Failed(unavailable));
        assert!(state.is_closed(), "{unavailable}");
    }
}

#[test]
fn unknown_tokens_leave_a_quarter_of_slots_and_places() {
    let mut state = UpstreamState::new(UpstreamConfig { max_waiting: 8, ..UpstreamConfig::default() });
    let now = mono(SEC);
    let junk: Vec<_> = (0..48).map(|_| admitted(state.enter(Priority::Unknown, now))).collect();
    for _ in 0..6 {
        waiting(state.enter(Priority::Unknown, now));
    }
    let shed = refused(state.enter(Priority::Unknown, now));
    assert_eq!((shed.reason(), shed.retry_after()), (R::Shed, Some(SHED_RETRY_AFTER)));

    let good: Vec<_> = (0..16).map(|_| admitted(state.enter(Priority::Known, now))).collect();
    let first = waiting(state.enter(Priority::Known, now));
    let second = waiting(state.enter(Priority::Known, now));
    assert_eq!(refused(state.enter(Priority::Known, now)).reason(), R::Shed);
    assert!(state.settle(now).is_empty());
    for admission in junk.into_iter().take(2) {
        state.release(admission, now);
    }
    let settled: Vec<_> = state.settle(now).into_iter().map(|settled| settled.waiter).collect();
    assert_eq!(settled, [first, second], "known tokens first, in their order");
    assert_eq!(state.health(now).in_flight, 64);
    drop(good);
}

#[test]
fn an_opening_breaker_sends_those_who_wait_away() {
    let config = UpstreamConfig { breaker_failures: 1, ..UpstreamConfig::default() }.with_max_concurrent(1);
    let mut state = UpstreamState::new(config);
    let only = admitted(state.enter(Priority::Known, mono(SEC)));
    let waiters = [
        waiting(state.enter(Priority::Known, mono(SEC))),
        waiting(state.enter(Priority::Unknown, mono(SEC))),
    ];
    state.report(only, failed(R::TimedOut), at(SEC), 0);
    let settled = state.settle(mono(SEC));
    assert_eq!(settled.iter().map(|settled| settled.waiter).collect::<Vec<_>>(), waiters);
    for settled in settled {
        assert_eq!(settled.result.unwrap_err().retry_after(), Some(SEC / 2), "half of it, without jitter");
    }
    assert_eq!(state.health(mono(SEC)).waiting, 0);
}

#[test]
fn retries_are_few_early_and_in_time() {
    let state = UpstreamState::new(UpstreamConfig { retries: 2, ..UpstreamConfig::default() });
    let now = mono(SEC);
    let ask = |attempt, cause, after, deadline, random| {
        state.retry_decision(attempt, cause, after, now, deadline, random)
    };
    assert_eq!(ask(1, RetryCause::Connect, None, None, 0), Some(25 * MS));
    assert_eq!(ask(2, RetryCause::Gateway, None, None, 0), Some(50 * MS));
    assert_eq!(ask(3, RetryCause::Connect, None, None, 0), None);
    assert_eq!(ask(1, RetryCause::ConnectionReused, None, None, 0), Some(Duration::ZERO));
    assert_eq!(ask(2, RetryCause::ConnectionReused, None, None, 0), Some(50 * MS));

    let deadline = Some(mono(SEC + 25 * MS));
    assert_eq!(ask(1, RetryCause::Connect, None, deadline, 0), None, "the deadline would be over");
    assert_eq!(ask(1, RetryCause::ConnectionReused, None, Some(now), 0), None);
    let deadline = Some(mono(3 * SEC));
    assert_eq!(ask(1, RetryCause::Gateway, Some(SEC), deadline, 0), Some(SEC));
    assert_eq!(ask(1, RetryCause::Gateway, Some(2 * SEC), deadline, 0), None);
    assert_eq!(ask(1, RetryCause::Gateway, Some(SEC), None, 0), None, "a slot isn't held for that long");
    assert_eq!(opened(SEC).retry_decision(1, RetryCause::Connect, None, now, None, 0), None);
}

#[test]
fn only_failures_that_may_pass_are_tried_again() {
    use TransportError as E;
    assert_eq!(RetryCause::of_transport(E::Connect), Some(RetryCause::Connect));
    assert_eq!(RetryCause::of_transport(E::ConnectionReused), Some(RetryCause::ConnectionReused));
    for error in [E::Tls, E::TimedOut, E::Broken, E::BodyTooLarge, E::Unsendable] {
        assert_eq!(RetryCause::of_transport(error), None, "{error}");
    }
    let retried: Vec<_> = (100..600).filter(|status| RetryCause::of_status(*status).is_some()).collect();
    assert_eq!(retried, [502, 503, 504]);
}

#[test]
fn settings_that_contradict_each_other_are_named() {
    let good = UpstreamConfig::default();
    assert_eq!(good.validate(), Ok(()));
    assert_eq!(good.with_max_concurrent(8).reserved, 2);
    for (field, bad) in [
        ("max_concurrent", good.with_max_concurrent(0)),
        ("reserved", UpstreamConfig { reserved: 64, ..good }),
        ("retries", UpstreamConfig { retries: 11, ..good }),
        ("breaker_failures", UpstreamConfig { breaker_failures: 0, ..good }),
        ("breaker_open", UpstreamConfig { breaker_open: Duration::ZERO, ..good }),
        ("breaker_open_max", UpstreamConfig { breaker_open_max: MS, ..good }),
    ] {
        let error = bad.validate().unwrap_err();
        assert_eq!(error.field(), field);
        assert!(error.to_string().starts_with(field), "{error}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Enter(bool),
    Report { which: usize, outcome: u8 },
    Release(usize),
    Forget(usize),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<bool>().prop_map(Step::Enter),
        6 => (0..8_usize, 0..6_u8).prop_map(|(which, outcome)| Step::Report { which, outcome }),
        1 => (0..8_usize).prop_map(Step::Release),
        1 => (0..8_usize).prop_map(Step::Forget),
        2 => (0..800_u64).prop_map(Step::Advance),
    ]
}

fn outcome(number: u8) -> Outcome {
    match number {
        0 | 1 => Outcome::Answered,
        2 | 3 => failed(R::TimedOut),
        4 => failed(R::RefusedByServer),
        _ => failed(R::Shed),
    }
}

proptest! {
    /// The machine against a plain model: who holds a slot, who waits, and how many failures came in a row.
    #[test]
    fn limits_hold_no_waiter_is_lost_and_the_breaker_counts_right(steps in prop::collection::vec(step(), 0..200)) {
        let config = UpstreamConfig {
            max_concurrent: 5, reserved: 2, max_waiting: 5, breaker_failures: 3, ..UpstreamConfig::default()
        };
        let mut state = UpstreamState::new(config);
        let mut now = SEC;
        let mut out: Vec<(Priority, Admission)> = Vec::new();
        let mut queue: Vec<(Priority, u64)> = Vec::new();
        let mut in_a_row = 0;
        for step in steps {
            match step {
                Step::Enter(known) => {
                    let priority = if known { Priority::Known } else { Priority::Unknown };
                    let was_closed = state.is_closed();
                    match state.enter(priority, mono(now)) {
                        Entry::Admitted(admission) => {
                            prop_assert!(!queue.iter().any(|(waits, _)| *waits == priority), "nobody is overtaken");
                            out.push((priority, admission));
                        }
                        Entry::Waiting(waiter) => {
                            prop_assert!(was_closed);
                            queue.push((priority, waiter));
                        }
                        Entry::Refused(unavailable) => {
                            let expected = if was_closed { R::Shed } else { R::BreakerOpen };
                            prop_assert_eq!(unavailable.reason(), expected);
                        }
                    }
                }
                Step::Report { which, outcome: number } if which < out.len() => {
                    let (_, admission) = out.swap_remove(which);
                    let was_closed = state.is_closed();
                    let counts = admission.epoch == state.epoch && was_closed;
                    state.report(admission, outcome(number), at(now), 0);
                    if counts {
                        match number {
                            2 | 3 => in_a_row += 1,
                            0 | 1 | 4 => in_a_row = 0,
                            _ => {}
                        }
                        prop_assert_eq!(state.is_closed(), in_a_row < 3);
                    } else if was_closed {
                        prop_assert!(state.is_closed(), "what is stale opens nothing");
                    } else if state.is_closed() {
                        prop_assert!(matches!(number, 0 | 1 | 4), "only an answer closes it");
                        in_a_row = 0;
                    }
                }
                Step::Release(which) if which < out.len() => {
                    let (_, admission) = out.swap_remove(which);
                    state.release(admission, mono(now));
                }
                Step::Forget(which) if which < queue.len() => {
                    let (_, waiter) = queue.remove(which);
                    prop_assert!(state.forget(waiter));
                    prop_assert!(!state.forget(waiter));
                }
                Step::Report { .. } | Step::Release(_) | Step::Forget(_) => {}
                Step::Advance(millis) => now += Duration::from_millis(millis),
            }
            let closed = state.is_closed();
            for Settled { waiter, result } in state.settle(mono(now)) {
                let place = queue.iter().position(|(_, waits)| *waits == waiter);
                let (priority, _) = queue.remove(place.unwrap());
                let earlier = queue.iter().any(|(other, waits)| *other == priority && *waits < waiter);
                prop_assert!(!earlier, "first come, first served");
                prop_assert_eq!(result.is_ok(), closed);
                out.extend(result.ok().map(|admission| (priority, admission)));
            }
            let unknown = out.iter().filter(|(priority, _)| *priority == Priority::Unknown).count();
            prop_assert!(out.len() <= 5 && unknown <= 3);
            prop_assert!(queue.len() <= 5);
            let health = state.health(mono(now));
            prop_assert_eq!((health.in_flight, health.waiting), (out.len(), queue.len()));
            for (priority, _) in &queue {
                let free = out.len() < 5 && (*priority == Priority::Known || unknown < 3);
                prop_assert!(closed && !free, "who waits has a reason to");
            }
        }
    }

    #[test]
    fn jitter_stays_between_half_and_whole(nanos in any::<u64>(), random in any::<u64>()) {
        let d = Duration::from_nanos(nanos);
        prop_assert!(jittered(d, random) >= d / 2 && jittered(d, random) <= d);
    }
}
