//! `verifier verify`: tokens in, one verdict a line.

use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;
use verifier::core::json::Object;
use verifier::core::token::MAX_TOKEN_LEN;
use verifier::{
    Backends, Freshness, Health, Rejection, RevocationBasis, Unavailable, VerifiedToken, Verifier,
    VerifierConfig, VerifyError,
};

use crate::args::VerifyArgs;
use crate::clock::{ShiftedClock, rfc3339, spoken};
use crate::input::Source;
use crate::output::{End, Exit, shown, shown_json};

pub(crate) fn run(args: &VerifyArgs, out: &mut impl Write) -> Result<Exit, End> {
    let source = Source::of(args.token.as_deref(), args.token_file.as_deref())?;
    let verifier = build(args)?;
    if matches!(source, Source::Argument(_)) {
        warn("a token on the command line is kept in the shell's history and shown by ps; better: verify -")?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let freshness = args.freshness.map_or(Freshness::CONFIGURED, Freshness::at_most);

    let mut lines = source.lines()?;
    let mut worst = None;
    while let Some(line) = lines.next().map_err(|error| source.unreadable(&error))? {
        let verdict = runtime.block_on(verify(&verifier, &line, freshness));
        worst = worst.max(Some(exit(&verdict)));
        let text = if args.json {
            json_line(&verdict, || last_error(&verifier.health()))?
        } else {
            line_for_people(&verdict, || last_error(&verifier.health()))
        };
        writeln!(out, "{text}")?;
        out.flush()?;
    }
    // "All verified" of nothing at all would be a trap for scripts.
    worst.ok_or_else(|| End::failed("no token was given"))
}

fn build(args: &VerifyArgs) -> Result<Verifier, End> {
    let about = |error| End::config(&args.config, &error);
    let config = VerifierConfig::from_file(&args.config).map_err(about)?;
    let backends = match args.now {
        Some(at) => Backends::new().clock(Arc::new(ShiftedClock::starting_at(at.0))),
        None => Backends::new(),
    };
    config.build_with(&backends).map_err(about)
}

async fn verify(
    verifier: &Verifier,
    line: &[u8],
    freshness: Freshness,
) -> Result<VerifiedToken, VerifyError> {
    if line.len() > MAX_TOKEN_LEN {
        return Err(Rejection::TokenTooLarge.into());
    }
    let token = std::str::from_utf8(line).map_err(|_| Rejection::MalformedToken)?;
    verifier.request(token).freshness(freshness).verify().await
}

const fn exit(verdict: &Result<VerifiedToken, VerifyError>) -> Exit {
    match verdict {
        Ok(_) => Exit::Good,
        Err(VerifyError::Rejected(_)) => Exit::Bad,
        // What this program doesn't know it can't call the token's fault.
        Err(_) => Exit::Unavailable,
    }
}

fn warn(text: &str) -> Result<(), End> {
    Ok(writeln!(io::stderr(), "verifier: warning: {text}")?)
}

/// Verdict, code and status, the same for both forms of output.
fn named(verdict: &Result<VerifiedToken, VerifyError>) -> (&'static str, &'static str, u16) {
    match verdict {
        Ok(_) => ("verified", "verified", 200),
        Err(error @ VerifyError::Rejected(_)) => ("rejected", error.code(), error.status()),
        Err(error) => ("unavailable", error.code(), error.status()),
    }
}

#[derive(Serialize)]
struct Line<'t> {
    verdict: &'static str,
    code: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'t Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceLine<'t>>,
    /// What went wrong below, where the code alone doesn't say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u128>,
}

#[derive(Serialize)]
struct EvidenceLine<'t> {
    strategy: &'static str,
    algorithm: Option<&'static str>,
    kid: Option<&'t str>,
    from_cache: bool,
    key_set_age_ms: Option<u128>,
    revocation: RevocationLine,
}

#[derive(Serialize)]
struct RevocationLine {
    basis: &'static str,
    source: Option<&'static str>,
    age_ms: Option<u128>,
}

