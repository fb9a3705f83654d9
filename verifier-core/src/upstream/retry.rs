//! Whether a failed attempt is made again, and after what rest.

use std::time::Duration;

use super::state::UpstreamState;
use crate::time::Instant;
use crate::transport::TransportError;

/// A failure that another attempt may cure, and that can't have done harm: introspection and key sets are read only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum RetryCause {
    /// No connection came about.
    Connect,
    /// A pooled connection was closed before its first byte: the request wasn't read.
    ConnectionReused,
    /// 502, 503 or 504: something in front of the server speaks for it.
    Gateway,
}

impl RetryCause {
    /// Of an exchange that brought no response; `None` if it isn't tried again.
    pub const fn of_transport(error: TransportError) -> Option<Self> {
        match error {
            TransportError::Connect => Some(Self::Connect),
            TransportError::ConnectionReused => Some(Self::ConnectionReused),
            _ => None,
        }
    }

    /// Of a response's status; `None` if it isn't tried again.
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            502..=504 => Some(Self::Gateway),
            _ => None,
        }
    }
}

impl UpstreamState {
    /// How long to rest before the next attempt; `None` if there is to be none. `attempt` counts those made: 1 after
    /// the first. `retry_after` is the server's word, if it gave one, and is kept to.
    ///
    /// There is no retry unless the breaker is closed (a probe is one attempt), nor one that would begin at the
    /// deadline or later; without a deadline, none that rests longer than
    /// [`max_wait`](super::UpstreamConfig::max_wait), because a resting call holds its slot.
    pub fn retry_decision(
        &self,
        attempt: u32,
        cause: RetryCause,
        retry_after: Option<Duration>,
        now: Instant,
        deadline: Option<Instant>,
        random: u64,
    ) -> Option<Duration> {
        let config = self.config();
        if attempt > config.retries || !self.is_closed() {
            return None;
        }
        let made = attempt.saturating_sub(1);
        let backoff = match (cause, made) {
            (RetryCause::ConnectionReused, 0) => Duration::ZERO, // nothing is wrong but the connection's age
            _ => {
                let factor = 1_u32.checked_shl(made).unwrap_or(u32::MAX);
                jittered(config.retry_backoff.saturating_mul(factor), random)
            }
        };
        let rest = backoff.max(retry_after.unwrap_or_default());
        let fits = match deadline {
            Some(deadline) => now.plus(rest) < deadline,
            None => rest <= config.max_wait.max(backoff),
        };
        fits.then_some(rest)
    }
}

/// Between half of `d` and all of it, as `random` wants.
pub(super) fn jittered(d: Duration, random: u64) -> Duration {
    let half = d / 2;
    let nanos = u64::try_from((d - half).as_nanos()).unwrap_or(u64::MAX);
    let spread = (u128::from(nanos) * u128::from(random)) >> 64;
    half.saturating_add(Duration::from_nanos(u64::try_from(spread).unwrap_or(u64::MAX)))
}
