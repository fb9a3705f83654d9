//! The time to connect, bounded per request (reqwest itself bounds it per client), and whether a request had to
//! connect at all.
//!
//! The connector is called inside the task that sends the request, so a task-local value reaches it. Whoever finds an
//! idle connection in the pool never calls it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    static ATTEMPT: Arc<Attempt>;
}

/// What one request says to the connector, and hears from it.
#[derive(Debug)]
pub(crate) struct Attempt {
    limit: Duration,
    connected: AtomicBool,
}

impl Attempt {
    pub(crate) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self { limit, connected: AtomicBool::new(false) })
    }

    /// Runs `exchange` as this attempt.
    pub(crate) async fn scope<F: Future>(self: &Arc<Self>, exchange: F) -> F::Output {
        ATTEMPT.scope(Arc::clone(self), exchange).await
    }

    /// Whether the request went out on a connection from the pool. Said only if no connection was begun for it: one
    /// that began to connect and was then overtaken by a freed connection counts as fresh, and isn't sent again.
    pub(crate) fn pooled(&self) -> bool {
        !self.connected.load(Ordering::Relaxed)
    }
}

/// The layer around reqwest's connector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectLimit;

impl<S> Layer<S> for ConnectLimit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Limited<S> {
    inner: S,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<S, R> Service<R> for Limited<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let limit = ATTEMPT.try_with(|attempt| {
            attempt.connected.store(true, Ordering::Relaxed);
            attempt.limit
        });
        let connecting = self.inner.call(target);
        Box::pin(async move {
            match limit {
                Ok(limit) => match tokio::time::timeout(limit, connecting).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
                },
                Err(_) => connecting.await,
            }
        })
    }
}
