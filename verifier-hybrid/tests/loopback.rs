//! The strategy against a real server on loopback, with time in the hand of the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use verifier_core::claims::VerifiedToken;
use verifier_core::endpoint::{Endpoint as Address, Schemes};
use verifier_core::error::VerifyError;
use verifier_core::evidence::{RevocationBasis, Strategy};
use verifier_core::freshness::Freshness;
use verifier_core::health::HealthNote;
use verifier_core::policy::{IssuerRules, PolicyBuilder, Role, ValidationPolicy};
use verifier_core::profile::TokenProfile;
use verifier_core::revocation::RevocationEvent;
use verifier_core::secret::Secret;
use verifier_core::signature::AwsLc;
use verifier_core::time::Clock;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::transport::Limits;
use verifier_core::verifier::{ClaimsFrom, TokenVerifier, VerifyRequest};
use verifier_http::TransportConfig;
use verifier_hybrid::{HybridConfig, HybridVerifier, Opaque, Revocations, WhenUnknown};
use verifier_introspect::{
    ClientAuth, EndpointSource, IntrospectionConfig, IntrospectionVerifier, Introspector,
};
use verifier_jwks::{JwksVerifier, UrlSource};
use verifier_testkit::clients::{RESOURCE_SERVER, RESOURCE_SERVER_SECRET};
use verifier_testkit::doubles::CountingBackend;
use verifier_testkit::server::DEFAULT_AUDIENCE;
use verifier_testkit::{
    Answer, AuthorizationServer, Endpoint, Fault, Gate, ManualClock, Profile, TestRuntime, TokenRequest,
};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

struct Desk {
    server: AuthorizationServer,
    clock: ManualClock,
    backend: Arc<CountingBackend>,
    revocations: Arc<Revocations>,
    verifier: Arc<HybridVerifier>,
}

impl Desk {
    fn start() -> Self {
        Self::with(HybridConfig::default(), |policy| policy)
    }

    fn with(config: HybridConfig, policy: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Self {
        Self::taking_opaque(config, policy, false)
    }

    fn taking_opaque(
        mut config: HybridConfig,
        policy: impl FnOnce(PolicyBuilder) -> PolicyBuilder,
        opaque: bool,
    ) -> Self {
        let clock = ManualClock::new();
        let server = AuthorizationServer::builder()
            .clock(clock.clone())
            .profile(Profile::Generic)
            .lifetime(secs(3_600))
            .start()
            .unwrap();
        let env = TestRuntime::current(clock.clone()).unwrap().env();
        let transport = Arc::new(TransportConfig::new().build().unwrap());
        let rules = IssuerRules::new(server.issuer(), TokenProfile::generic()).unwrap();
        let policy =
            policy(ValidationPolicy::for_audience(DEFAULT_AUDIENCE).leeway(Duration::ZERO)).build().unwrap();
        let revocations = Arc::new(Revocations::new(Arc::new(clock.clone())));
        let backend = Arc::new(CountingBackend::over(Arc::new(AwsLc)));

        // What is tested here takes as long as the machine needs.
        let limits = Limits { connect: secs(20), total: secs(30), body: 512 * 1024 };
        let address = |text: &str| Address::parse(text, Schemes::Secure).unwrap();
        let source = UrlSource::new(address(&server.jwks_uri()), transport.clone(), limits);
        let role = match config.claims {
            ClaimsFrom::Introspection => Role::Corroborates,
            _ => Role::Decides,
        };
        let local = JwksVerifier::builder(rules.clone(), policy.clone(), Arc::new(source), env.clone())
            .backend(backend.clone())
            .role(role)
            .build()
            .unwrap();

        let auth = ClientAuth::basic(RESOURCE_SERVER, Secret::new(RESOURCE_SERVER_SECRET));
        let mut asking = IntrospectionConfig::new(auth);
        (asking.limits.connect, asking.limits.total) = (limits.connect, limits.total);
        asking.upstream.retries = 0;
        if let WhenUnknown::AllowStale { up_to } = config.when_unknown {
            asking.stale_allowance = up_to;
        }
        let introspector = Introspector::builder(
            rules,
            EndpointSource::Fixed(address(&server.introspection_endpoint())),
            asking,
            transport,
            env.clone(),
        )
        .log(revocations.log(server.issuer()))
        .build()
        .unwrap();
        if opaque {
            let other = IntrospectionVerifier::new(introspector.clone(), policy.clone());
            config = config.with_opaque(Opaque::Introspect(Arc::new(other)));
        }
        let verifier = HybridVerifier::builder(Arc::new(local), vec![Arc::new(introspector)], policy, env)
            .revocations(revocations.clone())
            .config(config)
            .build()
            .unwrap();
        Self { server, clock, backend, revocations, verifier: Arc::new(verifier) }
    }

    fn issue(&self) -> String {
        self.server.issue(TokenRequest::new().subject("alice").scope("read")).token
    }

    fn asked(&self) -> u64 {
        self.server.counts().introspection
    }

    async fn verify(&self, token: &str) -> Result<VerifiedToken, VerifyError> {
        self.verify_within(token, Freshness::CONFIGURED).await
    }

    async fn verify_within(&self, token: &str, freshness: Freshness) -> Result<VerifiedToken, VerifyError> {
        let token = AccessToken::new(token, DEFAULT_MAX_TOKEN_LEN)?;
        let request = VerifyRequest::new(&token, self.clock.now()).with_freshness(freshness);
        self.verifier.verify(&request).await?.finish(&request)
    }

    async fn code(&self, token: &str) -> &'static str {
        self.verify(token).await.map_or_else(VerifyError::code, |_| "verified")
    }
}

