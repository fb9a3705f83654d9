use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use futures::task::{ArcWake, noop_waker, waker};
use proptest::prelude::*;

use super::*;
use crate::runtime::{NoRuntime, Runtime};
use crate::time::WallTime;

const FOREVER: Duration = Duration::from_secs(1 << 30);

/// A clock that moves by hand.
#[derive(Debug)]
struct HandClock(Mutex<Now>);

impl HandClock {
    fn at(nanos: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Now::new(WallTime::EPOCH, Instant::from_nanos(nanos)))))
    }

    fn advance(&self, nanos: u64) {
        let mut now = self.0.lock().unwrap();
        *now = now.plus(Duration::from_nanos(nanos));
    }
}

impl Clock for HandClock {
    fn now(&self) -> Now {
        *self.0.lock().unwrap()
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Spawning {
    Accepts,
    Refuses,
    Panics,
    /// Says yes and drops the task, as a runtime does that is shutting down.
    Swallows,
}

/// Runs tasks when told to, in the order in which they came.
struct HandRuntime {
    tasks: Mutex<Vec<BoxFuture<'static, ()>>>,
    spawning: Mutex<Spawning>,
}

impl fmt::Debug for HandRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandRuntime")
    }
}

impl HandRuntime {
    fn new() -> Arc<Self> {
        Arc::new(Self { tasks: Mutex::default(), spawning: Mutex::new(Spawning::Accepts) })
    }

    fn spawning(&self, spawning: Spawning) {
        *self.spawning.lock().unwrap() = spawning;
    }

    /// Polls every task that is there once.
    fn turn(&self) {
        for _ in 0..self.tasks() {
            let mut task = self.tasks.lock().unwrap().remove(0);
            if task.as_mut().poll(&mut Context::from_waker(&noop_waker())).is_pending() {
                self.tasks.lock().unwrap().push(task);
            }
        }
    }

    /// Drops the task at `index`, unfinished.
    fn lose(&self, index: usize) {
        let task = self.tasks.lock().unwrap().remove(index);
        drop(task);
    }

    fn tasks(&self) -> usize {
        self.tasks.lock().unwrap().len()
    }
}

impl Runtime for HandRuntime {
    fn try_spawn(&self, task: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
        let spawning = *self.spawning.lock().unwrap();
        match spawning {
            Spawning::Accepts => self.tasks.lock().unwrap().push(task),
            Spawning::Refuses => return Err(NoRuntime),
            Spawning::Panics => std::panic::resume_unwind(Box::new("no reactor")),
            Spawning::Swallows => drop(task),
        }
        Ok(())
    }

    fn sleep(&self, _: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
        Err(NoRuntime)
    }
}

/// Notices whether it was woken.
#[derive(Default)]
struct Bell(AtomicBool);

impl ArcWake for Bell {
    fn wake_by_ref(bell: &Arc<Self>) {
        bell.0.store(true, Ordering::SeqCst);
    }
}

/// What a flight is told to do when it is polled next.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Order {
    Wait,
    Leave,
    Land,
    Crash,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Answer {
    flight: usize,
    left: Instant,
}

/// One flight as the test sees it.
#[derive(Debug)]
struct Seen {
    key: u8,
    order: Mutex<Order>,
    ended: AtomicBool,
}

struct Sky {
    clock: Arc<HandClock>,
    runtime: Arc<HandRuntime>,
    flights: SingleFlight<u8, Answer>,
    seen: Arc<Mutex<Vec<Arc<Seen>>>>,
    /// Flights that were begun while another of their key was in the air.
    collisions: Arc<AtomicUsize>,
}

