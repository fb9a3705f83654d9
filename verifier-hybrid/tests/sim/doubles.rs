//! A checker that is simple, and wrong on demand: the property must find out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use verifier_core::claims::Facts;
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::json::{JsonLimits, Object};
use verifier_core::policy::IssuerRules;
use verifier_core::revocation::{
    Check, CouldNotAsk, RevocationChecker, RevocationList, RevocationQuery, RevocationStatus,
};
use verifier_core::time::{Clock, Now};
use verifier_core::token::Digest;
use verifier_core::transport::{HttpTransport, Limits};
use verifier_core::verifier::Asked;

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
    /// Of two answers the one that came last is kept, not the one that was asked for last; and it is dated so.
    LateAnswerWins,
    /// The list is consulted before the question and not after the answer.
    EventIgnoredAfterTheWait,
    /// When the server can't be asked, what was known counts, whatever the configuration says.
    FailsOpen,
}

/// Asks for itself alone, keeps what it hears in a map.
#[derive(Debug)]
pub struct NaiveChecker {
    pub clock: Arc<SimClock>,
    pub network: Arc<Network>,
    pub rules: IssuerRules,
    pub flaw: Flaw,
    pub kept: Arc<Mutex<HashMap<Digest, RevocationStatus>>>,
}

impl RevocationChecker for NaiveChecker {
    fn status<'a>(&'a self, query: &RevocationQuery<'_>) -> Check<'a> {
        let (arrival, freshness) = (query.request.arrival, query.freshness);
        let digest = query.request.token.digest();
        let last = self.kept.lock().unwrap().get(&digest).cloned();
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
                Flaw::DatedByItsArrival | Flaw::LateAnswerWins => self.clock.now(),
                _ => asked,
            };
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
            if newest.is_none_or(|newest| newest < as_of.monotonic) {
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
