#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod args;
mod clock;
mod config_command;
mod demo;
mod input;
mod inspect;
mod online;
mod output;
mod verify;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command, ConfigCommand};
use crate::output::{End, Exit};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version come by this way too.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Good };
            let printed = args::without_tokens(error).print();
            return printed.map_or_else(|failed| ended(&failed.into()), |()| exit.into());
        }
    };
    match run(&args) {
        Ok(exit) => exit.into(),
        Err(end) => ended(&end),
    }
}

fn run(args: &Args) -> Result<Exit, End> {
    // Standard output is written by lines: whoever pipes tokens in sees each verdict as it is given.
    let mut out = io::stdout().lock();
    let exit = match &args.command {
        Command::Verify(args) => verify::run(args, &mut out),
        Command::Inspect(args) => inspect::run(args, &mut out),
        Command::Config { command: ConfigCommand::Check(args) } if args.online => {
            online::check(args, &mut out)
        }
        Command::Config { command: ConfigCommand::Check(args) } => {
            config_command::check(&args.file, &mut out)
        }
        Command::Config { command: ConfigCommand::Example { profile } } => {
            config_command::example(profile, &mut out)
        }
        Command::Demo(args) => demo::run(args, &mut out),
    }?;
    out.flush()?;
    Ok(exit)
}

fn ended(end: &End) -> ExitCode {
    if let End::Failed(message) = end {
        // Nobody is left to tell if this fails as well.
        let _ = writeln!(io::stderr(), "verifier: {message}");
    }
    end.exit().into()
}
