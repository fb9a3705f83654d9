//! Private keys as they are written: PEM (RFC 7468), or a private JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::SigningError;
use crate::algorithm::Algorithm;
use crate::json::{Json, JsonLimits, Object};
use crate::signature::Curve;

/// A private key in a form that libraries take.
#[cfg_attr(not(feature = "aws-lc-rs"), allow(dead_code))] // read, and handed to nobody
pub(super) enum Material {
    /// PKCS#8 of any kind (RFC 5958).
    Pkcs8(Zeroizing<Vec<u8>>),
    /// `RSAPrivateKey` of PKCS#1 (RFC 8017 appendix A.1.2).
    Rsa(Zeroizing<Vec<u8>>),
    /// `ECPrivateKey` of SEC 1 (RFC 5915), its curve named within.
    Sec1(Zeroizing<Vec<u8>>),
    /// A number, and the uncompressed point that it makes.
    Ec { curve: Curve, private: Zeroizing<Vec<u8>>, point: Vec<u8> },
    /// RFC 8032 §5.1.5.
    Ed25519 { seed: Zeroizing<Vec<u8>>, public: Vec<u8> },
}

/// A key, and what it says of itself.
pub(super) struct Found {
    pub(super) material: Material,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) key_id: Option<Arc<str>>,
}

/// The one private key in `text`.
pub(super) fn read(text: &str) -> Result<Found, SigningError> {
    if text.trim_start().starts_with('{') {
        return jwk(text);
    }
    Ok(Found { material: pem(text)?, algorithm: None, key_id: None })
}

fn pem(text: &str) -> Result<Material, SigningError> {
    let blocks = ::pem::parse_many(text).map_err(|_| SigningError::NotAPrivateKey)?;
    let mut found = None;
    let mut public = false;
    for block in blocks {
        // The older forms say so in a header (RFC 1421 §4.6.1.1).
        let encrypted = block.headers().get("Proc-Type").is_some_and(|value| value.contains("ENCRYPTED"));
        let tag = block.tag().to_owned();
        let contents = Zeroizing::new(block.into_contents());
        let material = match tag.as_str() {
            "ENCRYPTED PRIVATE KEY" => return Err(SigningError::Encrypted),
            _ if encrypted => return Err(SigningError::Encrypted),
            "PRIVATE KEY" => Material::Pkcs8(contents),
            "RSA PRIVATE KEY" => Material::Rsa(contents),
            "EC PRIVATE KEY" => Material::Sec1(contents),
            "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => {
                public = true;
                continue;
            }
            _ => continue,
        };
        if found.replace(material).is_some() {
            return Err(SigningError::SeveralKeys);
        }
    }
    found.ok_or(if public { SigningError::PublicKey } else { SigningError::NotAPrivateKey })
}

fn jwk(text: &str) -> Result<Found, SigningError> {
    let jwk = Object::parse(text.as_bytes(), JsonLimits::HEADER).map_err(|_| SigningError::MalformedJwk)?;
    let required = |name: &str| text_of(&jwk, name)?.ok_or(SigningError::MalformedJwk);
    for_signing(&jwk)?;
    let kind = required("kty")?;
    if kind == "oct" {
        return Err(SigningError::NotAPrivateKey);
    }
    if jwk.get("d").is_none() {
        return Err(SigningError::PublicKey);
    }
    let material = match kind {
        "RSA" => Material::Rsa(pkcs1(&jwk)?),
        "EC" => {
            let name = required("crv")?;
            let curve =
                Curve::ALL.into_iter().find(|curve| curve.name() == name).ok_or(SigningError::Unusable)?;
            let (x, y, private) = (bytes(&jwk, "x")?, bytes(&jwk, "y")?, bytes(&jwk, "d")?);
            let full = |number: &[u8]| number.len() == curve.coordinate_len();
            if ![&x, &y, &private].into_iter().all(|number| full(number)) {
                return Err(SigningError::MalformedJwk);
            }
            Material::Ec { curve, private, point: [&[4], &**x, &**y].concat() }
        }
        "OKP" if required("crv")? == "Ed25519" => {
            Material::Ed25519 { seed: bytes(&jwk, "d")?, public: bytes(&jwk, "x")?.to_vec() }
        }
        _ => return Err(SigningError::Unusable),
    };
    let algorithm = match text_of(&jwk, "alg")? {
        Some(name) => Some(Algorithm::from_name(name).ok_or(SigningError::MalformedJwk)?),
        None => None,
    };
    let key_id = text_of(&jwk, "kid")?.filter(|kid| !kid.is_empty()).map(Arc::from);
    Ok(Found { material, algorithm, key_id })
}

fn text_of<'j>(jwk: &'j Object, name: &str) -> Result<Option<&'j str>, SigningError> {
    match jwk.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(SigningError::MalformedJwk),
    }
}

fn bytes(jwk: &Object, name: &str) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let text = text_of(jwk, name)?.ok_or(SigningError::MalformedJwk)?;
    URL_SAFE_NO_PAD.decode(text).map(Zeroizing::new).map_err(|_| SigningError::MalformedJwk)
}

fn for_signing(jwk: &Object) -> Result<(), SigningError> {
    if text_of(jwk, "use")?.is_some_and(|usage| usage != "sig") {
        return Err(SigningError::NotForSigning);
    }
    let Some(operations) = jwk.get("key_ops") else { return Ok(()) };
    let operations = operations.as_array().ok_or(SigningError::MalformedJwk)?;
    let sign = operations.iter().any(|operation| operation.as_str() == Some("sign"));
    if sign { Ok(()) } else { Err(SigningError::NotForSigning) }
}

/// RFC 7518 §6.3.2 into `RSAPrivateKey` (RFC 8017 appendix A.1.2): version 0, and the eight numbers.
fn pkcs1(jwk: &Object) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    if jwk.get("oth").is_some_and(|oth| *oth != Json::Null) {
        return Err(SigningError::Unusable); // more than two primes
    }
    let mut numbers = Zeroizing::new(vec![INTEGER, 1, 0]);
    for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        let number = bytes(jwk, name)?;
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let magnitude = number.get(zeros..).unwrap_or_default();
        let sign = magnitude.first().is_none_or(|high| high & 0x80 != 0);
        tag(INTEGER, magnitude.len() + usize::from(sign), &mut numbers)?;
        if sign {
            numbers.push(0);
        }
        numbers.extend_from_slice(magnitude);
    }
    let mut whole = Zeroizing::new(Vec::with_capacity(numbers.len() + 4));
    tag(SEQUENCE, numbers.len(), &mut whole)?;
    whole.extend_from_slice(&numbers);
    Ok(whole)
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// Tag and length, in DER's shortest form.
fn tag(tag: u8, len: usize, out: &mut Vec<u8>) -> Result<(), SigningError> {
    let len = u16::try_from(len).map_err(|_| SigningError::Unusable)?;
    let [high, low] = len.to_be_bytes();
    match len {
        0..=0x7f => out.extend([tag, low]),
        0x80..=0xff => out.extend([tag, 0x81, low]),
        _ => out.extend([tag, 0x82, high, low]),
    }
    Ok(())
}
