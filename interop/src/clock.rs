//! Real time: servers of others live in it, so the driver waits in it, and reads it here alone.

use std::time::Duration;

use verifier::core::time::{Clock as _, Instant, Now, SystemClock};

/// The clocks now: the same ones that the verifiers read.
pub(crate) fn now() -> Now {
    SystemClock.now()
}

/// The monotonic clock now.
pub(crate) fn instant() -> Instant {
    now().monotonic
}

/// Lets time pass.
#[allow(clippy::disallowed_methods)] // real servers' time can't be turned
pub(crate) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Asks again every 50 ms until the answer is yes, at most for this long. Says whether it was.
pub(crate) async fn until<F: Future<Output = bool>>(bound: Duration, mut asked: impl FnMut() -> F) -> bool {
    let begun = instant();
    loop {
        if asked().await {
            return true;
        }
        if instant().since(begun) >= bound {
            return false;
        }
        pause(Duration::from_millis(50)).await;
    }
}
