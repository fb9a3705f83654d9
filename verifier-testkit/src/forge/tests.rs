use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::catalogue::Forged;
use super::*;
use crate::keys::Algorithm;

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::ES256)
}

fn good(key: &SigningKey) -> TokenForge {
    TokenForge::new("{}", r#"{"iss":"https://idp.example","sub":"alice","exp":4102444800}"#).for_key(key)
}

fn checks(token: &str, key: &SigningKey) -> bool {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    let Some((input, signature)) = token.rsplit_once('.') else { return false };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_raw())
        .verify(input.as_bytes(), &signature)
        .is_ok()
}

fn text(token: &str, segment: Segment) -> String {
    String::from_utf8(segments::decoded(token, segment).unwrap()).unwrap()
}

#[test]
fn members_are_appended_as_text_and_set_as_values() {
    let key = key();
    let token = TokenForge::new("{}", r#"{"a":1 } "#)
        .header_member("alg", "\"x\"")
        .header_member("alg", "1e400")
        .claim_member("a", "nul")
        .sign(&key);
    assert_eq!(text(&token, Segment::Header), r#"{"alg":"x","alg":1e400}"#);
    assert_eq!(text(&token, Segment::Payload), r#"{"a":1 ,"a":nul}"#);
    assert!(checks(&token, &key));

    let token =
        TokenForge::new("no json", "{}").header("alg", "x").claim("b", 2).without_claim("b").unsigned();
    assert_eq!(text(&token, Segment::Header), r#"{"alg":"x"}"#);
    assert_eq!(text(&token, Segment::Payload), "{}");
    assert!(token.ends_with('.'));
}

#[test]
fn a_token_can_be_taken_apart_and_made_again() {
    let key = key();
    let token = good(&key).sign(&key);
    let again = TokenForge::like(&token).unwrap();
    assert_eq!(again, good(&key));
    assert!(TokenForge::like("opaque").is_none());
}

#[test]
fn spellings_decode_leniently_to_the_same_and_are_signed_as_spelled() {
    let key = key();
    for length in 0..3 {
        let forge = good(&key).claim("x", "x".repeat(length));
        for segment in [Segment::Header, Segment::Payload] {
            for spelling in [Spelling::Padded, Spelling::StandardAlphabet, Spelling::TrailingBits] {
                let token = forge.clone().spelled(segment, spelling.clone()).sign(&key);
                let part = token.split('.').nth(segment as usize).unwrap();
                assert!(URL_SAFE_NO_PAD.decode(part).is_err(), "{segment:?} {spelling:?}: still canonical");
                assert!(checks(&token, &key), "{segment:?} {spelling:?}");
                let lenient = lenient(part);
                assert!(serde_json::from_slice::<Value>(&lenient).unwrap().is_object(), "{spelling:?}");
            }
        }
    }
}

fn lenient(part: &str) -> Vec<u8> {
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let right = part.replace('+', "-").replace('/', "_");
    let right = right.trim_end_matches('=');
    GeneralPurpose::new(&base64::alphabet::URL_SAFE, config).decode(right).unwrap()
}

#[test]
fn segments_change_after_signing() {
    let key = key();
    let token = good(&key).sign(&key);
    for segment in Segment::ALL {
        for bit in [0, 7, 8, 4_000] {
            let changed = segments::bit_flipped(&token, segment, bit);
            assert_ne!(changed, token);
            assert!(!checks(&changed, &key), "{segment:?} {bit}");
            assert_eq!(segments::bit_flipped(&changed, segment, bit), token);
        }
    }
    // 64 bytes leave four bits unused.
    let respelled = segments::respell(&token, Segment::Signature, &Spelling::TrailingBits).unwrap();
    let (right, other) = (token.rsplit('.').next().unwrap(), respelled.rsplit('.').next().unwrap());
    assert_ne!(right, other);
    assert_eq!(lenient(right), lenient(other));
    assert!(STANDARD_NO_PAD.decode(other.replace('-', "+").replace('_', "/")).is_err());
}

#[test]
fn the_catalogue_is_wrong_where_it_says_and_rightly_signed_elsewhere() {
    let key = key();
    let good = good(&key);
    let rightly_signed: Vec<Forged> = [
        catalogue::algorithm_misnamed(&good, &key),
        catalogue::odd_kids(&good, &key),
        catalogue::critical(&good, &key),
        catalogue::duplicate_members(&good, &key),
        catalogue::not_an_object(&good, &key),
        catalogue::odd_dates(&good, &key),
    ]
    .concat();
    for forged in &rightly_signed {
        assert!(checks(&forged.token, &key), "{}", forged.name);
    }
    let wrongly_signed: Vec<Forged> = [
        catalogue::public_key_as_secret(&good, &key),
        catalogue::own_key_in_header(&good, "http://127.0.0.1:1/keys"),
        catalogue::signatures(&good, &key),
    ]
    .concat();
    for forged in &wrongly_signed {
        assert!(!checks(&forged.token, &key), "{}", forged.name);
    }

    let all = [
        rightly_signed,
        wrongly_signed,
        catalogue::unsigned(&good, &key),
        catalogue::spellings(&good, &key),
        catalogue::shapes(&good, &key),
    ]
    .concat();
    let names: BTreeSet<&str> = all.iter().map(|forged| forged.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "names are distinct");
    let right = good.sign(&key);
    let (input, _) = right.rsplit_once('.').unwrap();
    for forged in all.iter().filter(|forged| checks(&forged.token, &key)) {
        assert!(!forged.token.starts_with(&format!("{input}.")), "{}: nothing is wrong", forged.name);
    }
    assert!(all.len() > 150, "{}", all.len());
}

#[test]
fn duplicates_are_duplicates_to_a_reader() {
    let key = key();
    for forged in catalogue::duplicate_members(&good(&key), &key) {
        let segment = if forged.name.starts_with("alg") { Segment::Header } else { Segment::Payload };
        let raw = text(&forged.token, segment);
        let names = raw.matches("\":").count();
        let read: Map<String, Value> = serde_json::from_str(&raw).unwrap();
        let nested = read.get("cnf").and_then(Value::as_object).map_or(0, Map::len);
        assert_eq!(names, read.len() + nested + 1, "{}: {raw}", forged.name);
    }
}

#[test]
fn unknown_kids_are_all_different() {
    let key = key();
    let tokens: BTreeSet<String> = catalogue::unknown_kids(&good(&key)).take(1_000).collect();
    assert_eq!(tokens.len(), 1_000);
    let header = text(tokens.first().unwrap(), Segment::Header);
    assert!(header.contains("\"alg\":\"ES256\"") && !header.contains(key.kid()));
}

#[test]
fn other_serializations_carry_the_right_signature() {
    let key = key();
    let flattened: Value = serde_json::from_str(&good(&key).flattened_json(&key)).unwrap();
    let part = |name: &str| flattened[name].as_str().unwrap().to_owned();
    assert!(checks(&format!("{}.{}.{}", part("protected"), part("payload"), part("signature")), &key));
    assert_eq!(catalogue::jwe_shaped().split('.').count(), 5);
}
