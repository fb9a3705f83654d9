//! The local verdict first; then the revocation status, no older than was promised; the revocation list has the last
//! word.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use verifier_core::claims::Facts;
use verifier_core::error::{Rejection, Unavailable, UnavailableReason, VerifyError};
use verifier_core::evidence::{Evidence, RevocationBasis, Strategy};
use verifier_core::health::{Health, HealthNote};
use verifier_core::identity::Identity;
use verifier_core::policy::{Role, ValidationPolicy};
use verifier_core::revocation::{
    CouldNotAsk, RevocationChecker, RevocationList, RevocationQuery, RevocationStatus,
};
use verifier_core::runtime::Env;
use verifier_core::time::{Instant, Now, WallTime};
use verifier_core::token::{Digest, Shape};
use verifier_core::verifier::{Asked, ClaimsFrom, Judged, TokenVerifier, Verdict, VerifyRequest};

use crate::alarm::Alarm;
use crate::config::{ConfigError, HybridConfig, Opaque};
use crate::decide::{self, Opinion, Terms};

/// A [`TokenVerifier`] that accepts a token if it is good by its signature and claims, and if nobody who must be asked
/// says that it was revoked, on knowledge no older than the freshness.
///
/// A token that the local side rejects is rejected, and nobody is asked. A verification checks one signature, whether
/// or not somebody has to be asked; where nobody has to be, it allocates nothing of its own.
#[derive(Debug)]
pub struct HybridVerifier {
    local: Arc<dyn TokenVerifier>,
    checkers: Box<[Arc<dyn RevocationChecker>]>,
    list: Option<Arc<dyn RevocationList>>,
    policy: ValidationPolicy,
    env: Env,
    config: HybridConfig,
    /// What is known of an opaque token before its issuer has been asked.
    nobody: Identity,
    mismatch: Alarm,
    stale: Alarm,
}

impl HybridVerifier {
    /// A verifier whose local verdicts come from `local`, and statuses from all of `checkers`.
    ///
    /// `policy` is what `local` was built with; a request's own replaces both. Where the service is to see the
    /// introspection answer's claims ([`ClaimsFrom::Introspection`]), the answer has to satisfy all of it, and `local`
    /// has to be built with [`Role::Corroborates`], so that a slim token passes.
    ///
    /// `local` has to reject a token that it can't read as a JWT with [`Rejection::NotAJwt`]; only those are handed on
    /// by [`Opaque::Introspect`]. Checkers are given the request's deadline, and have to keep it.
    pub fn builder(
        local: Arc<dyn TokenVerifier>,
        checkers: Vec<Arc<dyn RevocationChecker>>,
        policy: ValidationPolicy,
        env: Env,
    ) -> HybridBuilder {
        HybridBuilder { local, checkers, policy, env, list: None, config: HybridConfig::default() }
    }

    /// The settings.
    pub const fn config(&self) -> &HybridConfig {
        &self.config
    }