impl Sky {
    fn new(overdue: Duration) -> Self {
        let (clock, runtime) = (HandClock::at(1_000), HandRuntime::new());
        let env = Env::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&runtime) as Arc<dyn Runtime>);
        let flights = SingleFlight::new(env, overdue);
        Self { clock, runtime, flights, seen: Arc::default(), collisions: Arc::default() }
    }

    fn now(&self) -> Instant {
        self.clock.now().monotonic
    }

    /// Boards with an order for the flight, should this call be the one that makes it.
    fn fly(&self, key: u8, not_before: Instant, first: Order) -> Ticket<Answer> {
        let (seen, collisions) = (Arc::clone(&self.seen), Arc::clone(&self.collisions));
        self.flights.fly(key, not_before, move |departure| {
            let flight = Arc::new(Seen { key, order: Mutex::new(first), ended: AtomicBool::new(false) });
            let mut all = seen.lock().unwrap();
            if all.iter().any(|other| other.key == key && !other.ended.load(Ordering::SeqCst)) {
                collisions.fetch_add(1, Ordering::SeqCst);
            }
            let number = all.len();
            all.push(Arc::clone(&flight));
            drop(all);
            let end = OnDrop(Arc::clone(&flight));
            Box::pin(futures::future::poll_fn(move |_| {
                let _end = &end;
                let order = *flight.order.lock().unwrap();
                match order {
                    Order::Wait => Poll::Pending,
                    Order::Leave => {
                        departure.leave();
                        Poll::Pending
                    }
                    Order::Land => Poll::Ready(Answer { flight: number, left: departure.leave().monotonic }),
                    Order::Crash => std::panic::resume_unwind(Box::new("crash")),
                }
            }))
        })
    }

    /// How many starts were called.
    fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Tells flight `number` what to do, and lets it.
    fn order(&self, number: usize, order: Order) {
        *self.seen.lock().unwrap()[number].order.lock().unwrap() = order;
        self.runtime.turn();
    }
}

struct OnDrop(Arc<Seen>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }
}

fn poll<V>(ticket: &mut Ticket<V>) -> Poll<Result<V, FlightEnd>> {
    poll_with(ticket, &noop_waker())
}

fn poll_with<V>(ticket: &mut Ticket<V>, waker: &Waker) -> Poll<Result<V, FlightEnd>> {
    ticket.poll_unpin(&mut Context::from_waker(waker))
}

fn landed<V: fmt::Debug>(mut ticket: Ticket<V>) -> Result<V, FlightEnd> {
    match poll(&mut ticket) {
        Poll::Ready(end) => end,
        Poll::Pending => panic!("still in the air"),
    }
}

#[test]
fn a_hundred_callers_make_one_call() {
    let sky = Sky::new(FOREVER);
    let mut tickets: Vec<_> = (0..50).map(|_| sky.fly(1, sky.now(), Order::Wait)).collect();
    sky.runtime.turn();
    tickets.extend((0..50).map(|_| sky.fly(1, sky.now(), Order::Wait)));
    assert_eq!(sky.flights.len(), 1);
    let bells: Vec<_> = tickets
        .iter_mut()
        .map(|ticket| {
            let bell = Arc::new(Bell::default());
            assert!(poll_with(ticket, &waker(Arc::clone(&bell))).is_pending());
            bell
        })
        .collect();
    sky.order(0, Order::Land);
    assert_eq!(sky.calls(), 1);
    assert!(sky.flights.is_empty());
    assert!(bells.iter().all(|bell| bell.0.load(Ordering::SeqCst)), "every caller is woken");
    for ticket in tickets {
        assert_eq!(landed(ticket).unwrap().flight, 0);
    }
}

#[test]
fn keys_do_not_share_flights() {
    let sky = Sky::new(FOREVER);
    let (one, two) = (sky.fly(1, sky.now(), Order::Land), sky.fly(2, sky.now(), Order::Land));
    assert_eq!(sky.flights.len(), 2);
    sky.runtime.turn();
    assert_ne!(landed(one).unwrap().flight, landed(two).unwrap().flight);
}

