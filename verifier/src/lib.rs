#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod assemble;
mod backends;
mod builder;
pub mod config;
mod engine;
#[cfg(feature = "tracing")]
mod events;
pub mod examples;
mod handle;
mod reconfigure;
mod router;

pub use self::assemble::Reach;
pub use self::backends::Backends;
pub use self::builder::VerifierBuilder;
pub use self::config::{ConfigError, ConfigWarning, VerifierConfig};
pub use self::handle::{DEFAULT_DEADLINE, RequestBuilder, Verifier};
pub use self::reconfigure::{ReconfigureError, Reconfigured};

pub use verifier_core::authorization::Credentials;
pub use verifier_core::challenge::Challenge;
pub use verifier_core::claims::{ClaimsError, Facts, InsufficientScope, VerifiedToken};
pub use verifier_core::error::{Rejection, Unavailable, UnavailableReason, VerifyError};
pub use verifier_core::evidence::{Evidence, RevocationBasis, StatusSource, Strategy};
pub use verifier_core::freshness::Freshness;
pub use verifier_core::health::{Health, HealthNote, KeySetHealth};
pub use verifier_core::policy::{PolicyError, ValidationPolicy};
pub use verifier_core::revocation::{RevocationChecker, RevocationEvent, RevocationList};
pub use verifier_core::verifier::{
    Asked, Judged, Presentation, Scheme, TokenVerifier, Verdict, VerifyRequest,
};
pub use verifier_hybrid::{Revocations, RevocationsFull};

/// The vocabulary below the handle, for backends of your own.
pub use verifier_core as core;
/// The HTTP transport and the runtime.
pub use verifier_http as http;
/// The hybrid strategy.
pub use verifier_hybrid as hybrid;
/// The introspection strategy.
pub use verifier_introspect as introspect;
/// The local strategy.
pub use verifier_jwks as jwks;

/// The code of the documents compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/guide.md")]
pub struct Documents;
