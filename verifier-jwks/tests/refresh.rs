//! When keys are fetched, and what failures, floods and rotations do: over loopback, with time in the test's hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use support::{Scene, rejected, unavailable};
use verifier_core::error::{Rejection, UnavailableReason};
use verifier_core::time::Clock as _;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::verifier::{TokenVerifier as _, VerifyRequest};
use verifier_testkit::{Algorithm, Answer, Endpoint, Fault, Gate, TokenRequest};

#[tokio::test]
async fn a_flood_of_unknown_kids_makes_one_fetch_a_cooldown_and_a_spare_one() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    assert_eq!(scene.fetches(), 1);
    scene.advance(120);
    let before = scene.fetches();

    for cooldown in 1..=4 {
        for n in 0..200 {
            let verdict = scene.verify(&verifier, &scene.forged(&format!("{cooldown}-{n}"))).await;
            rejected(verdict, Rejection::UnknownKey);
        }
        assert_eq!(scene.fetches() - before, cooldown + 1, "one for each cooldown, and the spare one");
        scene.advance(30);
    }
}

#[tokio::test]
async fn a_flood_of_concurrent_unknown_kids_makes_two_fetches() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    scene.advance(60);
    let tokens: Vec<String> = (0..300).map(|n| scene.forged(&n.to_string())).collect();
    let verdicts = futures::future::join_all(tokens.iter().map(|token| scene.verify(&verifier, token))).await;
    verdicts.into_iter().for_each(|verdict| rejected(verdict, Rejection::UnknownKey));
    assert!(scene.fetches() <= 3, "{}", scene.fetches());
}

#[tokio::test]
async fn a_rotation_when_quiet_is_picked_up_at_once() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    // even right after the load
    scene.server.rotate();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    assert_eq!(scene.fetches(), 2);
    // and again after a cooldown
    scene.advance(30);
    scene.server.rotate();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    assert_eq!(scene.fetches(), 3);
}

#[tokio::test]
async fn a_rotation_under_flood_is_picked_up_within_one_cooldown() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    scene.advance(100);
    for n in 0..20 {
        rejected(scene.verify(&verifier, &scene.forged(&format!("a{n}"))).await, Rejection::UnknownKey);
    }
    scene.server.rotate();
    let rotated = scene.token();
    let mut waited = 0;
    while scene.verify(&verifier, &rotated).await.is_err() {
        assert!(waited < 30, "lost for more than a cooldown");
        for n in 0..5 {
            let _ = scene.verify(&verifier, &scene.forged(&format!("b{waited}-{n}"))).await;
        }
        scene.advance(1);
        waited += 1;
    }
}

#[tokio::test]
async fn a_key_published_with_its_first_token_is_found_by_one_fetch() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    scene.advance(60);
    // a fetch is under way with the old set in its hand while the new key begins to sign
    let gate = Gate::new();
    scene.server.faults().next(Endpoint::Jwks, 1, Fault::DelayAnswer(gate.clone()));
    let forged = scene.forged("x");
    let early = scene.verify(&verifier, &forged);
    let late = async {
        gate.arrived(1).await;
        scene.server.rotate();
        let token = scene.token();
        let verdict = scene.verify(&verifier, &token);
        let release = async { gate.open() };
        futures::join!(verdict, release).0
    };
    let (early, late) = futures::join!(early, late);
    rejected(early, Rejection::UnknownKey);
    late.unwrap();
    assert_eq!(scene.fetches(), 3);
}

#[tokio::test]
async fn a_kid_that_a_fetch_did_not_bring_rests_and_leaves_the_slots_to_others() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    scene.advance(60);
    let dead = scene.forged("dead");
    for _ in 0..60 {
        rejected(scene.verify(&verifier, &dead).await, Rejection::UnknownKey);
        scene.advance(1);
    }
    assert_eq!(scene.fetches(), 3, "after the load: at once, and after 30 s; then it rests for 60 s");
    scene.server.rotate();
    scene.verify(&verifier, &scene.token()).await.unwrap();
}

#[tokio::test]
async fn an_unknown_kid_is_unavailable_when_the_last_attempt_failed() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let good = scene.token();
    scene.verify(&verifier, &good).await.unwrap();
    scene.advance(60);
    scene.server.faults().on(Endpoint::Jwks, Fault::Status(503, String::new()));
    for n in 0..10 {
        let verdict = scene.verify(&verifier, &scene.forged(&n.to_string())).await;
        let why = unavailable(verdict, UnavailableReason::KeysUnconfirmed);
        assert!(why.retry_after().is_some());
    }
    scene.verify(&verifier, &good).await.unwrap();
    // once the server is back, an attempt says for sure
    scene.server.faults().clear_all();
    scene.advance(30);
    rejected(scene.verify(&verifier, &scene.forged("late")).await, Rejection::UnknownKey);
}

