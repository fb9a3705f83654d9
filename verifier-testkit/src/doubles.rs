//! Doubles of the engine's seams. Each does what its name says, and counts.

mod revocation;
mod signature;
mod transport;
mod verifier;

pub use self::revocation::{Reply, ScriptedChecker};
pub use self::signature::CountingBackend;
pub use self::transport::{CountingTransport, PanickingTransport, ScriptedTransport, Step};
pub use self::verifier::FixedVerifier;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A test that panicked elsewhere is no reason to panic here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
