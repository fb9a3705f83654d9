//! Signed introspection answers (RFC 9701), from the configuration to the verdict, with the issuer's own key set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::time::Duration;

use stage::{STRATEGIES, Stage, code};
use verifier::{Freshness, Verifier, VerifierConfig};
use verifier_testkit::server::AnswerFlaw as Flaw;
use verifier_testkit::{Algorithm, AuthorizationServer, DEFAULT_AUDIENCE, Endpoint, Fault, TokenRequest};

const SIGNING: [&str; 2] = ["introspection", "hybrid"];

fn server(stage: &Stage) -> AuthorizationServer {
    stage.server_with(|builder| builder.signs_answers(Algorithm::ES256))
}

/// A section that demands answers signed with ES256.
fn section(stage: &Stage, server: &AuthorizationServer, strategy: &str) -> String {
    stage.section(server, strategy) + "signed_answers = { algorithm = \"ES256\" }\n"
}

fn verifier(stage: &Stage, server: &AuthorizationServer, strategy: &str) -> Verifier {
    stage.build(&section(stage, server, strategy))
}

#[tokio::test]
async fn answers_are_checked_with_the_keys_of_the_issuer() {
    for strategy in SIGNING {
        let stage = Stage::new();
        let server = server(&stage);
        let verifier = verifier(&stage, &server, strategy);
        verifier.ready(Duration::from_secs(20)).await.unwrap();
        assert_eq!(server.counts().jwks, 1, "{strategy}: ready means that the keys are there");
        let good = server.issue(TokenRequest::new().subject("alice"));
        assert_eq!(verifier.verify(&good.token).await.unwrap().subject(), Some("alice"), "{strategy}");
        server.revoke(&good.token);
        stage.clock.advance(Duration::from_secs(1));
        let live = verifier.request(&good.token).freshness(Freshness::LIVE).verify().await;
        assert_eq!(code(&live), "inactive", "{strategy}");
        assert_eq!(server.counts().jwks, 1, "{strategy}: one store for tokens and answers");

        for (flaw, expected) in [
            (Flaw::Plain, "answer_not_signed"),
            (Flaw::PlainWithJwt, "answer_not_signed"),
            (Flaw::Encrypted, "answer_encrypted"),
            (Flaw::ForeignKey, "answer_not_trusted"),
            (Flaw::Algorithm(Algorithm::ES384), "answer_not_trusted"),
            (Flaw::IssuedAgo(Duration::from_secs(31)), "too_stale"),
            (Flaw::ActiveOutside, "unreadable_answer"),
        ] {
            let shown = format!("{strategy} {flaw:?}");
            let token = server.issue(TokenRequest::new()).token;
            server.spoil_signed_answers(Some(flaw));
            assert_eq!(code(&verifier.verify(&token).await), expected, "{shown}");
            server.spoil_signed_answers(None);
            assert_eq!(code(&verifier.verify(&token).await), "verified", "{shown}");
        }
    }
}

#[tokio::test]
async fn a_key_that_signs_answers_anew_is_found() {
    for strategy in SIGNING {
        let stage = Stage::new();
        let server = server(&stage);
        let verifier = verifier(&stage, &server, strategy);
        let before = server.issue(TokenRequest::new()).token;
        assert_eq!(code(&verifier.verify(&before).await), "verified", "{strategy}");
        let old = server.signing_kid();
        server.rotate();
        server.withdraw(&old);
        stage.clock.advance(Duration::from_secs(60));
        let after = server.issue(TokenRequest::new()).token;
        assert_eq!(code(&verifier.verify(&after).await), "verified", "{strategy}");
        assert_eq!(server.counts().jwks, 2, "{strategy}");
    }
}

#[tokio::test]
async fn without_keys_introspection_is_not_ready_and_says_why() {
    let stage = Stage::new();
    let server = server(&stage);
    let verifier = verifier(&stage, &server, "introspection");
    server.faults().on(Endpoint::Jwks, Fault::Redirect("/elsewhere".into()));
    let token = server.issue(TokenRequest::new()).token;
    assert_eq!(code(&verifier.verify(&token).await), "keys_not_loaded");
    let health = verifier.health();
    assert!(health.ready.is_err(), "{health:?}");
    assert_eq!(health.parts.len(), 1);
    assert!(health.notes.is_empty(), "the endpoint redirects nobody: {health:?}");
    assert!(health.parts[0].keys.as_ref().unwrap().last_error.is_some(), "{health:?}");
    server.faults().clear_all();
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(code(&verifier.verify(&token).await), "verified");
    assert_eq!(verifier.health().ready, Ok(()));
}

