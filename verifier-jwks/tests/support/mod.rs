#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::sync::Arc;
use std::time::Duration;

use verifier_core::discovery::Discovery;
use verifier_core::endpoint::{Endpoint, Schemes};
use verifier_core::error::{Rejection, Unavailable, UnavailableReason, VerifyError};
use verifier_core::policy::{IssuerRules, ValidationPolicy};
use verifier_core::profile::TokenProfile;
use verifier_core::runtime::Env;
use verifier_core::time::Clock as _;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::transport::HttpTransport;
use verifier_core::verifier::{Judged, TokenVerifier as _, VerifyRequest};
use verifier_http::{Roots, TransportConfig};
use verifier_jwks::{Builder, DiscoverySource, JwksVerifier, KeySource, RefreshConfig, UrlSource};
use verifier_testkit::server::DEFAULT_AUDIENCE;
use verifier_testkit::{Algorithm, AuthorizationServer, ManualClock, SigningKey, TestRuntime, TokenRequest};

/// An authorization server, a clock, and what asks the one by the other.
pub struct Scene {
    pub server: AuthorizationServer,
    pub clock: ManualClock,
    pub env: Env,
    pub transport: Arc<dyn HttpTransport>,
}

impl Scene {
    pub fn new() -> Self {
        Self::with_clock(ManualClock::new())
    }

    pub fn with_clock(clock: ManualClock) -> Self {
        // Tokens outlive every test, so that what ends them is what the test is about.
        let server = AuthorizationServer::builder()
            .clock(clock.clone())
            .lifetime(Duration::from_secs(100_000))
            .start()
            .unwrap();
        let env = TestRuntime::current(clock.clone()).unwrap().env();
        Self { server, clock, env, transport: transport() }
    }

    pub fn source(&self) -> Arc<dyn KeySource> {
        Arc::new(self.url_source())
    }

    pub fn url_source(&self) -> UrlSource {
        let endpoint = Endpoint::parse(&self.server.jwks_uri(), Schemes::Secure).unwrap();
        UrlSource::new(endpoint, Arc::clone(&self.transport), RefreshConfig::default().limits())
    }

    pub fn discovery(&self, issuer: &str) -> Arc<dyn KeySource> {
        let limits = RefreshConfig::default().limits();
        let discovery = Discovery::new(issuer, Schemes::Secure, Arc::clone(&self.transport), limits).unwrap();
        Arc::new(DiscoverySource::new(
            discovery,
            Schemes::Secure,
            Arc::clone(&self.transport),
            limits,
            Arc::clone(&self.env.clock),
        ))
    }

    pub fn builder(&self, source: Arc<dyn KeySource>) -> Builder {
        JwksVerifier::builder(rules(self.server.issuer()), policy(), source, self.env.clone())
    }

    pub fn verifier(&self) -> JwksVerifier {
        self.builder(self.source()).build().unwrap()
    }

    pub fn token(&self) -> String {
        self.server.issue(TokenRequest::new()).token
    }

    /// A token that names this `kid`, well-formed, signed by a key that nobody publishes.
    pub fn forged(&self, kid: &str) -> String {
        let key = SigningKey::generate(Algorithm::ES256).with_kid(kid);
        self.server.issue(TokenRequest::new().signed_by(key)).token
    }

    pub async fn verify(&self, verifier: &JwksVerifier, token: &str) -> Result<Judged, VerifyError> {
        let token = AccessToken::new(token, DEFAULT_MAX_TOKEN_LEN).unwrap();
        let request = VerifyRequest::new(&token, self.clock.now());
        verifier.verify(&request).await
    }

    /// The verdict, if it is given without asking anybody.
    pub fn verify_now(&self, verifier: &JwksVerifier, token: &str) -> Option<Result<Judged, VerifyError>> {
        let token = AccessToken::new(token, DEFAULT_MAX_TOKEN_LEN).unwrap();
        let request = VerifyRequest::new(&token, self.clock.now());
        verifier.verify(&request).into_ready().ok()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub fn fetches(&self) -> u64 {
        self.server.counts().jwks
    }

    /// Until the fetch in the background, if there is one, has ended.
    pub async fn settled(&self, verifier: &JwksVerifier) {
        while verifier.store().health(self.clock.now()).next_attempt_in == Some(Duration::ZERO) {
            tokio::task::yield_now().await;
        }
    }

    /// Lets a hit nudge the fetch that is due, and waits for its end.
    pub async fn refreshed(&self, verifier: &JwksVerifier, token: &str) {
        let before = verifier.store().health(self.clock.now()).last_attempt;
        let _ = self.verify(verifier, token).await;
        self.settled(verifier).await;
        assert_ne!(verifier.store().health(self.clock.now()).last_attempt, before, "nothing was fetched");
    }
}

pub fn transport() -> Arc<dyn HttpTransport> {
    Arc::new(TransportConfig::new().roots(Roots::None).build().unwrap())
}

pub fn rules(issuer: &str) -> IssuerRules {
    IssuerRules::new(issuer, TokenProfile::at_jwt()).unwrap()
}

pub fn policy() -> ValidationPolicy {
    ValidationPolicy::for_audience(DEFAULT_AUDIENCE).build().unwrap()
}

#[track_caller]
pub fn rejected(verdict: Result<Judged, VerifyError>, expected: Rejection) {
    match verdict {
        Err(VerifyError::Rejected(rejection)) => assert_eq!(rejection, expected),
        other => panic!("expected {expected}, got {other:?}"),
    }
}

#[track_caller]
pub fn unavailable(verdict: Result<Judged, VerifyError>, expected: UnavailableReason) -> Unavailable {
    match verdict {
        Err(VerifyError::Unavailable(why)) => {
            assert_eq!(why.reason(), expected);
            why
        }
        other => panic!("expected {expected}, got {other:?}"),
    }
}
