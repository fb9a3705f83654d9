//! Where a scenario is played: one server, and verifiers of each strategy.

use std::time::Duration;

use verifier::Strategy;

use crate::judge::Judge;
use crate::scenario::{Change, Verdict, Want};
use crate::server::{Deed, Format, Issued, Order, Product, Server, Settings, Sort, Trouble, failed};

/// One server that runs.
pub(crate) struct Stage<'a> {
    /// What it is.
    pub(crate) product: &'a dyn Product,
    /// The running one.
    pub(crate) server: &'a dyn Server,
    /// What goes into configurations.
    pub(crate) settings: Settings,
}

impl Stage<'_> {
    /// A verifier that has asked nobody yet.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if the configuration is refused.
    pub(crate) fn judge(&self, strategy: Strategy, changes: &[Change]) -> Result<Judge, Trouble> {
        Judge::new(self.product, &self.settings, strategy, changes)
    }

    /// The same, for tokens of this sort: an algorithm that the example doesn't list is allowed, as its users would.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub(crate) fn judge_of(
        &self,
        strategy: Strategy,
        sort: &Sort,
        changes: &[Change],
    ) -> Result<Judge, Trouble> {
        let mut all = changes.to_vec();
        let listed = changes.iter().any(|change| change.key == "algorithms");
        if sort.format == Format::Jwt && !listed {
            all.extend(algorithm_change(self.product, strategy, sort.algorithm));
        }
        self.judge(strategy, &all)
    }

    /// Whether the example for this strategy allows this algorithm. Who allows EdDSA allows Ed25519, the newer name of
    /// what nearly all mean by it (RFC 9864).
    pub(crate) fn lists(&self, strategy: Strategy, algorithm: &str) -> bool {
        let listed = |algorithm| algorithm_change(self.product, strategy, algorithm).is_none();
        listed(algorithm) || algorithm == "Ed25519" && listed("EdDSA")
    }

    /// Issues a token.
    ///
    /// # Errors
    /// The server's.
    pub(crate) async fn issue(&self, order: &Order) -> Result<Issued, Trouble> {
        self.server.issue(order).await
    }

    /// Does something to it.
    ///
    /// # Errors
    /// The server's.
    pub(crate) async fn act(&self, deed: Deed, issued: &mut Issued) -> Result<(), Trouble> {
        self.server.act(deed, issued).await
    }
}

/// Every algorithm that a change may name, as a configuration writes it.
const ALGORITHMS: &[(&str, &str)] = &[
    ("RS256", "[\"RS256\"]"),
    ("RS384", "[\"RS384\"]"),
    ("RS512", "[\"RS512\"]"),
    ("PS256", "[\"PS256\"]"),
    ("PS384", "[\"PS384\"]"),
    ("PS512", "[\"PS512\"]"),
    ("ES256", "[\"ES256\"]"),
    ("ES384", "[\"ES384\"]"),
    ("ES512", "[\"ES512\"]"),
    ("EdDSA", "[\"EdDSA\"]"),
    ("Ed25519", "[\"Ed25519\"]"),
];

/// The change that allows this algorithm, if the example doesn't.
fn algorithm_change(product: &dyn Product, strategy: Strategy, algorithm: &str) -> Option<Change> {
    let example = verifier::examples::get(product.example(strategy))?.toml;
    let listed = example
        .lines()
        .filter(|line| line.starts_with("algorithms"))
        .any(|line| line.contains(&format!("\"{algorithm}\"")));
    if listed {
        return None;
    }
    let (_, value) = ALGORITHMS.iter().find(|(name, _)| *name == algorithm)?;
    Some(Change::set("issuer.keys", "algorithms", value))
}

/// One comparison, made.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// By which strategy; `None` if it is about none.
    pub(crate) strategy: Option<Strategy>,
    /// Of which token and at which step, in a scenario of steps.
    pub(crate) of: Option<(Sort, &'static str)>,
    /// What was compared, in a scenario of one's own.
    pub(crate) what: String,
    /// What had to come.
    pub(crate) wanted: String,
    /// What came.
    pub(crate) got: String,
    /// Whether it will do.
    pub(crate) passed: bool,
    /// How long it took until it was noticed, where time is part of it.
    pub(crate) took: Option<Duration>,
    /// Why this server's verdict is another than the table's, where it is.
    pub(crate) because: Option<&'static str>,
}

impl Check {
    /// A verdict.
    pub(crate) fn verdict(strategy: Strategy, what: impl Into<String>, want: Want, got: Verdict) -> Self {
        Self {
            strategy: Some(strategy),
            of: None,
            what: what.into(),
            wanted: want.to_string(),
            got: got.to_string(),
            passed: want.allows(got),
            took: None,
            because: None,
        }
    }

    /// Two texts that have to be the same.
    pub(crate) fn same(
        strategy: Option<Strategy>,
        what: impl Into<String>,
        wanted: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        let (wanted, got) = (wanted.into(), got.into());
        let passed = wanted == got;
        Self { strategy, of: None, what: what.into(), wanted, got, passed, took: None, because: None }
    }

    /// Something that has to be so.
    pub(crate) fn holds(
        strategy: Option<Strategy>,
        what: impl Into<String>,
        wanted: impl Into<String>,
        holds: bool,
        got: impl Into<String>,
    ) -> Self {
        Self {
            strategy,
            of: None,
            what: what.into(),
            wanted: wanted.into(),
            got: got.into(),
            passed: holds,
            took: None,
            because: None,
        }
    }

    /// How long it took.
    pub(crate) fn took(self, took: Duration) -> Self {
        Self { took: Some(took), ..self }
    }
}

/// A claim of a verified token, as text; for scenarios about what a service sees.
///
/// # Errors
/// [`Trouble::Failed`] if the token isn't verified.
pub(crate) async fn claims(judge: &Judge, token: &str) -> Result<serde_json::Value, Trouble> {
    let verified = judge
        .verify(token, crate::scenario::Demand::Configured)
        .await
        .map_err(|error| failed(format_args!("not verified: {}", error.code())))?;
    serde_json::to_value(verified.members()).map_err(failed)
}
