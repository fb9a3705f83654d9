//! `docs/servers.md`: what a run brought, for people who run such a server.

mod table;

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::clock;
use crate::price::Price;
use crate::report::{Sum, seconds};
use crate::run::Run;
use crate::server::ALL;

const HEAD: &str = "\
# Servers

What three real authorization servers answer, and what each strategy makes of it. All of this is written by
`interop/run --docs docs/servers.md`, which starts the servers and tries them; what comes from the standards and what is
a server's own way is told apart in the table of scenarios (`interop/src/scenarios`, `interop/src/server`).

How to read the tables: `verified`; a rejection's code, as in [why-401.md](why-401.md), is the token's fault (401, 403);
*unavailable* is not (503). A time is how long after the server had confirmed an event a request first saw it, at a
freshness of 1 s unless the row asks live or names another; where a row counts requests, it is how long these took.
`jwks` asks nobody about revocations: that it goes on accepting is its promise, not an oversight.
";

/// Writes the sections of these runs into the document, and keeps the others that it has.
///
/// # Errors
/// If the file can't be written.
pub(crate) fn write(file: &Path, runs: &[Run]) -> io::Result<()> {
    let old = std::fs::read_to_string(file).unwrap_or_default();
    let mut text = HEAD.to_owned();
    for product in ALL {
        let name = product.name();
        let run = runs.iter().find(|run| run.product.name() == name);
        let section = run.map(section).or_else(|| kept(&old, name).map(str::to_owned));
        if let Some(section) = section {
            text.push_str(&format!("\n{}\n{section}{}\n", begin(name), end(name)));
        }
    }
    std::fs::write(file, text)
}

fn begin(name: &str) -> String {
    format!("<!-- {name} -->")
}

fn end(name: &str) -> String {
    format!("<!-- end of {name} -->")
}

/// The section that is in the document already.
fn kept<'t>(old: &'t str, name: &str) -> Option<&'t str> {
    let (_, from) = old.split_once(&format!("{}\n", begin(name)))?;
    from.split_once(&end(name)).map(|(section, _)| section)
}

fn section(run: &Run) -> String {
    let mut text = String::new();
    // Writing to a text can't fail.
    let _ = sections(&mut text, run);
    text
}

fn sections(text: &mut String, run: &Run) -> std::fmt::Result {
    let Sum { passed, failed, not_here } = run.sum;
    writeln!(text, "## {}\n", run.product.title())?;
    writeln!(
        text,
        "{}: {passed} checks passed, {failed} failed, {not_here} that it can't play; {} s ({}).",
        today(),
        run.took.as_secs(),
        run.load
    )?;
    if !run.product.advice().is_empty() {
        writeln!(text, "\n### What to configure, and why\n")?;
        for advice in run.product.advice() {
            writeln!(text, "- {advice}")?;
        }
    }
    writeln!(text, "\n### Verdicts\n")?;
    table::write(text, &run.outcomes)?;
    if !run.prices.is_empty() {
        writeln!(text, "\n### The price of freshness\n")?;
        prices(text, &run.prices)?;
    }
    let broken =
        run.outcomes.iter().flat_map(|outcome| outcome.broken.iter().map(move |what| (outcome, what)));
    let broken: Vec<String> =
        broken.map(|(outcome, what)| format!("- {}: {}", outcome.title, table::cell(what))).collect();
    if !broken.is_empty() {
        writeln!(text, "\n### Broken\n\n{}", broken.join("\n"))?;
    }
    if not_here > 0 {
        writeln!(text, "\n### Not tried here\n")?;
        for outcome in &run.outcomes {
            for reason in &outcome.not_here {
                writeln!(text, "- {}: {}", outcome.title, table::cell(reason))?;
            }
        }
    }
    Ok(())
}

fn prices(text: &mut String, prices: &[Price]) -> std::fmt::Result {
    if let Some(first) = prices.first() {
        writeln!(
            text,
            "1,000 live tokens ({}), judged by `{}`, drawn by Zipf's law; about {} s each, one of them revoked every\n\
             150 ms. *Predicted* is the most that the guide's formula allows: each token in use once, and once more in\n\
             0.8 x freshness. Latencies are of an unoptimized build that shares its cores with the server. *Accepted after*\n\
             is the longest time from a confirmed revocation to the arrival of a request that was accepted nevertheless;\n\
             *too late* counts those beyond the freshness, of all that came then: none may be. Where the freshness is\n\
             longer than the run, nothing could come that late: `-`.\n",
            first.sort,
            first.strategy,
            first.run.as_secs(),
        )?;
    }
    writeln!(
        text,
        "| freshness | requests | tokens in use | calls | predicted | p50 | p99 | revoked | accepted after | too late |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|---|---|---|")?;
    for price in prices {
        writeln!(
            text,
            "| {} s | {} | {} | {} | at most {} | {} | {} | {} | {} | {} |",
            price.freshness.as_secs(),
            price.requests,
            price.in_use,
            price.calls,
            price.predicted,
            millis(price.median),
            millis(price.p99),
            price.revocations,
            seconds(price.latest),
            price
                .late
                .map_or_else(|| "-".to_owned(), |late| format!("{} of {}", late.accepted, late.requests)),
        )?;
    }
    Ok(())
}

fn millis(time: std::time::Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// The date, by the civil calendar.
fn today() -> String {
    date(clock::now().wall.unix_seconds().div_euclid(86_400))
}

/// Days since 1970 as `YYYY-MM-DD`.
fn date(days: i64) -> String {
    // Eras of 400 years that begin on the first of March: the leap day is their last.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        for (days, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_513, "2026-03-01"),
            (20_818, "2026-12-31"),
        ] {
            assert_eq!(date(days), text);
        }
    }

    #[test]
    fn sections_of_servers_that_were_not_run_are_kept() {
        let old = format!("# Servers\n\n{}\n## X\n\ntext\n{}\n", begin("hydra"), end("hydra"));
        assert_eq!(kept(&old, "hydra"), Some("## X\n\ntext\n"));
        assert_eq!(kept(&old, "keycloak"), None);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("servers.md");
        std::fs::write(&file, &old).unwrap();
        write(&file, &[]).unwrap();
        let new = std::fs::read_to_string(&file).unwrap();
        assert!(new.starts_with(HEAD) && new.contains("## X\n\ntext\n"));
        write(&file, &[]).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), new, "the second time nothing changes");
    }
}
