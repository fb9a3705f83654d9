//! One question, from the slot to the kept answer. Runs as a task of its own, owned by no caller.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use verifier_core::claims::{AnswerError, Facts};
use verifier_core::error::{Rejection, Unavailable, UnavailableReason};
use verifier_core::revocation::Touched;
use verifier_core::single_flight::Departure;
use verifier_core::time::{Instant, Now};
use verifier_core::transport::{Limits, TransportError};
use verifier_core::upstream::{Outcome, RetryCause};

use crate::answers::{Record, Status};
use crate::client_auth::{Aim, Presented};
use crate::introspector::{Inner, Question};
use crate::not_got::NotGot;
use crate::response::{self, Reading};
use crate::retention::is_fresh;

impl Inner {
    /// Asks, and keeps the answer. What concerns one token alone is an answer here: the server's refusal to tell of it,
    /// or that it says of it what can't be read.
    pub(crate) async fn fly(
        &self,
        question: &Question,
        not_before: Instant,
        departure: &Departure,
    ) -> Result<Arc<Record>, Unavailable> {
        let previous = self.answers.latest(&question.key, question.arrival);
        // The flight before this one may have landed since the caller looked.
        if let Some(record) = previous.as_ref().filter(|record| self.will_do(record, question, not_before)) {
            return Ok(Arc::clone(record));
        }
        if let Some(record) = self.answers.refusal(&question.key, question.arrival) {
            return Ok(record);
        }
        let permit = self.upstream.enter(question.priority, None).await?;
        let asked = match self.approach().await {
            Ok((uri, presented)) => {
                // In this order: an event between the two counts as one that the answer may not know of.
                let noted = self.answers.log().sequence();
                let as_of = departure.leave();
                let status = self.exchange(&uri, presented, question, as_of).await;
                status.map(|status| (as_of, noted, status))
            }
            Err(failed) => Err(failed),
        };
        let now = self.env.clock.now().monotonic;
        let (as_of, noted, status) = match asked {
            Ok(answered) => {
                permit.report(match answered.2 {
                    // The upstream knows whom a refusal is held against: nobody.
                    Status::Refused(why) if why.reason() == UnavailableReason::RefusedByServer => {
                        Outcome::Failed(why)
                    }
                    _ => Outcome::Answered,
                });
                answered
            }
            Err(Failed { why, stage, counts }) => {
                if counts {
                    permit.report(Outcome::Failed(why));
                }
                match stage {
                    Stage::Credentials => self.events.no_credentials(self.rules.issuer(), why, now),
                    Stage::Call => self.events.failed(self.rules.issuer(), why, now),
                }
                return Err(why);
            }
        };
        self.note(&status, question, previous.as_deref(), now);
        Ok(self.land(question, as_of, noted, status))
    }

    /// Whether a kept answer spares the question.
    fn will_do(&self, record: &Record, question: &Question, not_before: Instant) -> bool {
        match record.status {
            Status::Active(_) => {
                record.as_of.monotonic >= not_before
                    && is_fresh(record.as_of, question.arrival, question.freshness)
                    && !record.is_touched(self.answers.log(), question.who(), question.key.token)
            }
            Status::Inactive | Status::Unacceptable(_) => record.is_kept(question.arrival),
            Status::Lapsed | Status::Refused(_) => false,
        }
    }

    /// Dates the answer and keeps it, unless a revocation event has overtaken it.
    fn land(&self, question: &Question, as_of: Now, noted: u64, status: Status) -> Arc<Record> {
        let (keep, expires_at) = match &status {
            Status::Active(facts) => {
                // Whichever side ends the token first.
                let ours = question.verified.and_then(|verified| verified.expires_at);
                let ends = [facts.expires_at(), ours].into_iter().flatten().min();
                (self.retention.of_active(as_of.wall, ends), ends)
            }
            _ => (self.retention.negative, None),
        };
        let clear_up_to = match &status {
            Status::Active(facts) => {
                let own = facts.identity();
                let whole = question.who().map_or(*own, |who| own.merged(who));
                match self.answers.log().judge(noted, &whole, question.key.token) {
                    Touched::Clear(n) => Some(n),
                    Touched::Touched => None,
                }
            }
            _ => Some(noted),
        };
        let record = Arc::new(Record::new(as_of, status, keep, expires_at, clear_up_to.unwrap_or(noted)));
        if clear_up_to.is_some() {
            self.answers.keep(question.key, &record);
        }
        record
    }

    fn note(&self, status: &Status, question: &Question, previous: Option<&Record>, now: Instant) {
        match status {
            Status::Refused(why) => {
                self.events.refused(self.rules.issuer(), question.key.token, *why, now);
                if why.reason() == UnavailableReason::RefusedByServer {
                    return;
                }
            }
            Status::Active(_) => self.events.active(),
            Status::Unacceptable(why) => {
                self.events.active();
                if *why == Rejection::WrongIssuer {
                    self.events.wrong_issuer(self.rules.issuer(), now);
                }
            }
            Status::Inactive => {
                // A token that was called inactive before says nothing new.
                let again = previous.is_some_and(|record| matches!(record.status, Status::Inactive));
                let (issuer, token) = (self.rules.issuer(), question.key.token);
                match (again, question.verified) {
                    (true, _) => {}
                    (false, Some(_)) => self.events.inactive_though_valid(issuer, token, now),
                    (false, None) => self.events.inactive_and_unknown(issuer, token, now),
                }
            }
            Status::Lapsed => {}
        }
        self.events.answered();
    }

