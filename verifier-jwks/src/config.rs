//! What can be configured, its defaults, and the contradictions that are refused.

use std::fmt;
use std::time::Duration;

use verifier_core::algorithm::Algorithm;
use verifier_core::jwk::SkipReason;
use verifier_core::key::KeySetError;
use verifier_core::transport::Limits;

/// How long a key set counts as current where its server doesn't say.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(600);
/// The least time for which a key set counts as current, whatever its server says.
pub const DEFAULT_MAX_AGE_FLOOR: Duration = Duration::from_secs(60);
/// The greatest time for which a key set counts as current, whatever its server says: a stolen key that was withdrawn
/// must not live for a day.
pub const DEFAULT_MAX_AGE_CEILING: Duration = Duration::from_secs(3_600);
/// The time in which unknown `kid`s may cause one fetch; a spare one is added after a quiet time of the same length.
pub const DEFAULT_COOLDOWN: Duration = Duration::from_secs(30);
/// The rest after the first failed fetch; doubled with each further one.
pub const DEFAULT_BACKOFF: Duration = Duration::from_secs(1);
/// The greatest rest after a failed fetch.
pub const DEFAULT_BACKOFF_MAX: Duration = Duration::from_secs(300);
/// How long past its maximum age a key set is used while it can't be refreshed.
pub const DEFAULT_STALE_IF_ERROR: Duration = Duration::from_secs(3_600);
/// The time to connect, TLS included.
pub const DEFAULT_CONNECT: Duration = Duration::from_secs(2);
/// The time for a whole fetch.
pub const DEFAULT_TOTAL: Duration = Duration::from_secs(5);
/// The greatest size of a key set, in bytes.
pub const DEFAULT_MAX_BYTES: usize = 512 * 1024;
/// The greatest number of keys in a set.
pub const DEFAULT_MAX_KEYS: usize = 100;
/// How many `kid`s that a fetch did not bring are remembered.
pub const DEFAULT_MISSING_KIDS: usize = 1_000;
/// The greatest rest of a `kid` that fetches did not bring.
pub const MAX_KID_REST: Duration = Duration::from_secs(300);

/// When a key set is fetched, and how much of it is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RefreshConfig {
    /// How long a set counts as current where `Cache-Control` and `Expires` don't say. It is fetched again ahead of
    /// that, at 80 % of it or a little earlier.
    pub max_age: Duration,
    /// What the server says is raised to this.
    pub max_age_floor: Duration,
    /// What the server says is lowered to this.
    pub max_age_ceiling: Duration,
    /// The time in which unknown `kid`s may cause one fetch (plus one spare).
    pub cooldown: Duration,
    /// The rest after the first failed fetch; doubled with each further one, less a quarter at random.
    pub backoff: Duration,
    /// The greatest rest after a failed fetch.
    pub backoff_max: Duration,
    /// How long past its maximum age a set is used while it can't be refreshed.
    pub stale_if_error: Duration,
    /// The time to connect.
    pub connect: Duration,
    /// The time for a whole fetch, that of the metadata document included where keys are found by discovery.
    pub total: Duration,
    /// The greatest size of a key set or metadata document, in bytes.
    pub max_bytes: usize,
    /// The greatest number of keys in a set.
    pub max_keys: usize,
    /// How many `kid`s that a fetch did not bring are remembered.
    pub missing_kids: usize,
}

impl Default for RefreshConfig {
    fn default() -> Self {
        Self {
            max_age: DEFAULT_MAX_AGE,
            max_age_floor: DEFAULT_MAX_AGE_FLOOR,
            max_age_ceiling: DEFAULT_MAX_AGE_CEILING,
            cooldown: DEFAULT_COOLDOWN,
            backoff: DEFAULT_BACKOFF,
            backoff_max: DEFAULT_BACKOFF_MAX,
            stale_if_error: DEFAULT_STALE_IF_ERROR,
            connect: DEFAULT_CONNECT,
            total: DEFAULT_TOTAL,
            max_bytes: DEFAULT_MAX_BYTES,
            max_keys: DEFAULT_MAX_KEYS,
            missing_kids: DEFAULT_MISSING_KIDS,
        }
    }
}

impl RefreshConfig {
    /// The bounds of each exchange that a fetch consists of.
    pub const fn limits(&self) -> Limits {
        Limits { connect: self.connect, total: self.total, body: self.max_bytes }
    }

    /// Looks for contradictions.
    ///
    /// # Errors
    /// [`RefreshConfigError`], which names both values.
    pub fn validate(&self) -> Result<(), RefreshConfigError> {
        let durations = [
            ("max_age", self.max_age),
            ("max_age_floor", self.max_age_floor),
            ("cooldown", self.cooldown),
            ("backoff", self.backoff),
            ("connect", self.connect),
            ("total", self.total),
        ];
        if let Some((name, _)) = durations.into_iter().find(|(_, value)| value.is_zero()) {
            return Err(RefreshConfigError::Zero { name });
        }
        let counts =
            [("max_bytes", self.max_bytes), ("max_keys", self.max_keys), ("missing_kids", self.missing_kids)];
        if let Some((name, _)) = counts.into_iter().find(|(_, value)| *value == 0) {
            return Err(RefreshConfigError::Zero { name });
        }
        let ordered = [
            ("max_age_floor", self.max_age_floor, "max_age_ceiling", self.max_age_ceiling),
            ("max_age_floor", self.max_age_floor, "max_age", self.max_age),
            ("max_age", self.max_age, "max_age_ceiling", self.max_age_ceiling),
            ("backoff", self.backoff, "backoff_max", self.backoff_max),
            ("connect", self.connect, "total", self.total),
            ("cooldown", self.cooldown, "the greatest rest of an unknown kid", MAX_KID_REST),
        ];
        match ordered.into_iter().find(|(_, less, _, more)| less > more) {
            Some((less_name, less, more_name, more)) => {
                Err(RefreshConfigError::Order { less_name, less, more_name, more })
            }
            None => Ok(()),
        }
    }
}

