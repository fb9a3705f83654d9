//! The freshness contract under arbitrary histories: simulated time, a simulated server that takes its time, answers
//! that overtake each other, revocations with and without an event, clock steps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use proptest::prelude::*;
use verifier_core::endpoint::{Endpoint, Schemes};
use verifier_core::error::VerifyError;
use verifier_core::freshness::Freshness;
use verifier_core::policy::IssuerRules;
use verifier_core::profile::TokenProfile;
use verifier_core::revocation::{RevocationEvent, RevocationLog, RevocationRule};
use verifier_core::time::{Clock, Now};
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::transport::{HttpTransport, Limits, TransportError};
use verifier_core::verifier::{TokenVerifier, VerifyRequest};
use verifier_introspect::{
    AnswerFreshness, ClientAuth, EndpointSource, IntrospectionConfig, IntrospectionVerifier, Introspector,
};
use verifier_testkit::{ManualClock, TestRuntime};

const ISSUER: &str = "https://idp.example";
const TOKENS: usize = 2;
const CONFIGURED: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    WallForward(u64),
    WallBack(u64),
    /// The server alone knows.
    Revoke(usize),
    /// The server knows, and an event says so.
    RevokeAndTell(usize),
    /// An event about something else.
    Noise,
    Ask(usize, Option<u64>),
    /// How long the server takes before and after it judges, and whether it answers at all, from now on.
    Mood(u64, u64, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let token = 0..TOKENS;
    let step = prop_oneof![
        4 => (0_u64..6_000).prop_map(Step::Pass),
        1 => (0_u64..60_000).prop_map(Step::WallForward),
        1 => (0_u64..60_000).prop_map(Step::WallBack),
        1 => token.clone().prop_map(Step::Revoke),
        1 => token.clone().prop_map(Step::RevokeAndTell),
        1 => Just(Step::Noise),
        8 => (token, proptest::option::of(0_u64..12_000)).prop_map(|(token, age)| Step::Ask(token, age)),
        1 => (0_u64..1_500, 0_u64..1_500, prop::bool::weighted(0.8))
            .prop_map(|(before, after, works)| Step::Mood(before, after, works)),
    ];
    proptest::collection::vec(step, 1..60)
}

#[derive(Debug)]
struct World {
    clock: ManualClock,
    mood: Mutex<(u64, u64, bool)>,
    revoked: Mutex<[Option<Now>; TOKENS]>,
    /// Of which tokens an event has said that they are revoked.
    told: Mutex<[bool; TOKENS]>,
}

