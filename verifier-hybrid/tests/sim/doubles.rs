//! A checker that is simple, and wrong on demand: the property must find out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use verifier_core::claims::Facts;
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::evidence::StatusSource;
use verifier_core::json::{JsonLimits, Object};
use verifier_core::policy::IssuerRules;
use verifier_core::revocation::{
    Check, CouldNotAsk, RevocationChecker, RevocationList, RevocationQuery, RevocationStatus,
};
use verifier_core::time::{Clock, Instant, Now};
use verifier_core::token::Digest;
use verifier_core::transport::{HttpTransport, Limits};
use verifier_core::verifier::Asked;

use super::Rng;
use super::clock::SimClock;
use super::server::Network;

/// What is taken out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// Nothing: the double is as good as the real one, if slower.
    None,
    /// A kept answer counts as fresh whatever its age.
    FreshnessIgnored,
    /// An answer is dated by when it came, not by when it was asked for.
    DatedByItsArrival,
    /// Of two answers the one that came last is kept, not the one that was asked for last.
    LateAnswerWins,
    /// The list is consulted before the question and not after the answer.
    EventIgnoredAfterTheWait,
    /// When the server can't be asked, what was known counts, whatever the configuration says.
    FailsOpen,
}

/// Asks for itself alone, keeps what it hears in a map.
#[derive(Debug)]
pub struct NaiveChecker {
    clock: Arc<SimClock>,
    network: Arc<Network>,
    rules: IssuerRules,
    flaw: Flaw,
    kept: Mutex<HashMap<Digest, RevocationStatus>>,
}

impl NaiveChecker {
    pub fn new(clock: Arc<SimClock>, network: Arc<Network>, rules: IssuerRules, flaw: Flaw) -> Self {
        Self { clock, network, rules, flaw, kept: Mutex::default() }
    }

    fn held(&self, token: Digest) -> Option<RevocationStatus> {
        self.kept.lock().unwrap().get(&token).cloned()
    }
}

impl RevocationChecker for NaiveChecker {
    fn status<'a>(&'a self, query: &RevocationQuery<'_>) -> Check<'a> {
        let (arrival, freshness) = (query.request.arrival, query.freshness);
        let digest = query.request.token.digest();
        let last = self.held(digest);
        if let Some(status @ RevocationStatus::Active { as_of, .. }) = &last {
            if arrival.since(*as_of) <= freshness {
                return Asked::Ready(Ok(status.clone()));
            }
            if self.flaw == Flaw::FreshnessIgnored {
                return Asked::Ready(Ok(redated(status, arrival)));
            }
        }
        let token = query.request.token.as_str().to_owned();
        Asked::Pending(Box::pin(async move {
            let asked = self.clock.now();
            let request = Request::post("https://issuer.example/introspect")
                .body(Bytes::from(format!("token={token}")))
                .unwrap();
            let limits = Limits { connect: Duration::MAX, total: Duration::MAX, body: 1 << 20 };
            let reply = self.network.send(request, limits).await;
            let as_of = match self.flaw {
                Flaw::DatedByItsArrival => self.clock.now(),
                _ => asked,
            };
            // What came meanwhile counts.
            let last = self.held(digest);
            let status = reply
                .map_err(Unavailable::from)
                .and_then(|reply| match reply.status().as_u16() {
                    200 => self.read(reply.body(), as_of),
                    400 => Err(UnavailableReason::RefusedByServer.into()),
                    401 => Err(UnavailableReason::CredentialsRefused.into()),
                    429 => Err(UnavailableReason::RateLimited.into()),
                    _ => Err(UnavailableReason::ServerError.into()),
                })
                .or_else(|why| match &last {
                    Some(status @ RevocationStatus::Active { .. }) if self.flaw == Flaw::FailsOpen => {
                        Ok(redated(status, arrival))
                    }
                    _ => Err(CouldNotAsk { why, last: last.clone() }),
                })?;
            let mut kept = self.kept.lock().unwrap();
            let newest = kept.get(&digest).and_then(RevocationStatus::as_of).map(|newest| newest.monotonic);
            if self.flaw == Flaw::LateAnswerWins || newest.is_none_or(|newest| newest < as_of.monotonic) {
                kept.insert(digest, status.clone());
            }
            Ok(status)
        }))
    }
}

