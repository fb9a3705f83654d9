//! A server in trouble: what is tried again, when it is left alone, and who gets through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{ASKED, Desk, Held, secs, unavailable};
use verifier_core::error::{UnavailableReason as U, VerifyError};
use verifier_core::revocation::RevocationStatus;
use verifier_core::time::Clock;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::upstream::BreakerHealth;
use verifier_core::verifier::{TokenVerifier, VerifyRequest};
use verifier_testkit::{Fault, Gate, TokenRequest};

fn spawn(desk: &Arc<Desk>, token: &str) -> tokio::task::JoinHandle<Result<(), VerifyError>> {
    let (desk, token) = (Arc::clone(desk), token.to_owned());
    tokio::spawn(async move { desk.verify(&token).await.map(drop) })
}

#[tokio::test]
async fn a_gateway_that_stumbles_is_asked_once_more() {
    let desk = Arc::new(Desk::start());
    for status in [502, 503, 504] {
        let issued = desk.issue();
        let before = desk.calls();
        desk.server.faults().next(ASKED, 1, Fault::Status(status, String::new()));
        let caller = spawn(&desk, &issued.token);
        desk.clock.sleeping(1).await;
        desk.clock.advance(Duration::from_millis(50));
        assert_eq!(caller.await.unwrap(), Ok(()), "{status}");
        assert_eq!(desk.calls(), before + 2);
    }
    // Once, and no more.
    let issued = desk.issue();
    let before = desk.calls();
    desk.server.faults().next(ASKED, 2, Fault::Status(503, String::new()));
    let caller = spawn(&desk, &issued.token);
    desk.clock.sleeping(1).await;
    desk.clock.advance(Duration::from_millis(50));
    assert_eq!(caller.await.unwrap(), Err(unavailable(U::ServerError)));
    assert_eq!(desk.calls(), before + 2);
}

