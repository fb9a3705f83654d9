//! Introspection endpoints differ where the RFC leaves room and where it doesn't: what each peculiarity leads to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{ASKED, Desk, rejected, unavailable};
use verifier_core::error::{Rejection, UnavailableReason as U};
use verifier_core::health::HealthNote;
use verifier_core::time::Clock as _;
use verifier_core::upstream::BreakerHealth;
use verifier_testkit::server::DEFAULT_AUDIENCE;
use verifier_testkit::{Answer, TokenRequest};

fn notes(desk: &Desk) -> Vec<HealthNote> {
    desk.introspector.health(desk.clock.now()).notes
}

#[tokio::test]
async fn json_by_any_of_its_names() {
    let desk = Desk::start();
    for kind in [
        "application/json;charset=UTF-8",
        "application/json; charset=\"utf-8\"; profile=x",
        "Application/JSON",
        "application/vnd.example.introspection+json; v=1",
    ] {
        let issued = desk.issue();
        let answer = json!({"active": true, "aud": DEFAULT_AUDIENCE}).to_string();
        let answer = Answer::new(200, answer).header("content-type", kind);
        desk.server.override_answer_about(&issued.token, answer);
        assert_eq!(desk.code(&issued.token).await, "verified", "{kind}");
    }
}

#[tokio::test]
async fn an_active_answer_may_leave_out_all_but_the_audience() {
    let desk = Desk::start();
    let members = ["iss", "sub", "jti", "client_id", "scope", "token_type", "exp", "iat", "username"];
    for left_out in members.map(|one| vec![one]).into_iter().chain([members.to_vec(), vec![]]) {
        let request =
            left_out.iter().fold(TokenRequest::new().subject("alice").scope("read"), |request, member| {
                request.not_answered(*member)
            });
        let issued = desk.server.issue(request);
        let verified = desk.verify(&issued.token).await;
        let verified = verified.unwrap_or_else(|why| panic!("without {left_out:?}: {why}"));
        assert_eq!(verified.subject().is_some(), !left_out.contains(&"sub"), "{left_out:?}");
        assert_eq!(verified.has_scope("read"), !left_out.contains(&"scope"), "{left_out:?}");
        assert_eq!(verified.issuer(), desk.server.issuer(), "{left_out:?}: it is whom we asked");
    }
    // Without an audience the answer may be about anybody's token: a refresh token, a code.
    let nobodys = desk.server.issue(TokenRequest::new().not_answered("aud").not_answered("token_type"));
    assert_eq!(desk.verify(&nobodys.token).await.err(), Some(rejected(Rejection::WrongAudience)));
}

#[tokio::test]
async fn lists_and_texts_mean_the_same() {
    let desk = Desk::start();
    for (member, value) in [
        ("aud", json!(DEFAULT_AUDIENCE)),
        ("aud", json!([DEFAULT_AUDIENCE])),
        ("aud", json!(["https://other.example", DEFAULT_AUDIENCE])),
        ("scope", json!("write read")),
        ("scope", json!(["write", "read"])),
        ("scope", json!(["read"])),
    ] {
        let issued = desk.server.issue(TokenRequest::new().scope("read").answered(member, value.clone()));
        let verified = desk.verify(&issued.token).await.unwrap_or_else(|why| panic!("{value}: {why}"));
        assert!(verified.has_scope("read"), "{value}");
        assert!(!verified.has_scope("write read"), "{value}");
    }
    for (member, value) in
        [("aud", json!({"0": DEFAULT_AUDIENCE})), ("aud", json!([7])), ("scope", json!({"read": true}))]
    {
        let issued = desk.server.issue(TokenRequest::new().answered(member, value.clone()));
        assert_eq!(desk.verify(&issued.token).await.err(), Some(unavailable(U::UnreadableAnswer)), "{value}");
    }
}

