//! What becomes of tokens when keys come, go and change: over loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{Scene, policy, rejected, rules, unavailable};
use verifier_core::error::{Rejection, UnavailableReason};
use verifier_core::health::HealthNote;
use verifier_core::policy::ValidationPolicy;
use verifier_core::time::Clock as _;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::verifier::{TokenVerifier as _, VerifyRequest};
use verifier_jwks::{JwksVerifier, VerifiedTokensConfig};
use verifier_testkit::{Algorithm, Endpoint, Fault, Gate, ManualClock, SigningKey, TokenRequest};

#[tokio::test]
async fn a_removed_key_stops_verifying_with_the_next_snapshot_also_for_cached_tokens() {
    for cached in [true, false] {
        let scene = Scene::new();
        let bounds = cached.then(VerifiedTokensConfig::default);
        let verifier = scene.builder(scene.source()).verified_tokens(bounds).build().unwrap();
        let token = scene.token();
        scene.verify(&verifier, &token).await.unwrap();
        assert_eq!(scene.verify(&verifier, &token).await.unwrap().evidence().from_cache, cached);

        let old = scene.server.signing_kid();
        scene.server.rotate();
        scene.server.withdraw(&old);
        // another token's fetch brings the new set
        scene.verify(&verifier, &scene.token()).await.unwrap();
        rejected(scene.verify(&verifier, &token).await, Rejection::UnknownKey);
        assert_eq!(verifier.verified_tokens(), usize::from(cached), "the dead entry is gone");
    }
}

#[tokio::test]
async fn a_kid_re_used_for_a_new_key_works_after_the_next_scheduled_refresh() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let old = scene.token();
    scene.verify(&verifier, &old).await.unwrap();
    let kid = scene.server.signing_kid();
    let key = scene.server.add_key_with_kid(Algorithm::ES256, &kid);
    let new = scene.server.issue(TokenRequest::new().signed_by(key)).token;

    rejected(scene.verify(&verifier, &new).await, Rejection::BadSignature);
    scene.advance(480);
    scene.refreshed(&verifier, &new).await;
    scene.verify(&verifier, &new).await.unwrap();
    rejected(scene.verify(&verifier, &old).await, Rejection::BadSignature);
}

#[tokio::test]
async fn an_unchanged_key_keeps_what_it_verified() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let token = scene.token();
    scene.verify(&verifier, &token).await.unwrap();
    scene.server.rotate();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    assert!(scene.verify(&verifier, &token).await.unwrap().evidence().from_cache);
}

#[tokio::test]
async fn the_same_kid_at_two_issuers_names_two_keys() {
    let clock = ManualClock::new();
    let (a, b) = (Scene::with_clock(clock.clone()), Scene::with_clock(clock));
    let (key_a, key_b) = (
        a.server.add_key_with_kid(Algorithm::ES256, "shared"),
        b.server.add_key_with_kid(Algorithm::ES256, "shared"),
    );
    let (verifier_a, verifier_b) = (a.verifier(), b.verifier());
    let token_a = a.server.issue(TokenRequest::new().signed_by(key_a.clone())).token;
    let token_b = b.server.issue(TokenRequest::new().signed_by(key_b)).token;
    // primed by A
    a.verify(&verifier_a, &token_a).await.unwrap();
    b.verify(&verifier_b, &token_b).await.unwrap();

    // A's key, B's name
    let crossed = b.server.issue(TokenRequest::new().signed_by(key_a)).token;
    rejected(b.verify(&verifier_b, &crossed).await, Rejection::BadSignature);
    rejected(a.verify(&verifier_a, &crossed).await, Rejection::WrongIssuer);
    rejected(b.verify(&verifier_b, &token_a).await, Rejection::BadSignature);
    // also when A has it in its cache
    assert!(a.verify(&verifier_a, &token_a).await.unwrap().evidence().from_cache);
    rejected(b.verify(&verifier_b, &token_a).await, Rejection::BadSignature);
}

#[tokio::test]
async fn a_token_without_kid_needs_exactly_one_fitting_key() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let token = scene.server.issue(TokenRequest::new().without_header("kid")).token;
    scene.verify(&verifier, &token).await.unwrap();
    scene.server.add_key(Algorithm::ES256);
    scene.advance(480);
    scene.refreshed(&verifier, &token).await;
    let other = scene.server.issue(TokenRequest::new().without_header("kid").jti("other")).token;
    rejected(scene.verify(&verifier, &other).await, Rejection::AmbiguousKey);
}

