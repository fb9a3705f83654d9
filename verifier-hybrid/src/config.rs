//! What the hybrid strategy is told: how old a status may be, and what to do where there is none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use verifier_core::freshness::Freshness;
use verifier_core::verifier::{ClaimsFrom, TokenVerifier};

/// Greatest age of a revocation status unless configured.
pub const DEFAULT_FRESHNESS: Duration = Duration::from_secs(60);
/// The least threshold of [`CheckWhen::LifetimeOver`].
pub const MIN_EXEMPT_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// The greatest threshold of [`CheckWhen::LifetimeOver`].
pub const MAX_EXEMPT_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// How old the revocation status behind an acceptance may be when the request arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusFreshness {
    /// At most this old. Zero asks for every request.
    AtMost(Duration),
    /// As old as the token: one status lasts until `exp`. Revocations are then noticed through events alone.
    UntilExpiry,
}

impl StatusFreshness {
    /// The greatest age, with a request's own demand taken into account.
    pub(crate) fn tightened_by(self, demand: Freshness) -> Duration {
        demand.tighten(match self {
            Self::AtMost(age) => age,
            Self::UntilExpiry => Duration::MAX,
        })
    }
}

impl Default for StatusFreshness {
    fn default() -> Self {
        Self::AtMost(DEFAULT_FRESHNESS)
    }
}

/// What to do with a locally valid token whose status can't be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WhenUnknown {
    /// No verdict: unavailable.
    #[default]
    Deny,
    /// Accept it on the last known status, if that was active and is not older than this on arrival, and if the
    /// server is to blame. What refuses one token, our own limits and our own configuration never count, nor does this
    /// loosen the demand of a single request.
    AllowStale {
        /// Greatest age on arrival; must exceed the freshness.
        up_to: Duration,
    },
}

/// Which tokens have their status checked at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CheckWhen {
    /// All.
    #[default]
    Always,
    /// Those whose `exp - iat` exceeds this, between [`MIN_EXEMPT_LIFETIME`] and [`MAX_EXEMPT_LIFETIME`]. The others
    /// pass on the local verdict, unless the request demands a freshness. Without `iat` a token counts as long-lived.
    LifetimeOver(Duration),
}

/// What becomes of tokens that are no JWT.
#[derive(Clone, Debug, Default)]
pub enum Opaque {
    /// Rejected as `not_a_jwt`.
    #[default]
    Refuse,
    /// Handed to this verifier. Its answers must be no older than the hybrid's own freshness allows.
    Introspect(Arc<dyn TokenVerifier>),
}

/// How token and introspection answer must agree about whose token it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IdentityRule {
    /// Nothing that both name may differ, and they must have one of `jti`, `sub` and client in common.
    #[default]
    Agree,
    /// Nothing that both name may differ. An answer that names nothing is taken to be of this token.
    DangerNoSharedMember,
}

/// The settings of a [`HybridVerifier`](crate::HybridVerifier). The defaults refuse.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HybridConfig {
    /// Greatest age of a status.
    pub freshness: StatusFreshness,
    /// What to do without a status.
    pub when_unknown: WhenUnknown,
    /// Which tokens are checked.
    pub check_when: CheckWhen,
    /// What becomes of opaque tokens.
    pub opaque: Opaque,
    /// Which side's claims the service sees.
    pub claims: ClaimsFrom,
    /// How both sides must agree.
    pub identity: IdentityRule,
}

impl HybridConfig {
    /// The same, with statuses at most this old.
    #[must_use]
    pub fn with_freshness(self, age: Duration) -> Self {
        Self { freshness: StatusFreshness::AtMost(age), ..self }
    }

    /// The same, with a status that lasts as long as its token.
    #[must_use]
    pub fn fresh_until_expiry(self) -> Self {
        Self { freshness: StatusFreshness::UntilExpiry, ..self }
    }

    /// The same, with this treatment of unknown statuses.
    #[must_use]
    pub fn with_when_unknown(self, when_unknown: WhenUnknown) -> Self {
        Self { when_unknown, ..self }
    }

    /// The same, checking these tokens.
    #[must_use]
    pub fn with_check_when(self, check_when: CheckWhen) -> Self {
        Self { check_when, ..self }
    }

    /// The same, with this treatment of opaque tokens.
    #[must_use]
    pub fn with_opaque(self, opaque: Opaque) -> Self {
        Self { opaque, ..self }
    }

    /// The same, showing the service this side's claims.
    #[must_use]
    pub fn with_claims(self, claims: ClaimsFrom) -> Self {
        Self { claims, ..self }
    }

