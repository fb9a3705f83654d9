//! What an endpoint sends back: status, headers, body, and how much of it really goes over the socket.

use std::convert::Infallible;
use std::fmt;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;

/// A whole answer of an endpoint, given by a test instead of the server's own.
///
/// Its `Debug` shows no header value and no body: there may be tokens in them.
#[derive(Clone)]
pub struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) delivery: Delivery,
}

/// How much of the body is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Delivery {
    Whole,
    /// The first half; then the connection is cut.
    Half,
    /// The body, and blanks after it without an end.
    Endless,
}

impl Answer {
    /// This status and body, with no content type. An impossible status becomes 500.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers: HeaderMap::new(), body: body.into(), delivery: Delivery::Whole }
    }

    /// 200 with this JSON.
    pub fn json(value: &Value) -> Self {
        Self::new(200, value.to_string()).header("content-type", "application/json")
    }

    /// Another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap_or(self.status);
        self
    }

    /// One more header, which takes the place of one with the same name. What is no legal header is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(crate) fn no_store(mut self) -> Self {
        self.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self
    }

    pub(crate) fn content_type(&mut self, value: &str) {
        match HeaderValue::from_str(value) {
            Ok(value) => self.headers.insert(CONTENT_TYPE, value),
            Err(_) => self.headers.remove(CONTENT_TYPE),
        };
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let Self { status, mut headers, body, delivery } = self;
        let body = match delivery {
            Delivery::Whole => Full::new(body).map_err(never).boxed_unsync(),
            Delivery::Half => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len().max(2)));
                half(&body)
            }
            Delivery::Endless => endless(body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// An error of RFC 6749 §5.2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    status: u16,
    error: &'static str,
    challenge: Option<&'static str>,
}

impl Refusal {
    pub(crate) const INVALID_REQUEST: Self = Self::new(400, "invalid_request");

    pub(crate) const fn new(status: u16, error: &'static str) -> Self {
        Self { status, error, challenge: None }
    }

    /// With this `WWW-Authenticate`.
    pub(crate) const fn challenge(self, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..self }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let answer =
            Self::json(&serde_json::json!({ "error": refusal.error })).status(refusal.status).no_store();
        match refusal.challenge {
            Some(challenge) => answer.header("www-authenticate", challenge),
            None => answer,
        }
    }
}

pub(crate) type Body = UnsyncBoxBody<Bytes, Cut>;

/// Ends a connection without an answer, or in the middle of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut by script")
    }
}

impl std::error::Error for Cut {}

fn half(body: &Bytes) -> Body {
    let first = Ok(Frame::data(body.slice(..body.len() / 2)));
    // The pause makes hyper flush what it has before it sees the error.
    let cut = stream::once(async {
        tokio::task::yield_now().await;
        Err(Cut)
    });
    StreamBody::new(stream::iter([first]).chain(cut)).boxed_unsync()
}

fn endless(body: Bytes) -> Body {
    let blanks = stream::repeat(Bytes::from_static(&[b' '; 4096])).then(|blank| async {
        // Without a pause one connection would keep the server's thread for itself.
        tokio::task::yield_now().await;
        blank
    });
    let frames = stream::iter([body]).chain(blanks).map(|bytes| Ok(Frame::data(bytes)));
    StreamBody::new(frames).boxed_unsync()
}

fn never(impossible: Infallible) -> Cut {
    match impossible {}
}
