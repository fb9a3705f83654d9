//! A whole run of one server.

use std::io::{self, Write};
use std::time::Duration;

use crate::clock;
use crate::play::{self, Outcome};
use crate::price::{self, Price};
use crate::report::{self, Sum};
use crate::scenario::Scenario;
use crate::scenarios;
use crate::server::{Need, Product, Server, Start, Trouble};
use crate::stage::Stage;

/// What a run of one server brought.
pub(crate) struct Run {
    /// The server.
    pub(crate) product: &'static dyn Product,
    /// In the order of the table.
    pub(crate) outcomes: Vec<Outcome>,
    /// The price of freshness, where it was measured.
    pub(crate) prices: Vec<Price>,
    /// The sum.
    pub(crate) sum: Sum,
    /// How long it took.
    pub(crate) took: Duration,
}

/// How results are shown while they come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// As JSON.
    pub(crate) json: bool,
}

/// The scenarios of a server whose id or title holds this text.
pub(crate) fn chosen(product: &dyn Product, only: Option<&str>) -> Vec<&'static Scenario> {
    scenarios::all()
        .chain(product.scenarios())
        .filter(|scenario| {
            only.is_none_or(|text| scenario.id.contains(text) || scenario.title.contains(text))
        })
        .collect()
}

/// Plays what was chosen, printing each outcome as it comes.
///
/// # Errors
/// If nobody reads it.
pub(crate) async fn run(
    product: &'static dyn Product,
    only: Option<&str>,
    shown: Shown,
    out: &mut impl Write,
) -> io::Result<Run> {
    let begun = clock::instant();
    let mut run =
        Run { product, outcomes: Vec::new(), prices: Vec::new(), sum: Sum::default(), took: Duration::ZERO };
    let scenarios = chosen(product, only);
    let elsewhere = |scenario: &&Scenario| scenario.needs.contains(&Need::AnotherAddress);
    let (second, first): (Vec<_>, Vec<_>) = scenarios.into_iter().partition(elsewhere);
    let priced = only.is_none_or(|text| price::ID.contains(text));
    for (how, scenarios, priced) in [(Start::Usual, first, priced), (Start::NamedLocalhost, second, false)] {
        if scenarios.is_empty() && !priced {
            continue;
        }
        let unable = match how {
            Start::Usual => None,
            Start::NamedLocalhost => product.lacks(Need::AnotherAddress),
        };
        let server = match unable {
            Some(reason) => Err(Trouble::CantDo(reason.to_owned())),
            None => product.start(how).await,
        };
        match server {
            Ok(server) => {
                part(&mut run, &*server, &scenarios, priced, shown, out).await?;
                if let Err(trouble) = server.stop().await {
                    let mut outcome = Outcome::new("stop", "the server ends");
                    outcome.take(Err(trouble), "");
                    tell(&mut run, outcome, shown, out)?;
                }
            }
            // Nothing is silently dropped.
            Err(trouble) => {
                let price = priced.then_some((price::ID, price::TITLE));
                for (id, title) in scenarios.iter().map(|scenario| (scenario.id, scenario.title)).chain(price)
                {
                    let mut outcome = Outcome::new(id, title);
                    outcome.take(Err(trouble.clone()), "");
                    tell(&mut run, outcome, shown, out)?;
                }
            }
        }
    }
    run.took = clock::instant().since(begun);
    Ok(run)
}

async fn part(
    run: &mut Run,
    server: &dyn Server,
    scenarios: &[&Scenario],
    priced: bool,
    shown: Shown,
    out: &mut impl Write,
) -> io::Result<()> {
    let stage = Stage { product: run.product, server, settings: server.settings() };
    for scenario in scenarios {
        let outcome = play::play(&stage, scenario).await;
        tell(run, outcome, shown, out)?;
    }
    if priced {
        let mut outcome = Outcome::new(price::ID, price::TITLE);
        let begun = clock::instant();
        match run.product.lacks(Need::Price) {
            Some(reason) => outcome.not_here.push(reason.to_owned()),
            None => match price::measure(&stage).await {
                Ok((checks, prices)) => {
                    outcome.checks = checks;
                    run.prices = prices;
                }
                Err(trouble) => outcome.take(Err(trouble), ""),
            },
        }
        outcome.took = clock::instant().since(begun);
        tell(run, outcome, shown, out)?;
    }
    Ok(())
}

fn tell(run: &mut Run, outcome: Outcome, shown: Shown, out: &mut impl Write) -> io::Result<()> {
    report::outcome(out, shown.json, run.product.name(), &outcome)?;
    run.sum = run.sum.plus(&outcome);
    run.outcomes.push(outcome);
    Ok(())
}
