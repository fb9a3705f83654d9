//! What a server may answer, and what is made of it: CASES of the introspection protocol.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{ASKED, Desk, rejected, secs, unavailable};
use verifier_core::error::{Rejection, UnavailableReason as U, VerifyError};
use verifier_core::health::HealthNote;
use verifier_core::time::Clock as _;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::upstream::BreakerHealth;
use verifier_core::verifier::{Presentation, Scheme, TokenVerifier, VerifyRequest};
use verifier_testkit::{Answer, Fault, TokenRequest};

/// A desk whose breaker stays out of the way.
fn patient() -> Desk {
    Desk::with(|config| config.upstream.breaker_failures = 10_000)
}

#[tokio::test]
async fn an_active_token_is_verified_with_what_the_server_says() {
    let desk = Desk::start();
    let issued = desk.issue();
    let verified = desk.verify(&issued.token).await.unwrap();
    assert_eq!(verified.subject(), Some("alice"));
    assert_eq!(verified.issuer(), desk.server.issuer());
    assert!(verified.has_scope("read"));
    assert_eq!(verified.revocation_age(), Some(secs(0)));
    assert_eq!(verified.evidence().strategy.name(), "introspection");
    assert!(!verified.evidence().from_cache);
    let request = desk.server.last_introspection().unwrap();
    assert_eq!(request.form("token").as_deref(), Some(&*issued.token));
    assert_eq!(request.form("token_type_hint").as_deref(), Some("access_token"));
    assert_eq!(request.header("accept"), Some("application/json"));
    assert_eq!(request.header("cache-control"), Some("no-store"));
    // A JWT is asked about just the same.
    let jwt = desk.server.issue(TokenRequest::new().subject("bob").jwt());
    assert_eq!(desk.verify(&jwt.token).await.unwrap().subject(), Some("bob"));
}

#[tokio::test]
async fn what_is_no_answer_is_unavailable_and_not_kept() {
    let desk = patient();
    let bodies = [
        r#"{"active":"true"}"#,
        r#"{"active":1}"#,
        r#"{"active":null}"#,
        r"{}",
        r#"{"active":true,"active":true}"#,
        r"[true]",
        "",
        "eyJhbGciOiJub25lIn0.eyJhY3RpdmUiOnRydWV9.",
    ];
    for body in bodies {
        let issued = desk.issue();
        let answer = Answer::new(200, body).header("content-type", "application/json");
        desk.server.override_answer(ASKED, answer);
        let before = desk.calls();
        assert_eq!(desk.verify(&issued.token).await.err(), Some(unavailable(U::UnreadableAnswer)), "{body}");
        assert_eq!(desk.calls(), before + 1, "{body}");
        desk.server.clear_override(ASKED);
        assert!(desk.verify(&issued.token).await.is_ok(), "{body}");
    }
}

