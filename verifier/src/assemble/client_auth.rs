//! How we show the introspection endpoint who we are (RFC 7662 §2.1): method and credentials, one going with the other.

use std::sync::Arc;

use verifier_core::secret::Secret;
use verifier_core::transport::{HttpTransport, Limits};
use verifier_http::PemSource;
use verifier_introspect::config::{DEFAULT_BODY_LIMIT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_TOTAL_TIMEOUT};
use verifier_introspect::{
    Assertion, AssertionAudience, ClientAuth, ClientCredentials, EndpointSource, SecretSource,
};

use super::Workshop;
use super::issuer::Site;
use super::source::environment;
use crate::config::{ClientAuthName as Name, ConfigError, IntrospectionSection, IssuerConfig, SecretRef};

impl IssuerConfig {
    /// The method of this section, with all that it needs and nothing that it doesn't.
    pub(super) fn client_auth(
        &self,
        section: &IntrospectionSection,
        site: &Site,
        transport: &Arc<dyn HttpTransport>,
    ) -> Result<ClientAuth, ConfigError> {
        let method = section.method();
        if method != Name::ClientCredentials {
            if section.client_credentials.is_some() {
                return Err(useless("client_credentials", "client_auth", method));
            }
            return section.credentials(method, "client_auth");
        }
        let grant = section.client_credentials.clone().unwrap_or_default();
        let inner = section.inner_method();
        if matches!(inner, Name::None | Name::Bearer | Name::ClientCredentials) {
            return Err(ConfigError::invalid(
                "introspection.client_credentials.client_auth",
                format_args!("{:?} can't be used where the token is got", inner.name()),
            ));
        }
        let token_endpoint = match &grant.token_endpoint {
            Some(text) => EndpointSource::Fixed(self.endpoint(
                "introspection.client_credentials.token_endpoint",
                text,
                site.schemes,
            )?),
            None => EndpointSource::Discovered {
                discovery: self.discovery(
                    site,
                    transport,
                    section.limits(),
                    "introspection.client_credentials.token_endpoint",
                )?,
                schemes: site.schemes,
                allow_foreign_site: false,
            },
        };
        let own = section.credentials(inner, "client_credentials.client_auth")?;
        let mut credentials = ClientCredentials::new(token_endpoint, own);
        credentials.scope = grant.scope;
        credentials.parameters = grant.parameters.into_iter().collect();
        Ok(ClientAuth::ClientCredentials(Box::new(credentials)))
    }

    /// The transport to the introspection and token endpoints. It alone shows our certificate: keys are fetched without.
    pub(super) fn introspection_transport(
        &self,
        workshop: &Workshop<'_>,
        site: &Site,
        section: &IntrospectionSection,
    ) -> Result<Arc<dyn HttpTransport>, ConfigError> {
        let method = section.inner_method();
        if method != Name::TlsClientAuth {
            return match &section.client_certificate {
                Some(_) => Err(useless("client_certificate", section.where_inner(), method)),
                None => self.transport(workshop, site),
            };
        }
        if workshop.backends.transport.is_some() {
            for (key, given) in [
                ("introspection.client_certificate", section.client_certificate.is_some()),
                ("introspection.client_key", section.client_key.is_some()),
            ] {
                if given {
                    return Err(ConfigError::invalid(
                        key,
                        "has no meaning with a transport of one's own (Backends::transport), which brings its own",
                    ));
                }
            }
            return self.transport(workshop, site);
        }
        if self.is_plain_http() || section.known_at().is_some_and(|url| self.is_asked_in_plain(url)) {
            return Err(ConfigError::invalid(
                format!("introspection.{}", section.where_inner()),
                "\"tls_client_auth\" is TLS, and the address where it is to be shown is asked by plain http",
            ));
        }
        let pem = |key: &str, place: &Option<SecretRef>| {
            let key = format!("introspection.{key}");
            match place {
                Some(SecretRef::File(path)) => Ok(PemSource::File(path.clone())),
                Some(SecretRef::Env(name)) => Ok(PemSource::Text(Secret::new(environment(&key, name)?))),
                None => Err(ConfigError::invalid(
                    key,
                    "is needed by \"tls_client_auth\": { file = \"PATH\" } or { env = \"NAME\" }",
                )),
            }
        };
        let chain = pem("client_certificate", &section.client_certificate)?;
        let key = pem("client_key", &section.client_key)?;
        self.transport_with(workshop, site, Some((chain, key)))
    }
}

impl IntrospectionSection {
    /// The method, named or by what is there.
    fn method(&self) -> Name {
        self.client_auth.unwrap_or(match (&self.client_id, &self.client_secret) {
            (None, None) => Name::None,
            _ => Name::ClientSecretBasic,
        })
    }

    /// The method by which the client itself is known: here, or where its token is got.
    fn inner_method(&self) -> Name {
        match self.method() {
            Name::ClientCredentials => {
                let grant = self.client_credentials.as_ref();
                grant.and_then(|grant| grant.client_auth).unwrap_or(Name::ClientSecretBasic)
            }
            method => method,
        }
    }

