//! A door inside the server: requests stand before it until the test lets them pass. In place of sleeping.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// Holds requests at the server until it is opened. Starts closed. Clones are the same gate; every wait may be awaited
/// on any executor.
#[derive(Clone)]
pub struct Gate(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Default)]
struct State {
    open: bool,
    arrived: usize,
    released: usize,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    /// Lets through whoever stands here, and everybody who comes later.
    pub fn open(&self) {
        self.0.send_modify(|state| {
            state.open = true;
            state.released = state.released.max(state.arrived);
        });
    }

    /// Closes again, for those who come later.
    pub fn close(&self) {
        self.0.send_modify(|state| state.open = false);
    }

    /// Lets the next `n` through, in the order of arrival.
    pub fn release(&self, n: usize) {
        self.0.send_modify(|state| state.released += n);
    }

    /// How many have arrived so far, those that passed included.
    pub fn arrivals(&self) -> usize {
        self.0.borrow().arrived
    }

    /// Waits until `n` have arrived in all, those that passed included.
    pub async fn arrived(&self, n: usize) {
        // The sender lives in self, so the wait can't end for want of one.
        let _ = self.0.subscribe().wait_for(|state| state.arrived >= n).await;
    }

    /// Arrives, and waits to be let through.
    pub async fn pass(&self) {
        let mut states = self.0.subscribe();
        let mut place = 0;
        self.0.send_modify(|state| {
            state.arrived += 1;
            place = state.arrived;
            if state.open {
                state.released = state.released.max(place);
            }
        });
        let _ = states.wait_for(|state| state.open || state.released >= place).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = *self.0.borrow();
        f.debug_struct("Gate").field("open", &state.open).field("arrived", &state.arrived).finish()
    }
}