    /// Goes on from the local verdict. `waited`: somebody has been awaited since the request arrived.
    fn after_local<'a>(
        &'a self,
        request: &'a VerifyRequest<'a>,
        verdict: Verdict,
        waited: bool,
    ) -> Asked<'a, Verdict> {
        let judged = match verdict {
            Ok(judged) => judged,
            Err(VerifyError::Rejected(Rejection::NotAJwt)) => return self.opaque(request),
            Err(error) => return Asked::Ready(Err(error)),
        };
        let who = *judged.facts().identity();
        if let Err(revoked) = self.not_revoked(&who, request.token.digest()) {
            return Asked::Ready(Err(revoked));
        }
        // No answer makes good what the bearer can't prove.
        if let Err(unproven) = judged.judge_binding(&request.presentation) {
            return Asked::Ready(Err(unproven.into()));
        }
        if decide::is_exempt(self.config.check_when, request.freshness, judged.facts().lifetime()) {
            return Asked::Ready(self.accept(
                request,
                judged,
                Answers::default(),
                RevocationBasis::Exempt,
                waited,
            ));
        }

        let terms = Terms::new(&self.config, request.arrival, request.freshness);
        let query = RevocationQuery::new(request, &who, terms.freshness, judged.facts().expires_at());
        let mut gathered = Gathered { opinion: Opinion::None, answers: Answers::default() };
        let mut pending = Vec::new();
        for (place, checker) in self.checkers.iter().enumerate() {
            match checker.status(&query) {
                Asked::Ready(answer) => self.gather(&mut gathered, place, answer, &who, &terms),
                Asked::Pending(asked) => pending.push((place, asked)),
            }
            if gathered.is_rejected() {
                break;
            }
        }
        if pending.is_empty() || gathered.is_rejected() {
            return Asked::Ready(self.conclude(request, judged, gathered, waited));
        }
        Asked::Pending(self.ask(request, judged, gathered, pending, terms))
    }

    /// Waits for those who have to be asked, all at once; the first rejection ends it.
    fn ask<'a>(
        &'a self,
        request: &'a VerifyRequest<'a>,
        judged: Judged,
        mut gathered: Gathered,
        pending: Vec<(usize, BoxFuture<'a, Result<RevocationStatus, CouldNotAsk>>)>,
        terms: Terms,
    ) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let who = *judged.facts().identity();
            let mut open: FuturesUnordered<_> =
                pending.into_iter().map(|(place, asked)| async move { (place, asked.await) }).collect();
            while let Some((place, answer)) = open.next().await {
                self.not_revoked(&who, request.token.digest())?;
                self.gather(&mut gathered, place, answer, &who, &terms);
                if gathered.is_rejected() {
                    break;
                }
            }
            self.conclude(request, judged, gathered, true)
        })
    }

    /// Adds what a checker says. An answer about somebody else is a rejection and an alarm.
    fn gather(
        &self,
        gathered: &mut Gathered,
        place: usize,
        answer: Result<RevocationStatus, CouldNotAsk>,
        who: &Identity,
        terms: &Terms,
    ) {
        let Some(checker) = self.checkers.get(place) else { return };
        let (mut opinion, facts) = decide::judge(answer, checker.source(), terms);
        if let Some(facts) = facts {
            match decide::cross_check(who, facts.identity(), self.config.identity) {
                Ok(()) => gathered.answers.add(place, facts),
                Err(mismatch) => {
                    self.alarm_of_mismatch();
                    opinion = Opinion::Reject(mismatch);
                }
            }
        }
        gathered.opinion = gathered.opinion.and(opinion, terms.arrival);
    }

    /// The verdict, once all who must be heard have spoken.
    fn conclude(
        &self,
        request: &VerifyRequest<'_>,
        judged: Judged,
        gathered: Gathered,
        waited: bool,
    ) -> Verdict {
        let basis = gathered.opinion.settled()?;
        if matches!(basis, RevocationBasis::Stale { .. }) {
            self.alarm_of_stale();
        }
        self.accept(request, judged, gathered.answers, basis, waited)
    }

    /// The last checks of this strategy: the list over all that is known of the identity by now, then the policy over
    /// the answers, and once more over the token if time has passed.
    fn accept(
        &self,
        request: &VerifyRequest<'_>,
        judged: Judged,
        answers: Answers,
        basis: RevocationBasis,
        waited: bool,
    ) -> Verdict {
        let token = request.token.digest();
        let who = judged.facts().identity();
        self.not_revoked(who, token)?;
        let mut merged = *who;
        for answer in answers.iter() {
            let answered = answer.identity();
            merged = merged.merged(answered);
            self.not_revoked(answered, token)?;
            self.not_revoked(&who.merged(answered), token)?;
            self.not_revoked(&merged, token)?;
        }

        let policy = request.policy.unwrap_or(&self.policy);
        let at = if waited { self.later(request.arrival.wall) } else { request.arrival.wall };
        let (token_role, answer_role) = match self.config.claims {
            ClaimsFrom::Introspection => (Role::Corroborates, Role::Decides),
            _ => (Role::Decides, Role::Corroborates),
        };
        if waited {
            policy.judge(judged.facts(), at, token_role)?;
        }
        if answer_role == Role::Decides && answers.first.is_none() {
            // A checker that tells no claims can't be what the service sees: a contradiction in the set-up.
            return Err(UnavailableReason::Misconfigured.into());
        }
        for (n, answer) in answers.iter().enumerate() {
            policy.judge(answer, at, if n == 0 { answer_role } else { Role::Corroborates })?;
        }

        let mut evidence: Evidence = *judged.evidence();
        evidence.strategy = Strategy::Hybrid;
        evidence.revocation = basis;
        let answer = answers.first.map(|(_, facts)| facts);
        Ok(judged.with_answer(answer, self.config.claims).with_evidence(evidence))
    }

    /// A token that is no JWT: by configuration rejected, or verified by somebody else. Only the shape decides, so
    /// that no token that failed the local check is handed on to be saved.
    fn opaque<'a>(&'a self, request: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        let Opaque::Introspect(other) = &self.config.opaque else {
            return Asked::Ready(Err(Rejection::NotAJwt.into()));
        };
        if !matches!(request.token.shape(), Ok(Shape::Opaque)) {
            return Asked::Ready(Err(Rejection::NotAJwt.into()));
        }
        if let Err(revoked) = self.not_revoked(&self.nobody, request.token.digest()) {
            return Asked::Ready(Err(revoked));
        }
        match other.verify(request) {
            Asked::Ready(verdict) => Asked::Ready(self.judge_opaque(request, verdict)),
            Asked::Pending(asked) => Asked::Pending(Box::pin(async move {
                let verdict = asked.await;
                self.judge_opaque(request, verdict)
            })),
        }
    }

    /// The other verifier's verdict under this one's promises: the list, and the freshness.
    fn judge_opaque(&self, request: &VerifyRequest<'_>, verdict: Verdict) -> Verdict {
        let token = request.token.digest();
        self.not_revoked(&self.nobody, token)?;
        let judged = verdict?;
        for facts in std::iter::once(judged.facts()).chain(judged.answer()) {
            self.not_revoked(facts.identity(), token)?;
        }
        let terms = Terms::new(&self.config, request.arrival, request.freshness);
        let (as_of, up_to) = match judged.evidence().revocation {
            RevocationBasis::Active { as_of, .. } => (as_of, terms.freshness),
            RevocationBasis::Stale { as_of, .. } => {
                // Whoever else allows it: here the configuration of this verifier decides.
                (as_of, terms.stale.ok_or(UnavailableReason::TooStale)?)
            }
            _ => return Err(UnavailableReason::NoRevocationSource.into()),
        };
        if request.arrival.since(as_of) > up_to {
            return Err(UnavailableReason::TooStale.into());
        }
        if matches!(judged.evidence().revocation, RevocationBasis::Stale { .. }) {
            self.alarm_of_stale();
        }
        Ok(judged)
    }

    fn not_revoked(&self, who: &Identity, token: Digest) -> Result<(), VerifyError> {
        match self.list.as_ref().and_then(|list| list.revokes(who, token)) {
            Some(_) => Err(Rejection::Revoked.into()),
            None => Ok(()),
        }
    }

    /// The time by now, never earlier than the arrival: a clock that is set back revives nothing.
    fn later(&self, arrival: WallTime) -> WallTime {
        self.env.clock.now().wall.max(arrival)
    }

    fn alarm_of_mismatch(&self) {
        if self.mismatch.ring(self.env.clock.now().monotonic) {
            #[cfg(feature = "tracing")]
            tracing::error!(
                code = Rejection::IdentityMismatch.code(),
                "an introspection answer speaks of another token than the one that was asked about"
            );
        }
    }

    fn alarm_of_stale(&self) {
        if self.stale.ring(self.env.clock.now().monotonic) {
            #[cfg(feature = "tracing")]
            tracing::warn!(
                "accepting tokens on stale revocation statuses, as configured: their server can't be asked"
            );
        }
    }
}

