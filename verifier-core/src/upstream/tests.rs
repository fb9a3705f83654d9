use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures::task::noop_waker;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::runtime::{NoRuntime, Runtime};
use crate::time::{Clock, WallTime};

use UnavailableReason as R;

const MS: Duration = Duration::from_millis(1);

/// Clock and timers that move by hand.
#[derive(Debug)]
struct Hand {
    now: Mutex<Now>,
    timers: Mutex<Vec<(Instant, oneshot::Sender<()>)>>,
    has_timers: bool,
}

impl Hand {
    fn new(has_timers: bool) -> Arc<Self> {
        let now = Now::new(WallTime::EPOCH, Instant::ORIGIN);
        Arc::new(Self { now: Mutex::new(now), timers: Mutex::default(), has_timers })
    }

    fn advance(&self, d: Duration) {
        let now = {
            let mut now = self.now.lock().unwrap();
            *now = now.plus(d);
            now.monotonic
        };
        let due: Vec<_> = self.timers.lock().unwrap().extract_if(.., |(at, _)| *at <= now).collect();
        for (_, timer) in due {
            let _ = timer.send(());
        }
    }
}

impl Clock for Hand {
    fn now(&self) -> Now {
        *self.now.lock().unwrap()
    }
}

impl Runtime for Hand {
    fn try_spawn(&self, _: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
        Err(NoRuntime)
    }

    fn sleep(&self, d: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
        if !self.has_timers {
            return Err(NoRuntime);
        }
        let (timer, fired) = oneshot::channel();
        self.timers.lock().unwrap().push((self.now().monotonic.plus(d), timer));
        Ok(Box::pin(fired.map(|_| ())))
    }
}

fn upstream(slots: usize, has_timers: bool) -> (Arc<Hand>, Upstream) {
    let hand = Hand::new(has_timers);
    let env = Env::new(Arc::clone(&hand) as Arc<dyn Clock>, Arc::clone(&hand) as Arc<dyn Runtime>);
    let config =
        UpstreamConfig { breaker_failures: 1, ..UpstreamConfig::default() }.with_max_concurrent(slots);
    (hand, Upstream::new(env, config).unwrap())
}

type Entering<'a> = Pin<&'a mut dyn Future<Output = Result<Permit, Unavailable>>>;

fn poll(entering: &mut Entering<'_>) -> Poll<Result<Permit, Unavailable>> {
    entering.as_mut().poll(&mut Context::from_waker(&noop_waker()))
}

fn now_or_panic(upstream: &Upstream, priority: Priority) -> Result<Permit, Unavailable> {
    upstream.enter(priority, None).now_or_never().unwrap()
}