    /// Whatever may have to be asked for before the question can be put: it must not make the answer look old.
    async fn approach(&self) -> Result<(Uri, Presented), Failed> {
        let uri = self.place.find().await.map_err(|shared| Failed::at(Stage::Call, shared.into()))?;
        let presented = self.present(&uri, None).await?;
        Ok((uri, presented))
    }

    async fn present(&self, uri: &Uri, refused: Option<&Presented>) -> Result<Presented, Failed> {
        let aim = Aim { issuer: self.rules.issuer(), endpoint: uri, now: self.env.clock.now().wall };
        let presented = self.credentials.present(&aim, refused).await;
        presented.map_err(|not| Failed::at(Stage::Credentials, not))
    }

    /// What to try after a refusal. If there is nothing, the refusal stands: what it was about, the credentials or this
    /// one token, nobody knows, and a token that makes a server refuse must not make an outage of it.
    async fn present_instead(
        &self,
        uri: &Uri,
        refused: &Presented,
        refusal: Unavailable,
    ) -> Result<Presented, Failed> {
        self.present(uri, Some(refused)).await.map_err(|Failed { why, .. }| {
            self.events.no_credentials(self.rules.issuer(), why, self.env.clock.now().monotonic);
            refusal.into()
        })
    }

    /// The attempts of one call, all within its total time.
    async fn exchange(
        &self,
        uri: &Uri,
        first: Presented,
        question: &Question,
        as_of: Now,
    ) -> Result<Status, Failed> {
        let deadline = as_of.monotonic.plus(self.limits.total);
        let mut renewed = false;
        let mut attempt = 0;
        let mut next = Some(first);
        loop {
            let presented = match next.take() {
                Some(presented) => presented,
                None => self.present(uri, None).await?, // anew: an assertion is good for one attempt
            };
            let request = self.form.request(uri, question.token.borrow().as_str(), &presented);
            let left = deadline.since(self.env.clock.now().monotonic);
            if left.is_zero() {
                return Err(Unavailable::new(UnavailableReason::TimedOut).into());
            }
            let limits = Limits { connect: self.limits.connect.min(left), total: left, ..self.limits };
            let (cause, failure) = match self.transport.send(request, limits).await {
                Ok(response) => {
                    let read = match &self.signed {
                        Some(signed) => signed.read(&response, as_of, &*self.env.clock, deadline).await,
                        None => {
                            let now = self.env.clock.now().wall;
                            response::read(response.status(), response.headers(), response.body(), now)
                        }
                    };
                    match read {
                        Ok(reading) => return Ok(self.judge(reading)?),
                        Err(why) => (RetryCause::of_status(response.status().as_u16()), why),
                    }
                }
                // As with one that is too deep: it was answered, and so are others.
                Err(TransportError::BodyTooLarge) => return Ok(self.judge(Reading::Oversized)?),
                Err(error) => (RetryCause::of_transport(error), error.into()),
            };
            match failure.reason() {
                UnavailableReason::RefusedByServer => return Ok(Status::Refused(failure)),
                UnavailableReason::CredentialsRefused
                    if !renewed && self.credentials.renewed_since(&presented) =>
                {
                    renewed = true;
                    next = Some(self.present_instead(uri, &presented, failure).await?);
                    continue;
                }
                _ => {}
            }
            attempt += 1;
            let rest = cause.and_then(|cause| {
                self.upstream.retry_decision(attempt, cause, failure.retry_after(), Some(deadline))
            });
            match rest {
                None => return Err(failure.into()),
                Some(Duration::ZERO) => {}
                Some(rest) => match self.env.runtime.sleep(rest) {
                    Ok(timer) => timer.await,
                    Err(_) => return Err(failure.into()),
                },
            }
        }
    }

    fn judge(&self, reading: Reading) -> Result<Status, Unavailable> {
        match reading {
            Reading::Inactive => Ok(Status::Inactive),
            Reading::Oversized => Ok(Status::Refused(UnavailableReason::UnreadableAnswer.into())),
            Reading::Active(answer) => match Facts::from_answer(answer, &self.rules) {
                Ok(facts) => Ok(Status::Active(Arc::new(facts))),
                Err(AnswerError::Rejected(why)) => Ok(Status::Unacceptable(why)),
                // The server speaks the protocol. What it says of one token, whose claims its client may have a say
                // in, is no trouble for others.
                Err(AnswerError::Unreadable) => {
                    Ok(Status::Refused(UnavailableReason::UnreadableAnswer.into()))
                }
            },
        }
    }
}

/// No answer, and in which part of the way that showed.
struct Failed {
    why: Unavailable,
    stage: Stage,
    /// Whether it is for this flight to hold it against the server.
    counts: bool,
}

impl Failed {
    const fn at(stage: Stage, NotGot { why, counts }: NotGot) -> Self {
        Self { why, stage, counts }
    }
}

enum Stage {
    /// There was nothing to authenticate with.
    Credentials,
    Call,
}

impl From<Unavailable> for Failed {
    fn from(why: Unavailable) -> Self {
        Self { why, stage: Stage::Call, counts: true }
    }
}