#[test]
fn a_flight_that_left_in_time_is_joined_and_one_that_left_too_early_is_not() {
    let sky = Sky::new(FOREVER);
    let first = sky.fly(1, sky.now(), Order::Leave);
    sky.runtime.turn();
    let left = sky.now();
    sky.clock.advance(10);
    let content = sky.fly(1, left, Order::Land);
    let demanding = sky.fly(1, left.plus(Duration::from_nanos(1)), Order::Wait);
    let also = sky.fly(1, sky.now(), Order::Wait);
    assert_eq!(sky.flights.len(), 2, "one in the air, one that waits");
    sky.runtime.turn();
    assert_eq!(sky.calls(), 1, "the next one does not leave before the first has landed");

    sky.order(0, Order::Land);
    assert_eq!(landed(first).unwrap(), Answer { flight: 0, left });
    assert_eq!(landed(content).unwrap(), Answer { flight: 0, left });
    sky.runtime.turn();
    sky.order(1, Order::Land);
    assert_eq!(landed(demanding).unwrap(), Answer { flight: 1, left: sky.now() });
    assert_eq!(landed(also).unwrap().flight, 1);
    assert!(sky.flights.is_empty());
}

#[test]
fn the_first_departure_counts() {
    let sky = Sky::new(FOREVER);
    let ticket = sky.fly(1, sky.now(), Order::Leave);
    sky.runtime.turn();
    let left = sky.now();
    sky.clock.advance(100);
    sky.order(0, Order::Land);
    assert_eq!(landed(ticket).unwrap().left, left);
}

#[test]
fn callers_that_go_away_stop_nothing() {
    let sky = Sky::new(FOREVER);
    let leader = sky.fly(1, sky.now(), Order::Leave);
    sky.runtime.turn();
    let follower = sky.fly(1, Instant::ORIGIN, Order::Wait);
    drop(leader);
    sky.order(0, Order::Land);
    assert_eq!(landed(follower).unwrap().flight, 0);

    drop(sky.fly(1, sky.now(), Order::Land));
    sky.runtime.turn();
    assert!(sky.flights.is_empty(), "a flight without passengers lands");
    assert_eq!(sky.calls(), 2);
}

#[test]
fn places_of_those_who_left_are_used_again() {
    let sky = Sky::new(FOREVER);
    let _stays = sky.fly(1, sky.now(), Order::Wait);
    for _ in 0..10_000 {
        drop(sky.fly(1, sky.now(), Order::Wait));
    }
    let routes = sky.flights.tower.routes();
    let places = routes.values().next().unwrap().airborne.cabin().passengers.capacity();
    assert!(places < 100, "{places}");
}

#[test]
fn a_panic_reaches_its_passengers_and_nobody_else() {
    let sky = Sky::new(FOREVER);
    let tickets = [sky.fly(1, sky.now(), Order::Leave), sky.fly(1, sky.now(), Order::Wait)];
    sky.runtime.turn();
    sky.clock.advance(1);
    let next = sky.fly(1, sky.now(), Order::Land);
    sky.order(0, Order::Crash);
    for ticket in tickets {
        assert_eq!(landed(ticket), Err(FlightEnd::Crashed));
    }
    sky.runtime.turn();
    assert_eq!(landed(next).unwrap().flight, 1);
    assert!(sky.flights.is_empty());
}

#[test]
fn a_panic_in_start_is_a_crash() {
    let sky = Sky::new(FOREVER);
    let ticket = sky.flights.fly(1, sky.now(), |_| std::panic::resume_unwind(Box::new("start")));
    sky.runtime.turn();
    assert_eq!(landed(ticket), Err(FlightEnd::Crashed));
    assert!(sky.flights.is_empty());
}

#[test]
fn a_lost_task_loses_its_passengers_and_starts_the_next() {
    let sky = Sky::new(FOREVER);
    let first = sky.fly(1, sky.now(), Order::Leave);
    sky.runtime.turn();
    sky.clock.advance(1);
    let next = sky.fly(1, sky.now(), Order::Land);
    sky.runtime.lose(0);
    assert_eq!(landed(first), Err(FlightEnd::Lost));
    sky.runtime.turn();
    assert_eq!(landed(next).unwrap().flight, 1);

    let unstarted = sky.fly(1, sky.now(), Order::Land);
    sky.runtime.lose(0);
    assert_eq!(landed(unstarted), Err(FlightEnd::Lost));
    assert!(sky.flights.is_empty());
}

