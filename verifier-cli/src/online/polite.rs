//! A transport that asks for each document once, leaves servers alone that don't answer, and remembers what can be said
//! of an exchange without a token or a secret in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, header};
use verifier::core::json::{Json, JsonLimits, Object};
use verifier::core::time::{Clock as _, SystemClock};
use verifier::core::transport::{HttpTransport, Limits, TransportError};

use super::finding::foreign;

/// Errors of RFC 6749 §5.2, RFC 7009 §2.2.1 and RFC 6750 §3.1: of all that a server writes into an answer about a token
/// only these words are shown, since it may repeat the token.
const KNOWN_ERRORS: [&str; 8] = [
    "invalid_client",
    "unauthorized_client",
    "invalid_request",
    "invalid_token",
    "invalid_grant",
    "unsupported_token_type",
    "insufficient_scope",
    "access_denied",
];

/// Goes by another transport.
#[derive(Debug)]
pub(super) struct Polite {
    inner: Arc<dyn HttpTransport>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// By address.
    documents: HashMap<String, Result<Response<Bytes>, TransportError>>,
    /// By origin.
    gone: HashMap<String, TransportError>,
    last_post: Option<Exchange>,
    /// Where a document is said to be instead, by its place.
    redirects: HashMap<String, String>,
    answered: bool,
    /// The greatest difference in seconds between a server's clock and ours, positive if the server is ahead: an old
    /// answer from a cache on the way makes it look smaller.
    clock: Option<i64>,
}

/// What is remembered of the last question about a token.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// Scheme, host and path.
    pub(super) place: String,
    pub(super) status: Option<u16>,
    /// One of the registered words.
    pub(super) error: Option<&'static str>,
}

impl Exchange {
    /// What the server answered, in a few words.
    pub(super) fn answer(&self) -> String {
        match (self.status, self.error) {
            (Some(status), Some(error)) => format!("{status} {error}"),
            (Some(status), None) => status.to_string(),
            (None, _) => "nothing".to_owned(),
        }
    }
}

impl Polite {
    pub(super) fn new(inner: Arc<dyn HttpTransport>) -> Self {
        Self { inner, memory: Mutex::default() }
    }

    /// The last question about a token, since the last call.
    pub(super) fn take_exchange(&self) -> Option<Exchange> {
        self.memory().last_post.take()
    }

    /// How far the server's clock is ahead of ours, in seconds.
    pub(super) fn clock_difference(&self) -> Option<i64> {
        self.memory().clock
    }

    /// Whether there was any answer.
    pub(super) fn was_answered(&self) -> bool {
        self.memory().answered
    }

    /// Where a document is said to be instead: ` to ..`, or nothing. Of questions about tokens nothing is known, since a
    /// server could write the token there.
    pub(super) fn redirect(&self, place: &str) -> String {
        self.memory().redirects.get(place).map(|to| format!(" to {}", foreign(to))).unwrap_or_default()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl HttpTransport for Polite {
    async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, TransportError> {
        let uri = request.uri().clone();
        let is_document = request.method() == Method::GET;
        let known = {
            let memory = self.memory();
            let document = is_document.then(|| memory.documents.get(&uri.to_string()).cloned()).flatten();
            document.or_else(|| memory.gone.get(&origin(&uri)).map(|error| Err(*error)))
        };
        if let Some(known) = known {
            if !is_document {
                self.memory().last_post = Some(Exchange { place: place(&uri), status: None, error: None });
            }
            return known;
        }
        let outcome = self.inner.send(request, limits).await;
        let now = SystemClock.now().wall.unix_seconds();
        let mut memory = self.memory();
        match &outcome {
            Ok(response) => {
                memory.answered = true;
                let location = response.headers().get(header::LOCATION).and_then(|it| it.to_str().ok());
                if let Some(to) = location.filter(|_| is_document && response.status().is_redirection()) {
                    memory.redirects.insert(place(&uri), to.split('?').next().unwrap_or_default().to_owned());
                }
                if let Some(date) = date(response.headers()) {
                    let ahead = date.saturating_sub(now);
                    memory.clock = Some(memory.clock.map_or(ahead, |before| before.max(ahead)));
                }
            }
            Err(error @ (TransportError::Connect | TransportError::Tls | TransportError::TimedOut)) => {
                memory.gone.insert(origin(&uri), *error);
            }
            Err(_) => {}
        }
        if is_document {
            memory.documents.insert(uri.to_string(), outcome.clone());
        } else {
            let response = outcome.as_ref().ok();
            memory.last_post = Some(Exchange {
                place: place(&uri),
                status: response.map(|response| response.status().as_u16()),
                error: response.and_then(|response| error_word(response.body())),
            });
        }
        outcome
    }
}

/// `http://host:port`
pub(super) fn origin(uri: &Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |it| it.as_str()))
}

/// An address without its query, which may hold a key.
pub(super) fn place(uri: &Uri) -> String {
    format!("{}{}", origin(uri), uri.path())
}

fn error_word(body: &[u8]) -> Option<&'static str> {
    let answer = Object::parse(body, JsonLimits::CLAIMS).ok()?;
    let word = answer.get("error").and_then(Json::as_str)?;
    KNOWN_ERRORS.into_iter().find(|known| *known == word)
}

fn date(headers: &HeaderMap) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    i64::try_from(date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()
}
