//! Introspection whose answers are signed: the keys that check them are the issuer's, and part of what has to be ready.

use verifier_core::algorithm::Algorithm;
use verifier_core::error::Unavailable;
use verifier_core::health::Health;
use verifier_core::policy::Role;
use verifier_core::time::{Instant, Now};
use verifier_core::verifier::{Asked, TokenVerifier, Verdict, VerifyRequest};
use verifier_introspect::{IntrospectionVerifier, SignedAnswers};
use verifier_jwks::JwksVerifier;

use super::Workshop;
use super::issuer::Site;
use crate::config::{ConfigError, IssuerConfig, KeysSection};

impl IssuerConfig {
    /// The registered algorithm and our audience, if signed answers are demanded.
    pub(super) fn signed_answers(&self) -> Option<(Algorithm, Option<&str>)> {
        self.introspection.as_ref()?.signed_answers.as_ref()?.demanded()
    }

    /// The issuer's keys for nothing but its answers: of the one algorithm that these are signed with, so that a key
    /// which doesn't name its own is no riddle.
    pub(super) fn answer_keys(
        &self,
        workshop: &Workshop<'_>,
        site: &Site,
        algorithm: Algorithm,
    ) -> Result<JwksVerifier, ConfigError> {
        let mut section = self.clone();
        section
            .keys
            .get_or_insert_with(KeysSection::default)
            .algorithms
            .get_or_insert_with(|| vec![algorithm]);
        section.verified_tokens = Some(crate::config::VerifiedTokensSection::Switch(false));
        section.local(workshop, site, Role::Decides)
    }

    /// What the introspector is told, with keys that it shares with `local`.
    ///
    /// # Errors
    /// If these keys would never fit.
    pub(super) fn signed_by(&self, local: &JwksVerifier) -> Result<Option<SignedAnswers>, ConfigError> {
        let Some((algorithm, audience)) = self.signed_answers() else { return Ok(None) };
        let allowed = self.keys.as_ref().and_then(|keys| keys.algorithms.as_deref());
        if let Some(allowed) = allowed.filter(|allowed| !allowed.contains(&algorithm)) {
            let names: Vec<&str> = allowed.iter().map(|one| one.name()).collect();
            return Err(ConfigError::invalid(
                "introspection.signed_answers.algorithm",
                format_args!(
                    "{algorithm} is not among keys.algorithms, {}: no key would ever fit an answer",
                    names.join(", ")
                ),
            ));
        }
        let mut signed = SignedAnswers::new(local.keys());
        signed.algorithm = algorithm;
        signed.audience = audience.map(str::to_owned);
        if let Some(leeway) = self.leeway {
            signed.leeway = leeway.get();
        }
        Ok(Some(signed))
    }
}

/// Introspection that needs keys: ready when both are, and showing both.
#[derive(Debug)]
pub(super) struct SignedIntrospection {
    pub(super) introspection: IntrospectionVerifier,
    pub(super) keys: JwksVerifier,
}

impl TokenVerifier for SignedIntrospection {
    fn verify<'a>(&'a self, request: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        self.introspection.verify(request)
    }

    fn ready<'a>(&'a self, deadline: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        match (self.keys.ready(deadline), self.introspection.ready(deadline)) {
            (Asked::Ready(Ok(())), other) => other,
            (Asked::Ready(Err(why)), _) => Asked::Ready(Err(why)),
            (keys, endpoint) => Asked::Pending(Box::pin(async move {
                keys.await?;
                endpoint.await
            })),
        }
    }

    fn health(&self, now: Now) -> Health {
        let mut health = self.introspection.health(now);
        let keys = self.keys.health(now);
        if health.ready.is_ok() {
            health.ready = keys.ready;
        }
        health.parts.push(keys);
        health
    }
}
