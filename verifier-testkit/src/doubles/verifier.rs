//! A verifier whose verdict is given.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use verifier_core::error::{Rejection, Unavailable};
use verifier_core::evidence::Strategy;
use verifier_core::health::Health;
use verifier_core::time::{Instant, Now};
use verifier_core::verifier::{Asked, TokenVerifier, Verdict, VerifyRequest};

use super::lock;
use crate::gate::Gate;

/// A [`TokenVerifier`] with one verdict for all tokens. It looks at no token and at no policy: it is for testing what
/// stands around a verifier, never for judging one.
#[derive(Debug)]
pub struct FixedVerifier {
    verdict: Mutex<Verdict>,
    ready: Result<(), Unavailable>,
    gate: Option<Gate>,
    calls: AtomicU64,
}

impl FixedVerifier {
    /// With this verdict.
    pub const fn new(verdict: Verdict) -> Self {
        Self { verdict: Mutex::new(verdict), ready: Ok(()), gate: None, calls: AtomicU64::new(0) }
    }

    /// Rejects everything.
    pub fn rejecting(rejection: Rejection) -> Self {
        Self::new(Err(rejection.into()))
    }

    /// Gives no verdict on anything, and isn't ready.
    pub fn unavailable(why: impl Into<Unavailable>) -> Self {
        let why = why.into();
        Self { ready: Err(why), ..Self::new(Err(why.into())) }
    }

    /// The same, with every verdict pending until the gate lets it through.
    #[must_use]
    pub fn behind(self, gate: &Gate) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }

    /// Another verdict from now on.
    pub fn set(&self, verdict: Verdict) {
        *lock(&self.verdict) = verdict;
    }

    /// How often a verdict was asked for.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl TokenVerifier for FixedVerifier {
    fn verify<'a>(&'a self, _: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match &self.gate {
            None => Asked::Ready(lock(&self.verdict).clone()),
            Some(gate) => Asked::Pending(Box::pin(async move {
                gate.pass().await;
                lock(&self.verdict).clone()
            })),
        }
    }

    fn ready<'a>(&'a self, _: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        Asked::Ready(self.ready)
    }

    fn health(&self, _: Now) -> Health {
        let mut health = Health::new(None, Strategy::Custom);
        health.ready = self.ready;
        health
    }
}
