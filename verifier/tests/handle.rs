//! The handle: header values, challenges, deadline, demands, revocations by event, readiness and health.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::time::Duration;

use futures::future::join;
use stage::{STRATEGIES, Stage, code, rejected, section_and, unavailable};
use verifier::core::evidence::RevocationBasis;
use verifier::{
    Freshness, HealthNote, Rejection, RevocationEvent, Strategy, UnavailableReason, Verifier, VerifierConfig,
    VerifyError,
};
use verifier_testkit::{Endpoint, Fault, Gate, IssuedToken, TokenRequest};

async fn by_header(verifier: &Verifier, values: &[&[u8]]) -> &'static str {
    match verifier.authorization(values.iter().copied()) {
        Ok(request) => code(&request.verify().await),
        Err(error) => error.code(),
    }
}

#[tokio::test]
async fn the_authorization_header_is_read_strictly() {
    let stage = Stage::new();
    let server = stage.server();
    let verifier = stage.verifier(&server, "jwks");
    let token = server.issue(TokenRequest::new()).token;
    let bearer = format!("Bearer {token}");
    for good in [bearer.clone(), format!("bearer {token}"), format!("BEARER   {token}")] {
        assert_eq!(by_header(&verifier, &[good.as_bytes()]).await, "verified", "{good}");
    }
    for (values, expected) in [
        (vec![], "no_credentials"),
        (vec!["Basic YTpi".to_owned()], "no_credentials"),
        (vec![bearer.clone(), bearer.clone()], "malformed_request"),
        (vec![format!("{bearer}, {bearer}")], "malformed_request"),
        (vec!["Bearer".to_owned()], "malformed_request"),
        (vec![format!("Bearer {token} x")], "malformed_request"),
        (vec![format!("Bearer\t{token}")], "malformed_request"),
        (vec![String::new()], "malformed_request"),
        // The DPoP scheme is for tokens that are bound to a key (RFC 9449 §7.1).
        (vec![format!("DPoP {token}")], "sender_mismatch"),
    ] {
        let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        assert_eq!(by_header(&verifier, &values).await, expected);
    }
}

#[tokio::test]
async fn challenges_tell_one_text_for_all_and_the_age_by_choice() {
    let stage = Stage::new();
    let server = stage.server();
    let plain = stage.verifier(&server, "jwks");
    let open =
        stage.build(&format!("reveal_expiry = true\nrealm = \"orders\"\n{}", stage.section(&server, "jwks")));
    let expired = server.issue(TokenRequest::new().issued_ago(Duration::from_secs(900))).token;
    let foreign = server
        .issue(TokenRequest::new().audience("https://other.example").issued_ago(Duration::from_secs(900)))
        .token;

    let error = plain.verify(&expired).await.unwrap_err();
    assert_eq!(error.code(), "expired");
    assert_eq!(
        plain.challenge(error).unwrap().to_string(),
        r#"Bearer error="invalid_token", error_description="The access token is invalid""#
    );
    assert_eq!(
        open.challenge(error).unwrap().to_string(),
        r#"Bearer realm="orders", error="invalid_token", error_description="The access token expired""#
    );
    // Expired and somebody else's: not told that it was once good.
    let error = open.verify(&foreign).await.unwrap_err();
    assert_eq!(error.code(), "wrong_audience");
    assert!(!open.challenge(error).unwrap().to_string().contains("expired"));
    assert_eq!(
        open.challenge(VerifyError::from(Rejection::NoCredentials)).unwrap().to_string(),
        r#"Bearer realm="orders""#
    );
    assert_eq!(open.challenge(VerifyError::from(UnavailableReason::ServerError)), None);
}

