//! The handle from verifiers made by hand: for strategies of your own, and for what no configuration file should hold.

use std::sync::Arc;
use std::time::Duration;

use verifier_core::runtime::Env;
use verifier_core::token::{DEFAULT_MAX_TOKEN_LEN, MAX_TOKEN_LEN};
use verifier_core::verifier::TokenVerifier;
use verifier_hybrid::Revocations;

use crate::backends::Backends;
use crate::config::ConfigError;
use crate::engine::Engine;
use crate::handle::{DEFAULT_DEADLINE, Settings, Verifier};
use crate::router::{Route, Router, Routes};

/// Builds a [`Verifier`] from verifiers. What [`VerifierConfig`](crate::VerifierConfig) reaches, this reaches too: its
/// structs are public, and [`Backends`] holds what they can't.
#[derive(Debug)]
#[must_use]
pub struct VerifierBuilder {
    env: Env,
    routes: Routes,
    revocations: Arc<Revocations>,
    settings: Settings,
    /// A call that needs an issuer and came before any.
    misplaced: Option<&'static str>,
}

impl Verifier {
    /// A builder with the system's clocks and one I/O thread.
    pub fn builder() -> VerifierBuilder {
        Self::builder_in(Backends::default().env())
    }

    /// A builder in an environment of your own. The verifiers added later should share it.
    pub fn builder_in(env: Env) -> VerifierBuilder {
        VerifierBuilder {
            revocations: Arc::new(Revocations::new(Arc::clone(&env.clock))),
            env,
            routes: Routes::default(),
            settings: Settings {
                max_token_size: DEFAULT_MAX_TOKEN_LEN,
                deadline: DEFAULT_DEADLINE,
                reveal_expiry: false,
                realm: None,
            },
            misplaced: None,
        }
    }
}

impl VerifierBuilder {
    /// The environment, for the verifiers to be added.
    pub const fn env(&self) -> &Env {
        &self.env
    }

    /// The list of revocations, for the verifiers to be added.
    pub const fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Uses this list of revocations.
    pub fn with_revocations(mut self, revocations: Arc<Revocations>) -> Self {
        self.revocations = revocations;
        self
    }

    /// Sends tokens of this issuer to this verifier. A verdict that names another issuer is refused.
    pub fn issuer(self, issuer: &str, verifier: Arc<dyn TokenVerifier>) -> Self {
        self.issuers([issuer], verifier)
    }

    /// Sends tokens of these issuers to one verifier.
    pub fn issuers<'n>(
        mut self,
        names: impl IntoIterator<Item = &'n str>,
        verifier: Arc<dyn TokenVerifier>,
    ) -> Self {
        self.routes.routes.push(Route { verifier, names: names.into_iter().map(Arc::from).collect() });
        self
    }

    /// Sends tokens that are no JWT to the issuer that was added last.
    pub fn opaque_tokens(mut self) -> Self {
        self.routes.opaque = self.last("opaque_tokens");
        self
    }

    /// Sends JWTs that name no issuer to the issuer that was added last.
    pub fn danger_tokens_without_issuer(mut self) -> Self {
        self.routes.nameless = self.last("danger_tokens_without_issuer");
        self
    }

    /// The issuer that was added last.
    fn last(&mut self, call: &'static str) -> Option<usize> {
        let last = self.routes.routes.len().checked_sub(1);
        if last.is_none() {
            self.misplaced = Some(call);
        }
        last
    }

    /// Greatest size of a token in bytes; default 16 KiB, at most 64 KiB.
    pub const fn max_token_size(mut self, bytes: usize) -> Self {
        self.settings.max_token_size = bytes;
        self
    }

    /// Greatest time for a whole verification; default [`DEFAULT_DEADLINE`].
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// Whether a challenge may say that a token's only fault is its age.
    pub const fn reveal_expiry(mut self, reveal: bool) -> Self {
        self.settings.reveal_expiry = reveal;
        self
    }

    /// The realm of challenges.
    pub fn realm(mut self, realm: &str) -> Self {
        self.settings.realm = Some(realm.into());
        self
    }

    /// The handle.
    ///
    /// # Errors
    /// [`ConfigError`] if there is no issuer, two share a name, or a limit is out of range.
    pub fn build(self) -> Result<Verifier, ConfigError> {
        if self.routes.routes.is_empty() {
            return Err(ConfigError::invalid("issuer", "none was added"));
        }
        if let Some(call) = self.misplaced {
            return Err(ConfigError::invalid(
                call,
                "was called before an issuer was added, and speaks of the last one",
            ));
        }
        if self
            .routes
            .routes
            .iter()
            .any(|route| route.names.is_empty() || route.names.iter().any(|name| name.is_empty()))
        {
            return Err(ConfigError::invalid("issuer", "was added without a name"));
        }
        let mut names: Vec<&Arc<str>> = self.routes.routes.iter().flat_map(|route| &route.names).collect();
        names.sort_unstable();
        if let Some((name, _)) = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b) {
            return Err(ConfigError::invalid("issuer", format_args!("{name} was added twice")));
        }
        if self.settings.deadline.is_zero() {
            return Err(ConfigError::invalid("deadline", "zero would make every verification unavailable"));
        }
        if !(1..=MAX_TOKEN_LEN).contains(&self.settings.max_token_size) {
            return Err(ConfigError::invalid(
                "max_token_size",
                format_args!("{} is not between 1 and {MAX_TOKEN_LEN}", self.settings.max_token_size),
            ));
        }
        let root = Arc::new(Router::new(self.routes));
        let engine = Engine::new(root, self.settings, Vec::new(), None, self.env.clock.now());
        Ok(Verifier::new(engine, self.revocations, self.env, None))
    }
}
