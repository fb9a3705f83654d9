use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::*;

fn checker(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::ES512 => &signature::ECDSA_P521_SHA512_FIXED,
        Algorithm::Ed25519 | Algorithm::EdDSA => &signature::ED25519,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return None,
    })
}

fn member(key: &SigningKey, name: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(key.jwk()[name].as_str().unwrap()).unwrap()
}

#[test]
fn every_algorithm_signs_what_its_public_half_checks() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(algorithm);
        let signed = key.sign(b"message");
        match checker(algorithm) {
            Some(checker) => {
                let public = UnparsedPublicKey::new(checker, key.public_raw());
                assert!(public.verify(b"message", &signed).is_ok(), "{algorithm}");
                assert!(public.verify(b"another", &signed).is_err(), "{algorithm}");
                let public = UnparsedPublicKey::new(checker, key.public_der());
                assert!(public.verify(b"message", &signed).is_ok(), "{algorithm} by its SPKI");
            }
            None => {
                let again = SigningKey::hmac(algorithm, key.secret().unwrap());
                assert_eq!(again.sign(b"message"), signed, "{algorithm}");
            }
        }
    }
}

#[test]
fn jwk_members_have_their_full_length() {
    for (algorithm, length) in [(Algorithm::ES256, 32), (Algorithm::ES384, 48), (Algorithm::ES512, 66)] {
        // A coordinate starts with a zero byte once in 256 keys.
        for _ in 0..300 {
            let key = SigningKey::generate(algorithm);
            assert_eq!((member(&key, "x").len(), member(&key, "y").len()), (length, length), "{algorithm}");
        }
    }
    let rsa = SigningKey::generate(Algorithm::RS256);
    assert_eq!(member(&rsa, "n").len(), 256);
    assert_eq!(member(&rsa, "e"), [1, 0, 1]);
    assert_eq!(member(&SigningKey::generate(Algorithm::Ed25519), "x").len(), 32);
    assert_eq!(rsa.jwk()["kty"], "RSA");
    assert_eq!(rsa.jwk()["use"], "sig");
}

#[test]
fn a_jwk_rebuilds_the_key() {
    let rsa = SigningKey::generate(Algorithm::PS384);
    let public = aws_lc_rs::rsa::PublicKeyComponents { n: member(&rsa, "n"), e: member(&rsa, "e") };
    let signed = rsa.sign(b"message");
    assert!(public.verify(&signature::RSA_PSS_2048_8192_SHA384, b"message", &signed).is_ok());

    let ec = SigningKey::generate(Algorithm::ES512);
    let point = [vec![4], member(&ec, "x"), member(&ec, "y")].concat();
    assert_eq!(point, ec.public_raw());
}

#[test]
fn rsa_keys_that_live_together_differ() {
    let first = SigningKey::generate(Algorithm::RS256);
    let second = SigningKey::generate(Algorithm::RS256);
    assert_ne!(first.public_der(), second.public_der());
    assert_ne!(first.kid(), second.kid());
}

#[test]
fn a_key_goes_under_the_algorithms_of_its_kind_only() {
    let rsa = SigningKey::generate(Algorithm::RS256);
    assert_eq!(rsa.under(Algorithm::PS512).unwrap().public_der(), rsa.public_der());
    assert!(rsa.under(Algorithm::ES256).is_none());
    assert!(SigningKey::generate(Algorithm::ES256).under(Algorithm::ES384).is_none());
    assert!(SigningKey::generate(Algorithm::EdDSA).under(Algorithm::Ed25519).is_some());
}

#[test]
fn no_secret_shows() {
    let key = SigningKey::hmac(Algorithm::HS256, "correct horse battery staple");
    assert!(!format!("{key:?}").contains("horse"));
    let secret = key.jwk()["k"].as_str().unwrap().to_owned();
    assert!(!format!("{key:?}").contains(&secret));
}

#[test]
fn pem_lines_have_64_letters() {
    let pem = SigningKey::generate(Algorithm::ES256).public_pem();
    let lines: Vec<&str> = pem.lines().collect();
    assert_eq!(lines.first(), Some(&"-----BEGIN PUBLIC KEY-----"));
    assert_eq!(lines.last(), Some(&"-----END PUBLIC KEY-----"));
    assert_eq!(lines[1].len(), 64);
    assert!(lines[2..lines.len() - 1].iter().all(|line| !line.is_empty() && line.len() <= 64));
}

#[test]
fn der_of_an_ecdsa_signature_verifies_as_der() {
    for (algorithm, checker) in [
        (Algorithm::ES256, &signature::ECDSA_P256_SHA256_ASN1),
        (Algorithm::ES384, &signature::ECDSA_P384_SHA384_ASN1),
        (Algorithm::ES512, &signature::ECDSA_P521_SHA512_ASN1),
    ] {
        for _ in 0..20 {
            let key = SigningKey::generate(algorithm);
            let der = ecdsa_signature(&key.sign(b"message"));
            assert!(UnparsedPublicKey::new(checker, key.public_raw()).verify(b"message", &der).is_ok());
        }
    }
}
