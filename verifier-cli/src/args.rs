//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::clock::Instant;

/// Verifies OAuth 2.0 access tokens as a resource server does.
#[derive(Debug, Parser)]
#[command(name = "verifier", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Start here:
  verifier demo                                    see all three strategies at work; needs nothing
  verifier config example keycloak > verifier.toml a configuration to start from
  verifier config check verifier.toml              what it means, and what will hurt
  verifier config check --online verifier.toml     and whether your server goes with it
  verifier verify --config verifier.toml -         paste a token, press Enter
  verifier inspect -                               what a token says of itself, believed by nobody";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verifies tokens: one verdict a line.
    Verify(VerifyArgs),
    /// Shows header and claims of a JWT, UNVERIFIED, and what looks wrong with them.
    Inspect(InspectArgs),
    /// Checks configurations, and shows examples.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Runs all strategies against an authorization server of its own, and measures them.
    Demo(DemoArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The configuration: TOML, or JSON if the name ends in .json
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,

    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Judges at another instant: RFC 3339, or seconds since 1970. An authorization server that is asked still answers
    /// for the present
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) now: Option<Instant>,

    /// Greatest age of what is known about revocations: "30s"; "0s" asks for each token. Can only be stricter than the
    /// configuration
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) freshness: Option<Duration>,

    /// Reads tokens from a file, one a line
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub(crate) token_file: Option<PathBuf>,

    /// "-" reads tokens from standard input, one a line (also if nothing is given and input is piped). A token can
    /// stand here itself, but then your shell remembers it and `ps` shows it
    #[arg(value_name = "- | TOKEN")]
    pub(crate) token: Option<String>,
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  verifier verify --config verifier.toml -                      paste tokens, one a line
  verifier verify --config verifier.toml --token-file token.txt
  get-token | verifier verify --config verifier.toml --json
  verifier verify --config verifier.toml --freshness 0s -       ask about revocation now
  verifier verify --config verifier.toml --now 2026-01-31T12:00:00Z -

Exit status:
  0  all tokens verified
  1  some were rejected: the tokens' fault
  2  some could not be judged: the server was not to be reached, say (wins over 1)
  3  the command line or the configuration is wrong; the message names the key";

#[derive(Debug, clap::Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// Reads the token from a file
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    pub(crate) token_file: Option<PathBuf>,

    /// Compares the token's times with another instant: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) now: Option<Instant>,

    /// "-" reads the token from standard input (also if nothing is given and input is piped)
    #[arg(value_name = "-", value_parser = ["-"], hide_possible_values = true)]
    pub(crate) stdin: Option<String>,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  verifier inspect -                        paste a token, press Enter
  verifier inspect --token-file token.txt

Nothing that is shown is proven: whoever made the token wrote it. Only `verifier verify` checks.

Exit status: 0 if it could be read as a JWT, else 1.";

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Reads a configuration, and says what it means and what will hurt. Asks nobody, unless told to (--online). Exit
    /// status 3 if it can't be used.
    Check(CheckArgs),
    /// Prints a configuration to start from.
    #[command(after_help = "Example:\n  verifier config example keycloak > verifier.toml")]
    Example {
        /// The kind of authorization server
        #[arg(value_name = "SERVER", value_parser = examples())]
        profile: String,
    },
}

/// The names of the examples, and what each is for.
fn examples() -> PossibleValuesParser {
    let known = verifier::examples::ALL.iter();
    PossibleValuesParser::new(known.map(|example| PossibleValue::new(example.name).help(example.about)))
}

#[derive(Debug, clap::Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The configuration: TOML, or JSON if the name ends in .json
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Asks the servers that it names, too, whether they go with it: metadata, keys, clock, credentials. Each document
    /// is fetched once, and the introspection endpoint is asked about two made-up tokens
    #[arg(long)]
    pub(crate) online: bool,

    /// "-" reads one token from standard input: what each strategy says of it, and why. It is sent to its issuer's
    /// introspection endpoint alone, and never printed
    #[arg(long, value_name = "-", value_parser = ["-"], hide_possible_values = true, requires = "online")]
    pub(crate) token: Option<String>,

    /// Reads the token from a file
    #[arg(long, value_name = "FILE", conflicts_with = "token", requires = "online")]
    pub(crate) token_file: Option<PathBuf>,

    /// Greatest time for all servers together
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s", requires = "online")]
    pub(crate) within: Duration,

    /// One JSON object a line: `id` (stable), `severity`, `issuer`, `found`, `expected`, `means`, `do`
    #[arg(long, requires = "online")]
    pub(crate) json: bool,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  verifier config check verifier.toml                       asks nobody
  verifier config check --online verifier.toml              asks the servers
  get-token | verifier config check --online verifier.toml --token -

Exit status:
  0  it can be used; with --online: no problem was found (there may be warnings)
  1  --online: server and configuration contradict each other, or the token was rejected
  2  --online: a server was not to be reached, or did not answer in time (wins over 1)
  3  the command line or the configuration is wrong; the message names the key";

#[derive(Debug, clap::Args)]
#[command(after_help = DEMO_EXAMPLES)]
pub(crate) struct DemoArgs {
    /// One JSON document with every figure
    #[arg(long)]
    pub(crate) json: bool,
}

const DEMO_EXAMPLES: &str = "\
Starts an authorization server on loopback and takes each strategy through cold and warm verification, a stampede,
key rotations, a flood of forged tokens, revocations and an outage. Needs no network and no configuration, and takes
less than half a minute (built with --release).

Exit status: 0 if every promise was kept, else 1.";

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "expected a duration with a unit, such as \"30s\" or \"0s\"".to_owned())
}

/// The longest word of a command line that is quoted when it is wrong: an instant in RFC 3339. What is longer may be a
/// token in the wrong place.
const LONGEST_QUOTED: usize = "2026-01-31T12:00:00Z".len();

/// The error, without what may be a token: standard error is where logs are made of.
pub(crate) fn without_tokens(mut error: clap::Error) -> clap::Error {
    let mut quoted = vec![ContextKind::InvalidValue, ContextKind::InvalidSubcommand];
    // Else it is an argument that exists, by its name.
    if error.kind() == ErrorKind::UnknownArgument {
        quoted.push(ContextKind::InvalidArg);
    }
    for kind in quoted {
        if matches!(error.get(kind), Some(ContextValue::String(text)) if text.len() > LONGEST_QUOTED) {
            error.insert(kind, ContextValue::String("(not shown: too long)".to_owned()));
            // Advice repeats what was written.
            error.remove(ContextKind::Suggested);
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn profiles_are_those_of_the_examples() {
        for example in verifier::examples::ALL {
            let parsed = Args::try_parse_from(["verifier", "config", "example", example.name]);
            assert!(parsed.is_ok(), "{}", example.name);
        }
    }
}
