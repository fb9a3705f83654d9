#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

pub mod config;
mod events;
pub mod refresh;
pub mod source;
pub mod store;
pub mod verified_tokens;
pub mod verifier;

pub use config::{ConfigError, RefreshConfig, RefreshConfigError, VerifiedTokensConfig};
pub use source::{
    DiscoverySource, ETag, Fetched, FileSource, KeyFormat, KeySource, StaticSecret, StaticSource, UrlSource,
};
pub use store::KeyStore;
pub use verifier::{Builder, JwksVerifier};
