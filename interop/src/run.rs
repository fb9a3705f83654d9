//! A whole run of one server.

use std::io::{self, Write};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::OnceCell;

use crate::clock;
use crate::play::{Outcome, Piece};
use crate::price::{self, Price};
use crate::report::{self, Sum};
use crate::scenario::Scenario;
use crate::scenarios;
use crate::server::{Need, Product, Server, Start, Trouble, cant_do};
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
    /// On what machine.
    pub(crate) load: String,
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

/// How many pieces are played at once: they mostly wait, for a freshness to pass or a token to end.
const AT_ONCE: usize = 8;

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
    let load = load();
    let mut run = Run {
        product,
        outcomes: Vec::new(),
        prices: Vec::new(),
        sum: Sum::default(),
        took: Duration::ZERO,
        load,
    };
    let scenarios = chosen(product, only);
    let mut plan = Plan::default();
    for scenario in &scenarios {
        match Piece::all(product, scenario) {
            Ok(pieces) => plan.take(pieces),
            Err(reason) => {
                let mut outcome = Outcome::new(scenario.id, scenario.title);
                outcome.not_here.push(reason.to_owned());
                tell(&mut run, outcome, shown, out)?;
            }
        }
    }
    let priced = only.is_none_or(|text| price::ID.contains(text));
    let mut price = Outcome::new(price::ID, price::TITLE);
    let measured = match product.lacks(Need::Price) {
        Some(reason) if priced => {
            price.not_here.push(reason.to_owned());
            false
        }
        _ => priced,
    };

    // The usual server first: the other one may be the same, by another name. That one starts while others wait.
    let usual = Place::new(product, Start::Usual);
    let named = Place::new(product, Start::NamedLocalhost);
    if measured || plan.needs(Start::Usual) {
        usual.server().await;
    }
    let place = |piece: &Piece| if elsewhere(piece.scenario) { &named } else { &usual };

    let tokens = async { if measured { Some(price::tokens(&usual).await) } else { None } };
    let together = async {
        // What starts a server takes longest.
        plan.together.sort_by_key(|piece| !elsewhere(piece.scenario));
        let mut playing = stream::iter(plan.together.clone())
            .map(|piece| place(&piece).play(piece))
            .buffer_unordered(AT_ONCE);
        while let Some(outcome) = playing.next().await {
            if let Some(outcome) = plan.took(outcome) {
                tell(&mut run, outcome, shown, out)?;
            }
        }
        Ok::<_, io::Error>(())
    };
    let (tokens, played) = futures_util::join!(tokens, together);
    played?;
    if let Some(tokens) = tokens {
        let begun = clock::instant();
        match price::measure(&usual, tokens).await {
            Ok((checks, prices)) => {
                price.checks = checks;
                run.prices = prices;
            }
            Err(trouble) => price.take(Err(trouble), ""),
        }
        price.took = clock::instant().since(begun);
    }
    if priced {
        tell(&mut run, price, shown, out)?;
    }
    for piece in plan.alone.clone() {
        let outcome = place(&piece).play(piece).await;
        if let Some(outcome) = plan.took(outcome) {
            tell(&mut run, outcome, shown, out)?;
        }
    }
    for place in [named, usual] {
        if let Err(trouble) = place.stop().await {
            let mut outcome = Outcome::new("stop", "the server ends");
            outcome.take(Err(trouble), "");
            tell(&mut run, outcome, shown, out)?;
        }
    }
    // As they came, they were told; in the document they stand as in the table.
    let at = |outcome: &Outcome| scenarios.iter().position(|scenario| scenario.id == outcome.scenario);
    run.outcomes.sort_by_key(|outcome| at(outcome).unwrap_or(scenarios.len()));
    run.took = clock::instant().since(begun);
    report::took(out, shown.json, product.name(), run.took, &run.load)?;
    Ok(run)
}

fn elsewhere(scenario: &Scenario) -> bool {
    scenario.needs.contains(&Need::AnotherAddress)
}

/// What there is to play, and what came of the scenarios that are under way.
#[derive(Default)]
struct Plan {
    together: Vec<Piece>,
    alone: Vec<Piece>,
    under_way: Vec<(usize, Outcome)>,
}

impl Plan {
    fn take(&mut self, pieces: Vec<Piece>) {
        if let Some(scenario) = pieces.first().map(|piece| piece.scenario) {
            self.under_way.push((pieces.len(), Outcome::new(scenario.id, scenario.title)));
        }
        let (alone, together): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|piece| piece.alone);
        self.alone.extend(alone);
        self.together.extend(together);
    }

    fn needs(&self, start: Start) -> bool {
        let named = start == Start::NamedLocalhost;
        self.together.iter().chain(&self.alone).any(|piece| elsewhere(piece.scenario) == named)
    }

    /// Takes in what came of a piece; the whole, if that was the last of its scenario.
    fn took(&mut self, outcome: Outcome) -> Option<Outcome> {
        let at = self.under_way.iter().position(|(_, whole)| whole.scenario == outcome.scenario)?;
        let (left, whole) = self.under_way.get_mut(at)?;
        whole.add(outcome);
        *left -= 1;
        (*left == 0).then(|| self.under_way.swap_remove(at).1)
    }
}

/// A server, started when it is needed first.
pub(crate) struct Place {
    product: &'static dyn Product,
    how: Start,
    server: OnceCell<Result<Box<dyn Server>, Trouble>>,
}

impl Place {
    fn new(product: &'static dyn Product, how: Start) -> Self {
        Self { product, how, server: OnceCell::new() }
    }

    async fn server(&self) -> &Result<Box<dyn Server>, Trouble> {
        let start = || async {
            match self.product.lacks(Need::AnotherAddress) {
                Some(reason) if self.how == Start::NamedLocalhost => cant_do(reason),
                _ => self.product.start(self.how).await,
            }
        };
        self.server.get_or_init(start).await
    }

    /// The stage there.
    ///
    /// # Errors
    /// Why it couldn't be started.
    pub(crate) async fn stage(&self) -> Result<Stage<'_>, Trouble> {
        match self.server().await {
            Ok(server) => Ok(Stage { product: self.product, server: &**server, settings: server.settings() }),
            Err(trouble) => Err(trouble.clone()),
        }
    }

    async fn play(&self, piece: Piece) -> Outcome {
        match self.stage().await {
            Ok(stage) => piece.play(&stage).await,
            // Nothing is silently dropped.
            Err(trouble) => {
                let mut outcome = Outcome::new(piece.scenario.id, piece.scenario.title);
                outcome.take(Err(trouble), "");
                outcome
            }
        }
    }

    async fn stop(self) -> Result<(), Trouble> {
        match self.server.into_inner() {
            Some(Ok(server)) => server.stop().await,
            _ => Ok(()),
        }
    }
}

/// What else kept the machine busy: cores, and how many processes wanted one in the last minute.
fn load() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown");
    format!("{cores} cores, a load of {load} before it")
}

fn tell(run: &mut Run, outcome: Outcome, shown: Shown, out: &mut impl Write) -> io::Result<()> {
    report::outcome(out, shown.json, run.product.name(), &outcome)?;
    run.sum = run.sum.plus(&outcome);
    run.outcomes.push(outcome);
    Ok(())
}
