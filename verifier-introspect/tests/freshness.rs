//! How old an answer may be, who shares a question, and what a revocation event does to answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use support::{ASKED, Desk, Held, our_auth, rejected, secs, transport, unavailable};
use verifier_core::error::{Rejection, UnavailableReason as U, VerifyError};
use verifier_core::freshness::Freshness;
use verifier_core::policy::ValidationPolicy;
use verifier_core::revocation::{RevocationEvent, RevocationList, RevocationLog, RevocationRule};
use verifier_core::time::Clock;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN, Digest};
use verifier_core::transport::{HttpTransport, Limits, TransportError};
use verifier_core::verifier::{TokenVerifier, VerifyRequest};
use verifier_http::ReqwestTransport;
use verifier_introspect::{AnswerFreshness, Cache, IntrospectionVerifier};
use verifier_testkit::{Fault, Gate, TokenRequest};

#[tokio::test]
async fn an_answer_serves_for_its_freshness_and_says_its_age() {
    let desk = Desk::start();
    let issued = desk.issue();
    desk.verify(&issued.token).await.unwrap();
    desk.clock.advance(secs(40));
    let verified = desk.held(&issued.token).unwrap();
    assert!(verified.evidence().from_cache);
    assert_eq!(verified.revocation_age(), Some(secs(40)));
    desk.clock.advance(secs(21));
    assert_eq!(desk.calls(), 1);
    assert_eq!(desk.verify(&issued.token).await.unwrap().revocation_age(), Some(secs(0)));
    assert_eq!(desk.calls(), 2);
}

#[tokio::test]
async fn a_request_can_demand_less_age_and_never_allow_more() {
    let desk = Desk::start();
    let issued = desk.issue();
    desk.verify(&issued.token).await.unwrap();
    desk.clock.advance(secs(10));
    desk.verify_within(&issued.token, Freshness::at_most(secs(12))).await.unwrap();
    assert_eq!(desk.calls(), 1);
    desk.clock.advance(secs(10));
    desk.verify_within(&issued.token, Freshness::at_most(secs(12))).await.unwrap();
    assert_eq!(desk.calls(), 2);
    for n in 3..6 {
        desk.clock.advance(secs(1));
        let live = desk.verify_within(&issued.token, Freshness::LIVE).await.unwrap();
        assert_eq!((desk.calls(), live.revocation_age()), (n, Some(secs(0))), "live asks every time");
    }
    desk.clock.advance(secs(61));
    desk.verify_within(&issued.token, Freshness::at_most(secs(3_600))).await.unwrap();
    assert_eq!(desk.calls(), 6, "a request can only tighten");
}

#[tokio::test]
async fn a_revocation_is_noticed_within_the_freshness() {
    let desk = Desk::start();
    let issued = desk.issue();
    desk.verify(&issued.token).await.unwrap();
    desk.server.revoke(&issued.token);
    desk.clock.advance(secs(45));
    assert!(desk.held(&issued.token).is_ok(), "as old as it may be");
    desk.clock.advance(secs(16));
    assert_eq!(desk.verify(&issued.token).await.err(), Some(rejected(Rejection::Inactive)));
    // Live at once.
    let other = desk.issue();
    desk.verify(&other.token).await.unwrap();
    desk.server.revoke(&other.token);
    desk.clock.advance(secs(1));
    let live = desk.verify_within(&other.token, Freshness::LIVE).await;
    assert_eq!(live.err(), Some(rejected(Rejection::Inactive)));
    assert_eq!(desk.held(&other.token).err(), Some(rejected(Rejection::Inactive)), "and for all others too");
}

