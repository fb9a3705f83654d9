#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

pub mod algorithm;
pub mod authorization;
pub mod challenge;
pub mod claims;
pub mod discovery;
pub mod endpoint;
pub mod error;
pub mod evidence;
#[cfg(all(test, feature = "aws-lc-rs"))]
mod fixtures;
pub mod freshness;
pub mod header;
pub mod health;
pub mod identity;
pub mod json;
pub mod jwk;
pub mod jwt;
pub mod key;
pub mod metadata;
pub mod policy;
pub mod profile;
pub mod revocation;
pub mod runtime;
pub mod secret;
pub mod signature;
pub mod signing;
pub mod single_flight;
pub mod time;
pub mod token;
pub mod transport;
pub mod trusted_keys;
pub mod upstream;
pub mod verifier;
