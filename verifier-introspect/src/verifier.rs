//! Verification by the authorization server's word alone (RFC 7662): any token format, revocation seen within the
//! freshness.

use std::sync::Arc;

use verifier_core::error::{Rejection, Unavailable, UnavailableReason};
use verifier_core::evidence::{Evidence, RevocationBasis, StatusSource, Strategy};
use verifier_core::health::Health;
use verifier_core::identity::Identity;
use verifier_core::policy::{Role, ValidationPolicy};
use verifier_core::revocation::RevocationList;
use verifier_core::time::{Instant, Now, WallTime};
use verifier_core::verifier::{Asked, Judged, TokenVerifier, Verdict, VerifyRequest};

use crate::answers::{Record, Status};
use crate::introspector::{Introspector, Look};

/// Asks the issuer about every token, opaque or JWT, and judges the answer under a policy. No signature is checked here.
#[derive(Clone, Debug)]
pub struct IntrospectionVerifier {
    introspector: Introspector,
    policy: ValidationPolicy,
    revocations: Option<Arc<dyn RevocationList>>,
    nobody: Identity,
}

impl IntrospectionVerifier {
    /// Over `introspector`, under `policy` unless a request brings its own.
    pub fn new(introspector: Introspector, policy: ValidationPolicy) -> Self {
        let nobody = Identity::new(introspector.issuer(), None, None, None, None, None);
        Self { introspector, policy, revocations: None, nobody }
    }

    /// The same, heeding a list of revocations: by the token's text before anybody is asked, by the identity in the
    /// answer afterwards. Its events belong into the introspector's [`log`](Introspector::log) as well.
    #[must_use]
    pub fn with_revocations(self, list: Arc<dyn RevocationList>) -> Self {
        Self { revocations: Some(list), ..self }
    }

    /// What it asks.
    pub const fn introspector(&self) -> &Introspector {
        &self.introspector
    }

    /// Judges an answer at `now`; runs again on every use of a kept one.
    fn judge(
        &self,
        record: &Record,
        request: &VerifyRequest<'_>,
        now: WallTime,
        from_cache: bool,
    ) -> Verdict {
        let facts = match &record.status {
            Status::Active(facts) => facts,
            Status::Inactive => return Err(Rejection::Inactive.into()),
            Status::Unacceptable(why) => return Err((*why).into()),
            Status::Refused(why) => return Err((*why).into()),
            Status::Lapsed => return Err(UnavailableReason::StatusUnknown.into()),
        };
        if self.is_revoked(facts.identity(), request) {
            return Err(Rejection::Revoked.into());
        }
        request.policy.unwrap_or(&self.policy).judge(facts, now, Role::Decides)?;
        let mut evidence = Evidence::new(Strategy::Introspection);
        evidence.from_cache = from_cache;
        evidence.revocation =
            RevocationBasis::Active { as_of: record.as_of, source: StatusSource::Introspection };
        Ok(Judged::new(Arc::clone(facts), evidence))
    }

    fn is_revoked(&self, who: &Identity, request: &VerifyRequest<'_>) -> bool {
        self.revocations.as_ref().is_some_and(|list| list.revokes(who, request.token.digest()).is_some())
    }
}

impl TokenVerifier for IntrospectionVerifier {
    fn verify<'a>(&'a self, request: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        let (token, arrival) = (request.token, request.arrival);
        let freshness = request.freshness.tighten(self.introspector.freshness());
        // A hit proves that these very bytes have passed the gate.
        let known = match self.introspector.look(token, arrival, freshness, None) {
            Look::Answer(record) => {
                return Asked::Ready(self.judge(&record, request, arrival.wall, true));
            }
            Look::Refused { why } => return Asked::Ready(Err(why.into())),
            Look::Ask { known } => known,
        };
        let question = match self.introspector.question(token, arrival, freshness, None, known) {
            Ok(question) => question,
            Err(rejection) => return Asked::Ready(Err(rejection.into())),
        };
        if self.is_revoked(&self.nobody, request) {
            return Asked::Ready(Err(Rejection::Revoked.into()));
        }
        Asked::Pending(Box::pin(async move {
            let record = self.introspector.ask(question, request.deadline).await?;
            // A token may have come to its end meanwhile.
            let now = self.introspector.0.env.clock.now().wall.max(arrival.wall);
            self.judge(&record, request, now, false)
        }))
    }

    fn ready<'a>(&'a self, deadline: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        self.introspector.ready(deadline)
    }

    fn health(&self, now: Now) -> Health {
        self.introspector.health(now)
    }
}
