//! The seam for signing, beside that for checking ([`signature`](crate::signature)): a private key or a secret is read
//! and prepared once, for one algorithm, and then signs without being parsed again. For what a service signs itself:
//! the assertions by which it authenticates (RFC 7523 §2.2).

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
mod source;

use std::fmt;
use std::sync::Arc;

use crate::algorithm::Algorithm;

/// A private key or secret, ready to sign by one algorithm. `Debug` shows nothing of it.
pub trait Signer: fmt::Debug + Send + Sync + 'static {
    /// The signature of `message`, in the form of RFC 7518 §3: ECDSA as R || S of fixed length, PSS with a salt as long
    /// as the hash.
    ///
    /// # Errors
    /// [`SigningError::Failed`] if the library fails, for want of random bytes, for instance.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError>;
}

/// A [`Signer`], its algorithm, and the name that the key itself bears. Clones share the key.
#[derive(Clone, Debug)]
pub struct SigningKey {
    algorithm: Algorithm,
    key_id: Option<Arc<str>>,
    signer: Arc<dyn Signer>,
}

impl SigningKey {
    /// A private key in PEM (PKCS#8, or the older forms of PKCS#1 and SEC 1), or one private JWK (RFC 7517).
    ///
    /// Certificates and parameters that stand beside the one private key in PEM are passed over. Without `algorithm`
    /// it is the JWK's `alg`, or else the one that goes with the key: RS256 for RSA, ES256, ES384 or ES512 by curve,
    /// Ed25519.
    ///
    /// # Errors
    /// Every variant of [`SigningError`] but `SecretTooShort` and `Failed`.
    pub fn private(text: &str, algorithm: Option<Algorithm>) -> Result<Self, SigningError> {
        let found = source::read(text)?;
        let algorithm = algorithm.or(found.algorithm);
        if let Some(symmetric) = algorithm.filter(|algorithm| algorithm.is_symmetric()) {
            return Err(SigningError::AlgorithmMismatch { key: "private key", algorithm: symmetric });
        }
        let (algorithm, signer) = prepare(&found.material, algorithm)?;
        Ok(Self { algorithm, key_id: found.key_id, signer })
    }

    /// A shared secret, taken as the bytes that it is; HS256, HS384 or HS512.
    ///
    /// # Errors
    /// [`SigningError::NoBackend`], [`SigningError::AlgorithmMismatch`], [`SigningError::SecretTooShort`].
    pub fn secret(secret: &[u8], algorithm: Algorithm) -> Result<Self, SigningError> {
        let Some(least) = algorithm.least_secret_len() else {
            return Err(SigningError::AlgorithmMismatch { key: "shared secret", algorithm });
        };
        if secret.len() < least {
            return Err(SigningError::SecretTooShort { algorithm, least, len: secret.len() });
        }
        Ok(Self { algorithm, key_id: None, signer: hmac(secret, algorithm)? })
    }

    /// Whatever else signs: a key that never leaves its module, for instance. It must sign by this algorithm.
    pub fn new(algorithm: Algorithm, key_id: Option<&str>, signer: Arc<dyn Signer>) -> Self {
        Self { algorithm, key_id: key_id.map(Arc::from), signer }
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `kid` of the JWK that the key was read from.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// [`Signer::sign`].
    ///
    /// # Errors
    /// [`SigningError::Failed`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.signer.sign(message)
    }
}

#[cfg(feature = "aws-lc-rs")]
fn prepare(
    material: &source::Material,
    algorithm: Option<Algorithm>,
) -> Result<(Algorithm, Arc<dyn Signer>), SigningError> {
    aws_lc::prepare(material, algorithm)
}

#[cfg(not(feature = "aws-lc-rs"))]
fn prepare(_: &source::Material, _: Option<Algorithm>) -> Result<(Algorithm, Arc<dyn Signer>), SigningError> {
    Err(SigningError::NoBackend)
}

#[cfg(feature = "aws-lc-rs")]
fn hmac(secret: &[u8], algorithm: Algorithm) -> Result<Arc<dyn Signer>, SigningError> {
    aws_lc::hmac(secret, algorithm)
}

#[cfg(not(feature = "aws-lc-rs"))]
fn hmac(_: &[u8], _: Algorithm) -> Result<Arc<dyn Signer>, SigningError> {
    Err(SigningError::NoBackend)
}

/// Why a key can't sign. Shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SigningError {
    /// This build has no library that signs: the feature `aws-lc-rs` is off.
    NoBackend,
    /// Neither a private key in PEM nor a private JWK.
    NotAPrivateKey,
    /// A public key or a certificate, and no private key.
    PublicKey,
    /// The private key is encrypted.
    Encrypted,
    /// More than one private key.
    SeveralKeys,
    /// The JWK lacks a member, or one is malformed.
    MalformedJwk,
    /// The JWK's `use` or `key_ops` reserve it for something else than signing (RFC 7517 §4.2, §4.3).
    NotForSigning,
    /// Of a kind that is not supported, under 2048 or over 8192 bits of RSA, or damaged.
    Unusable,
    /// Key and algorithm don't go together.
    AlgorithmMismatch {
        /// What the key is: `RSA key`, `EC key on P-256`, `Ed25519 key`, `shared secret`, `private key`.
        key: &'static str,
        /// What it was to sign by.
        algorithm: Algorithm,
    },
    /// The secret is shorter than the hash (RFC 7518 §3.2).
    SecretTooShort {
        /// What it was to sign by.
        algorithm: Algorithm,
        /// The least length in bytes.
        least: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// The library failed to sign.
    Failed,
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBackend => f.write_str("this build can't sign: its feature aws-lc-rs is off"),
            Self::NotAPrivateKey => f.write_str("it is neither a private key in PEM nor a private JWK"),
            Self::PublicKey => f.write_str("it holds a public key or a certificate, and no private key"),
            Self::Encrypted => {
                f.write_str("the private key is encrypted; decrypt it, and protect the file instead")
            }
            Self::SeveralKeys => f.write_str("it holds more than one private key"),
            Self::MalformedJwk => f.write_str("the JWK lacks a member, or one is malformed"),
            Self::NotForSigning => f.write_str("the JWK's use or key_ops are not for signing"),
            Self::Unusable => f.write_str(
                "the private key is damaged, or none of RSA (2048 to 8192 bits), EC (P-256, P-384, P-521) and Ed25519",
            ),
            Self::AlgorithmMismatch { key, algorithm } => write!(f, "the {key} can't sign by {algorithm}"),
            Self::SecretTooShort { algorithm, least, len } => write!(
                f,
                "the secret has {len} bytes, and {algorithm} needs {least} or more (RFC 7518, section 3.2)"
            ),
            Self::Failed => f.write_str("the signature could not be made"),
        }
    }
}

impl std::error::Error for SigningError {}

#[cfg(test)]
#[cfg(feature = "aws-lc-rs")]
mod tests;
