//! From configuration to verifiers: each issuer's section becomes one [`TokenVerifier`], several of them a router.
//! Nothing is asked over the network.

mod client_auth;
mod introspection;
mod issuer;
mod keys;
mod naming;
mod observed;
mod origin;
mod provider;
mod reach;
mod signed;
mod source;

pub(crate) use self::origin::Files;
pub use self::reach::Reach;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use verifier_core::runtime::Env;
use verifier_core::token::{DEFAULT_MAX_TOKEN_LEN, MAX_TOKEN_LEN};
use verifier_core::verifier::TokenVerifier;
use verifier_hybrid::Revocations;

use crate::backends::Backends;
use crate::config::{ConfigError, OpaqueTokens, RevocationsSection, StrategyName, VerifierConfig};
use crate::engine::{Engine, Section};
use crate::handle::{DEFAULT_DEADLINE, Settings, Verifier};
use crate::router::{Route, Router, Routes};

/// What the assembly of each issuer needs besides its section.
struct Workshop<'a> {
    backends: &'a Backends,
    env: Env,
    revocations: Arc<Revocations>,
}

impl VerifierConfig {
    /// Builds the verifier with the default backends.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key, and both values of a contradiction.
    pub fn build(&self) -> Result<Verifier, ConfigError> {
        self.build_with(&Backends::default())
    }

    /// Builds the verifier; `custom:NAME` in the configuration refers to these backends.
    ///
    /// Asks nobody, and works outside any runtime: a service starts while its authorization server is down.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key, and both values of a contradiction.
    pub fn build_with(&self, backends: &Backends) -> Result<Verifier, ConfigError> {
        let env = backends.env();
        let revocations = Arc::new(revocations(self.revocations.as_ref(), &env)?);
        let engine = self.engine(backends, &env, &revocations, &[])?;
        Ok(Verifier::new(engine, revocations, env, Some(backends.clone())))
    }

    /// The engine of this configuration. A section that one of the predecessors was made from, word for word, goes on
    /// with what that holds.
    pub(crate) fn engine(
        &self,
        backends: &Backends,
        env: &Env,
        revocations: &Arc<Revocations>,
        predecessors: &[Section],
    ) -> Result<Engine, ConfigError> {
        let settings = self.settings()?;
        let workshop = Workshop { backends, env: env.clone(), revocations: Arc::clone(revocations) };
        let sections = self.sections(&workshop, predecessors)?;
        let root = self.root(&sections)?;
        Ok(Engine::new(root, settings, sections, self.revocations.clone(), env.clock.now()))
    }

    fn settings(&self) -> Result<Settings, ConfigError> {
        let max_token_size = self.max_token_size.unwrap_or(DEFAULT_MAX_TOKEN_LEN);
        if !(1..=MAX_TOKEN_LEN).contains(&max_token_size) {
            return Err(ConfigError::invalid(
                "max_token_size",
                format_args!("{max_token_size} is not between 1 and {MAX_TOKEN_LEN}"),
            ));
        }
        let deadline = self.deadline.map_or(DEFAULT_DEADLINE, |span| span.get());
        if deadline.is_zero() {
            return Err(ConfigError::invalid("deadline", "zero would make every verification unavailable"));
        }
        Ok(Settings {
            max_token_size,
            deadline,
            reveal_expiry: self.reveal_expiry,
            realm: self.realm.as_deref().map(Box::from),
        })
    }

    /// Each issuer's section with its verifier.
    fn sections(
        &self,
        workshop: &Workshop<'_>,
        predecessors: &[Section],
    ) -> Result<Vec<Section>, ConfigError> {
        if self.issuer.is_empty() {
            return Err(ConfigError::invalid(
                "issuer",
                "none is configured: at least one [[issuer]] section is needed",
            ));
        }
        let mut seen: HashMap<Arc<str>, usize> = HashMap::new();
        let mut sections = Vec::with_capacity(self.issuer.len());
        for (n, config) in self.issuer.iter().enumerate() {
            let below = |error: ConfigError| error.below(&format!("issuer[{n}]"));
            let names = config.names().map_err(below)?;
            for name in &names {
                if let Some(other) = seen.insert(Arc::clone(name), n) {
                    return Err(below(ConfigError::invalid(
                        "issuer",
                        format_args!("{name} is configured twice, in issuer[{other}] and here"),
                    )));
                }
            }
            // The files first: one that changes meanwhile looks changed at the next comparison, too.
            let files = config.files();
            let kept = predecessors.iter().find(|it| it.config == *config && it.files == files);
            let verifier = match kept {
                Some(kept) => Arc::clone(&kept.verifier),
                None => config.verifier(workshop, &names).map_err(below)?,
            };
            sections.push(Section { config: config.clone(), files, names, verifier });
        }
        Ok(sections)
    }

    /// One issuer's verifier, or a router over all of them.
    fn root(&self, sections: &[Section]) -> Result<Arc<dyn TokenVerifier>, ConfigError> {
        let mut routes = Routes::default();
        for (n, Section { config, names, verifier, .. }) in sections.iter().enumerate() {
            let below = |error: ConfigError| error.below(&format!("issuer[{n}]"));
            if config.danger_accept_missing_issuer {
                claim(&mut routes.nameless, n, "danger_accept_missing_issuer").map_err(below)?;
            }
            if config.takes_opaque_tokens(sections.len()) {
                claim(&mut routes.opaque, n, "opaque").map_err(below)?;
            }
            routes.routes.push(Route { verifier: Arc::clone(verifier), names: names.clone() });
        }
        // A backend that isn't ours is compared with its configured name even where it stands alone, and introspection
        // alone refuses no opaque token.
        let routed = self.issuer.iter().any(|section| {
            matches!(section.strategy, StrategyName::Custom(_))
                || section.opaque == Some(OpaqueTokens::Refuse)
        });
        Ok(match (routes.routes.as_slice(), routed) {
            ([only], false) => Arc::clone(&only.verifier),
            _ => Arc::new(Router::new(routes)),
        })
    }
}

impl crate::config::IssuerConfig {
    /// Whether tokens that are no JWT go here.
    fn takes_opaque_tokens(&self, issuers: usize) -> bool {
        match self.opaque {
            Some(setting) => setting == OpaqueTokens::Introspect,
            // With one issuer there is nobody else to ask.
            None => {
                issuers == 1 && matches!(self.strategy, StrategyName::Introspection | StrategyName::Custom(_))
            }
        }
    }
}

/// At most one issuer can take what has no name.
fn claim(place: &mut Option<usize>, n: usize, key: &str) -> Result<(), ConfigError> {
    match place.replace(n) {
        None => Ok(()),
        Some(other) => Err(ConfigError::invalid(
            key,
            format_args!("is set in issuer[{other}] and here; one issuer at most"),
        )),
    }
}

fn revocations(section: Option<&RevocationsSection>, env: &Env) -> Result<Revocations, ConfigError> {
    let mut revocations = Revocations::new(Arc::clone(&env.clock));
    if let Some(section) = section {
        if let Some(entries) = section.max_entries {
            if entries == 0 {
                return Err(ConfigError::invalid(
                    "revocations.max_entries",
                    "zero would refuse every revocation",
                ));
            }
            revocations = revocations.with_capacity(entries);
        }
        if let Some(retention) = section.retention {
            positive("revocations.retention", retention.get())?;
            revocations = revocations.with_retention(retention.get());
        }
    }
    Ok(revocations)
}

fn positive(key: &str, duration: Duration) -> Result<Duration, ConfigError> {
    if duration.is_zero() { Err(ConfigError::invalid(key, "must not be zero")) } else { Ok(duration) }
}
