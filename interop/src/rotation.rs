//! A steady stream of verifications while keys change: none of the valid ones is lost, and the withdrawn key is dead
//! within its stated bound.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::Mutex;
use verifier::Strategy;
use verifier::core::time::Instant;

use crate::clock;
use crate::judge::Judge;
use crate::scenario::{Demand, STRATEGIES, Verdict};
use crate::scenarios::rotation::{MAX_AGE, SHORT_AGE};
use crate::server::{
    Audience, Deed, Format, Issued, Kind, Lifetime, Need, Order, Scopes, Sort, Trouble, failed,
};
use crate::stage::{Check, Stage};

/// The pause between two verdicts of one strategy.
const PACE: Duration = Duration::from_millis(5);

/// One verdict of the stream.
struct Seen {
    at: Instant,
    token: usize,
    verdict: Verdict,
}

/// What the stream judges: tokens in the order of their issue.
type Tokens = Arc<Mutex<Vec<String>>>;

/// Plays it.
pub(crate) fn stream<'a>(stage: &'a Stage<'a>) -> BoxFuture<'a, Result<Vec<Check>, Trouble>> {
    Box::pin(played(stage))
}

async fn played(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let jwt = |sort: &&Sort| sort.format == Format::Jwt;
    let sort = *stage.product.sorts().iter().find(jwt).ok_or_else(|| failed("no JWT"))?;
    let order = Order {
        kind: Kind::Access,
        sort,
        audience: Audience::Ours,
        lifetime: Lifetime::Usual,
        scopes: Scopes::Held,
    };
    // A server that says no more than "inactive" of an older key's tokens rotates well by jwks alone.
    let old = stage.issue(&order).await?;
    let tokens: Tokens = Arc::new(Mutex::new(vec![old.token.clone()]));
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));

    // Nothing is learnt of the others where no JWT is introspected.
    let asked = stage.product.lacks(Need::JwtIntrospection).is_none();
    let strategies = STRATEGIES.into_iter().filter(|strategy| asked || *strategy == Strategy::Jwks);
    let mut streams = Vec::new();
    for strategy in strategies.clone() {
        let judge = stage.judge_of(strategy, &sort, SHORT_AGE)?;
        judge.verifier.ready(Duration::from_secs(5)).await.map_err(|error| failed(error.code()))?;
        streams.push(tokio::spawn(judged(judge, Arc::clone(&tokens), Arc::clone(&over))));
    }
    let dropped = rotate(stage, &order, &tokens, old).await;
    over.store(true, std::sync::atomic::Ordering::SeqCst);
    let seen = join_all(streams).await;
    let dropped = dropped?;
    let mut checks = Vec::new();
    for (strategy, seen) in strategies.zip(seen) {
        checks.extend(summed(stage, strategy, &seen.map_err(failed)?, dropped));
    }
    Ok(checks)
}

/// Adds a key, has it sign, withdraws it. Says when that was confirmed.
async fn rotate(
    stage: &Stage<'_>,
    order: &Order,
    tokens: &Tokens,
    mut old: Issued,
) -> Result<Instant, Trouble> {
    clock::pause(Duration::from_millis(500)).await;
    stage.act(Deed::AddKey, &mut old).await?;
    // The stream meets the first token of the new key as it comes, and a second one later.
    for _ in 0..2 {
        let new = stage.issue(order).await?;
        tokens.lock().await.push(new.token);
        clock::pause(Duration::from_millis(500)).await;
    }
    stage.act(Deed::DropKey, &mut old).await?;
    let dropped = clock::instant();
    clock::pause(MAX_AGE + Duration::from_millis(500)).await;
    Ok(dropped)
}

async fn judged(judge: Judge, tokens: Tokens, over: Arc<std::sync::atomic::AtomicBool>) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !over.load(std::sync::atomic::Ordering::SeqCst) {
        let now: Vec<String> = tokens.lock().await.clone();
        for (token, text) in now.iter().enumerate() {
            let at = clock::instant();
            let verdict = judge.say(text, Demand::Fresh).await;
            seen.push(Seen { at, token, verdict });
        }
        clock::pause(PACE).await;
    }
    seen
}

fn summed(stage: &Stage<'_>, strategy: Strategy, seen: &[Seen], dropped: Instant) -> Vec<Check> {
    let count = |wanted: &dyn Fn(&Seen) -> bool| seen.iter().filter(|one| wanted(one)).count();
    let valid = count(&|one| one.at < dropped && one.token > 0);
    let lost = |token: &dyn Fn(usize) -> bool| {
        count(&|one: &Seen| one.at < dropped && token(one.token) && one.verdict != Verdict::Verified)
    };
    let late: Vec<&Seen> = seen
        .iter()
        .filter(|one| one.token > 0 && one.at > dropped && one.verdict == Verdict::Verified)
        .collect();
    let last = late.last().map_or(Duration::ZERO, |one| one.at.since(dropped));
    let bound = if strategy == Strategy::Jwks { MAX_AGE } else { crate::scenario::FRESHNESS.min(MAX_AGE) };
    // What came later than the bound, which must be something, or nothing is known of it.
    let beyond: Vec<&Seen> =
        seen.iter().filter(|one| one.token > 0 && one.at.since(dropped) > bound).collect();
    let gone = |one: &&&Seen| matches!(one.verdict, Verdict::Rejected("unknown_key" | "inactive"));
    let dead = beyond.iter().filter(gone).count();
    let mut checks = vec![
        Check::holds(
            Some(strategy),
            "tokens of the new key, while it stands",
            "none lost",
            valid > 0 && lost(&|token| token > 0) == 0,
            format!("{} of {valid} lost", lost(&|token| token > 0)),
        ),
        Check::holds(
            Some(strategy),
            "tokens of the new key, once it is withdrawn",
            format!("unknown_key or inactive later than {} s, and asked then", bound.as_secs()),
            last <= bound && dead > 0 && dead == beyond.len(),
            format!(
                "{} accepted; later than {} s {dead} of {} refused",
                late.len(),
                bound.as_secs(),
                beyond.len()
            ),
        )
        .took(last),
    ];
    let lacking = stage.product.lacks(Need::OlderKeyIntrospected).filter(|_| strategy != Strategy::Jwks);
    let old = lost(&|token| token == 0);
    let total = count(&|one| one.at < dropped && one.token == 0);
    // What is lost for another reason isn't the server's word.
    let inactive =
        count(&|one| one.at < dropped && one.token == 0 && one.verdict == Verdict::Rejected("inactive"));
    let fine = if lacking.is_some() { inactive > 0 && inactive == old } else { total > 0 && old == 0 };
    let mut check = Check::holds(
        Some(strategy),
        "tokens of the older key",
        if lacking.is_some() { "some lost, all of them inactive" } else { "none lost" },
        fine,
        format!("{old} of {total} lost, {inactive} inactive"),
    );
    check.because = lacking;
    checks.push(check);
    checks
}
