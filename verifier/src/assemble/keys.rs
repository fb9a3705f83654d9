//! The keys of one issuer, and its local verifier.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use verifier_core::algorithm::{Algorithm, AlgorithmSet};
use verifier_core::jwk::KeyRules;
use verifier_core::policy::Role;
use verifier_core::signature::SignatureBackend;
use verifier_core::verifier::TokenVerifier;
use verifier_jwks::{
    DiscoverySource, FileSource, JwksVerifier, KeyFormat, KeySource, RefreshConfig, StaticSecret,
    StaticSource, UrlSource, VerifiedTokensConfig,
};
use zeroize::Zeroizing;

use super::issuer::Site;
use super::source::environment;
use super::{Workshop, naming, positive};
use crate::config::{
    ConfigError, Encoding, IssuerConfig, KeysSection, SecretRef, Span, VerifiedTokensSection,
};

impl IssuerConfig {
    /// Verifies locally.
    pub(super) fn jwks(
        &self,
        workshop: &Workshop<'_>,
        site: &Site,
        role: Role,
    ) -> Result<Arc<dyn TokenVerifier>, ConfigError> {
        self.local(workshop, site, role).map(|verifier| Arc::new(verifier) as _)
    }

    /// The same, with its keys for others to see.
    pub(super) fn local(
        &self,
        workshop: &Workshop<'_>,
        site: &Site,
        role: Role,
    ) -> Result<JwksVerifier, ConfigError> {
        let section = self.keys.clone().unwrap_or_default();
        let backend = signatures(workshop)?;
        let algorithms = section.allowed()?;
        let refresh = section.refresh()?;
        let source = self.source(workshop, site, &section, &refresh, algorithms, &backend)?;
        let rules = section.key_rules(algorithms)?;
        let builder =
            JwksVerifier::builder(site.rules.clone(), site.policy.clone(), source, workshop.env.clone())
                .key_rules(rules)
                .backend(backend)
                .refresh(refresh)
                .role(role)
                .verified_tokens(self.verified_tokens()?);
        builder.build().map_err(|error| naming::jwks(&error))
    }

    fn verified_tokens(&self) -> Result<Option<VerifiedTokensConfig>, ConfigError> {
        Ok(match self.verified_tokens {
            None | Some(VerifiedTokensSection::Switch(true)) => Some(VerifiedTokensConfig::default()),
            Some(VerifiedTokensSection::Switch(false)) => None,
            Some(VerifiedTokensSection::Bounds { max_entries: 0 }) => {
                return Err(ConfigError::invalid(
                    "verified_tokens.max_entries",
                    "must not be zero; verified_tokens = false switches the cache off",
                ));
            }
            Some(VerifiedTokensSection::Bounds { max_entries }) => {
                Some(VerifiedTokensConfig::entries(max_entries))
            }
        })
    }

    /// The one source that the section names, or discovery.
    fn source(
        &self,
        workshop: &Workshop<'_>,
        site: &Site,
        section: &KeysSection,
        refresh: &RefreshConfig,
        algorithms: AlgorithmSet,
        backend: &Arc<dyn SignatureBackend>,
    ) -> Result<Arc<dyn KeySource>, ConfigError> {
        let limits = refresh.limits();
        Ok(match section.only_source()? {
            Source::Discovery => {
                let transport = self.transport(workshop, site)?;
                let discovery = self.discovery(site, &transport, limits, "keys.url")?;
                Arc::new(DiscoverySource::new(
                    discovery,
                    site.schemes,
                    transport,
                    limits,
                    Arc::clone(&workshop.env.clock),
                ))
            }
            Source::Url(url) => {
                let transport = self.transport(workshop, site)?;
                Arc::new(UrlSource::new(self.endpoint("keys.url", url, site.schemes)?, transport, limits))
            }
            Source::File(path) => {
                let is_pem = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pem"));
                let format =
                    if is_pem { section.pem_format("keys.file", algorithms)? } else { KeyFormat::JwkSet };
                if let Err(error) = std::fs::metadata(path) {
                    return Err(ConfigError::invalid(
                        "keys.file",
                        format_args!("{}: {}", path.display(), error.kind()),
                    ));
                }
                Arc::new(FileSource::new(path, format))
            }
            Source::Inline(text) => Arc::new(StaticSource::jwk_set(text.to_owned())),
            Source::Pem(text) => {
                let KeyFormat::Pem { algorithm, kid } = section.pem_format("keys.pem", algorithms)? else {
                    return Err(ConfigError::invalid("keys.pem", "is no PEM"));
                };
                Arc::new(StaticSource::pem(text.to_owned(), algorithm, kid.as_deref()))
            }
            Source::Secrets(secrets) => {
                let only = only_one(algorithms).filter(|algorithm| algorithm.is_symmetric());
                let algorithm = only.ok_or_else(|| {
                    ConfigError::invalid(
                        "keys.algorithms",
                        "a shared secret is for one HMAC algorithm: name it, such as [\"HS256\"]",
                    )
                })?;
                let secrets = secrets
                    .into_iter()
                    .map(|(key, kid, place, encoding)| {
                        let secret = StaticSecret::new(algorithm, read_secret(&key, place, encoding)?);
                        Ok(match kid {
                            Some(kid) => secret.with_kid(kid),
                            None => secret,
                        })
                    })
                    .collect::<Result<Vec<_>, ConfigError>>()?;
                let source = StaticSource::secrets(secrets, Arc::clone(backend)).map_err(|reason| {
                    ConfigError::invalid(
                        "keys.secret",
                        format_args!("can't be used for {algorithm}: {reason}"),
                    )
                })?;
                Arc::new(source)
            }
            Source::Custom(name) => workshop.backends.sources.get(name).cloned().ok_or_else(|| {
                ConfigError::invalid(
                    "keys.source",
                    format_args!("no key source is registered under the name {name:?}"),
                )
            })?,
        })
    }
}