/// R21: servers say in many ways that our credentials are wrong, and none says "inactive".
#[tokio::test]
async fn wrong_credentials_in_every_dress() {
    const HTML: &str = "<!doctype html><title>Error</title>";
    let html = |status: u16| Answer::new(status, HTML).header("content-type", "text/html;charset=utf-8");
    let error = |status: u16, error: &str| Answer::json(&json!({ "error": error })).status(status);
    for (name, answer, expected, noted) in [
        ("401 alone", Answer::new(401, ""), U::CredentialsRefused, Some(HealthNote::CredentialsRefused)),
        ("401 html", html(401), U::CredentialsRefused, Some(HealthNote::CredentialsRefused)),
        ("401", error(401, "invalid_client"), U::CredentialsRefused, Some(HealthNote::CredentialsRefused)),
        ("403 alone", Answer::new(403, ""), U::CredentialsRefused, Some(HealthNote::CredentialsRefused)),
        ("403 html", html(403), U::CredentialsRefused, Some(HealthNote::CredentialsRefused)),
        ("403", error(403, "access_denied"), U::CredentialsRefused, Some(HealthNote::CredentialsRefused)),
        ("400", error(400, "invalid_client"), U::CredentialsRefused, Some(HealthNote::CredentialsRefused)),
        (
            "400",
            error(400, "unauthorized_client"),
            U::CredentialsRefused,
            Some(HealthNote::CredentialsRefused),
        ),
        // These might as well be about the token.
        ("400 alone", Answer::new(400, ""), U::RefusedByServer, None),
        ("400 html", html(400), U::RefusedByServer, None),
        ("400", error(400, "invalid_request"), U::RefusedByServer, None),
        ("302", html(302).header("location", "/login"), U::Redirected, Some(HealthNote::Redirected)),
        (
            "303",
            Answer::new(303, "").header("location", "https://sso.example/"),
            U::Redirected,
            Some(HealthNote::Redirected),
        ),
        ("200 login page", html(200), U::UnreadableAnswer, None),
        (
            "403 that lies",
            Answer::json(&json!({"active": false})).status(403),
            U::CredentialsRefused,
            Some(HealthNote::CredentialsRefused),
        ),
    ] {
        let desk = Desk::with(|config| config.upstream.retries = 0);
        let issued = desk.issue();
        desk.server.override_answer(ASKED, answer);
        assert_eq!(desk.verify(&issued.token).await.err(), Some(unavailable(expected)), "{name}");
        assert_eq!(notes(&desk), noted.into_iter().collect::<Vec<_>>(), "{name}");
        assert_eq!(desk.introspector.health(desk.clock.now()).ready, Ok(()), "{name}");
        desk.server.clear_override(ASKED);
        assert_eq!(desk.server.counts().other, 0, "{name}: nothing was followed");
        if expected != U::RefusedByServer {
            assert_eq!(desk.code(&issued.token).await, "verified", "{name}: nothing is kept");
            assert_eq!(notes(&desk), [], "{name}");
        }
    }
}

/// R21: some servers say 400 `invalid_request` to credentials that they can't decode, as they do to a token.
#[tokio::test]
async fn a_server_that_never_answered_anything_is_noted() {
    let desk = Desk::start();
    let refusal = Answer::json(&json!({"error": "invalid_request"})).status(400);
    desk.server.override_answer(ASKED, refusal.clone());
    for n in 0..19 {
        assert_eq!(desk.verify(&format!("token-{n}")).await.err(), Some(unavailable(U::RefusedByServer)));
    }
    for _ in 0..5 {
        desk.clock.advance(support::secs(11)); // asked again, and it is the same token
        assert_eq!(desk.code("token-0").await, "refused_by_server");
    }
    assert_eq!(notes(&desk), []);
    assert_eq!(desk.code("token-19").await, "refused_by_server");
    assert_eq!(notes(&desk), [HealthNote::AllRefused]);
    // A note, and no more.
    let health = desk.introspector.health(desk.clock.now());
    let upstream = health.upstream.unwrap();
    assert_eq!(
        (health.ready, upstream.breaker, upstream.consecutive_failures),
        (Ok(()), BreakerHealth::Closed, 0)
    );

    desk.server.clear_override(ASKED);
    assert_eq!(desk.code(&desk.issue().token).await, "verified");
    assert_eq!(notes(&desk), []);
    desk.server.override_answer(ASKED, refusal);
    for n in 100..150 {
        assert_eq!(desk.code(&format!("token-{n}")).await, "refused_by_server");
    }
    assert_eq!(notes(&desk), [], "it has answered, so these are about the tokens");
}

#[tokio::test]
async fn kinds_of_tokens_that_a_server_calls_active_too() {
    let desk = Desk::start();
    let aud = |more: Value| {
        let mut answer = json!({"active": true, "aud": DEFAULT_AUDIENCE, "client_id": "app"});
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer
    };
    for (name, answer, expected) in [
        ("a code", json!({"active": true, "client_id": "app", "scope": "openid"}), Rejection::WrongAudience),
        ("a refresh token", json!({"active": true, "client_id": "app"}), Rejection::WrongAudience),
        ("token_use", aud(json!({"token_use": "refresh_token"})), Rejection::NotAnAccessToken),
        ("token_type", aud(json!({"token_type": "id_token"})), Rejection::NotAnAccessToken),
    ] {
        let issued = desk.issue();
        desk.server.override_introspection_of(&issued.token, &answer);
        assert_eq!(desk.verify(&issued.token).await.err(), Some(rejected(expected)), "{name}");
    }
}
