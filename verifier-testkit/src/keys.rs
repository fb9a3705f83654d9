//! Signing keys of every algorithm, with all the shapes in which their public half travels: JWK, PEM, DER, raw.

mod der;
mod material;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use material::Material;

pub(crate) use der::ecdsa_signature;

/// A signature algorithm of RFC 7518 §3.1, RFC 8037 and RFC 9864.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[allow(missing_docs)] // the names are the registered ones
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    /// The fully specified name of RFC 9864.
    Ed25519,
    /// The older, deprecated spelling of [`Algorithm::Ed25519`] (RFC 8037 §3.1).
    EdDSA,
    HS256,
    HS384,
    HS512,
}

impl Algorithm {
    /// Every one of them.
    pub const ALL: [Self; 14] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::Ed25519,
        Self::EdDSA,
        Self::HS256,
        Self::HS384,
        Self::HS512,
    ];

    /// The registered name, as it stands in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::Ed25519 => "Ed25519",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }

    /// Whether the key is a shared secret, which is never published.
    pub const fn is_hmac(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A private or secret key with its key id and the one algorithm that it signs with. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    material: Arc<Material>,
}

impl SigningKey {
    /// A key with a random key id. RSA keys (2048 bits) are slow to make: one that nobody in this process holds any
    /// more is used again; two keys that live at the same time are always different.
    pub fn generate(algorithm: Algorithm) -> Self {
        Self { kid: random_text(9), algorithm, material: Material::generate(algorithm) }
    }

    /// A shared secret of the caller's own, of any length.
    ///
    /// `algorithm` is one of the HMAC family; for any other the key signs with HS256.
    pub fn hmac(algorithm: Algorithm, secret: impl Into<Vec<u8>>) -> Self {
        let algorithm = if algorithm.is_hmac() { algorithm } else { Algorithm::HS256 };
        Self { kid: random_text(9), algorithm, material: Arc::new(Material::Hmac(secret.into())) }
    }

    /// The same key under another key id.
    #[must_use]
    pub fn with_kid(self, kid: impl Into<String>) -> Self {
        Self { kid: kid.into(), ..self }
    }

    /// The same key, used with another algorithm: RS256 and PS256, for instance. `None` if the key can't be used so.
    pub fn under(&self, algorithm: Algorithm) -> Option<Self> {
        self.material.fits(algorithm).then(|| Self { algorithm, ..self.clone() })
    }

    /// The key id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signature of RFC 7515 §5.1 over `message`; that of ECDSA in the fixed-length form of RFC 7518 §3.4.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.material.sign(self.algorithm, message)
    }

    /// Whether `signature` is one of `message` by this key and algorithm.
    pub fn check(&self, message: &[u8], signature: &[u8]) -> bool {
        self.material.check(self.algorithm, message, signature)
    }

    /// The private half as PKCS#8 in PEM, `PRIVATE KEY`; `None` for a shared secret.
    pub fn private_pem(&self) -> Option<String> {
        self.material.pkcs8().map(|der| pem("PRIVATE KEY", &der))
    }

    /// The public half as a JWK, with `kid`, `alg` and `use` (RFC 7517 §4). For a shared secret the `oct` key itself:
    /// what must never be in a published set.
    pub fn jwk(&self) -> Map<String, Value> {
        let mut jwk = match self.material.public_members() {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        jwk.insert("kid".into(), json!(self.kid));
        jwk.insert("alg".into(), json!(self.algorithm.name()));
        jwk.insert("use".into(), json!("sig"));
        jwk
    }

    /// The secret of a shared-secret key.
    pub fn secret(&self) -> Option<&[u8]> {
        match &*self.material {
            Material::Hmac(secret) => Some(secret),
            _ => None,
        }
    }

    /// The public half as SubjectPublicKeyInfo (RFC 5280 §4.1); empty for a shared secret.
    pub fn public_der(&self) -> Vec<u8> {
        self.material.spki()
    }

    /// [`Self::public_der`] as PEM, `PUBLIC KEY`, lines of 64 characters, with a newline at the end.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public_der())
    }

    /// The public half of an RSA key in the form of PKCS#1, `RSA PUBLIC KEY`; `None` for other keys.
    pub fn public_pkcs1_pem(&self) -> Option<String> {
        self.material.pkcs1().map(|der| pem("RSA PUBLIC KEY", der))
    }

    /// The public half as the algorithm's own bytes: an uncompressed point, the 32 bytes of Ed25519, the `RSAPublicKey`
    /// of PKCS#1; empty for a shared secret.
    pub fn public_raw(&self) -> Vec<u8> {
        self.material.public_raw()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A JWK Set document of these keys (RFC 7517 §5), shared secrets included: what to publish is the caller's choice.
pub fn jwk_set<'k>(keys: impl IntoIterator<Item = &'k SigningKey>) -> Value {
    let keys: Vec<Value> = keys.into_iter().map(|key| Value::Object(key.jwk())).collect();
    json!({ "keys": keys })
}

/// DER in the armour of RFC 7468.
pub fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (n, letter) in STANDARD.encode(der).chars().enumerate() {
        if n > 0 && n % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

/// Unpadded base64url.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `bytes` random bytes as base64url.
pub(crate) fn random_text(bytes: usize) -> String {
    base64url(material::random(bytes))
}

#[cfg(test)]
mod tests;