#[tokio::test]
async fn inactive_is_not_for_ever() {
    // R02, I06
    let desk = Desk::start();
    let issued = desk.issue();
    desk.server.lose_store(true);
    assert_eq!(desk.verify(&issued.token).await.err(), Some(rejected(Rejection::Inactive)));
    desk.server.lose_store(false);
    desk.clock.advance(secs(10));
    assert_eq!(desk.held(&issued.token).err(), Some(rejected(Rejection::Inactive)));
    let live = desk.verify_within(&issued.token, Freshness::LIVE).await;
    assert_eq!(live.err(), Some(rejected(Rejection::Inactive)), "a dead token costs no live calls");
    assert_eq!(desk.calls(), 1);
    desk.clock.advance(secs(1));
    assert!(desk.verify(&issued.token).await.is_ok());
    assert_eq!(desk.calls(), 2);
    // The same for a token that was active before.
    desk.server.lose_store(true);
    desk.clock.advance(secs(61));
    assert!(desk.verify(&issued.token).await.is_err());
    desk.server.lose_store(false);
    desk.clock.advance(secs(11));
    assert!(desk.verify(&issued.token).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stampede_is_one_call() {
    let desk = Arc::new(Desk::start());
    let issued = desk.issue();
    let gate = Held(Gate::new());
    desk.server.faults().on(ASKED, Fault::Delay(gate.0.clone()));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (desk, token) = (Arc::clone(&desk), issued.token.clone());
            tokio::spawn(async move { desk.verify(&token).await.map(drop) })
        })
        .collect();
    gate.0.arrived(1).await;
    gate.0.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(()));
    }
    assert_eq!(desk.calls(), 1);
}

#[tokio::test]
async fn a_caller_who_goes_away_takes_nobody_along() {
    let desk = Arc::new(Desk::start());
    let issued = desk.issue();
    let gate = Held(Gate::new());
    desk.server.faults().on(ASKED, Fault::Delay(gate.0.clone()));
    let ask = || {
        let (desk, token) = (Arc::clone(&desk), issued.token.clone());
        tokio::spawn(async move { desk.verify(&token).await.map(drop) })
    };
    let leader = ask();
    gate.0.arrived(1).await;
    let follower = ask();
    tokio::task::yield_now().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    gate.0.open();
    assert_eq!(follower.await.unwrap(), Ok(()));
    assert_eq!(desk.calls(), 1);
    // Nobody left: the answer is kept all the same.
    let gate = Held(Gate::new());
    desk.server.faults().on(ASKED, Fault::Delay(gate.0.clone()));
    desk.clock.advance(secs(61));
    let alone = ask();
    gate.0.arrived(1).await;
    alone.abort();
    gate.0.open();
    desk.landed().await;
    assert!(desk.held(&issued.token).is_ok());
}

#[tokio::test]
async fn a_question_that_left_too_early_is_not_joined() {
    let desk = Arc::new(Desk::start());
    let issued = desk.issue();
    let gate = Held(Gate::new());
    desk.server.faults().next(ASKED, 1, Fault::DelayAnswer(gate.0.clone()));
    let ask = |freshness: Freshness| {
        let (desk, token) = (Arc::clone(&desk), issued.token.clone());
        tokio::spawn(async move { desk.verify_within(&token, freshness).await.map(drop) })
    };
    let early = ask(Freshness::CONFIGURED);
    gate.0.arrived(1).await;
    // The server has judged. Now the token is revoked, and somebody asks live.
    desk.server.revoke(&issued.token);
    desk.clock.advance(secs(1));
    let live: Vec<_> = (0..10).map(|_| ask(Freshness::LIVE)).collect();
    let easy = ask(Freshness::at_most(secs(5)));
    while desk.introspector.in_flight() < 2 {
        tokio::task::yield_now().await;
    }
    gate.0.open();
    assert_eq!(early.await.unwrap(), Ok(()));
    assert_eq!(easy.await.unwrap(), Ok(()), "one second old, five are allowed");
    for caller in live {
        assert_eq!(caller.await.unwrap(), Err(rejected(Rejection::Inactive)));
    }
    assert_eq!(desk.calls(), 2, "ten live callers share the next question");
}

