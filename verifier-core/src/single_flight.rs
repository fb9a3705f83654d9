//! Many callers, one question. Whoever asks first starts a flight, a task of its own that no caller owns; whoever asks
//! the same meanwhile joins it and gets a clone of its value. A caller says how old the question may be that he gets
//! the answer of: a flight that left too early for him isn't joined, he boards the next one, which starts once its
//! predecessor has ended. So a key has two flights at most, one in the air and one waiting. Nothing is kept: a value
//! goes to those who wait for it and nowhere else. How many keys are in the air is for the caller to bound.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::error::{Unavailable, UnavailableReason};
use crate::runtime::Env;
use crate::time::{Clock, Instant, Now};

/// The flights of all keys. Clones share them.
pub struct SingleFlight<K, V> {
    tower: Arc<Tower<K, V>>,
}

impl<K, V> SingleFlight<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// No flights yet. One that began more than `overdue` ago is taken for lost by newcomers, who start another;
    /// `overdue` has to exceed the time that any flight may take.
    pub fn new(env: Env, overdue: Duration) -> Self {
        Self { tower: Arc::new(Tower { env, overdue, routes: Mutex::default() }) }
    }

    /// Boards a flight of `key` that leaves, or left, at `not_before` or later: the one in the air if that has not
    /// left yet or left late enough, else the one that waits behind it, else a new one made of `start`. Where the
    /// caller joins, `start` is dropped uncalled. A `not_before` in the future counts as now.
    ///
    /// The flight is spawned before this returns, and lands whether or not the ticket is kept.
    pub fn fly<F>(&self, key: K, not_before: Instant, start: F) -> Ticket<V>
    where
        F: FnOnce(Departure) -> BoxFuture<'static, V> + Send + 'static,
    {
        let (passenger, ticket) = oneshot::channel();
        self.tower.board(key, not_before, start, passenger);
        Ticket { landing: ticket }
    }

    /// Flights in the air, and those that wait behind one, over all keys.
    pub fn len(&self) -> usize {
        self.tower.routes().values().map(|route| 1 + usize::from(route.next.is_some())).sum()
    }

    /// Whether no flight is in the air.
    pub fn is_empty(&self) -> bool {
        self.tower.routes().is_empty()
    }
}

impl<K, V> Clone for SingleFlight<K, V> {
    fn clone(&self) -> Self {
        Self { tower: Arc::clone(&self.tower) }
    }
}

impl<K, V> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").field("overdue", &self.tower.overdue).finish_non_exhaustive()
    }
}

/// A place on a flight: a future of its value. Dropping it gives up the place and nothing else.
pub struct Ticket<V> {
    landing: oneshot::Receiver<Result<V, FlightEnd>>,
}

impl<V> Future for Ticket<V> {
    type Output = Result<V, FlightEnd>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.landing.poll_unpin(cx).map(|landed| landed.unwrap_or(Err(FlightEnd::Lost)))
    }
}

impl<V> fmt::Debug for Ticket<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

/// Why a flight brought no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum FlightEnd {
    /// It panicked.
    Crashed,
    /// It was dropped before its end, with the runtime that it ran on. Boarding again starts a new one.
    Lost,
    /// There was no runtime to start it on.
    NoRuntime,
}

impl fmt::Display for FlightEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crashed => "the task that asked panicked",
            Self::Lost => "the task that asked was dropped",
            Self::NoRuntime => "no async runtime is available",
        })
    }
}

impl std::error::Error for FlightEnd {}

impl From<FlightEnd> for Unavailable {
    fn from(end: FlightEnd) -> Self {
        Self::new(match end {
            FlightEnd::Crashed | FlightEnd::Lost => UnavailableReason::Crashed,
            FlightEnd::NoRuntime => UnavailableReason::NoRuntime,
        })
    }
}

/// Handed to the flight itself, to say when it leaves. A flight that never says so is joined by everybody until it
/// lands.
pub struct Departure {
    clock: Arc<dyn Clock>,
    left: Left,
}

/// When a flight left. The clock is read with this lock held, so that whoever found `None` had read the clock before.
type Left = Arc<Mutex<Option<Now>>>;

impl Departure {
    /// Notes that the question is being sent now, after any waiting, and returns that time: the value is as old as
    /// this. Called again, for a retry, it returns the first time.
    pub fn leave(&self) -> Now {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left.get_or_insert_with(|| self.clock.now())
    }
}

