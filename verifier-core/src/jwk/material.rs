//! Key material, wherever it came from: checked, named by its thumbprint, prepared.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{KeyRules, SkipReason};
use crate::algorithm::Algorithm;
use crate::key::{KeyIdentity, VerificationKey};
use crate::signature::{KeyMaterial, SignatureBackend};
use crate::token::Digest;

/// Checks `material` and prepares it for `algorithm`, which is taken as allowed.
pub(crate) fn prepare(
    kid: Option<&str>,
    material: KeyMaterial<'_>,
    algorithm: Algorithm,
    rules: &KeyRules,
    backend: &dyn SignatureBackend,
) -> Result<VerificationKey, SkipReason> {
    let material = match material {
        KeyMaterial::Rsa { n, e } => check_rsa(n, e, rules.max_rsa_bits)?,
        KeyMaterial::Ec { curve, x, y } => {
            if [x, y].iter().any(|coordinate| coordinate.len() != curve.coordinate_len()) {
                return Err(SkipReason::WrongCoordinateLength);
            }
            material
        }
        KeyMaterial::Ed25519 { x } => {
            check_ed25519(x)?;
            material
        }
        KeyMaterial::Secret(secret) => {
            let least = algorithm.least_secret_len().ok_or(SkipReason::AlgorithmMismatch)?;
            if secret.len() < least {
                return Err(SkipReason::KeyTooSmall);
            }
            material
        }
    };
    let prepared = backend.prepare(&material, algorithm)?;
    let identity = KeyIdentity::new(thumbprint(&material, backend), algorithm);
    Ok(VerificationKey::new(kid, identity, prepared))
}

/// The thumbprint that this public key has, or would have, as a [`VerificationKey`]; `None` for an RSA key that can't
/// be one.
pub(crate) fn public_thumbprint(
    material: KeyMaterial<'_>,
    rules: &KeyRules,
    backend: &dyn SignatureBackend,
) -> Option<[u8; 32]> {
    let material = match material {
        KeyMaterial::Rsa { n, e } => check_rsa(n, e, rules.max_rsa_bits).ok()?,
        other => other,
    };
    Some(thumbprint(&material, backend))
}

/// RFC 7518 §6.3.1. The modulus may carry one leading zero byte, before a byte whose high bit is set: several
/// libraries write numbers with room for a sign, and the number is the same. It is stripped first, so that the key has
/// one identity either way. Nothing more is forgiven.
fn check_rsa<'a>(n: &'a [u8], e: &'a [u8], max_bits: usize) -> Result<KeyMaterial<'a>, SkipReason> {
    let n = match n {
        [0, number @ ..] if number.first().is_some_and(|high| high & 0x80 != 0) => number,
        number => number,
    };
    let (Some(&high), Some(&low)) = (n.first(), n.last()) else { return Err(SkipReason::MalformedMember) };
    if high == 0 || e.first().is_none_or(|high| *high == 0) {
        return Err(SkipReason::MalformedMember);
    }
    let bits = n.len() * 8 - high.leading_zeros() as usize;
    if bits < 2048 {
        return Err(SkipReason::KeyTooSmall);
    }
    if bits > max_bits {
        return Err(SkipReason::KeyTooLarge);
    }
    if low & 1 == 0 {
        // No product of two odd primes.
        return Err(SkipReason::MalformedMember);
    }
    if e.len() > 5 {
        return Err(SkipReason::BadExponent);
    }
    let exponent = e.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if exponent % 2 == 0 || !(3..1 << 33).contains(&exponent) {
        return Err(SkipReason::BadExponent);
    }
    Ok(KeyMaterial::Rsa { n, e })
}

/// The little-endian y coordinates of the points of low order; with either sign of x, they are all of the eight.
const LOW_ORDER: [[u8; 32]; 5] = [
    // 0, of order 4
    [0; 32],
    // 1, the neutral element
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    // -1, of order 2
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    // both of order 8
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// RFC 8032 §5.1.2: 32 bytes, y below p = 2^255 - 19 and little-endian, the sign of x in the top bit. A key of low
/// order makes some signature fit any message; libraries differ in whether they mind.
fn check_ed25519(x: &[u8]) -> Result<(), SkipReason> {
    let Ok(mut y) = <[u8; 32]>::try_from(x) else { return Err(SkipReason::WrongCoordinateLength) };
    if let Some(top) = y.last_mut() {
        *top &= 0x7f;
    }
    let [lowest, middle @ .., top] = &y;
    let at_least_p = *lowest >= 0xed && middle.iter().all(|byte| *byte == 0xff) && *top == 0x7f;
    if at_least_p || LOW_ORDER.contains(&y) { Err(SkipReason::WeakEd25519Key) } else { Ok(()) }
}

/// RFC 7638 §3, RFC 8037 §2: SHA-256 over the required members in lexical order. A secret's would be a hash to guess
/// the secret by (RFC 7638 §7), so a keyed digest that means nothing outside this process stands for it.
fn thumbprint(material: &KeyMaterial<'_>, backend: &dyn SignatureBackend) -> [u8; 32] {
    let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let json = match material {
        KeyMaterial::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, b64(e), b64(n)),
        KeyMaterial::Ec { curve, x, y } => {
            format!(r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#, curve.name(), b64(x), b64(y))
        }
        KeyMaterial::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(x)),
        KeyMaterial::Secret(secret) => return Digest::of_parts(&[b"secret key", secret]).widened(),
    };
    backend.sha256(json.as_bytes())
}
