//! Credentials in use: our own, or a token that they get us.

use std::sync::Arc;
use std::time::Duration;

use verifier_core::runtime::Env;
use verifier_core::transport::{HttpTransport, Limits};
use verifier_core::upstream::Upstream;
use zeroize::Zeroizing;

use super::ClientAuth;
use super::direct::{Aim, Direct, Presented};
use super::grant::Grant;
use crate::config::BuildError;
use crate::not_got::NotGot;

/// What is needed to get a token: that of the introspector.
pub(crate) struct Surroundings {
    pub(crate) issuer: Arc<str>,
    pub(crate) transport: Arc<dyn HttpTransport>,
    pub(crate) env: Env,
    pub(crate) limits: Limits,
    pub(crate) upstream: Upstream,
    /// After which a call is taken for lost.
    pub(crate) overdue: Duration,
}

/// How requests to the introspection endpoint are authenticated.
#[derive(Debug)]
pub(crate) enum Credentials {
    Direct(Box<Direct>),
    Granted(Grant),
}

impl Credentials {
    /// Reads secrets and keys once, so that what is missing is known at the start. Asks nobody.
    pub(crate) fn load(auth: ClientAuth, around: Surroundings) -> Result<Self, BuildError> {
        Ok(match auth {
            ClientAuth::ClientCredentials(grant) => Self::Granted(Grant::load(*grant, around)?),
            direct => Self::Direct(Box::new(Direct::load(direct)?)),
        })
    }

    /// What the next request carries, and what it carries after this was refused and is
    /// [`renewed_since`](Self::renewed_since).
    pub(crate) async fn present(
        &self,
        aim: &Aim<'_>,
        refused: Option<&Presented>,
    ) -> Result<Presented, NotGot> {
        match self {
            Self::Direct(direct) => Ok(direct.present(aim)?),
            Self::Granted(grant) => grant.present(refused).await,
        }
    }

    /// The server refused what was presented: whether there is something else to present.
    pub(crate) fn renewed_since(&self, refused: &Presented) -> bool {
        match self {
            Self::Direct(direct) => direct.renewed_since(refused),
            Self::Granted(grant) => grant.renewed_since(refused),
        }
    }

    /// Whether we were refused where a token is got: a renewal ahead of time has no caller to tell.
    pub(crate) fn are_refused(&self) -> bool {
        matches!(self, Self::Granted(grant) if grant.is_refused())
    }

    /// Who asks, as parts of a cache's scope.
    pub(crate) fn scope(&self) -> (&'static str, Zeroizing<Vec<u8>>) {
        match self {
            Self::Direct(direct) => direct.scope(),
            Self::Granted(grant) => grant.scope(),
        }
    }
}
