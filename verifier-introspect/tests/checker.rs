//! The introspector as a hybrid verifier sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;

use serde_json::json;
use support::{ASKED, Desk, Held, secs};
use verifier_core::error::{Rejection, UnavailableReason as U};
use verifier_core::evidence::StatusSource;
use verifier_core::health::HealthNote;
use verifier_core::revocation::{RevocationChecker, RevocationQuery, RevocationStatus};
use verifier_core::time::Clock;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::verifier::VerifyRequest;
use verifier_introspect::AnswerFreshness;
use verifier_testkit::{Answer, Fault, Gate, IssuedToken, TokenRequest};

fn jwt(desk: &Desk) -> IssuedToken {
    desk.server.issue(TokenRequest::new().subject("alice").jwt())
}

#[tokio::test]
async fn a_status_says_what_was_answered_and_when_it_was_asked() {
    let desk = Desk::start();
    assert_eq!(desk.introspector.source(), StatusSource::Introspection);
    let issued = jwt(&desk);
    let asked = desk.clock.now();
    let status = desk.status(&issued, secs(30)).await.unwrap();
    let RevocationStatus::Active { as_of, answer: Some(facts) } = status else { panic!("{status:?}") };
    assert_eq!((as_of, facts.subject()), (asked, Some("alice")));
    desk.clock.advance(secs(20));
    assert_eq!(desk.status(&issued, secs(30)).await.unwrap().as_of(), Some(asked));
    assert_eq!(desk.status(&issued, secs(19)).await.unwrap().as_of(), Some(desk.clock.now()));
    assert_eq!(desk.calls(), 2, "the query's freshness holds");
    desk.server.revoke(&issued.token);
    desk.clock.advance(secs(1));
    let status = desk.status(&issued, secs(0)).await.unwrap();
    assert!(matches!(status, RevocationStatus::Inactive { as_of } if as_of == desk.clock.now()));
    let refresh = jwt(&desk);
    let answer = json!({"active": true, "token_use": "refresh_token"});
    desk.server.override_introspection_of(&refresh.token, &answer);
    let status = desk.status(&refresh, secs(30)).await.unwrap();
    assert!(matches!(status, RevocationStatus::Unacceptable { why: Rejection::NotAnAccessToken, .. }));
}

#[tokio::test]
async fn who_could_not_be_asked_leaves_what_was_known_last() {
    let desk = Desk::with(|config| config.stale_allowance = secs(600));
    let (active, inactive, unknown) = (jwt(&desk), jwt(&desk), jwt(&desk));
    let asked = desk.clock.now();
    desk.status(&active, secs(60)).await.unwrap();
    desk.server.revoke(&inactive.token);
    desk.status(&inactive, secs(60)).await.unwrap();
    desk.server.faults().on(ASKED, Fault::Status(500, String::new()));
    desk.clock.advance(secs(600));
    let failed = desk.status(&active, secs(60)).await.unwrap_err();
    assert_eq!(failed.why.reason(), U::ServerError);
    assert!(matches!(failed.last, Some(RevocationStatus::Active { as_of, .. }) if as_of == asked));
    let failed = desk.status(&inactive, secs(60)).await.unwrap_err();
    assert!(matches!(failed.last, Some(RevocationStatus::Inactive { as_of }) if as_of == asked));
    assert!(desk.status(&unknown, secs(60)).await.unwrap_err().last.is_none());
    // No longer than it is kept, and not beyond an event.
    desk.clock.advance(secs(1));
    assert!(desk.status(&active, secs(60)).await.unwrap_err().last.is_none());
    let desk = Desk::with(|config| config.stale_allowance = secs(600));
    let issued = jwt(&desk);
    desk.status(&issued, secs(60)).await.unwrap();
    desk.server.faults().on(ASKED, Fault::Status(500, String::new()));
    desk.event("another");
    desk.clock.advance(secs(100));
    assert!(desk.status(&issued, secs(60)).await.unwrap_err().last.is_some());
    desk.event(&issued.jti);
    assert!(desk.status(&issued, secs(60)).await.unwrap_err().last.is_none());
}

#[tokio::test]
async fn an_event_during_a_failing_question_ends_what_was_known() {
    let desk = Arc::new(Desk::with(|config| config.stale_allowance = secs(600)));
    let issued = jwt(&desk);
    desk.status(&issued, secs(60)).await.unwrap();
    desk.clock.advance(secs(100));
    let gate = Held(Gate::new());
    let failing = Fault::Delay(gate.0.clone()).then(Fault::Status(500, String::new()));
    desk.server.faults().next(ASKED, 1, failing);
    let caller = {
        let (desk, issued) = (Arc::clone(&desk), issued.clone());
        tokio::spawn(async move { desk.status(&issued, secs(60)).await })
    };
    gate.0.arrived(1).await;
    desk.event(&issued.jti);
    gate.0.open();
    let failed = caller.await.unwrap().unwrap_err();
    assert_eq!(failed.why.reason(), U::ServerError);
    assert!(failed.last.is_none());
}

