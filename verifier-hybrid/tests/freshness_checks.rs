//! Each check of freshness by itself: they stand behind one another, so that the whole would hide the loss of one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod sim;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::BoxFuture;
use sim::Rng;
use sim::clock::{START, SimClock};
use sim::runtime::{Flag, Handle, SimRuntime};
use sim::server::{Network, SimServer};
use sim::tokens::{ISSUER, Token};
use verifier_core::claims::Facts;
use verifier_core::endpoint::{Endpoint, Schemes};
use verifier_core::error::UnavailableReason;
use verifier_core::evidence::{Evidence, RevocationBasis, StatusSource, Strategy};
use verifier_core::freshness::Freshness;
use verifier_core::identity::Identity;
use verifier_core::json::{JsonLimits, Object};
use verifier_core::policy::{IssuerRules, ValidationPolicy};
use verifier_core::profile::TokenProfile;
use verifier_core::revocation::{Check, CouldNotAsk, RevocationChecker, RevocationQuery, RevocationStatus};
use verifier_core::runtime::Env;
use verifier_core::time::{Clock, Now};
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::verifier::{Asked, Judged, TokenVerifier, VerifyRequest};
use verifier_hybrid::HybridVerifier;
use verifier_introspect::{ClientAuth, EndpointSource, IntrospectionConfig, Introspector};
use verifier_testkit::doubles::FixedVerifier;

type Answer = Result<RevocationStatus, CouldNotAsk>;

struct Desk {
    clock: Arc<SimClock>,
    runtime: Arc<SimRuntime>,
    server: Arc<SimServer>,
    env: Env,
    introspector: Introspector,
    token: Token,
    rng: Rng,
}

impl Desk {
    fn new() -> Self {
        let clock = Arc::new(SimClock::new());
        let runtime = SimRuntime::new(Arc::clone(&clock));
        let server = SimServer::new(Arc::clone(&clock), false);
        let token = Token::new(0, START - 600, 86_400, true, false, true);
        server.issue(token.clone());
        let env = Env::new(Arc::clone(&clock) as _, Arc::new(Handle(Arc::clone(&runtime))));
        let introspector = Introspector::builder(
            IssuerRules::new(ISSUER, TokenProfile::generic()).unwrap(),
            EndpointSource::Fixed(
                Endpoint::parse("https://issuer.example/introspect", Schemes::Secure).unwrap(),
            ),
            IntrospectionConfig::new(ClientAuth::None),
            Arc::new(Network(Arc::clone(&server))),
            env.clone(),
        )
        .build()
        .unwrap();
        Self { clock, runtime, server, env, introspector, token, rng: Rng::new(1) }
    }

    /// The checker's answer for a request that arrives now.
    fn status(&self, freshness: Duration) -> Asked<'static, Answer> {
        let introspector = self.introspector.clone();
        let arrival = self.clock.now();
        let text = self.token.text.clone();
        let ask = move |introspector: &Introspector| {
            let token = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN).unwrap();
            let request = VerifyRequest::new(&token, arrival);
            let who = Identity::new(ISSUER, Some("t0"), None, None, None, None);
            match introspector.status(&RevocationQuery::new(&request, &who, freshness, None)) {
                Asked::Ready(answer) => Ok(answer),
                Asked::Pending(_) => Err(()),
            }
        };
        match ask(&introspector) {
            Ok(answer) => Asked::Ready(answer),
            Err(()) => {
                let text = self.token.text.clone();
                Asked::Pending(Box::pin(async move {
                    let token = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN).unwrap();
                    let request = VerifyRequest::new(&token, arrival);
                    let who = Identity::new(ISSUER, Some("t0"), None, None, None, None);
                    introspector.status(&RevocationQuery::new(&request, &who, freshness, None)).await
                }))
            }
        }
    }

    fn polled(asked: &mut BoxFuture<'static, Answer>) -> Option<Answer> {
        match asked.as_mut().poll(&mut Context::from_waker(&Waker::from(Flag::raised()))) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    /// Whatever can go on does.
    fn run(&mut self) {
        while self.runtime.run_one(&mut self.rng) || self.server.go_on(&mut self.rng) {}
    }

    fn answer(&mut self, freshness: Duration) -> Answer {
        match self.status(freshness) {
            Asked::Ready(answer) => answer,
            Asked::Pending(mut asked) => {
                for _ in 0..10 {
                    if let Some(answer) = Self::polled(&mut asked) {
                        return answer;
                    }
                    self.run();
                }
                panic!("no answer");
            }
        }
    }
}

fn is_active(answer: &Answer) -> bool {
    matches!(answer, Ok(RevocationStatus::Active { .. }))
}

