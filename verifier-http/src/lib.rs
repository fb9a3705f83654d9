#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod client_certificate;
mod config;
mod connect;
mod failure;
mod origin;
pub mod runtime;
pub mod transport;

pub use client_certificate::PemSource;
pub use config::{BuildError, CaSource, POOL_IDLE_PER_HOST, POOL_IDLE_SECONDS, Roots, TransportConfig};
pub use runtime::{IoThread, TokioRuntime};
pub use transport::ReqwestTransport;