#[tokio::test]
async fn a_revocation_is_noticed_within_the_freshness() {
    let desk = Desk::start();
    let token = desk.issue();
    let verified = desk.verify(&token).await.unwrap();
    assert_eq!(verified.evidence().strategy, Strategy::Hybrid);
    assert!(verified.evidence().algorithm.is_some());
    assert_eq!(verified.revocation_age(), Some(Duration::ZERO));

    desk.server.revoke(&token);
    desk.clock.advance(secs(45));
    let verified = desk.verify(&token).await.unwrap();
    assert_eq!(verified.revocation_age(), Some(secs(45)), "and says so");
    assert_eq!(desk.asked(), 1);
    assert_eq!(desk.verify_within(&token, Freshness::LIVE).await.unwrap_err().code(), "inactive");
    assert_eq!(desk.asked(), 2);
}

#[tokio::test]
async fn past_the_freshness_the_server_is_asked_again() {
    let desk = Desk::start();
    let token = desk.issue();
    desk.verify(&token).await.unwrap();
    desk.server.revoke(&token);
    desk.clock.advance(secs(60) + Duration::from_micros(1));
    assert_eq!(desk.code(&token).await, "inactive");
}

#[tokio::test]
async fn an_outage_makes_unavailable_once_the_freshness_is_used_up_and_never_rejected() {
    let desk = Desk::start();
    let token = desk.issue();
    desk.verify(&token).await.unwrap();
    desk.server.faults().on(Endpoint::Introspection, Fault::Status(500, String::new()));
    desk.clock.advance(secs(40));
    assert_eq!(desk.code(&token).await, "verified");
    desk.clock.advance(secs(21));
    let error = desk.verify(&token).await.unwrap_err();
    assert_eq!((error.code(), error.status()), ("server_error", 503));
    // Which is no reason to take the service out of rotation.
    assert_eq!(desk.verifier.ready(None).await, Ok(()));
    desk.server.faults().clear_all();
    desk.clock.advance(secs(60));
    assert_eq!(desk.code(&token).await, "verified");
}

#[tokio::test]
async fn stale_serves_in_an_outage_up_to_its_age_and_not_for_a_demand() {
    let config = HybridConfig::default().with_when_unknown(WhenUnknown::AllowStale { up_to: secs(300) });
    let desk = Desk::with(config, |policy| policy);
    let token = desk.issue();
    desk.verify(&token).await.unwrap();
    desk.server.refuse_connections();
    desk.clock.advance(secs(200));
    let verified = desk.verify(&token).await.unwrap();
    assert!(matches!(verified.evidence().revocation, RevocationBasis::Stale { .. }));
    assert_eq!(verified.revocation_age(), Some(secs(200)));
    let error = desk.verify_within(&token, Freshness::at_most(secs(30))).await.unwrap_err();
    assert_eq!(error.status(), 503);
    desk.clock.advance(secs(101));
    assert_eq!(desk.verify(&token).await.unwrap_err().status(), 503);
}

