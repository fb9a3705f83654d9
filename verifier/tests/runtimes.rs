//! One verifier and many runtimes: shared by several in turn, used off tokio, with callers that go away and runtimes
//! that die or stand still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use futures::FutureExt;
use stage::{code, section};
use tokio::runtime::Builder;
use verifier::http::TokioRuntime;
use verifier::{Backends, Verifier, VerifierConfig};
use verifier_testkit::{AuthorizationServer, Endpoint, Fault, Gate, ManualClock, TokenRequest};

/// Past the age of every key set, with its stale window; past every answer.
const LONG: Duration = Duration::from_secs(3 * 3_600);

/// Everything made outside of any runtime.
struct World {
    clock: ManualClock,
    server: AuthorizationServer,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::new();
        let server = AuthorizationServer::builder().clock(clock.clone()).start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("api"), "api-secret").unwrap();
        Self { clock, server, folder }
    }

    fn verifier(&self, strategy: &str, backends: Backends) -> Verifier {
        let toml = section(self.server.issuer(), strategy, &self.folder.path().join("api"));
        let backends = backends.clock(Arc::new(self.clock.clone()));
        VerifierConfig::from_toml(&toml).unwrap().build_with(&backends).unwrap()
    }

    fn token(&self) -> String {
        self.server.issue(TokenRequest::new()).token
    }
}

/// Runs on a thread of its own; a hang fails the test in place of hanging it.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_secs(60)).expect("no answer: it hangs, or it panicked")
}

fn current_thread() -> tokio::runtime::Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn three_current_thread_runtimes_in_turn_share_one_verifier() {
    for strategy in stage::STRATEGIES {
        let world = World::new();
        let verifier = world.verifier(strategy, Backends::new());
        for turn in 1..=3 {
            let token = world.token();
            let outcome = current_thread().block_on(verifier.verify(&token));
            assert_eq!(code(&outcome), "verified", "{strategy}, turn {turn}");
            let counts = world.server.counts();
            let asked = if strategy == "introspection" { counts.introspection } else { counts.jwks };
            assert_eq!(asked, turn, "{strategy}: asked anew by each runtime");
            // The runtime is gone, and so is the use of all that was kept.
            world.clock.advance(LONG);
        }
    }
}

#[test]
fn any_executor_will_do() {
    for strategy in stage::STRATEGIES {
        let world = World::new();
        let verifier = world.verifier(strategy, Backends::new());
        pollster::block_on(verifier.ready(Duration::from_secs(30))).unwrap();
        assert_eq!(code(&pollster::block_on(verifier.verify(&world.token()))), "verified", "{strategy}");
        world.clock.advance(LONG);
        assert_eq!(
            code(&futures::executor::block_on(verifier.verify(&world.token()))),
            "verified",
            "{strategy}"
        );
        world.clock.advance(LONG);
        let (verifier, token) = (verifier.clone(), world.token());
        let outcome = in_time(move || pollster::block_on(async { verifier.verify(&token).await }));
        assert_eq!(code(&outcome), "verified", "{strategy}");
    }
}

#[test]
fn a_runtime_of_the_callers_that_died_makes_unavailable_and_never_a_hang() {
    for strategy in stage::STRATEGIES {
        let world = World::new();
        let first = current_thread();
        let runtime = Arc::new(TokioRuntime::from_handle(first.handle().clone()));
        let verifier = world.verifier(strategy, Backends::new().runtime(runtime));
        let token = world.token();
        assert_eq!(code(&first.block_on(verifier.verify(&token))), "verified", "{strategy}");
        drop(first);
        world.clock.advance(LONG);
        let token = world.token();
        let asked = verifier.clone();
        let outcome = in_time(move || current_thread().block_on(async { asked.verify(&token).await }));
        let error = outcome.expect_err("nothing is left to ask on");
        assert_eq!(error.status(), 503, "{strategy}: {error}");
    }
}

#[test]
fn a_runtime_that_dies_during_a_call_makes_unavailable_and_never_a_hang() {
    for strategy in stage::STRATEGIES {
        let world = World::new();
        let gate = Gate::new();
        let held = if strategy == "jwks" { Endpoint::Jwks } else { Endpoint::Introspection };
        world.server.faults().on(held, Fault::Delay(gate.clone()));
        let doomed = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let runtime = Arc::new(TokioRuntime::from_handle(doomed.handle().clone()));
        let verifier = world.verifier(strategy, Backends::new().runtime(runtime));
        let token = world.token();
        let waiting = std::thread::spawn(move || pollster::block_on(async { verifier.verify(&token).await }));
        pollster::block_on(gate.arrived(1));
        doomed.shutdown_background();
        let outcome = in_time(move || waiting.join().unwrap());
        assert_eq!(outcome.expect_err("its flight is lost").status(), 503, "{strategy}");
        gate.open();
    }
}

#[test]
fn callers_that_go_away_take_nothing_with_them() {
    for strategy in stage::STRATEGIES {
        let world = World::new();
        let gate = Gate::new();
        let held = if strategy == "jwks" { Endpoint::Jwks } else { Endpoint::Introspection };
        world.server.faults().on(held, Fault::Delay(gate.clone()));
        let verifier = world.verifier(strategy, Backends::new());
        if strategy == "hybrid" {
            pollster::block_on(verifier.ready(Duration::from_secs(30))).unwrap();
        }
        let token = world.token();
        for _ in 0..3 {
            assert!(verifier.verify(&token).now_or_never().is_none(), "{strategy}: it waits");
        }
        pollster::block_on(gate.arrived(1));
        gate.open();
        assert_eq!(code(&pollster::block_on(verifier.verify(&token))), "verified", "{strategy}");
        let counts = world.server.counts();
        let asked = if strategy == "jwks" { counts.jwks } else { counts.introspection };
        assert_eq!(asked, 1, "{strategy}: the question outlived those who asked");
    }
}

#[test]
fn a_parked_runtime_stalls_nobody() {
    for strategy in stage::STRATEGIES {
        let world = World::new();
        let gate = Gate::new();
        let held = if strategy == "jwks" { Endpoint::Jwks } else { Endpoint::Introspection };
        world.server.faults().on(held, Fault::Delay(gate.clone()));
        let verifier = world.verifier(strategy, Backends::new());
        if strategy == "hybrid" {
            // It asks about a token only once it has found it good, which a caller has to stay for.
            pollster::block_on(verifier.ready(Duration::from_secs(30))).unwrap();
        }
        let token = world.token();
        // Starts the call on a current-thread runtime, and leaves that alive and undriven.
        let parked = current_thread();
        let mut call = Box::pin({
            let (verifier, token) = (verifier.clone(), token.clone());
            async move { verifier.verify(&token).await }
        });
        parked.block_on(async { assert!((&mut call).now_or_never().is_none(), "{strategy}: it waits") });
        pollster::block_on(gate.arrived(1));
        gate.open();
        let outcome = in_time(move || pollster::block_on(async { verifier.verify(&token).await }));
        assert_eq!(code(&outcome), "verified", "{strategy}");
        assert_eq!(code(&parked.block_on(call)), "verified", "{strategy}: and the parked one goes on");
    }
}
