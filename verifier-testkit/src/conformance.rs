//! The contract of [`TokenVerifier`], as a suite that every verifier can be run through: ours, and one of your own.
//!
//! A [`Subject`] says how to get tokens for the verifier under test and what they bear; [`conformance`] runs every check
//! and returns a [`Report`]. No check sleeps. A verifier that never answers makes the suite wait for ever.

mod checks;
mod report;

use std::fmt;
use std::sync::Arc;

use verifier_core::policy::{PolicyBuilder, ValidationPolicy};
use verifier_core::time::{Clock, Now};
use verifier_core::verifier::TokenVerifier;

pub use self::report::{Failure, Report};

/// A token that the suite asks for. Each call makes a new one, which the verifier has never seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Good in every respect: for [`Subject::audience`], with the scope [`Subject::scope`].
    Good,
    /// Good but for `exp`, which is past.
    Expired,
    /// Good but for the audience, which is somebody else.
    OtherAudience,
    /// By another issuer, for the right audience.
    OtherIssuer,
    /// A good one that was changed after it was issued.
    Tampered,
    /// Good once, and revoked.
    Revoked,
}

/// A verifier under test, and how to get tokens for it.
pub struct Subject {
    /// The verifier.
    pub verifier: Arc<dyn TokenVerifier>,
    /// The clock that the verifier lives by.
    pub clock: Arc<dyn Clock>,
    /// The issuer's name in the verdicts.
    pub issuer: String,
    /// The audience that the verifier's own policy demands.
    pub audience: String,
    /// A scope that good tokens have.
    pub scope: String,
    /// Whether the verifier has knowledge of revocations. If so, it must honour any demand on freshness and refuse
    /// [`Kind::Revoked`]; if not, its evidence must say so.
    pub sees_revocation: bool,
    mint: Mint,
}

type Mint = Box<dyn Fn(Kind) -> Option<String> + Send + Sync>;

impl Subject {
    /// `mint` makes a token of each kind; `None` for a kind that can't be had, whose checks are then left out. A
    /// [`Kind::Good`] token must always be had.
    pub fn new(
        verifier: Arc<dyn TokenVerifier>,
        clock: Arc<dyn Clock>,
        mint: impl Fn(Kind) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            verifier,
            clock,
            issuer: String::new(),
            audience: String::new(),
            scope: String::new(),
            sees_revocation: false,
            mint: Box::new(mint),
        }
    }

    /// What good tokens bear.
    #[must_use]
    pub fn bearing(
        self,
        issuer: impl Into<String>,
        audience: impl Into<String>,
        scope: impl Into<String>,
    ) -> Self {
        Self { issuer: issuer.into(), audience: audience.into(), scope: scope.into(), ..self }
    }

    /// The verifier knows of revocations.
    #[must_use]
    pub fn seeing_revocation(self) -> Self {
        Self { sees_revocation: true, ..self }
    }

    fn mint(&self, kind: Kind) -> Option<String> {
        (self.mint)(kind)
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    /// A policy for the tokens' own audience, to be made stricter.
    fn policy(&self) -> PolicyBuilder {
        ValidationPolicy::for_audience(&*self.audience)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("verifier", &self.verifier)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("sees_revocation", &self.sees_revocation)
            .finish_non_exhaustive()
    }
}

/// Runs every check of the contract.
pub async fn conformance(subject: &Subject) -> Report {
    let mut report = Report::default();
    if subject.mint(Kind::Good).is_none() {
        report.fail("a good token can be had", "the subject mints none");
        return report;
    }
    checks::good_tokens(subject, &mut report).await;
    checks::bad_tokens(subject, &mut report).await;
    checks::hostile_texts(subject, &mut report).await;
    checks::freshness(subject, &mut report).await;
    checks::policies(subject, &mut report).await;
    checks::deadlines(subject, &mut report).await;
    checks::callers_that_go_away(subject, &mut report).await;
    checks::many_at_once(subject, &mut report).await;
    checks::state(subject, &mut report).await;
    report
}

#[cfg(test)]
mod tests;