#[tokio::test]
async fn an_answer_that_is_malformed_for_one_token_is_that_tokens_trouble() {
    let desk = Desk::start();
    let other = desk.issue();
    let deep = format!(r#"{{"active":true,"ext":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    let many = format!(r#"{{"active":true,"ext":[1{}]}}"#, ",1".repeat(5_000));
    let large = format!(r#"{{"active":true,"ext":"{}"}}"#, "x".repeat(100_000));
    let bodies = [
        r#"{"active":true,"exp":"1"}"#,
        r#"{"active":true,"exp":null}"#,
        r#"{"active":true,"nbf":null}"#,
        r#"{"active":true,"iat":[1]}"#,
        r#"{"active":true,"cnf":null}"#,
        r#"{"active":true,"exp":-1}"#,
        r#"{"active":true,"aud":7}"#,
        r#"{"active":true,"sub":7}"#,
        &deep,
        &many,
        &large,
    ];
    let mut last = None;
    for body in bodies {
        let issued = desk.issue();
        let answer = Answer::new(200, body.to_owned()).header("content-type", "application/json");
        desk.server.override_answer_about(&issued.token, answer);
        let before = desk.calls();
        for _ in 0..10 {
            let verdict = desk.verify(&issued.token).await.err();
            assert_eq!(verdict, Some(unavailable(U::UnreadableAnswer)), "{body:.60}");
        }
        assert_eq!(desk.calls(), before + 1, "{body:.60}: remembered for a while");
        last = Some(issued);
    }
    let upstream = desk.introspector.health(desk.clock.now()).upstream.unwrap();
    assert_eq!((upstream.breaker, upstream.consecutive_failures), (BreakerHealth::Closed, 0));
    assert!(desk.verify(&other.token).await.is_ok());
    desk.server.clear_override(ASKED);
    desk.clock.advance(secs(11));
    assert!(desk.verify(&last.unwrap().token).await.is_ok(), "asked again");
}

#[tokio::test]
async fn every_failure_of_the_server_is_unavailable_and_not_kept() {
    let desk = Desk::with(|config| {
        config.upstream.breaker_failures = 10_000;
        config.upstream.retries = 0;
    });
    let elsewhere = format!("{}/elsewhere", desk.server.origin());
    for (fault, expected) in [
        (Fault::Status(401, String::new()), U::CredentialsRefused),
        (Fault::Status(403, String::new()), U::CredentialsRefused),
        (Fault::Status(400, r#"{"error":"unauthorized_client"}"#.into()), U::CredentialsRefused),
        (Fault::Status(404, String::new()), U::Misconfigured),
        (Fault::Status(405, String::new()), U::Misconfigured),
        (Fault::Status(500, r#"{"active":true}"#.into()), U::ServerError),
        (Fault::Status(503, r#"{"active":false}"#.into()), U::ServerError),
        (Fault::Status(204, String::new()), U::UnreadableAnswer),
        (Fault::Html200, U::UnreadableAnswer),
        (Fault::EmptyBody, U::UnreadableAnswer),
        (Fault::ContentType("text/plain".into()), U::UnreadableAnswer),
        (Fault::Status(503, "x".repeat(100_000)), U::ServerError),
        (Fault::HalfBody, U::UnreadableAnswer),
        (Fault::Redirect(elsewhere), U::Redirected),
        (Fault::Redirect("/login".into()), U::Redirected),
    ] {
        let issued = desk.issue();
        let shown = format!("{fault:?}");
        desk.server.faults().next(ASKED, 1, fault);
        assert_eq!(desk.verify(&issued.token).await.err(), Some(unavailable(expected)), "{shown}");
        assert!(desk.verify(&issued.token).await.is_ok(), "{shown}");
    }
    assert_eq!(desk.server.counts().other, 0, "no redirect was followed");
}

#[tokio::test]
async fn a_server_that_closes_or_is_gone_is_unavailable() {
    let desk = Desk::with(|config| config.upstream.retries = 0);
    let issued = desk.issue();
    desk.server.faults().next(ASKED, 1, Fault::Close);
    assert!(matches!(desk.verify(&issued.token).await, Err(VerifyError::Unavailable(_))));
    desk.server.refuse_connections();
    assert_eq!(desk.verify(&issued.token).await.err(), Some(unavailable(U::ConnectFailed)));
    desk.server.accept_connections().unwrap();
    assert!(desk.verify(&issued.token).await.is_ok());
}

#[tokio::test]
async fn an_active_answer_is_judged_too() {
    let desk = patient();
    let now = desk.clock.unix_seconds();
    let ours = desk.server.issuer().to_owned();
    let aud = "https://api.example.com";
    for (name, members, expected) in [
        ("H03 exp past", json!({"aud": aud, "exp": now - 1}), Err(Rejection::Expired)),
        ("R18 exp now", json!({"aud": aud, "exp": now}), Err(Rejection::Expired)),
        ("H03 exp with a fraction", json!({"aud": aud, "exp": now as f64 + 0.9}), Err(Rejection::Expired)),
        ("exp ahead", json!({"aud": aud, "exp": now + 1}), Ok(())),
        ("H03 no exp", json!({"aud": aud}), Ok(())),
        ("H03 nbf ahead", json!({"aud": aud, "nbf": now + 10}), Err(Rejection::NotYetValid)),
        ("iat ahead", json!({"aud": aud, "iat": now + 10}), Err(Rejection::IssuedInFuture)),
        ("H05 other iss", json!({"aud": aud, "iss": "https://evil.example"}), Err(Rejection::WrongIssuer)),
        ("H05 iss with a slash", json!({"aud": aud, "iss": format!("{ours}/")}), Err(Rejection::WrongIssuer)),
        ("our iss", json!({"aud": aud, "iss": ours}), Ok(())),
        ("null iss is absent", json!({"aud": aud, "iss": null}), Ok(())),
        ("H06 other aud", json!({"aud": "https://other.example"}), Err(Rejection::WrongAudience)),
        ("H06 no aud", json!({}), Err(Rejection::WrongAudience)),
        ("H06 null aud", json!({"aud": null}), Err(Rejection::WrongAudience)),
        ("aud among others", json!({"aud": ["x", aud]}), Ok(())),
        ("H07 refresh", json!({"aud": aud, "token_type": "refresh_token"}), Err(Rejection::NotAnAccessToken)),
        ("R04 Refresh", json!({"aud": aud, "token_type": "Refresh"}), Err(Rejection::NotAnAccessToken)),
        ("R04 Offline", json!({"aud": aud, "token_type": "Offline"}), Err(Rejection::NotAnAccessToken)),
        (
            "R04 token_use alone tells",
            json!({"aud": aud, "token_type": "Bearer", "token_use": "refresh_token"}),
            Err(Rejection::NotAnAccessToken),
        ),
        ("R05 ID", json!({"aud": [aud, "x"], "token_type": "ID"}), Err(Rejection::NotAnAccessToken)),
        ("H07 N_A", json!({"aud": aud, "token_type": "N_A"}), Err(Rejection::NotAnAccessToken)),
        ("H07 DPoP by Bearer", json!({"aud": aud, "token_type": "DPoP"}), Err(Rejection::SenderUnproven)),
        ("bound, no proof", json!({"aud": aud, "cnf": {"jkt": "x"}}), Err(Rejection::SenderUnproven)),
        ("R16 a jwt member", json!({"aud": aud, "jwt": "eyJhbGciOiJSUzI1NiJ9.e30.AA", "sub": "s"}), Ok(())),
        (
            "R17 ext is not flattened",
            json!({"aud": aud, "sub": "s", "ext": {"sub": "admin", "iss": "https://evil.example"}}),
            Ok(()),
        ),
    ] {
        let issued = desk.issue();
        let mut answer = members;
        answer["active"] = Value::Bool(true);
        desk.server.override_introspection_of(&issued.token, &answer);
        let before = desk.calls();
        let verdict = desk.verify(&issued.token).await;
        if let Ok(verified) = &verdict {
            assert_ne!(verified.subject(), Some("admin"), "{name}");
        }
        assert_eq!(verdict.map(drop), expected.map_err(rejected), "{name}");
        assert_eq!(desk.calls(), before + 1, "{name}");
    }
    // H04
    let issued = desk.issue();
    let inactive = json!({"active": false, "sub": "s", "aud": aud, "exp": null, "username": 7});
    desk.server.override_introspection_of(&issued.token, &inactive);
    assert_eq!(desk.verify(&issued.token).await.err(), Some(rejected(Rejection::Inactive)));
}

#[tokio::test]
async fn a_certificate_bound_token_needs_its_certificate_on_every_use() {
    let desk = Desk::start();
    let issued = desk.issue();
    // base64url of 32 zero bytes
    let cnf = json!({"active": true, "aud": "https://api.example.com", "cnf": {"x5t#S256": "A".repeat(43)}});
    desk.server.override_introspection_of(&issued.token, &cnf);
    let token = AccessToken::new(&issued.token, DEFAULT_MAX_TOKEN_LEN).unwrap();
    for (presentation, expected) in [
        (Presentation::BEARER, Some(Rejection::SenderUnproven)),
        (Presentation::BEARER.with_certificate([0; 32]), None),
        (Presentation::BEARER.with_certificate([1; 32]), Some(Rejection::SenderMismatch)),
        // RFC 9449 §7.1: that scheme is for tokens bound to a key.
        (Presentation::BEARER.with_certificate([0; 32]).by(Scheme::Dpop), Some(Rejection::SenderMismatch)),
        (Presentation::BEARER, Some(Rejection::SenderUnproven)),
    ] {
        let request = VerifyRequest::new(&token, desk.env.clock.now()).with_presentation(presentation);
        let verdict = desk.verifier.verify(&request).await.unwrap().finish(&request);
        assert_eq!(verdict.err(), expected.map(rejected));
    }
    assert_eq!(desk.calls(), 1, "I10: the answer is kept, the proof never is");
}

#[tokio::test]
async fn what_no_server_is_to_see_costs_no_call() {
    let desk = Desk::start();
    let jwt = desk.server.issue(TokenRequest::new().jwt());
    let padded = format!("{}=", jwt.token);
    let long = "a".repeat(DEFAULT_MAX_TOKEN_LEN + 1);
    for (token, expected) in [
        ("e30.e30.e30", "malformed_header"),
        ("eyJhbGciOiJub25lIn0.e30.", "algorithm_not_allowed"),
        ("eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d", "encrypted_token"),
        (padded.as_str(), "not_canonical"),
        ("a b", "malformed_token"),
        ("tok&token=other", "malformed_token"),
        ("caf\u{e9}", "malformed_token"),
        ("", "malformed_token"),
        (long.as_str(), "token_too_large"),
    ] {
        assert_eq!(desk.code(token).await, expected, "{token}");
        assert_eq!(desk.calls(), 0, "{token}");
    }
}

#[tokio::test]
async fn a_token_reaches_the_server_letter_by_letter() {
    let desk = Desk::start();
    for token in ["a+b/c==", "~.-_", "a%2Bb".trim_end_matches("%2Bb"), "x.y", "1.2.3.4"] {
        assert_eq!(desk.verify(token).await.err(), Some(rejected(Rejection::Inactive)), "{token}");
        assert_eq!(desk.server.last_introspection().unwrap().form("token").as_deref(), Some(token));
    }
}

#[tokio::test]
async fn a_refused_token_is_no_outage() {
    // R01
    let desk = Desk::start();
    let good = desk.issue();
    assert!(desk.verify(&good.token).await.is_ok());
    for (status, n) in [(400, 500), (413, 500)] {
        desk.server.faults().next(
            ASKED,
            n,
            Fault::Status(status, r#"{"error":"unsupported_token_type"}"#.into()),
        );
        for number in 0..n {
            let verdict = desk.verify(&format!("junk-{status}-{number}")).await.unwrap_err();
            assert_eq!(verdict, unavailable(U::RefusedByServer));
            assert!(!verdict.is_retryable() && verdict.retry_after().is_none());
        }
    }
    assert_eq!(desk.calls(), 1_001);
    // Remembered for a short while, for that token alone.
    assert_eq!(desk.held("junk-400-499").err(), Some(unavailable(U::RefusedByServer)));
    let health = desk.introspector.health(desk.env.clock.now());
    let upstream = health.upstream.unwrap();
    assert_eq!(upstream.breaker, BreakerHealth::Closed);
    assert_eq!((upstream.consecutive_failures, upstream.last_failure), (0, None));
    assert_eq!((health.ready, health.notes), (Ok(()), vec![]));
    let other = desk.issue();
    assert!(desk.verify(&other.token).await.is_ok());
    assert!(desk.held(&good.token).is_ok());
    desk.clock.advance(secs(11));
    assert_eq!(desk.verify("junk-400-499").await.err(), Some(rejected(Rejection::Inactive)), "asked again");
}

#[tokio::test]
async fn a_refusal_does_not_end_a_fresh_answer() {
    let desk = Desk::start();
    let issued = desk.issue();
    assert!(desk.verify(&issued.token).await.is_ok());
    desk.clock.advance(secs(50));
    desk.server.faults().next(ASKED, 1, Fault::Status(400, String::new()));
    assert!(desk.held(&issued.token).is_ok(), "and is asked about ahead of time");
    desk.landed().await;
    assert_eq!(desk.calls(), 2);
    assert!(desk.held(&issued.token).is_ok());
}

#[tokio::test]
async fn a_redirect_and_refused_credentials_are_noted_for_the_operator() {
    // R20, R21
    let desk = Desk::start();
    let issued = desk.issue();
    let notes = || desk.introspector.health(desk.env.clock.now()).notes;
    desk.server.faults().next(ASKED, 1, Fault::Redirect("/admin/oauth2/introspect".into()));
    assert_eq!(desk.code(&issued.token).await, "redirected");
    assert_eq!(notes(), [HealthNote::Redirected]);
    desk.server.faults().next(ASKED, 1, Fault::Status(401, String::new()));
    assert_eq!(desk.code(&issued.token).await, "credentials_refused");
    assert_eq!(notes(), [HealthNote::CredentialsRefused, HealthNote::Redirected]);
    assert_eq!(desk.code(&issued.token).await, "verified");
    assert_eq!(notes(), []);
}

#[tokio::test]
async fn nothing_shows_a_token_or_a_secret() {
    let desk = Desk::start();
    let issued = desk.issue();
    let verified = desk.verify(&issued.token).await.unwrap();
    desk.server.faults().next(ASKED, 1, Fault::Status(500, "canary-from-the-server".into()));
    let failed = desk.verify("canary-token").await.unwrap_err();
    let token = AccessToken::new(&issued.token, DEFAULT_MAX_TOKEN_LEN).unwrap();
    let request = VerifyRequest::new(&token, desk.env.clock.now());
    let shown = format!(
        "{verified:?} {failed:?} {failed} {:?} {:?} {:?} {:?}",
        desk.verifier,
        desk.introspector,
        desk.introspector.answers(),
        desk.verifier.verify(&request),
    );
    for secret in [issued.token.as_str(), "canary", "api-secret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
