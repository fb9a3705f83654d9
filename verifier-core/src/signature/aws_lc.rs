//! The default backend.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents,
};
use aws_lc_rs::{digest, hmac};

use super::{Curve, KeyMaterial, PreparedKey, SignatureBackend};
use crate::algorithm::Algorithm;
use crate::jwk::SkipReason;

/// AWS-LC, by the crate `aws-lc-rs`. Takes RSA keys of 2048 to 8192 bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

/// SHA-256 by AWS-LC.
pub fn sha256(message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (out, byte) in out.iter_mut().zip(digest::digest(&digest::SHA256, message).as_ref()) {
        *out = *byte;
    }
    out
}

impl SignatureBackend for AwsLc {
    fn prepare(
        &self,
        material: &KeyMaterial<'_>,
        algorithm: Algorithm,
    ) -> Result<Box<dyn PreparedKey>, SkipReason> {
        let parsed = match *material {
            KeyMaterial::Rsa { n, e } => {
                let parameters = rsa(algorithm).ok_or(SkipReason::AlgorithmMismatch)?;
                let key = RsaPublicKeyComponents { n, e };
                key.to_parsed_public_key(parameters).map_err(|_| SkipReason::Unusable)?
            }
            KeyMaterial::Ec { curve, x, y } => {
                if algorithm != curve.algorithm() {
                    return Err(SkipReason::AlgorithmMismatch);
                }
                if [x, y].iter().any(|coordinate| coordinate.len() != curve.coordinate_len()) {
                    return Err(SkipReason::WrongCoordinateLength);
                }
                let point = [&[UNCOMPRESSED], x, y].concat();
                ParsedPublicKey::new(ecdsa(curve), point).map_err(|_| SkipReason::NotOnCurve)?
            }
            KeyMaterial::Ed25519 { x } => {
                if algorithm != Algorithm::Ed25519 {
                    return Err(SkipReason::AlgorithmMismatch);
                }
                if x.len() != 32 {
                    // The library would take other lengths for a whole SubjectPublicKeyInfo.
                    return Err(SkipReason::WrongCoordinateLength);
                }
                ParsedPublicKey::new(&ED25519, x).map_err(|_| SkipReason::Unusable)?
            }
            KeyMaterial::Secret(secret) => {
                let hash = hmac_hash(algorithm).ok_or(SkipReason::AlgorithmMismatch)?;
                return Ok(Box::new(SecretKey { algorithm, key: hmac::Key::new(hash, secret) }));
            }
        };
        Ok(Box::new(PublicKey { algorithm, parsed }))
    }

    fn sha256(&self, message: &[u8]) -> [u8; 32] {
        sha256(message)
    }
}

/// SEC 1 §2.3.3: the first byte of an uncompressed point.
const UNCOMPRESSED: u8 = 4;

struct PublicKey {
    algorithm: Algorithm,
    parsed: ParsedPublicKey,
}

impl PreparedKey for PublicKey {
    fn check(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.algorithm)
    }
}

struct SecretKey {
    algorithm: Algorithm,
    key: hmac::Key,
}

impl PreparedKey for SecretKey {
    fn check(&self, message: &[u8], signature: &[u8]) -> bool {
        // In constant time.
        hmac::verify(&self.key, message, signature).is_ok()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, [redacted])", self.algorithm)
    }
}

const fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

const fn ecdsa(curve: Curve) -> &'static EcdsaVerificationAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED,
    }
}

const fn hmac_hash(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    Some(match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => return None,
    })
}
