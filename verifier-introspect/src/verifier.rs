//! Verification by the authorization server's word alone (RFC 7662): any token format, revocation seen within the
//! freshness.

use std::sync::Arc;
use std::time::Duration;

use verifier_core::error::{Rejection, Unavailable, UnavailableReason};
use verifier_core::evidence::{Evidence, RevocationBasis, StatusSource, Strategy};
use verifier_core::health::Health;
use verifier_core::identity::Identity;
use verifier_core::policy::{Role, ValidationPolicy};
use verifier_core::revocation::RevocationList;
use verifier_core::time::{Instant, Now, WallTime};
use verifier_core::verifier::{Asked, Judged, TokenVerifier, Verdict, VerifyRequest};

use crate::answers::{Key, Record, Status};
use crate::introspector::{Introspector, Look};

/// Asks the issuer about every token, opaque or JWT, and judges the answer under a policy. No signature is checked here.
#[derive(Clone, Debug)]
pub struct IntrospectionVerifier {
    introspector: Introspector,
    policy: ValidationPolicy,
    revocations: Option<Arc<dyn RevocationList>>,
    stale_allowance: Option<Duration>,
    nobody: Identity,
}

impl IntrospectionVerifier {
    /// Over `introspector`, under `policy` unless a request brings its own.
    pub fn new(introspector: Introspector, policy: ValidationPolicy) -> Self {
        let nobody = Identity::new(introspector.issuer(), None, None, None, None, None);
        Self { introspector, policy, revocations: None, stale_allowance: None, nobody }
    }

    /// The same, heeding a list of revocations: by the token's text before anybody is asked, by the identity in the
    /// answer afterwards. Its events belong into the introspector's [`log`](Introspector::log) as well.
    #[must_use]
    pub fn with_revocations(self, list: Arc<dyn RevocationList>) -> Self {
        Self { revocations: Some(list), ..self }
    }

    /// The same, accepting a token that was last known active, up to this age of that knowledge, while the server fails:
    /// not when it answers, or our own limits shed the call, and within what the request demands. Answers are kept for
    /// so long only if the introspector's [`stale_allowance`](crate::IntrospectionConfig::stale_allowance) says so, too.
    #[must_use]
    pub fn with_stale_allowance(self, up_to: Duration) -> Self {
        Self { stale_allowance: Some(up_to), ..self }
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

    /// What was last known of a token whose server fails to tell, if that may stand in.
    fn stale(&self, key: &Key, request: &VerifyRequest<'_>, why: Unavailable, now: WallTime) -> Verdict {
        let up_to = self.stale_allowance.filter(|_| why.is_server_failure());
        let up_to = up_to.map(|up_to| request.freshness.tighten(up_to));
        let last = self.introspector.0.answers.latest(key, request.arrival);
        let (Some(up_to), Some(record)) = (up_to, last) else { return Err(why.into()) };
        let is_known = matches!(record.status, Status::Active(_))
            && !record.is_touched(self.introspector.log(), None, key.token)
            && request.arrival.since(record.as_of) <= up_to;
        if !is_known {
            return Err(why.into());
        }
        let judged = self.judge(&record, request, now, true)?;
        let mut evidence = *judged.evidence();
        evidence.revocation =
            RevocationBasis::Stale { as_of: record.as_of, source: StatusSource::Introspection };
        Ok(judged.with_evidence(evidence))
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
        let key = question.key;
        Asked::Pending(Box::pin(async move {
            let asked = self.introspector.ask(question, request.deadline).await;
            // A token may have come to its end meanwhile.
            let now = self.introspector.0.env.clock.now().wall.max(arrival.wall);
            match asked {
                Ok(record) => self.judge(&record, request, now, false),
                Err(why) => self.stale(&key, request, why, now),
            }
        }))
    }

    fn ready<'a>(&'a self, deadline: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        self.introspector.ready(deadline)
    }

    fn health(&self, now: Now) -> Health {
        self.introspector.health(now)
    }
}
