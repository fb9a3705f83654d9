#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Request;
use verifier_core::algorithm::{Algorithm as CoreAlgorithm, AlgorithmSet};
use verifier_core::error::{Rejection, UnavailableReason};
use verifier_core::identity::Identity;
use verifier_core::jwk::KeyRules;
use verifier_core::key::VerificationKey;
use verifier_core::revocation::{CouldNotAsk, RevocationChecker, RevocationQuery, RevocationStatus};
use verifier_core::time::{Clock, Now};
use verifier_core::token::AccessToken;
use verifier_core::transport::{HttpTransport, Limits, TransportError};
use verifier_core::verifier::{TokenVerifier, VerifyRequest};

use super::*;
use crate::clock::ManualClock;
use crate::gate::Gate;
use crate::keys::{Algorithm, SigningKey};

const SECOND: Duration = Duration::from_secs(1);

fn now() -> Now {
    ManualClock::new().now()
}

const LIMITS: Limits = Limits { connect: SECOND, total: SECOND, body: 1_024 };

fn get(uri: &str) -> Request<Bytes> {
    Request::get(uri).body(Bytes::new()).unwrap()
}

#[test]
fn the_counting_backend_counts_and_checks() {
    let signer = SigningKey::generate(Algorithm::EdDSA);
    let backend = CountingBackend::new();
    let rules = KeyRules::new(AlgorithmSet::of(&[CoreAlgorithm::Ed25519]));
    let pem = signer.public_pem();
    let key =
        VerificationKey::from_pem(pem.as_bytes(), CoreAlgorithm::Ed25519, None, &rules, &backend).unwrap();
    assert_eq!((backend.preparations(), backend.checks()), (1, 0));
    assert!(key.check(b"m", &signer.sign(b"m")));
    assert!(!key.check(b"n", &signer.sign(b"m")));
    assert_eq!(backend.clone().checks(), 2);
    backend.reset();
    assert_eq!((backend.preparations(), backend.checks()), (0, 0));
}

fn ask(checker: &ScriptedChecker, freshness: Duration) -> Option<Result<RevocationStatus, CouldNotAsk>> {
    let token = AccessToken::new("t", 10).unwrap();
    let request = VerifyRequest::new(&token, now());
    let who = Identity::new("i", None, None, None, None, None);
    let query = RevocationQuery::new(&request, &who, freshness, None);
    checker.status(&query).into_future().now_or_never()
}

#[test]
fn the_scripted_checker_follows_its_script() {
    let checker = ScriptedChecker::always(Reply::active_since(7 * SECOND));
    checker.then(Reply::inactive()).then(Reply::could_not_ask(UnavailableReason::TimedOut));
    assert!(
        matches!(ask(&checker, SECOND), Some(Ok(RevocationStatus::Inactive { as_of })) if as_of == now())
    );
    assert!(matches!(ask(&checker, 2 * SECOND), Some(Err(CouldNotAsk { last: None, .. }))));
    for _ in 0..2 {
        let status = ask(&checker, 3 * SECOND).unwrap().unwrap();
        assert_eq!(status.as_of(), Some(now().minus(7 * SECOND)));
    }
    assert_eq!(checker.asked(), [SECOND, 2 * SECOND, 3 * SECOND, 3 * SECOND]);
    checker.from_now_on(Reply::no_opinion());
    assert!(matches!(ask(&checker, SECOND), Some(Ok(RevocationStatus::NoOpinion))));
    checker.from_now_on(Reply::unacceptable(Rejection::NotAnAccessToken));
    assert!(matches!(ask(&checker, SECOND), Some(Ok(RevocationStatus::Unacceptable { .. }))));
    assert_eq!(checker.calls(), 6);
    assert!(matches!(ask(&ScriptedChecker::new(), SECOND), Some(Err(_))));
}

#[tokio::test]
async fn a_reply_behind_a_gate_waits_for_it() {
    let gate = Gate::new();
    let checker = ScriptedChecker::always(Reply::active().behind(&gate));
    assert!(ask(&checker, SECOND).is_none());
    gate.open();
    assert!(matches!(ask(&checker, SECOND), Some(Ok(RevocationStatus::Active { .. }))));
}

#[test]
fn the_fixed_verifier_says_what_it_was_told() {
    let verifier = FixedVerifier::rejecting(Rejection::Expired);
    let token = AccessToken::new("t", 10).unwrap();
    let request = VerifyRequest::new(&token, now());
    let code = || {
        let verdict = verifier.verify(&request).into_future().now_or_never().unwrap();
        verdict.unwrap_err().code()
    };
    assert_eq!(code(), "expired");
    verifier.set(Err(UnavailableReason::TimedOut.into()));
    assert_eq!(code(), "timed_out");
    assert_eq!(verifier.calls(), 2);
    assert!(verifier.health(now()).ready.is_ok());
    assert!(FixedVerifier::unavailable(UnavailableReason::TimedOut).health(now()).ready.is_err());

    let gate = Gate::new();
    let gated = FixedVerifier::rejecting(Rejection::Expired).behind(&gate);
    assert!(gated.verify(&request).into_future().now_or_never().is_none());
}

#[tokio::test]
async fn transports_answer_by_script_and_count() {
    let script = Arc::new(ScriptedTransport::new());
    script.then(Step::json(r#"{"a":1}"#)).then(Step::failure(TransportError::Tls)).always(Step::status(503));
    let transport = CountingTransport::around(script.clone());
    let first = transport.send(get("https://a.example/keys"), LIMITS).await.unwrap();
    assert_eq!((first.status().as_u16(), &first.body()[..]), (200, &br#"{"a":1}"#[..]));
    assert_eq!(
        transport.send(get("https://b.example:8443/"), LIMITS).await.unwrap_err(),
        TransportError::Tls
    );
    for _ in 0..2 {
        assert_eq!(transport.send(get("https://a.example/"), LIMITS).await.unwrap().status().as_u16(), 503);
    }
    assert_eq!(transport.hosts(), ["a.example", "b.example:8443", "a.example", "a.example"]);
    assert_eq!((transport.sends(), transport.sends_to("a.example"), script.sends()), (4, 3, 4));
    assert_eq!(script.requests()[0].uri().path(), "/keys");
    transport.reset();
    assert_eq!(transport.sends(), 0);

    let silent = ScriptedTransport::new();
    assert_eq!(silent.send(get("https://a.example/"), LIMITS).await.unwrap_err(), TransportError::Connect);
    let mut secret = get("https://a.example/?token=canary");
    secret.headers_mut().insert("authorization", "Bearer canary".parse().unwrap());
    let _ = silent.send(secret, LIMITS).await;
    assert!(!format!("{silent:?}").contains("canary"));
}

#[tokio::test]
async fn the_panicking_transport_panics() {
    let transport = PanickingTransport::new();
    let sent = std::panic::AssertUnwindSafe(transport.send(get("https://a.example/"), LIMITS));
    assert!(sent.catch_unwind().await.is_err());
    assert_eq!(transport.sends(), 1);
}
