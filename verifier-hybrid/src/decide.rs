//! The table: what a locally valid token's status makes of it. Pure; every clock and setting is an argument.

use std::sync::Arc;
use std::time::Duration;

use verifier_core::claims::Facts;
use verifier_core::error::{Rejection, Unavailable, UnavailableReason};
use verifier_core::evidence::{RevocationBasis, StatusSource};
use verifier_core::freshness::Freshness;
use verifier_core::identity::Identity;
use verifier_core::revocation::{CouldNotAsk, RevocationStatus};
use verifier_core::time::Now;

use crate::config::{CheckWhen, HybridConfig, IdentityRule, WhenUnknown};

/// What a status is judged by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    /// When the request arrived: what ages are judged against.
    pub(crate) arrival: Now,
    /// Greatest age that counts as fresh.
    pub(crate) freshness: Duration,
    /// Greatest age that is accepted when the server fails; `None`: nothing stale is.
    pub(crate) stale: Option<Duration>,
}

impl Terms {
    pub(crate) fn new(config: &HybridConfig, arrival: Now, demand: Freshness) -> Self {
        let stale = match config.when_unknown {
            WhenUnknown::Deny => None,
            // A request's own demand binds also then.
            WhenUnknown::AllowStale { up_to } => Some(demand.tighten(up_to)),
        };
        Self { arrival, freshness: config.freshness.tightened_by(demand), stale }
    }
}

/// Whether a token passes on the local verdict alone: it is short-lived, and the request demands nothing.
pub(crate) fn is_exempt(check_when: CheckWhen, demand: Freshness, lifetime: Option<Duration>) -> bool {
    match check_when {
        CheckWhen::Always => false,
        CheckWhen::LifetimeOver(threshold) => {
            demand.demanded().is_none() && lifetime.is_some_and(|lifetime| lifetime <= threshold)
        }
    }
}

/// What one checker's answer, or all of them together, make of a locally valid token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opinion {
    /// Nothing.
    None,
    /// It is in force.
    Accept(RevocationBasis),
    /// It can't be said.
    Unavailable(Unavailable),
    /// It is not to be accepted.
    Reject(Rejection),
}

/// One checker's answer under the terms, with what the server said of the token if it is to be accepted.
pub(crate) fn judge(
    answer: Result<RevocationStatus, CouldNotAsk>,
    source: StatusSource,
    terms: &Terms,
) -> (Opinion, Option<Arc<Facts>>) {
    match answer {
        Ok(RevocationStatus::Active { as_of, answer }) => {
            if terms.arrival.since(as_of) <= terms.freshness {
                (Opinion::Accept(RevocationBasis::Active { as_of, source }), answer)
            } else {
                // The checker broke its word; its answer is no better than none.
                (Opinion::Unavailable(UnavailableReason::TooStale.into()), None)
            }
        }
        Ok(RevocationStatus::Inactive { .. }) => (Opinion::Reject(Rejection::Inactive), None),
        Ok(RevocationStatus::Unacceptable { why, .. }) => (Opinion::Reject(why), None),
        Ok(RevocationStatus::NoOpinion) => (Opinion::None, None),
        Err(CouldNotAsk { why, last: Some(RevocationStatus::Active { as_of, answer }) })
            if why.is_server_failure()
                && terms.stale.is_some_and(|up_to| terms.arrival.since(as_of) <= up_to) =>
        {
            (Opinion::Accept(RevocationBasis::Stale { as_of, source }), answer)
        }
        Err(CouldNotAsk { why, .. }) => (Opinion::Unavailable(why), None),
        // A kind of status that is not known here says nothing that could be relied on.
        Ok(_) => (Opinion::Unavailable(UnavailableReason::StatusUnknown.into()), None),
    }
}

impl Opinion {
    /// Both together, in whichever order they came: a rejection wins, then not knowing, then the older knowledge. A
    /// checker without an opinion doesn't count.
    pub(crate) fn and(self, other: Self, arrival: Now) -> Self {
        match (self, other) {
            (Self::None, one) | (one, Self::None) => one,
            (Self::Reject(a), Self::Reject(b)) => Self::Reject(graver(a, b)),
            (Self::Reject(why), _) | (_, Self::Reject(why)) => Self::Reject(why),
            (Self::Unavailable(a), Self::Unavailable(b)) => Self::Unavailable(longer(a, b)),
            (Self::Unavailable(why), _) | (_, Self::Unavailable(why)) => Self::Unavailable(why),
            (Self::Accept(a), Self::Accept(b)) => Self::Accept(older(a, b, arrival)),
        }
    }

    /// What remains once all have spoken: nobody having an opinion is not knowing.
    pub(crate) fn settled(self) -> Result<RevocationBasis, verifier_core::error::VerifyError> {
        match self {
            Self::Accept(basis) => Ok(basis),
            Self::Reject(why) => Err(why.into()),
            Self::Unavailable(why) => Err(why.into()),
            Self::None => Err(UnavailableReason::StatusUnknown.into()),
        }
    }
}

/// That it isn't active says more than what is wrong with an answer.
fn graver(a: Rejection, b: Rejection) -> Rejection {
    let rank = |why: Rejection| (why != Rejection::Inactive, why.code());
    if rank(b) < rank(a) { b } else { a }
}

/// Asking again helps only when it helps with both.
fn longer(a: Unavailable, b: Unavailable) -> Unavailable {
    let rank = |why: Unavailable| (!why.is_retryable(), why.retry_after(), why.code());
    if rank(b) > rank(a) { b } else { a }
}

fn older(a: RevocationBasis, b: RevocationBasis, arrival: Now) -> RevocationBasis {
    let rank = |basis: RevocationBasis| {
        let as_of = basis.as_of();
        let stale = matches!(basis, RevocationBasis::Stale { .. });
        let custom = matches!(
            basis,
            RevocationBasis::Stale { source: StatusSource::Custom, .. }
                | RevocationBasis::Active { source: StatusSource::Custom, .. }
        );
        (
            as_of.map(|as_of| arrival.since(as_of)),
            as_of.map(|as_of| std::cmp::Reverse(as_of.monotonic)),
            stale,
            custom,
        )
    };
    if rank(b) > rank(a) { b } else { a }
}

/// Whether an answer can be about this token: a server that answers for another one, by mistake or by malice, must
/// not vouch for it.
///
/// # Errors
/// [`Rejection::IdentityMismatch`].
pub(crate) fn cross_check(token: &Identity, answer: &Identity, rule: IdentityRule) -> Result<(), Rejection> {
    let connected = match rule {
        IdentityRule::Agree => token.shares_member_with(answer),
        IdentityRule::DangerNoSharedMember => true,
    };
    if token.agrees_with(answer) && connected { Ok(()) } else { Err(Rejection::IdentityMismatch) }
}

#[cfg(test)]
mod tests;
