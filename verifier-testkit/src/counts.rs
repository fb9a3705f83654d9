//! What the server was asked: numbers, and the last requests whole.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::form_urlencoded;

use crate::faults::Endpoint;

/// How often each endpoint was asked since the start or the last reset; failed and refused requests included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Requests for either metadata document.
    pub discovery: u64,
    /// Requests for the key set.
    pub jwks: u64,
    /// Requests for tokens.
    pub token: u64,
    /// Introspection requests.
    pub introspection: u64,
    /// Revocation requests.
    pub revocation: u64,
    /// Requests for paths that don't exist.
    pub other: u64,
    /// Connections accepted.
    pub connections: u64,
    /// The greatest number of introspection requests that were open at the same time.
    pub introspection_peak: u64,
}

impl Counts {
    /// All requests.
    pub const fn total(&self) -> u64 {
        self.discovery + self.jwks + self.token + self.introspection + self.revocation + self.other
    }

    /// The requests of one endpoint.
    pub const fn of(&self, endpoint: Endpoint) -> u64 {
        match endpoint {
            Endpoint::Discovery => self.discovery,
            Endpoint::Jwks => self.jwks,
            Endpoint::Token => self.token,
            Endpoint::Introspection => self.introspection,
            Endpoint::Revocation => self.revocation,
            Endpoint::Other => self.other,
        }
    }

    fn of_mut(&mut self, endpoint: Endpoint) -> &mut u64 {
        match endpoint {
            Endpoint::Discovery => &mut self.discovery,
            Endpoint::Jwks => &mut self.jwks,
            Endpoint::Token => &mut self.token,
            Endpoint::Introspection => &mut self.introspection,
            Endpoint::Revocation => &mut self.revocation,
            Endpoint::Other => &mut self.other,
        }
    }
}

/// A request as it came. Its `Debug` shows no header value and no body: there are secrets in them.
#[derive(Clone)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl RecordedRequest {
    /// The header of this name, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The first parameter of this name in the form that the body holds, decoded.
    pub fn form(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(&self.body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.keys().map(http::HeaderName::as_str).collect();
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("headers", &headers)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// How many requests of an endpoint are kept.
const KEPT: usize = 256;

/// The book that the server keeps.
#[derive(Default)]
pub(crate) struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    counts: Counts,
    introspecting: u64,
    requests: HashMap<Endpoint, VecDeque<RecordedRequest>>,
}

impl Book {
    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub(crate) fn reset(&self) {
        let mut pages = self.lock();
        let introspection_peak = pages.introspecting;
        pages.counts = Counts { introspection_peak, ..Counts::default() };
        pages.requests.clear();
    }

    pub(crate) fn connected(&self) {
        self.lock().counts.connections += 1;
    }

    /// Counts a request; it is open until what this returns is dropped.
    pub(crate) fn arrived(&self, endpoint: Endpoint) -> Open<'_> {
        let mut pages = self.lock();
        *pages.counts.of_mut(endpoint) += 1;
        if endpoint == Endpoint::Introspection {
            pages.introspecting += 1;
            pages.counts.introspection_peak = pages.counts.introspection_peak.max(pages.introspecting);
        }
        Open { book: self, endpoint }
    }

    pub(crate) fn record(&self, endpoint: Endpoint, request: RecordedRequest) {
        let mut pages = self.lock();
        let kept = pages.requests.entry(endpoint).or_default();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(request);
    }

    pub(crate) fn requests(&self, endpoint: Endpoint) -> Vec<RecordedRequest> {
        self.lock().requests.get(&endpoint).map(|kept| kept.iter().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn last(&self, endpoint: Endpoint) -> Option<RecordedRequest> {
        self.lock().requests.get(&endpoint).and_then(|kept| kept.back().cloned())
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being served.
pub(crate) struct Open<'b> {
    book: &'b Book,
    endpoint: Endpoint,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.endpoint == Endpoint::Introspection {
            self.book.lock().introspecting -= 1;
        }
    }
}
