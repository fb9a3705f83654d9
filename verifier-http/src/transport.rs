//! [`HttpTransport`] on reqwest.

use std::fmt;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName};
use http::{Request, Response};
use reqwest::Client;
use tokio::runtime::Handle;
use url::Url;
use verifier_core::transport::{HttpTransport, Limits, TransportError};

use crate::config::Roots;
use crate::connect::Attempt;
use crate::failure;
use crate::origin::Detours;

/// Sends requests by HTTP/1.1, or by HTTP/2 where an `https` server offers it, over pooled connections.
///
/// Made by [`TransportConfig::build`](crate::TransportConfig::build). Clones share the pool. Has to be polled on a
/// tokio runtime with its I/O and time drivers enabled, like those of [`crate::runtime`]. Which schemes and hosts may be
/// asked is decided above.
#[derive(Clone)]
pub struct ReqwestTransport {
    usual: Client,
    /// For detours.
    direct: Option<Client>,
    detours: Detours,
    roots: Roots,
    proxied: bool,
}

impl ReqwestTransport {
    pub(crate) fn new(
        usual: Client,
        direct: Option<Client>,
        detours: Detours,
        roots: Roots,
        proxied: bool,
    ) -> Self {
        Self { usual, direct, detours, roots, proxied }
    }

    /// The client that sends `request`, and the request in reqwest's form.
    fn address(&self, request: Request<Bytes>) -> Result<(&Client, reqwest::Request), TransportError> {
        let (parts, body) = request.into_parts();
        let mut url = Url::parse(&parts.uri.to_string()).map_err(|_| TransportError::Unsendable)?;
        let sendable = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none();
        if !sendable {
            return Err(TransportError::Unsendable);
        }
        let mut headers = parts.headers;
        // How the body is framed is decided below, from the body.
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
        let client = match (&self.direct, self.detours.take(&mut url)) {
            (Some(direct), Some(host)) => {
                headers.insert(header::HOST, host);
                direct
            }
            _ => &self.usual,
        };
        mark_sensitive(&mut headers);
        let mut addressed = reqwest::Request::new(parts.method, url);
        *addressed.headers_mut() = headers;
        *addressed.body_mut() = Some(body.into());
        Ok((client, addressed))
    }
}

#[async_trait]
impl HttpTransport for ReqwestTransport {
    async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, TransportError> {
        // Without a runtime, timer and sockets would panic.
        Handle::try_current().map_err(|_| TransportError::Unsendable)?;
        let (client, request) = self.address(request)?;
        let attempt = Attempt::new(limits.connect);
        let exchange = attempt.scope(async {
            let mut response = client
                .execute(request)
                .await
                .map_err(|error| failure::before_head(&error, attempt.pooled()))?;
            let body = match read_body(&mut response, limits.body).await {
                // The status says it all; of its page nobody wants to read a part.
                Err(TransportError::BodyTooLarge) if response.status().as_u16() >= 400 => Bytes::new(),
                read => read?,
            };
            let mut whole = Response::new(body);
            *whole.status_mut() = response.status();
            *whole.version_mut() = response.version();
            std::mem::swap(whole.headers_mut(), response.headers_mut());
            Ok(whole)
        });
        match tokio::time::timeout(limits.total, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TransportError::TimedOut),
        }
    }
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport")
            .field("roots", &self.roots)
            .field("proxied", &self.proxied)
            .field("connect", &self.detours)
            .finish()
    }
}

/// A body that announces too much is refused unread; one that grows too large, before it is kept.
async fn read_body(response: &mut reqwest::Response, limit: usize) -> Result<Bytes, TransportError> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(TransportError::BodyTooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure::in_body(&error))? {
        if chunk.len() > limit.saturating_sub(body.len()) {
            return Err(TransportError::BodyTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The headers that hold no secret. Any other may: a key in a header of the user's own, for instance.
const OPEN: [HeaderName; 5] =
    [header::ACCEPT, header::CONTENT_TYPE, header::HOST, header::IF_NONE_MATCH, header::USER_AGENT];

fn mark_sensitive(headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut() {
        if !OPEN.contains(name) {
            value.set_sensitive(true);
        }
    }
}

#[cfg(test)]
mod tests;
