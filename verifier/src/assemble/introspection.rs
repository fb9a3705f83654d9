//! The introspection endpoint of one issuer.

use verifier_core::runtime::Env;
use verifier_introspect::{
    AnswerFreshness, Cache, ClientAuth, EndpointSource, IntrospectionConfig, Introspector,
};
use verifier_jwks::JwksVerifier;

use super::issuer::Site;
use super::{Workshop, naming, positive};
use crate::config::{ConfigError, FreshnessSetting, IntrospectionSection, IssuerConfig, WhenUnknown};

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
        let transport = self.introspection_transport(workshop, site, section)?;
        let client_auth = self.client_auth(section, site, &transport)?;
        let mut config = section.config(client_auth)?;
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
    fn config(&self, client_auth: ClientAuth) -> Result<IntrospectionConfig, ConfigError> {
        let mut config = IntrospectionConfig::new(client_auth);
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
}