#[tokio::test]
async fn a_token_is_unavailable_when_no_attempt_succeeded_yet() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    scene.server.refuse_connections();
    let token = scene.token();
    let why = unavailable(scene.verify(&verifier, &token).await, UnavailableReason::KeysNotLoaded);
    assert!(why.retry_after().is_some());
    // the backoff is on: nobody waits
    let verdict = scene.verify_now(&verifier, &token).expect("decided at once");
    unavailable(verdict, UnavailableReason::KeysNotLoaded);
    // what is no token of ours is rejected all the same, with nothing loaded
    rejected(scene.verify_now(&verifier, "opaque").unwrap(), Rejection::NotAJwt);

    scene.server.accept_connections().unwrap();
    scene.advance(1);
    scene.verify(&verifier, &token).await.unwrap();
}

#[tokio::test]
async fn bad_answers_leave_the_old_keys() {
    let bad: Vec<(&str, Fault)> = vec![
        ("500", Fault::Status(500, String::new())),
        ("502", Fault::Status(502, String::new())),
        ("403", Fault::Status(403, String::new())),
        ("204", Fault::Status(204, String::new())),
        ("206", Fault::Status(206, String::new())),
        ("429", Fault::RetryAfter(429, 5)),
        ("HTML", Fault::Html200),
        ("nothing", Fault::EmptyBody),
        ("half a body", Fault::HalfBody),
        ("an endless body", Fault::EndlessBody),
        ("a huge body", Fault::HugeBody(600 * 1024)),
        ("a redirect", Fault::Redirect("http://127.0.0.1:1/jwks".into())),
        ("a closed connection", Fault::Close),
        ("another content type", Fault::ContentType("text/html".into())),
    ];
    let documents = [
        ("an error body", r#"{"error":"rate_limited"}"#),
        ("an empty set", r#"{"keys":[]}"#),
        ("an array", "[]"),
        ("null", "null"),
        ("keys that are no array", r#"{"keys":{}}"#),
        ("keys twice", r#"{"keys":[],"keys":[]}"#),
        ("no usable key", r#"{"keys":[{"kty":"RSA"}]}"#),
        (
            "a secret",
            r#"{"keys":[{"kty":"oct","kid":"k","alg":"HS256","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#,
        ),
    ];

    let scene = Scene::new();
    let verifier = scene.builder(scene.source()).verified_tokens(None).build().unwrap();
    let token = scene.token();
    // without a validator, so that each answer is a whole one
    let set = scene.server.jwks().to_string();
    scene.server.override_jwks(200, set.clone());
    scene.verify(&verifier, &token).await.unwrap();
    let kids = verifier.store().health(scene.clock.now()).kids;

    for (name, fault) in bad {
        scene.advance(599);
        scene.server.faults().on(Endpoint::Jwks, fault);
        scene.refreshed(&verifier, &token).await;
        assert_failed(&scene, &verifier, &token, name, &kids).await;
        scene.server.faults().clear_all();
        scene.advance(300);
        scene.refreshed(&verifier, &token).await;
    }
    for (name, body) in documents {
        scene.advance(599);
        scene.server.override_jwks(200, body);
        scene.refreshed(&verifier, &token).await;
        assert_failed(&scene, &verifier, &token, name, &kids).await;
        scene.server.override_jwks(200, set.clone());
        scene.advance(300);
        scene.refreshed(&verifier, &token).await;
    }
}

async fn assert_failed(
    scene: &Scene,
    verifier: &verifier_jwks::JwksVerifier,
    token: &str,
    name: &str,
    kids: &[Box<str>],
) {
    let health = verifier.store().health(scene.clock.now());
    assert!(health.last_error.is_some(), "{name} was taken for a key set");
    assert_eq!(health.kids, kids, "{name}");
    assert!(scene.verify(verifier, token).await.is_ok(), "{name}");
}

#[tokio::test]
async fn a_slow_body_leaves_the_old_keys() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let token = scene.token();
    scene.verify(&verifier, &token).await.unwrap();
    scene.advance(500);
    let gate = Gate::new();
    scene.server.faults().on(Endpoint::Jwks, Fault::DelayAnswer(gate.clone()));
    scene.verify_now(&verifier, &token).expect("a hit waits for nobody").unwrap();
    gate.arrived(1).await;
    scene.clock.sleeping(1).await;
    scene.advance(5);
    scene.settled(&verifier).await;
    let health = verifier.store().health(scene.clock.now());
    assert_eq!(health.last_error.map(|why| why.reason()), Some(UnavailableReason::TimedOut));
    scene.verify_now(&verifier, &token).unwrap().unwrap();
}

#[tokio::test]
async fn one_bad_key_costs_only_itself() {
    let scene = Scene::new();
    let good = serde_json::Value::Object(scene.server.signing_key().jwk());
    let set = format!(
        r#"{{"keys":[{{"kty":"RSA","kid":"bad"}},{{"kty":"EC","kid":"twice","kid":"twice"}},7,{good}]}}"#
    );
    scene.server.override_jwks(200, set);
    let verifier = scene.verifier();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    let health = verifier.store().health(scene.clock.now());
    assert_eq!(health.skipped.len(), 3);
    assert_eq!(health.usable, 1);
}

#[tokio::test]
async fn an_empty_set_is_asked_for_again_after_a_cooldown_at_most() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    scene.server.override_jwks(200, r#"{"keys":[]}"#);
    let token = scene.token();
    for _ in 0..12 {
        let before = scene.fetches();
        unavailable(scene.verify(&verifier, &token).await, UnavailableReason::KeysNotLoaded);
        assert_eq!(scene.fetches(), before + 1);
        scene.advance(30);
    }
    scene.server.clear_override(Endpoint::Jwks);
    scene.verify(&verifier, &token).await.unwrap();
}

#[tokio::test]
async fn keys_serve_on_through_an_outage_for_a_stated_time_and_no_longer() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let token = scene.token();
    scene.verify(&verifier, &token).await.unwrap();
    assert_eq!(verifier.verified_tokens(), 1);
    scene.server.refuse_connections();

    for _ in 0..69 {
        scene.advance(60);
        let judged = scene.verify(&verifier, &token).await.unwrap();
        assert!(judged.evidence().key_set_age.unwrap() <= Duration::from_secs(4_200));
        assert!(verifier.ready(None).into_ready().ok().expect("no waiting").is_ok());
        scene.settled(&verifier).await;
    }
    // 600 s and an hour after the fetch, also for tokens that were verified before
    scene.advance(60);
    unavailable(scene.verify(&verifier, &token).await, UnavailableReason::KeysStale);
    assert!(verifier.health(scene.clock.now()).ready.is_err());

    scene.server.accept_connections().unwrap();
    scene.advance(300);
    assert!(scene.verify(&verifier, &token).await.is_ok());
}

#[tokio::test]
async fn after_an_idle_time_keys_past_their_age_are_fetched_before_they_are_used() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let token = scene.token();
    scene.verify(&verifier, &token).await.unwrap();
    let old = scene.server.signing_kid();
    scene.server.rotate();
    assert!(scene.server.withdraw(&old));
    scene.advance(1_200);
    assert!(scene.verify_now(&verifier, &token).is_none(), "has to ask first");
    rejected(scene.verify(&verifier, &token).await, Rejection::UnknownKey);
}

#[tokio::test]
async fn a_machine_that_slept_asks_before_it_uses_its_keys() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let token = scene.token();
    scene.verify(&verifier, &token).await.unwrap();
    scene.clock.step_wall_forward(Duration::from_secs(3 * 3_600));
    scene.clock.advance_monotonic(Duration::from_millis(1));
    scene.verify(&verifier, &token).await.unwrap();
    assert_eq!(scene.fetches(), 2);
    // a wall clock that is set back makes nothing younger, and nothing immortal
    scene.clock.step_wall_back(Duration::from_secs(2 * 3_600));
    scene.clock.advance_monotonic(Duration::from_secs(700));
    scene.verify(&verifier, &token).await.unwrap();
    assert_eq!(scene.fetches(), 3);
}

#[tokio::test]
async fn a_hot_key_set_is_fetched_ahead_once_and_nobody_waits_for_it() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let token = scene.token();
    scene.verify(&verifier, &token).await.unwrap();
    scene.advance(480);
    let gate = Gate::new();
    scene.server.faults().on(Endpoint::Jwks, Fault::Delay(gate.clone()));
    for _ in 0..100 {
        scene.verify_now(&verifier, &token).expect("a hit waits for nobody").unwrap();
    }
    gate.arrived(1).await;
    gate.open();
    scene.settled(&verifier).await;
    assert_eq!(scene.fetches(), 2);
}

