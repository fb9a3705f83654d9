//! A revocation checker that follows a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use verifier_core::claims::Facts;
use verifier_core::error::{Rejection, Unavailable, UnavailableReason};
use verifier_core::revocation::{Check, CouldNotAsk, RevocationChecker, RevocationQuery, RevocationStatus};
use verifier_core::time::Now;
use verifier_core::verifier::Asked;

use super::lock;
use crate::gate::Gate;

/// What a [`ScriptedChecker`] says to one question.
#[derive(Clone, Debug)]
pub struct Reply {
    status: Said,
    gate: Option<Gate>,
}

#[derive(Clone, Debug)]
enum Said {
    Exactly(RevocationStatus),
    ActiveSince(Duration, Option<Arc<Facts>>),
    InactiveSince(Duration),
    UnacceptableSince(Duration, Rejection),
    CouldNotAsk(CouldNotAsk),
}

impl Reply {
    const fn of(status: Said) -> Self {
        Self { status, gate: None }
    }

    /// Active, asked when the request arrived.
    pub const fn active() -> Self {
        Self::active_since(Duration::ZERO)
    }

    /// Active, asked this long before the request arrived.
    pub const fn active_since(age: Duration) -> Self {
        Self::of(Said::ActiveSince(age, None))
    }

    /// Inactive, asked when the request arrived.
    pub const fn inactive() -> Self {
        Self::of(Said::InactiveSince(Duration::ZERO))
    }

    /// Inactive, asked this long before the request arrived.
    pub const fn inactive_since(age: Duration) -> Self {
        Self::of(Said::InactiveSince(age))
    }

    /// Called active, but not to be accepted, asked when the request arrived.
    pub const fn unacceptable(why: Rejection) -> Self {
        Self::of(Said::UnacceptableSince(Duration::ZERO, why))
    }

    /// Nothing to say of this token.
    pub const fn no_opinion() -> Self {
        Self::of(Said::Exactly(RevocationStatus::NoOpinion))
    }

    /// This status as it stands.
    pub const fn exactly(status: RevocationStatus) -> Self {
        Self::of(Said::Exactly(status))
    }

    /// Nobody could be asked, and nothing was known before.
    pub fn could_not_ask(why: impl Into<Unavailable>) -> Self {
        Self::of(Said::CouldNotAsk(CouldNotAsk { why: why.into(), last: None }))
    }

    /// Nobody could be asked; this was known before.
    pub fn could_not_ask_but_knew(why: impl Into<Unavailable>, last: RevocationStatus) -> Self {
        Self::of(Said::CouldNotAsk(CouldNotAsk { why: why.into(), last: Some(last) }))
    }

    /// The same, with what the server said of the token; for an active reply.
    #[must_use]
    pub fn with_answer(mut self, facts: Arc<Facts>) -> Self {
        if let Said::ActiveSince(_, answer) | Said::Exactly(RevocationStatus::Active { answer, .. }) =
            &mut self.status
        {
            *answer = Some(facts);
        }
        self
    }

    /// The same, pending until the gate lets it through.
    #[must_use]
    pub fn behind(self, gate: &Gate) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }

    fn to(&self, arrival: Now) -> Result<RevocationStatus, CouldNotAsk> {
        Ok(match &self.status {
            Said::Exactly(status) => status.clone(),
            Said::ActiveSince(age, answer) => {
                RevocationStatus::Active { as_of: arrival.minus(*age), answer: answer.clone() }
            }
            Said::InactiveSince(age) => RevocationStatus::Inactive { as_of: arrival.minus(*age) },
            Said::UnacceptableSince(age, why) => {
                RevocationStatus::Unacceptable { as_of: arrival.minus(*age), why: *why }
            }
            Said::CouldNotAsk(could_not) => return Err(could_not.clone()),
        })
    }
}

/// A [`RevocationChecker`] that says what was scripted: each of `then` once, in order, and `always` after them.
#[derive(Debug)]
pub struct ScriptedChecker {
    script: Mutex<Script>,
}

#[derive(Debug)]
struct Script {
    next: VecDeque<Reply>,
    always: Reply,
    asked: Vec<Duration>,
}

impl ScriptedChecker {
    /// With no script: could not ask, since the status is unknown.
    pub fn new() -> Self {
        Self::always(Reply::could_not_ask(UnavailableReason::StatusUnknown))
    }

    /// Says this to every question.
    pub const fn always(reply: Reply) -> Self {
        Self { script: Mutex::new(Script { next: VecDeque::new(), always: reply, asked: Vec::new() }) }
    }

    /// Says this once, after all that `then` was given before and ahead of what is said always.
    pub fn then(&self, reply: Reply) -> &Self {
        lock(&self.script).next.push_back(reply);
        self
    }

    /// Says this from now on, once the rest of the script is used up.
    pub fn from_now_on(&self, reply: Reply) {
        lock(&self.script).always = reply;
    }

    /// How often it was asked.
    pub fn calls(&self) -> usize {
        lock(&self.script).asked.len()
    }

    /// The freshness that each question asked for, in order.
    pub fn asked(&self) -> Vec<Duration> {
        lock(&self.script).asked.clone()
    }
}

impl Default for ScriptedChecker {
    fn default() -> Self {
        Self::new()
    }
}

impl RevocationChecker for ScriptedChecker {
    fn status<'a>(&'a self, query: &RevocationQuery<'_>) -> Check<'a> {
        let reply = {
            let mut script = lock(&self.script);
            script.asked.push(query.freshness);
            script.next.pop_front().unwrap_or_else(|| script.always.clone())
        };
        let status = reply.to(query.request.arrival);
        match reply.gate {
            None => Asked::Ready(status),
            Some(gate) => Asked::Pending(Box::pin(async move {
                gate.pass().await;
                status
            })),
        }
    }
}
