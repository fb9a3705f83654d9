//! The table: what every server is tried with.

pub(crate) mod keycloak;
pub(crate) mod node_oidc_provider;
pub(crate) mod others;
mod outages;
mod revocations;
pub(crate) mod rotation;
mod verdicts;

use crate::scenario::Scenario;

/// All scenarios that every server is tried with, in order.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    verdicts::ALL.iter().chain(revocations::ALL).chain(rotation::ALL).chain(outages::ALL).chain(others::ALL)
}
