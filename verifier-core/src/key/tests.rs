use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature as lc;
use aws_lc_rs::signature::KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;
use crate::algorithm::AlgorithmSet;
use crate::signature::{AwsLc, Curve};
use crate::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN, Shape};

const MAX_KEYS: usize = 100;

fn rules() -> KeyRules {
    KeyRules::new(AlgorithmSet::of(&[Algorithm::Rs256, Algorithm::Es256, Algorithm::Ed25519]))
}

fn parse(jwks: &str) -> Result<KeySet, KeySetError> {
    KeySet::from_jwks(jwks.as_bytes(), &rules(), MAX_KEYS, &AwsLc)
}

fn set(keys: &[String]) -> KeySet {
    parse(&format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap()
}

/// An Ed25519 key that is the same for the same number.
fn ed(seed: u8, members: &str) -> String {
    let pair = lc::Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"{members}}}"#)
}

fn named(seed: u8, kid: &str) -> String {
    ed(seed, &format!(r#","kid":"{kid}""#))
}

/// RFC 7515 appendix A.3.
fn ec(members: &str) -> String {
    format!(
        r#"{{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"{members}}}"#
    )
}

fn reasons(set: &KeySet) -> Vec<(usize, SkipReason)> {
    set.skipped().iter().map(|key| (key.index, key.reason)).collect()
}

fn checks(key: &VerificationKey, jws: &str) -> bool {
    let token = AccessToken::new(jws, DEFAULT_MAX_TOKEN_LEN).unwrap();
    let Shape::Jwt(jwt) = token.shape().unwrap() else { panic!("no JWT") };
    key.check(jwt.signing_input(&token), jwt.signature())
}

#[test]
fn examples_of_the_standards_verify() {
    // RFC 7515 appendix A.3
    let payload =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let jws = format!(
        "eyJhbGciOiJFUzI1NiJ9.{payload}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    let keys = set(&[ec("")]);
    assert!(checks(&keys.keys()[0], &jws));
    assert!(!checks(&keys.keys()[0], &jws.replace("ImV4cCI6", "ImV4cCI7").replace("eyJpc3Mi", "eyJpc3Mj")));

    // RFC 7515 appendix A.1
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let secret = URL_SAFE_NO_PAD.decode(secret).unwrap();
    let key = VerificationKey::from_secret(&secret, Algorithm::Hs256, None, &AwsLc).unwrap();
    let jws = format!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    assert!(checks(&key, &jws));
    assert!(!checks(&key, &jws.replace("dBjf", "dBjg")));

    // RFC 8037 appendix A.4
    let keys = parse(
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
    )
    .unwrap();
    let jws = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(checks(&keys.keys()[0], jws));
}

#[test]
fn what_is_no_key_set_is_refused() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        r#"{"error":"rate_limited"}"#,
        "<html>",
        r#"{"keys":[]"#,
    ] {
        assert_eq!(parse(text).unwrap_err(), KeySetError::NotAKeySet, "{text}");
    }
    let deep = format!(r#"{{"keys":[{}{}]}}"#, "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(parse(&deep).unwrap_err(), KeySetError::NotAKeySet);
    assert_eq!(parse(r#"{"keys":[]}"#).unwrap_err(), KeySetError::NoKeys);
    assert_eq!(parse(r#"{"keys":[{},1,null]}"#).unwrap_err(), KeySetError::NoUsableKey);
    let many = vec![ed(1, ""); MAX_KEYS + 1].join(",");
    assert_eq!(parse(&format!(r#"{{"keys":[{many}]}}"#)).unwrap_err(), KeySetError::TooManyKeys);
}

#[test]
fn duplicate_members_cost_the_key_or_the_set() {
    let good = named(1, "a");
    let twice = ed(2, r#","kid":"b","kid":"c""#);
    let inside = ed(3, r#","kid":"d","z":{"y":1,"y":1}"#);
    let keys = set(&[good.clone(), twice, inside]);
    assert_eq!(keys.kids().collect::<Vec<_>>(), ["a"]);
    assert_eq!(reasons(&keys), [(1, SkipReason::DuplicateMember), (2, SkipReason::DuplicateMember)]);
    assert_eq!(keys.skipped()[0].kid, None);
    assert_eq!(keys.skipped()[1].kid.as_deref(), Some("d"));

    for text in [
        format!(r#"{{"keys":[{good}],"keys":[{good}]}}"#),
        format!(r#"{{"keys":[{good}],"a":1,"a":2}}"#),
        format!(r#"{{"a":{{"b":1,"b":2}},"keys":[{good}]}}"#),
    ] {
        assert_eq!(parse(&text).unwrap_err(), KeySetError::DuplicateMember, "{text}");
    }
}

#[test]
fn a_key_whose_private_part_is_published_elsewhere_in_the_set_is_not_used() {
    // Under another id, without one, and with a member twice, which makes that copy unreadable.
    for leaked in [r#","kid":"b","d":"AAAA""#, r#","d":"AAAA""#, r#","d":"AAAA","d":"AAAA""#] {
        let keys = set(&[named(1, "a"), ed(1, ""), named(2, "good"), ed(1, leaked)]);
        assert_eq!(keys.kids().collect::<Vec<_>>(), ["good"], "{leaked}");
        assert_eq!(reasons(&keys)[..2], [0, 1].map(|index| (index, SkipReason::PrivateMembers)), "{leaked}");
        assert!(matches!(keys.select(Some("a"), Algorithm::Ed25519), Selection::Unknown), "{leaked}");
        assert!(matches!(keys.select(None, Algorithm::Ed25519), Selection::Found(_)), "{leaked}");
    }
}

#[test]
fn one_bad_key_costs_only_itself() {
    let keys = set(&[
        ed(1, r#","kid":"enc","use":"enc""#),
        "7".into(),
        named(2, "good"),
        r#"{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U","kid":"oct"}"#.into(),
        r#"{"kty":"future"}"#.into(),
        ed(3, r#","kid":"private","d":"AAAA""#),
    ]);
    assert_eq!(keys.len(), 1);
    assert_eq!(
        reasons(&keys),
        [
            (0, SkipReason::NotForVerification),
            (1, SkipReason::MalformedMember),
            (3, SkipReason::SymmetricKey),
            (4, SkipReason::UnknownKeyType),
            (5, SkipReason::PrivateMembers),
        ]
    );
    assert_eq!(keys.skipped()[4].kid.as_deref(), Some("private"));
    assert!(matches!(keys.select(Some("private"), Algorithm::Ed25519), Selection::Unknown));
}

#[test]
fn selection_by_kid() {
    let keys = set(&[named(1, "a"), named(2, "b"), ec(r#","kid":"a""#), ed(3, "")]);
    let found = |kid, algorithm| match keys.select(kid, algorithm) {
        Selection::Found(key) => key.identity(),
        other => panic!("{other:?}"),
    };
    assert_eq!(found(Some("a"), Algorithm::Ed25519), keys.keys()[0].identity());
    assert_eq!(found(Some("a"), Algorithm::Es256), keys.keys()[2].identity());
    assert_eq!(found(Some("b"), Algorithm::Ed25519), keys.keys()[1].identity());
    assert!(matches!(keys.select(Some("b"), Algorithm::Es256), Selection::Mismatch));
    assert!(matches!(keys.select(Some("b"), Algorithm::Hs256), Selection::Mismatch));
    for kid in ["c", "A", "a ", "a\0", "ａ"] {
        assert!(matches!(keys.select(Some(kid), Algorithm::Ed25519), Selection::Unknown), "{kid}");
    }
}

#[test]
fn selection_without_kid() {
    let keys = set(&[named(1, "a"), ec("")]);
    // The only one that fits, with an id or without; an empty id is none.
    assert!(matches!(keys.select(None, Algorithm::Ed25519), Selection::Found(key) if key.kid() == Some("a")));
    assert!(matches!(keys.select(None, Algorithm::Es256), Selection::Found(key) if key.kid().is_none()));
    assert!(matches!(keys.select(Some(""), Algorithm::Es256), Selection::Found(_)));
    assert!(matches!(keys.select(None, Algorithm::Rs256), Selection::Unknown));
    assert!(matches!(keys.select(Some("x"), Algorithm::Es256), Selection::Unknown));
    let two = set(&[named(1, "a"), ed(2, "")]);
    assert!(matches!(two.select(None, Algorithm::Ed25519), Selection::Ambiguous));
    let same = set(&[named(1, "a"), named(1, "b")]);
    assert!(matches!(same.select(None, Algorithm::Ed25519), Selection::Found(_)));
}

#[test]
fn keys_that_share_an_id() {
    // The same key twice is one key.
    let same = set(&[named(1, "a"), named(1, "a"), ed(2, ""), ed(2, "")]);
    assert_eq!((same.len(), same.skipped().len()), (2, 0));

    // Different keys: none of them, however many.
    let keys = set(&[named(1, "a"), named(2, "b"), named(3, "a"), named(1, "a"), ec(r#","kid":"a""#)]);
    assert_eq!(reasons(&keys), [0, 2, 3].map(|index| (index, SkipReason::DuplicateKid)));
    assert!(matches!(keys.select(Some("a"), Algorithm::Ed25519), Selection::Ambiguous));
    assert!(matches!(keys.select(Some("a"), Algorithm::Es256), Selection::Found(_)));
    assert!(matches!(keys.select(Some("a"), Algorithm::Rs256), Selection::Mismatch));
    assert!(matches!(keys.select(Some("b"), Algorithm::Ed25519), Selection::Found(_)));
    // Without an id it could be any of them.
    assert!(matches!(keys.select(None, Algorithm::Ed25519), Selection::Ambiguous));
}

#[test]
fn a_good_key_in_the_place_of_a_bad_one_is_not_used() {
    let weak = r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AAAA"}"#.to_owned();
    let leaked = ed(1, r#","kid":"b","d":"AAAA""#);
    let keys = set(&[named(1, "a"), weak.clone(), named(1, "b"), leaked, named(2, "c"), ec(r#","kid":"a""#)]);
    assert_eq!(
        reasons(&keys),
        [
            (0, SkipReason::DuplicateKid),
            (1, SkipReason::WrongCoordinateLength),
            (2, SkipReason::DuplicateKid),
            (3, SkipReason::PrivateMembers),
        ]
    );
    assert!(matches!(keys.select(Some("a"), Algorithm::Ed25519), Selection::Ambiguous));
    assert!(matches!(keys.select(Some("a"), Algorithm::Es256), Selection::Found(_)));

    // One for encryption contests nothing, and a bad key alone is merely absent.
    let keys = set(&[named(1, "a"), ed(2, r#","kid":"a","use":"enc""#)]);
    assert!(matches!(keys.select(Some("a"), Algorithm::Ed25519), Selection::Found(_)));
    let keys = set(&[weak, named(2, "c")]);
    assert!(matches!(keys.select(Some("a"), Algorithm::Ed25519), Selection::Unknown));
    assert!(matches!(keys.select(None, Algorithm::Ed25519), Selection::Found(_)));
}

#[test]
fn unchanged_keys_live_on_and_others_are_withdrawn() {
    let old = set(&[named(1, "stays"), named(2, "goes"), named(3, "reused"), named(4, "renamed")]);
    let next = set(&[named(1, "stays"), named(5, "reused"), named(4, "other"), named(6, "new")]);
    let next = next.adopt(&old);
    assert!(std::sync::Arc::ptr_eq(&old.keys()[0], &next.keys()[0]));
    assert!(old.keys().iter().all(|key| !key.is_withdrawn()));

    KeySet::withdraw_missing(&old, &next);
    assert_eq!(
        old.keys().iter().map(|key| key.is_withdrawn()).collect::<Vec<_>>(),
        [false, true, true, true]
    );
    assert!(next.keys().iter().all(|key| !key.is_withdrawn()));
    // Whoever still holds the old set doesn't get them either.
    assert!(matches!(old.select(Some("goes"), Algorithm::Ed25519), Selection::Unknown));
    assert!(matches!(old.select(Some("stays"), Algorithm::Ed25519), Selection::Found(_)));

    // A key that comes back is another key: what died with the old one stays dead.
    let back = set(&[named(2, "goes")]).adopt(&old);
    assert!(!back.keys()[0].is_withdrawn());
    assert!(matches!(back.select(Some("goes"), Algorithm::Ed25519), Selection::Found(_)));
}

#[test]
fn a_key_not_adopted_is_withdrawn() {
    let old = set(&[named(1, "a")]);
    let next = set(&[named(1, "a")]);
    KeySet::withdraw_missing(&old, &next);
    assert!(old.keys()[0].is_withdrawn() && !next.keys()[0].is_withdrawn());
}

#[test]
fn the_same_material_for_another_algorithm_is_another_key() {
    let with =
        |algorithm| VerificationKey::from_secret(&[7; 64], algorithm, None, &AwsLc).unwrap().identity();
    assert_ne!(with(Algorithm::Hs256), with(Algorithm::Hs512));
    assert_eq!(with(Algorithm::Hs256), with(Algorithm::Hs256));
}

#[test]
fn secrets() {
    let (a, b) = ([1; 32], [2; 32]);
    let set = KeySet::from_secrets(
        [(Some("a"), Algorithm::Hs256, &a[..]), (Some("b"), Algorithm::Hs256, &b[..])],
        &AwsLc,
    )
    .unwrap();
    assert_eq!(set.kids().collect::<Vec<_>>(), ["a", "b"]);
    let error = |secrets: &[(Option<&'static str>, Algorithm, &'static [u8])]| {
        KeySet::from_secrets(secrets.iter().copied(), &AwsLc).unwrap_err()
    };
    assert_eq!(error(&[(None, Algorithm::Hs256, &[1; 31])]), SkipReason::KeyTooSmall);
    assert_eq!(error(&[(None, Algorithm::Hs512, &[])]), SkipReason::KeyTooSmall);
    assert_eq!(error(&[(None, Algorithm::Rs256, &[1; 64])]), SkipReason::AlgorithmMismatch);
    assert_eq!(
        error(&[(Some("a"), Algorithm::Hs256, &[1; 32]), (Some("a"), Algorithm::Hs256, &[2; 32])]),
        SkipReason::DuplicateKid
    );
    // A secret's identity is no hash that anybody could guess it by.
    assert_ne!(set.keys()[0].identity().thumbprint(), &crate::signature::sha256(&a));
    assert!(!format!("{set:?}").contains("[1, 1"));
}

fn pem(label: &str, der: &[u8]) -> String {
    let lines: Vec<String> =
        STANDARD.encode(der).as_bytes().chunks(64).map(|l| String::from_utf8(l.into()).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[test]
fn rsa_keys_check_their_own_algorithm_only() {
    let pair = lc::RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let spki = pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref());
    let all: [(Algorithm, &'static dyn lc::RsaEncoding); 6] = [
        (Algorithm::Rs256, &lc::RSA_PKCS1_SHA256),
        (Algorithm::Rs384, &lc::RSA_PKCS1_SHA384),
        (Algorithm::Rs512, &lc::RSA_PKCS1_SHA512),
        (Algorithm::Ps256, &lc::RSA_PSS_SHA256),
        (Algorithm::Ps384, &lc::RSA_PSS_SHA384),
        (Algorithm::Ps512, &lc::RSA_PSS_SHA512),
    ];
    let keys = all.map(|(algorithm, _)| {
        VerificationKey::from_pem(spki.as_bytes(), algorithm, Some("k"), &rules(), &AwsLc).unwrap()
    });
    for (signed, encoding) in all {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), b"message", &mut signature).unwrap();
        for key in &keys {
            assert_eq!(key.check(b"message", &signature), key.algorithm() == signed, "{signed} {key:?}");
            assert!(!key.check(b"massage", &signature));
            assert!(!key.check(b"message", &signature[1..]));
            assert!(!key.check(b"message", &[&[0], &signature[..]].concat()));
            assert!(!key.check(b"message", &[&signature[..], &[0]].concat()));
        }
    }
    for edge in [vec![0; 256], [vec![0; 255], vec![1]].concat(), vec![0xff; 256], vec![]] {
        assert!(keys.iter().all(|key| !key.check(b"message", &edge)));
    }
    // The PEM is no HMAC secret, and no key of another type.
    for algorithm in [Algorithm::Hs256, Algorithm::Es256, Algorithm::Ed25519] {
        let refused = VerificationKey::from_pem(spki.as_bytes(), algorithm, None, &rules(), &AwsLc);
        assert_eq!(refused.unwrap_err(), SkipReason::AlgorithmMismatch);
    }
}

#[test]
fn pem_and_jwk_of_one_key_are_the_same_key() {
    for (curve, signing) in [
        (Curve::P256, &lc::ECDSA_P256_SHA256_FIXED_SIGNING),
        (Curve::P384, &lc::ECDSA_P384_SHA384_FIXED_SIGNING),
        (Curve::P521, &lc::ECDSA_P521_SHA512_FIXED_SIGNING),
    ] {
        let pair = lc::EcdsaKeyPair::generate(signing).unwrap();
        let spki = pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref());
        let (x, y) = pair.public_key().as_ref()[1..].split_at(curve.coordinate_len());
        let jwk = format!(
            r#"{{"keys":[{{"kty":"EC","crv":"{}","x":"{}","y":"{}"}}]}}"#,
            curve.name(),
            URL_SAFE_NO_PAD.encode(x),
            URL_SAFE_NO_PAD.encode(y)
        );
        let rules = KeyRules::new(AlgorithmSet::ASYMMETRIC);
        let from_jwk = KeySet::from_jwks(jwk.as_bytes(), &rules, 1, &AwsLc).unwrap();
        let from_pem = KeySet::from_pem(spki.as_bytes(), curve.algorithm(), None, &rules, &AwsLc).unwrap();
        assert_eq!(from_jwk.keys()[0].identity(), from_pem.keys()[0].identity());
        let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
        assert!(from_pem.keys()[0].check(b"message", signature.as_ref()));
    }
    let pair = lc::Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let spki = pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref());
    let key = VerificationKey::from_pem(spki.as_bytes(), Algorithm::Ed25519, None, &rules(), &AwsLc).unwrap();
    assert_eq!(key.identity(), set(&[ed(1, "")]).keys()[0].identity());
}

#[test]
fn what_is_no_public_key_in_pem_is_refused() {
    let pair = lc::Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let der = pair.public_key().as_der().unwrap().as_ref().to_vec();
    let error = |text: &str| {
        VerificationKey::from_pem(text.as_bytes(), Algorithm::Ed25519, None, &rules(), &AwsLc).unwrap_err()
    };
    assert_eq!(error(""), SkipReason::MalformedMember);
    assert_eq!(error("junk"), SkipReason::MalformedMember);
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        assert_eq!(error(&pem(label, &der)), SkipReason::PrivateMembers);
        assert_eq!(error(&(pem("PUBLIC KEY", &der) + &pem(label, &der))), SkipReason::PrivateMembers);
    }
    for label in ["CERTIFICATE", "RSA PUBLIC KEY"] {
        assert_eq!(error(&pem(label, &der)), SkipReason::UnknownKeyType);
    }
    assert_eq!(error(&pem("PUBLIC KEY", &der).repeat(2)), SkipReason::MalformedMember);
    assert_eq!(error(&pem("PUBLIC KEY", &[&der[..], &[0]].concat())), SkipReason::MalformedMember);
    for len in 0..der.len() {
        assert_eq!(error(&pem("PUBLIC KEY", &der[..len])), SkipReason::MalformedMember, "{len}");
    }
}

proptest::proptest! {
    #[test]
    fn der_never_panics(der in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64), at in 0_usize..44, byte: u8) {
        let _ = super::pem::material(&der);
        let pair = lc::Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let mut near = pair.public_key().as_der().unwrap().as_ref().to_vec();
        near[at] = byte;
        let _ = super::pem::material(&near);
    }
}
