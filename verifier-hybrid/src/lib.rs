#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod alarm;
mod config;
mod decide;
mod listed;
mod revocations;
mod verifier;

pub use self::config::{
    CheckWhen, ConfigError, DEFAULT_FRESHNESS, HybridConfig, IdentityRule, MAX_EXEMPT_LIFETIME,
    MIN_EXEMPT_LIFETIME, Opaque, StatusFreshness, WhenUnknown,
};
pub use self::listed::ListedVerifier;
pub use self::revocations::{
    DEFAULT_CAPACITY, DEFAULT_RETENTION, KEPT_PAST_EXPIRY, Revocations, RevocationsFull,
};
pub use self::verifier::{HybridBuilder, HybridVerifier};
