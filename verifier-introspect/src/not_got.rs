//! A failure to get what many questions need alike: the address, a token. However many wait for it, one call failed, and
//! it is held against the server once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use verifier_core::error::Unavailable;
use verifier_core::single_flight::FlightEnd;

/// The failure as the passengers of one flight share it.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) why: Unavailable,
    is_counted: Arc<AtomicBool>,
}

impl From<Unavailable> for Shared {
    fn from(why: Unavailable) -> Self {
        Self { why, is_counted: Arc::default() }
    }
}

/// The failure as a question has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotGot {
    pub(crate) why: Unavailable,
    /// Whether it is for this one to hold it against the server.
    pub(crate) counts: bool,
}

impl From<Shared> for NotGot {
    fn from(shared: Shared) -> Self {
        Self { why: shared.why, counts: !shared.is_counted.swap(true, Ordering::Relaxed) }
    }
}

impl From<FlightEnd> for Shared {
    fn from(end: FlightEnd) -> Self {
        Unavailable::from(end).into()
    }
}