#[tokio::test]
async fn a_hot_token_is_asked_about_ahead_of_time_by_nobody_who_waits() {
    let desk = Desk::start();
    let issued = desk.issue();
    desk.verify(&issued.token).await.unwrap();
    desk.clock.advance(secs(48));
    desk.held(&issued.token).unwrap();
    desk.landed().await;
    assert_eq!(desk.calls(), 1, "80 % is not passed yet");
    let gate = Held(Gate::new());
    desk.server.faults().next(ASKED, 1, Fault::Delay(gate.0.clone()));
    desk.clock.advance(secs(1));
    for _ in 0..50 {
        assert_eq!(desk.held(&issued.token).unwrap().revocation_age(), Some(secs(49)));
    }
    gate.0.arrived(1).await;
    gate.0.open();
    desk.landed().await;
    assert_eq!(desk.calls(), 2);
    desk.clock.advance(secs(40));
    assert_eq!(desk.held(&issued.token).unwrap().revocation_age(), Some(secs(40)));
    // While the server is down, a hit doesn't ask every time either.
    desk.clock.advance(secs(10));
    desk.server.faults().on(ASKED, Fault::Status(500, String::new()));
    for _ in 0..50 {
        desk.held(&issued.token).unwrap();
        desk.landed().await;
    }
    assert_eq!(desk.calls(), 3);
}

#[tokio::test]
async fn policy_and_expiry_are_judged_on_every_use() {
    // I03
    let desk = Desk::start();
    let issued = desk.server.issue(TokenRequest::new().scope("read").lifetime(secs(30)));
    desk.verify(&issued.token).await.unwrap();
    let token = AccessToken::new(&issued.token, DEFAULT_MAX_TOKEN_LEN).unwrap();
    let other = ValidationPolicy::for_audience("https://other.example").build().unwrap();
    let writer =
        ValidationPolicy::for_audience("https://api.example.com").require_scope("write").build().unwrap();
    for (policy, expected) in [(&other, Rejection::WrongAudience), (&writer, Rejection::InsufficientScope)] {
        let request = VerifyRequest::new(&token, desk.clock.now()).with_policy(policy);
        let verdict = desk.verifier.verify(&request).into_ready().ok().expect("held");
        assert_eq!(verdict.err(), Some(rejected(expected)));
    }
    desk.clock.advance(secs(29));
    assert!(desk.held(&issued.token).is_ok());
    // I05: at exp the answer is gone, whatever leeway a policy grants; here it is judged anew.
    desk.clock.advance(secs(1));
    let lenient = ValidationPolicy::for_audience("https://api.example.com").leeway(secs(60)).build().unwrap();
    let request = VerifyRequest::new(&token, desk.clock.now()).with_policy(&lenient);
    assert!(!desk.verifier.verify(&request).is_ready());
    assert_eq!(desk.verify(&issued.token).await.err(), Some(rejected(Rejection::Inactive)));
}

#[tokio::test]
async fn a_token_that_ends_while_we_ask_is_expired() {
    let desk = Arc::new(Desk::start());
    let issued = desk.server.issue(TokenRequest::new().lifetime(secs(30)));
    let gate = Held(Gate::new());
    desk.server.faults().next(ASKED, 1, Fault::DelayAnswer(gate.0.clone()));
    desk.clock.advance(secs(29));
    let caller = {
        let (desk, token) = (Arc::clone(&desk), issued.token.clone());
        tokio::spawn(async move { desk.verify(&token).await.map(drop) })
    };
    gate.0.arrived(1).await;
    desk.clock.advance(secs(1));
    gate.0.open();
    assert_eq!(caller.await.unwrap(), Err(rejected(Rejection::Expired)));
}

