//! What is allowed and will hurt.

use std::fmt;

use verifier_jwks::config::DEFAULT_COOLDOWN;

use super::{FreshnessSetting, IssuerConfig, StrategyName, VerifierConfig};

/// A setting that is allowed and likely to be regretted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigWarning {
    key: Box<str>,
    message: Box<str>,
}

impl ConfigWarning {
    fn new(n: usize, key: &str, message: &str) -> Self {
        Self { key: format!("issuer[{n}].{key}").into(), message: message.into() }
    }

    /// The key, from the top of the document.
    pub fn key_path(&self) -> &str {
        &self.key
    }

    /// What it leads to.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl VerifierConfig {
    /// What is allowed and will hurt. A configuration may be built with any number of these.
    pub fn warnings(&self) -> Vec<ConfigWarning> {
        self.issuer.iter().enumerate().flat_map(|(n, section)| section.warnings(n)).collect()
    }
}

impl IssuerConfig {
    fn warnings(&self, n: usize) -> Vec<ConfigWarning> {
        let mut warnings = Vec::new();
        let mut warn = |key: &str, message: &str| warnings.push(ConfigWarning::new(n, key, message));
        if self.strategy == StrategyName::Jwks && self.max_lifetime.is_none() && self.max_age.is_none() {
            warn(
                "max_lifetime",
                "strategy jwks can't see revocations, and nothing bounds how long a revoked token goes on working; set \
                 max_lifetime to what you rely on, or use hybrid",
            );
        }
        if self.profile.as_deref() == Some("cognito")
            && self.audience.is_some()
            && self.audience_claim.is_none()
        {
            warn(
                "audience_claim",
                "Cognito's access tokens have aud only where clients ask for a resource (resource binding); \
                 audience_claim = \"client_id\" compares the app client instead",
            );
        }
        let freshness = self.revocation.as_ref().and_then(|section| section.freshness);
        match freshness {
            Some(FreshnessSetting::AtMost(span)) if span.get().is_zero() => warn(
                "revocation.freshness",
                "every request asks the authorization server, and every outage of it is an outage of yours; demand \
                 live answers on the routes that need them instead",
            ),
            Some(FreshnessSetting::UntilExpiry) => warn(
                "revocation.freshness",
                "\"exp\" notices a revocation only through events: a revoked token goes on working until it expires",
            ),
            _ => {}
        }
        if self.introspection.as_ref().is_some_and(|section| section.cache == Some(false)) {
            warn("introspection.cache", "without it every request asks the authorization server");
        }
        if self.danger_accept_any_audience {
            warn(
                "danger_accept_any_audience",
                "a token that was issued for another service, and stolen there, is accepted here",
            );
        }
        if self.danger_accept_id_tokens {
            warn(
                "danger_accept_id_tokens",
                "whoever has an account at this issuer gets such a token for your audience: compare the subject of each \
                 with those that may call",
            );
        }
        if self.danger_accept_missing_issuer {
            warn("danger_accept_missing_issuer", "tokens that don't say who made them are accepted");
        }
        if self.danger_allow_http {
            warn(
                "danger_allow_http",
                "whoever is on the path to the authorization server reads tokens and secrets, and can replace keys",
            );
        }
        if self.revocation.as_ref().is_some_and(|section| section.danger_skip_identity_check) {
            warn(
                "revocation.danger_skip_identity_check",
                "an answer that names nobody is taken to speak of this token",
            );
        }
        if let Some(keys) = &self.keys {
            let cooldown = keys.cooldown.map_or(DEFAULT_COOLDOWN, |span| span.get());
            if keys.max_age.is_some_and(|age| age.get() < cooldown) {
                warn(
                    "keys.max_age",
                    "is under keys.cooldown (30s unless set): refreshing by age takes the place of refreshing for keys \
                     that aren't known yet, whose tokens are refused meanwhile",
                );
            }
        }
        if self.keys.as_ref().is_some_and(|keys| keys.secret.is_some() || !keys.secrets.is_empty()) {
            warn("keys.secret", "whoever can verify with a shared secret can also sign with it");
        }
        warnings
    }
}