#[test]
fn the_store_hands_out_no_answer_that_is_too_old() {
    let mut desk = Desk::new();
    let minute = Duration::from_secs(60);
    assert!(is_active(&desk.answer(minute)));
    desk.clock.advance(Duration::from_secs(40));
    assert!(desk.status(minute).is_ready());
    assert!(!desk.status(Duration::from_secs(40)).is_ready(), "40 s and some nanoseconds");
    desk.clock.advance(Duration::from_secs(20));
    assert!(!desk.status(minute).is_ready());
    desk.server.revoke(0);
    assert!(matches!(desk.answer(minute), Ok(RevocationStatus::Inactive { .. })));
}

#[test]
fn a_flight_that_left_too_early_is_not_joined() {
    let mut desk = Desk::new();
    let Asked::Pending(mut first) = desk.status(Duration::ZERO) else { panic!("nothing is held") };
    assert!(Desk::polled(&mut first).is_none());
    // Departs, and is judged by the server: active.
    while desk.runtime.run_one(&mut desk.rng) {}
    assert!(desk.server.go_on(&mut desk.rng));
    desk.server.revoke(0);
    // Who comes now and demands live knowledge must not be given what was asked before.
    let Asked::Pending(mut second) = desk.status(Duration::ZERO) else { panic!("nothing is held") };
    assert!(Desk::polled(&mut second).is_none());
    let (mut of_first, mut of_second) = (None, None);
    for _ in 0..10 {
        desk.run();
        of_first = of_first.or_else(|| Desk::polled(&mut first));
        of_second = of_second.or_else(|| Desk::polled(&mut second));
        if of_first.is_some() && of_second.is_some() {
            break;
        }
    }
    assert!(is_active(&of_first.unwrap()), "it was, when the first one asked");
    assert!(matches!(of_second.unwrap(), Ok(RevocationStatus::Inactive { .. })));
    assert_eq!(desk.server.exchanges_begun(), 2);
}

/// Says "active", as old as it likes, whatever was asked.
#[derive(Debug)]
struct OldNews(Now);

impl RevocationChecker for OldNews {
    fn status<'a>(&'a self, _: &RevocationQuery<'_>) -> Check<'a> {
        Asked::Ready(Ok(RevocationStatus::Active { as_of: self.0, answer: None }))
    }
}

fn facts() -> Arc<Facts> {
    let rules = IssuerRules::new(ISSUER, TokenProfile::generic()).unwrap();
    let object = Object::parse(br#"{"sub":"alice","aud":"api"}"#, JsonLimits::CLAIMS).unwrap();
    Arc::new(Facts::from_answer(object, &rules).unwrap())
}

#[test]
fn the_decision_takes_no_status_that_is_older_than_was_asked_for() {
    let desk = Desk::new();
    let old = OldNews(desk.clock.now());
    desk.clock.advance(Duration::from_secs(60));
    let judged = Judged::new(facts(), Evidence::new(Strategy::Jwks));
    let local = FixedVerifier::new(Ok(judged));
    let policy = ValidationPolicy::for_audience("api").build().unwrap();
    let verifier = HybridVerifier::builder(Arc::new(local), vec![Arc::new(old)], policy, desk.env.clone())
        .build()
        .unwrap();
    let token = AccessToken::new("x", DEFAULT_MAX_TOKEN_LEN).unwrap();
    let request = VerifyRequest::new(&token, desk.clock.now());
    let verdict = verifier.verify(&request).into_ready().ok().unwrap();
    assert_eq!(verdict.unwrap_err(), UnavailableReason::TooStale.into());
}

#[test]
fn the_last_step_takes_no_evidence_that_is_older_than_the_request_demands() {
    let desk = Desk::new();
    let as_of = desk.clock.now();
    desk.clock.advance(Duration::from_secs(10));
    let mut evidence = Evidence::new(Strategy::Custom);
    let token = AccessToken::new("x", DEFAULT_MAX_TOKEN_LEN).unwrap();
    let finish = |evidence: Evidence, freshness| {
        let request = VerifyRequest::new(&token, desk.clock.now()).with_freshness(freshness);
        Judged::new(facts(), evidence).finish(&request).map(drop)
    };
    let seconds = |n| Freshness::at_most(Duration::from_secs(n));
    assert_eq!(finish(evidence, seconds(11)), Err(UnavailableReason::NoRevocationSource.into()));
    assert_eq!(finish(evidence, Freshness::CONFIGURED), Ok(()));
    for basis in [
        RevocationBasis::Active { as_of, source: StatusSource::Custom },
        RevocationBasis::Stale { as_of, source: StatusSource::Custom },
    ] {
        evidence.revocation = basis;
        assert_eq!(finish(evidence, seconds(11)), Ok(()));
        assert_eq!(finish(evidence, seconds(10)), Err(UnavailableReason::TooStale.into()));
        assert_eq!(finish(evidence, Freshness::LIVE), Err(UnavailableReason::TooStale.into()));
    }
}
