//! The transport of one issuer, and its metadata.

use std::sync::Arc;

use verifier_core::discovery::Discovery;
use verifier_core::endpoint::{Endpoint, Schemes};
use verifier_core::transport::{HttpTransport, Limits};
use verifier_http::{Roots, TransportConfig};

use super::Workshop;
use super::issuer::Site;
use crate::config::{ConfigError, IssuerConfig};

impl IssuerConfig {
    /// The registered transport, or one of the issuer's own settings.
    pub(super) fn transport(
        &self,
        workshop: &Workshop<'_>,
        site: &Site,
    ) -> Result<Arc<dyn HttpTransport>, ConfigError> {
        if let Some(transport) = &workshop.backends.transport {
            return Ok(Arc::clone(transport));
        }
        let mut config = TransportConfig::new();
        for (from, to) in &self.connect {
            // The tokens and secrets that are meant for `from` go to `to`.
            Endpoint::parse(to, site.schemes)
                .map_err(|error| ConfigError::invalid(format!("connect.{from:?}"), error))?;
            config = config.connect(from, to);
        }
        if let Some(file) = &self.ca_file {
            config = config.ca_file(file);
        } else if self.is_plain_http() {
            // No TLS, no roots to look for: they may be missing where only loopback is asked.
            config = config.roots(Roots::None);
        }
        if let Some(proxy) = &self.proxy {
            config = config.proxy(proxy);
        }
        let transport = config.build().map_err(|error| ConfigError::invalid("", error))?;
        Ok(Arc::new(transport))
    }

    /// Whether nothing that this issuer names is asked by https.
    fn is_plain_http(&self) -> bool {
        let https = |text: &str| text.starts_with("https:");
        let named = [
            self.keys.as_ref().and_then(|keys| keys.url.as_deref()),
            self.introspection.as_ref().and_then(|section| section.endpoint.as_deref()),
            Some(self.issuer.as_str()),
        ];
        !named.into_iter().flatten().any(|url| self.connected(url).is_some_and(https))
            && !self.connect.values().any(|to| https(to))
            && !self.proxy.as_deref().is_some_and(https)
    }

    /// Where requests for an address really go.
    fn connected<'a>(&'a self, url: &'a str) -> Option<&'a str> {
        Some(self.connect.iter().find(|(from, _)| url.starts_with(from.as_str())).map_or(url, |(_, to)| to))
    }

    /// The issuer's metadata.
    pub(super) fn discovery(
        &self,
        site: &Site,
        transport: &Arc<dyn HttpTransport>,
        limits: Limits,
        key: &str,
    ) -> Result<Discovery, ConfigError> {
        // A detour to plain http was judged by itself; the issuer's own scheme is no matter then.
        let schemes =
            if self.connected(&self.issuer) == Some(&*self.issuer) { site.schemes } else { Schemes::DangerPlainHttp };
        if self.issuer != **site.rules.issuer() {
            return Err(ConfigError::invalid(
                key,
                "the keys of an issuer with tenants can't be discovered: name their address",
            ));
        }
        Discovery::new(&self.issuer, schemes, Arc::clone(transport), limits).map_err(|error| {
            ConfigError::invalid(
                key,
                format_args!("the issuer's name is no address that can be asked ({error}); name the address itself"),
            )
        })
    }

    /// An address that is named in the configuration.
    pub(super) fn endpoint(&self, key: &str, text: &str, schemes: Schemes) -> Result<Endpoint, ConfigError> {
        let schemes = if self.connected(text) == Some(text) { schemes } else { Schemes::DangerPlainHttp };
        Endpoint::parse(text, schemes).map_err(|error| ConfigError::invalid(key, error))
    }
}

/// The value of an environment variable.
pub(super) fn environment(key: &str, name: &str) -> Result<String, ConfigError> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        Ok(_) => Err(ConfigError::invalid(key, format_args!("the environment variable {name} is empty"))),
        Err(std::env::VarError::NotPresent) => {
            Err(ConfigError::invalid(key, format_args!("the environment variable {name} is not set")))
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(ConfigError::invalid(key, format_args!("the environment variable {name} is not UTF-8")))
        }
    }
}
