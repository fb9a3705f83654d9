//! A verifier and the server that it asks, on loopback, with time in the hand of the test.
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

use verifier_core::claims::VerifiedToken;
use verifier_core::endpoint::{Endpoint as Address, Schemes};
use verifier_core::error::{Rejection, Unavailable, UnavailableReason, VerifyError};
use verifier_core::freshness::Freshness;
use verifier_core::identity::Identity;
use verifier_core::policy::{IssuerRules, ValidationPolicy};
use verifier_core::profile::TokenProfile;
use verifier_core::revocation::{
    CouldNotAsk, RevocationChecker, RevocationEvent, RevocationLog, RevocationQuery, RevocationStatus,
};
use verifier_core::runtime::Env;
use verifier_core::secret::Secret;
use verifier_core::time::Clock;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::transport::HttpTransport;
use verifier_core::verifier::{TokenVerifier, VerifyRequest};
use verifier_http::{ReqwestTransport, TransportConfig};
use verifier_introspect::{
    ClientAuth, EndpointSource, IntrospectionConfig, IntrospectionVerifier, Introspector, IntrospectorBuilder,
};
use verifier_testkit::clients::{RESOURCE_SERVER, RESOURCE_SERVER_SECRET};
use verifier_testkit::server::DEFAULT_AUDIENCE;
use verifier_testkit::{
    AuthorizationServer, Builder, Endpoint, Gate, IssuedToken, ManualClock, TestRuntime, TokenRequest,
};

pub const ASKED: Endpoint = Endpoint::Introspection;

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn unavailable(reason: UnavailableReason) -> VerifyError {
    VerifyError::Unavailable(Unavailable::new(reason))
}

pub fn rejected(why: Rejection) -> VerifyError {
    VerifyError::Rejected(why)
}

pub fn our_auth() -> ClientAuth {
    ClientAuth::basic(RESOURCE_SERVER, Secret::new(RESOURCE_SERVER_SECRET))
}

pub fn transport() -> ReqwestTransport {
    TransportConfig::new().build().unwrap()
}

/// A policy that demands the audience alone; no leeway, so that tests can count seconds.
pub fn policy() -> ValidationPolicy {
    ValidationPolicy::for_audience(DEFAULT_AUDIENCE).leeway(Duration::ZERO).build().unwrap()
}

/// Server, clock, introspector and verifier.
pub struct Desk {
    pub server: AuthorizationServer,
    pub clock: ManualClock,
    pub env: Env,
    pub log: Arc<RevocationLog>,
    pub introspector: Introspector,
    pub verifier: IntrospectionVerifier,
}

