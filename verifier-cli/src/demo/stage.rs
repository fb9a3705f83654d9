//! A server, a verifier, and one clock for both.

use std::future::Future;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tempfile::NamedTempFile;
use verifier::core::runtime::Runtime as _;
use verifier::core::time::{Clock as _, Now};
use verifier::http::IoThread;
use verifier::{Backends, Strategy, VerifiedToken, Verifier, VerifierConfig, VerifyError};
use verifier_testkit::{
    AuthorizationServer, DEFAULT_AUDIENCE, RESOURCE_SERVER, RESOURCE_SERVER_SECRET, TokenRequest,
};

use super::figures::{Verdicts, code};
use crate::clock::LeapingClock;
use crate::output::End;

/// What the stages of one strategy have in common.
pub(super) struct Company {
    pub(super) strategy: Strategy,
    secret: NamedTempFile,
    verdicts: Arc<Mutex<Verdicts>>,
}

impl Company {
    pub(super) fn new(strategy: Strategy) -> Result<Self, End> {
        let mut secret = NamedTempFile::new()?;
        secret.write_all(RESOURCE_SERVER_SECRET.as_bytes())?;
        Ok(Self { strategy, secret, verdicts: Arc::default() })
    }

    /// Whether anybody is asked about revocations.
    pub(super) fn asks(&self) -> bool {
        self.strategy != Strategy::Jwks
    }

    pub(super) fn verdicts(&self) -> Verdicts {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A new server, and a verifier that has asked nobody yet, configured as a service would.
    pub(super) fn stage(&self, freshness: Duration) -> Result<Stage, End> {
        let clock = LeapingClock::default();
        let server = AuthorizationServer::builder().clock(clock.clone()).start()?;
        let mut issuer = json!({
            "issuer": server.issuer(),
            "strategy": self.strategy.name(),
            "profile": "at+jwt",
            "audience": DEFAULT_AUDIENCE,
        });
        if let (true, Some(issuer)) = (self.asks(), issuer.as_object_mut()) {
            let secret = json!({ "file": self.secret.path() });
            let introspection = json!({ "client_id": RESOURCE_SERVER, "client_secret": secret });
            issuer.insert("introspection".to_owned(), introspection);
            let freshness = humantime::format_duration(freshness).to_string();
            issuer.insert("revocation".to_owned(), json!({ "freshness": freshness }));
        }
        let broken = |error| End::failed(format!("the demonstration's own configuration: {error}"));
        let verifier = VerifierConfig::from_json(&json!({ "issuer": [issuer] }).to_string())
            .map_err(broken)?
            .build_with(&Backends::new().clock(Arc::new(clock.clone())))
            .map_err(broken)?;
        Ok(Stage(Arc::new(Props { server, clock, verifier, verdicts: Arc::clone(&self.verdicts) })))
    }
}

/// One scene's server, clock and verifier. Clones are the same stage.
#[derive(Clone)]
pub(super) struct Stage(Arc<Props>);

struct Props {
    server: AuthorizationServer,
    clock: LeapingClock,
    verifier: Verifier,
    verdicts: Arc<Mutex<Verdicts>>,
}

impl Stage {
    pub(super) fn server(&self) -> &AuthorizationServer {
        &self.0.server
    }

    pub(super) fn now(&self) -> Now {
        self.0.clock.now()
    }

    pub(super) fn leap(&self, by: Duration) {
        self.0.clock.leap(by);
    }

    /// A new token.
    pub(super) fn token(&self) -> String {
        self.server().issue(TokenRequest::new().scope("orders:read")).token
    }

    /// A new token that lives for this long.
    pub(super) fn token_for(&self, lifetime: Duration) -> String {
        self.server().issue(TokenRequest::new().scope("orders:read").lifetime(lifetime)).token
    }

    /// Waits until the verifier has what it needs.
    pub(super) async fn ready(&self) -> Result<(), End> {
        self.0
            .verifier
            .ready(Duration::from_secs(10))
            .await
            .map_err(|unavailable| End::failed(format!("the verifier did not become ready: {unavailable}")))
    }

    pub(super) async fn verify(&self, token: &str) -> Result<VerifiedToken, VerifyError> {
        let verdict = self.0.verifier.verify(token).await;
        self.0.verdicts.lock().unwrap_or_else(PoisonError::into_inner).note(code(&verdict));
        verdict
    }

    /// Verifies, and returns the code alone.
    pub(super) async fn code(&self, token: &str) -> &'static str {
        code(&self.verify(token).await)
    }

    /// Verifies all of them, one after the other.
    pub(super) async fn verify_all(&self, tokens: &[String]) -> Verdicts {
        let mut verdicts = Verdicts::default();
        for token in tokens {
            verdicts.note(self.code(token).await);
        }
        verdicts
    }
}

/// Real time passes.
pub(super) async fn pause(d: Duration) -> Result<(), End> {
    let timer = IoThread::shared().sleep(d).map_err(|error| End::failed(error.to_string()))?;
    timer.await;
    Ok(())
}

/// Runs these at the same time, as tasks, and returns what they return.
pub(super) async fn together<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Result<Vec<T>, End> {
    let handles: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(handles.len());
    for handle in handles {
        results.push(handle.await.map_err(|_| End::failed("a task of the demonstration crashed"))?);
    }
    Ok(results)
}
