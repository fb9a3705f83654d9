//! The introspection endpoint of one issuer.

use verifier_core::runtime::Env;
use verifier_introspect::{
    AnswerFreshness, Cache, ClientAuth, EndpointSource, IntrospectionConfig, Introspector, SecretSource,
};
use verifier_jwks::JwksVerifier;

use super::issuer::Site;
use super::source::environment;
use super::{Workshop, naming, positive};
use crate::config::{
    ClientAuthName, ConfigError, FreshnessSetting, IntrospectionSection, IssuerConfig, SecretRef, WhenUnknown,
};

impl IssuerConfig {
    /// Asks and keeps answers for this issuer. `keys` check those that have to be signed.
    pub(super) fn introspector(
        &self,
        workshop: &Workshop<'_>,
        site: &Site,
        keys: Option<&JwksVerifier>,
    ) -> Result<Introspector, ConfigError> {
        let Some(section) = &self.introspection else {
            return Err(ConfigError::invalid(
                "introspection",
                "this strategy asks the introspection endpoint: an [issuer.introspection] section is needed",
            ));
        };
        let mut config = section.config()?;
        if let Some(keys) = keys {
            config.signed_answers = self.signed_by(keys)?;
        }
        if let Some(revocation) = &self.revocation {
            match revocation.freshness {
                Some(FreshnessSetting::AtMost(span)) => {
                    config.freshness = AnswerFreshness::AtMost(span.get())
                }
                Some(FreshnessSetting::UntilExpiry) => config.freshness = AnswerFreshness::UntilExpiry,
                None => {}
            }
            if let Some(WhenUnknown::AllowStale(up_to)) = revocation.when_unknown {
                config.stale_allowance = up_to.get();
            }
        }
        let transport = self.transport(workshop, site)?;
        let endpoint = match &section.endpoint {
            Some(text) => {
                EndpointSource::Fixed(self.endpoint("introspection.endpoint", text, site.schemes)?)
            }
            None => EndpointSource::Discovered {
                discovery: self.discovery(site, &transport, config.limits, "introspection.endpoint")?,
                schemes: site.schemes,
                allow_foreign_site: false,
            },
        };
        let env: Env = workshop.env.clone();
        let log = workshop.revocations.log(site.rules.issuer());
        Introspector::builder(site.rules.clone(), endpoint, config, transport, env)
            .log(log)
            .build()
            .map_err(|error| naming::introspection(&error))
    }
}

impl IntrospectionSection {
    fn config(&self) -> Result<IntrospectionConfig, ConfigError> {
        let mut config = IntrospectionConfig::new(self.client_auth()?);
        config.token_type_hint = self.token_type_hint.unwrap_or(true);
        config.parameters = self.parameters.clone().into_iter().collect();
        config.headers = self.headers.clone().into_iter().collect();
        match (self.cache, self.max_entries) {
            (Some(false), Some(entries)) => {
                return Err(ConfigError::invalid(
                    "introspection.max_entries",
                    format_args!("{entries} contradicts cache = false"),
                ));
            }
            (Some(false), None) => config.cache = Cache::Off,
            (_, Some(entries)) => {
                let entries = u64::try_from(entries).unwrap_or(u64::MAX);
                config.cache = Cache::Bounded { active: entries, negative: entries };
            }
            _ => {}
        }
        if let Some(ttl) = self.negative_ttl {
            config.negative_ttl = ttl.get();
        }
        if let Some(timeout) = self.timeout {
            config.limits.total = positive("introspection.timeout", timeout.get())?;
            config.limits.connect = config.limits.connect.min(config.limits.total);
        }
        if let Some(connect) = self.connect_timeout {
            config.limits.connect = positive("introspection.connect_timeout", connect.get())?;
        }
        if let Some(size) = self.max_size {
            config.limits.body = size;
        }
        if let Some(calls) = self.max_concurrent {
            config.upstream = config.upstream.with_max_concurrent(calls);
        }
        Ok(config)
    }

    /// RFC 7662 §2.1: how we show who we are.
    fn client_auth(&self) -> Result<ClientAuth, ConfigError> {
        let method = self.client_auth.unwrap_or(match (&self.client_id, &self.client_secret) {
            (None, None) => ClientAuthName::None,
            _ => ClientAuthName::ClientSecretBasic,
        });
        let secret = || -> Result<SecretSource, ConfigError> {
            const KEY: &str = "introspection.client_secret";
            match &self.client_secret {
                Some(SecretRef::Env(name)) => {
                    Ok(SecretSource::Value(verifier_core::secret::Secret::new(environment(KEY, name)?)))
                }
                Some(SecretRef::File(path)) => Ok(SecretSource::File(path.clone())),
                None => Err(ConfigError::invalid(
                    KEY,
                    "is needed by this client_auth: { env = \"NAME\" } or { file = \"PATH\" }",
                )),
            }
        };
        let client_id = || {
            self.client_id.clone().ok_or_else(|| {
                ConfigError::invalid("introspection.client_id", "is needed by this client_auth")
            })
        };
        Ok(match method {
            ClientAuthName::None => {
                if self.client_id.is_some() || self.client_secret.is_some() {
                    return Err(ConfigError::invalid(
                        "introspection.client_auth",
                        "\"none\" contradicts client_id or client_secret, which would not be sent",
                    ));
                }
                ClientAuth::None
            }
            ClientAuthName::ClientSecretBasic | ClientAuthName::ClientSecretBasicRaw => ClientAuth::Basic {
                client_id: client_id()?,
                secret: secret()?,
                raw: method == ClientAuthName::ClientSecretBasicRaw,
            },
            ClientAuthName::ClientSecretPost => {
                ClientAuth::Post { client_id: client_id()?, secret: secret()? }
            }
            ClientAuthName::Bearer => ClientAuth::Bearer { token: secret()? },
        })
    }
}
