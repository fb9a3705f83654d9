//! JWTs, which this server refuses to introspect: that is those tokens' affair, and no outage.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use verifier::Strategy;
use verifier::core::upstream::BreakerHealth;

use super::{ASKING, JWT, OPAQUE, said, token_of};
use crate::judge::Judge;
use crate::scenario::{Change, Demand, VERIFIED, rejected, unavailable};
use crate::server::Trouble;
use crate::stage::{Check, Stage};
use crate::twist::Twist;

const MANY: usize = 1_000;

/// Calls at once, as of a busy service.
const AT_ONCE: usize = 16;

/// Hybrid asks about every JWT; the other strategies leave it out.
const ASKED: &[Change] = &[Change::set("issuer.revocation", "check_when", "\"always\"")];

const REFUSED: &str = "unavailable/refused_by_server";

async fn many(stage: &Stage<'_>) -> Result<Vec<String>, Trouble> {
    // The quickest to sign.
    let issued: Vec<Result<String, Trouble>> = stream::iter(0..MANY)
        .map(|_| token_of(stage, "app-jwt-EdDSA", None))
        .buffered(AT_ONCE)
        .collect()
        .await;
    issued.into_iter().collect()
}

/// How often came which verdict: `1000 verified`.
async fn tally(judge: &Judge, tokens: &[String]) -> String {
    let verdicts: Vec<String> = stream::iter(tokens.to_vec())
        .map(|token| async move { judge.say(&token, Demand::Configured).await.to_string() })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut counts = BTreeMap::<String, usize>::new();
    for verdict in verdicts {
        *counts.entry(verdict).or_default() += 1;
    }
    let texts: Vec<String> =
        counts.into_iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
    texts.join(", ")
}

pub(super) async fn thousand(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let tokens = many(stage).await?;
    let good = token_of(stage, "app-opaque", None).await?;
    let mut checks = Vec::new();
    let jwks = stage.judge(Strategy::Jwks, &[])?;
    let wanted = format!("{MANY} verified");
    checks.push(Check::same(Some(Strategy::Jwks), "1,000 JWTs", wanted, tally(&jwks, &tokens).await));
    for strategy in ASKING {
        let judge = stage.judge(strategy, ASKED)?;
        let check = |what: &str, wanted: String, got: String| Check::same(Some(strategy), what, wanted, got);
        checks.push(check("1,000 JWTs", format!("{MANY} {REFUSED}"), tally(&judge, &tokens).await));
        checks.push(check("calls for them", MANY.to_string(), judge.introspections().to_string()));
        checks.push(check("the breaker after them", "closed".to_owned(), breaker(&judge)));
        let ready = judge.verifier.ready(Duration::from_secs(1)).await;
        checks.push(check(
            "readiness after them",
            "ready".to_owned(),
            readiness(ready.err().map(|e| e.code())),
        ));
        checks.push(said(&judge, "a good token after them", &good, VERIFIED).await);
        checks.push(check("calls in all", (MANY + 1).to_string(), judge.introspections().to_string()));
        if strategy == Strategy::Hybrid {
            let calls = judge.introspections();
            let forged: Vec<String> = tokens.iter().filter_map(|token| Twist::Signature.of(token)).collect();
            let wanted = format!("{MANY} rejected/bad_signature");
            checks.push(check("1,000 forged ones", wanted, tally(&judge, &forged).await));
            checks.push(check(
                "calls for those",
                "0".to_owned(),
                (judge.introspections() - calls).to_string(),
            ));
        }
    }
    Ok(checks)
}

fn readiness(code: Option<&'static str>) -> String {
    code.map_or_else(|| "ready".to_owned(), str::to_owned)
}

/// The state of the circuit breaker, which a hybrid verifier has below it.
fn breaker(judge: &Judge) -> String {
    let health = judge.verifier.health();
    let mut all = std::iter::once(&health).chain(&health.parts).filter_map(|part| part.upstream.as_ref());
    match all.next().map(|upstream| upstream.breaker) {
        Some(BreakerHealth::Closed) => "closed",
        Some(BreakerHealth::HalfOpen) => "half open",
        Some(BreakerHealth::Open { .. }) => "open",
        None => "not in the health",
    }
    .to_owned()
}

pub(super) async fn asked_once(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let token = token_of(stage, "app-jwt-RS256", None).await?;
    let mut checks = Vec::new();
    for strategy in ASKING {
        let judge = stage.judge_of(strategy, &JWT, ASKED)?;
        for what in ["first", "again"] {
            checks.push(said(&judge, what, &token, unavailable("refused_by_server")).await);
        }
        checks.push(Check::same(Some(strategy), "calls for both", "1", judge.introspections().to_string()));
    }
    Ok(checks)
}

pub(super) async fn exempt(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    const CHANGES: &[Change] =
        &[Change::set("issuer.revocation", "check_when", "{ lifetime_over = \"15m\" }")];
    let short = token_of(stage, "app-jwt-RS256", None).await?;
    let long = token_of(stage, "app-jwt-RS256", Some("3600")).await?; // as long as max_lifetime lets pass
    let opaque = token_of(stage, "app-opaque", None).await?;
    let judge = stage.judge_of(Strategy::Hybrid, &OPAQUE, CHANGES)?;
    let mut checks = vec![said(&judge, "a short-lived JWT", &short, VERIFIED).await];
    checks.push(Check::same(Some(Strategy::Hybrid), "calls for it", "0", judge.introspections().to_string()));
    checks.push(said(&judge, "a long-lived JWT", &long, unavailable("refused_by_server")).await);
    checks.push(said(&judge, "an opaque token", &opaque, VERIFIED).await);
    let bad = Twist::Signature.of(&short).unwrap_or_default();
    checks.push(said(&judge, "a forged short-lived JWT", &bad, rejected("bad_signature")).await);
    Ok(checks)
}
