//! What the engine needs of an async runtime, and the environment that a verifier and all below it share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::time::{Clock, SystemClock};

/// No runtime is there to run a task or a timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRuntime;

impl fmt::Display for NoRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no async runtime is available")
    }
}

impl std::error::Error for NoRuntime {}

/// Runs tasks and timers. A task that was accepted may still be lost, with the runtime it ran on; its owner must be
/// ready for that.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Starts a task that runs on its own.
    ///
    /// # Errors
    /// [`NoRuntime`] if there is nothing to run it on.
    fn try_spawn(&self, task: BoxFuture<'static, ()>) -> Result<(), NoRuntime>;

    /// A timer that fires once `d` has passed. It may be polled on any executor.
    ///
    /// # Errors
    /// [`NoRuntime`] if there is nothing that drives timers.
    fn sleep(&self, d: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime>;
}

/// Clock and runtime: one for the handle and for all verifiers below it.
#[derive(Clone, Debug)]
pub struct Env {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where tasks and timers run.
    pub runtime: Arc<dyn Runtime>,
}

impl Env {
    /// Both parts given.
    pub fn new(clock: Arc<dyn Clock>, runtime: Arc<dyn Runtime>) -> Self {
        Self { clock, runtime }
    }

    /// The system's clocks with a runtime.
    pub fn system(runtime: Arc<dyn Runtime>) -> Self {
        Self::new(Arc::new(SystemClock), runtime)
    }
}
