//! The table.

use crate::scenario::Scenario;

/// All scenarios that every server is tried with, in order.
pub(crate) fn all() -> Vec<Scenario> {
    Vec::new()
}
