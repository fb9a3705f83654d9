//! The table of verdicts: a row for each event and kind of token, sorts with the same verdicts together.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use verifier::Strategy;

use crate::play::Outcome;
use crate::report::seconds;
use crate::scenario::STRATEGIES;
use crate::server::{Format, Sort};
use crate::stage::Check;

/// Writes it.
///
/// # Errors
/// If the writer fails.
pub(crate) fn write(text: &mut impl Write, outcomes: &[Outcome]) -> fmt::Result {
    writeln!(text, "| what | tokens | jwks | introspection | hybrid |")?;
    writeln!(text, "|---|---|---|---|---|")?;
    for outcome in outcomes {
        for row in rows(outcome) {
            writeln!(text, "| {} | {} | {} |", row.what, row.tokens, row.verdicts.join(" | "))?;
        }
    }
    Ok(())
}

struct Row {
    what: String,
    tokens: String,
    verdicts: [String; 3],
}

fn rows(outcome: &Outcome) -> Vec<Row> {
    let steps: BTreeSet<&str> =
        outcome.checks.iter().filter_map(|check| check.of.map(|(_, step)| step)).collect();
    let mut rows = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    let mut left = outcome.checks.as_slice();
    while let Some((check, rest)) = left.split_first() {
        match check.of {
            None => {
                // One row for what was asked of several strategies.
                let mut last = column(check);
                let alike = |other: &&Check| {
                    let follows = column(other) > last;
                    last = column(other);
                    follows && other.of.is_none() && other.what == check.what
                };
                let same = 1 + rest.iter().take_while(alike).count();
                let (group, rest) = left.split_at_checked(same).unwrap_or((left, &[]));
                rows.push(together(outcome, group));
                left = rest;
            }
            Some((_, step)) => {
                if !done.contains(&step) {
                    done.push(step);
                    rows.extend(step_rows(outcome, step, steps.len() > 1));
                }
                left = rest;
            }
        }
    }
    rows
}

/// A comparison of a scenario's own, by one strategy or several.
fn together(outcome: &Outcome, checks: &[Check]) -> Row {
    let what = checks.first().map_or("", |check| &check.what);
    let what = if what.is_empty() {
        cell(outcome.title)
    } else {
        format!("{}: {}", cell(outcome.title), cell(what))
    };
    let mut verdicts = STRATEGIES.map(|_| "-".to_owned());
    for check in checks {
        if let Some(cell) = verdicts.get_mut(column(check)) {
            *cell = shown(check, check.took);
        }
    }
    Row { what, tokens: String::new(), verdicts }
}

/// The column of a strategy; what is of none stands in the first.
fn column(check: &Check) -> usize {
    STRATEGIES.iter().position(|strategy| Some(*strategy) == check.strategy).unwrap_or(0)
}

/// One row for the sorts of token that were judged alike at a step.
fn step_rows(outcome: &Outcome, step: &str, of_several: bool) -> Vec<Row> {
    let here: Vec<&Check> =
        outcome.checks.iter().filter(|check| check.of.is_some_and(|(_, own)| own == step)).collect();
    let sorts: BTreeSet<Sort> = here.iter().filter_map(|check| check.of.map(|(sort, _)| sort)).collect();
    let of = |sort: &Sort, strategy: Strategy| {
        let fits = |check: &&&Check| {
            check.strategy == Some(strategy) && check.of.is_some_and(|(own, _)| own == *sort)
        };
        here.iter().find(fits).copied()
    };
    // Those that are alike, time aside, in the order of their first.
    let mut groups: Vec<([String; 3], Vec<Sort>)> = Vec::new();
    for sort in &sorts {
        let key = STRATEGIES.map(|strategy| {
            of(sort, strategy).map(|check| shown(check, None)).unwrap_or_else(|| "-".to_owned())
        });
        match groups.iter_mut().find(|(own, _)| *own == key) {
            Some((_, sorts)) => sorts.push(*sort),
            None => groups.push((key, vec![*sort])),
        }
    }
    let rows = groups.into_iter().map(|(_, group)| {
        let verdicts = STRATEGIES.map(|strategy| {
            let checks: Vec<&Check> = group.iter().filter_map(|sort| of(sort, strategy)).collect();
            let slowest = checks.iter().filter_map(|check| check.took).max();
            checks.first().map_or_else(|| "-".to_owned(), |check| shown(check, slowest))
        });
        let step = if of_several { format!(": {step}") } else { String::new() };
        Row { what: format!("{}{step}", cell(outcome.title)), tokens: named(&group, &sorts), verdicts }
    });
    rows.collect()
}

