//! Keys configured in place, sources that misbehave, runtimes that die, and what can't be built.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use support::{Scene, policy, rejected, rules, unavailable};
use verifier_core::algorithm::{Algorithm, AlgorithmSet};
use verifier_core::error::{Rejection, Unavailable, UnavailableReason};
use verifier_core::jwk::KeyRules;
use verifier_core::key::KeySetError;
use verifier_core::runtime::{Env, NoRuntime, Runtime};
use verifier_core::signature::AwsLc;
use verifier_core::time::Clock as _;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::verifier::{TokenVerifier as _, VerifyRequest};
use verifier_jwks::{
    ConfigError, ETag, Fetched, JwksVerifier, KeySource, RefreshConfig, StaticSecret, StaticSource,
    VerifiedTokensConfig,
};
use verifier_testkit::{Algorithm as Signed, ManualClock, SigningKey, TestRuntime, TokenRequest};

/// A runtime that runs nothing.
#[derive(Debug)]
struct Nowhere;

impl Runtime for Nowhere {
    fn try_spawn(&self, _: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
        Err(NoRuntime)
    }

    fn sleep(&self, _: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
        Err(NoRuntime)
    }
}

#[tokio::test]
async fn a_static_set_verifies_at_once_without_a_runtime() {
    let scene = Scene::new();
    let source = Arc::new(StaticSource::jwk_set(scene.server.jwks().to_string()));
    let env = Env::new(Arc::new(scene.clock.clone()), Arc::new(Nowhere));
    let verifier =
        JwksVerifier::builder(rules(scene.server.issuer()), policy(), source, env).build().unwrap();
    let judged = scene.verify_now(&verifier, &scene.token()).expect("nothing to ask").unwrap();
    assert_eq!(judged.evidence().key_set_age, None);
    scene.advance(1_000_000);
    rejected(scene.verify_now(&verifier, &scene.forged("x")).unwrap(), Rejection::UnknownKey);
    assert!(verifier.ready(None).into_ready().ok().unwrap().is_ok());
    assert_eq!(scene.server.counts().total(), 0);
}

#[tokio::test]
async fn a_static_pem_key_and_a_static_secret_verify() {
    let scene = Scene::new();
    let key = scene.server.signing_key();
    let pem = StaticSource::pem(key.public_pem(), Algorithm::Es256, Some(key.kid()));
    let verifier = scene.builder(Arc::new(pem)).build().unwrap();
    scene.verify_now(&verifier, &scene.token()).unwrap().unwrap();

    let secret = SigningKey::generate(Signed::HS256).with_kid("shared");
    let bytes = secret.secret().unwrap().to_vec();
    let shown = format!("{:?}", &bytes[..4]);
    let secrets = [StaticSecret::new(Algorithm::Hs256, bytes.into()).with_kid("shared")];
    let source = StaticSource::secrets(secrets, Arc::new(AwsLc)).unwrap();
    assert!(!format!("{source:?}").contains(shown.trim_matches(['[', ']'])), "a secret is shown");
    let verifier =
        scene.builder(Arc::new(source)).algorithms(AlgorithmSet::of(&[Algorithm::Hs256])).build().unwrap();
    let token = scene.server.issue(TokenRequest::new().signed_by(secret)).token;
    scene.verify_now(&verifier, &token).unwrap().unwrap();
    rejected(scene.verify_now(&verifier, &scene.token()).unwrap(), Rejection::AlgorithmNotAllowed);
}

