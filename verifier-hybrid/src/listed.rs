//! A revocation list beside any verifier.

use std::sync::Arc;

use verifier_core::error::{Rejection, Unavailable};
use verifier_core::health::Health;
use verifier_core::identity::Identity;
use verifier_core::revocation::RevocationList;
use verifier_core::time::{Instant, Now};
use verifier_core::verifier::{Asked, TokenVerifier, Verdict, VerifyRequest};

/// Another verifier's verdicts, with a [`RevocationList`] that has the last word over them: what a strategy without
/// ears of its own needs to hear of revocation events. A [`HybridVerifier`](crate::HybridVerifier) has its own.
#[derive(Debug)]
pub struct ListedVerifier {
    inner: Arc<dyn TokenVerifier>,
    list: Arc<dyn RevocationList>,
}

impl ListedVerifier {
    /// What `inner` accepts and `list` does not cover.
    pub fn new(inner: Arc<dyn TokenVerifier>, list: Arc<dyn RevocationList>) -> Self {
        Self { inner, list }
    }

    fn judge(&self, request: &VerifyRequest<'_>, verdict: Verdict) -> Verdict {
        let judged = verdict?;
        let who = judged.facts().identity();
        let revokes = |who: &Identity| self.list.revokes(who, request.token.digest()).is_some();
        let revoked = revokes(who)
            || judged
                .answer()
                .map(|answer| answer.identity())
                .is_some_and(|answered| revokes(answered) || revokes(&who.merged(answered)));
        if revoked { Err(Rejection::Revoked.into()) } else { Ok(judged) }
    }
}

impl TokenVerifier for ListedVerifier {
    fn verify<'a>(&'a self, request: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        match self.inner.verify(request) {
            Asked::Ready(verdict) => Asked::Ready(self.judge(request, verdict)),
            Asked::Pending(asked) => Asked::Pending(Box::pin(async move {
                let verdict = asked.await;
                self.judge(request, verdict)
            })),
        }
    }

    fn ready<'a>(&'a self, deadline: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        self.inner.ready(deadline)
    }

    fn health(&self, now: Now) -> Health {
        self.inner.health(now)
    }
}