#[tokio::test]
async fn without_exp_a_short_cap_holds() {
    // I04
    for freshness in [AnswerFreshness::AtMost(secs(3_600)), AnswerFreshness::UntilExpiry] {
        let desk = Desk::with(|config| config.freshness = freshness);
        let issued = desk.issue();
        let endless = json!({"active": true, "aud": "https://api.example.com"});
        desk.server.override_introspection_of(&issued.token, &endless);
        desk.verify(&issued.token).await.unwrap();
        desk.clock.advance(secs(48));
        assert!(desk.held(&issued.token).is_ok());
        desk.clock.advance(secs(13));
        desk.verify(&issued.token).await.unwrap();
        assert_eq!(desk.calls(), 2);
        // With exp, the freshness holds.
        let ending = desk.issue();
        desk.verify(&ending.token).await.unwrap();
        desk.clock.advance(secs(2_000));
        assert!(desk.held(&ending.token).is_ok());
    }
}

#[tokio::test]
async fn a_machine_that_slept_holds_no_fresh_answer() {
    let desk = Desk::start();
    let issued = desk.issue();
    desk.verify(&issued.token).await.unwrap();
    desk.clock.advance(secs(1));
    desk.clock.step_wall_forward(secs(600));
    desk.verify(&issued.token).await.unwrap();
    assert_eq!(desk.calls(), 2);
    desk.clock.advance(secs(61));
    desk.clock.step_wall_back(secs(600));
    desk.verify(&issued.token).await.unwrap();
    assert_eq!(desk.calls(), 3, "a clock that was set back makes nothing young");
}

#[tokio::test]
async fn an_answer_asked_for_before_the_machine_slept_is_asked_for_again() {
    let desk = Arc::new(Desk::start());
    let issued = desk.issue();
    let gate = Held(Gate::new());
    desk.server.faults().next(ASKED, 1, Fault::DelayAnswer(gate.0.clone()));
    let ask = || {
        let (desk, token) = (Arc::clone(&desk), issued.token.clone());
        tokio::spawn(async move { desk.verify(&token).await.map(drop) })
    };
    let before = ask();
    gate.0.arrived(1).await;
    desk.server.revoke(&issued.token);
    desk.clock.advance(secs(1));
    desk.clock.step_wall_forward(secs(600));
    let after = ask();
    tokio::task::yield_now().await;
    gate.0.open();
    assert_eq!(before.await.unwrap(), Ok(()));
    assert_eq!(after.await.unwrap(), Err(rejected(Rejection::Inactive)));
    assert_eq!(desk.calls(), 2);
}

#[tokio::test]
async fn with_the_cache_off_every_token_is_asked_about() {
    let desk = Desk::with(|config| config.cache = Cache::Off);
    let issued = desk.issue();
    for n in 1..4 {
        assert!(desk.verify(&issued.token).await.is_ok());
        assert!(desk.verify("junk").await.is_err());
        assert_eq!(desk.calls(), 2 * n);
    }
}

#[tokio::test]
async fn an_event_makes_what_it_touches_be_asked_again_and_nothing_else() {
    let desk = Desk::start();
    let (one, two) = (desk.issue(), desk.issue());
    desk.verify(&one.token).await.unwrap();
    desk.verify(&two.token).await.unwrap();
    for n in 0..100 {
        desk.event(&format!("foreign-{n}"));
    }
    assert!(desk.held(&one.token).is_ok() && desk.held(&two.token).is_ok());
    assert_eq!(desk.calls(), 2);
    desk.server.revoke(&one.token);
    desk.event(&one.jti);
    assert!(desk.held(&two.token).is_ok());
    assert_eq!(desk.verify(&one.token).await.err(), Some(rejected(Rejection::Inactive)));
    assert_eq!(desk.calls(), 3);
}