#[tokio::test]
async fn what_another_attempt_cannot_cure_is_not_tried_again() {
    let desk = Desk::with(|config| config.upstream.breaker_failures = 100);
    for (fault, expected) in [
        (Fault::Status(500, String::new()), U::ServerError),
        (Fault::Status(401, String::new()), U::CredentialsRefused),
        (Fault::Status(404, String::new()), U::Misconfigured),
        (Fault::Html200, U::UnreadableAnswer),
        (Fault::HalfBody, U::UnreadableAnswer),
    ] {
        let issued = desk.issue();
        let before = desk.calls();
        desk.server.faults().next(ASKED, 1, fault);
        assert_eq!(desk.verify(&issued.token).await.err(), Some(unavailable(expected)));
        assert_eq!(desk.calls(), before + 1);
    }
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_costs_nothing() {
    let desk = Desk::start();
    let (one, two) = (desk.issue(), desk.issue());
    desk.verify(&one.token).await.unwrap();
    desk.server.faults().next(ASKED, 1, Fault::Close);
    assert!(desk.verify(&two.token).await.is_ok(), "sent again at once, on a new connection");
    assert_eq!(desk.calls(), 3);
}

#[tokio::test]
async fn a_server_that_fails_is_left_alone_for_a_while() {
    let desk = Desk::start();
    desk.server.faults().on(ASKED, Fault::Status(500, String::new()));
    for n in 0..5 {
        assert_eq!(desk.code(&format!("token-{n}")).await, "server_error");
    }
    for n in 5..50 {
        let verdict = desk.verify(&format!("token-{n}")).await.unwrap_err();
        assert_eq!(verdict.code(), "breaker_open");
        assert!(verdict.retry_after().is_some());
    }
    assert_eq!(desk.calls(), 5);
    let health = desk.introspector.health(desk.clock.now());
    assert!(matches!(health.upstream.unwrap().breaker, BreakerHealth::Open { .. }));
    assert_eq!(health.ready, Ok(()), "an outage is not our unreadiness");
    desk.server.faults().clear(ASKED);
    desk.clock.advance(secs(1));
    let issued = desk.issue();
    assert!(desk.verify(&issued.token).await.is_ok());
    assert_eq!(desk.calls(), 6);
}

#[tokio::test]
async fn retry_after_is_kept_to() {
    let desk = Desk::start();
    let issued = desk.issue();
    desk.server.faults().next(ASKED, 1, Fault::RetryAfter(429, 7));
    let limited = desk.verify(&issued.token).await.unwrap_err();
    assert_eq!((limited.code(), limited.retry_after()), ("rate_limited", Some(secs(7))));
    desk.clock.advance(secs(5));
    let waiting = desk.verify(&issued.token).await.unwrap_err();
    assert_eq!((waiting.code(), waiting.retry_after()), ("rate_limited", Some(secs(2))));
    assert_eq!(desk.calls(), 1);
    desk.clock.advance(secs(2));
    assert!(desk.verify(&issued.token).await.is_ok());
}

#[tokio::test]
async fn held_answers_serve_through_an_outage_for_as_long_as_they_are_fresh() {
    let desk = Desk::start();
    let issued = desk.issue();
    desk.verify(&issued.token).await.unwrap();
    desk.server.refuse_connections();
    desk.clock.advance(secs(40));
    assert!(desk.held(&issued.token).is_ok());
    desk.clock.advance(secs(21));
    assert_eq!(desk.verify(&issued.token).await.err(), Some(unavailable(U::ConnectFailed)));
    desk.server.accept_connections().unwrap();
    assert!(desk.verify(&issued.token).await.is_ok(), "nothing of the failure is kept");
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_by_the_second_attempt() {
    let desk = Arc::new(Desk::start());
    let issued = desk.issue();
    desk.server.refuse_connections();
    let caller = spawn(&desk, &issued.token);
    desk.clock.sleeping(1).await;
    desk.server.accept_connections().unwrap();
    desk.clock.advance(Duration::from_millis(50));
    assert_eq!(caller.await.unwrap(), Ok(()));
    assert_eq!(desk.calls(), 1);
}

#[tokio::test]
async fn a_caller_s_deadline_ends_his_wait_and_nothing_else() {
    let desk = Arc::new(Desk::start());
    let issued = desk.issue();
    let gate = Held(Gate::new());
    desk.server.faults().next(ASKED, 1, Fault::Delay(gate.0.clone()));
    let caller = {
        let (desk, text) = (Arc::clone(&desk), issued.token.clone());
        tokio::spawn(async move {
            let token = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN).unwrap();
            let now = desk.clock.now();
            let request = VerifyRequest::new(&token, now).with_deadline(now.monotonic.plus(secs(1)));
            desk.verifier.verify(&request).await.map(drop)
        })
    };
    gate.0.arrived(1).await;
    desk.clock.sleeping(1).await;
    desk.clock.advance(secs(1));
    assert_eq!(caller.await.unwrap(), Err(unavailable(U::DeadlineExceeded)));
    gate.0.open();
    desk.landed().await;
    assert!(desk.held(&issued.token).is_ok(), "the answer came, and is kept");
    // Whose deadline is over asks nothing.
    let token = AccessToken::new("other", DEFAULT_MAX_TOKEN_LEN).unwrap();
    let now = desk.clock.now();
    let request = VerifyRequest::new(&token, now).with_deadline(now.monotonic);
    assert_eq!(desk.verifier.verify(&request).await.err(), Some(unavailable(U::DeadlineExceeded)));
    assert_eq!(desk.introspector.in_flight(), 0);
    assert_eq!(desk.calls(), 1);
}

#[tokio::test]
async fn an_exchange_ends_with_its_time() {
    let desk = Desk::with(|config| {
        config.limits.connect = Duration::from_millis(50);
        config.limits.total = Duration::from_millis(50);
    });
    let gate = Held(Gate::new());
    desk.server.faults().next(ASKED, 1, Fault::Delay(gate.0.clone()));
    assert_eq!(desk.verify("any").await.err(), Some(unavailable(U::TimedOut)));
}

#[tokio::test]
async fn junk_cannot_starve_the_good() {
    let desk = Arc::new(Desk::with(|config| {
        config.upstream = config.upstream.with_max_concurrent(4); // one of them reserved
        config.upstream.max_waiting = 4;
    }));
    let (local, active) = (desk.server.issue(TokenRequest::new().jwt()), desk.issue());
    desk.verify(&active.token).await.unwrap();
    desk.clock.advance(secs(61)); // what was known of it has lapsed
    let gate = Held(Gate::new());
    desk.server.faults().next(ASKED, 3, Fault::Delay(gate.0.clone()));
    let junk: Vec<_> = (0..20).map(|n| spawn(&desk, &format!("junk-{n}"))).collect();
    gate.0.arrived(3).await;
    // Locally verified.
    let status = desk.status(&local, secs(60)).await.unwrap();
    assert!(matches!(status, RevocationStatus::Active { .. }));
    // Last known active.
    assert!(desk.verify(&active.token).await.is_ok());
    assert_eq!(gate.0.arrivals(), 3);
    desk.clock.advance(secs(1)); // those who waited have waited enough
    gate.0.open();
    let mut shed = 0;
    for caller in junk {
        let verdict = caller.await.unwrap().unwrap_err();
        match verdict.code() {
            "shed" => {
                assert!(verdict.retry_after().is_some());
                shed += 1;
            }
            code => assert_eq!(code, "inactive"),
        }
    }
    assert!(shed >= 14, "{shed}");
    assert_eq!(desk.introspector.health(desk.clock.now()).upstream.unwrap().last_failure, None);
}
