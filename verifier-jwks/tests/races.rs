//! What happens between a look and a decision, made to happen: the clock lands the fetch when it is read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::executor::block_on;
use futures::future::{BoxFuture, pending};
use verifier_core::error::Unavailable;
use verifier_core::runtime::{Env, NoRuntime, Runtime};
use verifier_core::time::{Clock, Now};
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::verifier::{TokenVerifier as _, VerifyRequest};
use verifier_jwks::{ETag, Fetched, JwksVerifier, KeySource};
use verifier_testkit::{Algorithm, AuthorizationServer, ManualClock, TokenRequest};

type Hook = Box<dyn FnOnce() + Send>;

/// Runs something when it is read next.
struct HookedClock {
    inner: ManualClock,
    hook: Mutex<Option<Hook>>,
}

impl fmt::Debug for HookedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookedClock")
    }
}

impl Clock for HookedClock {
    fn now(&self) -> Now {
        let hook = self.hook.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        self.inner.now()
    }
}

/// Holds tasks until told to run them.
#[derive(Default)]
struct HeldRuntime(Mutex<Vec<BoxFuture<'static, ()>>>);

impl HeldRuntime {
    fn run(&self) -> usize {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap());
        let count = tasks.len();
        tasks.into_iter().for_each(block_on);
        count
    }
}

impl fmt::Debug for HeldRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldRuntime")
    }
}

impl Runtime for HeldRuntime {
    fn try_spawn(&self, task: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
        self.0.lock().unwrap().push(task);
        Ok(())
    }

    fn sleep(&self, _: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
        Ok(Box::pin(pending()))
    }
}

/// What the server publishes at the moment, without a network.
#[derive(Debug)]
struct Published {
    server: Arc<AuthorizationServer>,
    fetches: AtomicUsize,
}

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self, _: Option<&ETag>) -> Result<Fetched, Unavailable> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        Ok(Fetched::jwk_set(self.server.jwks().to_string()))
    }
}

struct Race {
    server: Arc<AuthorizationServer>,
    source: Arc<Published>,
    clock: Arc<HookedClock>,
    runtime: Arc<HeldRuntime>,
    verifier: JwksVerifier,
}

impl Race {
    fn new() -> Self {
        let inner = ManualClock::new();
        let server = AuthorizationServer::builder()
            .clock(inner.clone())
            .lifetime(Duration::from_secs(100_000))
            .start()
            .unwrap();
        let server = Arc::new(server);
        let clock = Arc::new(HookedClock { inner, hook: Mutex::default() });
        let runtime = Arc::new(HeldRuntime::default());
        let source = Arc::new(Published { server: Arc::clone(&server), fetches: AtomicUsize::new(0) });
        let env = Env::new(Arc::clone(&clock) as _, Arc::clone(&runtime) as _);
        let verifier = JwksVerifier::builder(
            support::rules(server.issuer()),
            support::policy(),
            Arc::clone(&source) as _,
            env,
        )
        .build()
        .unwrap();
        Self { server, source, clock, runtime, verifier }
    }

    /// Whether a token of the signing key gets its verdict at once, and which.
    fn verify_at_once(&self) -> Option<Result<(), &'static str>> {
        let token = self.server.issue(TokenRequest::new().subject("alice")).token;
        let token = AccessToken::new(&token, DEFAULT_MAX_TOKEN_LEN).unwrap();
        let request = VerifyRequest::new(&token, self.clock.inner.now());
        let verdict = self.verifier.verify(&request).into_ready().ok()?;
        Some(verdict.map(|_| ()).map_err(|error| error.code()))
    }

    fn when_the_clock_is_read(&self) {
        let runtime = Arc::clone(&self.runtime);
        *self.clock.hook.lock().unwrap() = Some(Box::new(move || assert_eq!(runtime.run(), 1)));
    }
}