#[tokio::test]
async fn a_kid_with_another_algorithm_is_a_mismatch_and_makes_no_fetch() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    let key = SigningKey::generate(Algorithm::Ed25519).with_kid(scene.server.signing_kid());
    let token = scene.server.issue(TokenRequest::new().signed_by(key)).token;
    rejected(scene.verify(&verifier, &token).await, Rejection::KeyMismatch);
    assert_eq!(scene.fetches(), 1);
}

#[tokio::test]
async fn the_policy_is_judged_on_every_hit() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let text = scene.server.issue(TokenRequest::new().scope("read").lifetime(Duration::from_secs(100))).token;
    scene.verify(&verifier, &text).await.unwrap();
    assert!(scene.verify(&verifier, &text).await.unwrap().evidence().from_cache);

    let token = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN).unwrap();
    let under = |policy: &ValidationPolicy| {
        let request = VerifyRequest::new(&token, scene.clock.now()).with_policy(policy);
        verifier.verify(&request).into_ready().ok().expect("a hit")
    };
    rejected(
        under(&ValidationPolicy::for_audience("https://other.example").build().unwrap()),
        Rejection::WrongAudience,
    );
    let write = ValidationPolicy::for_audience(verifier_testkit::server::DEFAULT_AUDIENCE)
        .require_scope("write")
        .build()
        .unwrap();
    rejected(under(&write), Rejection::InsufficientScope);
    under(&policy()).unwrap();

    // exp, and the leeway of 30 s
    scene.advance(129);
    scene.verify(&verifier, &text).await.unwrap();
    scene.advance(1);
    rejected(scene.verify(&verifier, &text).await, Rejection::Expired);
    assert_eq!(verifier.verified_tokens(), 0, "an expired entry is put out");
}

#[tokio::test]
async fn only_verified_tokens_enter_the_cache_and_it_is_bounded() {
    let scene = Scene::new();
    let verifier = scene
        .builder(scene.source())
        .verified_tokens(Some(VerifiedTokensConfig::entries(20)))
        .build()
        .unwrap();
    let good = scene.token();
    scene.verify(&verifier, &good).await.unwrap();
    let kid = scene.server.signing_kid();
    for n in 0..200 {
        let _ = scene.verify(&verifier, &scene.forged(&kid)).await;
        let foreign = scene.server.issue(TokenRequest::new().audience("https://other.example")).token;
        let _ = scene.verify(&verifier, &foreign).await;
        let _ = scene.verify(&verifier, &format!("opaque{n}")).await;
    }
    assert_eq!(verifier.verified_tokens(), 1);
    assert!(scene.verify(&verifier, &good).await.unwrap().evidence().from_cache);

    for _ in 0..200 {
        scene.verify(&verifier, &scene.token()).await.unwrap();
    }
    assert!(verifier.verified_tokens() <= 20, "{}", verifier.verified_tokens());
}

#[tokio::test]
async fn another_spelling_of_a_cached_token_does_not_pass() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let token = scene.token();
    scene.verify(&verifier, &token).await.unwrap();
    for spelling in [format!("{token}="), format!("{token}A"), token.replacen('.', "=.", 1)] {
        assert!(scene.verify(&verifier, &spelling).await.is_err(), "{}", spelling.len());
    }
}

#[tokio::test]
async fn published_secrets_are_not_used_and_raise_an_alarm() {
    let scene = Scene::new();
    let mut set = scene.server.jwks();
    let secret = SigningKey::generate(Algorithm::HS256);
    set["keys"].as_array_mut().unwrap().push(serde_json::Value::Object(secret.jwk()));
    scene.server.override_jwks(200, set.to_string());
    let verifier = scene.verifier();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    assert!(verifier.health(scene.clock.now()).notes.contains(&HealthNote::KeysExposed));
    let forged = scene.server.issue(TokenRequest::new().signed_by(secret)).token;
    rejected(scene.verify(&verifier, &forged).await, Rejection::AlgorithmNotAllowed);
}

