//! `verifier config check --online`: asks the user's own servers whether they go with the configuration, once and
//! politely: each document is fetched once, and the introspection endpoint is asked about two made-up tokens, and about
//! the user's own where one is given.

mod finding;
mod issuer;
mod keys;
mod metadata;
mod polite;
mod questions;
mod token;

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};

use verifier::config::{OpaqueTokens, StrategyName};
use verifier::core::runtime::Runtime as _;
use verifier::core::time::{Clock as _, SystemClock};
use verifier::core::token::{AccessToken, MAX_TOKEN_LEN, Shape};
use verifier::http::IoThread;
use verifier::{Reach, VerifierConfig};
use zeroize::Zeroizing;

use self::finding::{Finding, Id, Severity};
use self::token::Claimed;
use crate::args::CheckArgs;
use crate::input::Source;
use crate::output::{End, Exit, shown};

/// From the task that asks to the one that writes.
enum Message {
    Found(Box<Finding>),
    /// All servers were asked.
    Done,
}

pub(crate) fn check(args: &CheckArgs, out: &mut impl Write) -> Result<Exit, End> {
    let about = |error| End::config(&args.file, &error);
    let config = VerifierConfig::from_file(&args.file).map_err(about)?;
    config.build().map_err(about)?;
    let token = given(args)?;
    let reaches = config
        .issuer
        .iter()
        .map(|section| match section.strategy {
            // Without a backend none was built.
            StrategyName::Custom(_) => Ok(None),
            _ => section.reach().map(Some),
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(about)?;

    let mut report = Report::new(args.json);
    if !args.json {
        writeln!(out, "{}: asking the servers that it names.", file_name(&args.file))?;
    }
    for warning in config.warnings() {
        report.add(&Finding::warning(Id::ConfigWarning, warning.to_string()), out)?;
    }

    let runtime = IoThread::shared();
    let deadline = SystemClock.now().monotonic.plus(args.within);
    let (sender, receiver) = channel();
    let task = Box::pin(visit_all(config, reaches, token, sender));
    runtime.try_spawn(task).map_err(|_| End::failed("no thread to ask on could be started"))?;
    loop {
        let left = deadline.since(SystemClock.now().monotonic);
        match receiver.recv_timeout(left) {
            Ok(Message::Found(finding)) => report.add(&finding, out)?,
            Ok(Message::Done) => break,
            Err(RecvTimeoutError::Timeout) => {
                let found =
                    format!("the check was not over after {}", humantime::format_duration(args.within));
                let finding = Finding::problem(Id::OutOfTime, found)
                    .means("a server is slow or hangs: what isn't told above is not known")
                    .remedy("try again, with a greater --within");
                report.add(&finding, out)?;
                break;
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(End::failed("the check ended before all was asked"));
            }
        }
    }
    report.end(out)
}

/// The one token, from standard input or a file.
fn given(args: &CheckArgs) -> Result<Option<Zeroizing<String>>, End> {
    if args.token.is_none() && args.token_file.is_none() {
        return Ok(None);
    }
    let source = Source::of(args.token.as_deref(), args.token_file.as_deref())?;
    let line = source.lines()?.next().map_err(|error| source.unreadable(&error))?;
    let line = Zeroizing::new(line.ok_or_else(|| End::failed("no token was given"))?);
    if line.len() > MAX_TOKEN_LEN {
        return Err(End::failed(format!("the token is longer than {MAX_TOKEN_LEN} bytes")));
    }
    let text = std::str::from_utf8(&line).map_err(|_| End::failed("the token is not UTF-8 text"))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

async fn visit_all(
    config: VerifierConfig,
    reaches: Vec<Option<Reach>>,
    token: Option<Zeroizing<String>>,
    out: Sender<Message>,
) {
    let judge = token.as_deref().map(|token| whose(&config, &reaches, token));
    if judge == Some(None) {
        let found = "no configured issuer would judge this token, so nobody was asked about it";
        let finding = Finding::problem(Id::TokenIssuerDiffers, found)
            .expected(finding::foreign_list(config.issuer.iter().map(|section| &section.issuer)))
            .means("its iss is none of these, byte for byte, or can't be read; or it is opaque, and no issuer has opaque = \"introspect\"");
        let _ = out.send(Message::Found(Box::new(finding)));
    }
    for (n, (section, reach)) in config.issuer.iter().zip(reaches).enumerate() {
        let Some(reach) = reach else { continue };
        let own = token.as_ref().filter(|_| judge == Some(Some(n)));
        issuer::visit(&config, section, reach, own.map(|token| token.as_str()), out.clone()).await;
    }
    let _ = out.send(Message::Done);
}

/// Which issuer is to judge a token: nobody else is sent it.
fn whose(config: &VerifierConfig, reaches: &[Option<Reach>], token: &str) -> Option<usize> {
    if config.issuer.len() == 1 {
        return Some(0);
    }
    match Claimed::of(token) {
        Some(claimed) => {
            let names = |reach: &Reach, iss: &str| reach.rules.names().any(|name| &**name == iss);
            let own = |reach: &Option<Reach>| match (reach, claimed.issuer()) {
                (Some(reach), Some(iss)) => names(reach, iss),
                (Some(reach), None) => reach.rules.accepts_missing_issuer(),
                (None, _) => false,
            };
            reaches.iter().position(own)
        }
        // What can't be read may be anybody's.
        None if is_no_opaque(token) => None,
        None => config.issuer.iter().position(|section| section.opaque == Some(OpaqueTokens::Introspect)),
    }
}

/// Whether a token has the form of a JWT, though not all of it may be readable.
fn is_no_opaque(token: &str) -> bool {
    AccessToken::new(token, MAX_TOKEN_LEN).is_ok_and(|token| !matches!(token.shape(), Ok(Shape::Opaque)))
}

/// What was found so far, and how the command will end.
struct Report {
    json: bool,
    issuer: Option<String>,
    counts: [usize; 3],
    exit: Exit,
}

impl Report {
    const fn new(json: bool) -> Self {
        Self { json, issuer: None, counts: [0; 3], exit: Exit::Good }
    }

    fn add(&mut self, finding: &Finding, out: &mut impl Write) -> Result<(), End> {
        self.exit = self.exit.max(finding.exit());
        let [fine, warnings, problems] = &mut self.counts;
        *match finding.severity() {
            Severity::Ok => fine,
            Severity::Warning => warnings,
            Severity::Problem => problems,
        } += 1;
        if self.json {
            finding.write_json(out)?;
        } else {
            if finding.issuer().is_some() && finding.issuer() != self.issuer.as_deref() {
                self.issuer = finding.issuer().map(str::to_owned);
                writeln!(out, "\n{}", shown(finding.issuer().unwrap_or_default()))?;
            }
            finding.write(out)?;
        }
        Ok(out.flush()?)
    }

    fn end(self, out: &mut impl Write) -> Result<Exit, End> {
        if !self.json {
            let [fine, warnings, problems] = self.counts;
            writeln!(out, "\nok: {fine}, warnings: {warnings}, problems: {problems}")?;
        }
        Ok(self.exit)
    }
}

fn file_name(file: &Path) -> String {
    shown(&file.display().to_string())
}