#[async_trait]
impl HttpTransport for World {
    async fn send(&self, request: Request<Bytes>, _: Limits) -> Result<Response<Bytes>, TransportError> {
        let (before, after, works) = *self.mood.lock().unwrap();
        let token =
            (0..TOKENS).find(|n| request.body().starts_with(format!("token=t{n}&").as_bytes())).unwrap();
        self.clock.timer(Duration::from_millis(before)).await;
        let revoked = self.revoked.lock().unwrap()[token].is_some();
        self.clock.timer(Duration::from_millis(after)).await;
        if !works {
            return Ok(Response::builder().status(500).body(Bytes::new()).unwrap());
        }
        let body = if revoked {
            r#"{"active":false}"#.to_owned()
        } else {
            format!(r#"{{"active":true,"aud":"https://api.example.com","jti":"t{token}","sub":"s"}}"#)
        };
        Ok(Response::new(body.into()))
    }
}

struct Asked {
    token: usize,
    arrival: Now,
    freshness: Duration,
    told: bool,
    verdict: Result<Duration, VerifyError>,
}

async fn settle() {
    for _ in 0..40 {
        tokio::task::yield_now().await;
    }
}

async fn live_through(steps: Vec<Step>) -> (Vec<Asked>, [Option<Now>; TOKENS]) {
    let clock = ManualClock::new();
    let world = Arc::new(World {
        clock: clock.clone(),
        mood: Mutex::new((0, 0, true)),
        revoked: Mutex::default(),
        told: Mutex::default(),
    });
    let log = Arc::new(RevocationLog::new());
    let mut config = IntrospectionConfig::new(ClientAuth::None);
    config.freshness = AnswerFreshness::AtMost(CONFIGURED);
    config.negative_ttl = Duration::from_secs(2);
    config.upstream.breaker_failures = 1_000_000;
    let introspector = Introspector::builder(
        IssuerRules::new(ISSUER, TokenProfile::generic()).unwrap(),
        EndpointSource::Fixed(Endpoint::parse("https://idp.example/introspect", Schemes::Secure).unwrap()),
        config,
        world.clone(),
        TestRuntime::current(clock.clone()).unwrap().env(),
    )
    .log(log.clone())
    .build()
    .unwrap();
    let verifier = Arc::new(IntrospectionVerifier::new(introspector, support::policy()));
    let mut calls = Vec::new();
    let event = |jti: &str| {
        log.append(RevocationRule::from(&RevocationEvent::Token {
            issuer: ISSUER.into(),
            jwt_id: jti.into(),
            expires_at: None,
        }));
    };
    for step in steps {
        match step {
            Step::Pass(ms) => {
                // In small pieces, so that the server's timers fire in order.
                let mut left = ms;
                while left > 0 {
                    let piece = left.min(250);
                    clock.advance(Duration::from_millis(piece));
                    settle().await;
                    left -= piece;
                }
            }
            Step::WallForward(ms) => clock.step_wall_forward(Duration::from_millis(ms)),
            Step::WallBack(ms) => clock.step_wall_back(Duration::from_millis(ms)),
            Step::Revoke(token) => {
                world.revoked.lock().unwrap()[token].get_or_insert(clock.now());
            }
            Step::RevokeAndTell(token) => {
                world.revoked.lock().unwrap()[token].get_or_insert(clock.now());
                event(&format!("t{token}"));
                world.told.lock().unwrap()[token] = true;
            }
            Step::Noise => event("noise"),
            Step::Mood(before, after, works) => *world.mood.lock().unwrap() = (before, after, works),
            Step::Ask(token, age) => {
                let (verifier, world, arrival) = (Arc::clone(&verifier), Arc::clone(&world), clock.now());
                let demand =
                    age.map_or(Freshness::CONFIGURED, |ms| Freshness::at_most(Duration::from_millis(ms)));
                calls.push(tokio::spawn(async move {
                    let text = format!("t{token}");
                    let access = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN).unwrap();
                    let request = VerifyRequest::new(&access, arrival).with_freshness(demand);
                    let verdict = verifier.verify(&request).await.map(|judged| {
                        let evidence = *judged.evidence();
                        judged.finish(&request).expect("the demand is met");
                        evidence.revocation_age(arrival).unwrap()
                    });
                    // Also what came to be known while we asked.
                    let told = world.told.lock().unwrap()[token];
                    Asked { token, arrival, freshness: demand.tighten(CONFIGURED), told, verdict }
                }));
                settle().await;
            }
        }
    }
    while calls.iter().any(|call| !call.is_finished()) {
        clock.advance(Duration::from_millis(500));
        settle().await;
    }
    let mut asked = Vec::new();
    for call in calls {
        asked.push(call.await.unwrap());
    }
    let revoked = *world.revoked.lock().unwrap();
    (asked, revoked)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_acceptance_rests_on_older_knowledge_than_allowed(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (asked, revoked) = runtime.block_on(live_through(steps));
        for Asked { token, arrival, freshness, told, verdict } in asked {
            if let Ok(age) = verdict {
                prop_assert!(age <= freshness, "says itself that it is {age:?} old");
                prop_assert!(!told, "an event had said so by then");
                if let Some(revoked) = revoked[token] {
                    let allowed = arrival.monotonic.minus(freshness);
                    prop_assert!(revoked.monotonic >= allowed, "revoked too long ago");
                }
            } else if let Err(VerifyError::Rejected(_)) = verdict {
                prop_assert!(revoked[token].is_some(), "nobody else says that a token is bad");
            }
        }
    }
}