impl TokenVerifier for HybridVerifier {
    fn verify<'a>(&'a self, request: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        match self.local.verify(request) {
            Asked::Ready(verdict) => self.after_local(request, verdict, false),
            Asked::Pending(asked) => Asked::Pending(Box::pin(async move {
                let verdict = asked.await;
                self.after_local(request, verdict, true).await
            })),
        }
    }

    /// The local side's readiness alone: that a status can't be had now is told per request, by a verdict, and must
    /// not take the whole service out of rotation.
    fn ready<'a>(&'a self, deadline: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        self.local.ready(deadline)
    }

    fn health(&self, now: Now) -> Health {
        let local = self.local.health(now);
        let mut health = Health::new(local.issuer.clone(), Strategy::Hybrid);
        health.ready = local.ready;
        if self.mismatch.is_ringing(now.monotonic) {
            health.notes.push(HealthNote::IdentityMismatch);
        }
        health.parts.push(local);
        if let Opaque::Introspect(other) = &self.config.opaque {
            health.parts.push(other.health(now));
        }
        health
    }
}

/// What has been heard so far.
struct Gathered {
    opinion: Opinion,
    answers: Answers,
}

impl Gathered {
    const fn is_rejected(&self) -> bool {
        matches!(self.opinion, Opinion::Reject(_))
    }
}