#[tokio::test]
async fn stale_never_serves_a_token_that_the_server_refuses_to_speak_of() {
    let config = HybridConfig::default().with_when_unknown(WhenUnknown::AllowStale { up_to: secs(300) });
    let desk = Desk::with(config, |policy| policy);
    let token = desk.issue();
    desk.verify(&token).await.unwrap();
    desk.clock.advance(secs(61));
    desk.server.faults().on(Endpoint::Introspection, Fault::Status(413, String::new()));
    assert_eq!(desk.code(&token).await, "refused_by_server");
    desk.server.faults().on(Endpoint::Introspection, Fault::Status(401, String::new()));
    desk.clock.advance(secs(20));
    assert_eq!(desk.code(&token).await, "credentials_refused");
}

#[tokio::test]
async fn a_token_last_known_inactive_is_not_saved_by_staleness_and_comes_back_when_active() {
    let config = HybridConfig::default().with_when_unknown(WhenUnknown::AllowStale { up_to: secs(300) });
    let desk = Desk::with(config, |policy| policy);
    let token = desk.issue();
    desk.verify(&token).await.unwrap();
    desk.clock.advance(secs(61));
    desk.server.lose_store(true);
    assert_eq!(desk.code(&token).await, "inactive");
    desk.clock.advance(secs(11));
    desk.server.faults().on(Endpoint::Introspection, Fault::Status(500, String::new()));
    assert_eq!(desk.code(&token).await, "server_error");
    desk.server.faults().clear_all();
    desk.server.lose_store(false);
    desk.clock.advance(secs(60));
    assert_eq!(desk.code(&token).await, "verified");
}

#[tokio::test]
async fn an_answer_about_another_token_is_a_rejection_and_an_alarm() {
    let desk = Desk::start();
    let token = desk.issue();
    let other = answer_about(&desk, "mallory");
    desk.server.override_answer_about(&token, other);
    assert_eq!(desk.code(&token).await, "identity_mismatch");
    assert!(desk.verifier.health(desk.clock.now()).notes.contains(&HealthNote::IdentityMismatch));
}

/// An active answer for somebody else.
fn answer_about(desk: &Desk, subject: &str) -> Answer {
    let body = format!(
        r#"{{"active":true,"iss":"{}","sub":"{subject}","client_id":"app","aud":"{DEFAULT_AUDIENCE}"}}"#,
        desk.server.issuer()
    );
    Answer::new(200, body).header("content-type", "application/json")
}

#[tokio::test]
async fn the_servers_word_counts_where_its_claims_are_shown() {
    let config = HybridConfig::default().with_claims(ClaimsFrom::Introspection);
    let desk = Desk::with(config, |policy| policy.require_scope("read"));
    // A slim token: no subject, no audience, no scope. The server knows them.
    let slim = TokenRequest::new().subject("alice").scope("read").without_claim("sub").without_claim("aud");
    let token = desk.server.issue(slim).token;
    let verified = desk.verify(&token).await.unwrap();
    assert_eq!(verified.subject(), Some("alice"));
    assert!(verified.has_scope("read"));

    // A scope that was taken away is gone with the next answer, whatever the token says.
    let taken = TokenRequest::new().subject("alice").scope("read").answered("scope", "other");
    assert_eq!(desk.code(&desk.server.issue(taken).token).await, "insufficient_scope");
    // And on the side that decides nothing, audience and expiry still have to hold.
    let elsewhere = TokenRequest::new().subject("alice").scope("read").audience("elsewhere");
    assert_eq!(desk.code(&desk.server.issue(elsewhere).token).await, "wrong_audience");
}

#[tokio::test]
async fn the_tokens_word_counts_where_its_claims_are_shown() {
    let desk =
        Desk::with(HybridConfig::default(), |policy| policy.require_scope("read").require_claim("sub"));
    let slim = TokenRequest::new().subject("alice").scope("read").without_claim("sub");
    assert_eq!(desk.code(&desk.server.issue(slim).token).await, "missing_claim");
    assert_eq!(desk.asked(), 0);
    let taken = TokenRequest::new().subject("alice").scope("read").answered("scope", "other");
    assert_eq!(desk.code(&desk.server.issue(taken).token).await, "verified");
}