    /// The same, with this rule of agreement.
    #[must_use]
    pub fn with_identity(self, identity: IdentityRule) -> Self {
        Self { identity, ..self }
    }

    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// [`ConfigError`], for the first contradiction.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match (self.when_unknown, self.freshness) {
            (WhenUnknown::AllowStale { up_to }, StatusFreshness::AtMost(freshness)) if up_to <= freshness => {
                return Err(ConfigError::StaleWithinFreshness { up_to, freshness });
            }
            (WhenUnknown::AllowStale { up_to }, StatusFreshness::UntilExpiry) => {
                return Err(ConfigError::NeverStale { up_to });
            }
            _ => {}
        }
        if let CheckWhen::LifetimeOver(threshold) = self.check_when {
            if !(MIN_EXEMPT_LIFETIME..=MAX_EXEMPT_LIFETIME).contains(&threshold) {
                return Err(ConfigError::ThresholdOutOfRange { threshold });
            }
            if self.claims == ClaimsFrom::Introspection {
                return Err(ConfigError::ClaimsOfNobody { threshold });
            }
        }
        Ok(())
    }
}

/// Why a [`HybridVerifier`](crate::HybridVerifier) can't be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nobody can be asked for a status.
    NoChecker,
    /// The stale allowance doesn't exceed the freshness, so it would never be used.
    StaleWithinFreshness {
        /// The allowance.
        up_to: Duration,
        /// The freshness.
        freshness: Duration,
    },
    /// A status that lasts until `exp` is never stale.
    NeverStale {
        /// The allowance.
        up_to: Duration,
    },
    /// The threshold under which tokens aren't checked is too small or too great.
    ThresholdOutOfRange {
        /// What was asked for.
        threshold: Duration,
    },
    /// Tokens that aren't checked have no introspection answer whose claims could be shown.
    ClaimsOfNobody {
        /// The threshold under which tokens aren't checked.
        threshold: Duration,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChecker => f.write_str("hybrid: nobody to ask for a token's status is given"),
            Self::StaleWithinFreshness { up_to, freshness } => write!(
                f,
                "when_unknown: allow_stale up_to {up_to:?} must exceed freshness {freshness:?}, within which a status \
                 is used anyway"
            ),
            Self::NeverStale { up_to } => write!(
                f,
                "when_unknown: allow_stale up_to {up_to:?} contradicts freshness until exp, under which no status is \
                 ever stale"
            ),
            Self::ThresholdOutOfRange { threshold } => write!(
                f,
                "check_when: lifetime over {threshold:?} is not between {MIN_EXEMPT_LIFETIME:?} and \
                 {MAX_EXEMPT_LIFETIME:?}"
            ),
            Self::ClaimsOfNobody { threshold } => write!(
                f,
                "claims = introspection contradicts check_when: lifetime over {threshold:?}, since no introspection \
                 answer is asked for up to that lifetime"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_defaults_hold_together_and_refuse() {
        let config = HybridConfig::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.freshness, StatusFreshness::AtMost(DEFAULT_FRESHNESS));
        assert_eq!(config.when_unknown, WhenUnknown::Deny);
        assert!(matches!(config.opaque, Opaque::Refuse));
    }

    #[test]
    fn contradictions_are_told_with_both_values() {
        let stale = |up_to| WhenUnknown::AllowStale { up_to: seconds(up_to) };
        let cases = [
            (HybridConfig::default().with_when_unknown(stale(60)), vec!["60s", "allow_stale", "freshness"]),
            (
                HybridConfig::default().with_freshness(seconds(90)).with_when_unknown(stale(45)),
                vec!["45s", "90s"],
            ),
            (
                HybridConfig::default().fresh_until_expiry().with_when_unknown(stale(70)),
                vec!["70s", "until exp"],
            ),
            (
                HybridConfig::default().with_check_when(CheckWhen::LifetimeOver(seconds(299))),
                vec!["299s", "300s", "3600s"],
            ),
            (
                HybridConfig::default().with_check_when(CheckWhen::LifetimeOver(seconds(3_601))),
                vec!["3601s", "300s", "3600s"],
            ),
            (
                HybridConfig::default()
                    .with_check_when(CheckWhen::LifetimeOver(seconds(600)))
                    .with_claims(ClaimsFrom::Introspection),
                vec!["claims = introspection", "600s"],
            ),
        ];
        for (config, words) in cases {
            let error = config.validate().unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "{error} lacks {word}");
            }
        }
        assert_eq!(HybridConfig::default().with_when_unknown(stale(61)).validate(), Ok(()));
        for at in [MIN_EXEMPT_LIFETIME, MAX_EXEMPT_LIFETIME] {
            assert_eq!(
                HybridConfig::default().with_check_when(CheckWhen::LifetimeOver(at)).validate(),
                Ok(())
            );
        }
    }

    #[test]
    fn a_request_only_tightens() {
        let until_expiry = StatusFreshness::UntilExpiry;
        assert_eq!(until_expiry.tightened_by(Freshness::CONFIGURED), Duration::MAX);
        assert_eq!(until_expiry.tightened_by(Freshness::LIVE), Duration::ZERO);
        let minute = StatusFreshness::default();
        assert_eq!(minute.tightened_by(Freshness::at_most(seconds(90))), seconds(60));
        assert_eq!(minute.tightened_by(Freshness::at_most(seconds(5))), seconds(5));
    }
}
