//! The introspector as a [`RevocationChecker`]: what a hybrid verifier asks about tokens that it has verified itself.

use std::sync::Arc;

use verifier_core::error::Unavailable;
use verifier_core::evidence::StatusSource;
use verifier_core::revocation::{Check, CouldNotAsk, RevocationChecker, RevocationQuery, RevocationStatus};
use verifier_core::verifier::Asked;

use crate::answers::{Record, Status};
use crate::introspector::{Introspector, Look, Verified};

impl RevocationChecker for Introspector {
    /// The freshness of the query holds, whatever this introspector is configured with; answers are kept for no longer
    /// than its own configuration says. An inactive answer serves for its own short time, also where live knowledge is
    /// demanded.
    fn status<'a>(&'a self, query: &RevocationQuery<'_>) -> Check<'a> {
        let request = query.request;
        let arrival = request.arrival;
        let verified = Verified { who: *query.who, expires_at: query.expires_at };
        match self.look(request.token, arrival, query.freshness, Some(&verified)) {
            Look::Answer(record) => return Asked::Ready(said(&record)),
            // The server can be asked: what was known before doesn't stand in for what it says now.
            Look::Refused { why } => return Asked::Ready(could_not(why, None)),
            Look::Ask { .. } => {}
        }
        let question = match self.question(request.token, arrival, query.freshness, Some(verified), true) {
            Ok(question) => question,
            Err(why) => return Asked::Ready(Ok(RevocationStatus::Unacceptable { as_of: arrival, why })),
        };
        let deadline = request.deadline;
        let key = question.key;
        Asked::Pending(Box::pin(async move {
            let why = match self.ask(question, deadline).await {
                Ok(record) => return said(&record),
                Err(why) => why,
            };
            // What is known by now: an answer that came while we waited counts, and an event ends what was known.
            let last = self.0.answers.latest(&key, arrival).filter(|record| {
                !matches!(record.status, Status::Lapsed)
                    && !record.is_touched(self.log(), Some(&verified.who), key.token)
            });
            could_not(why, last.as_ref())
        }))
    }

    fn source(&self) -> StatusSource {
        StatusSource::Introspection
    }
}

fn said(record: &Record) -> Result<RevocationStatus, CouldNotAsk> {
    let as_of = record.as_of;
    match &record.status {
        Status::Active(facts) => Ok(RevocationStatus::Active { as_of, answer: Some(Arc::clone(facts)) }),
        Status::Inactive => Ok(RevocationStatus::Inactive { as_of }),
        Status::Unacceptable(why) => Ok(RevocationStatus::Unacceptable { as_of, why: *why }),
        Status::Refused(why) => Err(CouldNotAsk { why: *why, last: None }),
        Status::Lapsed => Ok(RevocationStatus::NoOpinion),
    }
}

fn could_not(why: Unavailable, last: Option<&Arc<Record>>) -> Result<RevocationStatus, CouldNotAsk> {
    Err(CouldNotAsk { why, last: last.and_then(|record| said(record).ok()) })
}
