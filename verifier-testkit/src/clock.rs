//! Time in the hand of a test: a clock that stands still until it is moved, and a runtime whose timers obey it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::watch;
use verifier_core::runtime::{Env, NoRuntime, Runtime};
use verifier_core::time::{Clock, Instant, Now, WallTime};

/// 2026-01-01T00:00:00Z: where a [`ManualClock`] starts.
pub const START: WallTime = WallTime::from_unix_seconds(1_767_225_600);

/// A clock that moves only when told. Clones are the same clock.
///
/// It starts at [`START`] with 1,000 s on the monotonic clock.
#[derive(Clone)]
pub struct ManualClock(Arc<Shared>);

struct Shared {
    dial: Mutex<Dial>,
    /// How many timers are pending: for those who wait for somebody to fall asleep.
    pending: watch::Sender<usize>,
}

struct Dial {
    now: Now,
    timers: BTreeMap<(Instant, u64), Option<Waker>>,
    next_timer: u64,
}

impl ManualClock {
    /// A clock at [`START`].
    pub fn new() -> Self {
        Self::at(Now::new(START, Instant::ORIGIN.plus(Duration::from_secs(1_000))))
    }

    /// A clock that starts at `now`.
    pub fn at(now: Now) -> Self {
        let dial = Dial { now, timers: BTreeMap::new(), next_timer: 0 };
        Self(Arc::new(Shared { dial: Mutex::new(dial), pending: watch::Sender::new(0) }))
    }

    /// Moves both clocks forward, and fires the timers that are due then.
    pub fn advance(&self, by: Duration) {
        self.change(|now| now.plus(by));
    }

    /// Moves both clocks to the next pending timer and fires it; `false` if there is none.
    pub fn advance_to_next_timer(&self) -> bool {
        let next = {
            let dial = self.0.lock();
            dial.timers.keys().next().map(|(at, _)| at.since(dial.now.monotonic))
        };
        next.inspect(|by| self.advance(*by)).is_some()
    }

    /// Sets the wall clock; the monotonic one stays. No timer fires by this.
    pub fn set_wall(&self, wall: WallTime) {
        self.change(|now| Now::new(wall, now.monotonic));
    }

    /// Moves the wall clock alone forward: what a process sees after its machine has slept.
    pub fn step_wall_forward(&self, by: Duration) {
        self.change(|now| Now::new(now.wall.plus(by), now.monotonic));
    }

    /// Moves the wall clock alone back: what a process sees when the clock is corrected.
    pub fn step_wall_back(&self, by: Duration) {
        self.change(|now| Now::new(now.wall.minus(by), now.monotonic));
    }

    /// Moves the monotonic clock alone forward, and fires the timers that are due then.
    pub fn advance_monotonic(&self, by: Duration) {
        self.change(|now| Now::new(now.wall, now.monotonic.plus(by)));
    }

    /// The wall clock in whole seconds since 1970.
    pub fn unix_seconds(&self) -> i64 {
        self.now().wall.unix_seconds()
    }

    /// A timer that fires once the monotonic clock has been moved by `d`. It counts from this call, not from its first
    /// poll.
    pub fn timer(&self, d: Duration) -> Timer {
        let mut dial = self.0.lock();
        let key = (dial.now.monotonic.plus(d), dial.next_timer);
        dial.next_timer += 1;
        if d > Duration::ZERO {
            dial.timers.insert(key, None);
        }
        self.0.pending.send_replace(dial.timers.len());
        drop(dial);
        Timer { clock: Arc::clone(&self.0), key }
    }

    /// How many timers are pending.
    pub fn pending_timers(&self) -> usize {
        *self.0.pending.borrow()
    }

    /// Waits until at least `n` timers are pending: the moment to [`advance`](Self::advance). May be awaited on any
    /// executor.
    pub async fn sleeping(&self, n: usize) {
        // The sender lives in self, so the wait can't end for want of one.
        let _ = self.0.pending.subscribe().wait_for(|pending| *pending >= n).await;
    }

    fn change(&self, change: impl FnOnce(Now) -> Now) {
        let mut dial = self.0.lock();
        dial.now = change(dial.now);
        let later = (dial.now.monotonic.plus(Duration::from_nanos(1)), 0);
        let pending = dial.timers.split_off(&later);
        let due = std::mem::replace(&mut dial.timers, pending);
        self.0.pending.send_replace(dial.timers.len());
        drop(dial);
        due.into_values().flatten().for_each(Waker::wake);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Dial> {
        self.dial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        self.0.lock().now
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

/// A pending timer of a [`ManualClock`]; dropping it takes it off the clock.
#[derive(Debug)]
pub struct Timer {
    clock: Arc<Shared>,
    key: (Instant, u64),
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").finish_non_exhaustive()
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // A timer that is off the clock has fired.
        match self.clock.lock().timers.get_mut(&self.key) {
            None => Poll::Ready(()),
            Some(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut dial = self.clock.lock();
        if dial.timers.remove(&self.key).is_some() {
            self.clock.pending.send_replace(dial.timers.len());
        }
    }
}

/// A [`Runtime`] for tests: tasks run on a tokio runtime, timers on a [`ManualClock`].
#[derive(Clone, Debug)]
pub struct TestRuntime {
    clock: ManualClock,
    handle: Handle,
}

impl TestRuntime {
    /// Tasks go to `handle`.
    pub const fn new(clock: ManualClock, handle: Handle) -> Self {
        Self { clock, handle }
    }

    /// Tasks go to the tokio runtime of the caller.
    ///
    /// # Errors
    /// [`NoRuntime`] if the caller runs on none.
    pub fn current(clock: ManualClock) -> Result<Self, NoRuntime> {
        Handle::try_current().map(|handle| Self::new(clock, handle)).map_err(|_| NoRuntime)
    }

    /// Clock and runtime together, as verifiers take them.
    pub fn env(&self) -> Env {
        Env::new(Arc::new(self.clock.clone()), Arc::new(self.clone()))
    }

    /// The clock of the timers.
    pub const fn clock(&self) -> &ManualClock {
        &self.clock
    }
}

impl Runtime for TestRuntime {
    fn try_spawn(&self, task: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
        self.handle.spawn(task);
        Ok(())
    }

    fn sleep(&self, d: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
        Ok(Box::pin(self.clock.timer(d)))
    }
}

#[cfg(test)]
mod tests;