/// Where the keys are.
enum Source<'a> {
    Discovery,
    Url(&'a str),
    File(&'a std::path::Path),
    Inline(&'a str),
    Pem(&'a str),
    Secrets(Vec<(String, Option<&'a str>, &'a SecretRef, Encoding)>),
    Custom(&'a str),
}

impl KeysSection {
    /// RFC 8725 §3.1: what the configuration says, not what a token says.
    pub(super) fn allowed(&self) -> Result<AlgorithmSet, ConfigError> {
        let shares_secret = self.secret.is_some() || !self.secrets.is_empty();
        let Some(list) = &self.algorithms else {
            return if shares_secret {
                Err(ConfigError::invalid(
                    "keys.algorithms",
                    "a shared secret is for one HMAC algorithm: name it, such as [\"HS256\"]",
                ))
            } else {
                Ok(AlgorithmSet::ASYMMETRIC)
            };
        };
        if list.is_empty() {
            return Err(ConfigError::invalid("keys.algorithms", "is empty: every token would be refused"));
        }
        let symmetric = list.iter().find(|algorithm| algorithm.is_symmetric());
        let asymmetric = list.iter().find(|algorithm| !algorithm.is_symmetric());
        match (symmetric, asymmetric) {
            (Some(one), Some(other)) => {
                return Err(ConfigError::invalid(
                    "keys.algorithms",
                    format_args!("{one} (shared secret) and {other} (public key) exclude each other"),
                ));
            }
            (Some(one), None) if !shares_secret => {
                return Err(ConfigError::invalid(
                    "keys.algorithms",
                    format_args!("{one} needs a shared secret (keys.secret); published keys are no secrets"),
                ));
            }
            (None, Some(other)) if shares_secret => {
                return Err(ConfigError::invalid(
                    "keys.algorithms",
                    format_args!("{other} needs public keys, and keys.secret gives a shared secret"),
                ));
            }
            _ => {}
        }
        Ok(list.iter().copied().collect())
    }

    fn only_source(&self) -> Result<Source<'_>, ConfigError> {
        let mut given: Vec<(&str, Source<'_>)> = Vec::new();
        if let Some(url) = &self.url {
            given.push(("url", Source::Url(url)));
        }
        if let Some(path) = &self.file {
            given.push(("file", Source::File(path)));
        }
        if let Some(text) = &self.inline {
            given.push(("inline", Source::Inline(text)));
        }
        if let Some(text) = &self.pem {
            given.push(("pem", Source::Pem(text)));
        }
        if let Some(place) = &self.secret {
            let encoding = self.encoding.unwrap_or_default();
            let secret = ("keys.secret".to_owned(), self.kid.as_deref(), place, encoding);
            given.push(("secret", Source::Secrets(vec![secret])));
        }
        if !self.secrets.is_empty() {
            let secrets = self.secrets.iter().enumerate().map(|(n, one)| {
                let key = format!("keys.secrets[{n}].secret");
                (key, Some(one.kid.as_str()), &one.secret, one.encoding.unwrap_or_default())
            });
            given.push(("secrets", Source::Secrets(secrets.collect())));
        }
        if let Some(name) = &self.source {
            let name = name.strip_prefix("custom:").filter(|name| !name.is_empty());
            let name =
                name.ok_or_else(|| ConfigError::invalid("keys.source", "has the form \"custom:NAME\""))?;
            given.push(("source", Source::Custom(name)));
        }
        let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
        if names.len() > 1 {
            return Err(ConfigError::invalid(
                "keys",
                format_args!("{} are given; keys come from one source", names.join(" and ")),
            ));
        }
        let source = given.pop().map_or(Source::Discovery, |(_, source)| source);
        let takes_kid = matches!(source, Source::Pem(_) | Source::File(_)) || self.secret.is_some();
        if self.kid.is_some() && !takes_kid {
            return Err(ConfigError::invalid("keys.kid", "goes with pem, a PEM file or secret alone"));
        }
        if self.encoding.is_some() && self.secret.is_none() {
            return Err(ConfigError::invalid("keys.encoding", "goes with secret alone"));
        }
        Ok(source)
    }

    /// A PEM says neither algorithm nor `kid`.
    fn pem_format(&self, key: &str, algorithms: AlgorithmSet) -> Result<KeyFormat, ConfigError> {
        let algorithm = only_one(algorithms).ok_or_else(|| {
            ConfigError::invalid(
                "keys.algorithms",
                format_args!("a PEM ({key}) doesn't say its algorithm: name the one it is for"),
            )
        })?;
        Ok(KeyFormat::Pem { algorithm, kid: self.kid.as_deref().map(Box::from) })
    }

    /// What a published key must be.
    pub(super) fn key_rules(&self, algorithms: AlgorithmSet) -> Result<KeyRules, ConfigError> {
        let mut rules = KeyRules::new(algorithms);
        rules.algorithm_when_absent = self.algorithm_when_absent;
        if let Some(bits) = self.max_rsa_bits {
            if !(2048..=8192).contains(&bits) {
                return Err(ConfigError::invalid(
                    "keys.max_rsa_bits",
                    format_args!("{bits} is not between 2048 and 8192"),
                ));
            }
            rules.max_rsa_bits = bits;
        }
        Ok(rules)
    }

    pub(super) fn refresh(&self) -> Result<RefreshConfig, ConfigError> {
        let mut refresh = RefreshConfig::default();
        let set = |key: &str, to: &mut std::time::Duration, span: Option<Span>| -> Result<(), ConfigError> {
            if let Some(span) = span {
                *to = positive(key, span.get())?;
            }
            Ok(())
        };
        set("keys.max_age", &mut refresh.max_age, self.max_age)?;
        refresh.max_age_floor = refresh.max_age_floor.min(refresh.max_age);
        refresh.max_age_ceiling = refresh.max_age_ceiling.max(refresh.max_age);
        set("keys.cooldown", &mut refresh.cooldown, self.cooldown)?;
        if let Some(stale) = self.stale_if_error {
            refresh.stale_if_error = stale.get();
        }
        set("keys.timeout", &mut refresh.total, self.timeout)?;
        refresh.connect = refresh.connect.min(refresh.total);
        set("keys.connect_timeout", &mut refresh.connect, self.connect_timeout)?;
        if let Some(size) = self.max_size {
            refresh.max_bytes = size;
        }
        if let Some(keys) = self.max_keys {
            refresh.max_keys = keys;
        }
        Ok(refresh)
    }
}

fn only_one(algorithms: AlgorithmSet) -> Option<Algorithm> {
    let mut iter = algorithms.iter();
    iter.next().filter(|_| iter.next().is_none())
}

/// A shared secret's bytes.
fn read_secret(key: &str, place: &SecretRef, encoding: Encoding) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let text = Zeroizing::new(match place {
        SecretRef::Env(name) => environment(key, name)?,
        SecretRef::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                ConfigError::invalid(key, format_args!("{}: {}", path.display(), error.kind()))
            })?;
            let text = Zeroizing::new(text);
            text.strip_suffix('\n')
                .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text))
                .to_owned()
        }
    });
    let decoded = match encoding {
        Encoding::Utf8 => Some(text.as_bytes().to_vec()),
        Encoding::Base64 => STANDARD.decode(text.as_bytes()).ok(),
        Encoding::Base64url => URL_SAFE_NO_PAD.decode(text.as_bytes()).ok(),
    };
    let bytes = decoded.ok_or_else(|| {
        let name =
            if encoding == Encoding::Base64 { "base64 with padding" } else { "base64url without padding" };
        ConfigError::invalid(key, format_args!("the secret is not {name}, which its encoding says"))
    })?;
    Ok(Zeroizing::new(bytes))
}

/// What checks signatures.
pub(super) fn signatures(workshop: &Workshop<'_>) -> Result<Arc<dyn SignatureBackend>, ConfigError> {
    if let Some(backend) = &workshop.backends.signatures {
        return Ok(Arc::clone(backend));
    }
    #[cfg(feature = "aws-lc-rs")]
    return Ok(Arc::new(verifier_core::signature::AwsLc));
    #[cfg(not(feature = "aws-lc-rs"))]
    Err(ConfigError::invalid(
        "keys",
        "no signature backend: switch on the feature aws-lc-rs, or register one with Backends::signatures",
    ))
}
