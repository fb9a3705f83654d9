//! What a verifier knows of its own state: for readiness probes and people, never for a verdict.

use std::time::Duration;

use crate::error::Unavailable;
use crate::evidence::Strategy;
use crate::jwk::SkipReason;
use crate::time::Now;
use crate::upstream::UpstreamHealth;

/// The state of one verifier. Holds no token, secret or claim.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// The issuer, as configured; `None` for a router of several.
    pub issuer: Option<Box<str>>,
    /// How it verifies.
    pub strategy: Strategy,
    /// Whether verdicts can be given now; the reason if not.
    pub ready: Result<(), Unavailable>,
    /// The key set, where there is one.
    pub keys: Option<KeySetHealth>,
    /// The introspection endpoint, where there is one.
    pub upstream: Option<UpstreamHealth>,
    /// What an operator should look at.
    pub notes: Vec<HealthNote>,
    /// The verifiers below this one.
    pub parts: Vec<Health>,
}

impl Health {
    /// A state with nothing but its name.
    pub const fn new(issuer: Option<Box<str>>, strategy: Strategy) -> Self {
        Self {
            issuer,
            strategy,
            ready: Ok(()),
            keys: None,
            upstream: None,
            notes: Vec::new(),
            parts: Vec::new(),
        }
    }
}

/// The state of a key set.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct KeySetHealth {
    /// When the last successful refresh was sent.
    pub last_success: Option<Now>,
    /// When the last refresh was sent.
    pub last_attempt: Option<Now>,
    /// Why the last refresh failed; `None` if it succeeded.
    pub last_error: Option<Unavailable>,
    /// How long until the next refresh is due; `None` if none is planned.
    pub next_attempt_in: Option<Duration>,
    /// How long the held keys may still be used without a refresh.
    pub usable_for: Option<Duration>,
    /// The `kid`s held.
    pub kids: Vec<Box<str>>,
    /// How many usable keys are held, those without a `kid` included.
    pub usable: usize,
    /// Keys of the set that are not used, and why.
    pub skipped: Vec<(Option<Box<str>>, SkipReason)>,
}

/// Something an operator should look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum HealthNote {
    /// The server calls every locally valid token inactive: most likely our configuration, such as a client that is
    /// not in the tokens' audience.
    AllInactive,
    /// The server has called no token active so far, and many inactive, of which nothing else is known here: either
    /// none was any good, or our configuration is at fault as with [`AllInactive`](Self::AllInactive).
    NoneActive,
    /// The server has refused every token that it was asked about, and never answered since the start: most likely it
    /// can't read our credentials, or doesn't introspect tokens of this kind.
    AllRefused,
    /// The server refuses our credentials.
    CredentialsRefused,
    /// The server answers with a redirect: the configured address is off.
    Redirected,
    /// Token and answer disagreed about the token's identity.
    IdentityMismatch,
    /// The published key set holds private or symmetric keys.
    KeysExposed,
}

impl HealthNote {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AllInactive => "all_inactive",
            Self::NoneActive => "none_active",
            Self::AllRefused => "all_refused",
            Self::CredentialsRefused => "credentials_refused",
            Self::Redirected => "redirected",
            Self::IdentityMismatch => "identity_mismatch",
            Self::KeysExposed => "keys_exposed",
        }
    }
}
