//! The settings of an upstream, their defaults and bounds.

use std::fmt;
use std::time::Duration;

/// Calls at the same time, by default.
pub const DEFAULT_MAX_CONCURRENT: usize = 64;
/// Callers that may wait for a slot, by default.
pub const DEFAULT_MAX_WAITING: usize = 1024;
/// Greatest wait for a slot, by default.
pub const DEFAULT_MAX_WAIT: Duration = Duration::from_millis(500);
/// Further attempts after a failed one, by default.
pub const DEFAULT_RETRIES: u32 = 1;
/// Rest before the first retry, by default.
pub const DEFAULT_RETRY_BACKOFF: Duration = Duration::from_millis(50);
/// Consecutive server failures that open the breaker, by default.
pub const DEFAULT_BREAKER_FAILURES: u32 = 5;
/// How long the breaker stays open at first, by default.
pub const DEFAULT_BREAKER_OPEN: Duration = Duration::from_secs(1);
/// How long the breaker stays open at most, by default.
pub const DEFAULT_BREAKER_OPEN_MAX: Duration = Duration::from_secs(30);
/// A `Retry-After` is heeded up to this: no server closes its door to us for longer.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);
/// When a call that found no slot in time is told to come back.
pub const SHED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Greatest number of retries that a configuration may ask for.
pub const MAX_RETRIES: u32 = 10;

/// How one server is asked. Start from [`Default`] and change fields, `max_concurrent` by
/// [`with_max_concurrent`](Self::with_max_concurrent), which keeps `reserved` in proportion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UpstreamConfig {
    /// Calls at the same time; [`DEFAULT_MAX_CONCURRENT`].
    pub max_concurrent: usize,
    /// Slots of these kept for [`Priority::Known`](super::Priority::Known); a quarter. The same share of the waiting
    /// places is kept.
    pub reserved: usize,
    /// Callers that may wait for a slot, of both priorities; none may if this is zero. [`DEFAULT_MAX_WAITING`].
    pub max_waiting: usize,
    /// Greatest wait for a slot; [`DEFAULT_MAX_WAIT`].
    pub max_wait: Duration,
    /// Further attempts after a failed one, at most [`MAX_RETRIES`]; [`DEFAULT_RETRIES`].
    pub retries: u32,
    /// Rest before the first retry, doubling with each, half of it random; [`DEFAULT_RETRY_BACKOFF`].
    pub retry_backoff: Duration,
    /// Consecutive server failures that open the breaker; [`DEFAULT_BREAKER_FAILURES`].
    pub breaker_failures: u32,
    /// How long the breaker stays open, doubling with each failed probe, half of it random; [`DEFAULT_BREAKER_OPEN`].
    pub breaker_open: Duration,
    /// Where that doubling ends; [`DEFAULT_BREAKER_OPEN_MAX`].
    pub breaker_open_max: Duration,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            max_concurrent: DEFAULT_MAX_CONCURRENT,
            reserved: DEFAULT_MAX_CONCURRENT / 4,
            max_waiting: DEFAULT_MAX_WAITING,
            max_wait: DEFAULT_MAX_WAIT,
            retries: DEFAULT_RETRIES,
            retry_backoff: DEFAULT_RETRY_BACKOFF,
            breaker_failures: DEFAULT_BREAKER_FAILURES,
            breaker_open: DEFAULT_BREAKER_OPEN,
            breaker_open_max: DEFAULT_BREAKER_OPEN_MAX,
        }
    }
}

impl UpstreamConfig {
    /// The same with `slots` calls at the same time, a quarter of them reserved.
    #[must_use]
    pub const fn with_max_concurrent(self, slots: usize) -> Self {
        Self { max_concurrent: slots, reserved: slots / 4, ..self }
    }

    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// [`InvalidUpstreamConfig`], for the first field that doesn't.
    pub const fn validate(&self) -> Result<(), InvalidUpstreamConfig> {
        let (field, rule) = if self.max_concurrent == 0 {
            ("max_concurrent", "must be at least 1")
        } else if self.reserved >= self.max_concurrent {
            ("reserved", "must be less than max_concurrent")
        } else if self.retries > MAX_RETRIES {
            ("retries", "must be at most 10")
        } else if self.breaker_failures == 0 {
            ("breaker_failures", "must be at least 1")
        } else if self.breaker_open.is_zero() {
            ("breaker_open", "must be more than zero")
        } else if self.breaker_open_max.as_nanos() < self.breaker_open.as_nanos() {
            ("breaker_open_max", "must not be less than breaker_open")
        } else {
            return Ok(());
        };
        Err(InvalidUpstreamConfig { field, rule })
    }

    /// Slots that unknown tokens may take.
    pub(super) const fn unknown_slots(&self) -> usize {
        self.max_concurrent.saturating_sub(self.reserved)
    }

    /// Waiting places that unknown tokens may take.
    pub(super) const fn unknown_places(&self) -> usize {
        match self.max_waiting.saturating_mul(self.reserved).checked_div(self.max_concurrent) {
            Some(kept) => self.max_waiting.saturating_sub(kept),
            None => self.max_waiting,
        }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidUpstreamConfig {
    field: &'static str,
    rule: &'static str,
}

impl InvalidUpstreamConfig {
    /// The field of [`UpstreamConfig`].
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// What it breaks.
    pub const fn rule(&self) -> &'static str {
        self.rule
    }
}

impl fmt::Display for InvalidUpstreamConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.rule)
    }
}

impl std::error::Error for InvalidUpstreamConfig {}
