//! Tokens, keys and issuers that are unlike the usual ones.

use std::time::Duration;

use serde_json::Value;
use verifier::Strategy;

use super::{ASKING, JWT, OPAQUE, http, kept, said, token_of};
use crate::clock;
use crate::judge::Judge;
use crate::scenario::{Change, Demand, STRATEGIES, VERIFIED, Verdict, Want, rejected, unavailable};
use crate::server::{Audience, Kind, Lifetime, Order, Scopes, Sort, Subject, Trouble, failed};
use crate::stage::{self, Check, Stage};

/// By introspection alone any JWT is the server's affair, and it refuses them.
const REFUSED: Want = unavailable("refused_by_server");

async fn each(stage: &Stage<'_>, token: &str, wants: [Want; 3]) -> Result<Vec<Check>, Trouble> {
    let mut checks = Vec::new();
    for (strategy, want) in STRATEGIES.into_iter().zip(wants) {
        checks.push(said(&stage.judge(strategy, &[])?, "first", token, want).await);
    }
    Ok(checks)
}

pub(super) async fn hs256(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let token = token_of(stage, "app-jwt-HS256", None).await?;
    let unlisted = rejected("algorithm_not_allowed");
    each(stage, &token, [unlisted, REFUSED, unlisted]).await
}

pub(super) async fn encrypted(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let token = token_of(stage, "app-jwe", None).await?;
    each(stage, &token, [rejected("encrypted_token"); 3]).await
}

pub(super) async fn not_listed(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let unlisted = rejected("algorithm_not_allowed");
    let mut checks = Vec::new();
    for algorithm in ["RS512", "PS256", "ES384"] {
        let token = token_of(stage, &format!("app-jwt-{algorithm}"), None).await?;
        checks.extend(each(stage, &token, [unlisted, REFUSED, unlisted]).await?);
    }
    Ok(checks)
}

pub(super) async fn dotted(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    each(stage, "abc.def.ghi", [rejected("not_a_jwt"), rejected("inactive"), rejected("inactive")]).await
}

/// Accepting the client as an audience must not make its ID token an access token.
pub(super) async fn id_token(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let sort = Sort::jwt(Subject::User, "RS256");
    let token = stage.issue(&Order { kind: Kind::Id, ..order(sort) }).await?.token;
    let both = Change::set("issuer", "audience", "[\"https://api.example.com\", \"user-jwt-RS256\"]");
    let generic = Change::set("issuer", "profile", "\"generic\"");
    let rows: [(Strategy, &str, &[Change], Want); 4] = [
        (Strategy::Jwks, "profile at+jwt", &[both], rejected("wrong_type")),
        (Strategy::Jwks, "profile generic", &[both, generic], rejected("not_an_access_token")),
        (Strategy::Introspection, "profile at+jwt", &[both], REFUSED),
        (Strategy::Hybrid, "profile at+jwt", &[both], rejected("wrong_type")),
    ];
    let mut checks = Vec::new();
    for (strategy, what, changes, want) in rows {
        checks.push(said(&stage.judge(strategy, changes)?, what, &token, want).await);
    }
    Ok(checks)
}

fn order(sort: Sort) -> Order {
    Order {
        kind: Kind::Access,
        sort,
        audience: Audience::Ours,
        lifetime: Lifetime::Usual,
        scopes: Scopes::Held,
    }
}

pub(super) async fn claims(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let rows = [
        (Strategy::Jwks, Sort::jwt(Subject::User, "RS256"), "user-jwt-RS256"),
        (Strategy::Introspection, Sort::opaque(Subject::User), "user-opaque"),
        (Strategy::Hybrid, Sort::opaque(Subject::User), "user-opaque"),
    ];
    let mut checks = Vec::new();
    for (strategy, sort, client) in rows {
        let issued = stage.issue(&order(sort)).await?;
        let seen = stage::claims(&stage.judge_of(strategy, &sort, &[])?, &issued.token).await?;
        let text = |name: &str| seen.get(name).map_or_else(|| "-".to_owned(), Value::to_string);
        let seen = ["sub", "client_id", "aud", "scope"].map(text).join(" ");
        let wanted = format!("\"alice\" \"{client}\" \"{}\" \"read\"", crate::server::AUDIENCE);
        checks.push(Check::same(Some(strategy), "sub, client_id, aud, scope", wanted, seen));
    }
    Ok(checks)
}

/// Asks around the second of a token's end, at real time, with no leeway.
pub(super) async fn end(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    const EXACT: &[Change] = &[Change::set("issuer", "leeway", "\"0s\"")];
    let rows = [
        (Strategy::Jwks, JWT, "app-jwt-RS256"),
        (Strategy::Introspection, OPAQUE, "app-opaque"),
        (Strategy::Hybrid, OPAQUE, "app-opaque"),
    ];
    let mut checks = Vec::new();
    for (strategy, sort, client) in rows {
        let judge = stage.judge_of(strategy, &sort, EXACT)?;
        for demand in [Demand::Configured, Demand::Live] {
            let token = token_of(stage, client, Some("2")).await?;
            let verified = judge
                .verify(&token, Demand::Configured)
                .await
                .map_err(|error| failed(format_args!("not verified: {}", error.code())))?;
            let end = verified.expires_at().ok_or_else(|| failed("the token has no end"))?;
            checks.push(around(&judge, &token, end, demand).await);
            if strategy == Strategy::Jwks {
                break;
            }
        }
    }
    Ok(checks)
}

