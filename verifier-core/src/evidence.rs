//! What an acceptance rests on.

use std::fmt;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::time::Now;

/// The way in which a token was verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Signature and claims, locally, with the issuer's key set.
    Jwks,
    /// The authorization server's answer (RFC 7662).
    Introspection,
    /// Local verdict and revocation status.
    Hybrid,
    /// A backend of the user's own.
    Custom,
}

impl Strategy {
    /// The stable name: configuration value and metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jwks => "jwks",
            Self::Introspection => "introspection",
            Self::Hybrid => "hybrid",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who vouches for the revocation status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum StatusSource {
    /// The authorization server's introspection endpoint.
    Introspection,
    /// A checker of the user's own.
    Custom,
}

impl StatusSource {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Introspection => "introspection",
            Self::Custom => "custom",
        }
    }
}

/// The revocation knowledge behind an acceptance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RevocationBasis {
    /// Nobody was asked: this strategy can't see a revocation.
    NotChecked,
    /// The configuration exempts this token from the check, because it is short-lived.
    Exempt,
    /// Known to be active.
    Active {
        /// When the question was sent.
        as_of: Now,
        /// Who said so.
        source: StatusSource,
    },
    /// Known to have been active; nobody could be asked since, and the configuration allows this age.
    Stale {
        /// When the question was sent.
        as_of: Now,
        /// Who said so.
        source: StatusSource,
    },
}

impl RevocationBasis {
    /// When the question was sent that this rests on.
    pub const fn as_of(self) -> Option<Now> {
        match self {
            Self::Active { as_of, .. } | Self::Stale { as_of, .. } => Some(as_of),
            Self::NotChecked | Self::Exempt => None,
        }
    }

    /// The stable name of the kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotChecked => "not_checked",
            Self::Exempt => "exempt",
            Self::Active { .. } => "active",
            Self::Stale { .. } => "stale",
        }
    }
}

/// What an acceptance rests on. Ages are judged against the arrival of the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Evidence {
    /// The strategy that accepted.
    pub strategy: Strategy,
    /// The algorithm of the checked signature; `None` where none was checked locally.
    pub algorithm: Option<Algorithm>,
    /// Whether the local verdict, or the answer, came from a cache.
    pub from_cache: bool,
    /// The age of the key set that the signature was checked with.
    pub key_set_age: Option<Duration>,
    /// The revocation knowledge.
    pub revocation: RevocationBasis,
}

impl Evidence {
    /// Evidence of a strategy, with nothing else known.
    pub const fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            algorithm: None,
            from_cache: false,
            key_set_age: None,
            revocation: RevocationBasis::NotChecked,
        }
    }

    /// How old the revocation knowledge was when the request arrived; `None` if there is none.
    pub fn revocation_age(&self, arrival: Now) -> Option<Duration> {
        self.revocation.as_of().map(|as_of| arrival.since(as_of))
    }
}