impl NaiveChecker {
    fn read(&self, body: &[u8], as_of: Now) -> Result<RevocationStatus, Unavailable> {
        let unreadable = || Unavailable::new(UnavailableReason::UnreadableAnswer);
        let answer = Object::parse(body, JsonLimits::CLAIMS).map_err(|_| unreadable())?;
        match answer.get("active").and_then(|active| active.as_bool()) {
            Some(false) => Ok(RevocationStatus::Inactive { as_of }),
            Some(true) => {
                let facts = Facts::from_answer(answer, &self.rules).map_err(|_| unreadable())?;
                Ok(RevocationStatus::Active { as_of, answer: Some(Arc::new(facts)) })
            }
            None => Err(unreadable()),
        }
    }
}

fn redated(status: &RevocationStatus, as_of: Now) -> RevocationStatus {
    match status {
        RevocationStatus::Active { answer, .. } => RevocationStatus::Active { as_of, answer: answer.clone() },
        other => other.clone(),
    }
}

/// Dates what it holds truly, and tells it however old it is; now and then it says that it could not ask, for any
/// reason there is. The rest of the time it asks.
#[derive(Debug)]
pub struct Hoarder {
    inner: NaiveChecker,
    rng: Mutex<Rng>,
}

impl Hoarder {
    pub fn new(inner: NaiveChecker, seed: u64) -> Self {
        Self { inner, rng: Mutex::new(Rng::new(seed)) }
    }
}

impl RevocationChecker for Hoarder {
    fn status<'a>(&'a self, query: &RevocationQuery<'_>) -> Check<'a> {
        let mut rng = self.rng.lock().unwrap();
        match self.inner.held(query.request.token.digest()) {
            Some(held) if rng.one_in(2) => Asked::Ready(Ok(held)),
            Some(held) if rng.one_in(3) => {
                let why = Unavailable::new(*rng.pick(UnavailableReason::ALL));
                Asked::Ready(Err(CouldNotAsk { why, last: Some(held) }))
            }
            _ => self.inner.status(query),
        }
    }
}

/// What a checker said to a call, in so far as verdicts hang on it.
#[derive(Clone, Copy, Debug)]
pub enum Said {
    Active(Now),
    CouldNotAsk(UnavailableReason, Option<Now>),
    Other,
}

/// What was said to whom: by token and arrival.
#[derive(Debug, Default)]
pub struct Heard(Mutex<HashMap<(Digest, Instant), Said>>);

impl Heard {
    pub fn by(&self, token: Digest, arrival: Instant) -> Option<Said> {
        self.0.lock().unwrap().get(&(token, arrival)).copied()
    }

    fn note(&self, token: Digest, arrival: Instant, answer: &Answer) {
        let said = match answer {
            Ok(RevocationStatus::Active { as_of, .. }) => Said::Active(*as_of),
            Err(CouldNotAsk { why, last }) => Said::CouldNotAsk(
                why.reason(),
                last.as_ref()
                    .filter(|last| matches!(last, RevocationStatus::Active { .. }))
                    .and_then(RevocationStatus::as_of),
            ),
            Ok(_) => Said::Other,
        };
        self.0.lock().unwrap().insert((token, arrival), said);
    }
}

type Answer = Result<RevocationStatus, CouldNotAsk>;

/// Writes down what another checker says.
#[derive(Debug)]
pub struct Witness {
    inner: Arc<dyn RevocationChecker>,
    heard: Arc<Heard>,
}

impl Witness {
    pub fn new(inner: Arc<dyn RevocationChecker>, heard: Arc<Heard>) -> Self {
        Self { inner, heard }
    }
}

impl RevocationChecker for Witness {
    fn status<'a>(&'a self, query: &RevocationQuery<'_>) -> Check<'a> {
        let (token, arrival) = (query.request.token.digest(), query.request.arrival.monotonic);
        match self.inner.status(query) {
            Asked::Ready(answer) => {
                self.heard.note(token, arrival, &answer);
                Asked::Ready(answer)
            }
            Asked::Pending(asked) => Asked::Pending(Box::pin(async move {
                let answer = asked.await;
                self.heard.note(token, arrival, &answer);
                answer
            })),
        }
    }

    fn source(&self) -> StatusSource {
        self.inner.source()
    }
}

/// A list that covers nothing.
#[derive(Debug)]
pub struct Deaf;

impl RevocationList for Deaf {
    fn revokes(
        &self,
        _: &verifier_core::identity::Identity,
        _: Digest,
    ) -> Option<verifier_core::revocation::RevocationRule> {
        None
    }
}