#[tokio::test]
async fn an_answer_that_an_event_overtook_is_neither_kept_nor_accepted() {
    // I11
    let desk = Arc::new(Desk::start());
    let issued = desk.issue();
    let gate = Held(Gate::new());
    desk.server.faults().next(ASKED, 1, Fault::DelayAnswer(gate.0.clone()));
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let (desk, token) = (Arc::clone(&desk), issued.token.clone());
            tokio::spawn(async move { desk.verify(&token).await.map(drop) })
        })
        .collect();
    gate.0.arrived(1).await;
    // The server has called it active; that is on its way when the event comes.
    desk.server.revoke(&issued.token);
    desk.event(&issued.jti);
    gate.0.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Err(rejected(Rejection::Inactive)));
    }
    assert_eq!(desk.calls(), 2, "the ten ask again together");
    assert_eq!(desk.held(&issued.token).err(), Some(rejected(Rejection::Inactive)));
}

/// Sends, and writes an event about one token into the log while the question is out.
#[derive(Debug)]
struct Meddler {
    transport: ReqwestTransport,
    log: Arc<RevocationLog>,
    issuer: std::sync::OnceLock<String>,
}

#[async_trait]
impl HttpTransport for Meddler {
    async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, TransportError> {
        let sent = self.transport.send(request, limits).await;
        if let Some(issuer) = self.issuer.get() {
            self.log.append(RevocationRule::from(&RevocationEvent::Subject {
                issuer: issuer.clone(),
                subject: "alice".into(),
                issued_at_or_before: i64::MAX,
            }));
        }
        sent
    }
}

#[tokio::test]
async fn events_without_end_make_no_loop_without_end() {
    let mut meddler = None;
    let desk = Desk::of(
        |server| server,
        our_auth(),
        |_| {},
        |log| {
            let made = Arc::new(Meddler {
                transport: transport(),
                log: Arc::clone(log),
                issuer: Default::default(),
            });
            meddler = Some(Arc::clone(&made));
            made
        },
    );
    let issued = desk.issue();
    assert!(desk.verify(&issued.token).await.is_ok());
    desk.clock.advance(secs(61));
    meddler.unwrap().issuer.set(desk.server.issuer().to_owned()).unwrap();
    assert_eq!(desk.verify(&issued.token).await.err(), Some(unavailable(U::StatusUnknown)));
    assert_eq!(desk.calls(), 5, "four rounds");
}

#[derive(Debug)]
struct Listed(RevocationRule);

impl RevocationList for Listed {
    fn revokes(&self, who: &verifier_core::identity::Identity, token: Digest) -> Option<RevocationRule> {
        self.0.covers(who, token).then_some(self.0)
    }
}

#[tokio::test]
async fn a_list_of_revocations_has_the_last_word() {
    let desk = Desk::start();
    let (one, two, three) = (desk.issue(), desk.issue(), desk.issue());
    let verdict = async |token: &str, rule: RevocationRule| -> Result<(), VerifyError> {
        let verifier = IntrospectionVerifier::new(desk.introspector.clone(), support::policy())
            .with_revocations(Arc::new(Listed(rule)));
        let token = AccessToken::new(token, DEFAULT_MAX_TOKEN_LEN).unwrap();
        verifier.verify(&VerifyRequest::new(&token, desk.clock.now())).await.map(drop)
    };
    let by_jti = RevocationRule::from(&RevocationEvent::Token {
        issuer: desk.server.issuer().to_owned(),
        jwt_id: one.jti.clone(),
        expires_at: None,
    });
    let revoked = Err(rejected(Rejection::Revoked));
    assert_eq!(verdict(&one.token, by_jti).await, revoked, "though the server says active");
    assert_eq!(verdict(&one.token, by_jti).await, revoked, "and on a hit");
    assert_eq!(verdict(&two.token, by_jti).await, Ok(()));
    assert_eq!(desk.calls(), 2);
    let digest = AccessToken::new(&three.token, DEFAULT_MAX_TOKEN_LEN).unwrap().digest();
    assert_eq!(verdict(&three.token, RevocationRule::Text(digest)).await, revoked);
    assert_eq!(desk.calls(), 2, "known by its text: nobody is asked");
}