#[test]
fn without_a_runtime_every_waiter_is_told() {
    for (spawning, end) in [
        (Spawning::Refuses, FlightEnd::NoRuntime),
        (Spawning::Panics, FlightEnd::NoRuntime),
        (Spawning::Swallows, FlightEnd::Lost),
    ] {
        let sky = Sky::new(FOREVER);
        let first = sky.fly(1, sky.now(), Order::Leave);
        sky.runtime.turn();
        sky.clock.advance(1);
        let next = sky.fly(1, sky.now(), Order::Land);
        sky.runtime.spawning(spawning);
        assert_eq!(landed(sky.fly(2, sky.now(), Order::Land)), Err(end), "{spawning:?}");
        sky.runtime.lose(0);
        assert_eq!(landed(first), Err(FlightEnd::Lost), "{spawning:?}");
        assert_eq!(landed(next), Err(end), "{spawning:?}");
        assert!(sky.flights.is_empty());

        sky.runtime.spawning(Spawning::Accepts);
        let again = sky.fly(1, sky.now(), Order::Land);
        sky.runtime.turn();
        assert!(landed(again).is_ok(), "{spawning:?}");
    }
}

#[test]
fn an_overdue_flight_is_replaced_and_its_late_end_harms_nobody() {
    let sky = Sky::new(Duration::from_nanos(100));
    let mut old = sky.fly(1, sky.now(), Order::Leave);
    sky.runtime.turn();
    sky.clock.advance(99);
    let joined = sky.fly(1, Instant::ORIGIN, Order::Wait);
    sky.clock.advance(1);
    let new = sky.fly(1, Instant::ORIGIN, Order::Wait);
    sky.runtime.turn();
    assert_eq!(sky.calls(), 2);
    assert!(poll(&mut old).is_pending());

    sky.order(0, Order::Land);
    assert_eq!(landed(old).unwrap().flight, 0);
    assert_eq!(landed(joined).unwrap().flight, 0);
    assert_eq!(sky.flights.len(), 1, "the new one is still on the map");
    let also_new = sky.fly(1, Instant::ORIGIN, Order::Wait);
    sky.order(1, Order::Land);
    assert_eq!(landed(new).unwrap().flight, 1);
    assert_eq!(landed(also_new).unwrap().flight, 1);
}

#[test]
fn who_waits_behind_an_overdue_flight_leaves_with_the_next_newcomer() {
    let sky = Sky::new(Duration::from_nanos(100));
    let _old = sky.fly(1, sky.now(), Order::Leave);
    sky.runtime.turn();
    sky.clock.advance(1);
    let waiting = sky.fly(1, sky.now(), Order::Land);
    sky.clock.advance(99);
    let newcomer = sky.fly(1, sky.now(), Order::Crash);
    sky.runtime.turn();
    assert_eq!(landed(waiting).unwrap().flight, 1);
    assert_eq!(landed(newcomer).unwrap().flight, 1);
    assert_eq!(sky.calls(), 2);
}

/// Each task on a thread of its own: flights and tickets meet across threads.
#[derive(Debug)]
struct Threads;

impl Runtime for Threads {
    fn try_spawn(&self, task: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
        std::thread::spawn(move || futures::executor::block_on(task));
        Ok(())
    }

    fn sleep(&self, _: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
        Err(NoRuntime)
    }
}

