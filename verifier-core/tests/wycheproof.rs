//! The Wycheproof vectors for JWS and JWK, judged by gate, key import, selection and signature check together. The
//! vectors are not part of this project: `VERIFIER_VECTORS` names the folder that holds `wycheproof/*.json`.

#![cfg(feature = "aws-lc-rs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};
use verifier_core::algorithm::{Algorithm, AlgorithmSet};
use verifier_core::jwk::KeyRules;
use verifier_core::key::{KeySet, Selection};
use verifier_core::signature::AwsLc;
use verifier_core::token::{AccessToken, MAX_TOKEN_LEN, Shape};

/// Vectors whose verdict we do not share, with the reason. An unexpected agreement fails as well.
const JWS_EXCEPTIONS: [(u64, &str); 14] = [
    (259, "an empty payload: a JWS, and no JWT"),
    (264, "an empty payload: a JWS, and no JWT"),
    (268, "an empty payload: a JWS, and no JWT"),
    (272, "an empty payload: a JWS, and no JWT"),
    (320, "an empty payload: a JWS, and no JWT"),
    (325, "an empty payload: a JWS, and no JWT"),
    (346, "the key says PS256, the token PS384, and it is labelled valid"),
    (347, "the key says ES521, which does not exist, and it is labelled valid"),
    (350, "as 346"),
    (351, "as 347"),
    (367, "the same bytes as 357, which is labelled valid"),
    (370, "the same bytes as 357, which is labelled valid"),
    (372, "a question mark in a segment, and it is labelled valid"),
    (373, "a question mark in a segment, and it is labelled valid"),
];

const JWK_EXCEPTIONS: [(u64, &str); 1] = [(7, "a modulus with the ROCA weakness is not recognised yet")];

#[test]
fn json_web_signature() {
    run("json_web_signature_test.json", 401, &JWS_EXCEPTIONS);
}

#[test]
fn json_web_key() {
    run("json_web_key_test.json", 26, &JWK_EXCEPTIONS);
}

fn run(file: &str, count: usize, exceptions: &[(u64, &str)]) {
    let Some(folder) = std::env::var_os("VERIFIER_VECTORS") else {
        println!("VERIFIER_VECTORS is not set: {file} not run");
        return;
    };
    let text = std::fs::read(PathBuf::from(folder).join("wycheproof").join(file)).unwrap();
    let vectors: Value = serde_json::from_slice(&text).unwrap();
    let mut seen = 0;
    let mut disagreements = BTreeMap::new();
    for group in vectors["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            seen += 1;
            let expected = match test["result"].as_str().unwrap() {
                "valid" => true,
                "invalid" => false,
                other => panic!("unknown result {other}"),
            };
            let jws = test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned);
            let accepted = accepts(group, &jws);
            if accepted.is_ok() != expected {
                let comment = test["comment"].as_str().unwrap_or_default();
                disagreements.insert(test["tcId"].as_u64().unwrap(), format!("{comment}: {accepted:?}"));
            }
        }
    }
    assert_eq!(seen, count);
    let expected: BTreeSet<_> = exceptions.iter().map(|(id, _)| *id).collect();
    assert_eq!(disagreements.keys().copied().collect::<BTreeSet<_>>(), expected, "{disagreements:#?}");
}

/// As a resource server would: the published keys, or the static secret where the group is about HMAC. Never both.
fn accepts(group: &Value, jws: &str) -> Result<(), String> {
    let published = group.get("public").unwrap_or(&group["private"]);
    let keys = match published.get("keys") {
        Some(keys) => keys.as_array().unwrap().clone(),
        None => vec![published.clone()],
    };
    let all_secret = keys.iter().all(|key| key["kty"] == "oct");
    let hmac = AlgorithmSet::of(&[Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512]);
    let mut rules = KeyRules::new(if all_secret { hmac } else { AlgorithmSet::ASYMMETRIC });
    rules.allow_symmetric = all_secret;
    rules.max_rsa_bits = 8192;

    let document = json!({ "keys": keys }).to_string();
    let keys = KeySet::from_jwks(document.as_bytes(), &rules, 100, &AwsLc).map_err(|e| e.to_string())?;
    let token = AccessToken::new(jws, MAX_TOKEN_LEN).map_err(|e| e.to_string())?;
    let Shape::Jwt(jwt) = token.shape().map_err(|e| e.to_string())? else { return Err("opaque".into()) };
    let algorithm = jwt.header().algorithm().ok_or("unknown algorithm")?;
    match keys.select(jwt.header().kid(), algorithm) {
        Selection::Found(key) if key.check(jwt.signing_input(&token), jwt.signature()) => Ok(()),
        Selection::Found(_) => Err("signature".into()),
        other => Err(format!("{other:?}")),
    }
}
