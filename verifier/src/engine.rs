//! What stands below the handle, as a whole: it is made once and never changed, only replaced.

use std::sync::Arc;

#[cfg(feature = "tracing")]
use verifier_core::evidence::Strategy;
use verifier_core::time::Now;
use verifier_core::verifier::TokenVerifier;

use crate::assemble::Files;
use crate::config::{IssuerConfig, RevocationsSection};
use crate::handle::Settings;

/// One configuration in force.
#[derive(Debug)]
pub(crate) struct Engine {
    /// One issuer's verifier, or a router.
    pub(crate) root: Arc<dyn TokenVerifier>,
    pub(crate) settings: Settings,
    /// What it was made from; empty if it was made by hand.
    pub(crate) sections: Vec<Section>,
    pub(crate) revocations: Option<RevocationsSection>,
    /// The strategy, if there is but one issuer.
    #[cfg(feature = "tracing")]
    pub(crate) only_strategy: Option<Strategy>,
}

/// One issuer's section, and the verifier that was made from it.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) config: IssuerConfig,
    /// The files that it was made from, too.
    pub(crate) files: Files,
    /// The names that the issuer's tokens may bear.
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) verifier: Arc<dyn TokenVerifier>,
}

impl Engine {
    #[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
    pub(crate) fn new(
        root: Arc<dyn TokenVerifier>,
        settings: Settings,
        sections: Vec<Section>,
        revocations: Option<RevocationsSection>,
        now: Now,
    ) -> Self {
        #[cfg(feature = "tracing")]
        let only_strategy = {
            let health = root.health(now);
            match health.parts.as_slice() {
                [] => Some(health.strategy),
                [only] if health.issuer.is_none() => Some(only.strategy),
                _ => health.issuer.is_some().then_some(health.strategy),
            }
        };
        Self {
            root,
            settings,
            sections,
            revocations,
            #[cfg(feature = "tracing")]
            only_strategy,
        }
    }
}
