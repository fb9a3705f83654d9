//! A hybrid verifier whose state shows the introspection endpoint too: a checker has no health of its own in the trait,
//! and a refused credential has to be seen by an operator.

use verifier_core::error::Unavailable;
use verifier_core::health::Health;
use verifier_core::time::{Instant, Now};
use verifier_core::verifier::{Asked, TokenVerifier, Verdict, VerifyRequest};
use verifier_hybrid::HybridVerifier;
use verifier_introspect::Introspector;

#[derive(Debug)]
pub(super) struct Observed {
    pub(super) hybrid: HybridVerifier,
    pub(super) introspector: Introspector,
}

impl TokenVerifier for Observed {
    fn verify<'a>(&'a self, request: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        self.hybrid.verify(request)
    }

    fn ready<'a>(&'a self, deadline: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        self.hybrid.ready(deadline)
    }

    fn health(&self, now: Now) -> Health {
        let mut health = self.hybrid.health(now);
        let endpoint = self.introspector.health(now);
        // Where opaque tokens are introspected it is there already.
        if health.parts.iter().all(|part| part.strategy != endpoint.strategy) {
            health.parts.push(endpoint);
        }
        health
    }
}
