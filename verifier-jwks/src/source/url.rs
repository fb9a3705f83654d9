//! A JWK Set at an address.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use verifier_core::endpoint::Endpoint;
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::transport::{HttpTransport, Limits};

use super::caching::{max_age, retry_after};
use super::{ETag, Fetched, KeyFormat, KeySource};

/// A JWK Set at an address. Only 200, and 304 to a validator of ours, are answers; redirects are not followed.
#[derive(Clone, Debug)]
pub struct UrlSource {
    endpoint: Endpoint,
    transport: Arc<dyn HttpTransport>,
    limits: Limits,
}

impl UrlSource {
    /// The set at `endpoint`. Nothing is asked yet.
    pub const fn new(endpoint: Endpoint, transport: Arc<dyn HttpTransport>, limits: Limits) -> Self {
        Self { endpoint, transport, limits }
    }

    /// The address.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn request(&self, known: Option<&ETag>) -> Result<Request<Bytes>, Unavailable> {
        const ACCEPT: HeaderValue = HeaderValue::from_static("application/jwk-set+json, application/json");

        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() =
            self.endpoint.as_str().parse().map_err(|_| Unavailable::new(UnavailableReason::Misconfigured))?;
        request.headers_mut().insert(header::ACCEPT, ACCEPT);
        if let Some(known) = known {
            request.headers_mut().insert(header::IF_NONE_MATCH, known.value().clone());
        }
        Ok(request)
    }
}

#[async_trait]
impl KeySource for UrlSource {
    /// # Errors
    /// What the transport says; [`UnavailableReason::Redirected`], [`UnavailableReason::RateLimited`],
    /// [`UnavailableReason::ServerError`] by the status; [`UnavailableReason::UnreadableAnswer`] for any other status
    /// and for what is no JSON by its content type.
    async fn fetch(&self, known: Option<&ETag>) -> Result<Fetched, Unavailable> {
        let response = self.transport.send(self.request(known)?, self.limits).await?;
        read(response, known.is_some())
    }
}

fn read(response: Response<Bytes>, conditional: bool) -> Result<Fetched, Unavailable> {
    let (parts, bytes) = response.into_parts();
    let headers = &parts.headers;
    let reason = match parts.status {
        StatusCode::OK if is_json(headers) => {
            let etag = headers.get(header::ETAG).cloned().map(ETag::new);
            return Ok(Fetched::Document {
                bytes,
                format: KeyFormat::JwkSet,
                etag,
                max_age: max_age(headers),
            });
        }
        StatusCode::NOT_MODIFIED if conditional => {
            return Ok(Fetched::NotModified { max_age: max_age(headers) });
        }
        // Unasked for, it says nothing.
        StatusCode::NOT_MODIFIED => UnavailableReason::UnreadableAnswer,
        StatusCode::TOO_MANY_REQUESTS => UnavailableReason::RateLimited,
        status if status.is_redirection() => UnavailableReason::Redirected,
        status if status.is_server_error() => UnavailableReason::ServerError,
        _ => UnavailableReason::UnreadableAnswer,
    };
    let why = Unavailable::new(reason);
    Err(retry_after(headers).map_or(why, |after| why.retry_in(after)))
}

/// Whether the content type allows for a JWK Set. File servers send sets as plain text, as bytes or as nothing at all,
/// and what is no set shows when it is read; a page of HTML is a login form or an error, whatever its status.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let Ok(value) = value.to_str() else { return false };
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.ends_with("+json")
        || matches!(
            &*media_type,
            "" | "application/json"
                | "text/json"
                | "text/plain"
                | "application/octet-stream"
                | "binary/octet-stream"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: Option<&str>) -> Response<Bytes> {
        let mut response = Response::builder().status(status);
        if let Some(content_type) = content_type {
            response = response.header("content-type", content_type);
        }
        response.body(Bytes::from_static(b"{}")).unwrap()
    }

    fn refusal(status: u16) -> UnavailableReason {
        read(answer(status, Some("application/json")), true).unwrap_err().reason()
    }

    #[test]
    fn only_200_and_304_to_a_validator_are_answers() {
        assert!(matches!(read(answer(200, None), false), Ok(Fetched::Document { .. })));
        assert!(matches!(read(answer(304, None), true), Ok(Fetched::NotModified { .. })));
        assert!(read(answer(304, None), false).is_err());
        for status in [201, 203, 204, 206, 400, 401, 403, 404, 410] {
            assert_eq!(refusal(status), UnavailableReason::UnreadableAnswer, "{status}");
        }
        for status in [300, 301, 302, 303, 307, 308] {
            assert_eq!(refusal(status), UnavailableReason::Redirected, "{status}");
        }
        for status in [500, 502, 503, 504, 599] {
            assert_eq!(refusal(status), UnavailableReason::ServerError, "{status}");
        }
        assert_eq!(refusal(429), UnavailableReason::RateLimited);
    }

    #[test]
    fn html_is_refused_and_plain_text_is_read() {
        let types = [
            "application/json",
            "application/jwk-set+json; charset=utf-8",
            "Application/JSON",
            "text/plain",
            "",
        ];
        for content_type in types {
            assert!(read(answer(200, Some(content_type)), false).is_ok(), "{content_type}");
        }
        for content_type in ["text/html", "text/html; charset=utf-8", "application/xhtml+xml", "image/png"] {
            assert!(read(answer(200, Some(content_type)), false).is_err(), "{content_type}");
        }
    }

    #[test]
    fn the_server_may_ask_for_a_rest() {
        let response =
            Response::builder().status(429).header("retry-after", "20").body(Bytes::new()).unwrap();
        let why = read(response, false).unwrap_err();
        assert_eq!(why.retry_after(), Some(std::time::Duration::from_secs(20)));
    }
}