#[tokio::test]
async fn a_hundred_callers_of_a_cold_verifier_make_one_fetch() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let token = scene.token();
    let calls = futures::future::join_all((0..100).map(|_| scene.verify(&verifier, &token))).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!(scene.fetches(), 1);
}

#[tokio::test]
async fn a_cancelled_caller_does_not_kill_the_fetch() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let gate = Gate::new();
    scene.server.faults().next(Endpoint::Jwks, 1, Fault::Delay(gate.clone()));
    let token = scene.token();
    {
        let mut first = Box::pin(scene.verify(&verifier, &token));
        assert!(futures::poll!(first.as_mut()).is_pending());
        gate.arrived(1).await;
    }
    let mut second = Box::pin(scene.verify(&verifier, &token));
    assert!(futures::poll!(second.as_mut()).is_pending());
    gate.open();
    second.await.unwrap();
    assert_eq!(scene.fetches(), 1);
}

#[tokio::test]
async fn a_caller_waits_until_his_deadline_and_no_longer() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let gate = Gate::new();
    scene.server.faults().next(Endpoint::Jwks, 1, Fault::Delay(gate.clone()));
    let text = scene.token();
    let token = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN).unwrap();
    let deadline = scene.clock.now().monotonic.plus(Duration::from_secs(2));
    let request = VerifyRequest::new(&token, scene.clock.now()).with_deadline(deadline);
    let time = async {
        gate.arrived(1).await;
        scene.clock.sleeping(2).await;
        scene.advance(2);
    };
    let (verdict, ()) = futures::join!(async { verifier.verify(&request).await }, time);
    unavailable(verdict, UnavailableReason::DeadlineExceeded);
    // the fetch goes on
    gate.open();
    scene.verify(&verifier, &text).await.unwrap();
    assert_eq!(scene.fetches(), 1);
}