impl Desk {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut IntrospectionConfig)) -> Self {
        Self::of(|server| server, our_auth(), change, |_| Arc::new(transport()))
    }

    pub fn of(
        server: impl FnOnce(Builder) -> Builder,
        auth: ClientAuth,
        change: impl FnOnce(&mut IntrospectionConfig),
        transport: impl FnOnce(&Arc<RevocationLog>) -> Arc<dyn HttpTransport>,
    ) -> Self {
        Self::known_by(server, |_| auth, change, transport)
    }

    /// The same, where the credentials depend on the server.
    pub fn known_by(
        server: impl FnOnce(Builder) -> Builder,
        auth: impl FnOnce(&AuthorizationServer) -> ClientAuth,
        change: impl FnOnce(&mut IntrospectionConfig),
        transport: impl FnOnce(&Arc<RevocationLog>) -> Arc<dyn HttpTransport>,
    ) -> Self {
        let clock = ManualClock::new();
        let server =
            server(AuthorizationServer::builder().clock(clock.clone()).opaque().lifetime(secs(3_600)));
        let server = server.start().unwrap();
        let env = TestRuntime::current(clock.clone()).unwrap().env();
        let log = Arc::new(RevocationLog::new());
        let mut config = IntrospectionConfig::new(auth(&server));
        // What is tested here takes as long as the machine needs.
        config.limits.connect = secs(20);
        config.limits.total = secs(30);
        change(&mut config);
        let introspector = Introspector::builder(
            IssuerRules::new(server.issuer(), TokenProfile::generic()).unwrap(),
            EndpointSource::Fixed(Address::parse(&server.introspection_endpoint(), Schemes::Secure).unwrap()),
            config,
            transport(&log),
            env.clone(),
        )
        .log(Arc::clone(&log))
        .build()
        .unwrap();
        let verifier = IntrospectionVerifier::new(introspector.clone(), policy());
        Self { server, clock, env, log, introspector, verifier }
    }

    pub fn issue(&self) -> IssuedToken {
        self.server.issue(TokenRequest::new().subject("alice").scope("read"))
    }

    /// Calls that reached the introspection endpoint.
    pub fn calls(&self) -> u64 {
        self.server.counts().introspection
    }

    pub async fn verify(&self, token: &str) -> Result<VerifiedToken, VerifyError> {
        self.verify_within(token, Freshness::CONFIGURED).await
    }

    pub async fn verify_within(
        &self,
        token: &str,
        freshness: Freshness,
    ) -> Result<VerifiedToken, VerifyError> {
        let token = AccessToken::new(token, DEFAULT_MAX_TOKEN_LEN)?;
        let request = VerifyRequest::new(&token, self.clock.now()).with_freshness(freshness);
        self.verifier.verify(&request).await?.finish(&request)
    }

    /// The verdict from what is held; panics if somebody had to be asked.
    pub fn held(&self, token: &str) -> Result<VerifiedToken, VerifyError> {
        let token = AccessToken::new(token, DEFAULT_MAX_TOKEN_LEN)?;
        let request = VerifyRequest::new(&token, self.clock.now());
        self.verifier.verify(&request).into_ready().ok().expect("nothing is asked")?.finish(&request)
    }

    /// The verdict with a refusal's `Retry-After` left out.
    pub async fn code(&self, token: &str) -> &'static str {
        self.verify(token).await.map_or_else(VerifyError::code, |_| "verified")
    }

    /// As a hybrid verifier asks, about a token that it has verified.
    pub async fn status(
        &self,
        issued: &IssuedToken,
        freshness: Duration,
    ) -> Result<RevocationStatus, CouldNotAsk> {
        let token = AccessToken::new(&issued.token, DEFAULT_MAX_TOKEN_LEN).unwrap();
        let request = VerifyRequest::new(&token, self.clock.now());
        let who = identity(self.server.issuer(), issued);
        let query = RevocationQuery::new(&request, &who, freshness, Some(issued.expires_at));
        self.introspector.status(&query).await
    }

    /// Ends the token at the server, or only says so here.
    pub fn event(&self, jti: &str) {
        let event = RevocationEvent::Token {
            issuer: self.server.issuer().to_owned(),
            jwt_id: jti.to_owned(),
            expires_at: None,
        };
        self.log.append((&event).into());
    }

    /// Waits until no question is in the air.
    pub async fn landed(&self) {
        while self.introspector.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Another introspector at the server of `desk`.
pub fn introspector(desk: &Desk, config: IntrospectionConfig) -> IntrospectorBuilder {
    introspector_of(desk.server.issuer(), &desk.server.introspection_endpoint(), config, &desk.env)
}

pub fn introspector_of(
    issuer: &str,
    endpoint: &str,
    config: IntrospectionConfig,
    env: &Env,
) -> IntrospectorBuilder {
    Introspector::builder(
        IssuerRules::new(issuer, TokenProfile::generic()).unwrap(),
        EndpointSource::Fixed(Address::parse(endpoint, Schemes::Secure).unwrap()),
        config,
        Arc::new(transport()),
        env.clone(),
    )
}

pub fn identity(issuer: &str, issued: &IssuedToken) -> Identity {
    Identity::new(
        issuer,
        Some(&issued.jti),
        Some(&issued.subject),
        None,
        Some(&issued.client),
        Some(issued.issued_at),
    )
}

/// A gate that is open when dropped, so that a failing test lets its server go.
pub struct Held(pub Gate);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.open();
    }
}
