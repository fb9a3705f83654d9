//! Asks an issuer for its metadata (OpenID Connect Discovery §4, RFC 8414 §3).

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};

use crate::endpoint::{Endpoint, Schemes};
use crate::error::{Unavailable, UnavailableReason};
use crate::metadata::{Metadata, MetadataError, discovery_urls};
use crate::transport::{HttpTransport, Limits};

/// Where an issuer's metadata is, and how it is asked for.
#[derive(Clone, Debug)]
pub struct Discovery {
    issuer: Arc<str>,
    places: Arc<[Endpoint]>,
    transport: Arc<dyn HttpTransport>,
    limits: Limits,
}

impl Discovery {
    /// Both well-known places of the issuer.
    ///
    /// # Errors
    /// [`EndpointError`](crate::endpoint::EndpointError) if the issuer is no address that may be asked.
    pub fn new(
        issuer: &str,
        schemes: Schemes,
        transport: Arc<dyn HttpTransport>,
        limits: Limits,
    ) -> Result<Self, crate::endpoint::EndpointError> {
        let places = discovery_urls(issuer)
            .map_err(|_| crate::endpoint::EndpointError::NotAUrl)?
            .iter()
            .map(|url| Endpoint::parse(url.as_str(), schemes))
            .collect::<Result<Arc<[Endpoint]>, _>>()?;
        Ok(Self { issuer: issuer.into(), places, transport, limits })
    }

    /// The issuer.
    pub const fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// Asks the places in turn, the next one where the one before has no such document: not found, or a page in its
    /// stead. A server in trouble isn't asked twice, nor one that speaks for another issuer.
    ///
    /// # Errors
    /// [`UnavailableReason::Misconfigured`] if a document is another issuer's; what the transport says;
    /// [`UnavailableReason::Redirected`], [`UnavailableReason::ServerError`], [`UnavailableReason::RateLimited`] or
    /// [`UnavailableReason::UnreadableAnswer`] for what isn't the document.
    pub async fn metadata(&self) -> Result<Metadata, Unavailable> {
        let mut failure = UnavailableReason::UnreadableAnswer;
        for place in &*self.places {
            let mut request = Request::new(Bytes::new());
            *request.method_mut() = Method::GET;
            *request.uri_mut() =
                place.as_str().parse().map_err(|_| Unavailable::new(UnavailableReason::Misconfigured))?;
            request
                .headers_mut()
                .insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
            let response = self.transport.send(request, self.limits).await?;
            let found = match response.status() {
                StatusCode::OK => match Metadata::parse(response.body(), &self.issuer) {
                    Ok(metadata) => return Ok(metadata),
                    Err(MetadataError::IssuerMismatch) => UnavailableReason::Misconfigured,
                    Err(_) => UnavailableReason::UnreadableAnswer,
                },
                status => refused(status),
            };
            match found {
                UnavailableReason::UnreadableAnswer => {}
                UnavailableReason::Redirected => failure = found,
                _ => return Err(found.into()),
            }
        }
        Err(failure.into())
    }
}

/// What a status says that is not the document's.
const fn refused(status: StatusCode) -> UnavailableReason {
    match status.as_u16() {
        300..=399 => UnavailableReason::Redirected,
        429 => UnavailableReason::RateLimited,
        500..=599 => UnavailableReason::ServerError,
        _ => UnavailableReason::UnreadableAnswer,
    }
}

#[cfg(test)]
mod tests;
