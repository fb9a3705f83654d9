//! What a [`JwksVerifier`] is built from, and what is refused.

use std::sync::Arc;

use verifier_core::algorithm::{Algorithm, AlgorithmSet};
use verifier_core::jwk::KeyRules;
use verifier_core::policy::{IssuerRules, Role, ValidationPolicy};
use verifier_core::runtime::Env;
use verifier_core::signature::SignatureBackend;

use super::{JwksVerifier, Parts};
use crate::config::{ConfigError, RefreshConfig, VerifiedTokensConfig};
use crate::source::KeySource;
use crate::store::{KeyStore, Reading};
use crate::verified_tokens::VerifiedTokens;

/// Settings of a [`JwksVerifier`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    rules: IssuerRules,
    policy: ValidationPolicy,
    source: Arc<dyn KeySource>,
    env: Env,
    role: Role,
    key_rules: KeyRules,
    backend: Option<Arc<dyn SignatureBackend>>,
    refresh: RefreshConfig,
    verified_tokens: Option<VerifiedTokensConfig>,
}

impl Builder {
    pub(super) fn new(
        rules: IssuerRules,
        policy: ValidationPolicy,
        source: Arc<dyn KeySource>,
        env: Env,
    ) -> Self {
        Self {
            rules,
            policy,
            source,
            env,
            role: Role::Decides,
            key_rules: KeyRules::new(AlgorithmSet::ASYMMETRIC),
            backend: None,
            refresh: RefreshConfig::default(),
            verified_tokens: Some(VerifiedTokensConfig::default()),
        }
    }

    /// The allowed algorithms (RFC 8725 §3.1). Default: [`AlgorithmSet::ASYMMETRIC`].
    pub fn algorithms(mut self, algorithms: AlgorithmSet) -> Self {
        self.key_rules.algorithms = algorithms;
        self
    }

    /// The algorithm of published keys that name none and fit several allowed ones; without it they are skipped.
    pub fn algorithm_when_absent(mut self, algorithm: Option<Algorithm>) -> Self {
        self.key_rules.algorithm_when_absent = algorithm;
        self
    }

    /// All that a published key must be, the allowed algorithms included. Secrets are never taken from a document.
    pub fn key_rules(mut self, rules: KeyRules) -> Self {
        self.key_rules = rules;
        self
    }

    /// The cryptography library. Default: aws-lc, with the feature `aws-lc-rs`.
    pub fn backend(mut self, backend: Arc<dyn SignatureBackend>) -> Self {
        self.backend = Some(backend);
        self
    }

    /// When the key set is fetched.
    pub fn refresh(mut self, refresh: RefreshConfig) -> Self {
        self.refresh = refresh;
        self
    }

    /// The bounds of the cache of verified tokens; `None` switches it off.
    pub fn verified_tokens(mut self, bounds: Option<VerifiedTokensConfig>) -> Self {
        self.verified_tokens = bounds;
        self
    }

    /// How much of the policy the token itself has to satisfy. Default: all of it.
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// The verifier. Asks nobody.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn build(self) -> Result<JwksVerifier, ConfigError> {
        self.refresh.validate()?;
        self.judge_algorithms()?;
        let backend = self.backend.or_else(default_backend).ok_or(ConfigError::NoBackend)?;
        let algorithms = self.key_rules.algorithms;
        let reading = Reading::new(self.key_rules, self.refresh.max_keys, backend);
        let keys = KeyStore::new(self.source, reading, self.refresh, self.env.clone())?;
        judge_fixed(&keys, algorithms)?;
        let tokens = self.verified_tokens.map(VerifiedTokens::new).transpose()?;
        Ok(JwksVerifier {
            parts: Arc::new(Parts {
                rules: self.rules,
                policy: self.policy,
                role: self.role,
                algorithms,
                keys,
                tokens,
                env: self.env,
            }),
        })
    }

    fn judge_algorithms(&self) -> Result<(), ConfigError> {
        let allowed = self.key_rules.algorithms;
        if allowed.is_empty() {
            return Err(ConfigError::NoAlgorithms);
        }
        let symmetric = allowed.iter().find(|algorithm| algorithm.is_symmetric());
        let asymmetric = allowed.iter().find(|algorithm| !algorithm.is_symmetric());
        if let (Some(symmetric), Some(asymmetric)) = (symmetric, asymmetric) {
            return Err(ConfigError::MixedAlgorithms { symmetric, asymmetric });
        }
        if let Some(algorithm) = symmetric
            && self.source.fixed().is_none()
        {
            return Err(ConfigError::PublishedSecret { algorithm });
        }
        match self.key_rules.algorithm_when_absent {
            Some(algorithm) if !allowed.contains(algorithm) => {
                Err(ConfigError::WhenAbsentNotAllowed { algorithm })
            }
            _ => Ok(()),
        }
    }
}

/// Keys that never change have to be for allowed algorithms, each: one that isn't would never be used.
fn judge_fixed(keys: &KeyStore, allowed: AlgorithmSet) -> Result<(), ConfigError> {
    let stray = keys.with_keys(|keys| {
        keys.keys().iter().map(|key| key.algorithm()).find(|algorithm| !allowed.contains(*algorithm))
    });
    match stray.flatten() {
        Some(algorithm) => Err(ConfigError::KeyNotAllowed { algorithm }),
        None => Ok(()),
    }
}

#[cfg(feature = "aws-lc-rs")]
fn default_backend() -> Option<Arc<dyn SignatureBackend>> {
    Some(Arc::new(verifier_core::signature::AwsLc))
}

#[cfg(not(feature = "aws-lc-rs"))]
const fn default_backend() -> Option<Arc<dyn SignatureBackend>> {
    None
}