    /// The address, if it is given, at which the client itself is known.
    fn known_at(&self) -> Option<&str> {
        match self.method() {
            Name::ClientCredentials => self.client_credentials.as_ref()?.token_endpoint.as_deref(),
            _ => self.endpoint.as_deref(),
        }
    }

    fn where_inner(&self) -> &'static str {
        if self.method() == Name::ClientCredentials {
            "client_credentials.client_auth"
        } else {
            "client_auth"
        }
    }

    /// For the discovery of the token endpoint.
    fn limits(&self) -> Limits {
        let total = self.timeout.map_or(DEFAULT_TOTAL_TIMEOUT, |span| span.get());
        let connect = self.connect_timeout.map_or(DEFAULT_CONNECT_TIMEOUT, |span| span.get());
        Limits { connect: connect.min(total), total, body: self.max_size.unwrap_or(DEFAULT_BODY_LIMIT) }
    }

    /// The credentials of a method that is named at `place`; what it has no use for is refused.
    fn credentials(&self, method: Name, place: &str) -> Result<ClientAuth, ConfigError> {
        let signs = matches!(method, Name::ClientSecretJwt | Name::PrivateKeyJwt);
        let has_key = matches!(method, Name::PrivateKeyJwt | Name::TlsClientAuth);
        for (key, given, wanted) in [
            // A fixed token names nobody; "none" says so in words of its own.
            ("client_id", self.client_id.is_some(), method != Name::Bearer),
            ("client_secret", self.client_secret.is_some(), !has_key),
            ("client_key", self.client_key.is_some(), has_key),
            ("client_key_id", self.client_key_id.is_some(), signs),
            ("client_assertion_algorithm", self.client_assertion_algorithm.is_some(), signs),
            ("client_assertion_audience", self.client_assertion_audience.is_some(), signs),
        ] {
            if given && !wanted {
                return Err(useless(key, place, method));
            }
        }
        Ok(match method {
            Name::None => {
                if self.client_secret.is_some() {
                    return Err(ConfigError::invalid(
                        "introspection.client_auth",
                        "\"none\" contradicts client_secret, which would not be sent",
                    ));
                }
                match &self.client_id {
                    Some(_) => ClientAuth::Public { client_id: self.id()? },
                    None => ClientAuth::None,
                }
            }
            Name::ClientSecretBasic | Name::ClientSecretBasicRaw => ClientAuth::Basic {
                client_id: self.id()?,
                secret: self.secret()?,
                raw: method == Name::ClientSecretBasicRaw,
            },
            Name::ClientSecretPost => ClientAuth::Post { client_id: self.id()?, secret: self.secret()? },
            Name::Bearer => ClientAuth::Bearer { token: self.secret()? },
            Name::ClientSecretJwt => ClientAuth::SecretJwt {
                client_id: self.id()?,
                secret: self.secret()?,
                assertion: self.assertion()?,
            },
            Name::PrivateKeyJwt => ClientAuth::PrivateKeyJwt {
                client_id: self.id()?,
                key: source("introspection.client_key", self.client_key.as_ref())?,
                assertion: self.assertion()?,
            },
            Name::TlsClientAuth => ClientAuth::Tls { client_id: self.id()? },
            Name::ClientCredentials => {
                return Err(ConfigError::invalid(
                    format!("introspection.{place}"),
                    "\"client_credentials\" can't be used where the token is got",
                ));
            }
        })
    }

    fn id(&self) -> Result<String, ConfigError> {
        self.client_id
            .clone()
            .ok_or_else(|| ConfigError::invalid("introspection.client_id", "is needed by this client_auth"))
    }

    fn secret(&self) -> Result<SecretSource, ConfigError> {
        source("introspection.client_secret", self.client_secret.as_ref())
    }

    fn assertion(&self) -> Result<Assertion, ConfigError> {
        let mut assertion = Assertion::default();
        assertion.algorithm = self.client_assertion_algorithm.clone();
        assertion.key_id = self.client_key_id.clone();
        assertion.audience = match self.client_assertion_audience.as_deref() {
            None | Some("issuer") => AssertionAudience::Issuer,
            Some("endpoint") => AssertionAudience::Endpoint,
            Some(text) if url::Url::parse(text).is_ok() => AssertionAudience::Text(text.to_owned()),
            Some(other) => {
                return Err(ConfigError::invalid(
                    "introspection.client_assertion_audience",
                    format_args!("{other:?} is neither \"issuer\" nor \"endpoint\" nor a URI"),
                ));
            }
        };
        Ok(assertion)
    }
}

fn source(key: &str, place: Option<&SecretRef>) -> Result<SecretSource, ConfigError> {
    match place {
        Some(SecretRef::Env(name)) => Ok(SecretSource::Value(Secret::new(environment(key, name)?))),
        Some(SecretRef::File(path)) => Ok(SecretSource::File(path.clone())),
        None => Err(ConfigError::invalid(
            key,
            "is needed by this client_auth: { env = \"NAME\" } or { file = \"PATH\" }",
        )),
    }
}

/// What would not be used is refused: whoever wrote it relies on it.
fn useless(key: &str, place: &str, method: Name) -> ConfigError {
    ConfigError::invalid(
        format!("introspection.{key}"),
        format_args!("is given, and {place} = {:?} has no use for it; leave one out", method.name()),
    )
}
