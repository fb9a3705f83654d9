//! Key sets and tokens differ where the RFCs leave room: what each peculiarity leads to, over loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use support::{Scene, policy, rejected};
use verifier_core::error::Rejection;
use verifier_core::jwk::SkipReason;
use verifier_core::policy::IssuerRules;
use verifier_core::profile::TokenProfile;
use verifier_core::time::Clock as _;
use verifier_core::verifier::TokenVerifier as _;
use verifier_jwks::JwksVerifier;
use verifier_testkit::server::DEFAULT_AUDIENCE;
use verifier_testkit::{Algorithm, Answer, Endpoint, SigningKey, TokenRequest};

fn generic(scene: &Scene) -> JwksVerifier {
    let rules = IssuerRules::new(scene.server.issuer(), TokenProfile::generic()).unwrap();
    JwksVerifier::builder(rules, policy(), scene.source(), scene.env.clone()).build().unwrap()
}

fn jwk(key: &SigningKey, change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Value {
    let mut jwk = key.jwk();
    change(&mut jwk);
    Value::Object(jwk)
}

#[tokio::test]
async fn keys_may_leave_out_algorithm_use_and_id() {
    for left_out in [&["alg"][..], &["use"], &["kid"], &["alg", "use"], &["alg", "use", "kid"]] {
        let scene = Scene::new();
        let key = scene.server.signing_key();
        let without = jwk(&key, |jwk| jwk.retain(|name, _| !left_out.contains(&name.as_str())));
        scene.server.override_jwks(200, json!({"keys": [without]}).to_string());
        let verifier = scene.verifier();
        let named = scene.verify(&verifier, &scene.token()).await;
        let unnamed = scene.server.issue(TokenRequest::new().without_header("kid"));
        assert!(scene.verify(&verifier, &unnamed.token).await.is_ok(), "{left_out:?}");
        if left_out.contains(&"kid") {
            // A token that names a key means that one, and none other.
            rejected(named, Rejection::UnknownKey);
        } else {
            assert!(named.is_ok(), "{left_out:?}");
        }
    }
}

#[tokio::test]
async fn a_set_may_hold_what_is_not_for_us_under_any_media_type() {
    let scene = Scene::new();
    let rsa = SigningKey::generate(Algorithm::RS256);
    let zeros = URL_SAFE_NO_PAD.encode([9; 32]);
    let keys = json!({"keys": [
        jwk(&rsa, |jwk| {
            jwk.insert("use".into(), "enc".into());
            jwk.insert("alg".into(), "RSA-OAEP".into());
            jwk.insert("kid".into(), "enc-rsa".into());
        }),
        {"kty": "OKP", "crv": "X25519", "use": "enc", "alg": "ECDH-ES", "kid": "enc-okp", "x": zeros},
        {"kty": "OKP", "crv": "X25519", "kid": "okp-unnamed", "x": zeros},
        {"kty": "AKP", "alg": "ML-DSA-44", "kid": "future", "pub": "AAAA"},
        jwk(&scene.server.signing_key(), |_| {}),
    ], "comment": "more"});
    for kind in
        ["application/jwk-set+json; charset=utf-8", "application/json;charset=UTF-8", "application/json"]
    {
        let answer = Answer::new(200, keys.to_string()).header("content-type", kind);
        scene.server.override_answer(Endpoint::Jwks, answer);
        let verifier = scene.verifier();
        assert!(scene.verify(&verifier, &scene.token()).await.is_ok(), "{kind}");
        let health = verifier.health(scene.clock.now());
        let state = health.keys.unwrap();
        assert_eq!((state.usable, state.skipped.len(), health.ready), (1, 4, Ok(())), "{kind}");
        // Its own key, offered for the wrong purpose, signs nothing.
        let misused = scene.server.issue(TokenRequest::new().signed_by(rsa.clone().with_kid("enc-rsa")));
        rejected(scene.verify(&verifier, &misused.token).await, Rejection::UnknownKey);
    }
}

#[tokio::test]
async fn a_coordinate_short_of_its_leading_zeros_costs_that_key_alone() {
    let scene = Scene::new();
    // RFC 7518 §6.2.1.2: of full length. Some servers write numbers instead.
    let coordinate = |key: &SigningKey| URL_SAFE_NO_PAD.decode(key.jwk()["x"].as_str().unwrap()).unwrap();
    let key = std::iter::repeat_with(|| SigningKey::generate(Algorithm::ES256))
        .find(|key| coordinate(key)[0] == 0)
        .unwrap()
        .with_kid("short");
    let short = jwk(&key, |jwk| {
        let bytes = coordinate(&key);
        let number: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
        jwk.insert("x".into(), URL_SAFE_NO_PAD.encode(number).into());
    });
    scene
        .server
        .override_jwks(200, json!({"keys": [short, jwk(&scene.server.signing_key(), |_| {})]}).to_string());
    let verifier = scene.verifier();
    assert!(scene.verify(&verifier, &scene.token()).await.is_ok());
    let by_short = scene.server.issue(TokenRequest::new().signed_by(key.clone()));
    rejected(scene.verify(&verifier, &by_short.token).await, Rejection::UnknownKey);
    let state = verifier.health(scene.clock.now()).keys.unwrap();
    assert_eq!(state.skipped, [(Some("short".into()), SkipReason::WrongCoordinateLength)]);
    assert_eq!(state.kids, [scene.server.signing_kid().into_boxed_str()]);

    // Of full length the same key serves.
    scene.server.override_jwks(200, json!({"keys": [jwk(&key, |_| {})]}).to_string());
    let verifier = scene.verifier();
    assert!(scene.verify(&verifier, &by_short.token).await.is_ok());
}

#[tokio::test]
async fn a_token_is_typed_in_any_of_the_known_ways() {
    let scene = Scene::new();
    let (strict, wide) = (scene.verifier(), generic(&scene));
    for (typ, is_rfc_9068) in [
        (None, false),
        (Some("JWT"), false),
        (Some("jwt"), false),
        (Some("application/jwt"), false),
        (Some("at+jwt"), true),
        (Some("AT+JWT"), true),
        (Some("application/at+jwt"), true),
    ] {
        let request = TokenRequest::new().subject("alice").scope("read");
        let request = match typ {
            Some(typ) => request.header("typ", typ),
            None => request.without_header("typ"),
        };
        let token = scene.server.issue(request).token;
        assert!(scene.verify(&wide, &token).await.is_ok(), "{typ:?}");
        let verdict = scene.verify(&strict, &token).await;
        if is_rfc_9068 {
            assert!(verdict.is_ok(), "{typ:?}");
        } else {
            rejected(verdict, Rejection::WrongType);
        }
    }
}

#[tokio::test]
async fn lists_and_texts_mean_the_same() {
    let scene = Scene::new();
    let verifier = generic(&scene);
    for (claim, value) in [
        ("aud", json!(DEFAULT_AUDIENCE)),
        ("aud", json!([DEFAULT_AUDIENCE])),
        ("aud", json!(["https://other.example", DEFAULT_AUDIENCE])),
        ("scope", json!("write read")),
        ("scope", json!(["write", "read"])),
        ("scp", json!(["read"])),
        ("scp", json!("read write")),
    ] {
        let mut request = TokenRequest::new().subject("alice").scope("read").claim(claim, value.clone());
        if claim == "scp" {
            request = request.without_claim("scope");
        }
        let token = scene.server.issue(request).token;
        let judged =
            scene.verify(&verifier, &token).await.unwrap_or_else(|why| panic!("{claim} {value}: {why}"));
        assert!(judged.facts().scopes().any(|scope| scope == "read"), "{claim} {value}");
    }
}