/// Why a [`RefreshConfig`] is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RefreshConfigError {
    /// A value is zero that must not be.
    Zero {
        /// The setting.
        name: &'static str,
    },
    /// Two values contradict each other.
    Order {
        /// The setting that must not be greater.
        less_name: &'static str,
        /// Its value.
        less: Duration,
        /// The setting that must not be less.
        more_name: &'static str,
        /// Its value.
        more: Duration,
    },
}

impl fmt::Display for RefreshConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { name } => write!(f, "{name}: must not be zero"),
            Self::Order { less_name, less, more_name, more } => {
                write!(f, "{less_name}: {less:?} is greater than {more_name}, which is {more:?}")
            }
        }
    }
}

impl std::error::Error for RefreshConfigError {}

/// How many verified tokens are kept by default.
pub const DEFAULT_VERIFIED_TOKENS: usize = 10_000;
/// How much memory verified tokens may take by default, in bytes, roughly.
pub const DEFAULT_VERIFIED_TOKENS_BYTES: u64 = 64 * 1024 * 1024;

/// The bounds of the cache of verified tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct VerifiedTokensConfig {
    /// The greatest number of tokens.
    pub entries: usize,
    /// The greatest memory that they may take, in bytes, roughly.
    pub bytes: u64,
}

impl VerifiedTokensConfig {
    /// At most this many tokens, with the default bound on memory.
    pub fn entries(entries: usize) -> Self {
        Self { entries, ..Self::default() }
    }
}

impl Default for VerifiedTokensConfig {
    fn default() -> Self {
        Self { entries: DEFAULT_VERIFIED_TOKENS, bytes: DEFAULT_VERIFIED_TOKENS_BYTES }
    }
}

/// Why a verifier can't be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// No algorithm is allowed.
    NoAlgorithms,
    /// HMAC and asymmetric algorithms are allowed together: whoever can read the public key could sign (RFC 8725
    /// §2.1).
    MixedAlgorithms {
        /// One of the first kind.
        symmetric: Algorithm,
        /// One of the second kind.
        asymmetric: Algorithm,
    },
    /// An HMAC algorithm is allowed, and the keys come from a set that is published.
    PublishedSecret {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// `algorithm_when_absent` is not among the allowed algorithms.
    WhenAbsentNotAllowed {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The refresh settings contradict each other.
    Refresh(RefreshConfigError),
    /// The cache of verified tokens would hold nothing.
    NoRoomForTokens,
    /// The static JWK Set gives no keys.
    KeySet(KeySetError),
    /// A static key can't be used.
    Key(SkipReason),
    /// A static key is for an algorithm that is not allowed.
    KeyNotAllowed {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// There is no signature backend: none was given, and the feature `aws-lc-rs` is off.
    NoBackend,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAlgorithms => {
                f.write_str("algorithms: none is allowed, so that every token would be refused")
            }
            Self::MixedAlgorithms { symmetric, asymmetric } => {
                write!(
                    f,
                    "algorithms: {symmetric} (shared secret) and {asymmetric} (public key) exclude each other"
                )
            }
            Self::PublishedSecret { algorithm } => {
                write!(
                    f,
                    "algorithms: {algorithm} needs a static secret, and the keys come from a published set"
                )
            }
            Self::WhenAbsentNotAllowed { algorithm } => {
                write!(f, "algorithm_when_absent: {algorithm} is not among the allowed algorithms")
            }
            Self::Refresh(error) => write!(f, "refresh: {error}"),
            Self::NoRoomForTokens => f.write_str(
                "verified_tokens: entries and bytes must not be zero; to switch the cache off, pass None",
            ),
            Self::KeySet(error) => write!(f, "keys: {error}"),
            Self::Key(reason) => write!(f, "keys: a key can't be used: {reason}"),
            Self::KeyNotAllowed { algorithm } => {
                write!(f, "keys: a key is for {algorithm}, which is not among the allowed algorithms")
            }
            Self::NoBackend => f.write_str("backend: none was given, and the feature aws-lc-rs is off"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<RefreshConfigError> for ConfigError {
    fn from(error: RefreshConfigError) -> Self {
        Self::Refresh(error)
    }
}

impl From<KeySetError> for ConfigError {
    fn from(error: KeySetError) -> Self {
        Self::KeySet(error)
    }
}

impl From<SkipReason> for ConfigError {
    fn from(reason: SkipReason) -> Self {
        Self::Key(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_consistent() {
        assert_eq!(RefreshConfig::default().validate(), Ok(()));
    }

    #[test]
    fn contradictions_name_both_values() {
        let config = RefreshConfig { max_age_floor: Duration::from_secs(7_200), ..RefreshConfig::default() };
        let text = config.validate().unwrap_err().to_string();
        assert!(
            text.contains("7200s") && text.contains("3600s") && text.contains("max_age_ceiling"),
            "{text}"
        );

        let config = RefreshConfig { connect: Duration::from_secs(9), ..RefreshConfig::default() };
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "connect: 9s is greater than total, which is 5s"
        );

        let config = RefreshConfig { max_keys: 0, ..RefreshConfig::default() };
        assert_eq!(config.validate(), Err(RefreshConfigError::Zero { name: "max_keys" }));
    }
}