#[tokio::test]
async fn the_deadline_ends_a_wait_with_unavailable() {
    for strategy in STRATEGIES {
        for own in [false, true] {
            let stage = Stage::new();
            let server = stage.server();
            let verifier = stage.build(&format!("deadline = \"3s\"\n{}", stage.section(&server, strategy)));
            let token = server.issue(TokenRequest::new()).token;
            let gate = Gate::new();
            let held = if strategy == "jwks" { Endpoint::Jwks } else { Endpoint::Introspection };
            server.faults().on(held, Fault::Delay(gate.clone()));

            let within = Duration::from_secs(if own { 1 } else { 3 });
            let request = verifier.request(&token);
            let call = if own { request.within(within) } else { request };
            let (outcome, ()) = join(call.verify(), async {
                gate.arrived(1).await;
                stage.clock.advance(within);
            })
            .await;
            assert_eq!(unavailable(outcome), UnavailableReason::DeadlineExceeded, "{strategy}, own: {own}");
            gate.open();
            server.faults().clear_all();
            let outcome = verifier.verify(&token).await;
            assert_eq!(code(&outcome), "verified", "{strategy}: the late answer spoils nothing");
        }
    }
}

fn events(verifier: &Verifier, issued: &IssuedToken, issuer: &str) -> [RevocationEvent; 5] {
    let (issuer, now) = (issuer.to_owned(), issued.issued_at);
    [
        RevocationEvent::Token {
            issuer: issuer.clone(),
            jwt_id: issued.jti.clone(),
            expires_at: Some(issued.expires_at),
        },
        RevocationEvent::Subject {
            issuer: issuer.clone(),
            subject: issued.subject.clone(),
            issued_at_or_before: now,
        },
        RevocationEvent::Client {
            issuer: issuer.clone(),
            client: issued.client.clone(),
            issued_at_or_before: now,
        },
        RevocationEvent::Session { issuer, session: "session-1".to_owned() },
        RevocationEvent::Text {
            token: verifier.digest(&issued.token).unwrap(),
            expires_at: Some(issued.expires_at),
        },
    ]
}

fn a_user() -> TokenRequest {
    TokenRequest::new().subject("alice").session("session-1")
}

#[tokio::test]
async fn an_event_ends_a_warm_token_at_once_and_costs_no_call() {
    for strategy in STRATEGIES {
        for n in 0..5 {
            let stage = Stage::new();
            let server = stage.server();
            let verifier = stage.verifier(&server, strategy);
            let issued = server.issue(a_user());
            let other = server.issue(TokenRequest::new().subject("bob").client("other").session("session-2"));
            for token in [&issued, &other] {
                assert_eq!(code(&verifier.verify(&token.token).await), "verified");
            }
            let event = &events(&verifier, &issued, server.issuer())[n];
            server.reset_counts();
            verifier.clone().revoke(event).unwrap();
            assert_eq!(
                rejected(verifier.verify(&issued.token).await),
                Rejection::Revoked,
                "{strategy}, {event:?}"
            );
            assert_eq!(
                rejected(verifier.verify(&issued.token).await),
                Rejection::Revoked,
                "{strategy}, {event:?}"
            );
            assert_eq!(code(&verifier.verify(&other.token).await), "verified", "{strategy}, {event:?}");
            let counts = server.counts();
            // Introspection can tell whose token it is only from what it holds; a touched answer may be asked for again.
            let most = if strategy == "introspection" { 2 } else { 0 };
            assert!(counts.total() <= most, "{strategy}, {event:?}: {counts:?}");
        }
    }
}

#[tokio::test]
async fn an_event_has_the_last_word_over_an_answer_that_is_on_its_way() {
    for strategy in STRATEGIES {
        for n in 0..5 {
            let stage = Stage::new();
            let server = stage.server();
            let verifier = stage.verifier(&server, strategy);
            let issued = server.issue(a_user());
            let gate = Gate::new();
            let held = if strategy == "jwks" { Endpoint::Jwks } else { Endpoint::Introspection };
            server.faults().on(held, Fault::DelayAnswer(gate.clone()));
            let event = &events(&verifier, &issued, server.issuer())[n];
            let (outcome, ()) = join(verifier.verify(&issued.token), async {
                gate.arrived(1).await;
                verifier.revoke(event).unwrap();
                gate.open();
            })
            .await;
            assert_eq!(rejected(outcome), Rejection::Revoked, "{strategy}, {event:?}");
        }
    }
}

