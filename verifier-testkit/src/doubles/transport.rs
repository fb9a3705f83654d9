//! Transports that count, follow a script, or panic.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use verifier_core::transport::{HttpTransport, Limits, TransportError};

use super::lock;
use crate::gate::Gate;

/// An [`HttpTransport`] that counts what goes through it, and records to which hosts. Clones share the counts.
#[derive(Clone, Debug)]
pub struct CountingTransport {
    inner: Arc<dyn HttpTransport>,
    hosts: Arc<Mutex<Vec<String>>>,
}

impl CountingTransport {
    /// Around another transport.
    pub fn around(inner: Arc<dyn HttpTransport>) -> Self {
        Self { inner, hosts: Arc::default() }
    }

    /// How many requests were sent, failed ones included.
    pub fn sends(&self) -> usize {
        lock(&self.hosts).len()
    }

    /// How many were sent to this host; `host` or `host:port`, as in the address.
    pub fn sends_to(&self, host: &str) -> usize {
        lock(&self.hosts).iter().filter(|own| *own == host).count()
    }

    /// The host of every request, in order.
    pub fn hosts(&self) -> Vec<String> {
        lock(&self.hosts).clone()
    }

    /// Starts the count again.
    pub fn reset(&self) {
        lock(&self.hosts).clear();
    }
}

#[async_trait]
impl HttpTransport for CountingTransport {
    async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, TransportError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        lock(&self.hosts).push(host);
        self.inner.send(request, limits).await
    }
}

/// One answer of a [`ScriptedTransport`]. `Debug` shows no body.
#[derive(Clone)]
pub struct Step {
    outcome: Result<Response<Bytes>, TransportError>,
    gate: Option<Gate>,
}

impl Step {
    /// A whole response.
    pub const fn response(response: Response<Bytes>) -> Self {
        Self { outcome: Ok(response), gate: None }
    }

    /// Status 200 with this body, as `application/json`.
    pub fn json(body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into());
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        Self::response(response)
    }

    /// This status with an empty body; 500 for a number that is no status.
    pub fn status(code: u16) -> Self {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::response(response)
    }

    /// No response.
    pub const fn failure(error: TransportError) -> Self {
        Self { outcome: Err(error), gate: None }
    }

    /// The same, once the gate lets it through.
    #[must_use]
    pub fn behind(self, gate: &Gate) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.outcome.as_ref().map(Response::status);
        f.debug_struct("Step").field("outcome", &outcome).field("gate", &self.gate).finish()
    }
}

/// An [`HttpTransport`] that answers by script: each of `then` once, in order, and `always` after them. With nothing
/// left to say it fails to connect. `Debug` shows no request.
pub struct ScriptedTransport {
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    next: VecDeque<Step>,
    always: Option<Step>,
    requests: Vec<Request<Bytes>>,
}

impl ScriptedTransport {
    /// With an empty script.
    pub fn new() -> Self {
        Self { script: Mutex::default() }
    }

    /// Answers this once, after all that it was told before.
    pub fn then(&self, step: Step) -> &Self {
        lock(&self.script).next.push_back(step);
        self
    }

    /// Answers this once the rest of the script is used up.
    pub fn always(&self, step: Step) -> &Self {
        lock(&self.script).always = Some(step);
        self
    }

    /// The requests that were sent, whole: tokens and credentials too.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        lock(&self.script).requests.clone()
    }

    /// How many requests were sent.
    pub fn sends(&self) -> usize {
        lock(&self.script).requests.len()
    }
}

impl Default for ScriptedTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = lock(&self.script);
        f.debug_struct("ScriptedTransport")
            .field("left", &script.next.len())
            .field("sends", &script.requests.len())
            .finish()
    }
}

#[async_trait]
impl HttpTransport for ScriptedTransport {
    async fn send(&self, request: Request<Bytes>, _: Limits) -> Result<Response<Bytes>, TransportError> {
        let step = {
            let mut script = lock(&self.script);
            script.requests.push(request);
            script.next.pop_front().or_else(|| script.always.clone())
        };
        let Some(step) = step else { return Err(TransportError::Connect) };
        if let Some(gate) = step.gate {
            gate.pass().await;
        }
        step.outcome
    }
}

/// An [`HttpTransport`] that panics at every request, for those who must survive it; and counts them.
#[derive(Debug, Default)]
pub struct PanickingTransport {
    sends: AtomicU64,
}

impl PanickingTransport {
    /// A transport that panics.
    pub const fn new() -> Self {
        Self { sends: AtomicU64::new(0) }
    }

    /// How many requests it panicked at.
    pub fn sends(&self) -> u64 {
        self.sends.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl HttpTransport for PanickingTransport {
    #[allow(clippy::panic)] // what it is for
    async fn send(&self, _: Request<Bytes>, _: Limits) -> Result<Response<Bytes>, TransportError> {
        self.sends.fetch_add(1, Ordering::SeqCst);
        panic!("the transport panics, as it was made to")
    }
}
