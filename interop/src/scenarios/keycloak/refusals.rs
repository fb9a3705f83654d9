//! Tokens that Keycloak won't speak of: their own fault, and no outage.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use verifier::Strategy;
use verifier::core::health::Health;
use verifier::core::upstream::BreakerHealth;

use super::{CLIENT, Played, order};
use crate::judge::Judge;
use crate::scenario::{Change, Demand, STRATEGIES, VERIFIED, Want, rejected, unavailable};
use crate::server::Trouble;
use crate::stage::{Check, Stage};

const OPAQUE: Want = rejected("not_a_jwt");
const REFUSED: Want = unavailable("refused_by_server");

pub(super) fn refused<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        // A header without alg makes Keycloak answer 400. With three parts our gate refuses it; two parts are an opaque
        // token by the rules, and one whose header goes on behind its JSON is none either. So these do get there.
        let mut tokens: Vec<String> =
            (0..999).map(|n| format!("{}.e30", part(&format!("{{\"n\":{n}}}")))).collect();
        tokens.push(format!("{}.e30.e30", part("{\"typ\":\"JWT\"} and more")));
        play(stage, &tokens, &[]).await
    })
}

pub(super) fn too_large<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        // Three bytes for each `+` in the form: more than the 128 KiB that Keycloak takes. By default none of this size
        // gets through our gate.
        let tokens: Vec<String> = (0..20).map(|n| format!("{}{n}", "+".repeat(60 * 1024))).collect();
        let mut checks = play(stage, &tokens, &[Change::set("", "max_token_size", "65536")]).await?;
        let too_large = rejected("token_too_large");
        for strategy in STRATEGIES {
            let judge = stage.judge(strategy, &[])?;
            let (verdicts, calls) = counted(&judge, &tokens).await;
            let wanted = format!("{} x {too_large}, without a call", tokens.len());
            checks.push(Check::same(Some(strategy), "by default", wanted, shown(&verdicts, calls == 0)));
        }
        Ok(checks)
    })
}

async fn play(stage: &Stage<'_>, tokens: &[String], changes: &[Change]) -> Result<Vec<Check>, Trouble> {
    let good = stage.issue(&order(CLIENT)).await?;
    let mut checks = Vec::new();
    for (strategy, want) in STRATEGIES.into_iter().zip([OPAQUE, REFUSED, OPAQUE]) {
        let judge = stage.judge(strategy, changes)?;
        let _ = judge.verifier.ready(Duration::from_secs(5)).await;
        let (verdicts, calls) = counted(&judge, tokens).await;
        let asks = want == REFUSED;
        let without = if asks { "" } else { ", without a call" };
        let wanted = format!("{} x {want}{without}", tokens.len());
        let got = shown(&verdicts, calls == 0);
        checks.push(Check::same(Some(strategy), "each of them", wanted, got));

        let health = judge.verifier.health();
        let breakers = breakers(&health);
        let closed = breakers.iter().all(|breaker| *breaker == BreakerHealth::Closed);
        // Of none, all are closed; but who asks has one.
        let missing = breakers.is_empty() && strategy != Strategy::Jwks;
        let state = format!(
            "{}, {}",
            if missing { "not in the health" } else { word(closed, "closed", "open") },
            word(health.ready.is_ok(), "ready", "not ready")
        );
        checks.push(Check::same(Some(strategy), "breaker and readiness", "closed, ready", state));
        let verdict = judge.say(&good.token, Demand::Live).await;
        checks.push(Check::verdict(strategy, "a good token after them", VERIFIED, verdict));
    }
    Ok(checks)
}

/// How often which verdict, and how many calls it took.
async fn counted(judge: &Judge, tokens: &[String]) -> (BTreeMap<String, usize>, u64) {
    let before = judge.introspections();
    let mut verdicts = BTreeMap::new();
    for some in tokens.chunks(8) {
        for verdict in join_all(some.iter().map(|token| judge.say(token, Demand::Configured))).await {
            *verdicts.entry(verdict.to_string()).or_default() += 1;
        }
    }
    (verdicts, judge.introspections() - before)
}

fn shown(verdicts: &BTreeMap<String, usize>, without_calls: bool) -> String {
    let texts: Vec<String> = verdicts.iter().map(|(verdict, count)| format!("{count} x {verdict}")).collect();
    format!("{}{}", texts.join(", "), if without_calls { ", without a call" } else { "" })
}

fn breakers(health: &Health) -> Vec<BreakerHealth> {
    let own = health.upstream.as_ref().map(|upstream| upstream.breaker);
    own.into_iter().chain(health.parts.iter().flat_map(breakers)).collect()
}

const fn word(yes: bool, then: &'static str, otherwise: &'static str) -> &'static str {
    if yes { then } else { otherwise }
}

fn part(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}
