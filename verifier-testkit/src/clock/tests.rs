use futures_util::FutureExt as _;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn it_stands_still_and_clones_are_the_same_clock() {
    let clock = ManualClock::new();
    let start = clock.now();
    assert_eq!(start, clock.now());
    assert_eq!(start.wall, START);
    assert_eq!(START.unix_seconds(), 1_767_225_600);
    assert_eq!(start.monotonic.since(Instant::ORIGIN), Duration::from_secs(1_000));

    clock.clone().advance(SECOND);
    assert_eq!(clock.now(), start.plus(SECOND));
}

#[test]
fn the_wall_clock_moves_alone() {
    let clock = ManualClock::new();
    let start = clock.now();
    clock.step_wall_back(SECOND);
    assert_eq!(clock.now(), Now::new(start.wall.minus(SECOND), start.monotonic));
    clock.step_wall_forward(SECOND * 2);
    assert_eq!(clock.now(), Now::new(start.wall.plus(SECOND), start.monotonic));
    clock.set_wall(WallTime::EPOCH);
    assert_eq!(clock.now(), Now::new(WallTime::EPOCH, start.monotonic));
    clock.advance_monotonic(SECOND);
    assert_eq!(clock.now(), Now::new(WallTime::EPOCH, start.monotonic.plus(SECOND)));
}

#[test]
fn timers_fire_when_they_are_due_and_not_before() {
    let clock = ManualClock::new();
    let mut timer = clock.timer(SECOND);
    assert!((&mut timer).now_or_never().is_none());
    clock.advance(SECOND - Duration::from_nanos(1));
    assert!((&mut timer).now_or_never().is_none());
    clock.step_wall_forward(SECOND);
    assert!((&mut timer).now_or_never().is_none(), "the wall clock fires nothing");
    clock.advance(Duration::from_nanos(1));
    assert!((&mut timer).now_or_never().is_some());
    assert!(clock.timer(Duration::ZERO).now_or_never().is_some());
}

#[test]
fn pending_timers_are_counted_and_dropped_ones_are_not() {
    let clock = ManualClock::new();
    let timers = [clock.timer(SECOND), clock.timer(SECOND), clock.timer(SECOND * 2)];
    assert_eq!(clock.pending_timers(), 3);
    assert!(clock.sleeping(3).now_or_never().is_some());
    assert!(clock.sleeping(4).now_or_never().is_none());
    assert!(clock.advance_to_next_timer());
    assert_eq!(clock.pending_timers(), 1);
    drop(timers);
    assert_eq!(clock.pending_timers(), 0);
    assert!(!clock.advance_to_next_timer());
}

#[tokio::test]
async fn a_task_sleeps_until_the_clock_is_moved() {
    let runtime = TestRuntime::current(ManualClock::new()).unwrap();
    let (sent, received) = tokio::sync::oneshot::channel();
    let sleeper = runtime.clone();
    runtime
        .try_spawn(Box::pin(async move {
            sleeper.sleep(Duration::from_secs(3_600)).unwrap().await;
            let _ = sent.send(sleeper.clock().now());
        }))
        .unwrap();

    runtime.clock().sleeping(1).await;
    runtime.clock().advance(Duration::from_secs(3_600));
    assert_eq!(received.await.unwrap(), runtime.env().clock.now());
}

#[test]
fn without_tokio_there_is_no_runtime() {
    assert_eq!(TestRuntime::current(ManualClock::new()).unwrap_err(), NoRuntime);
}
