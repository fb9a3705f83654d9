//! The table: what every server is tried with.

mod outages;
mod revocations;
mod verdicts;

use crate::scenario::Scenario;

/// All scenarios that every server is tried with, in order.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    verdicts::ALL.iter().chain(revocations::ALL).chain(outages::ALL)
}
