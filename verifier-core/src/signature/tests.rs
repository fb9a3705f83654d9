use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
};
use proptest::prelude::*;

use super::*;

const MESSAGE: &[u8] = b"header.payload";

fn ec(curve: Curve) -> (EcdsaKeyPair, Vec<u8>, Vec<u8>) {
    let signing: &'static EcdsaSigningAlgorithm = match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
    };
    let pair = EcdsaKeyPair::generate(signing).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(curve.coordinate_len());
    let (x, y) = (x.to_vec(), y.to_vec());
    (pair, x, y)
}

#[test]
fn ecdsa_takes_fixed_length_signatures_only() {
    for curve in Curve::ALL {
        let (pair, x, y) = ec(curve);
        let key = AwsLc.prepare(&KeyMaterial::Ec { curve, x: &x, y: &y }, curve.algorithm()).unwrap();
        let signature = pair.sign(&SystemRandom::new(), MESSAGE).unwrap();
        let signature = signature.as_ref();
        assert_eq!(signature.len(), 2 * curve.coordinate_len());
        assert!(key.check(MESSAGE, signature));
        assert!(!key.check(b"header.payloae", signature));
        assert!(!key.check(MESSAGE, &signature[..signature.len() - 1]));
        assert!(!key.check(MESSAGE, &[signature, &[0]].concat()));
        assert!(!key.check(MESSAGE, &[&[0], signature].concat()));
        assert!(!key.check(MESSAGE, &[]));
        // r = s = 0, r = 0, s = 0, and numbers far over the order.
        let half = curve.coordinate_len();
        assert!(!key.check(MESSAGE, &vec![0; 2 * half]));
        assert!(!key.check(MESSAGE, &vec![0xff; 2 * half]));
        assert!(!key.check(MESSAGE, &[&vec![0; half], &signature[half..]].concat()));
        assert!(!key.check(MESSAGE, &[&signature[..half], &vec![0; half]].concat()));
    }
}

#[test]
fn ecdsa_in_der_is_refused() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let key = AwsLc.prepare(&KeyMaterial::Ec { curve: Curve::P256, x, y }, Algorithm::Es256).unwrap();
    let signature = pair.sign(&SystemRandom::new(), MESSAGE).unwrap();
    assert!(!key.check(MESSAGE, signature.as_ref()));
}

#[test]
fn points_off_the_curve_are_refused() {
    for curve in Curve::ALL {
        let (_, x, y) = ec(curve);
        let refused = |x: &[u8], y: &[u8]| {
            AwsLc.prepare(&KeyMaterial::Ec { curve, x, y }, curve.algorithm()).unwrap_err()
        };
        let mut off = y.clone();
        *off.last_mut().unwrap() ^= 1;
        assert_eq!(refused(&x, &off), SkipReason::NotOnCurve);
        let len = curve.coordinate_len();
        assert_eq!(refused(&vec![0; len], &vec![0; len]), SkipReason::NotOnCurve);
        assert_eq!(refused(&vec![0xff; len], &y), SkipReason::NotOnCurve);
        assert_eq!(refused(&x[1..], &y), SkipReason::WrongCoordinateLength);
        assert_eq!(refused(&x, &[&[0], &y[..]].concat()), SkipReason::WrongCoordinateLength);
    }
}

#[test]
fn ed25519() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = pair.public_key().as_ref();
    let key = AwsLc.prepare(&KeyMaterial::Ed25519 { x }, Algorithm::Ed25519).unwrap();
    let signature = pair.sign(MESSAGE);
    let signature = signature.as_ref();
    assert!(key.check(MESSAGE, signature));
    assert!(!key.check(b"other", signature));
    assert!(!key.check(MESSAGE, &signature[..63]));
    // S is below the order; the bits above must be clear.
    let mut malleable = signature.to_vec();
    malleable[63] |= 0x80;
    assert!(!key.check(MESSAGE, &malleable));
}

/// RFC 4231 §4.7, shortened to what the seam takes: a key longer than the block.
#[test]
fn hmac_checks_the_whole_tag() {
    let key = AwsLc.prepare(&KeyMaterial::Secret(&[0xaa; 131]), Algorithm::Hs256).unwrap();
    let tag = [
        0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26, 0xaa, 0xcb, 0xf5, 0xb7, 0x7f, 0x8e,
        0x0b, 0xc6, 0x21, 0x37, 0x28, 0xc5, 0x14, 0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3, 0x7f, 0x54,
    ];
    let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
    assert!(key.check(message, &tag));
    assert!(!key.check(message, &tag[..16]));
    assert!(!key.check(message, &[]));
    assert!(!key.check(b"", &tag));
}

#[test]
fn material_and_algorithm_must_go_together() {
    let (_, x, y) = ec(Curve::P256);
    for algorithm in Algorithm::ALL.iter().copied() {
        for (material, own) in [
            (KeyMaterial::Ec { curve: Curve::P256, x: &x, y: &y }, "ES256"),
            (KeyMaterial::Ed25519 { x: &x }, "Ed25519"),
            (KeyMaterial::Secret(&[1; 64]), "HS"),
            (KeyMaterial::Rsa { n: &[0xff; 256], e: &[1, 0, 1] }, "S"),
        ] {
            let fits = match own {
                "HS" => algorithm.is_symmetric(),
                "S" => algorithm.name().starts_with("RS") || algorithm.name().starts_with("PS"),
                name => algorithm.name() == name,
            };
            let prepared = AwsLc.prepare(&material, algorithm);
            assert_eq!(prepared.err() == Some(SkipReason::AlgorithmMismatch), !fits, "{algorithm} {own}");
        }
    }
}

#[test]
fn debug_shows_no_secret() {
    let secret = KeyMaterial::Secret(b"a-secret-that-is-a-canary-for-us");
    let key = AwsLc.prepare(&secret, Algorithm::Hs256).unwrap();
    assert_eq!(format!("{secret:?} {key:?}"), "Secret([redacted]) SecretKey(HS256, [redacted])");
}

#[test]
fn sha256_of_abc() {
    assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_eq!(AwsLc.sha256(b"abc"), sha256(b"abc"));
}

proptest! {
    #[test]
    fn no_signature_but_the_own_checks(at in 0_usize..64, bit in 0_u8..8, seed in any::<[u8; 32]>()) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let key = AwsLc.prepare(&KeyMaterial::Ed25519 { x: pair.public_key().as_ref() }, Algorithm::Ed25519).unwrap();
        let mut signature = pair.sign(MESSAGE).as_ref().to_vec();
        prop_assert!(key.check(MESSAGE, &signature));
        signature[at] ^= 1 << bit;
        prop_assert!(!key.check(MESSAGE, &signature));
    }
}
