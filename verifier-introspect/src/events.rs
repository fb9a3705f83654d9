//! What an operator should know, as notes for the health view and as log lines. A line of a kind appears at most once
//! in a while, so that a flood of tokens makes no flood of lines; none names a token, a subject or a client.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::health::HealthNote;
use verifier_core::time::Instant;
use verifier_core::token::Digest;

/// After so many inactive answers in a row for different tokens that are valid locally, our configuration is the most
/// likely cause.
pub(crate) const ALL_INACTIVE: u32 = 20;
/// After so many different tokens that the server refused to answer for, and no answer ever, it isn't the tokens.
pub(crate) const ALL_REFUSED: usize = 20;
/// Least time between two lines of one kind.
const QUIET: Duration = Duration::from_secs(10);

/// What was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Refused,
    Credentials,
    NoCredentials,
    Redirected,
    Misconfigured,
    Failed,
    WrongIssuer,
    AllInactive,
    NoneActive,
    AllRefused,
    Untrusted,
}

const KINDS: usize = 11;

/// The state behind notes and lines.
#[derive(Debug, Default)]
pub(crate) struct Events {
    inactive_run: AtomicU32,
    /// Inactive answers for different tokens of which nothing else is known, until the first active one.
    unknown_inactive: AtomicU32,
    ever_active: AtomicBool,
    /// The token that was counted last: one that is shown again and again counts once.
    counted: Mutex<Option<Digest>>,
    credentials_refused: AtomicBool,
    redirected: AtomicBool,
    /// Whether the server has ever answered.
    has_answered: AtomicBool,
    /// Different tokens that it refused to answer for before it ever answered, [`ALL_REFUSED`] at most.
    refused: Mutex<Vec<Digest>>,
    /// When the next line of a kind may appear, and how many were left out, by kind.
    quiet: [(AtomicU64, AtomicU64); KINDS],
}