#[tokio::test]
async fn a_signed_answer_is_no_access_token() {
    for strategy in STRATEGIES {
        for profile in ["at+jwt", "generic", "keycloak", "hydra"] {
            let stage = Stage::new();
            let server = server(&stage);
            let text = stage.section(&server, strategy).replace("\"at+jwt\"", &format!("{profile:?}"));
            let verifier = stage.build(&text);
            let (now, key) = (stage.clock.unix_seconds(), server.signing_key());
            // With all that an access token of any profile has, beside what an answer has.
            let answer = server
                .forge(TokenRequest::new().subject("alice").scope("read"))
                .claim("typ", "Bearer")
                .claim("token_introspection", serde_json::json!({"active": true}))
                .claim("iat", now);
            for typ in
                ["token-introspection+jwt", "application/token-introspection+jwt", "TOKEN-introspection+JWT"]
            {
                let token = answer.clone().header("typ", typ).sign(&key);
                // Even from a server that says so.
                let active = serde_json::json!({"active": true, "aud": DEFAULT_AUDIENCE, "client_id": "app"});
                server.override_introspection_of(&token, &active);
                assert_eq!(code(&verifier.verify(&token).await), "wrong_type", "{strategy} {profile} {typ}");
            }
            assert_eq!(server.counts().introspection, 0, "{strategy} {profile}");
        }
    }
}

/// The error of a configuration, as one line.
fn refused(toml: &str) -> String {
    match VerifierConfig::from_toml(toml).and_then(|config| config.build()) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("accepted:\n{toml}"),
    }
}

#[tokio::test]
async fn contradictions_are_named() {
    let stage = Stage::new();
    let server = server(&stage);
    let plain = |strategy: &str| stage.section(&server, strategy);
    for strategy in SIGNING {
        let on = format!("{}signed_answers = true\n", plain(strategy));
        assert!(VerifierConfig::from_toml(&on).unwrap().build().is_ok(), "{strategy}");
        let error = refused(&format!("{on}[issuer.keys]\nalgorithms = [\"ES256\", \"EdDSA\"]\n"));
        assert!(
            error.starts_with(
                "issuer[0].introspection.signed_answers.algorithm: RS256 is not among keys.algorithms, ES256, Ed25519"
            ),
            "{error}"
        );
        let error = refused(&format!("{}signed_answers = {{ algorithm = \"HS256\" }}\n", plain(strategy)));
        assert!(error.contains("HS256"), "{error}");
        let error = refused(&format!("{}signed_answers = {{ audience = \"\" }}\n", plain(strategy)));
        assert!(error.starts_with("issuer[0].introspection.signed_answers.audience: "), "{error}");
        let error = refused(&format!("{}signed_answers = {{ alg = \"ES256\" }}\n", plain(strategy)));
        assert!(error.contains("unknown field") && error.contains("signed_answers"), "{error}");
        let error = refused(&format!("{}signed_answers = \"yes\"\n", plain(strategy)));
        assert!(error.contains("true, false, or { algorithm"), "{error}");
        let nobody = plain(strategy).split("client_id").next().unwrap().to_owned();
        let error = refused(&format!("{nobody}signed_answers = true\n"));
        assert!(error.starts_with("issuer[0].introspection.signed_answers.audience: is needed"), "{error}");
    }
    // Keys have a meaning with introspection exactly where answers are signed.
    let keys = format!("[issuer.keys]\nurl = {:?}\n", server.jwks_uri());
    for off in ["", "signed_answers = false\n"] {
        let error = refused(&format!("{}{off}{keys}", plain("introspection")));
        assert!(error.starts_with("issuer[0].keys: ") && error.contains("signed_answers"), "{error}");
    }
    let on = format!("{}{keys}", section(&stage, &server, "introspection"));
    let verifier = stage.build(&on);
    assert_eq!(code(&verifier.verify(&server.issue(TokenRequest::new()).token).await), "verified");
    assert_eq!(server.counts().discovery, 1, "for the endpoint alone");
}

#[tokio::test]
async fn keys_that_name_no_algorithm_fit_the_registered_one() {
    let stage = Stage::new();
    let server =
        stage.server_with(|builder| builder.algorithm(Algorithm::RS256).signs_answers(Algorithm::RS256));
    let mut jwks = server.jwks();
    for key in jwks["keys"].as_array_mut().unwrap() {
        key.as_object_mut().unwrap().retain(|name, _| name != "alg" && name != "use");
    }
    server.override_jwks(200, jwks.to_string());
    let verifier = stage.build(&(stage.section(&server, "introspection") + "signed_answers = true\n"));
    assert_eq!(code(&verifier.verify(&server.issue(TokenRequest::new().opaque()).token).await), "verified");
}