#[test]
fn live_callers_on_many_threads_get_answers_asked_after_they_came() {
    let env = Env::system(Arc::new(Threads));
    let flights: SingleFlight<u8, Instant> = SingleFlight::new(env.clone(), FOREVER);
    let airborne = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (flights, clock, airborne) = (flights.clone(), Arc::clone(&env.clock), Arc::clone(&airborne));
            std::thread::spawn(move || {
                for _ in 0..50 {
                    let arrival = clock.now().monotonic;
                    let airborne = Arc::clone(&airborne);
                    let ticket = flights.fly(1, arrival, move |departure| {
                        Box::pin(async move {
                            assert_eq!(airborne.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                            let left = departure.leave().monotonic;
                            std::thread::yield_now();
                            airborne.fetch_sub(1, Ordering::SeqCst);
                            left
                        })
                    });
                    assert!(futures::executor::block_on(ticket).unwrap() >= arrival);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }
    assert!(flights.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Fly { key: u8, age: u64 },
    Give { number: usize, order: Order },
    Turn,
    Advance(u64),
    GiveUp(usize),
    LoseTask(usize),
    Spawning(Spawning),
}

fn step() -> impl Strategy<Value = Step> {
    let order = prop_oneof![
        Just(Order::Leave),
        Just(Order::Leave),
        Just(Order::Land),
        Just(Order::Land),
        Just(Order::Crash)
    ];
    let spawning = prop_oneof![
        4 => Just(Spawning::Accepts),
        1 => Just(Spawning::Refuses),
        1 => Just(Spawning::Swallows),
    ];
    prop_oneof![
        6 => (0..2_u8, 0..40_u64).prop_map(|(key, age)| Step::Fly { key, age }),
        6 => (0..6_usize, order).prop_map(|(number, order)| Step::Give { number, order }),
        3 => Just(Step::Turn),
        4 => (1..20_u64).prop_map(Step::Advance),
        1 => (0..8_usize).prop_map(Step::GiveUp),
        1 => (0..4_usize).prop_map(Step::LoseTask),
        1 => spawning.prop_map(Step::Spawning),
    ]
}

/// Runs a history; every ticket that is kept comes to an end, and its value left late enough.
fn history(sky: &Sky, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut tickets = Vec::new();
    for step in steps {
        match step {
            Step::Fly { key, age } => {
                let not_before = sky.now().minus(Duration::from_nanos(age));
                let mut ticket = sky.fly(key, not_before, Order::Wait);
                let bell = Arc::new(Bell::default());
                if poll_with(&mut ticket, &waker(Arc::clone(&bell))).is_pending() {
                    tickets.push((ticket, not_before, bell));
                }
            }
            Step::Give { number, order } => {
                let seen = sky.seen.lock().unwrap().clone();
                let flying: Vec<_> = seen.iter().filter(|seen| !seen.ended.load(Ordering::SeqCst)).collect();
                if let Some(seen) = flying.get(number) {
                    *seen.order.lock().unwrap() = order;
                }
                sky.runtime.turn();
            }
            Step::Turn => sky.runtime.turn(),
            Step::Advance(nanos) => sky.clock.advance(nanos),
            Step::GiveUp(number) if number < tickets.len() => drop(tickets.swap_remove(number)),
            Step::LoseTask(number) if number < sky.runtime.tasks() => sky.runtime.lose(number),
            Step::GiveUp(_) | Step::LoseTask(_) => {}
            Step::Spawning(spawning) => sky.runtime.spawning(spawning),
        }
    }
    sky.runtime.spawning(Spawning::Accepts);
    while sky.runtime.tasks() > 0 {
        for seen in sky.seen.lock().unwrap().iter() {
            *seen.order.lock().unwrap() = Order::Land;
        }
        sky.runtime.turn();
    }
    prop_assert!(sky.flights.is_empty());
    for (mut ticket, not_before, bell) in tickets {
        prop_assert!(bell.0.load(Ordering::SeqCst), "a caller was never woken");
        match poll(&mut ticket) {
            Poll::Ready(Ok(answer)) => prop_assert!(answer.left >= not_before),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => prop_assert!(false, "a caller waits for ever"),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_value_is_older_than_demanded_and_flights_of_a_key_never_meet(
        steps in prop::collection::vec(step(), 0..80)
    ) {
        let sky = Sky::new(FOREVER);
        history(&sky, steps)?;
        prop_assert_eq!(sky.collisions.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn no_value_is_older_than_demanded_when_flights_are_overdue(steps in prop::collection::vec(step(), 0..80)) {
        history(&Sky::new(Duration::from_nanos(25)), steps)?;
    }
}
