//! Real authorization servers, and what the verifier must make of their tokens. See `README.md`.

#![forbid(unsafe_code)]

mod clock;
mod document;
mod judge;
mod libraries;
mod play;
mod price;
mod report;
mod rotation;
mod run;
mod scenario;
mod scenarios;
mod server;
mod stage;
mod twist;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;

use crate::report::Sum;
use crate::run::Shown;
use crate::server::Product;

/// Judges the tokens of real authorization servers by all three strategies.
#[derive(Debug, clap::Parser)]
#[command(name = "interop", about, max_term_width = 100)]
struct Args {
    /// Which servers; all if none is named. `libs` stands for other people's JWT libraries
    servers: Vec<String>,

    /// One JSON object a line
    #[arg(long)]
    json: bool,

    /// Writes what came of it into this document: the parts of the servers that were run
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    docs: Option<PathBuf>,

    /// Only scenarios whose id or title holds this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// Shows the table, and runs nothing
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match began(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // Nobody is left to tell if this fails as well.
            let _ = writeln!(io::stderr(), "interop: {error}");
            ExitCode::from(2)
        }
    }
}

fn began(args: &Args) -> io::Result<bool> {
    let products = chosen(&args.servers)?;
    let mut out = io::stdout();
    if args.list {
        for product in products {
            for scenario in run::chosen(product, args.only.as_deref()) {
                match scenario.playable(product) {
                    Ok(_) => writeln!(out, "{} {}: {}", product.name(), scenario.id, scenario.title)?,
                    Err(reason) => writeln!(out, "not here {} {}: {reason}", product.name(), scenario.id)?,
                }
            }
        }
        return Ok(true);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let shown = Shown { json: args.json };
    let begun = clock::instant();
    let mut sum = Sum::default();
    let mut runs = Vec::new();
    for product in products {
        let run = runtime.block_on(run::run(product, args.only.as_deref(), shown, &mut out))?;
        sum = sum.and(run.sum);
        runs.push(run);
    }
    if args.servers.iter().any(|name| name == libraries::NAME) {
        sum = sum.and(runtime.block_on(libraries::run(args.json, &mut out))?);
    }
    if sum.passed + sum.failed + sum.not_here == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no scenario is called like that: see --list",
        ));
    }
    if let Some(file) = &args.docs {
        document::write(file, &runs)?;
    }
    report::sum(&mut out, args.json, sum, clock::instant().since(begun))?;
    Ok(sum.failed == 0)
}

fn chosen(names: &[String]) -> io::Result<Vec<&'static dyn Product>> {
    let named = |name: &String| {
        let found = server::ALL.iter().copied().find(|product| product.name() == name);
        found.ok_or_else(|| io::Error::other(format!("there is no server {name:?}")))
    };
    let servers = names.iter().filter(|name| *name != libraries::NAME);
    if names.is_empty() { Ok(server::ALL.to_vec()) } else { servers.map(named).collect() }
}
