//! An access token as it arrived: bounded, redacted, its shape decided once for all strategies.

mod digest;
mod shape;

use std::fmt;
use std::sync::OnceLock;

use zeroize::Zeroizing;

pub use self::digest::Digest;
pub use self::shape::{CompactJwt, Shape};
use crate::error::Rejection;

/// Greatest length of a token unless configured otherwise, in bytes.
pub const DEFAULT_MAX_TOKEN_LEN: usize = 16 * 1024;
/// Greatest length that can be configured, in bytes.
pub const MAX_TOKEN_LEN: usize = 64 * 1024;

/// A token of a request. Only its size is checked at first; grammar, shape and digest are found when first asked for,
/// and kept.
#[derive(Clone)]
pub struct AccessToken<'a> {
    text: &'a str,
    shape: OnceLock<Result<Shape, Rejection>>,
    digest: OnceLock<Digest>,
}

impl<'a> AccessToken<'a> {
    /// A token of at most `max_len` bytes, and never of more than [`MAX_TOKEN_LEN`].
    ///
    /// # Errors
    /// [`Rejection::TokenTooLarge`]; [`Rejection::MalformedToken`] if it is empty.
    pub fn new(text: &'a str, max_len: usize) -> Result<Self, Rejection> {
        if text.len() > max_len.min(MAX_TOKEN_LEN) {
            return Err(Rejection::TokenTooLarge);
        }
        if text.is_empty() {
            return Err(Rejection::MalformedToken);
        }
        Ok(Self { text, shape: OnceLock::new(), digest: OnceLock::new() })
    }

    /// The token itself: for the one place that sends it, and for the readers of its parts.
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// What kind of token this is, by its text alone.
    ///
    /// # Errors
    /// [`Rejection::MalformedToken`] if it is no b64token (RFC 6750 §2.1), or a JWT without payload or signature;
    /// [`Rejection::EncryptedToken`] for a JWE; [`Rejection::NotCanonical`], [`Rejection::MalformedHeader`],
    /// [`Rejection::AlgorithmNotAllowed`] for a JWT that nobody is to see.
    pub fn shape(&self) -> Result<&Shape, Rejection> {
        self.shape.get_or_init(|| Shape::of(self.text)).as_ref().map_err(|rejection| *rejection)
    }

    /// The keyed hash of the whole token, under which this process keeps what it learnt.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| Digest::of_token(self.text))
    }

    /// A copy for a task that outlives the request.
    pub fn to_owned_token(&self) -> OwnedToken {
        OwnedToken { text: Zeroizing::new(self.text.into()), digest: self.digest() }
    }
}

impl fmt::Debug for AccessToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}

/// A copy of a token: wiped when dropped.
#[derive(Clone)]
pub struct OwnedToken {
    text: Zeroizing<String>,
    digest: Digest,
}

impl OwnedToken {
    /// The token, as a request has it.
    pub fn borrow(&self) -> AccessToken<'_> {
        AccessToken { text: &self.text, shape: OnceLock::new(), digest: OnceLock::from(self.digest) }
    }

    /// The digest of the token.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

impl fmt::Debug for OwnedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnedToken([redacted])")
    }
}

#[cfg(test)]
mod tests;