#[tokio::test]
async fn at_the_deadline_keys_past_their_age_serve_on() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let text = scene.token();
    scene.verify(&verifier, &text).await.unwrap();
    scene.advance(1_000);
    let gate = Gate::new();
    scene.server.faults().next(Endpoint::Jwks, 1, Fault::Delay(gate.clone()));
    let token = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN).unwrap();
    let deadline = scene.clock.now().monotonic.plus(Duration::from_secs(2));
    let request = VerifyRequest::new(&token, scene.clock.now()).with_deadline(deadline);
    let time = async {
        gate.arrived(1).await;
        scene.clock.sleeping(2).await;
        scene.advance(2);
    };
    let (verdict, ()) = futures::join!(async { verifier.verify(&request).await }, time);
    verdict.unwrap();
    gate.open();
}

#[tokio::test]
async fn one_issuers_outage_does_not_touch_anothers() {
    let clock = verifier_testkit::ManualClock::new();
    let (down, up) = (Scene::with_clock(clock.clone()), Scene::with_clock(clock));
    let (dead, alive) = (down.verifier(), up.verifier());
    let gate = Gate::new();
    down.server.faults().on(Endpoint::Jwks, Fault::Delay(gate.clone()));
    let (token, other) = (down.token(), up.token());
    let mut hanging = Box::pin(down.verify(&dead, &token));
    assert!(futures::poll!(hanging.as_mut()).is_pending());
    gate.arrived(1).await;
    up.verify(&alive, &other).await.unwrap();
    assert!(futures::poll!(hanging.as_mut()).is_pending());
    gate.open();
    hanging.await.unwrap();
}

#[tokio::test]
async fn a_bad_signature_under_a_known_kid_never_makes_a_fetch() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    let kid = scene.server.signing_kid();
    scene.advance(60);
    for _ in 0..50 {
        rejected(scene.verify(&verifier, &scene.forged(&kid)).await, Rejection::BadSignature);
    }
    assert_eq!(scene.fetches(), 1);
}

#[tokio::test]
async fn what_can_be_refused_by_its_header_makes_no_fetch() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let id_token = scene.server.issue(TokenRequest::new().header("typ", "JWT")).token;
    rejected(scene.verify_now(&verifier, &id_token).unwrap(), Rejection::WrongType);
    let secret = scene.server.issue(TokenRequest::new().algorithm(Algorithm::HS256)).token;
    rejected(scene.verify_now(&verifier, &secret).unwrap(), Rejection::AlgorithmNotAllowed);
    let url =
        scene.server.issue(TokenRequest::new().header("jku", "http://127.0.0.1:1/").header("alg", "none"));
    rejected(scene.verify_now(&verifier, &url.token).unwrap(), Rejection::AlgorithmNotAllowed);
    assert_eq!(scene.server.counts().total(), 0);
}

