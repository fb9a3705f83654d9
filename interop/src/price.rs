//! The price of freshness: what a stream of requests costs the server, and how late a revocation shows.

use std::time::Duration;

use crate::server::Trouble;
use crate::stage::{Check, Stage};

/// The scenario's id.
pub(crate) const ID: &str = "price-of-freshness";

/// The scenario's title.
pub(crate) const TITLE: &str = "1,000 live tokens under load, revocations sprinkled in";

/// One measurement.
#[derive(Clone, Debug)]
pub(crate) struct Price {
    /// Whose.
    pub(crate) strategy: verifier::Strategy,
    /// The freshness.
    pub(crate) freshness: Duration,
}

/// Measures.
///
/// # Errors
/// The server's.
pub(crate) async fn measure(_stage: &Stage<'_>) -> Result<(Vec<Check>, Vec<Price>), Trouble> {
    Err(Trouble::CantDo("not measured yet".to_owned()))
}
