//! What was measured.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use verifier::{VerifiedToken, VerifyError};
use verifier_testkit::Counts;

#[derive(Serialize)]
pub(super) struct Document {
    pub(super) kept: bool,
    pub(super) seconds: f64,
    pub(super) promises: Vec<Promise>,
    pub(super) strategies: Vec<StrategyFigures>,
}

/// A promise, and the figure that keeps or breaks it.
#[derive(Serialize)]
pub(super) struct Promise {
    pub(super) name: &'static str,
    pub(super) strategy: &'static str,
    pub(super) kept: bool,
    pub(super) promise: String,
    pub(super) figure: String,
}

#[derive(Serialize)]
pub(super) struct StrategyFigures {
    pub(super) strategy: &'static str,
    pub(super) speed: Speed,
    pub(super) stampede: Stampede,
    pub(super) rotation: Rotation,
    pub(super) flood: Flood,
    pub(super) revocation: Revocation,
    pub(super) outage: Outage,
    /// Over all scenes.
    pub(super) verdicts: Verdicts,
}

/// How often the authorization server was asked, by endpoint.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Calls {
    pub(super) discovery: u64,
    pub(super) jwks: u64,
    pub(super) introspection: u64,
}

impl From<Counts> for Calls {
    fn from(counts: Counts) -> Self {
        Self { discovery: counts.discovery, jwks: counts.jwks, introspection: counts.introspection }
    }
}

/// Verdicts by code; `verified` for the good ones.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Verdicts(BTreeMap<&'static str, u64>);

/// The code of a good verdict.
pub(super) const VERIFIED: &str = "verified";

/// The code of a verdict.
pub(super) fn code(verdict: &Result<VerifiedToken, VerifyError>) -> &'static str {
    verdict.as_ref().map_or_else(|error| error.code(), |_| VERIFIED)
}

impl Verdicts {
    pub(super) fn note(&mut self, code: &'static str) {
        *self.0.entry(code).or_default() += 1;
    }

    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(super) fn verified(&self) -> u64 {
        self.0.get(VERIFIED).copied().unwrap_or_default()
    }

    pub(super) fn lost(&self) -> u64 {
        self.total() - self.verified()
    }

    pub(super) fn rejected(&self) -> u64 {
        let is_rejection = |code: &str| verifier::Rejection::ALL.iter().any(|known| known.code() == code);
        self.0.iter().filter(|(code, _)| is_rejection(code)).map(|(_, count)| count).sum()
    }

    pub(super) fn unavailable(&self) -> u64 {
        self.total() - self.verified() - self.rejected()
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (code, count) in &other.0 {
            *self.0.entry(code).or_default() += count;
        }
    }

    /// Those that weren't verified.
    pub(super) fn others(&self) -> Self {
        Self(self.0.iter().filter(|(code, _)| **code != VERIFIED).map(|(code, n)| (*code, *n)).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(code, count)| (*code, *count))
    }
}

/// Latencies in microseconds.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Latency {
    pub(super) count: u64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// Collects latencies.
pub(super) struct Stopwatch(Histogram<u64>);

impl Stopwatch {
    /// Up to a minute, three digits.
    pub(super) fn new() -> Result<Self, hdrhistogram::CreationError> {
        Histogram::new_with_bounds(1, 60_000_000_000, 3).map(Self)
    }

    pub(super) fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn latency(&self) -> Latency {
        #[allow(clippy::cast_precision_loss)] // nanoseconds of a minute fit
        let micros = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / 1e3;
        Latency { count: self.0.len(), p50_us: micros(0.5), p99_us: micros(0.99) }
    }
}

#[derive(Serialize)]
pub(super) struct Speed {
    /// The very first verification: metadata and keys are fetched for it.
    pub(super) first_us: f64,
    /// Tokens never seen before, keys known.
    pub(super) cold: Latency,
    /// Tokens seen before.
    pub(super) warm: Latency,
    pub(super) cold_calls: Calls,
    pub(super) warm_calls: Calls,
}

#[derive(Serialize)]
pub(super) struct Stampede {
    pub(super) callers: u64,
    pub(super) verified: u64,
    pub(super) calls: Calls,
}

#[derive(Serialize)]
pub(super) struct Rotation {
    pub(super) rotations: u64,
    pub(super) requests: u64,
    pub(super) lost: u64,
    pub(super) lost_by_code: Verdicts,
    pub(super) calls: Calls,
}

#[derive(Serialize)]
pub(super) struct Flood {
    pub(super) tokens: u64,
    pub(super) verdicts: Verdicts,
    pub(super) calls: Calls,
    /// How long the flood lasted by the clock of verifier and server, which was moved meanwhile.
    pub(super) lasted_s: f64,
    pub(super) cooldown_s: f64,
    /// One fetch for each cooldown that began, and the spare one.
    pub(super) allowed_fetches: u64,
    /// Good tokens under known keys, verified meanwhile.
    pub(super) good_tokens: u64,
    pub(super) good_tokens_lost: u64,
    /// Keys that were rotated in, published no earlier than used.
    pub(super) rotations: u64,
    pub(super) rotations_picked_up: u64,
    /// The longest time for which a good token under a new key was not verified.
    pub(super) longest_wait_s: f64,
}

#[derive(Serialize)]
pub(super) struct Revocation {
    pub(super) freshness_s: Option<f64>,
    pub(super) tokens: u64,
    /// Refused for the revocation, while they had not expired.
    pub(super) noticed: u64,
    /// The longest time from a revocation to the first refusal; `None` if one of them was never noticed.
    pub(super) noticed_after_s: Option<f64>,
    /// The longest time from a revocation to the last acceptance: what the freshness bounds.
    pub(super) accepted_for_s: f64,
    /// Why the tokens were refused.
    pub(super) codes: Verdicts,
    /// Whether a revocation showed before the token's `exp`.
    pub(super) noticed_before_expiry: bool,
}

#[derive(Serialize)]
pub(super) struct Outage {
    pub(super) tokens: u64,
    /// Known tokens, shortly after the server went away.
    pub(super) fresh: Verdicts,
    /// A token never seen before.
    pub(super) unseen: Verdicts,
    /// Known tokens, once the freshness is used up.
    pub(super) freshness_used_up: Verdicts,
    /// Known tokens, hours later.
    pub(super) hours_later: Verdicts,
    /// Known tokens, after the server came back.
    pub(super) recovered: Verdicts,
}

impl Outage {
    /// What was said while the server was away.
    pub(super) fn phases(&self) -> [&Verdicts; 4] {
        [&self.fresh, &self.unseen, &self.freshness_used_up, &self.hours_later]
    }
}