#[test]
fn a_set_that_lands_between_the_look_and_the_decision_is_looked_at() {
    let race = Race::new();
    assert_eq!(race.verify_at_once(), None, "nothing is loaded");
    race.runtime.run();
    assert_eq!(race.verify_at_once(), Some(Ok(())));

    // A fetch ahead of the set's age is under way when the new key begins to sign.
    race.clock.inner.advance(Duration::from_secs(590));
    assert_eq!(race.verify_at_once(), Some(Ok(())));
    let kid = race.server.add_key(Algorithm::ES256);
    race.server.promote(&kid);
    race.when_the_clock_is_read();
    assert_eq!(race.verify_at_once(), Some(Ok(())), "the set that landed has the key");
    assert_eq!(race.source.fetches.load(Ordering::SeqCst), 2, "and no slot of unknown kids was used");
    assert_eq!(race.runtime.run(), 0);
}

#[test]
fn a_first_set_that_lands_between_the_look_and_the_decision_is_looked_at() {
    let race = Race::new();
    assert_eq!(race.verify_at_once(), None);
    race.when_the_clock_is_read();
    assert_eq!(race.verify_at_once(), Some(Ok(())));
    assert_eq!(race.source.fetches.load(Ordering::SeqCst), 1);
}

#[test]
fn a_first_set_that_lands_while_readiness_is_looked_at_is_not_fetched_again() {
    let race = Race::new();
    assert_eq!(race.verify_at_once(), None);
    // The first reading is for the look, the second for the decision.
    let (clock, runtime) = (Arc::clone(&race.clock), Arc::clone(&race.runtime));
    *race.clock.hook.lock().unwrap() = Some(Box::new(move || {
        *clock.hook.lock().unwrap() = Some(Box::new(move || assert_eq!(runtime.run(), 1)));
    }));
    assert_eq!(race.verifier.store().ready(None).now_or_never(), Some(Ok(())));
    assert_eq!(race.source.fetches.load(Ordering::SeqCst), 1);
    assert_eq!(race.runtime.run(), 0);
}

#[test]
fn an_attempt_that_could_not_be_spawned_does_not_end_the_next_one() {
    /// Takes no first task; while it refuses, another caller's is taken.
    struct Refusing {
        held: HeldRuntime,
        meanwhile: Mutex<Option<Hook>>,
    }

    impl fmt::Debug for Refusing {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Refusing")
        }
    }

    impl Runtime for Refusing {
        fn try_spawn(&self, task: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
            let meanwhile = self.meanwhile.lock().unwrap().take();
            let Some(meanwhile) = meanwhile else { return self.held.try_spawn(task) };
            drop(task);
            meanwhile();
            Err(NoRuntime)
        }

        fn sleep(&self, _: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
            Ok(Box::pin(pending()))
        }
    }

    /// Takes more than one look at it.
    #[derive(Debug)]
    struct Slow(Arc<Published>);

    #[async_trait]
    impl KeySource for Slow {
        async fn fetch(&self, known: Option<&ETag>) -> Result<Fetched, Unavailable> {
            tokio::task::yield_now().await;
            self.0.fetch(known).await
        }
    }

    let race = Race::new();
    let runtime = Arc::new(Refusing { held: HeldRuntime::default(), meanwhile: Mutex::default() });
    let verifier = JwksVerifier::builder(
        support::rules(race.server.issuer()),
        support::policy(),
        Arc::new(Slow(Arc::clone(&race.source))),
        Env::new(Arc::clone(&race.clock) as _, Arc::clone(&runtime) as _),
    )
    .build()
    .unwrap();
    let ask = {
        let (verifier, server, now) = (verifier.clone(), Arc::clone(&race.server), race.clock.inner.now());
        move || {
            let token = server.issue(TokenRequest::new()).token;
            let token = AccessToken::new(&token, DEFAULT_MAX_TOKEN_LEN).unwrap();
            drop(verifier.verify(&VerifyRequest::new(&token, now)));
        }
    };
    *runtime.meanwhile.lock().unwrap() = Some(Box::new(ask.clone()));
    ask();
    assert_eq!(runtime.held.run(), 1);
    assert_eq!(verifier.store().is_usable(race.clock.inner.now()), Ok(()));
    assert_eq!(race.source.fetches.load(Ordering::SeqCst), 1);
}