#[tokio::test]
async fn discovery_finds_the_keys_and_remembers_where_they_are() {
    let scene = Scene::new();
    let issuer = scene.server.issuer().to_owned();
    let verifier = scene.builder(scene.discovery(&issuer)).build().unwrap();
    assert_eq!(scene.server.counts().total(), 0, "building asks nobody");
    let token = scene.token();
    scene.verify(&verifier, &token).await.unwrap();
    scene.server.rotate();
    scene.verify(&verifier, &scene.token()).await.unwrap();
    let counts = scene.server.counts();
    assert_eq!((counts.discovery, counts.jwks), (1, 2));

    // read again when the set couldn't be had
    scene.server.faults().next(Endpoint::Jwks, 1, Fault::Status(500, String::new()));
    scene.advance(480);
    scene.refreshed(&verifier, &token).await;
    scene.advance(60);
    scene.refreshed(&verifier, &token).await;
    assert_eq!(scene.server.counts().discovery, 2);
    assert_eq!(verifier.store().health(scene.clock.now()).last_error, None);
}

#[tokio::test]
async fn a_validator_is_not_sent_to_another_address() {
    let clock = ManualClock::new();
    let (scene, moved) = (Scene::with_clock(clock.clone()), Scene::with_clock(clock));
    let verifier = scene.builder(scene.discovery(scene.server.issuer())).build().unwrap();
    let token = scene.token();
    scene.verify(&verifier, &token).await.unwrap();

    let mut metadata = scene.server.metadata();
    metadata["jwks_uri"] = moved.server.jwks_uri().into();
    scene.server.override_metadata(&metadata);
    moved.server.override_jwks(200, scene.server.jwks().to_string());
    for _ in 0..8 {
        scene.advance(480);
        scene.refreshed(&verifier, &token).await;
    }
    let first = moved.server.requests(Endpoint::Jwks).into_iter().next().expect("read again after an hour");
    assert_eq!(first.header("if-none-match"), None);
    assert!(
        scene.server.requests(Endpoint::Jwks).iter().skip(1).all(|it| it.header("if-none-match").is_some())
    );
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_used() {
    let scene = Scene::new();
    let mut metadata = scene.server.metadata();
    metadata["issuer"] = format!("{}/", scene.server.issuer()).into();
    scene.server.override_metadata(&metadata);
    let verifier = scene.builder(scene.discovery(scene.server.issuer())).build().unwrap();
    unavailable(scene.verify(&verifier, &scene.token()).await, UnavailableReason::Misconfigured);
    let why = verifier.health(scene.clock.now()).ready.unwrap_err();
    assert_eq!(why.reason(), UnavailableReason::Misconfigured);
    assert_eq!(scene.fetches(), 0);
    // nothing to wait for
    assert_eq!(verifier.ready(None).await.unwrap_err().reason(), UnavailableReason::Misconfigured);
}

#[tokio::test]
async fn metadata_that_names_no_address_or_one_that_may_not_be_asked_is_not_used() {
    for uri in [
        serde_json::Value::Null,
        "http://keys.example/jwks".into(),
        "file:///etc/passwd".into(),
        "data:application/json,{}".into(),
        "/jwks".into(),
    ] {
        let scene = Scene::new();
        let mut metadata = scene.server.metadata();
        metadata["jwks_uri"] = uri;
        scene.server.override_metadata(&metadata);
        let verifier = scene.builder(scene.discovery(scene.server.issuer())).build().unwrap();
        assert!(scene.verify(&verifier, &scene.token()).await.is_err());
        assert!(verifier.health(scene.clock.now()).ready.is_err());
        assert_eq!(scene.fetches(), 0);
    }
}

#[tokio::test]
async fn ready_resolves_when_the_keys_are_there_or_at_the_deadline() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    scene.server.refuse_connections();
    let deadline = scene.clock.now().monotonic.plus(Duration::from_secs(4));
    let time = async {
        for _ in 0..4 {
            scene.settled(&verifier).await;
            scene.clock.sleeping(1).await;
            scene.advance(1);
        }
    };
    let (ready, ()) = futures::join!(async { verifier.ready(Some(deadline)).await }, time);
    assert_eq!(ready.unwrap_err().reason(), UnavailableReason::ConnectFailed);

    let waiting = async { verifier.ready(None).await };
    let time = async {
        scene.server.accept_connections().unwrap();
        scene.advance(60);
    };
    let (ready, ()) = futures::join!(waiting, time);
    ready.unwrap();
    // and stays so through an outage
    scene.server.refuse_connections();
    scene.advance(4_000);
    assert!(verifier.ready(None).into_ready().ok().expect("no waiting").is_ok());
    let health = verifier.health(scene.clock.now());
    assert!(health.ready.is_ok());
    let keys = health.keys.unwrap();
    assert_eq!(keys.kids, [scene.server.signing_kid().into_boxed_str()]);
    assert_eq!(keys.usable_for, Some(Duration::from_secs(200)));
}

