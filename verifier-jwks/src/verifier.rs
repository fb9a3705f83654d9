//! Verification of JWTs by signature and claims, with the keys that the issuer publishes.

mod builder;

use std::fmt;
use std::sync::Arc;

use verifier_core::algorithm::{Algorithm, AlgorithmSet};
use verifier_core::error::{Rejection, Unavailable, UnavailableReason, VerifyError};
use verifier_core::evidence::{Evidence, Strategy};
use verifier_core::health::{Health, HealthNote};
use verifier_core::jwt::UnverifiedJwt;
use verifier_core::policy::{IssuerRules, Role, ValidationPolicy};
use verifier_core::runtime::Env;
use verifier_core::time::{Instant, Now, WallTime};
use verifier_core::trusted_keys::TrustedKeys;
use verifier_core::verifier::{Asked, Judged, TokenVerifier, Verdict, VerifyRequest};

pub use self::builder::Builder;
use crate::source::KeySource;
use crate::store::{Flight, KeyStore, Look, MAX_ROUNDS, Patience, Standing};
use crate::verified_tokens::VerifiedTokens;

/// Verifies one issuer's JWT access tokens locally. Clones share keys and cache.
#[derive(Clone)]
pub struct JwksVerifier {
    parts: Arc<Parts>,
}

struct Parts {
    rules: IssuerRules,
    policy: ValidationPolicy,
    role: Role,
    algorithms: AlgorithmSet,
    keys: KeyStore,
    tokens: Option<VerifiedTokens>,
    env: Env,
}

impl JwksVerifier {
    /// A verifier of tokens of the issuer that `rules` name, under `policy` where a request brings none of its own.
    pub fn builder(
        rules: IssuerRules,
        policy: ValidationPolicy,
        source: Arc<dyn KeySource>,
        env: Env,
    ) -> Builder {
        Builder::new(rules, policy, source, env)
    }

    /// The issuer's keys, for others who check signatures of the same issuer.
    pub fn keys(&self) -> Arc<dyn TrustedKeys> {
        Arc::new(self.parts.keys.clone())
    }

    /// The store of the issuer's keys.
    pub fn store(&self) -> &KeyStore {
        &self.parts.keys
    }

    /// How many verified tokens are kept.
    pub fn verified_tokens(&self) -> usize {
        self.parts.tokens.as_ref().map_or(0, VerifiedTokens::len)
    }
}

impl TokenVerifier for JwksVerifier {
    fn verify<'a>(&'a self, request: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        match self.parts.attempt(request, request.arrival.wall, Patience::Waits) {
            Step::Done(verdict) => Asked::Ready(verdict),
            Step::Wait(flight) => Asked::Pending(Box::pin(self.parts.pursue(request, flight))),
        }
    }

    fn ready<'a>(&'a self, deadline: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        let keys = &self.parts.keys;
        match keys.is_usable(self.parts.env.clock.now()) {
            Ok(()) => Asked::Ready(Ok(())),
            Err(_) => Asked::Pending(Box::pin(keys.ready(deadline))),
        }
    }

    fn health(&self, now: Now) -> Health {
        let keys = &self.parts.keys;
        let mut health = Health::new(Some((**self.parts.rules.issuer()).into()), Strategy::Jwks);
        health.ready = keys.is_usable(now);
        let state = keys.health(now);
        if state.last_error.is_some_and(|why| why.reason() == UnavailableReason::Redirected) {
            health.notes.push(HealthNote::Redirected);
        }
        if keys.exposes_secrets() {
            health.notes.push(HealthNote::KeysExposed);
        }
        health.keys = Some(state);
        health
    }
}

/// How far one look brings a token.
enum Step {
    Done(Verdict),
    /// The keys have to be asked for; look again then.
    Wait(Flight),
}

