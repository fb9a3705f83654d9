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
    // The numbers are the same for every strategy.
    let counts = strategies.first().map(|it| {
        (it.speed.cold.count, it.speed.warm.count, it.stampede.callers, it.rotation.requests, it.flood.tokens)
    });
    let (new, known, callers, requests, forged) = counts.unwrap_or_default();
    row(&format!("calls for {new} new tokens"), &|it| calls(&it.speed.cold_calls));
    row(&format!("calls for {known} known tokens"), &|it| calls(&it.speed.warm_calls));
    row(&format!("calls for a stampede of {callers}"), &|it| calls(&it.stampede.calls));
    row(&format!("lost of {requests} in rotations"), &|it| it.rotation.lost.to_string());
    row(&format!("calls for {forged} unknown kids"), &|it| calls(&it.flood.calls));
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
    if made.is_empty() { "no call".to_owned() } else { made.join("\n") }
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

#[cfg(test)]
mod tests {
    use super::super::promises::{judge, tests::kept};
    use super::*;

    fn report(strategies: Vec<StrategyFigures>) -> String {
        let promises = judge(&strategies);
        let document = Document { kept: true, seconds: 1.0, promises, strategies };
        let mut out = Vec::new();
        write(&document, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_local_verification_does_not_see_is_said() {
        let text = report(vec![kept("jwks"), kept("introspection"), kept("hybrid")]);
        assert_eq!(text.matches("not before exp").count(), 1, "{text}");
        assert!(text.contains("accepted for 300 s") && text.contains("after 1.10 s"), "{text}");
        assert!(text.contains("All promises kept") && !text.contains("BROKEN"), "{text}");
        let table = text.lines().take_while(|line| !line.is_empty());
        assert!(table.map(|line| line.chars().count()).max() < Some(110), "{text}");
    }

    #[test]
    fn a_broken_promise_can_not_be_overlooked() {
        let mut broken = kept("hybrid");
        broken.rotation.lost = 7;
        let text = report(vec![kept("jwks"), broken]);
        assert!(text.contains("BROKEN  hybrid") && text.contains("7 of 500 lost"), "{text}");
        assert!(text.contains("promises BROKEN; 1.0 s") && text.matches("BROKEN  ").count() == 1, "{text}");
    }
}
