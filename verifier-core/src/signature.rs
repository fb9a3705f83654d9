//! The seam between our readers and a cryptography library: a key is prepared once, when its set is loaded, and then
//! checks signatures without being parsed again.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;

use std::fmt;

#[cfg(feature = "aws-lc-rs")]
pub use self::aws_lc::{AwsLc, sha256};
use crate::algorithm::Algorithm;
use crate::jwk::SkipReason;

/// The public part of a key, or a secret, in the form that every library takes. The numbers are big-endian.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum KeyMaterial<'a> {
    /// RSA: modulus and public exponent, without leading zeros.
    Rsa {
        /// The modulus.
        n: &'a [u8],
        /// The public exponent.
        e: &'a [u8],
    },
    /// A point on a curve, each coordinate in the curve's full length.
    Ec {
        /// The curve.
        curve: Curve,
        /// The point's x.
        x: &'a [u8],
        /// The point's y.
        y: &'a [u8],
    },
    /// An Ed25519 public key, encoded per RFC 8032 §5.1.2.
    Ed25519 {
        /// The 32 bytes.
        x: &'a [u8],
    },
    /// A secret for HMAC.
    Secret(&'a [u8]),
}

impl fmt::Debug for KeyMaterial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa { .. } => "Rsa(..)",
            Self::Ec { .. } => "Ec(..)",
            Self::Ed25519 { .. } => "Ed25519(..)",
            Self::Secret(_) => "Secret([redacted])",
        })
    }
}

/// The curves of ECDSA in JOSE (RFC 7518 §6.2.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Curve {
    /// NIST P-256, for ES256.
    P256,
    /// NIST P-384, for ES384.
    P384,
    /// NIST P-521, for ES512.
    P521,
}

impl Curve {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The value of `crv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The length of a coordinate, in bytes.
    pub const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The one algorithm that signs with it.
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::P521 => Algorithm::Es512,
        }
    }
}

/// A cryptography library.
pub trait SignatureBackend: fmt::Debug + Send + Sync + 'static {
    /// Prepares a key for one algorithm. The importer has checked sizes and forms; the backend adds what needs
    /// arithmetic: that a point lies on its curve.
    ///
    /// # Errors
    /// [`SkipReason::NotOnCurve`], [`SkipReason::AlgorithmMismatch`] if material and algorithm don't go together,
    /// [`SkipReason::Unusable`] if the library takes the key or the algorithm for no stated reason not.
    fn prepare(
        &self,
        material: &KeyMaterial<'_>,
        algorithm: Algorithm,
    ) -> Result<Box<dyn PreparedKey>, SkipReason>;

    /// SHA-256, for thumbprints.
    fn sha256(&self, message: &[u8]) -> [u8; 32];
}

/// A key, ready to check signatures of one algorithm. `Debug` shows no secret.
pub trait PreparedKey: fmt::Debug + Send + Sync {
    /// Whether `signature` is one of `message` by this key. Takes signatures in the forms of RFC 7518 §3 only: ECDSA as
    /// R || S of fixed length, PSS with a salt as long as the hash; compares HMACs in constant time.
    fn check(&self, message: &[u8], signature: &[u8]) -> bool;
}

#[cfg(test)]
#[cfg(feature = "aws-lc-rs")]
mod tests;
