//! What is printed: a line for each comparison, the sum at the end; or one JSON object a line.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::json;

use crate::play::Outcome;
use crate::stage::Check;

/// The sum of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sum {
    /// As expected.
    pub(crate) passed: usize,
    /// Not as expected, or broken.
    pub(crate) failed: usize,
    /// What couldn't be played.
    pub(crate) not_here: usize,
}

impl Sum {
    /// With this outcome.
    pub(crate) fn plus(self, outcome: &Outcome) -> Self {
        let good = outcome.checks.iter().filter(|check| check.passed).count();
        Self {
            passed: self.passed + good,
            failed: self.failed + (outcome.checks.len() - good) + outcome.broken.len(),
            not_here: self.not_here + outcome.not_here.len(),
        }
    }

    /// With another sum.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            not_here: self.not_here + other.not_here,
        }
    }
}

/// Prints one outcome.
///
/// # Errors
/// If nobody reads it.
pub(crate) fn outcome(out: &mut impl Write, json: bool, server: &str, outcome: &Outcome) -> io::Result<()> {
    let id = outcome.scenario;
    for check in &outcome.checks {
        if json {
            writeln!(out, "{}", check_json(server, id, check))?;
        } else {
            writeln!(out, "{}", check_line(server, id, check))?;
        }
    }
    for (word, texts) in [("not here", &outcome.not_here), ("FAILED", &outcome.broken)] {
        for text in texts {
            if json {
                let line = json!({ "result": word.to_lowercase(), "server": server, "scenario": id, "because": text });
                writeln!(out, "{line}")?;
            } else {
                writeln!(out, "{word} {server} {id}: {text}")?;
            }
        }
    }
    if json {
        let took = outcome.took.as_secs_f64();
        writeln!(
            out,
            "{}",
            json!({ "result": "played", "server": server, "scenario": id, "seconds": took })
        )?;
    }
    out.flush()
}

/// Prints how long a server's run took.
///
/// # Errors
/// If nobody reads it.
pub(crate) fn took(
    out: &mut impl Write,
    json: bool,
    server: &str,
    took: Duration,
    load: &str,
) -> io::Result<()> {
    if json {
        let line = json!({ "result": "run", "server": server, "seconds": took.as_secs(), "machine": load });
        writeln!(out, "{line}")
    } else {
        writeln!(out, "took {server}: {} s ({load})", took.as_secs())
    }
}

/// Prints the sum.
///
/// # Errors
/// If nobody reads it.
pub(crate) fn sum(out: &mut impl Write, json: bool, sum: Sum, took: Duration) -> io::Result<()> {
    if json {
        let line = json!({
            "passed": sum.passed, "failed": sum.failed, "not_here": sum.not_here, "seconds": took.as_secs(),
        });
        writeln!(out, "{line}")?;
    } else {
        writeln!(out, "{} passed, {} failed", sum.passed, sum.failed)?;
    }
    out.flush()
}

fn check_line(server: &str, id: &str, check: &Check) -> String {
    let word = if check.passed { "ok" } else { "FAILED" };
    let what = if check.what.is_empty() { String::new() } else { format!(" [{}]", check.what) };
    let by = check.strategy.map(|strategy| format!(" by {strategy}")).unwrap_or_default();
    let took = check.took.map(|took| format!(" after {}", seconds(took))).unwrap_or_default();
    let wanted = if check.passed { String::new() } else { format!(", expected {}", check.wanted) };
    let because = check.because.map(|because| format!(" ({because})")).unwrap_or_default();
    format!("{word} {server} {id}{what}{by}: {}{took}{wanted}{because}", check.got)
}

fn check_json(server: &str, id: &str, check: &Check) -> serde_json::Value {
    json!({
        "result": if check.passed { "ok" } else { "failed" },
        "server": server,
        "scenario": id,
        "what": check.what,
        "strategy": check.strategy.map(verifier::Strategy::name),
        "wanted": check.wanted,
        "got": check.got,
        "took_ms": check.took.map(|took| took.as_millis()),
        "because": check.because,
    })
}

/// `0.84 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use verifier::Strategy;

    use super::*;
    use crate::scenario::{VERIFIED, Verdict, rejected};

    fn played() -> Outcome {
        let mut outcome = Outcome::new("fresh", "fresh");
        outcome.checks = vec![
            Check::verdict(Strategy::Jwks, "client jwt, first", VERIFIED, Verdict::Verified),
            Check::verdict(
                Strategy::Hybrid,
                "client jwt, first",
                rejected("inactive"),
                Verdict::Rejected("expired"),
            )
            .took(Duration::from_millis(840)),
        ];
        outcome.not_here = vec!["it has none".to_owned()];
        outcome.broken = vec!["it is gone".to_owned()];
        outcome
    }

    #[test]
    fn every_check_and_every_breakage_counts() {
        let sum = Sum::default().plus(&played()).and(Sum { passed: 1, failed: 0, not_here: 0 });
        assert_eq!(sum, Sum { passed: 2, failed: 2, not_here: 1 });
    }

    #[test]
    fn lines_say_what_was_expected_where_it_did_not_come() {
        let mut text = Vec::new();
        outcome(&mut text, false, "hydra", &played()).unwrap();
        super::sum(&mut text, false, Sum { passed: 1, failed: 2, not_here: 1 }, Duration::ZERO).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "ok hydra fresh [client jwt, first] by jwks: verified\n\
             FAILED hydra fresh [client jwt, first] by hybrid: rejected/expired after 0.84 s, expected rejected/inactive\n\
             not here hydra fresh: it has none\n\
             FAILED hydra fresh: it is gone\n\
             1 passed, 2 failed\n"
        );
    }

    #[test]
    fn each_line_of_json_is_an_object() {
        let mut text = Vec::new();
        outcome(&mut text, true, "hydra", &played()).unwrap();
        super::sum(&mut text, true, Sum::default(), Duration::ZERO).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 6);
        for line in text.lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
        }
    }
}
