//! What a run of the suite found.

use std::fmt;

/// Something that the contract forbids. Holds no token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The rule that was broken.
    pub rule: &'static str,
    /// What happened instead.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// What a run of the suite found.
#[derive(Clone, Default, Debug)]
#[must_use]
pub struct Report {
    checks: usize,
    failures: Vec<Failure>,
}

impl Report {
    /// How many checks were made.
    pub const fn checks(&self) -> usize {
        self.checks
    }

    /// What failed.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Whether checks were made and none failed.
    pub const fn conforms(&self) -> bool {
        self.checks > 0 && self.failures.is_empty()
    }

    /// Whether this rule was broken.
    pub fn breaks(&self, rule: &str) -> bool {
        self.failures.iter().any(|failure| failure.rule == rule)
    }

    /// For tests: the failures in the panic's message.
    ///
    /// # Panics
    /// If the verifier does not conform.
    #[track_caller]
    pub fn assert_conforms(&self) {
        assert!(self.conforms(), "{self}");
    }

    pub(super) fn check(&mut self, rule: &'static str, holds: bool, what: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds {
            self.failures.push(Failure { rule, what: what() });
        }
    }

    pub(super) fn fail(&mut self, rule: &'static str, what: impl Into<String>) {
        self.check(rule, false, || what.into());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} checks, {} failed", self.checks, self.failures.len())?;
        self.failures.iter().try_for_each(|failure| write!(f, "\n- {failure}"))
    }
}