#[tokio::test]
async fn opaque_tokens_are_refused_unasked_or_introspected() {
    let opaque = || TokenRequest::new().subject("alice").opaque();
    let desk = Desk::start();
    let token = desk.server.issue(opaque()).token;
    assert_eq!(desk.code(&token).await, "not_a_jwt");
    assert_eq!(desk.server.counts().total(), 0);

    let desk = Desk::taking_opaque(HybridConfig::default(), |policy| policy, true);
    let token = desk.server.issue(opaque()).token;
    let verified = desk.verify(&token).await.unwrap();
    assert_eq!(verified.evidence().strategy, Strategy::Introspection);
    desk.server.revoke(&token);
    desk.clock.advance(Duration::from_millis(1));
    assert_eq!(desk.verify_within(&token, Freshness::LIVE).await.unwrap_err().code(), "inactive");
    // What the local side rejects is handed to nobody.
    let before = desk.asked();
    let mut tampered = desk.issue();
    let last = if tampered.pop() == Some('A') { 'Q' } else { 'A' };
    tampered.push(last);
    assert_eq!(desk.verify(&tampered).await.unwrap_err().status(), 401);
    assert_eq!(desk.asked(), before);
}

#[tokio::test]
async fn a_locally_rejected_token_costs_no_call_but_the_key_set() {
    let desk = Desk::start();
    let expired = TokenRequest::new().subject("alice").issued_ago(secs(100)).lifetime(secs(50));
    let elsewhere = TokenRequest::new().subject("alice").audience("elsewhere");
    // L12: bound to a key, and nothing proves that the bearer has it.
    let bound = TokenRequest::new().claim("cnf", serde_json::json!({"jkt": "x".repeat(43)}));
    for (request, code) in [(expired, "expired"), (elsewhere, "wrong_audience"), (bound, "sender_unproven")] {
        assert_eq!(desk.code(&desk.server.issue(request).token).await, code);
    }
    assert_eq!(desk.code("e30.e30.e30").await, "malformed_header");
    let counts = desk.server.counts();
    assert_eq!((counts.introspection, counts.jwks), (0, 1));
}

#[tokio::test]
async fn a_status_miss_costs_exactly_one_signature_check() {
    let desk = Desk::start();
    let token = desk.issue();
    desk.verify(&token).await.unwrap();
    assert_eq!((desk.backend.checks(), desk.asked()), (1, 1), "cold: keys and status awaited");
    let another = desk.issue();
    desk.verify(&another).await.unwrap();
    assert_eq!((desk.backend.checks(), desk.asked()), (2, 2), "keys held, status awaited");
    desk.verify(&another).await.unwrap();
    assert_eq!((desk.backend.checks(), desk.asked()), (2, 2), "warm");
    desk.clock.advance(Duration::from_millis(1));
    desk.verify_within(&another, Freshness::LIVE).await.unwrap();
    assert_eq!((desk.backend.checks(), desk.asked()), (2, 3), "a live demand asks, and checks nothing again");
}

#[tokio::test]
async fn an_event_that_comes_during_the_question_has_the_last_word() {
    let desk = Desk::start();
    let issued = desk.server.issue(TokenRequest::new().subject("alice"));
    desk.verify(&issued.token).await.unwrap();
    desk.clock.advance(secs(61));
    let gate = Gate::new();
    desk.server.faults().on(Endpoint::Introspection, Fault::DelayAnswer(gate.clone()));
    let verdict = async { desk.code(&issued.token).await };
    let event = async {
        gate.arrived(1).await;
        let issuer = desk.server.issuer().to_owned();
        let event = RevocationEvent::Subject {
            issuer,
            subject: "alice".into(),
            issued_at_or_before: desk.clock.unix_seconds(),
        };
        desk.revocations.ingest(&event).unwrap();
        gate.open();
    };
    let (code, ()) = futures::join!(verdict, event);
    assert_eq!(code, "revoked");
    // All of her tokens, and at once.
    let before = desk.asked();
    assert_eq!(desk.code(&desk.issue()).await, "revoked");
    assert_eq!(desk.asked(), before);
}

#[tokio::test]
async fn a_token_that_expires_while_its_status_is_asked_for_is_rejected() {
    let desk = Desk::start();
    let token = desk.server.issue(TokenRequest::new().subject("alice").lifetime(secs(10))).token;
    let gate = Gate::new();
    desk.server.faults().on(Endpoint::Introspection, Fault::DelayAnswer(gate.clone()));
    let verdict = async { desk.code(&token).await };
    let time = async {
        gate.arrived(1).await;
        desk.clock.advance(secs(10));
        gate.open();
    };
    let (code, ()) = futures::join!(verdict, time);
    assert_eq!(code, "expired");
}
