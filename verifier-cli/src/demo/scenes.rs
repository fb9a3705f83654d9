//! What is played, one scene a module.

pub(super) mod flood;
pub(super) mod outage;
pub(super) mod revocation;
pub(super) mod rotation;
pub(super) mod speed;
pub(super) mod stampede;

use std::time::Duration;

/// The freshness of the scenes that aren't about it: the default of the configuration.
const USUAL_FRESHNESS: Duration = Duration::from_secs(60);
