//! A server that comes back as another, and one that stumbles over single tokens.

use verifier::Strategy;

use super::{ASKING, JWT, OPAQUE, address, http, said, token_of};
use crate::clock;
use crate::judge::Judge;
use crate::scenario::{Demand, STRATEGIES, VERIFIED, Verdict, rejected, unavailable};
use crate::server::node_oidc_provider::{NAME, operate};
use crate::server::{Audience, Kind, Lifetime, Order, Scopes, Sort, Subject, Trouble, process};
use crate::stage::{Check, Stage};

pub(super) async fn new_keys(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let old_jwt = token_of(stage, "app-jwt-RS256", None).await?;
    let old_opaque = token_of(stage, "app-opaque", None).await?;
    let mut checks = Vec::new();
    let mut judges = Vec::new();
    for (strategy, token) in STRATEGIES.into_iter().zip([&old_jwt, &old_opaque, &old_opaque]) {
        let judge = stage.judge_of(strategy, if strategy == Strategy::Jwks { &JWT } else { &OPAQUE }, &[])?;
        checks.push(said(&judge, "before", token, VERIFIED).await);
        judges.push(judge);
    }
    let port = address(stage).rsplit(':').next().unwrap_or_default();
    process::script(NAME, "start", &[("INTEROP_PORT", port), ("INTEROP_KEEP", "secrets")]).await?;

    let jwt = token_of(stage, "app-jwt-RS256", None).await?;
    let opaque = token_of(stage, "app-opaque", None).await?;
    for judge in &judges {
        if judge.strategy == Strategy::Jwks {
            let fetched = judge.fetches();
            checks.push(said(judge, "the first token by the new key", &jwt, VERIFIED).await);
            checks.push(Check::same(
                Some(judge.strategy),
                "fetches of keys for it",
                "1",
                (judge.fetches() - fetched).to_string(),
            ));
            checks.push(
                said(judge, "a token by the key that is gone", &old_jwt, rejected("unknown_key")).await,
            );
        } else {
            checks.push(live(judge, "a new token", &opaque, VERIFIED).await);
            checks.push(
                live(judge, "a token of the store that is gone", &old_opaque, rejected("inactive")).await,
            );
        }
    }
    Ok(checks)
}

async fn live(judge: &Judge, what: &str, token: &str, want: crate::scenario::Want) -> Check {
    Check::verdict(judge.strategy, what, want, judge.say(token, Demand::Live).await)
}

/// A user's token of a client that is gone: introspection of it ends in 500. That is counted as the server's failure, so
/// what matters is that good tokens go on, one after the other with it.
pub(super) async fn stumbles(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let sort = Sort::opaque(Subject::User);
    let order = Order {
        kind: Kind::Access,
        sort,
        audience: Audience::Ours,
        lifetime: Lifetime::Usual,
        scopes: Scopes::Held,
    };
    let bad = stage.issue(&order).await?;
    let good = token_of(stage, "app-opaque", None).await?;
    let http = http()?;
    operate(http, address(stage), &format!("client/disable?id={}", bad.client)).await?;
    let checks = amid(stage, &bad.token, &good).await;
    operate(http, address(stage), &format!("client/enable?id={}", bad.client)).await?;
    checks
}

async fn amid(stage: &Stage<'_>, bad: &str, good: &str) -> Result<Vec<Check>, Trouble> {
    let mut checks = Vec::new();
    for strategy in ASKING {
        let judge = stage.judge_of(strategy, &OPAQUE, &[])?;
        checks.push(live(&judge, "the token that it stumbles over", bad, unavailable("server_error")).await);
        let begun = clock::instant();
        let mut verified = 0;
        for _ in 0..20 {
            judge.say(bad, Demand::Live).await;
            verified += usize::from(judge.say(good, Demand::Live).await == Verdict::Verified);
        }
        checks.push(
            Check::same(
                Some(strategy),
                "good tokens verified, of 20 amid as many such",
                "20",
                verified.to_string(),
            )
            .took(clock::instant().since(begun)),
        );
    }
    Ok(checks)
}
