//! Where a checked signature's key comes from, seen from those who only need the key.

use std::fmt;
use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::error::{Rejection, Unavailable};
use crate::key::VerificationKey;
use crate::time::{Instant, Now};
use crate::verifier::Asked;

/// What is known of a key.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// Held and fit for use.
    Found(Arc<VerificationKey>),
    /// The key set, known recently enough, has no such key, or several.
    Rejected(Rejection),
    /// It can't be said.
    Unavailable(Unavailable),
}

/// The keys that an issuer signs with at present.
pub trait TrustedKeys: fmt::Debug + Send + Sync + 'static {
    /// The key with this `kid` for this algorithm; asks the issuer where that is called for and allowed.
    ///
    /// `now` is when the caller came, and what the age of the keys is judged against. He waits until `deadline` at most,
    /// if there is one; then he gets what can be said without waiting, or [`Lookup::Unavailable`] with
    /// `DeadlineExceeded`. Without a deadline the wait is bounded by the time limits of the source alone.
    fn key<'a>(
        &'a self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: Now,
        deadline: Option<Instant>,
    ) -> Asked<'a, Lookup>;
}
