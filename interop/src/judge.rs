//! Verifiers, built in this process from the examples that `verifier config example` prints.

pub(crate) mod adapt;
pub(crate) mod transport;

use std::sync::Arc;

use tempfile::TempDir;
use verifier::core::transport::HttpTransport;
use verifier::http::TransportConfig;
use verifier::{Backends, Freshness, Strategy, VerifiedToken, Verifier, VerifierConfig, VerifyError};

use self::transport::{Counting, Counts};
use crate::scenario::{Change, Demand, FRESHNESS, Verdict};
use crate::server::{Product, Settings, Trouble, failed};

/// A verifier of one strategy, with what it asked counted.
pub(crate) struct Judge {
    /// How it verifies.
    pub(crate) strategy: Strategy,
    /// The verifier itself, for what a verdict doesn't say.
    pub(crate) verifier: Verifier,
    counts: Arc<Counts>,
    /// The client secret, and a wrong one; gone with the judge.
    _secrets: TempDir,
}

impl Judge {
    /// A verifier that has asked nobody yet: the example with this server's settings, and with `changes`.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if the example needs more than addresses, client and secret changed, or is refused.
    pub(crate) fn new(
        product: &dyn Product,
        settings: &Settings,
        strategy: Strategy,
        changes: &[Change],
    ) -> Result<Self, Trouble> {
        let secrets = tempfile::tempdir().map_err(failed)?;
        let secret = secrets.path().join("secret");
        if let Some((_, text)) = &settings.caller {
            std::fs::write(&secret, text).map_err(failed)?;
        }
        std::fs::write(adapt::wrong_file(&secret), "wrong-secret-of-nobody").map_err(failed)?;
        let text = adapt::configuration(product, settings, strategy, &secret, changes)?;
        let config = VerifierConfig::from_toml(&text)
            .map_err(|error| failed(format_args!("the example for {strategy}: {error}")))?;
        let mut transport = TransportConfig::new();
        if let Some(address) = &settings.address {
            transport = transport.connect(adapt::origin(&settings.issuer).to_owned(), address.clone());
        }
        let transport: Arc<dyn HttpTransport> = Arc::new(transport.build().map_err(failed)?);
        let counts = Arc::new(Counts::default());
        let counting = Counting::new(transport, &settings.introspection, Arc::clone(&counts));
        let backends = Backends::new();
        // A transport of our own would stand in for `connect`, which is what is to be shown there.
        let backends =
            if settings.address.is_none() { backends.transport(Arc::new(counting)) } else { backends };
        let verifier = config
            .build_with(&backends)
            .map_err(|error| failed(format_args!("the example for {strategy}: {error}")))?;
        Ok(Self { strategy, verifier, counts, _secrets: secrets })
    }

    /// What it says of a token that arrives now.
    pub(crate) async fn say(&self, token: &str, demand: Demand) -> Verdict {
        self.verify(token, demand).await.map_or_else(verdict_of, |_| Verdict::Verified)
    }

    /// The verified token, for its claims.
    ///
    /// # Errors
    /// What the verifier says.
    pub(crate) async fn verify(&self, token: &str, demand: Demand) -> Result<VerifiedToken, VerifyError> {
        // Local verification alone can't promise that, and says so; a scenario of its own shows it.
        let freshness = match demand {
            Demand::Fresh if self.strategy != Strategy::Jwks => Freshness::at_most(FRESHNESS),
            Demand::Live if self.strategy != Strategy::Jwks => Freshness::LIVE,
            _ => Freshness::CONFIGURED,
        };
        self.verifier.request(token).freshness(freshness).verify().await
    }

    /// How many introspection calls it has sent so far.
    pub(crate) fn introspections(&self) -> u64 {
        self.counts.introspections()
    }

    /// How many other requests it has sent so far: metadata and keys.
    pub(crate) fn fetches(&self) -> u64 {
        self.counts.fetches()
    }
}

/// The error as a verdict.
pub(crate) fn verdict_of(error: VerifyError) -> Verdict {
    match error {
        VerifyError::Rejected(_) => Verdict::Rejected(error.code()),
        _ => Verdict::Unavailable(error.code()),
    }
}
