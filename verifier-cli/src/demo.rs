//! `verifier demo`: every strategy against a real authorization server on loopback, and what came of it. Nothing that
//! is reported is known beforehand: all of it is counted or timed here.

mod figures;
mod promises;
mod report;
mod scenes;
mod stage;

use std::io::{self, IsTerminal as _, Write};

use verifier::Strategy;
use verifier::core::time::{Clock as _, SystemClock};

use self::figures::{Document, StrategyFigures};
use self::stage::Company;
use crate::args::DemoArgs;
use crate::output::{End, Exit};

const STRATEGIES: [Strategy; 3] = [Strategy::Jwks, Strategy::Introspection, Strategy::Hybrid];

pub(crate) fn run(args: &DemoArgs, out: &mut impl Write) -> Result<Exit, End> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build()?;
    let began = SystemClock.now();
    let mut progress = Progress::new();
    let mut strategies = Vec::new();
    for strategy in STRATEGIES {
        strategies.push(runtime.block_on(play(strategy, &mut progress))?);
    }
    progress.clear();

    let promises = promises::judge(&strategies);
    let kept = promises.iter().all(|promise| promise.kept);
    let seconds = SystemClock.now().since(began).as_secs_f64();
    let document = Document { kept, seconds, promises, strategies };
    if args.json {
        let text = serde_json::to_string_pretty(&document)
            .map_err(|_| End::failed("the figures could not be written"))?;
        writeln!(out, "{text}")?;
    } else {
        report::write(&document, out)?;
    }
    Ok(if kept { Exit::Good } else { Exit::Bad })
}

/// All scenes with one strategy. Each has a stage of its own, so that none finds what another one left.
async fn play(strategy: Strategy, progress: &mut Progress) -> Result<StrategyFigures, End> {
    let company = Company::new(strategy)?;
    let mut scene = |name: &str| progress.show(strategy, name);
    scene("cold and warm verification");
    let speed = scenes::speed::play(&company).await?;
    scene("a stampede on one new token");
    let stampede = scenes::stampede::play(&company).await?;
    scene("key rotations under load");
    let rotation = scenes::rotation::play(&company).await?;
    scene("a flood of unknown key ids");
    let flood = scenes::flood::play(&company).await?;
    scene("revocations");
    let revocation = scenes::revocation::play(&company).await?;
    scene("an outage of the authorization server");
    let outage = scenes::outage::play(&company).await?;
    Ok(StrategyFigures {
        strategy: strategy.name(),
        speed,
        stampede,
        rotation,
        flood,
        revocation,
        outage,
        verdicts: company.verdicts(),
    })
}

/// One line that tells what is going on, to somebody who sits there.
struct Progress {
    watched: bool,
}

impl Progress {
    fn new() -> Self {
        Self { watched: io::stderr().is_terminal() }
    }

    fn show(&mut self, strategy: Strategy, scene: &str) {
        self.line(&format!("{strategy}: {scene} ..."));
    }

    fn clear(&mut self) {
        self.line("");
    }

    fn line(&mut self, text: &str) {
        if self.watched {
            let mut stderr = io::stderr().lock();
            // Progress that can't be shown is no reason to stop.
            let _ = write!(stderr, "\r\u{1b}[K{text}").and_then(|()| stderr.flush());
        }
    }
}