impl Parts {
    /// Everything that can be said with what is held. Ages are judged against the arrival, the claims at `now`.
    fn attempt<'a>(&self, request: &VerifyRequest<'a>, now: WallTime, patience: Patience) -> Step {
        let usable = match self.keys.standing(request.arrival) {
            Standing::Usable { fetched_at } => Some(fetched_at),
            Standing::Overdue { fetched_at } if patience == Patience::Over => Some(fetched_at),
            _ => None,
        };
        if let Some(tokens) = &self.tokens
            && let Some(fetched_at) = usable
            && let Some(entry) = tokens.find(request.token.digest())
        {
            let verdict = self.judge(request, &entry.facts, now);
            if verdict == Err(Rejection::Expired) {
                tokens.forget(request.token.digest(), &entry);
            }
            let evidence = evidence(request, entry.key.algorithm(), fetched_at, true);
            return Step::Done(match verdict {
                Ok(()) => Ok(Judged::new(Arc::clone(&entry.facts), evidence)),
                Err(rejection) => Err(rejection.into()),
            });
        }
        self.check(request, now, patience).unwrap_or_else(|rejection| Step::Done(Err(rejection.into())))
    }

    /// RFC 7515 §5.2, RFC 9068 §4, RFC 8725 §3: cheap refusals first, the signature before the claims.
    fn check<'a>(
        &self,
        request: &VerifyRequest<'a>,
        now: WallTime,
        patience: Patience,
    ) -> Result<Step, Rejection> {
        let jwt = UnverifiedJwt::parse(request.token)?;
        let algorithm = jwt.algorithm(self.algorithms)?;
        self.rules.profile.judge_header(jwt.header())?;

        let kid = jwt.header().kid();
        let (key, fetched_at) = match self.keys.look_up(kid, algorithm, request.arrival, patience) {
            Look::Found { key, fetched_at } => (key, fetched_at),
            Look::Refused(error) => return Ok(Step::Done(Err(error))),
            Look::Wait(flight) => return Ok(Step::Wait(flight)),
        };
        let facts = Arc::new(jwt.check_signature(&key)?.facts(&self.rules)?);
        self.judge(request, &facts, now)?;
        // A newer set may have come meanwhile.
        if key.is_withdrawn() {
            return Err(Rejection::UnknownKey);
        }
        if let Some(tokens) = &self.tokens {
            tokens.keep(request.token, Arc::clone(&facts), key);
        }
        Ok(Step::Done(Ok(Judged::new(facts, evidence(request, algorithm, fetched_at, false)))))
    }

    fn judge(
        &self,
        request: &VerifyRequest<'_>,
        facts: &verifier_core::claims::Facts,
        now: WallTime,
    ) -> Result<(), Rejection> {
        request.policy.unwrap_or(&self.policy).judge(facts, now, self.role)
    }

    /// Waits for the keys, and looks again.
    async fn pursue(&self, request: &VerifyRequest<'_>, first: Flight) -> Verdict {
        let mut flight = first;
        for _ in 0..MAX_ROUNDS {
            let landed = self.keys.landed(flight, request.deadline).await;
            let patience = if landed.is_ok() { Patience::Waits } else { Patience::Over };
            // A clock that was set back meanwhile makes no expired token good.
            let now = self.env.clock.now().wall.max(request.arrival.wall);
            match (self.attempt(request, now, patience), landed) {
                (Step::Done(verdict), _) => return verdict,
                (Step::Wait(_), Err(over)) => return Err(over.into()),
                (Step::Wait(next), Ok(())) => flight = next,
            }
        }
        Err(VerifyError::from(UnavailableReason::KeysUnconfirmed))
    }
}

fn evidence(
    request: &VerifyRequest<'_>,
    algorithm: Algorithm,
    fetched_at: Option<Now>,
    from_cache: bool,
) -> Evidence {
    let mut evidence = Evidence::new(Strategy::Jwks);
    evidence.algorithm = Some(algorithm);
    evidence.from_cache = from_cache;
    evidence.key_set_age = fetched_at.map(|fetched_at| request.arrival.since(fetched_at));
    evidence
}

impl fmt::Debug for JwksVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksVerifier")
            .field("issuer", self.parts.rules.issuer())
            .field("algorithms", &self.parts.algorithms)
            .field("keys", &self.parts.keys)
            .field("verified_tokens", &self.parts.tokens)
            .finish_non_exhaustive()
    }
}
