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
    /// For questions about tokens.
    asking: Arc<dyn HttpTransport>,
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
    pub(super) fn new(inner: Arc<dyn HttpTransport>, asking: Arc<dyn HttpTransport>) -> Self {
        Self { inner, asking, memory: Mutex::default() }
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
        let way = if is_document { &self.inner } else { &self.asking };
        let outcome = way.send(request, limits).await;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use verifier_testkit::doubles::{ScriptedTransport, Step};

    use super::*;

    const LIMITS: Limits =
        Limits { connect: Duration::from_secs(1), total: Duration::from_secs(1), body: 10_000 };

    fn polite(steps: impl IntoIterator<Item = Step>) -> (Arc<ScriptedTransport>, Polite) {
        let script = Arc::new(ScriptedTransport::new());
        for step in steps {
            script.then(step);
        }
        (Arc::clone(&script), Polite::new(Arc::clone(&script) as _, script))
    }

    fn send(polite: &Polite, method: Method, address: &str) -> Result<Response<Bytes>, TransportError> {
        let request = Request::builder().method(method).uri(address).body(Bytes::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(polite.send(request, LIMITS))
    }

    #[test]
    fn documents_and_questions_go_their_own_ways() {
        let [documents, questions] = [(); 2].map(|()| Arc::new(ScriptedTransport::new()));
        documents.then(Step::json("{}"));
        questions.then(Step::json("{}"));
        let polite = Polite::new(Arc::clone(&documents) as _, Arc::clone(&questions) as _);
        send(&polite, Method::GET, "https://a/x").unwrap();
        assert_eq!((documents.sends(), questions.sends()), (1, 0));
        send(&polite, Method::POST, "https://a/x").unwrap();
        assert_eq!((documents.sends(), questions.sends()), (1, 1));
    }

    #[test]
    fn a_document_is_fetched_once_a_question_is_asked_each_time() {
        let (script, polite) = polite([Step::json("{}"), Step::status(400), Step::status(400)]);
        for _ in 0..2 {
            assert_eq!(send(&polite, Method::GET, "https://a/keys").unwrap().status(), 200);
            assert_eq!(send(&polite, Method::POST, "https://a/introspect").unwrap().status(), 400);
        }
        assert_eq!(script.sends(), 3);
    }

    #[test]
    fn who_does_not_answer_is_left_alone_others_are_not() {
        // An empty script fails to connect.
        let (script, polite) = polite([]);
        for _ in 0..3 {
            for method in [Method::GET, Method::POST] {
                let failed = send(&polite, method, "https://a/x");
                assert_eq!(failed.unwrap_err(), TransportError::Connect);
            }
            assert_eq!(send(&polite, Method::GET, "https://a/y").unwrap_err(), TransportError::Connect);
        }
        assert_eq!(script.sends(), 1);
        let _ = send(&polite, Method::GET, "https://a:8443/x");
        assert_eq!(script.sends(), 2);
    }

    #[test]
    fn of_an_answer_about_a_token_only_registered_words_are_remembered() {
        let echo = r#"{"error":"canary","error_description":"canary"}"#;
        let (_, polite) = polite([Step::json(echo), Step::json(r#"{"error":"invalid_client"}"#)]);
        let asked = || {
            send(&polite, Method::POST, "https://a/i?key=canary").unwrap();
            polite.take_exchange().unwrap()
        };
        let exchange = asked();
        assert!(!format!("{exchange:?}").contains("canary"), "{exchange:?}");
        assert_eq!((exchange.place.as_str(), exchange.answer().as_str()), ("https://a/i", "200"));
        assert_eq!(asked().answer(), "200 invalid_client");
    }
}
