//! A transport that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use verifier::core::transport::{HttpTransport, Limits, TransportError};

/// How often was sent what.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    introspections: AtomicU64,
    fetches: AtomicU64,
}

impl Counts {
    /// To the introspection endpoint.
    pub(crate) fn introspections(&self) -> u64 {
        self.introspections.load(Ordering::SeqCst)
    }

    /// Elsewhere.
    pub(crate) fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::SeqCst)
    }
}

/// Counts what goes through it. Requests that were never answered count, too.
#[derive(Debug)]
pub(crate) struct Counting {
    inner: Arc<dyn HttpTransport>,
    introspection: String,
    counts: Arc<Counts>,
}

impl Counting {
    /// Around a transport; `introspection` is the address of the endpoint.
    pub(crate) fn new(inner: Arc<dyn HttpTransport>, introspection: &str, counts: Arc<Counts>) -> Self {
        let path = introspection
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
        Self { inner, introspection: path.unwrap_or("/").to_owned(), counts }
    }
}

#[async_trait]
impl HttpTransport for Counting {
    async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, TransportError> {
        let counter = if request.uri().path() == self.introspection {
            &self.counts.introspections
        } else {
            &self.counts.fetches
        };
        counter.fetch_add(1, Ordering::SeqCst);
        self.inner.send(request, limits).await
    }
}
