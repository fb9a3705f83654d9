//! What is behind a key: the key pairs of aws-lc-rs and what they can sign.

#![allow(clippy::expect_used)] // no test can go on without its keys, and nothing from outside comes here

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, ED25519,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use aws_lc_rs::{error::Unspecified, hmac};
use serde_json::{Value, json};

use super::{Algorithm, base64url, der};

/// One key pair or secret.
pub(super) enum Material {
    Rsa(RsaKeyPair),
    Ec(Curve, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Hmac(Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Material {
    pub(super) fn generate(algorithm: Algorithm) -> Arc<Self> {
        if let Some(curve) = Curve::of(algorithm) {
            let pair = EcdsaKeyPair::generate(curve.signing()).expect("an elliptic curve key can be made");
            return Arc::new(Self::Ec(curve, pair));
        }
        match algorithm {
            Algorithm::Ed25519 | Algorithm::EdDSA => {
                Arc::new(Self::Ed25519(Ed25519KeyPair::generate().expect("an Ed25519 key can be made")))
            }
            Algorithm::HS256 => Arc::new(Self::Hmac(random(32))),
            Algorithm::HS384 => Arc::new(Self::Hmac(random(48))),
            Algorithm::HS512 => Arc::new(Self::Hmac(random(64))),
            _ => idle_rsa(),
        }
    }

    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa(_) => rsa_encoding(algorithm).is_some(),
            Self::Ec(curve, _) => Curve::of(algorithm) == Some(*curve),
            Self::Ed25519(_) => matches!(algorithm, Algorithm::Ed25519 | Algorithm::EdDSA),
            Self::Hmac(_) => algorithm.is_hmac(),
        }
    }

    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let encoding = rsa_encoding(algorithm).expect("the key fits its algorithm");
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).expect("RSA signs");
                signature
            }
            Self::Ec(_, pair) => pair.sign(&random, message).expect("ECDSA signs").as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Hmac(secret) => {
                let hash = match algorithm {
                    Algorithm::HS384 => hmac::HMAC_SHA384,
                    Algorithm::HS512 => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
        }
    }

    pub(super) fn check(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let checker: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
            Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
            Algorithm::PS384 => &RSA_PSS_2048_8192_SHA384,
            Algorithm::PS512 => &RSA_PSS_2048_8192_SHA512,
            Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED,
            Algorithm::ES512 => &ECDSA_P521_SHA512_FIXED,
            Algorithm::Ed25519 | Algorithm::EdDSA => &ED25519,
            // The key that checks is the key that signs; here nobody measures how long the comparison takes.
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                return self.fits(algorithm) && self.sign(algorithm, message) == signature;
            }
        };
        let public = UnparsedPublicKey::new(checker, self.public_raw());
        self.fits(algorithm) && public.verify(message, signature).is_ok()
    }

    /// RFC 5958, in its first version.
    pub(super) fn pkcs8(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).ok().map(|der| der.as_ref().to_vec()),
            Self::Ec(_, pair) => pair.to_pkcs8v1().ok().map(|der| der.as_ref().to_vec()),
            Self::Ed25519(pair) => pair.to_pkcs8v1().ok().map(|der| der.as_ref().to_vec()),
            Self::Hmac(_) => None,
        }
    }

    /// The members of a JWK that RFC 7518 §6 and RFC 8037 §2 define for this kind of key.
    pub(super) fn public_members(&self) -> Value {
        match self {
            Self::Rsa(pair) => {
                let (n, e) = der::rsa_public_key(pair.public_key().as_ref()).expect("PKCS#1 is well formed");
                json!({ "kty": "RSA", "n": base64url(n), "e": base64url(e) })
            }
            Self::Ec(curve, pair) => {
                let coordinates = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                json!({ "kty": "EC", "crv": curve.name(), "x": base64url(x), "y": base64url(y) })
            }
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key()) })
            }
            Self::Hmac(secret) => json!({ "kty": "oct", "k": base64url(secret) }),
        }
    }

    pub(super) fn spki(&self) -> Vec<u8> {
        let der: Result<PublicKeyX509Der<'static>, Unspecified> = match self {
            Self::Rsa(pair) => pair.public_key().as_der(),
            Self::Ec(_, pair) => pair.public_key().as_der(),
            Self::Ed25519(pair) => pair.public_key().as_der(),
            Self::Hmac(_) => return Vec::new(),
        };
        der.expect("a public key can be encoded").as_ref().to_vec()
    }

    pub(super) fn pkcs1(&self) -> Option<&[u8]> {
        match self {
            Self::Rsa(pair) => Some(pair.public_key().as_ref()),
            _ => None,
        }
    }

    pub(super) fn public_raw(&self) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Self::Ec(_, pair) => pair.public_key().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Self::Hmac(_) => Vec::new(),
        }
    }
}

impl Curve {
    const fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::ES256 => Some(Self::P256),
            Algorithm::ES384 => Some(Self::P384),
            Algorithm::ES512 => Some(Self::P521),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    fn signing(self) -> &'static aws_lc_rs::signature::EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }
}

fn rsa_encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_SHA512,
        Algorithm::PS256 => &RSA_PSS_SHA256,
        Algorithm::PS384 => &RSA_PSS_SHA384,
        Algorithm::PS512 => &RSA_PSS_SHA512,
        _ => return None,
    })
}

/// An RSA key that nobody holds: one made earlier if there is one, else a new one. Keys in use are never shared, or a
/// test with two servers could pass with the wrong server's key.
fn idle_rsa() -> Arc<Material> {
    static MADE: Mutex<Vec<Arc<Material>>> = Mutex::new(Vec::new());

    {
        let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(idle) = made.iter().find(|key| Arc::strong_count(key) == 1) {
            return Arc::clone(idle);
        }
    }
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key can be made");
    let key = Arc::new(Material::Rsa(pair));
    MADE.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&key));
    key
}

pub(super) fn random(bytes: usize) -> Vec<u8> {
    let mut random = vec![0; bytes];
    SystemRandom::new().fill(&mut random).expect("the system has random bytes");
    random
}