#[tokio::test]
async fn evidence_says_what_an_acceptance_rests_on() {
    let scene = Scene::new();
    let verifier = scene.verifier();
    let token = scene.token();
    scene.verify(&verifier, &token).await.unwrap();
    scene.advance(100);
    let evidence = *scene.verify(&verifier, &token).await.unwrap().evidence();
    assert_eq!(evidence.algorithm.map(|algorithm| algorithm.name()), Some("ES256"));
    assert_eq!(evidence.key_set_age, Some(Duration::from_secs(100)));
    assert!(evidence.from_cache);
    assert_eq!(evidence.revocation_age(scene.clock.now()), None);
}

#[tokio::test]
async fn the_keys_serve_others_of_the_same_issuer() {
    use verifier_core::trusted_keys::Lookup;
    let scene = Scene::new();
    let verifier = scene.verifier();
    let keys = verifier.keys();
    let kid = scene.server.signing_kid();
    let algorithm = verifier_core::algorithm::Algorithm::Es256;
    assert!(matches!(keys.key(Some(&kid), algorithm, scene.clock.now(), None).await, Lookup::Found(_)));
    let absent = keys.key(Some("absent"), algorithm, scene.clock.now(), None).await;
    assert!(matches!(absent, Lookup::Rejected(Rejection::UnknownKey)));
}

#[tokio::test]
async fn others_wait_for_keys_no_longer_than_they_have_time() {
    use verifier_core::trusted_keys::Lookup;
    let scene = Scene::new();
    let gate = Gate::new();
    scene.server.faults().next(Endpoint::Jwks, 1, Fault::Delay(gate.clone()));
    let keys = scene.verifier().keys();
    let (kid, now) = (scene.server.signing_kid(), scene.clock.now());
    let algorithm = verifier_core::algorithm::Algorithm::Es256;
    let deadline = now.monotonic.plus(Duration::from_secs(1));
    let time = async {
        gate.arrived(1).await;
        scene.advance(2);
    };
    let (lookup, ()) =
        futures::join!(async { keys.key(Some(&kid), algorithm, now, Some(deadline)).await }, time);
    gate.open();
    let Lookup::Unavailable(why) = lookup else { panic!("{lookup:?}") };
    assert_eq!(why.reason(), UnavailableReason::DeadlineExceeded);
}

#[tokio::test]
async fn a_file_of_keys_is_read_again_without_a_restart() {
    use verifier_jwks::{FileSource, KeyFormat};
    let scene = Scene::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    std::fs::write(&path, scene.server.jwks().to_string()).unwrap();
    let source = Arc::new(FileSource::new(&path, KeyFormat::JwkSet));
    let verifier = scene.builder(source).build().unwrap();
    let old = scene.token();
    scene.verify(&verifier, &old).await.unwrap();

    let kid = scene.server.signing_kid();
    scene.server.rotate();
    scene.server.withdraw(&kid);
    std::fs::write(&path, scene.server.jwks().to_string()).unwrap();
    scene.advance(60);
    rejected(scene.verify(&verifier, &old).await, Rejection::UnknownKey);
    scene.verify(&verifier, &scene.token()).await.unwrap();
    std::fs::write(&path, "half").unwrap();
    scene.advance(60);
    scene.verify(&verifier, &scene.token()).await.unwrap();
    assert_eq!(scene.server.counts().total(), 0);
}

#[tokio::test]
async fn a_verifier_for_all_its_debug_shows_nothing_of_its_tokens() {
    let scene = Scene::new();
    let verifier: JwksVerifier = scene.verifier();
    let token = scene.token();
    scene.verify(&verifier, &token).await.unwrap();
    let text = format!("{verifier:?} {:?}", rules(scene.server.issuer()));
    let signature = token.rsplit('.').next().unwrap();
    assert!(!text.contains(signature) && !text.contains(&scene.server.signing_kid()));
}
