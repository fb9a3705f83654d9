//! Time as a value: two clocks read together, so that neither a sleeping machine nor a clock that was set back can
//! make old knowledge look young.

use std::fmt;
use std::time::Duration;

/// A point of civil time, in microseconds since 1970-01-01T00:00:00Z; what `exp`, `nbf` and `iat` are compared with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(i64);

impl WallTime {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From whole seconds since the epoch; saturates at the ends of the range (about 292,000 years).
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// From microseconds since the epoch.
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// `self + d`, saturating.
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(micros(d)))
    }

    /// `self - d`, saturating.
    pub fn minus(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(micros(d)))
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        u64::try_from(self.0.saturating_sub(earlier.0)).map_or(Duration::ZERO, Duration::from_micros)
    }
}

fn micros(d: Duration) -> i64 {
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000))
    }
}

/// A point of monotonic time, in nanoseconds since an origin that is the same for the whole process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ORIGIN: Self = Self(0);

    /// From nanoseconds since the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin; fits an atomic.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// `self + d`, saturating.
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(nanos(d)))
    }

    /// `self - d`, saturating at the origin.
    pub fn minus(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(d)))
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:?}", Duration::from_nanos(self.0))
    }
}

/// Both clocks, read together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Now {
    /// Civil time: judges the claims of a token.
    pub wall: WallTime,
    /// Monotonic time: orders events in this process.
    pub monotonic: Instant,
}

impl Now {
    /// Both clocks given.
    pub const fn new(wall: WallTime, monotonic: Instant) -> Self {
        Self { wall, monotonic }
    }

    /// The age at `self` of what was known at `earlier`: zero if the monotonic clock says that it isn't earlier, else
    /// the greater of both differences. A machine that slept (its monotonic clock stood still) finds its knowledge old,
    /// and a wall clock that was set back makes nothing younger.
    pub fn since(self, earlier: Self) -> Duration {
        if self.monotonic <= earlier.monotonic {
            return Duration::ZERO;
        }
        self.monotonic.since(earlier.monotonic).max(self.wall.since(earlier.wall))
    }

    /// Both clocks moved forward by `d`.
    pub fn plus(self, d: Duration) -> Self {
        Self { wall: self.wall.plus(d), monotonic: self.monotonic.plus(d) }
    }

    /// Both clocks moved back by `d`: how knowledge that came with an age is dated.
    pub fn minus(self, d: Duration) -> Self {
        Self { wall: self.wall.minus(d), monotonic: self.monotonic.minus(d) }
    }
}

/// Where the time comes from. Read on arrival of a request and again after every await. The monotonic side should begin
/// well above [`Instant::ORIGIN`], which no earlier instant can be told from.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Both clocks, read together.
    fn now(&self) -> Now;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place where time is read
    fn now(&self) -> Now {
        use std::sync::OnceLock;
        use std::time::{Instant as StdInstant, SystemTime, UNIX_EPOCH};
        static ORIGIN: OnceLock<StdInstant> = OnceLock::new();

        // The origin lies a century back, so that knowledge from before this process keeps its age when `minus` dates
        // it; 584 years fit.
        const ROOM: Duration = Duration::from_secs(100 * 365 * 86_400);
        let monotonic = ROOM.saturating_add(ORIGIN.get_or_init(StdInstant::now).elapsed());
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => WallTime::EPOCH.plus(after),
            Err(before) => WallTime::EPOCH.minus(before.duration()),
        };
        Now { wall, monotonic: Instant::ORIGIN.plus(monotonic) }
    }
}

#[cfg(test)]
mod tests;