/// What servers said of the token; that of the first checker counts as *the* answer. One takes no allocation.
#[derive(Default)]
struct Answers {
    first: Option<(usize, Arc<Facts>)>,
    others: Vec<Arc<Facts>>,
}

impl Answers {
    fn add(&mut self, place: usize, facts: Arc<Facts>) {
        match self.first.take() {
            None => self.first = Some((place, facts)),
            Some((earlier, first)) if earlier < place => {
                self.first = Some((earlier, first));
                self.others.push(facts);
            }
            Some((_, later)) => {
                self.others.push(later);
                self.first = Some((place, facts));
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Facts>> {
        self.first.iter().map(|(_, facts)| facts).chain(&self.others)
    }
}

/// Builds a [`HybridVerifier`].
#[derive(Debug)]
#[must_use]
pub struct HybridBuilder {
    local: Arc<dyn TokenVerifier>,
    checkers: Vec<Arc<dyn RevocationChecker>>,
    policy: ValidationPolicy,
    env: Env,
    list: Option<Arc<dyn RevocationList>>,
    config: HybridConfig,
}

impl HybridBuilder {
    /// Consults this list before anybody is asked, and after every wait.
    pub fn revocations(mut self, list: Arc<dyn RevocationList>) -> Self {
        self.list = Some(list);
        self
    }

    /// With these settings.
    pub fn config(mut self, config: HybridConfig) -> Self {
        self.config = config;
        self
    }

    /// The verifier. Asks nobody, and needs no runtime.
    ///
    /// # Errors
    /// [`ConfigError::NoChecker`]; the others where settings contradict each other.
    pub fn build(self) -> Result<HybridVerifier, ConfigError> {
        self.config.validate()?;
        if self.checkers.is_empty() {
            return Err(ConfigError::NoChecker);
        }
        let issuer = self.local.health(self.env.clock.now()).issuer.unwrap_or_default();
        Ok(HybridVerifier {
            local: self.local,
            checkers: self.checkers.into_boxed_slice(),
            list: self.list,
            policy: self.policy,
            env: self.env,
            config: self.config,
            nobody: Identity::new(&issuer, None, None, None, None, None),
            mismatch: Alarm::default(),
            stale: Alarm::default(),
        })
    }
}

#[cfg(test)]
mod tests;
