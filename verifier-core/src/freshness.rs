//! How old the revocation knowledge behind an acceptance may be.

use std::time::Duration;

/// A demand on the age of revocation knowledge, judged against the arrival of the request. A request can only tighten
/// what is configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Freshness(Option<Duration>);

impl Freshness {
    /// What the verifier is configured with, nothing stricter.
    pub const CONFIGURED: Self = Self(None);

    /// Asked after the arrival of the request: no answer that was sent for earlier will do.
    pub const LIVE: Self = Self(Some(Duration::ZERO));

    /// Knowledge at most this old on arrival.
    pub const fn at_most(age: Duration) -> Self {
        Self(Some(age))
    }

    /// The explicit demand, if there is one.
    pub const fn demanded(self) -> Option<Duration> {
        self.0
    }

    /// What holds where `configured` is the verifier's own: the stricter of both.
    pub fn tighten(self, configured: Duration) -> Duration {
        self.0.map_or(configured, |demanded| demanded.min(configured))
    }
}

impl Default for Freshness {
    fn default() -> Self {
        Self::CONFIGURED
    }
}