/// The last verdict of a request that arrived before `end` and the first of one that arrived at it or later; or the first
/// that shouldn't have come before.
async fn around(judge: &Judge, token: &str, end: i64, demand: Demand) -> Check {
    let end = end.saturating_mul(1_000_000);
    let check = |holds, got| {
        let what = format!("around its end, {demand:?}");
        Check::holds(Some(judge.strategy), what, "verified, then expired or inactive", holds, got)
    };
    let mut lived = false;
    loop {
        let arrival = clock::now().wall.unix_micros();
        let verdict = judge.say(token, demand).await;
        let ended = matches!(verdict, Verdict::Rejected("expired" | "inactive"));
        if arrival >= end {
            let before = if lived { "verified" } else { "-" };
            return check(ended && lived, format!("{before}, then {verdict}"));
        }
        let in_time = clock::now().wall.unix_micros() < end;
        lived |= in_time && verdict == Verdict::Verified;
        // One that was answered after the end may say so.
        if verdict != Verdict::Verified && (in_time || !ended) {
            return check(false, format!("{verdict} before its end"));
        }
        clock::pause(Duration::from_millis(10)).await;
    }
}

pub(super) async fn long_lived(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let token = token_of(stage, "app-jwt-RS256", Some("7200")).await?;
    let judge = stage.judge(Strategy::Jwks, &[])?;
    Ok(vec![said(&judge, "two hours, where one is allowed", &token, rejected("lifetime_too_long")).await])
}

pub(super) async fn keys(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let published = http()?.get(&stage.settings.jwks).await?.good("keys")?.json()?;
    let published: Vec<&Value> =
        published.get("keys").and_then(Value::as_array).into_iter().flatten().collect();
    let with = |member: &str, value: Option<&str>| -> Vec<&str> {
        let fits = |key: &&&Value| key.get(member).and_then(Value::as_str) == value;
        let mut kids: Vec<&str> =
            published.iter().filter(fits).filter_map(|key| key.get("kid").and_then(Value::as_str)).collect();
        kids.sort_unstable();
        kids
    };
    let judge = stage.judge(Strategy::Jwks, &[])?;
    let mut checks = Vec::new();
    for client in ["app-jwt-RS256", "app-jwt-ES256", "app-jwt-EdDSA"] {
        let token = token_of(stage, client, None).await?;
        checks.push(said(&judge, client, &token, VERIFIED).await);
    }
    let held = judge.verifier.health().keys.unwrap_or_default();
    let for_encryption = with("use", Some("enc"));
    let mut skipped: Vec<&str> = held
        .skipped
        .iter()
        .filter_map(|(kid, _)| kid.as_deref())
        .filter(|kid| for_encryption.contains(kid))
        .collect();
    skipped.sort_unstable();
    let jwks = Some(Strategy::Jwks);
    let signing = published.len() - for_encryption.len();
    let named = with("use", Some("sig")).len() + with("use", None).len();
    checks.push(Check::same(jwks, "keys for signatures", signing.to_string(), named.to_string()));
    checks.push(Check::same(jwks, "keys that name no use", "2", with("use", None).len().to_string()));
    checks.push(Check::same(jwks, "keys for encryption", "2", for_encryption.len().to_string()));
    checks.push(Check::same(
        jwks,
        "keys for encryption, skipped",
        for_encryption.join(" "),
        skipped.join(" "),
    ));
    checks.push(Check::same(jwks, "usable keys, of the algorithms listed", "3", held.usable.to_string()));
    Ok(checks)
}

/// A slash more is another issuer.
pub(super) async fn spelling(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let slash = Change::set("issuer", "issuer", "\"{issuer}/\"");
    // By the addresses: metadata of another name would be no metadata at all.
    let by_url = [
        slash,
        Change::set("issuer.keys", "url", "\"{jwks}\""),
        Change::set("issuer.introspection", "endpoint", "\"{introspection}\""),
    ];
    let jwt = token_of(stage, "app-jwt-RS256", None).await?;
    let opaque = token_of(stage, "app-opaque", None).await?;
    let mut checks = Vec::new();
    for strategy in [Strategy::Jwks, Strategy::Hybrid] {
        let judge = stage.judge(strategy, &by_url)?;
        checks.push(said(&judge, "a JWT", &jwt, rejected("wrong_issuer")).await);
    }
    for strategy in ASKING {
        let judge = stage.judge(strategy, &by_url)?;
        checks.push(said(&judge, "an opaque token", &opaque, rejected("wrong_issuer")).await);
    }
    Ok(checks)
}

/// Metadata that speak of another issuer are not used, however they were found.
pub(super) async fn metadata(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let named = stage.settings.issuer.replace("127.0.0.1", "localhost");
    let changes = [Change::set("issuer", "issuer", kept(format!("{named:?}")))];
    let jwt = token_of(stage, "app-jwt-RS256", None).await?;
    let opaque = token_of(stage, "app-opaque", None).await?;
    let mut checks = Vec::new();
    for (strategy, token) in
        [(Strategy::Jwks, &jwt), (Strategy::Introspection, &opaque), (Strategy::Hybrid, &opaque)]
    {
        let judge = stage.judge(strategy, &changes)?;
        checks.push(said(&judge, "another name in the metadata", token, unavailable("misconfigured")).await);
    }
    // The same, without a wrong name: the endpoint is found.
    for strategy in ASKING {
        let judge = stage.judge(strategy, &[])?;
        checks.push(said(&judge, "endpoint by discovery", &opaque, VERIFIED).await);
    }
    let by_url = [Change::set("issuer.keys", "url", "\"{jwks}\"")];
    checks.push(said(&stage.judge(Strategy::Jwks, &by_url)?, "keys by their address", &jwt, VERIFIED).await);
    Ok(checks)
}