impl<'t> EvidenceLine<'t> {
    fn of(token: &'t VerifiedToken) -> Self {
        let evidence = token.evidence();
        Self {
            strategy: evidence.strategy.name(),
            algorithm: evidence.algorithm.map(|algorithm| algorithm.name()),
            kid: token.kid(),
            from_cache: evidence.from_cache,
            key_set_age_ms: evidence.key_set_age.map(|age| age.as_millis()),
            revocation: RevocationLine {
                basis: evidence.revocation.name(),
                source: source_name(evidence.revocation),
                age_ms: token.revocation_age().map(|age| age.as_millis()),
            },
        }
    }
}

const fn source_name(basis: RevocationBasis) -> Option<&'static str> {
    match basis {
        RevocationBasis::Active { source, .. } | RevocationBasis::Stale { source, .. } => Some(source.name()),
        _ => None,
    }
}

fn json_line(
    verdict: &Result<VerifiedToken, VerifyError>,
    last_error: impl FnOnce() -> Option<Unavailable>,
) -> Result<String, End> {
    let (name, code, status) = named(verdict);
    let line = Line {
        verdict: name,
        code,
        status,
        claims: verdict.as_ref().ok().map(VerifiedToken::members),
        evidence: verdict.as_ref().ok().map(EvidenceLine::of),
        because: because(verdict, last_error),
        retry_after_ms: verdict.as_ref().err().and_then(|error| error.retry_after()).map(|d| d.as_millis()),
    };
    let text = serde_json::to_string(&line).map_err(|_| End::failed("a verdict could not be written"))?;
    Ok(shown_json(&text))
}

fn line_for_people(
    verdict: &Result<VerifiedToken, VerifyError>,
    last_error: impl FnOnce() -> Option<Unavailable>,
) -> String {
    let (name, code, status) = named(verdict);
    let details = match verdict {
        Ok(token) => describe(token),
        Err(VerifyError::Rejected(_)) => String::new(),
        Err(error) => {
            let cause = because(verdict, last_error).map(|cause| format!("because: {cause}"));
            let again = error.retry_after().map(|d| format!("again in {}", spoken(d)));
            cause.into_iter().chain(again).collect::<Vec<_>>().join("; ")
        }
    };
    // Verified ones have no code worth a column of its own.
    let code = if verdict.is_ok() { "-" } else { code };
    format!("{name:<11}  {status}  {code:<22}  {details}").trim_end().to_owned()
}

/// The cause below an unavailable verdict, where its code is another.
fn because(
    verdict: &Result<VerifiedToken, VerifyError>,
    last_error: impl FnOnce() -> Option<Unavailable>,
) -> Option<&'static str> {
    match verdict {
        Err(error @ VerifyError::Unavailable(_)) => {
            last_error().map(Unavailable::code).filter(|cause| *cause != error.code())
        }
        _ => None,
    }
}

/// What went wrong with the keys, where somebody has tried to fetch them.
fn last_error(health: &Health) -> Option<Unavailable> {
    let own = health.keys.as_ref().and_then(|keys| keys.last_error);
    own.or_else(|| health.parts.iter().find_map(last_error))
}

fn describe(token: &VerifiedToken) -> String {
    let mut parts = Vec::new();
    let mut part = |name: &str, value: Option<&str>| {
        parts.extend(value.map(|value| format!("{name}={}", shown(value))));
    };
    part("sub", token.subject());
    part("client", token.client_id());
    part("iss", Some(token.issuer()));
    part("exp", token.expires_at().map(rfc3339).as_deref());
    let scopes = token.scopes().collect::<Vec<_>>().join(",");
    part("scope", (!scopes.is_empty()).then_some(scopes.as_str()));
    let evidence = token.evidence();
    let cached = if evidence.from_cache { ", cached" } else { "" };
    let revocation = match (evidence.revocation, token.revocation_age()) {
        (RevocationBasis::NotChecked, _) => "not checked".to_owned(),
        (RevocationBasis::Exempt, _) => "exempt: short-lived".to_owned(),
        (basis, Some(age)) => format!("{} {} ago", basis.name(), spoken(age)),
        (basis, None) => basis.name().to_owned(),
    };
    parts.push(format!("[{}{cached}; revocation: {revocation}]", evidence.strategy));
    parts.join(" ")
}
