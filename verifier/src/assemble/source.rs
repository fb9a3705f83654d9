//! The transport of one issuer, and its metadata.

use std::sync::Arc;

use verifier_core::discovery::Discovery;
use verifier_core::endpoint::{Endpoint, Schemes};
use verifier_core::transport::{HttpTransport, Limits};
use verifier_http::{BuildError, PemSource, Roots, TransportConfig};

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
        self.transport_with(workshop, site, None)
    }

    /// The same, showing this certificate with its key.
    pub(super) fn transport_with(
        &self,
        workshop: &Workshop<'_>,
        site: &Site,
        certificate: Option<(PemSource, PemSource)>,
    ) -> Result<Arc<dyn HttpTransport>, ConfigError> {
        if let Some(transport) = &workshop.backends.transport {
            let settings = [
                ("connect", !self.connect.is_empty()),
                ("ca_file", self.ca_file.is_some()),
                ("proxy", self.proxy.is_some()),
            ];
            if let Some((key, _)) = settings.into_iter().find(|(_, given)| *given) {
                return Err(ConfigError::invalid(
                    key,
                    "has no meaning with a transport of one's own (Backends::transport), which goes its own way",
                ));
            }
            return Ok(Arc::clone(transport));
        }
        let mut config = TransportConfig::new();
        for (from, to) in &self.connect {
            // The tokens and secrets that are meant for `from` go to `to`.
            Endpoint::parse(to, site.schemes).map_err(|error| {
                let key = format!("connect.{from:?}");
                // Not quoted where it may hold a password.
                if to.contains('@') {
                    ConfigError::invalid(key, error)
                } else {
                    ConfigError::invalid(key, format_args!("{to}: {error}"))
                }
            })?;
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
        if let Some((chain, key)) = certificate {
            config = config.client_certificate(chain, key);
        }
        let transport = config.build().map_err(|error| transport_error(&error))?;
        Ok(Arc::new(transport))
    }

    /// Whether nothing that this issuer names is asked by https.
    pub(super) fn is_plain_http(&self) -> bool {
        let https = |text: &str| text.starts_with("https:");
        let named = [
            self.keys.as_ref().and_then(|keys| keys.url.as_deref()),
            self.introspection.as_ref().and_then(|section| section.endpoint.as_deref()),
            self.introspection
                .as_ref()
                .and_then(|section| section.client_credentials.as_ref())
                .and_then(|grant| grant.token_endpoint.as_deref()),
            Some(self.issuer.as_str()),
        ];
        !named.into_iter().flatten().any(|url| https(self.connected(url)))
            && !self.connect.values().any(|to| https(to))
            && !self.proxy.as_deref().is_some_and(https)
    }

    /// Whether requests for this address go by plain http.
    pub(super) fn is_asked_in_plain(&self, url: &str) -> bool {
        url::Url::parse(self.connected(url)).is_ok_and(|url| url.scheme() == "http")
    }

    /// Where requests for an address really go.
    fn connected<'a>(&'a self, url: &'a str) -> &'a str {
        let origin = |text: &str| url::Url::parse(text).ok().map(|url| url.origin());
        let own = origin(url);
        self.connect.iter().find(|(from, _)| own.is_some() && origin(from) == own).map_or(url, |(_, to)| to)
    }

    /// The issuer's metadata.
    pub(super) fn discovery(
        &self,
        site: &Site,
        transport: &Arc<dyn HttpTransport>,
        limits: Limits,
        key: &str,
    ) -> Result<Discovery, ConfigError> {
        if self.issuer != **site.rules.issuer() {
            return Err(ConfigError::invalid(
                key,
                "the keys of an issuer with tenants can't be discovered: name their address",
            ));
        }
        Discovery::new(&self.issuer, site.schemes, Arc::clone(transport), limits).map_err(|error| {
            ConfigError::invalid(
                key,
                format_args!(
                    "the issuer's name is no address that can be asked ({error}); name the address itself"
                ),
            )
        })
    }

    /// An address that is named in the configuration.
    pub(super) fn endpoint(&self, key: &str, text: &str, schemes: Schemes) -> Result<Endpoint, ConfigError> {
        Endpoint::parse(text, schemes).map_err(|error| ConfigError::invalid(key, error))
    }
}

/// The keys of the transport's settings are those of the section.
fn transport_error(error: &BuildError) -> ConfigError {
    let key = match error {
        BuildError::Proxy => "proxy",
        BuildError::NotAnOrigin | BuildError::ConnectTwice { .. } => "connect",
        BuildError::ClientFileUnreadable { part: "client_certificate", .. }
        | BuildError::NoClientCertificate => "introspection.client_certificate",
        BuildError::ClientFileUnreadable { .. }
        | BuildError::NoClientKey
        | BuildError::ClientKeyEncrypted
        | BuildError::ClientKeyMismatch => "introspection.client_key",
        _ => "ca_file",
    };
    ConfigError::invalid(key, error)
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
