//! One span and one event a verdict, for the feature `tracing`: at debug level, since whoever sends junk would fill the
//! log otherwise. Strategy and code, never token, subject, key id or issuer.

use std::future::Future;

use tracing::Instrument as _;
use verifier_core::claims::VerifiedToken;
use verifier_core::error::VerifyError;
use verifier_core::evidence::Strategy;

/// What is asked on behalf of one verification is told inside its span.
pub(crate) fn spanned<F: Future>(verification: F) -> impl Future<Output = F::Output> {
    verification.instrument(tracing::debug_span!("verify"))
}

/// Another configuration came into force. Issuers are named by whoever configured them.
pub(crate) fn reconfigured(changes: &crate::reconfigure::Reconfigured) {
    tracing::info!(
        kept = ?changes.kept,
        built = ?changes.built,
        dropped = ?changes.dropped,
        "another configuration came into force"
    );
}

/// `only` is the strategy of a handle that has but one issuer: which of several refused isn't known here.
pub(crate) fn verdict(verdict: &Result<VerifiedToken, VerifyError>, only: Option<Strategy>) {
    let refused_by = only.map(Strategy::name);
    match verdict {
        Ok(token) => {
            let evidence = token.evidence();
            tracing::debug!(
                strategy = evidence.strategy.name(),
                code = "verified",
                from_cache = evidence.from_cache,
                revocation = evidence.revocation.name(),
                "token verified"
            );
        }
        Err(VerifyError::Rejected(rejection)) => {
            tracing::debug!(strategy = refused_by, code = rejection.code(), "token rejected");
        }
        Err(error) => tracing::debug!(strategy = refused_by, code = error.code(), "no verdict"),
    }
}