#[tokio::test]
async fn a_backend_of_ones_own_is_bound_by_events_too() {
    let stage = Stage::new();
    let server = stage.server();
    let inner = stage.verifier(&server, "jwks");
    let verifier =
        Verifier::builder_in(stage.runtime.env()).issuer(server.issuer(), inner.backend()).build().unwrap();
    let issued = server.issue(a_user());
    assert_eq!(code(&verifier.verify(&issued.token).await), "verified");
    verifier.revoke(&events(&verifier, &issued, server.issuer())[0]).unwrap();
    assert_eq!(rejected(verifier.verify(&issued.token).await), Rejection::Revoked);
    assert_eq!(code(&inner.verify(&issued.token).await), "verified", "the other handle was told nothing");
}

#[tokio::test]
async fn revocations_are_bounded_and_full_is_an_error() {
    let stage = Stage::new();
    let server = stage.server();
    let verifier =
        stage.build(&format!("revocations = {{ max_entries = 1 }}\n{}", stage.section(&server, "jwks")));
    let event = |jti: &str| RevocationEvent::Token {
        issuer: server.issuer().to_owned(),
        jwt_id: jti.to_owned(),
        expires_at: None,
    };
    verifier.revoke(&event("a")).unwrap();
    verifier.revoke(&event("b")).unwrap_err();
    assert_eq!(verifier.revocations().len(), 1);
}

#[tokio::test]
async fn a_demand_on_freshness_is_kept_or_said_to_be_impossible() {
    let stage = Stage::new();
    let server = stage.server();
    let token = server.issue(TokenRequest::new()).token;

    let jwks = stage.verifier(&server, "jwks");
    for demand in [Freshness::LIVE, Freshness::at_most(Duration::from_secs(3_600))] {
        let outcome = jwks.request(&token).freshness(demand).verify().await;
        assert_eq!(unavailable(outcome), UnavailableReason::NoRevocationSource);
    }
    let accepted = jwks.verify(&token).await.unwrap();
    assert_eq!(accepted.evidence().revocation, RevocationBasis::NotChecked);

    for strategy in ["introspection", "hybrid"] {
        let verifier = stage.verifier(&server, strategy);
        verifier.verify(&token).await.unwrap();
        server.reset_counts();
        for _ in 0..3 {
            verifier.verify(&token).await.unwrap();
        }
        assert_eq!(
            server.counts().introspection,
            0,
            "{strategy}: configured freshness rests on what is kept"
        );
        for n in 1..=3 {
            stage.clock.advance(Duration::from_millis(10));
            let live = verifier.request(&token).freshness(Freshness::LIVE).verify().await.unwrap();
            assert_eq!(live.revocation_age(), Some(Duration::ZERO), "{strategy}");
            assert_eq!(server.counts().introspection, n, "{strategy}: live asks each time");
        }
        stage.clock.advance(Duration::from_secs(5));
        let within =
            verifier.request(&token).freshness(Freshness::at_most(Duration::from_secs(5))).verify().await;
        assert_eq!(within.unwrap().revocation_age(), Some(Duration::from_secs(5)));
        assert_eq!(server.counts().introspection, 3);
        let tighter =
            verifier.request(&token).freshness(Freshness::at_most(Duration::from_secs(4))).verify().await;
        assert_eq!(tighter.unwrap().revocation_age(), Some(Duration::ZERO));
        assert_eq!(server.counts().introspection, 4);
    }
}

#[tokio::test]
async fn building_asks_nobody_and_ready_asks_for_what_is_needed() {
    let stage = Stage::new();
    for strategy in STRATEGIES {
        let server = stage.server();
        let verifier = stage.verifier(&server, strategy);
        assert_eq!(server.counts().total(), 0, "{strategy}");
        verifier.ready(Duration::from_secs(5)).await.unwrap();
        let health = verifier.health();
        assert_eq!((health.ready, health.issuer.as_deref()), (Ok(()), Some(server.issuer())), "{strategy}");
        assert_eq!(health.strategy.name(), strategy);
        assert_eq!(server.counts().introspection, 0, "{strategy}: readiness takes no token to the server");
    }
}