#[tokio::test]
async fn contradictions_are_refused_when_the_verifier_is_built() {
    let scene = Scene::new();
    let build = |builder: verifier_jwks::Builder| builder.build().unwrap_err();
    let remote = || scene.builder(scene.source());

    assert_eq!(build(remote().algorithms(AlgorithmSet::new())), ConfigError::NoAlgorithms);
    assert!(matches!(
        build(remote().algorithms(AlgorithmSet::of(&[Algorithm::Hs256, Algorithm::Rs256]))),
        ConfigError::MixedAlgorithms { .. }
    ));
    assert_eq!(
        build(remote().algorithms(AlgorithmSet::of(&[Algorithm::Hs256]))),
        ConfigError::PublishedSecret { algorithm: Algorithm::Hs256 }
    );
    assert_eq!(
        build(
            remote()
                .algorithms(AlgorithmSet::of(&[Algorithm::Es256]))
                .algorithm_when_absent(Some(Algorithm::Ps256))
        ),
        ConfigError::WhenAbsentNotAllowed { algorithm: Algorithm::Ps256 }
    );
    let mut refresh = RefreshConfig::default();
    refresh.connect = Duration::from_secs(60);
    assert!(matches!(build(remote().refresh(refresh)), ConfigError::Refresh(_)));
    assert_eq!(
        build(remote().verified_tokens(Some(VerifiedTokensConfig::entries(0)))),
        ConfigError::NoRoomForTokens
    );

    let of = |source: StaticSource| build(scene.builder(Arc::new(source)));
    assert!(matches!(of(StaticSource::jwk_set("{}")), ConfigError::KeySet(_)));
    assert!(matches!(of(StaticSource::jwk_set(r#"{"keys":[]}"#)), ConfigError::KeySet(_)));
    assert!(matches!(of(StaticSource::pem("no pem", Algorithm::Es256, None)), ConfigError::Key(_)));
    assert_eq!(
        of(StaticSource::pem("no pem", Algorithm::Hs256, None)),
        ConfigError::KeyNotAllowed { algorithm: Algorithm::Hs256 }
    );
    let secret = StaticSecret::new(Algorithm::Hs256, vec![7; 32].into());
    let secrets = StaticSource::secrets([secret], Arc::new(AwsLc)).unwrap();
    assert_eq!(of(secrets), ConfigError::KeyNotAllowed { algorithm: Algorithm::Hs256 });
    let short = StaticSecret::new(Algorithm::Hs256, vec![7; 31].into());
    assert!(StaticSource::secrets([short], Arc::new(AwsLc)).is_err());
    assert!(StaticSource::secrets([], Arc::new(AwsLc)).is_err());
}

#[tokio::test]
async fn a_document_gives_no_secrets_whatever_the_rules_say() {
    let scene = Scene::new();
    let set = r#"{"keys":[{"kty":"oct","alg":"HS256","k":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}]}"#;
    let mut rules = KeyRules::new(AlgorithmSet::of(&[Algorithm::Hs256]));
    rules.allow_symmetric = true;
    let built = scene.builder(Arc::new(StaticSource::jwk_set(set))).key_rules(rules).build();
    assert_eq!(built.unwrap_err(), ConfigError::KeySet(KeySetError::NoUsableKey));
}

#[tokio::test]
async fn without_a_runtime_it_is_unavailable_and_says_why() {
    let scene = Scene::new();
    let env = Env::new(Arc::new(scene.clock.clone()), Arc::new(Nowhere));
    let verifier =
        JwksVerifier::builder(rules(scene.server.issuer()), policy(), scene.source(), env).build().unwrap();
    for _ in 0..3 {
        unavailable(scene.verify(&verifier, &scene.token()).await, UnavailableReason::NoRuntime);
    }
    assert!(verifier.ready(None).await.is_err());
}

/// A source by script.
#[derive(Debug)]
struct Scripted {
    keys: String,
    panics: AtomicU64,
    fetches: AtomicU64,
}

#[async_trait]
impl KeySource for Scripted {
    async fn fetch(&self, _: Option<&ETag>) -> Result<Fetched, Unavailable> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let left = self.panics.load(Ordering::SeqCst);
        if left > 0 {
            self.panics.store(left - 1, Ordering::SeqCst);
            panic!("by script");
        }
        Ok(Fetched::jwk_set(self.keys.clone()))
    }
}

#[tokio::test]
async fn a_source_that_panics_is_unavailable_and_asked_again() {
    let scene = Scene::new();
    let source = Arc::new(Scripted {
        keys: scene.server.jwks().to_string(),
        panics: AtomicU64::new(1),
        fetches: AtomicU64::new(0),
    });
    let verifier = scene.builder(source).build().unwrap();
    let token = scene.token();
    let calls = futures::future::join_all((0..10).map(|_| scene.verify(&verifier, &token))).await;
    for verdict in calls {
        unavailable(verdict, UnavailableReason::KeysNotLoaded);
    }
    let health = verifier.store().health(scene.clock.now());
    assert_eq!(health.last_error.map(Unavailable::reason), Some(UnavailableReason::Crashed));
    scene.advance(1);
    scene.verify(&verifier, &token).await.unwrap();
}

#[test]
fn a_fetch_that_died_with_its_runtime_is_replaced() {
    /// Runs tasks on whatever runtime is current.
    #[derive(Debug)]
    struct Current(ManualClock);

    impl Runtime for Current {
        fn try_spawn(&self, task: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
            TestRuntime::current(self.0.clone())?.try_spawn(task)
        }

        fn sleep(&self, d: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
            TestRuntime::current(self.0.clone())?.sleep(d)
        }
    }

    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clock = ManualClock::new();
    let first = runtime();
    let scene = first.block_on(async { Scene::with_clock(clock.clone()) });
    let source = Arc::new(Scripted {
        keys: scene.server.jwks().to_string(),
        panics: AtomicU64::new(0),
        fetches: AtomicU64::new(0),
    });
    let env = Env::new(Arc::new(clock.clone()), Arc::new(Current(clock.clone())));
    let verifier =
        JwksVerifier::builder(rules(scene.server.issuer()), policy(), source, env).build().unwrap();
    let text = scene.token();
    let token = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN).unwrap();
    let request = VerifyRequest::new(&token, clock.now());

    // spawned, never polled, dropped with its runtime
    let pending = first.block_on(async { verifier.verify(&request).into_ready() }).expect_err("has to ask");
    drop(first);
    runtime().block_on(pending).unwrap();
    for _ in 0..3 {
        runtime().block_on(async { verifier.verify(&request).await }).unwrap();
    }
}

#[tokio::test]
async fn a_fetch_ends_with_its_verifier() {
    /// Never answers; says when it is dropped.
    #[derive(Debug)]
    struct Hanging(std::sync::Mutex<Option<futures::channel::oneshot::Sender<()>>>);

    #[async_trait]
    impl KeySource for Hanging {
        async fn fetch(&self, _: Option<&ETag>) -> Result<Fetched, Unavailable> {
            let _held = self.0.lock().unwrap().take();
            futures::future::pending().await
        }
    }

    let scene = Scene::new();
    let (sender, dropped) = futures::channel::oneshot::channel();
    let verifier = scene.builder(Arc::new(Hanging(Some(sender).into()))).build().unwrap();
    let token = scene.token();
    assert!(scene.verify_now(&verifier, &token).is_none());
    while scene.clock.pending_timers() == 0 {
        tokio::task::yield_now().await;
    }
    drop(verifier);
    assert!(dropped.await.is_err(), "the task was dropped");
}

#[tokio::test]
async fn a_source_that_never_answers_is_given_up() {
    #[derive(Debug)]
    struct Never;

    #[async_trait]
    impl KeySource for Never {
        async fn fetch(&self, _: Option<&ETag>) -> Result<Fetched, Unavailable> {
            futures::future::pending().await
        }
    }

    let scene = Scene::new();
    let verifier = scene.builder(Arc::new(Never)).build().unwrap();
    let token = scene.token();
    let time = async {
        scene.clock.sleeping(1).await;
        scene.advance(5);
    };
    let (verdict, ()) = futures::join!(scene.verify(&verifier, &token), time);
    unavailable(verdict, UnavailableReason::KeysNotLoaded);
}

#[tokio::test]
async fn not_modified_without_a_set_is_a_failure() {
    #[derive(Debug)]
    struct Unmodified;

    #[async_trait]
    impl KeySource for Unmodified {
        async fn fetch(&self, _: Option<&ETag>) -> Result<Fetched, Unavailable> {
            Ok(Fetched::NotModified { max_age: None })
        }
    }

    let scene = Scene::new();
    let verifier = scene.builder(Arc::new(Unmodified)).build().unwrap();
    unavailable(scene.verify(&verifier, &scene.token()).await, UnavailableReason::KeysNotLoaded);
}
