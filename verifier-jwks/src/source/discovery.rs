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
    /// The last fetch from this address failed, or didn't end.
    suspect: bool,
    /// The metadata was asked for, and the fetch ended before there was an answer: its time was over.
    cut_short: bool,
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
        let known = {
            let mut memory = self.memory();
            let known = memory.address.clone();
            // Metadata that used up the whole of a fetch must not use up the next one too.
            let cut_short = std::mem::take(&mut memory.cut_short);
            match known {
                Some((address, since))
                    if cut_short || (!memory.suspect && now.since(since) < METADATA_MAX_AGE) =>
                {
                    return Ok(address);
                }
                known => {
                    memory.cut_short = true;
                    known
                }
            }
        };
        let found = self.discovery.metadata().await;
        self.memory().cut_short = false;
        match found.and_then(|metadata| self.judge(metadata.jwks_uri())) {
            Ok(address) => {
                let mut memory = self.memory();
                memory.address = Some((address.clone(), now));
                memory.suspect = false;
                Ok(address)
            }
            // Metadata that can't be had takes away no address that worked; metadata that is wrong does, for good.
            Err(why) => match known {
                Some((address, _)) if why.is_server_failure() => Ok(address),
                _ => {
                    if why.reason() == UnavailableReason::Misconfigured {
                        self.memory().address = None;
                    }
                    Err(why)
                }
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
        let known = known.filter(|etag| etag.given_by.as_ref() == Some(&address));
        let source = UrlSource::new(address.clone(), Arc::clone(&self.transport), self.limits);
        // Until it has answered: a fetch whose time is over is dropped, and doesn't come back to say that it failed.
        let was_suspect = std::mem::replace(&mut self.memory().suspect, true);
        let mut fetched = source.fetch(known).await;
        if fetched.is_ok() {
            self.memory().suspect = was_suspect;
        }
        if let Ok(Fetched::Document { etag: Some(etag), .. }) = &mut fetched {
            etag.given_by = Some(address);
        }
        fetched
    }
}