macro_rules! entering {
    ($upstream:expr, $priority:ident, $deadline:expr) => {
        &mut (pin!($upstream.enter(Priority::$priority, $deadline)) as Entering<'_>)
    };
}

#[test]
fn a_freed_slot_goes_to_the_one_who_waited_longest_known_tokens_first() {
    let (_, upstream) = upstream(1, true);
    let held = now_or_panic(&upstream, Priority::Known).unwrap();
    let junk = entering!(upstream, Unknown, None);
    let first = entering!(upstream, Known, None);
    let second = entering!(upstream, Known, None);
    assert!(poll(junk).is_pending() && poll(first).is_pending() && poll(second).is_pending());
    assert_eq!(upstream.health().waiting, 3);

    held.report(Outcome::Answered);
    assert!(poll(junk).is_pending() && poll(second).is_pending());
    let Poll::Ready(Ok(held)) = poll(first) else { panic!("no slot") };
    drop(held);
    let Poll::Ready(Ok(held)) = poll(second) else { panic!("no slot") };
    assert!(poll(junk).is_pending());
    drop(held);
    assert!(matches!(poll(junk), Poll::Ready(Ok(_))));
    assert_eq!((upstream.health().in_flight, upstream.health().waiting), (0, 0));
}

#[test]
fn a_wait_ends_with_its_bound_or_the_deadline() {
    let (hand, upstream) = upstream(1, true);
    let held = now_or_panic(&upstream, Priority::Known).unwrap();
    let patient = entering!(upstream, Known, None);
    let hurried = entering!(upstream, Known, Some(Instant::ORIGIN.plus(100 * MS)));
    assert!(poll(patient).is_pending() && poll(hurried).is_pending());
    hand.advance(99 * MS);
    assert!(poll(hurried).is_pending());
    hand.advance(MS);
    let Poll::Ready(Err(over)) = poll(hurried) else { panic!("still waiting") };
    assert_eq!(over.reason(), R::DeadlineExceeded);
    assert!(poll(patient).is_pending());
    hand.advance(400 * MS);
    let Poll::Ready(Err(shed)) = poll(patient) else { panic!("still waiting") };
    assert_eq!((shed.reason(), shed.retry_after()), (R::Shed, Some(SHED_RETRY_AFTER)));
    assert_eq!(upstream.health().waiting, 0);
    drop(held);
    assert_eq!(upstream.health().in_flight, 0);
}

#[test]
fn a_deadline_that_is_over_gets_no_slot_before_or_after_a_wait() {
    let (hand, upstream) = upstream(1, true);
    let over = upstream.enter(Priority::Known, Some(Instant::ORIGIN)).now_or_never().unwrap();
    assert_eq!(over.unwrap_err().reason(), R::DeadlineExceeded);

    let held = now_or_panic(&upstream, Priority::Known).unwrap();
    let late = entering!(upstream, Known, Some(Instant::ORIGIN.plus(100 * MS)));
    assert!(poll(late).is_pending());
    drop(held);
    hand.advance(200 * MS);
    let Poll::Ready(Err(over)) = poll(late) else { panic!("no end") };
    assert_eq!(over.reason(), R::DeadlineExceeded);
    assert_eq!(upstream.health().in_flight, 0);
}

#[test]
fn a_caller_that_goes_away_gives_up_place_and_slot() {
    let (_, upstream) = upstream(1, true);
    let held = now_or_panic(&upstream, Priority::Known).unwrap();
    let mut gone = Box::pin(upstream.enter(Priority::Known, None));
    assert!(poll(&mut (gone.as_mut() as Entering<'_>)).is_pending());
    drop(gone);
    assert_eq!(upstream.health().waiting, 0);

    // Given the slot, but gone before looking: the next in line gets it.
    let mut gone = Box::pin(upstream.enter(Priority::Known, None));
    assert!(poll(&mut (gone.as_mut() as Entering<'_>)).is_pending());
    let next = entering!(upstream, Known, None);
    assert!(poll(next).is_pending());
    drop(held);
    assert_eq!(upstream.health().in_flight, 1);
    drop(gone);
    assert!(matches!(poll(next), Poll::Ready(Ok(_))));
    assert_eq!(upstream.health().in_flight, 0);
}

#[test]
fn the_breaker_refuses_at_once_and_sends_the_waiting_away() {
    let (hand, upstream) = upstream(1, true);
    let held = now_or_panic(&upstream, Priority::Known).unwrap();
    let waits = entering!(upstream, Known, None);
    assert!(poll(waits).is_pending());
    held.report(Outcome::Failed(Unavailable::new(R::RateLimited).retry_in(2_000 * MS)));
    let Poll::Ready(Err(away)) = poll(waits) else { panic!("still waiting") };
    assert_eq!((away.reason(), away.retry_after()), (R::RateLimited, Some(2_000 * MS)));
    assert_eq!(now_or_panic(&upstream, Priority::Known).unwrap_err().reason(), R::RateLimited);
    assert_eq!(upstream.retry_decision(1, RetryCause::Connect, None, None), None);

    hand.advance(2_000 * MS);
    let probe = now_or_panic(&upstream, Priority::Known).unwrap();
    assert!(now_or_panic(&upstream, Priority::Known).is_err());
    drop(probe);
    let probe = now_or_panic(&upstream, Priority::Known).unwrap();
    probe.report(Outcome::Answered);
    assert_eq!(upstream.health().breaker, BreakerHealth::Closed);
    assert!(upstream.retry_decision(1, RetryCause::Connect, None, None).is_some());
}

#[test]
fn without_timers_a_free_slot_is_given_and_nobody_waits() {
    let (_, upstream) = upstream(1, false);
    let _held = now_or_panic(&upstream, Priority::Known).unwrap();
    assert_eq!(now_or_panic(&upstream, Priority::Known).unwrap_err().reason(), R::NoRuntime);
    assert_eq!(upstream.health().waiting, 0);
}

#[test]
fn many_threads_never_hold_more_than_there_is_and_all_come_through() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let (_, upstream) = upstream(3, true);
    let (inside, through) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let permit = futures::executor::block_on(upstream.enter(Priority::Known, None)).unwrap();
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    permit.report(Outcome::Answered);
                    through.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(through.load(Ordering::SeqCst), 1_600);
    assert_eq!(upstream.health().in_flight, 0);
}

#[test]
fn an_upstream_and_its_futures_go_anywhere() {
    fn sent<T: Send>(value: T) -> T {
        value
    }
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    let (_, upstream) = upstream(1, true);
    shared(&upstream);
    assert!(sent(upstream.enter(Priority::Known, None)).now_or_never().is_some());
}
