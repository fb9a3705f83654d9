//! Signing by AWS-LC.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};

use super::source::Material;
use super::{Signer, SigningError};
use crate::algorithm::Algorithm;
use crate::signature::Curve;

/// The key in `material`, for this algorithm or the one that goes with it.
pub(super) fn prepare(
    material: &Material,
    algorithm: Option<Algorithm>,
) -> Result<(Algorithm, Arc<dyn Signer>), SigningError> {
    let pair = match material {
        Material::Pkcs8(der) => {
            any(|| RsaKeyPair::from_pkcs8(der).ok(), |signing| EcdsaKeyPair::from_pkcs8(signing, der).ok())
                .or_else(|| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Pair::Ed25519))
        }
        Material::Rsa(der) => RsaKeyPair::from_der(der).ok().map(Pair::Rsa),
        Material::Sec1(der) => any(|| None, |signing| EcdsaKeyPair::from_private_key_der(signing, der).ok()),
        Material::Ec { curve, private, point } => {
            EcdsaKeyPair::from_private_key_and_public_key(signing_of(*curve), private, point)
                .ok()
                .map(|pair| Pair::Ec(*curve, pair))
        }
        Material::Ed25519 { seed, public } => {
            Ed25519KeyPair::from_seed_and_public_key(seed, public).ok().map(Pair::Ed25519)
        }
    };
    let pair = pair.ok_or(SigningError::Unusable)?;
    let algorithm = algorithm.unwrap_or_else(|| pair.own_algorithm());
    let signer: Arc<dyn Signer> = match pair {
        Pair::Rsa(pair) => {
            let encoding =
                rsa(algorithm).ok_or(SigningError::AlgorithmMismatch { key: "RSA key", algorithm })?;
            Arc::new(Rsa { algorithm, encoding, pair })
        }
        Pair::Ec(curve, pair) if algorithm == curve.algorithm() => Arc::new(Ec { algorithm, pair }),
        Pair::Ec(curve, _) => {
            let key = match curve {
                Curve::P256 => "EC key on P-256",
                Curve::P384 => "EC key on P-384",
                Curve::P521 => "EC key on P-521",
            };
            return Err(SigningError::AlgorithmMismatch { key, algorithm });
        }
        Pair::Ed25519(pair) if algorithm == Algorithm::Ed25519 => Arc::new(Ed25519(pair)),
        Pair::Ed25519(_) => {
            return Err(SigningError::AlgorithmMismatch { key: "Ed25519 key", algorithm });
        }
    };
    Ok((algorithm, signer))
}

/// A secret.
pub(super) fn hmac(secret: &[u8], algorithm: Algorithm) -> Result<Arc<dyn Signer>, SigningError> {
    let hash = match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => return Err(SigningError::AlgorithmMismatch { key: "shared secret", algorithm }),
    };
    Ok(Arc::new(Hmac { algorithm, key: hmac::Key::new(hash, secret) }))
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(Curve, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    const fn own_algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::Ec(curve, _) => curve.algorithm(),
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }
}

/// What kind of key it is shows by who takes it.
fn any(
    rsa: impl FnOnce() -> Option<RsaKeyPair>,
    ec: impl Fn(&'static EcdsaSigningAlgorithm) -> Option<EcdsaKeyPair>,
) -> Option<Pair> {
    rsa().map(Pair::Rsa).or_else(|| {
        Curve::ALL.into_iter().find_map(|curve| ec(signing_of(curve)).map(|pair| Pair::Ec(curve, pair)))
    })
}

struct Rsa {
    algorithm: Algorithm,
    encoding: &'static dyn RsaEncoding,
    pair: RsaKeyPair,
}

impl Signer for Rsa {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(self.encoding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| SigningError::Failed)?;
        Ok(signature)
    }
}

struct Ec {
    algorithm: Algorithm,
    pair: EcdsaKeyPair,
}

impl Signer for Ec {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| SigningError::Failed)?;
        Ok(signature.as_ref().to_vec())
    }
}

struct Ed25519(Ed25519KeyPair);

impl Signer for Ed25519 {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature = self.0.try_sign(message).map_err(|_| SigningError::Failed)?;
        Ok(signature.as_ref().to_vec())
    }
}

struct Hmac {
    algorithm: Algorithm,
    key: hmac::Key,
}

impl Signer for Hmac {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        Ok(hmac::sign(&self.key, message).as_ref().to_vec())
    }
}

impl fmt::Debug for Rsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rsa({}, [redacted])", self.algorithm)
    }
}

impl fmt::Debug for Ec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ec({}, [redacted])", self.algorithm)
    }
}

impl fmt::Debug for Ed25519 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519([redacted])")
    }
}

impl fmt::Debug for Hmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hmac({}, [redacted])", self.algorithm)
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &RSA_PSS_SHA256,
        Algorithm::Ps384 => &RSA_PSS_SHA384,
        Algorithm::Ps512 => &RSA_PSS_SHA512,
        _ => return None,
    })
}

pub(super) const fn signing_of(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
    }
}
