//! An authorization server, a clock in the test's hand, and configurations that fit them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use verifier::{
    Backends, Rejection, UnavailableReason, VerifiedToken, Verifier, VerifierConfig, VerifyError,
};
use verifier_testkit::{AuthorizationServer, Builder, DEFAULT_AUDIENCE, ManualClock, TestRuntime};

/// All strategies of our own, by their name in the configuration.
pub const STRATEGIES: [&str; 3] = ["jwks", "introspection", "hybrid"];

/// A clock, a runtime that obeys it, and a file with the secret of the testkit's resource server.
pub struct Stage {
    pub clock: ManualClock,
    pub runtime: TestRuntime,
    folder: tempfile::TempDir,
}

impl Stage {
    /// On the tokio runtime of the caller.
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let runtime = TestRuntime::current(clock.clone()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("api"), "api-secret\n").unwrap();
        Self { clock, runtime, folder }
    }

    pub fn server(&self) -> AuthorizationServer {
        self.server_with(|builder| builder)
    }

    pub fn server_with(&self, settings: impl FnOnce(Builder) -> Builder) -> AuthorizationServer {
        settings(AuthorizationServer::builder().clock(self.clock.clone())).start().unwrap()
    }

    pub fn secret(&self) -> PathBuf {
        self.folder.path().join("api")
    }

    /// Clock and runtime of the stage.
    pub fn backends(&self) -> Backends {
        Backends::new().clock(Arc::new(self.clock.clone())).runtime(Arc::new(self.runtime.clone()))
    }

    /// The clock of the stage with timers in real time: for outages, where retries wait for a moment.
    pub fn real_timers(&self) -> Backends {
        Backends::new().clock(Arc::new(self.clock.clone()))
    }

    /// One issuer's section.
    pub fn section(&self, server: &AuthorizationServer, strategy: &str) -> String {
        section(server.issuer(), strategy, &self.secret())
    }

    /// The verifier of one issuer.
    pub fn verifier(&self, server: &AuthorizationServer, strategy: &str) -> Verifier {
        self.build(&self.section(server, strategy))
    }

    pub fn build(&self, toml: &str) -> Verifier {
        self.build_with(toml, &self.backends())
    }

    pub fn build_with(&self, toml: &str, backends: &Backends) -> Verifier {
        VerifierConfig::from_toml(toml)
            .unwrap_or_else(|error| panic!("{error}\n{toml}"))
            .build_with(backends)
            .unwrap()
    }
}

/// A section with everything that the strategy needs; keys and introspection endpoint by discovery.
pub fn section(issuer: &str, strategy: &str, secret: &Path) -> String {
    section_and(issuer, strategy, secret, "")
}

/// The same, with further lines of the issuer's own table.
pub fn section_and(issuer: &str, strategy: &str, secret: &Path, lines: &str) -> String {
    let mut text = format!(
        "[[issuer]]\nissuer = {issuer:?}\nstrategy = {strategy:?}\nprofile = \"at+jwt\"\naudience = \
         [{DEFAULT_AUDIENCE:?}]\n{lines}\n"
    );
    if strategy != "jwks" {
        text += &format!(
            "[issuer.introspection]\nclient_id = \"api\"\nclient_secret = {{ file = {:?} }}\n",
            secret.display().to_string()
        );
    }
    text
}

/// The outcome as one word: `verified`, or the code.
pub fn code(outcome: &Result<VerifiedToken, VerifyError>) -> &'static str {
    match outcome {
        Ok(_) => "verified",
        Err(error) => error.code(),
    }
}

pub fn rejected(outcome: Result<VerifiedToken, VerifyError>) -> Rejection {
    match outcome {
        Err(VerifyError::Rejected(rejection)) => rejection,
        other => panic!("no rejection: {other:?}"),
    }
}

pub fn unavailable(outcome: Result<VerifiedToken, VerifyError>) -> UnavailableReason {
    match outcome {
        Err(VerifyError::Unavailable(unavailable)) => unavailable.reason(),
        other => panic!("not unavailable: {other:?}"),
    }
}