impl fmt::Debug for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Departure").field("left", &self.left).finish_non_exhaustive()
    }
}

type Passenger<V> = oneshot::Sender<Result<V, FlightEnd>>;
type Start<V> = Box<dyn FnOnce(Departure) -> BoxFuture<'static, V> + Send>;

struct Tower<K, V> {
    env: Env,
    overdue: Duration,
    routes: Mutex<Routes<K, V>>,
}

type Routes<K, V> = HashMap<Arc<K>, Route<V>>;

/// The flights of one key.
struct Route<V> {
    airborne: Arc<Flight<V>>,
    next: Option<Next<V>>,
}

/// A flight whose task was spawned, or is being spawned.
struct Flight<V> {
    created: Instant,
    left: Left,
    cabin: Mutex<Cabin<V>>,
}

struct Cabin<V> {
    passengers: Vec<Passenger<V>>,
    task: Task,
}

/// What is known of a flight's task. While it is being spawned, its drop is judged by whoever spawns it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Spawning,
    DroppedInSpawning,
    Spawned,
}

/// A flight that waits until the one before it has ended.
struct Next<V> {
    start: Start<V>,
    passengers: Vec<Passenger<V>>,
}

/// A flight on the map that somebody has to spawn, with the lock released.
struct Launch<K, V> {
    key: Arc<K>,
    flight: Arc<Flight<V>>,
    start: Start<V>,
}

impl<V> Flight<V> {
    fn new(created: Instant, passengers: Vec<Passenger<V>>) -> Arc<Self> {
        let cabin = Mutex::new(Cabin { passengers, task: Task::Spawning });
        Arc::new(Self { created, left: Left::default(), cabin })
    }

    fn cabin(&self) -> MutexGuard<'_, Cabin<V>> {
        self.cabin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn suits(&self, not_before: Instant) -> bool {
        let left = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.is_none_or(|left| left.monotonic >= not_before)
    }
}

/// Adds one; returns those who gave up, to be dropped where no lock is held. Looked for only when the list would have
/// to grow, so that it stays in proportion to those who still wait.
fn seat<V>(passengers: &mut Vec<Passenger<V>>, passenger: Passenger<V>) -> Vec<Passenger<V>> {
    let gone = if passengers.len() == passengers.capacity() {
        passengers.extract_if(.., |waiting| waiting.is_canceled()).collect()
    } else {
        Vec::new()
    };
    passengers.push(passenger);
    gone
}

