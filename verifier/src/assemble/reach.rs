//! What a section says about its server, for who wants to look at that server with the verifier's own eyes: the same
//! way there, the same rules for what is found.

use std::sync::Arc;

use verifier_core::endpoint::Schemes;
use verifier_core::jwk::KeyRules;
use verifier_core::policy::{IssuerRules, ValidationPolicy};
use verifier_core::signature::SignatureBackend;
use verifier_core::transport::HttpTransport;
use verifier_jwks::RefreshConfig;

use super::Workshop;
use super::issuer::Site;
use super::keys::signatures;
use crate::backends::Backends;
use crate::config::{ConfigError, IssuerConfig};

/// How one issuer's server is reached, and by which rules what it publishes is judged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reach {
    /// Sends requests by the section's `connect`, `ca_file` and `proxy`.
    pub transport: Arc<dyn HttpTransport>,
    /// Sends questions about tokens: the same way, showing our certificate where one is configured for them.
    pub asking: Arc<dyn HttpTransport>,
    /// Which addresses may be asked.
    pub schemes: Schemes,
    /// The issuer's names, and what its access tokens look like.
    pub rules: IssuerRules,
    /// What the service demands of a token.
    pub policy: ValidationPolicy,
    /// Which keys are usable.
    pub key_rules: KeyRules,
    /// How the key set is fetched and kept; `limits()` are those of a fetch.
    pub refresh: RefreshConfig,
    /// What checks signatures.
    pub signatures: Arc<dyn SignatureBackend>,
}

impl IssuerConfig {
    /// How this issuer's server is reached. Asks nobody.
    ///
    /// # Errors
    /// [`ConfigError`], as [`VerifierConfig::build`](crate::VerifierConfig::build), for the keys that matter here.
    pub fn reach(&self) -> Result<Reach, ConfigError> {
        let backends = Backends::default();
        let env = backends.env();
        let revocations = Arc::new(verifier_hybrid::Revocations::new(Arc::clone(&env.clock)));
        let workshop = Workshop { backends: &backends, env, revocations };
        let site = Site {
            rules: self.rules(&self.names()?)?,
            policy: self.policy()?,
            schemes: if self.danger_allow_http { Schemes::DangerPlainHttp } else { Schemes::Secure },
        };
        let keys = self.keys.clone().unwrap_or_default();
        let key_rules = keys.key_rules(keys.allowed()?)?;
        let transport = self.transport(&workshop, &site)?;
        let asking = match &self.introspection {
            Some(section) => self.introspection_transport(&workshop, &site, section)?,
            None => Arc::clone(&transport),
        };
        Ok(Reach {
            transport,
            asking,
            key_rules,
            refresh: keys.refresh()?,
            signatures: signatures(&workshop)?,
            schemes: site.schemes,
            rules: site.rules,
            policy: site.policy,
        })
    }
}
