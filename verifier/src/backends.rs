//! What a configuration can't hold: backends of the user's own, and the environment of all.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use verifier_core::revocation::RevocationChecker;
use verifier_core::runtime::{Env, Runtime};
use verifier_core::signature::SignatureBackend;
use verifier_core::time::{Clock, SystemClock};
use verifier_core::transport::HttpTransport;
use verifier_core::verifier::TokenVerifier;
use verifier_http::IoThread;
use verifier_jwks::KeySource;

/// Backends by the name under which a configuration asks for them (`custom:NAME`), and what all verifiers share. The
/// default has no backend of its own, the system's clocks, one I/O thread, and a transport made from each issuer's
/// settings.
#[derive(Clone, Default)]
#[must_use]
pub struct Backends {
    pub(crate) verifiers: HashMap<String, Arc<dyn TokenVerifier>>,
    pub(crate) checkers: HashMap<String, Arc<dyn RevocationChecker>>,
    pub(crate) sources: HashMap<String, Arc<dyn KeySource>>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) runtime: Option<Arc<dyn Runtime>>,
    pub(crate) transport: Option<Arc<dyn HttpTransport>>,
    pub(crate) signatures: Option<Arc<dyn SignatureBackend>>,
}

impl Backends {
    /// None, and the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// A verifier for `strategy = "custom:NAME"`.
    pub fn verifier(mut self, name: impl Into<String>, verifier: Arc<dyn TokenVerifier>) -> Self {
        self.verifiers.insert(name.into(), verifier);
        self
    }

    /// A revocation checker for `revocation.checkers = ["custom:NAME"]`.
    pub fn revocation(mut self, name: impl Into<String>, checker: Arc<dyn RevocationChecker>) -> Self {
        self.checkers.insert(name.into(), checker);
        self
    }

    /// A key source for `keys.source = "custom:NAME"`.
    pub fn keys(mut self, name: impl Into<String>, source: Arc<dyn KeySource>) -> Self {
        self.sources.insert(name.into(), source);
        self
    }

    /// Where the time comes from.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Where tasks and timers run. By default on one I/O thread of our own, so that a parked runtime stalls nobody and
    /// any executor will do.
    pub fn runtime(mut self, runtime: Arc<dyn Runtime>) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The transport for all issuers, instead of one made from each issuer's `ca_file`, `proxy` and `connect`.
    pub fn transport(mut self, transport: Arc<dyn HttpTransport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// What checks signatures, instead of the default backend.
    pub fn signatures(mut self, backend: Arc<dyn SignatureBackend>) -> Self {
        self.signatures = Some(backend);
        self
    }

    pub(crate) fn env(&self) -> Env {
        Env::new(
            self.clock.clone().unwrap_or_else(|| Arc::new(SystemClock)),
            self.runtime.clone().unwrap_or_else(|| Arc::new(IoThread::shared())),
        )
    }
}

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backends")
            .field("verifiers", &self.verifiers.keys())
            .field("checkers", &self.checkers.keys())
            .field("sources", &self.sources.keys())
            .finish_non_exhaustive()
    }
}
