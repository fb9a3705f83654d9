//! A JWK Set whose address the issuer's metadata names.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use verifier_core::discovery::Discovery;
use verifier_core::endpoint::{Endpoint, Schemes};
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::time::{Clock, Now};
use verifier_core::transport::{HttpTransport, Limits};

use super::{ETag, Fetched, KeySource, UrlSource};

/// How long the address of a key set is taken from memory.
pub const METADATA_MAX_AGE: Duration = Duration::from_secs(3_600);

/// A JWK Set whose address, `jwks_uri`, the issuer's metadata names (RFC 8414 §2). The address is remembered; the
/// metadata is read again after an hour, and when the set couldn't be had.
#[derive(Debug)]
pub struct DiscoverySource {
    discovery: Discovery,
    schemes: Schemes,
    transport: Arc<dyn HttpTransport>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The address, and when the metadata was asked for.
    address: Option<(Endpoint, Now)>,
    /// The last fetch from this address failed.
    suspect: bool,
    /// Where the last set came from: a validator holds there and nowhere else.
    served_by: Option<Endpoint>,
}

impl DiscoverySource {
    /// The set of `discovery`'s issuer. Nothing is asked yet.
    ///
    /// With [`Schemes::Secure`], an `https` issuer has to name an `https` address, loopback or not.
    pub fn new(
        discovery: Discovery,
        schemes: Schemes,
        transport: Arc<dyn HttpTransport>,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { discovery, schemes, transport, limits, clock, memory: Mutex::default() }
    }

    async fn address(&self) -> Result<Endpoint, Unavailable> {
        let now = self.clock.now();
        let (known, suspect) = {
            let memory = self.memory();
            (memory.address.clone(), memory.suspect)
        };
        match known {
            Some((address, since)) if !suspect && now.since(since) < METADATA_MAX_AGE => Ok(address),
            known => match self.discovery.metadata().await {
                Ok(metadata) => {
                    let address = self.judge(metadata.jwks_uri())?;
                    let mut memory = self.memory();
                    memory.address = Some((address.clone(), now));
                    memory.suspect = false;
                    Ok(address)
                }
                // Metadata that can't be had takes away no address that works; metadata that is wrong does.
                Err(why) => match known {
                    Some((address, _)) if !suspect && why.is_server_failure() => Ok(address),
                    _ => Err(why),
                },
            },
        }
    }

    fn judge(&self, jwks_uri: Option<&str>) -> Result<Endpoint, Unavailable> {
        let misconfigured = Unavailable::new(UnavailableReason::Misconfigured);
        let address =
            Endpoint::parse(jwks_uri.ok_or(misconfigured)?, self.schemes).map_err(|_| misconfigured)?;
        let downgraded = self.discovery.issuer().starts_with("https:") && address.url().scheme() != "https";
        if downgraded && self.schemes == Schemes::Secure { Err(misconfigured) } else { Ok(address) }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeySource for DiscoverySource {
    /// # Errors
    /// Those of [`Discovery::metadata`] and of [`UrlSource`]; [`UnavailableReason::Misconfigured`] if the metadata names
    /// no address, or one that may not be asked.
    async fn fetch(&self, known: Option<&ETag>) -> Result<Fetched, Unavailable> {
        let address = self.address().await?;
        let known = known.filter(|_| self.memory().served_by.as_ref() == Some(&address));
        let source = UrlSource::new(address.clone(), Arc::clone(&self.transport), self.limits);
        let fetched = source.fetch(known).await;
        let mut memory = self.memory();
        match &fetched {
            Ok(_) => memory.served_by = Some(address),
            Err(_) => memory.suspect = true,
        }
        fetched
    }
}
