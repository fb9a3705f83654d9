//! The figures as a table, the promises one a line.

use std::io::Write;

use comfy_table::{Table, presets};

use super::figures::{Calls, Document, Latency, Revocation, StrategyFigures, Verdicts};
use crate::output::End;

pub(super) fn write(document: &Document, out: &mut impl Write) -> Result<(), End> {
    writeln!(out, "{}", table(&document.strategies))?;
    writeln!(out, "\nPromises")?;
    for promise in &document.promises {
        let verdict = if promise.kept { "kept  " } else { "BROKEN" };
        let (strategy, promised, figure) = (promise.strategy, &promise.promise, &promise.figure);
        writeln!(out, "  {verdict}  {strategy:<13}  {promised}: {figure}")?;
    }
    let broken = document.promises.iter().filter(|promise| !promise.kept).count();
    let summary = match broken {
        0 => "All promises kept".to_owned(),
        n => format!("{n} of {} promises BROKEN", document.promises.len()),
    };
    writeln!(out, "\n{summary}; {:.1} s.", document.seconds)?;
    Ok(())
}

fn table(strategies: &[StrategyFigures]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(std::iter::once("").chain(strategies.iter().map(|figures| figures.strategy)));
    let mut row = |name: &str, cell: &dyn Fn(&StrategyFigures) -> String| {
        table.add_row(std::iter::once(name.to_owned()).chain(strategies.iter().map(cell)));
    };
    row("first verification", &|it| micros(it.speed.first_us));
    row("new token, p50 / p99", &|it| latency(&it.speed.cold));
    row("known token, p50 / p99", &|it| latency(&it.speed.warm));
    row("calls for new tokens", &|it| format!("{} for {}", calls(&it.speed.cold_calls), it.speed.cold.count));
    row("calls for known tokens", &|it| {
        format!("{} for {}", calls(&it.speed.warm_calls), it.speed.warm.count)
    });
    row("stampede of callers", &|it| format!("{} for {}", calls(&it.stampede.calls), it.stampede.callers));
    row("lost in rotations", &|it| format!("{} of {}", it.rotation.lost, it.rotation.requests));
    row("flood of unknown kids", &|it| format!("{} for {}", calls(&it.flood.calls), it.flood.tokens));
    row("flood's verdicts", &|it| verdicts(&it.flood.verdicts));
    row("longest wait of a rotated\ntoken under the flood", &|it| {
        format!("{:.1} s", it.flood.longest_wait_s)
    });
    row("revocation noticed", &|it| noticed(&it.revocation));
    row("outage, known tokens", &|it| verdicts(&it.outage.fresh));
    row("outage, freshness used up", &|it| verdicts(&it.outage.freshness_used_up));
    row("outage, new token", &|it| verdicts(&it.outage.unseen));
    row("outage, hours later", &|it| verdicts(&it.outage.hours_later));
    row("after the outage", &|it| verdicts(&it.outage.recovered));
    row("all verdicts", &|it| verdicts(&it.verdicts));
    table
}

fn latency(latency: &Latency) -> String {
    format!("{} / {}", micros(latency.p50_us), micros(latency.p99_us))
}

fn micros(micros: f64) -> String {
    if micros < 1_000.0 { format!("{micros:.1} us") } else { format!("{:.1} ms", micros / 1_000.0) }
}

/// The calls that were made; `no call` if there was none.
fn calls(calls: &Calls) -> String {
    let made: Vec<String> =
        [("metadata", calls.discovery), ("keys", calls.jwks), ("introspection", calls.introspection)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
    if made.is_empty() { "no call".to_owned() } else { made.join(" + ") }
}

fn verdicts(verdicts: &Verdicts) -> String {
    let lines: Vec<String> = verdicts.iter().map(|(code, count)| format!("{count} {code}")).collect();
    lines.join("\n")
}

fn noticed(it: &Revocation) -> String {
    match (it.noticed_after_s, it.freshness_s) {
        (Some(after), Some(freshness)) => format!("after {after:.2} s\n(freshness {freshness} s)"),
        (Some(after), None) => format!("after {after:.2} s"),
        (None, _) => format!("not before exp\n(accepted for {:.0} s)", it.accepted_for_s),
    }
}
