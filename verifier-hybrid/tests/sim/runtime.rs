//! Tasks that run when they are told to, in any order; timers that the simulated clock fires.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::future::BoxFuture;
use verifier_core::runtime::{NoRuntime, Runtime};
use verifier_core::time::{Clock, Instant};

use super::Rng;
use super::clock::SimClock;

/// Whether somebody wants to be polled.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Flag {
    pub fn raised() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn lower(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub struct SimRuntime {
    clock: Arc<SimClock>,
    tasks: Mutex<Vec<Task>>,
    timers: Mutex<Vec<(Instant, Waker)>>,
}

struct Task {
    future: BoxFuture<'static, ()>,
    flag: Arc<Flag>,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Task")
    }
}

impl SimRuntime {
    pub fn new(clock: Arc<SimClock>) -> Arc<Self> {
        Arc::new(Self { clock, tasks: Mutex::default(), timers: Mutex::default() })
    }

    /// Polls one of the tasks that want it; false if none does.
    pub fn run_one(&self, rng: &mut Rng) -> bool {
        let mut task = {
            let mut tasks = self.tasks.lock().unwrap();
            let ready: Vec<usize> = (0..tasks.len()).filter(|n| tasks[*n].flag.is_raised()).collect();
            if ready.is_empty() {
                return false;
            }
            tasks.swap_remove(*rng.pick(&ready))
        };
        task.flag.lower();
        let waker = Waker::from(Arc::clone(&task.flag));
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.tasks.lock().unwrap().push(task);
        }
        true
    }

    /// A task dies with its runtime.
    pub fn lose_one(&self, rng: &mut Rng) {
        let lost = {
            let mut tasks = self.tasks.lock().unwrap();
            if tasks.is_empty() {
                return;
            }
            let n = rng.below(tasks.len());
            tasks.swap_remove(n)
        };
        drop(lost);
    }

    pub fn fire_timers(&self) {
        let now = self.clock.now().monotonic;
        let mut timers = self.timers.lock().unwrap();
        let (due, rest): (Vec<_>, Vec<_>) = timers.drain(..).partition(|(at, _)| *at <= now);
        *timers = rest;
        drop(timers);
        for (_, waker) in due {
            waker.wake();
        }
    }

    /// How long until the next timer fires.
    pub fn next_timer(&self) -> Option<Duration> {
        let now = self.clock.now().monotonic;
        self.timers.lock().unwrap().iter().map(|(at, _)| at.since(now)).min()
    }
}

impl Runtime for Handle {
    fn try_spawn(&self, future: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
        self.0.tasks.lock().unwrap().push(Task { future, flag: Flag::raised() });
        Ok(())
    }

    fn sleep(&self, d: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
        let due = self.0.clock.now().monotonic.plus(d);
        Ok(Box::pin(Timer { due, runtime: Arc::clone(&self.0) }))
    }
}

/// The runtime as the verifiers hold it.
#[derive(Debug)]
pub struct Handle(pub Arc<SimRuntime>);

struct Timer {
    due: Instant,
    runtime: Arc<SimRuntime>,
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.runtime.clock.now().monotonic >= self.due {
            return Poll::Ready(());
        }
        self.runtime.timers.lock().unwrap().push((self.due, cx.waker().clone()));
        Poll::Pending
    }
}