// The lock order is routes, then cabin or left. No user code runs under any of them but `Hash` and `Eq` of keys and
// the clock: values, starts and keys are moved out and dropped, cloned and called when the lock is released.
impl<K, V> Tower<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    fn routes(&self) -> MutexGuard<'_, Routes<K, V>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn board<F>(self: &Arc<Self>, key: K, not_before: Instant, start: F, passenger: Passenger<V>)
    where
        F: FnOnce(Departure) -> BoxFuture<'static, V> + Send + 'static,
    {
        let now = self.env.clock.now().monotonic;
        let mut routes = self.routes();
        let Some(route) = routes.get_mut(&key) else {
            let key = Arc::new(key);
            let flight = Flight::new(now, vec![passenger]);
            routes.insert(Arc::clone(&key), Route { airborne: Arc::clone(&flight), next: None });
            drop(routes);
            return self.launch(Launch { key, flight, start: Box::new(start) });
        };

        // An overdue flight is left to itself: it keeps its passengers, and will not find itself on the map again.
        if now.since(route.airborne.created) >= self.overdue {
            let waiting = route.next.take();
            let (start, mut passengers) = match waiting {
                Some(next) => (next.start, next.passengers),
                None => (Box::new(start) as Start<V>, Vec::new()),
            };
            let gone = seat(&mut passengers, passenger);
            let flight = Flight::new(now, passengers);
            let overdue = std::mem::replace(&mut route.airborne, Arc::clone(&flight));
            let key = routes.get_key_value(&key).map(|(held, _)| Arc::clone(held));
            drop(routes);
            drop((overdue, gone));
            if let Some(key) = key {
                self.launch(Launch { key, flight, start });
            }
            return;
        }

        let gone = if route.airborne.suits(not_before) {
            seat(&mut route.airborne.cabin().passengers, passenger)
        } else if let Some(next) = &mut route.next {
            seat(&mut next.passengers, passenger)
        } else {
            route.next = Some(Next { start: Box::new(start), passengers: vec![passenger] });
            Vec::new()
        };
        drop(routes);
        drop(gone);
    }

    /// Spawns a flight; if that fails ends it, and goes on with the one that waited behind it.
    fn launch(self: &Arc<Self>, launch: Launch<K, V>) {
        let mut upcoming = Some(launch);
        while let Some(Launch { key, flight, start }) = upcoming.take() {
            let task = self.task(Arc::clone(&key), Arc::clone(&flight), start);
            let spawned = catch_unwind(AssertUnwindSafe(|| self.env.runtime.try_spawn(task)));
            let end = match spawned {
                Ok(Ok(())) => {
                    let mut cabin = flight.cabin();
                    if std::mem::replace(&mut cabin.task, Task::Spawned) == Task::Spawning {
                        return;
                    }
                    FlightEnd::Lost
                }
                Ok(Err(_)) | Err(_) => FlightEnd::NoRuntime,
            };
            let (passengers, next) = self.land(&key, &flight);
            deliver(passengers, Err(end));
            upcoming = next;
        }
    }

    fn task(
        self: &Arc<Self>,
        key: Arc<K>,
        flight: Arc<Flight<V>>,
        start: Start<V>,
    ) -> BoxFuture<'static, ()> {
        let departure = Departure { clock: Arc::clone(&self.env.clock), left: Arc::clone(&flight.left) };
        let guard = Airborne { tower: Arc::clone(self), key, flight, landed: false };
        Box::pin(async move {
            let guard = guard; // dropped after the flight's own future, also when the task is
            let value = AssertUnwindSafe(async move { start(departure).await }).catch_unwind().await;
            guard.land(value.map_err(|_| FlightEnd::Crashed));
        })
    }

    /// Takes a flight off the map; returns its passengers and the flight that waited behind it. Harmless for a flight
    /// that has landed already, or that others took for lost.
    fn land(&self, key: &Arc<K>, flight: &Arc<Flight<V>>) -> (Vec<Passenger<V>>, Option<Launch<K, V>>) {
        let now = self.env.clock.now().monotonic;
        let mut routes = self.routes();
        let mut removed = None;
        let mut launch = None;
        if let Some(route) = routes.get_mut(key).filter(|route| Arc::ptr_eq(&route.airborne, flight)) {
            if let Some(Next { start, passengers }) = route.next.take() {
                let flight = Flight::new(now, passengers);
                route.airborne = Arc::clone(&flight); // the old one lives on in our caller
                launch = Some(Launch { key: Arc::clone(key), flight, start });
            } else {
                removed = routes.remove_entry(key);
            }
        }
        let passengers = std::mem::take(&mut flight.cabin().passengers);
        drop(routes);
        drop(removed);
        (passengers, launch)
    }
}

fn deliver<V: Clone>(mut passengers: Vec<Passenger<V>>, end: Result<V, FlightEnd>) {
    let last = passengers.pop();
    for passenger in passengers {
        if !passenger.is_canceled() {
            let _ = passenger.send(end.clone()); // an error: he gave up
        }
    }
    if let Some(last) = last {
        let _ = last.send(end);
    }
}

/// Held by a flight's task, and dropped with it: no end of a task goes unnoticed.
struct Airborne<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    tower: Arc<Tower<K, V>>,
    key: Arc<K>,
    flight: Arc<Flight<V>>,
    landed: bool,
}

impl<K, V> Airborne<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    fn land(mut self, end: Result<V, FlightEnd>) {
        self.landed = true;
        self.end(end);
    }

    fn end(&self, end: Result<V, FlightEnd>) {
        let (passengers, next) = self.tower.land(&self.key, &self.flight);
        if let Some(next) = next {
            self.tower.launch(next); // before any clone or waker of others gets a chance to panic
        }
        deliver(passengers, end);
    }
}

impl<K, V> Drop for Airborne<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        let mut cabin = self.flight.cabin();
        if cabin.task == Task::Spawning {
            cabin.task = Task::DroppedInSpawning;
            return;
        }
        drop(cabin);
        self.end(Err(FlightEnd::Lost));
    }
}

#[cfg(test)]
mod tests;
