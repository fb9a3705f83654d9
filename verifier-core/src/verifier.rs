//! The trait that every strategy implements, what it is asked, and what it answers.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use futures_util::future::{BoxFuture, Either, Ready, ready};

use crate::claims::{Confirmation, Facts, VerifiedToken};
use crate::error::{Rejection, Unavailable, UnavailableReason, VerifyError};
use crate::evidence::{Evidence, RevocationBasis};
use crate::freshness::Freshness;
use crate::health::Health;
use crate::policy::ValidationPolicy;
use crate::time::{Instant, Now};
use crate::token::AccessToken;

/// An answer that is there, or one that somebody has to be asked for. `.await` serves both.
#[must_use = "a pending answer does nothing unless it is awaited"]
pub enum Asked<'a, T> {
    /// Decided from what this process holds.
    Ready(T),
    /// Somebody has to be asked.
    Pending(BoxFuture<'a, T>),
}

impl<'a, T> Asked<'a, T> {
    /// The answer, if it is there.
    pub fn into_ready(self) -> Result<T, BoxFuture<'a, T>> {
        match self {
            Self::Ready(answer) => Ok(answer),
            Self::Pending(asked) => Err(asked),
        }
    }

    /// Whether the answer is there.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }
}

impl<'a, T> IntoFuture for Asked<'a, T> {
    type Output = T;
    type IntoFuture = Either<Ready<T>, BoxFuture<'a, T>>;

    fn into_future(self) -> Self::IntoFuture {
        match self {
            Self::Ready(answer) => Either::Left(ready(answer)),
            Self::Pending(asked) => Either::Right(asked),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Asked<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(answer) => f.debug_tuple("Ready").field(answer).finish(),
            Self::Pending(_) => f.write_str("Pending(..)"),
        }
    }
}

/// The authentication scheme by which the token came (RFC 6750 §2.1, RFC 9449 §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `Bearer`
    #[default]
    Bearer,
    /// `DPoP`
    Dpop,
}

/// What came along with the token to prove possession.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Presentation {
    /// The scheme.
    pub scheme: Scheme,
    /// SHA-256 of the client certificate in DER, as the TLS layer saw it (RFC 8705 §3.1).
    pub certificate: Option<[u8; 32]>,
}

impl Presentation {
    /// A bearer token with nothing beside it.
    pub const BEARER: Self = Self { scheme: Scheme::Bearer, certificate: None };

    /// The same, with the thumbprint of the client's certificate.
    #[must_use]
    pub const fn with_certificate(self, sha256: [u8; 32]) -> Self {
        Self { certificate: Some(sha256), ..self }
    }

    /// The same, by this scheme.
    #[must_use]
    pub const fn by(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }
}

/// One token's question.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct VerifyRequest<'a> {
    /// The token; its size is checked, its shape and digest are computed at most once.
    pub token: &'a AccessToken<'a>,
    /// When the request arrived: what ages are judged against.
    pub arrival: Now,
    /// The demand on revocation knowledge.
    pub freshness: Freshness,
    /// What came along to prove possession.
    pub presentation: Presentation,
    /// When an answer is of no use any more.
    pub deadline: Option<Instant>,
    /// This API's policy; the verifier's own if absent.
    pub policy: Option<&'a ValidationPolicy>,
}

impl<'a> VerifyRequest<'a> {
    /// A bearer token that arrived at `arrival`, under the configured freshness and policy, with no deadline.
    pub const fn new(token: &'a AccessToken<'a>, arrival: Now) -> Self {
        Self {
            token,
            arrival,
            freshness: Freshness::CONFIGURED,
            presentation: Presentation::BEARER,
            deadline: None,
            policy: None,
        }
    }

    /// The same, with this demand.
    #[must_use]
    pub const fn with_freshness(self, freshness: Freshness) -> Self {
        Self { freshness, ..self }
    }

    /// The same, with this deadline.
    #[must_use]
    pub const fn with_deadline(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The same, with this presentation.
    #[must_use]
    pub const fn with_presentation(self, presentation: Presentation) -> Self {
        Self { presentation, ..self }
    }

    /// The same, under this policy.
    #[must_use]
    pub const fn with_policy(self, policy: &'a ValidationPolicy) -> Self {
        Self { policy: Some(policy), ..self }
    }
}

/// Verifies access tokens: the one trait behind every strategy. Object-safe.
///
/// An implementation judges the token under the request's policy and freshness. It leaves sender constraint and the
/// comparison of the demand with the evidence to [`Judged::finish`], which the caller runs last.
pub trait TokenVerifier: fmt::Debug + Send + Sync + 'static {
    /// The verdict on one token.
    fn verify<'a>(&'a self, request: &'a VerifyRequest<'a>) -> Asked<'a, Verdict>;

    /// Resolves once verdicts can be given: key sets loaded, nothing fatally misconfigured. Stays ready through an
    /// outage for as long as what is held may still be used.
    ///
    /// # Errors
    /// [`Unavailable`] if that isn't so, at the latest at `deadline`.
    fn ready<'a>(&'a self, deadline: Option<Instant>) -> Asked<'a, Result<(), Unavailable>>;

    /// What the verifier knows of its own state.
    fn health(&self, now: Now) -> Health;
}