#[tokio::test]
async fn the_server_says_for_how_long_a_set_is_current_within_bounds() {
    for (said, fetched_by) in
        [("max-age=120", 96), ("max-age=0", 48), ("no-store", 48), ("max-age=315360000", 2_880)]
    {
        let scene = Scene::new();
        scene.server.set_jwks_cache_control(Some(said));
        let verifier = scene.verifier();
        let token = scene.token();
        scene.verify(&verifier, &token).await.unwrap();
        scene.advance(fetched_by * 7 / 8 - 1);
        scene.verify(&verifier, &token).await.unwrap();
        scene.settled(&verifier).await;
        assert_eq!(scene.fetches(), 1, "{said}");
        scene.advance(fetched_by / 8 + 2);
        scene.refreshed(&verifier, &token).await;
        assert_eq!(scene.fetches(), 2, "{said}");
    }
}

#[tokio::test]
async fn a_set_that_did_not_change_is_confirmed_by_its_validator() {
    let scene = Scene::new();
    let set = scene.server.jwks().to_string();
    let verifier = scene.verifier();
    let token = scene.token();
    let json = |status, body: &str| {
        Answer::new(status, body.to_owned())
            .header("content-type", "application/json")
            .header("etag", "\"v1\"")
    };
    scene.server.override_answer(Endpoint::Jwks, json(200, &set));
    scene.verify(&verifier, &token).await.unwrap();
    assert_eq!(scene.server.requests(Endpoint::Jwks)[0].header("if-none-match"), None);

    scene.server.override_answer(Endpoint::Jwks, json(304, ""));
    scene.advance(480);
    scene.refreshed(&verifier, &token).await;
    assert_eq!(scene.server.requests(Endpoint::Jwks)[1].header("if-none-match"), Some("\"v1\""));
    let health = verifier.store().health(scene.clock.now());
    assert_eq!(health.last_error, None);
    assert_eq!(health.last_success, Some(scene.clock.now()));
    let judged = scene.verify(&verifier, &token).await.unwrap();
    assert_eq!(judged.evidence().key_set_age, Some(Duration::ZERO));
    assert!(judged.evidence().from_cache, "unchanged keys keep what they verified");
}

#[tokio::test]
async fn a_confirmation_that_says_no_lifetime_leaves_the_one_that_was_said() {
    let scene = Scene::new();
    let set = scene.server.jwks().to_string();
    let verifier = scene.verifier();
    let token = scene.token();
    let answer = |status, body: &str| Answer::new(status, body.to_owned()).header("etag", "\"v1\"");
    scene.server.override_answer(Endpoint::Jwks, answer(200, &set).header("cache-control", "max-age=60"));
    scene.verify(&verifier, &token).await.unwrap();

    // RFC 9111 §3.2: what a 304 doesn't say stays as it was.
    scene.server.override_answer(Endpoint::Jwks, answer(304, ""));
    for _ in 0..3 {
        scene.advance(48);
        scene.refreshed(&verifier, &token).await;
    }
}

#[tokio::test]
async fn the_time_is_read_again_after_a_wait_and_never_runs_back() {
    type Step = fn(&Scene);
    /// The policy forgives 30 seconds.
    const LEEWAY: i64 = 30;

    let steps: [(i64, Step); 2] = [
        // It expires while its key is fetched.
        (1, |scene| scene.advance(2)),
        // It was expired when it came, and the clock is set back meanwhile.
        (-1, |scene| scene.clock.step_wall_back(Duration::from_secs(20))),
    ];
    for (left, step) in steps {
        let scene = Scene::new();
        let verifier = scene.verifier();
        let now = scene.clock.unix_seconds();
        let token = TokenRequest::new().claim("iat", now - 100).claim("exp", now - LEEWAY + left);
        let token = scene.server.issue(token).token;
        let gate = Gate::new();
        scene.server.faults().next(Endpoint::Jwks, 1, Fault::Delay(gate.clone()));
        let time = async {
            gate.arrived(1).await;
            step(&scene);
            gate.open();
        };
        let (verdict, ()) = futures::join!(scene.verify(&verifier, &token), time);
        rejected(verdict, Rejection::Expired);
    }
}
