#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

pub mod answers;
pub mod client_auth;
pub mod config;
mod encode;
mod events;
mod flight;
pub mod introspector;
mod not_got;
mod place;
mod request;
pub mod response;
pub mod retention;
pub mod revocation;
pub mod signed;
pub mod verifier;

pub use self::answers::Answers;
pub use self::client_auth::{
    Assertion, AssertionAudience, ClientAuth, ClientCredentials, SecretError, SecretSource,
};
pub use self::config::{AnswerFreshness, BuildError, Cache, IntrospectionConfig};
pub use self::introspector::{Introspector, IntrospectorBuilder};
pub use self::place::EndpointSource;
pub use self::signed::SignedAnswers;
pub use self::verifier::IntrospectionVerifier;