/// What a [`TokenVerifier`] answers.
pub type Verdict = Result<Judged, VerifyError>;

/// Which side's claims the service sees, where both token and introspection answer are at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[non_exhaustive]
pub enum ClaimsFrom {
    /// The signed token's.
    #[default]
    Token,
    /// The introspection answer's: roles and scopes as the server knows them now.
    Introspection,
}

/// A token found good, but for the last step: sender constraint and freshness demand.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What the strategy read first: the signed token's claims, or the answer's where there is no signature.
    facts: Arc<Facts>,
    /// The introspection answer's, beside a signed token.
    answer: Option<Arc<Facts>>,
    claims: ClaimsFrom,
    evidence: Evidence,
}

impl Judged {
    /// From one source of facts.
    pub const fn new(facts: Arc<Facts>, evidence: Evidence) -> Self {
        Self { facts, answer: None, claims: ClaimsFrom::Token, evidence }
    }

    /// Adds the introspection answer, and says whose claims the service sees.
    #[must_use]
    pub fn with_answer(self, answer: Option<Arc<Facts>>, claims: ClaimsFrom) -> Self {
        Self { answer, claims, ..self }
    }

    /// Replaces the evidence.
    #[must_use]
    pub fn with_evidence(self, evidence: Evidence) -> Self {
        Self { evidence, ..self }
    }

    /// What the strategy read first.
    pub const fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// The introspection answer's facts beside a signed token.
    pub const fn answer(&self) -> Option<&Arc<Facts>> {
        self.answer.as_ref()
    }

    /// What the verdict rests on.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Whether the presented proof holds for what the facts at hand are bound to. A strategy that still has to ask
    /// somebody looks first: a token that its bearer can't prove to own is worth no question.
    ///
    /// # Errors
    /// [`Rejection::SenderUnproven`], [`Rejection::SenderMismatch`].
    pub fn judge_binding(&self, presentation: &Presentation) -> Result<(), Rejection> {
        let sides = [Some(&self.facts), self.answer.as_ref()];
        sides
            .into_iter()
            .flatten()
            .filter_map(|facts| facts.confirmation())
            .try_for_each(|confirmation| confirm(confirmation, presentation))
    }

    /// The last step, the same for every verifier: compares the demand with the evidence, then judges the sender
    /// constraint of token and answer.
    ///
    /// # Errors
    /// [`UnavailableReason::NoRevocationSource`] if a freshness was demanded and there is no revocation knowledge,
    /// [`UnavailableReason::TooStale`] if it is older; [`Rejection::SenderUnproven`], [`Rejection::SenderMismatch`].
    pub fn finish(self, request: &VerifyRequest<'_>) -> Result<VerifiedToken, VerifyError> {
        if let Some(demanded) = request.freshness.demanded() {
            match self.evidence.revocation {
                RevocationBasis::NotChecked | RevocationBasis::Exempt => {
                    return Err(UnavailableReason::NoRevocationSource.into());
                }
                RevocationBasis::Active { as_of, .. } | RevocationBasis::Stale { as_of, .. } => {
                    if request.arrival.since(as_of) > demanded {
                        return Err(UnavailableReason::TooStale.into());
                    }
                }
            }
        }
        // A binding that either side names must hold: an answer may add one that a slim token leaves out.
        let sides = [Some(&self.facts), self.answer.as_ref()];
        let mut bound = None;
        for confirmation in sides.into_iter().flatten().filter_map(|facts| facts.confirmation()) {
            confirm(confirmation, &request.presentation)?;
            if bound.is_some_and(|earlier| earlier != confirmation) {
                return Err(Rejection::SenderMismatch.into());
            }
            bound = Some(confirmation);
        }
        let is_key_bound = matches!(bound, Some(Confirmation::JwkThumbprint(_)));
        if !is_key_bound && request.presentation.scheme == Scheme::Dpop {
            // RFC 9449 §7.1: the DPoP scheme is for tokens bound to a key.
            return Err(Rejection::SenderMismatch.into());
        }
        let (seen, other) = match (self.claims, self.answer) {
            (ClaimsFrom::Introspection, Some(answer)) => (answer, Some(self.facts)),
            (_, answer) => (self.facts, answer),
        };
        Ok(VerifiedToken::assertion(seen, other, self.evidence, request.arrival))
    }
}

/// RFC 8705 §3, RFC 9449 §6: the presented proof against the token's `cnf`. What can't be checked is refused.
fn confirm(confirmation: Confirmation, presented: &Presentation) -> Result<(), Rejection> {
    use subtle::ConstantTimeEq;
    match confirmation {
        Confirmation::CertificateSha256(expected) => match presented.certificate {
            None => Err(Rejection::SenderUnproven),
            Some(actual) if bool::from(actual.ct_eq(&expected)) => Ok(()),
            Some(_) => Err(Rejection::SenderMismatch),
        },
        Confirmation::JwkThumbprint(_) | Confirmation::Unsupported => Err(Rejection::SenderUnproven),
    }
}

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests;