#[tokio::test]
async fn ready_ends_in_time() {
    let stage = Stage::new();
    let server = stage.server();
    let gate = Gate::new();
    server.faults().on(Endpoint::Jwks, Fault::Delay(gate.clone()));
    let verifier = stage.verifier(&server, "jwks");
    let (ready, ()) = join(verifier.ready(Duration::from_secs(2)), async {
        gate.arrived(1).await;
        stage.clock.advance(Duration::from_secs(2));
    })
    .await;
    assert!(ready.is_err());
    gate.open();
}

#[tokio::test]
async fn ready_stays_through_an_outage_within_the_stale_window() {
    let stage = Stage::new();
    let server = stage.server();
    let verifier = stage.build_with(&stage.section(&server, "jwks"), &stage.real_timers());
    let token = server.issue(TokenRequest::new().lifetime(Duration::from_secs(86_400))).token;
    verifier.ready(Duration::from_secs(5)).await.unwrap();
    server.refuse_connections();
    stage.clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(code(&verifier.verify(&token).await), "verified");
    assert_eq!(verifier.ready(Duration::from_secs(5)).await, Ok(()));
    stage.clock.advance(Duration::from_secs(2 * 3_600));
    let outcome = verifier.verify(&token).await;
    assert!(matches!(outcome, Err(VerifyError::Unavailable(_))), "{outcome:?}");
    assert!(verifier.ready(Duration::from_millis(1)).await.is_err());
    assert!(verifier.health().ready.is_err());
}

#[tokio::test]
async fn health_says_what_an_operator_should_look_at() {
    let stage = Stage::new();
    let server = stage.server();
    std::fs::write(stage.secret(), "not-the-secret").unwrap();
    let verifier = stage.verifier(&server, "hybrid");
    let token = server.issue(TokenRequest::new()).token;
    let outcome = verifier.verify(&token).await;
    assert_eq!(unavailable(outcome), UnavailableReason::CredentialsRefused);
    let health = verifier.health();
    let notes: Vec<HealthNote> =
        std::iter::once(&health).chain(&health.parts).flat_map(|part| part.notes.clone()).collect();
    assert!(notes.contains(&HealthNote::CredentialsRefused), "{health:?}");
    let keys = std::iter::once(&health).chain(&health.parts).find_map(|part| part.keys.clone()).unwrap();
    assert_eq!(keys.kids, [server.signing_kid().into_boxed_str()]);
    assert_eq!(health.strategy, Strategy::Hybrid);
}

#[tokio::test]
async fn the_limit_on_size_is_the_configured_one() {
    let stage = Stage::new();
    let server = stage.server();
    let token = server.issue(TokenRequest::new()).token;
    let with =
        |size: usize| stage.build(&format!("max_token_size = {size}\n{}", stage.section(&server, "jwks")));
    assert_eq!(code(&with(token.len()).verify(&token).await), "verified");
    let small = with(token.len() - 1);
    server.reset_counts();
    assert_eq!(rejected(small.verify(&token).await), Rejection::TokenTooLarge);
    assert_eq!(small.digest(&token), Err(Rejection::TokenTooLarge));
    assert_eq!(server.counts().total(), 0);
}

#[test]
fn a_builder_refuses_what_a_configuration_refuses() {
    let refused = |builder: verifier::VerifierBuilder| builder.build().unwrap_err().key_path().to_owned();
    let config =
        VerifierConfig::from_toml(&section_and("https://as.example", "jwks", std::path::Path::new(""), ""));
    let backend = config.unwrap().build().unwrap().backend();
    let one = || Verifier::builder().issuer("https://as.example", backend.clone());
    one().build().unwrap();
    assert_eq!(refused(Verifier::builder()), "issuer");
    assert_eq!(refused(one().issuer("https://as.example", backend.clone())), "issuer");
    assert_eq!(refused(Verifier::builder().issuer("", backend.clone())), "issuer");
    assert_eq!(refused(Verifier::builder().issuers([], backend.clone())), "issuer");
    let early = Verifier::builder().opaque_tokens().issuer("https://as.example", backend.clone());
    assert_eq!(refused(early), "opaque_tokens");
    assert_eq!(refused(one().max_token_size(0)), "max_token_size");
    assert_eq!(refused(one().max_token_size(65_537)), "max_token_size");
    assert_eq!(refused(one().deadline(Duration::ZERO)), "deadline");
}
