//! Public keys in PEM: just enough DER to find the numbers in a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).

use crate::jwk::SkipReason;
use crate::signature::{Curve, KeyMaterial};

/// The contents of the one block of `text`.
pub(super) fn public_key(text: &[u8]) -> Result<Vec<u8>, SkipReason> {
    let blocks = ::pem::parse_many(text).map_err(|_| SkipReason::MalformedMember)?;
    match blocks.as_slice() {
        blocks if blocks.iter().any(|block| block.tag().ends_with("PRIVATE KEY")) => {
            Err(SkipReason::PrivateMembers)
        }
        [block] if block.tag() == "PUBLIC KEY" => Ok(block.contents().to_vec()),
        [_] => Err(SkipReason::UnknownKeyType),
        _ => Err(SkipReason::MalformedMember),
    }
}

/// rsaEncryption, RFC 8017 appendix A.1: 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// id-ecPublicKey, RFC 5480 §2.1.1: 1.2.840.10045.2.1
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// id-Ed25519, RFC 8410 §3: 1.3.101.112
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// The named curves of RFC 5480 §2.1.1.1.
const CURVES: [(&[u8], Curve); 3] = [
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], Curve::P256),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], Curve::P384),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], Curve::P521),
];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const NULL: u8 = 0x05;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// The key in a SubjectPublicKeyInfo.
pub(super) fn material(der: &[u8]) -> Result<KeyMaterial<'_>, SkipReason> {
    let (kind, parameters, key) = subject_public_key(der).ok_or(SkipReason::MalformedMember)?;
    match kind {
        RSA => rsa(parameters, key).ok_or(SkipReason::MalformedMember),
        EC => {
            let mut parameters = Der(parameters);
            let name = parameters.only(OBJECT_IDENTIFIER).ok_or(SkipReason::MalformedMember)?;
            let curve = CURVES.iter().find(|(id, _)| *id == name).ok_or(SkipReason::UnknownKeyType)?.1;
            // SEC 1 §2.3.3, uncompressed.
            match key {
                [4, point @ ..] if point.len() == 2 * curve.coordinate_len() => {
                    let (x, y) = point.split_at(curve.coordinate_len());
                    Ok(KeyMaterial::Ec { curve, x, y })
                }
                _ => Err(SkipReason::WrongCoordinateLength),
            }
        }
        // RFC 8410 §3: no parameters.
        ED25519 if parameters.is_empty() => Ok(KeyMaterial::Ed25519 { x: key }),
        ED25519 => Err(SkipReason::MalformedMember),
        _ => Err(SkipReason::UnknownKeyType),
    }
}

/// The algorithm's id, its parameters, and the bits of the key.
fn subject_public_key(der: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut whole = Der(Der(der).only(SEQUENCE)?);
    let mut algorithm = Der(whole.next(SEQUENCE)?);
    let kind = algorithm.next(OBJECT_IDENTIFIER)?;
    match whole.only(BIT_STRING)? {
        // The first byte counts the unused bits.
        [0, key @ ..] => Some((kind, algorithm.0, key)),
        _ => None,
    }
}

/// RFC 8017 appendix A.1.1.
fn rsa<'a>(parameters: &'a [u8], key: &'a [u8]) -> Option<KeyMaterial<'a>> {
    if !Der(parameters).only(NULL)?.is_empty() {
        return None;
    }
    let mut numbers = Der(Der(key).only(SEQUENCE)?);
    let n = positive(numbers.next(INTEGER)?)?;
    let e = positive(numbers.only(INTEGER)?)?;
    Some(KeyMaterial::Rsa { n, e })
}

/// The magnitude of a DER integer of more than zero.
fn positive(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [0, magnitude @ ..] if magnitude.first()? & 0x80 != 0 => Some(magnitude),
        [first, ..] if *first != 0 && first & 0x80 == 0 => Some(integer),
        _ => None,
    }
}

/// What is left to read.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The contents of the next value, which must have this tag.
    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&[own, length], rest) = self.0.split_first_chunk()?;
        if own != tag {
            return None;
        }
        let (length, rest) = match length {
            short @ 0..=0x7f => (usize::from(short), rest),
            0x81 => {
                let (&length, rest) = rest.split_first()?;
                // DER: the shortest form only.
                (usize::from(Some(length).filter(|length| *length > 0x7f)?), rest)
            }
            0x82 => {
                let (&length, rest) = rest.split_first_chunk()?;
                (usize::from(Some(u16::from_be_bytes(length)).filter(|length| *length > 0xff)?), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(contents)
    }

    /// The same, where nothing may follow.
    fn only(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next(tag).filter(|_| self.0.is_empty())
    }
}
