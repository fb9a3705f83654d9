//! Where the introspection endpoint is, and the token endpoint.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Uri;
use verifier_core::discovery::Discovery;
use verifier_core::endpoint::{Endpoint, Schemes};
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::metadata::Metadata;
use verifier_core::runtime::Env;
use verifier_core::single_flight::{SingleFlight, Ticket};
use verifier_core::time::Instant;

use crate::config::BuildError;
use crate::not_got::Shared;

/// Where the address of the endpoint comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EndpointSource {
    /// The configuration names it.
    Fixed(Endpoint),
    /// The issuer's metadata name it (RFC 8414 §2). Asked for when first needed, then remembered for as long as the
    /// introspector lives.
    Discovered {
        /// Asks the issuer.
        discovery: Discovery,
        /// Which schemes the discovered address may have.
        schemes: Schemes,
        /// Whether it may be on another site than the issuer. If not, and it is, nothing is sent there: whoever writes
        /// the metadata would be handed our secret and every token.
        allow_foreign_site: bool,
    },
}

/// Which of the issuer's endpoints is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    Introspection,
    Token,
    /// The same for a client that authenticates in TLS (RFC 8705 §5).
    MtlsIntrospection,
    MtlsToken,
}

impl Wanted {
    fn among(self, metadata: &Metadata) -> Option<&str> {
        match self {
            Self::Introspection => metadata.introspection_endpoint(),
            Self::Token => metadata.token_endpoint(),
            Self::MtlsIntrospection => metadata.mtls_introspection_endpoint(),
            Self::MtlsToken => metadata.mtls_token_endpoint(),
        }
    }
}

type Found = Result<Uri, Shared>;

/// The address, once it is known.
#[derive(Clone)]
pub(crate) struct Place(Arc<Inner>);

struct Inner {
    known: OnceLock<Uri>,
    search: Option<Search>,
    flights: SingleFlight<(), Found>,
}

struct Search {
    wanted: Wanted,
    discovery: Discovery,
    schemes: Schemes,
    allow_foreign_site: bool,
}

impl Place {
    pub(crate) fn new(
        source: EndpointSource,
        wanted: Wanted,
        env: &Env,
        overdue: Duration,
    ) -> Result<Self, BuildError> {
        let (known, search) = match source {
            EndpointSource::Fixed(endpoint) => {
                let uri = endpoint.as_str().parse::<Uri>().map_err(|_| BuildError::Endpoint)?;
                (OnceLock::from(uri), None)
            }
            EndpointSource::Discovered { discovery, schemes, allow_foreign_site } => {
                (OnceLock::new(), Some(Search { wanted, discovery, schemes, allow_foreign_site }))
            }
        };
        Ok(Self(Arc::new(Inner { known, search, flights: SingleFlight::new(env.clone(), overdue) })))
    }

    /// The address, if it is known.
    pub(crate) fn known(&self) -> Option<&Uri> {
        self.0.known.get()
    }

    /// The address, asked for if need be. Callers share one question.
    pub(crate) async fn find(&self) -> Found {
        match self.known() {
            Some(uri) => Ok(uri.clone()),
            None => self.board().await?,
        }
    }

    fn board(&self) -> Ticket<Found> {
        let inner = Arc::clone(&self.0);
        self.0.flights.fly((), Instant::ORIGIN, move |departure| {
            Box::pin(async move {
                departure.leave();
                let Some(search) = &inner.search else {
                    return Err(Unavailable::new(UnavailableReason::Misconfigured).into());
                };
                let uri = search.ask().await?;
                Ok(inner.known.get_or_init(|| uri).clone())
            })
        })
    }
}

impl Search {
    async fn ask(&self) -> Result<Uri, Unavailable> {
        let misconfigured = || Unavailable::new(UnavailableReason::Misconfigured);
        let metadata = self.discovery.metadata().await?;
        let text = self.wanted.among(&metadata).ok_or_else(misconfigured)?;
        let endpoint = Endpoint::parse(text, self.schemes).map_err(|_| misconfigured())?;
        if !self.allow_foreign_site && !endpoint.is_on_site_of(self.discovery.issuer()) {
            return Err(misconfigured());
        }
        endpoint.as_str().parse().map_err(|_| misconfigured())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without its query, which may hold a key.
        let shown = self.known().map(|uri| (uri.authority().map(http::uri::Authority::as_str), uri.path()));
        f.debug_tuple("Place").field(&shown).finish()
    }
}