/// What the sorts have in common, if they are all of it.
fn named(group: &[Sort], all: &BTreeSet<Sort>) -> String {
    let formats =
        |sorts: &mut dyn Iterator<Item = &Sort>| sorts.map(|sort| sort.format).collect::<BTreeSet<_>>();
    if group.len() == all.len() {
        let of = formats(&mut group.iter());
        return match (of.contains(&Format::Jwt), of.contains(&Format::Opaque)) {
            (true, true) => "all".to_owned(),
            (true, false) => "JWT".to_owned(),
            _ => "opaque".to_owned(),
        };
    }
    for (format, name) in [(Format::Jwt, "JWT"), (Format::Opaque, "opaque")] {
        let whole: Vec<&Sort> = all.iter().filter(|sort| sort.format == format).collect();
        if whole.len() == group.len() && whole.iter().all(|sort| group.contains(sort)) {
            return name.to_owned();
        }
    }
    group.iter().map(Sort::to_string).collect::<Vec<_>>().join(", ")
}

fn shown(check: &Check, took: Option<std::time::Duration>) -> String {
    let verdict = match check.got.split_once('/') {
        Some(("rejected", code)) => code.to_owned(),
        Some(("unavailable", code)) => format!("*unavailable*: {code}"),
        _ => cell(&check.got),
    };
    let took = took.map(|took| format!(" ({})", seconds(took))).unwrap_or_default();
    let failed =
        if check.passed { String::new() } else { format!(" **FAILED**, expected {}", cell(&check.wanted)) };
    let because = check.because.map(|because| format!(": {}", cell(because))).unwrap_or_default();
    format!("{verdict}{took}{failed}{because}")
}

/// A text that breaks no table.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::{VERIFIED, Verdict, rejected};
    use crate::server::Subject;

    fn check(sort: Sort, strategy: Strategy, verdict: Verdict, took: u64) -> Check {
        let want = if verdict == Verdict::Verified { VERIFIED } else { rejected("inactive") };
        Check { of: Some((sort, "after")), ..Check::verdict(strategy, "", want, verdict) }
            .took(Duration::from_millis(took))
    }

    #[test]
    fn sorts_that_are_judged_alike_share_a_row_and_the_slowest_time() {
        let jwt = Sort::jwt(Subject::Client, "RS256");
        let user = Sort::jwt(Subject::User, "RS256");
        let opaque = Sort::opaque(Subject::Client);
        let inactive = Verdict::Rejected("inactive");
        let mut outcome = Outcome::new("revoked", "revoked");
        for (sort, took) in [(jwt, 700), (user, 900), (opaque, 800)] {
            let jwks = if sort == opaque { Verdict::Rejected("not_a_jwt") } else { Verdict::Verified };
            outcome.checks.push(check(sort, Strategy::Jwks, jwks, 0));
            outcome.checks.push(check(sort, Strategy::Hybrid, inactive, took));
        }
        let mut text = String::new();
        write(&mut text, &[outcome]).unwrap();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| revoked | JWT | verified (0.00 s) | - | inactive (0.90 s) |",
                "| revoked | opaque | not_a_jwt (0.00 s) **FAILED**, expected rejected/inactive | - | inactive (0.80 s) |",
            ]
        );
    }

    #[test]
    fn what_several_strategies_were_asked_stands_in_one_row() {
        let mut outcome = Outcome::new("claims", "claims");
        for strategy in [Strategy::Jwks, Strategy::Hybrid, Strategy::Hybrid] {
            outcome.checks.push(Check::same(Some(strategy), "sub", "alice", "alice"));
        }
        let mut text = String::new();
        write(&mut text, &[outcome]).unwrap();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines, ["| claims: sub |  | alice | - | alice |", "| claims: sub |  | - | - | alice |"]);
    }
}