impl Events {
    /// A readable answer came.
    pub(crate) fn answered(&self) {
        self.credentials_refused.store(false, Ordering::Relaxed);
        self.redirected.store(false, Ordering::Relaxed);
        if !self.has_answered.swap(true, Ordering::Relaxed) {
            self.refused.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// An active answer came.
    pub(crate) fn active(&self) {
        self.inactive_run.store(0, Ordering::Relaxed);
        self.ever_active.store(true, Ordering::Relaxed);
    }

    /// The server calls a token inactive that is valid locally, and said something else, or nothing, of it before.
    pub(crate) fn inactive_though_valid(&self, issuer: &str, token: Digest, now: Instant) {
        if self.reaches_limit(&self.inactive_run, token) {
            self.line(Kind::AllInactive, issuer, "all_inactive", now);
        }
    }

    /// The server calls a token inactive of which nothing else is known. That tells something only for as long as it
    /// has called none active: anybody can send junk.
    pub(crate) fn inactive_and_unknown(&self, issuer: &str, token: Digest, now: Instant) {
        if !self.ever_active.load(Ordering::Relaxed) && self.reaches_limit(&self.unknown_inactive, token) {
            self.line(Kind::NoneActive, issuer, "none_active", now);
        }
    }

    /// Counts a token unless it was counted last; whether that makes enough of them.
    fn reaches_limit(&self, run: &AtomicU32, token: Digest) -> bool {
        if self.counted.lock().unwrap_or_else(PoisonError::into_inner).replace(token) == Some(token) {
            return false;
        }
        let saturating = |run: u32| Some(run.saturating_add(1));
        let before =
            run.fetch_update(Ordering::Relaxed, Ordering::Relaxed, saturating).unwrap_or_else(|run| run);
        before.saturating_add(1) == ALL_INACTIVE
    }

    /// The server refused to answer for a token. That is about this token, as long as others are answered.
    pub(crate) fn refused(&self, issuer: &str, token: Digest, why: Unavailable, now: Instant) {
        self.failed(issuer, why, now);
        // What can't be read is an answer all the same.
        let is_refusal = why.reason() == UnavailableReason::RefusedByServer;
        if !is_refusal || self.has_answered.load(Ordering::Relaxed) {
            return;
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= ALL_REFUSED || refused.contains(&token) {
            return;
        }
        refused.push(token);
        let all = refused.len() == ALL_REFUSED;
        drop(refused);
        if all {
            self.line(Kind::AllRefused, issuer, HealthNote::AllRefused.code(), now);
        }
    }

    /// Whether it has refused many different tokens and never answered.
    fn refuses_all(&self) -> bool {
        !self.has_answered.load(Ordering::Relaxed)
            && self.refused.lock().unwrap_or_else(PoisonError::into_inner).len() >= ALL_REFUSED
    }

    /// An answer names another issuer.
    pub(crate) fn wrong_issuer(&self, issuer: &str, now: Instant) {
        self.line(Kind::WrongIssuer, issuer, "wrong_issuer", now);
    }

    /// No answer came.
    pub(crate) fn failed(&self, issuer: &str, why: Unavailable, now: Instant) {
        let kind = match why.reason() {
            UnavailableReason::CredentialsRefused => {
                self.credentials_refused.store(true, Ordering::Relaxed);
                Kind::Credentials
            }
            UnavailableReason::Redirected => {
                self.redirected.store(true, Ordering::Relaxed);
                Kind::Redirected
            }
            UnavailableReason::Misconfigured => Kind::Misconfigured,
            UnavailableReason::RefusedByServer => Kind::Refused,
            UnavailableReason::AnswerNotSigned
            | UnavailableReason::AnswerEncrypted
            | UnavailableReason::AnswerNotTrusted => Kind::Untrusted,
            _ => Kind::Failed,
        };
        self.line(kind, issuer, why.code(), now);
    }

    /// There was nothing to authenticate with: a file that can't be read, a token that can't be got.
    pub(crate) fn no_credentials(&self, issuer: &str, why: Unavailable, now: Instant) {
        if why.reason() == UnavailableReason::CredentialsRefused {
            self.credentials_refused.store(true, Ordering::Relaxed);
        }
        self.line(Kind::NoCredentials, issuer, why.code(), now);
    }

    /// The notes that hold now.
    pub(crate) fn notes(&self) -> Vec<HealthNote> {
        let none_active = !self.ever_active.load(Ordering::Relaxed)
            && self.unknown_inactive.load(Ordering::Relaxed) >= ALL_INACTIVE;
        [
            (self.inactive_run.load(Ordering::Relaxed) >= ALL_INACTIVE, HealthNote::AllInactive),
            (none_active, HealthNote::NoneActive),
            (self.refuses_all(), HealthNote::AllRefused),
            (self.credentials_refused.load(Ordering::Relaxed), HealthNote::CredentialsRefused),
            (self.redirected.load(Ordering::Relaxed), HealthNote::Redirected),
        ]
        .into_iter()
        .filter_map(|(holds, note)| holds.then_some(note))
        .collect()
    }

    fn line(&self, kind: Kind, issuer: &str, code: &'static str, now: Instant) {
        let Some((next, left_out)) = self.quiet.get(kind as usize) else { return };
        let due = next.load(Ordering::Relaxed);
        let ours = now.nanos() >= due
            && next
                .compare_exchange(due, now.plus(QUIET).nanos(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if ours {
            emit(kind, issuer, code, left_out.swap(0, Ordering::Relaxed));
        } else {
            left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(feature = "tracing")]
fn emit(kind: Kind, issuer: &str, code: &'static str, left_out: u64) {
    match kind {
        Kind::Refused => {
            tracing::info!(
                issuer,
                code,
                left_out,
                "the introspection endpoint refuses to answer for a token"
            );
        }
        Kind::Credentials => {
            tracing::error!(issuer, code, left_out, "the introspection endpoint refuses our credentials");
        }
        Kind::NoCredentials => tracing::error!(
            issuer,
            code,
            left_out,
            "nothing to authenticate with at the introspection endpoint: secret, key or token can't be had"
        ),
        Kind::Redirected => {
            tracing::error!(
                issuer,
                code,
                left_out,
                "the introspection endpoint redirects; its address is off"
            );
        }
        Kind::Misconfigured => {
            tracing::error!(
                issuer,
                code,
                left_out,
                "there is no introspection endpoint to ask, or the issuer's metadata name another issuer; `verifier \
                 config check --online` tells which"
            );
        }
        Kind::AllRefused => tracing::error!(
            issuer,
            code,
            left_out,
            "the introspection endpoint has refused every token so far; most likely it can't read our credentials (their encoding?), or doesn't introspect JWTs"
        ),
        Kind::Untrusted => {
            tracing::error!(issuer, code, left_out, "an introspection answer isn't signed as it has to be");
        }
        Kind::Failed => tracing::warn!(issuer, code, left_out, "an introspection call failed"),
        Kind::WrongIssuer => {
            tracing::warn!(issuer, code, left_out, "an introspection answer names another issuer");
        }
        Kind::AllInactive => tracing::error!(
            issuer,
            code,
            left_out,
            "every locally valid token is called inactive; most likely this client may not see them (is it in their audience?)"
        ),
        Kind::NoneActive => tracing::warn!(
            issuer,
            code,
            left_out,
            "no token has been called active so far; if good ones were among them, most likely this client may not see them (is it in their audience?)"
        ),
    }
}

#[cfg(not(feature = "tracing"))]
const fn emit(_: Kind, _: &str, _: &'static str, _: u64) {}

#[cfg(test)]
mod tests;
