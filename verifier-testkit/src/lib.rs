#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

pub mod answer;
pub mod behaviour;
pub mod clients;
pub mod clock;
pub mod conformance;
pub mod counts;
pub mod doubles;
pub mod faults;
pub mod forge;
pub mod gate;
pub mod issue;
pub mod keys;
mod kind;
pub mod profile;
pub mod server;

pub use answer::Answer;
pub use behaviour::{Behaviour, CallerRefusal, RefreshTold};
pub use clients::{
    AssertionAudience, BasicDecoding, Client, DEFAULT_CLIENT, DEFAULT_CLIENT_SECRET, IntrospectionAuth,
    RESOURCE_SERVER, RESOURCE_SERVER_SECRET,
};
pub use clock::{ManualClock, TestRuntime};
pub use counts::{Counts, RecordedRequest};
pub use faults::{Endpoint, Fault, Faults};
pub use forge::TokenForge;
pub use gate::Gate;
pub use issue::{IssuedToken, TokenRequest};
pub use keys::{Algorithm, SigningKey};
pub use profile::{Format, Profile};
pub use server::{AuthorizationServer, Builder, DEFAULT_AUDIENCE};