/// Who waits behind a question that brings "inactive", and whose own question then fails, must not be told that the
/// token was last known active.
#[tokio::test]
async fn an_answer_that_came_during_a_failing_question_is_what_is_known_last() {
    let desk = Arc::new(Desk::with(|config| {
        config.freshness = AnswerFreshness::AtMost(secs(1));
        config.negative_ttl = secs(1);
        config.stale_allowance = secs(600);
    }));
    let issued = jwt(&desk);
    desk.status(&issued, secs(1)).await.unwrap();
    let ask = || {
        let (desk, issued) = (Arc::clone(&desk), issued.clone());
        tokio::spawn(async move { desk.status(&issued, secs(1)).await })
    };
    let gate = Held(Gate::new());
    desk.server.faults().next(ASKED, 1, Fault::Delay(gate.0.clone()));
    desk.server.revoke(&issued.token);
    desk.clock.advance(secs(2));
    let first = ask();
    gate.0.arrived(1).await;
    desk.clock.advance(secs(2));
    let second = ask();
    while desk.introspector.in_flight() < 2 {
        tokio::task::yield_now().await;
    }
    desk.server.faults().next(ASKED, 1, Fault::Status(500, String::new()));
    gate.0.open();
    assert!(matches!(first.await.unwrap(), Ok(RevocationStatus::Inactive { .. })));
    let failed = second.await.unwrap().unwrap_err();
    assert_eq!(failed.why.reason(), U::ServerError);
    assert!(matches!(failed.last, Some(RevocationStatus::Inactive { .. })), "{:?}", failed.last);
}

#[tokio::test]
async fn what_the_token_says_of_itself_fills_what_the_answer_leaves_out() {
    let desk = Desk::start();
    // Hydra's answers have no jti, and none of these has a session.
    let issued = desk.server.issue(TokenRequest::new().subject("alice").jwt().not_answered("jti"));
    desk.status(&issued, secs(60)).await.unwrap();
    desk.event("another");
    desk.status(&issued, secs(60)).await.unwrap();
    assert_eq!(desk.calls(), 1, "the signed token says that it is not the one");
    desk.server.revoke(&issued.token);
    desk.event(&issued.jti);
    let status = desk.status(&issued, secs(60)).await.unwrap();
    assert!(matches!(status, RevocationStatus::Inactive { .. }));
    // An answer without exp is kept by the token's own.
    let endless = desk.server.issue(TokenRequest::new().jwt().lifetime(secs(30)).not_answered("exp"));
    desk.status(&endless, secs(60)).await.unwrap();
    let calls = desk.calls();
    desk.clock.advance(secs(30));
    desk.status(&endless, secs(60)).await.unwrap();
    assert_eq!(desk.calls(), calls + 1);
}

#[tokio::test]
async fn a_server_that_calls_all_valid_tokens_inactive_is_noticed() {
    // R09
    let desk = Desk::start();
    let notes = || desk.introspector.health(desk.clock.now()).notes;
    desk.server.lose_store(true);
    for n in 0..20 {
        assert_eq!(notes(), [], "{n}");
        desk.status(&jwt(&desk), secs(60)).await.unwrap();
    }
    assert_eq!(notes(), [HealthNote::AllInactive]);
    desk.server.lose_store(false);
    desk.status(&jwt(&desk), secs(60)).await.unwrap();
    assert_eq!(notes(), []);
    // Tokens of which nobody knows better say nothing.
    for n in 0..100 {
        desk.verify(&format!("junk-{n}")).await.unwrap_err();
    }
    assert_eq!(notes(), []);
}

/// Who looked before another was told, and asks after him, learns what the other was told, and no more.
#[tokio::test]
async fn what_is_said_of_a_token_now_is_not_undone_by_who_comes_late() {
    let desk = Desk::with(|config| config.stale_allowance = secs(600));
    let issued = jwt(&desk);
    desk.status(&issued, secs(60)).await.unwrap();
    desk.clock.advance(secs(100));
    let answer = Answer::new(200, r#"{"active":true,"exp":"1"}"#).header("content-type", "application/json");
    desk.server.override_answer_about(&issued.token, answer);
    let token = AccessToken::new(&issued.token, DEFAULT_MAX_TOKEN_LEN).unwrap();
    let request = VerifyRequest::new(&token, desk.clock.now());
    let who = support::identity(desk.server.issuer(), &issued);
    let query = RevocationQuery::new(&request, &who, secs(60), Some(issued.expires_at));
    let late = desk.introspector.status(&query);
    let first = desk.status(&issued, secs(60)).await.unwrap_err();
    assert_eq!((first.why.reason(), first.last.is_none()), (U::UnreadableAnswer, true));
    let late = late.await.unwrap_err();
    assert_eq!((late.why.reason(), late.last.is_none()), (U::UnreadableAnswer, true));
    assert_eq!(desk.calls(), 2);
}
