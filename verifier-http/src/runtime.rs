//! [`Runtime`] on tokio: on one thread of our own, or on a runtime that the caller brings.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use verifier_core::runtime::{NoRuntime, Runtime};

/// One dedicated thread, `verifier-io`, that runs all tasks and timers; the default runtime.
///
/// It starts with the first task or timer, is shared by all clones and ends when the last of them is gone, without
/// anybody waiting for it: what still runs on it then is dropped. It may be used and dropped anywhere, inside and
/// outside of async code, on any executor. It doesn't survive a `fork`: make a new one in the child.
#[derive(Clone, Default)]
pub struct IoThread {
    thread: Arc<Thread>,
}

impl IoThread {
    /// A thread of its own for whoever holds this value and its clones. Nothing is started yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The thread that all callers of this function in the process share, as long as one of them holds it.
    pub fn shared() -> Self {
        static SHARED: Mutex<Weak<Thread>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = shared.upgrade().unwrap_or_default();
        *shared = Arc::downgrade(&thread);
        Self { thread }
    }
}

impl Runtime for IoThread {
    fn try_spawn(&self, task: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
        self.thread.handle()?.spawn(task);
        Ok(())
    }

    fn sleep(&self, d: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
        Ok(Box::pin(Timer::start(self.thread.handle()?, d)))
    }
}

impl fmt::Debug for IoThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoThread").field("started", &self.thread.running.get().is_some()).finish()
    }
}

/// The tokio runtime of the caller.
///
/// It has to have its I/O and time drivers enabled, as `#[tokio::main]` does. Tasks live as long as that runtime: when
/// it is gone, tasks are dropped and timers fire at once. A current-thread runtime runs tasks only while somebody
/// blocks on it; [`IoThread`] has no such pauses.
#[derive(Clone, Debug)]
pub struct TokioRuntime {
    handle: Handle,
}

impl TokioRuntime {
    /// The runtime that this code is running on.
    ///
    /// # Errors
    /// [`NoRuntime`] outside of tokio.
    pub fn current() -> Result<Self, NoRuntime> {
        Handle::try_current().map(Self::from_handle).map_err(|_| NoRuntime)
    }

    /// The runtime behind `handle`.
    pub fn from_handle(handle: Handle) -> Self {
        Self { handle }
    }
}

impl Runtime for TokioRuntime {
    fn try_spawn(&self, task: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
        // On a runtime that has shut down, tokio drops the task: a lost one, which its owner is ready for.
        self.handle.spawn(task);
        Ok(())
    }

    fn sleep(&self, d: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
        Ok(Box::pin(Timer::start(&self.handle, d)))
    }
}

/// The thread behind an [`IoThread`], once it is needed.
#[derive(Default)]
struct Thread {
    running: OnceLock<Running>,
    starting: Mutex<()>,
}

struct Running {
    handle: Handle,
    /// Ends the thread when it is dropped.
    _alive: oneshot::Sender<()>,
}

impl Thread {
    fn handle(&self) -> Result<&Handle, NoRuntime> {
        if let Some(running) = self.running.get() {
            return Ok(&running.handle);
        }
        let _one_at_a_time = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = self.running.get() {
            return Ok(&running.handle);
        }
        let running = Running::start()?;
        Ok(&self.running.get_or_init(|| running).handle)
    }
}

impl Running {
    fn start() -> Result<Self, NoRuntime> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|_| NoRuntime)?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("verifier-io".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(gone);
                // A name that is still being resolved must not hold the thread.
                runtime.shutdown_background();
            })
            .map_err(|_| NoRuntime)?;
        Ok(Self { handle, _alive: alive })
    }
}

/// A timer that runs as a task, so that it can be awaited on any executor. It ends with its runtime too, early: whoever
/// waits for it must not wait for ever.
struct Timer(JoinHandle<()>);

impl Timer {
    #[allow(clippy::disallowed_methods)] // the one place that sleeps
    fn start(handle: &Handle, d: Duration) -> Self {
        Self(handle.spawn(async move { tokio::time::sleep(d).await }))
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
