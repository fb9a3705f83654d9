//! Another configuration for a handle in use.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use verifier_core::error::Unavailable;
use verifier_core::verifier::Asked;

use crate::config::{ConfigError, VerifierConfig};
use crate::engine::Section;
use crate::handle::Verifier;

/// What became of the issuers when a configuration was replaced. Each is named as in its section.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Reconfigured {
    /// Those whose section, and the files it names, are what they were: keys and kept answers go on.
    pub kept: Vec<String>,
    /// Those that are new, or whose section changed: built anew, and ready.
    pub built: Vec<String>,
    /// Those that are accepted no more.
    pub dropped: Vec<String>,
}

/// Why a configuration did not come into force. The one before it stays.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ReconfigureError {
    /// It can't be used.
    Config(ConfigError),
    /// An issuer that is new, or whose section changed, can give no verdicts yet.
    NotReady {
        /// As in its section.
        issuer: String,
        /// Why.
        why: Unavailable,
    },
    /// Another configuration came into force meanwhile.
    Superseded,
    /// The handle is one of [`Verifier::builder`]: there is no configuration to be replaced.
    MadeByHand,
}

impl Verifier {
    /// Puts another configuration into force, for all clones of this handle, without a verdict lost on the way.
    ///
    /// An issuer whose section is the same, and whose `ca_file` and secret files hold the same, keeps its keys and its
    /// kept answers; nothing is asked on its behalf, and whether it is ready just now doesn't matter. Every other one is
    /// built, with the [`Backends`](crate::Backends) of this handle, and asked to be [`ready`](Self::ready) for at most
    /// `within`; only then the new configuration comes into force, as a whole. Verifications under way end by the
    /// configuration they began with. What was [`revoke`](Self::revoke)d stays revoked.
    ///
    /// A policy of [`with_policy`](Self::with_policy) stays, too: it is the handle's.
    ///
    /// # Errors
    /// [`ReconfigureError`]; nothing has changed then. The section `revocations` can't be changed: its list is what all
    /// configurations share.
    pub async fn reconfigure(
        &self,
        config: &VerifierConfig,
        within: Duration,
    ) -> Result<Reconfigured, ReconfigureError> {
        let Some(backends) = self.backends() else { return Err(ReconfigureError::MadeByHand) };
        let current = self.engine();
        if current.revocations != config.revocations {
            return Err(ReconfigureError::Config(ConfigError::invalid(
                "revocations",
                "can't be changed while it is in use: start the service anew",
            )));
        }
        let next = config.engine(backends, self.env(), self.revocations(), &current.sections)?;
        let (changes, fresh) = compare(&current.sections, &next.sections);
        self.await_ready(&fresh, within).await?;
        if !self.publish(&current, next) {
            return Err(ReconfigureError::Superseded);
        }
        #[cfg(feature = "tracing")]
        crate::events::reconfigured(&changes);
        Ok(changes)
    }

    /// Each of them, side by side.
    async fn await_ready(&self, sections: &[Section], within: Duration) -> Result<(), ReconfigureError> {
        let env = self.env();
        let deadline = env.clock.now().monotonic.plus(within);
        let asked = sections.iter().map(|section| async move {
            let ready = match section.verifier.ready(Some(deadline)) {
                Asked::Ready(ready) => ready,
                Asked::Pending(asked) => match crate::handle::bounded(env, within, asked).await {
                    Ok(ready) => ready,
                    Err(unavailable) => Err(unavailable),
                },
            };
            ready.map_err(|why| ReconfigureError::NotReady { issuer: section.config.issuer.clone(), why })
        });
        join_all(asked).await.into_iter().collect()
    }
}

/// What changes, and the sections that are new.
fn compare(old: &[Section], new: &[Section]) -> (Reconfigured, Vec<Section>) {
    let same = |a: &Section, b: &Section| Arc::ptr_eq(&a.verifier, &b.verifier) && a.config == b.config;
    let name = |section: &Section| section.config.issuer.clone();
    let (kept, fresh): (Vec<&Section>, Vec<&Section>) =
        new.iter().partition(|section| old.iter().any(|before| same(before, section)));
    let dropped =
        old.iter().filter(|before| new.iter().all(|section| section.config.issuer != before.config.issuer));
    let changes = Reconfigured {
        kept: kept.into_iter().map(name).collect(),
        built: fresh.iter().map(|section| name(section)).collect(),
        dropped: dropped.map(name).collect(),
    };
    (changes, fresh.into_iter().cloned().collect())
}

impl From<ConfigError> for ReconfigureError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl fmt::Display for ReconfigureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::NotReady { issuer, why } => write!(f, "{issuer} is not ready: {why}"),
            Self::Superseded => f.write_str("another configuration came into force meanwhile"),
            Self::MadeByHand => {
                f.write_str("the verifiers were made by hand: there is no configuration to be replaced")
            }
        }
    }
}

impl std::error::Error for ReconfigureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::NotReady { why, .. } => Some(why),
            Self::Superseded | Self::MadeByHand => None,
        }
    }
}
