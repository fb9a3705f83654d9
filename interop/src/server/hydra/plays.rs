//! Scenarios of Hydra's that are no steps.

use futures_util::future::BoxFuture;
use http::Method;
use serde_json::{Value, json};
use verifier::Strategy;

use super::Running;
use super::tokens::secret;
use crate::judge::Judge;
use crate::scenario::{Demand, STRATEGIES, VERIFIED, Verdict, Want, rejected};
use crate::scenarios::others::{by_token_of_ours, usual};
use crate::server::http::Http;
use crate::server::{Audience, Format, Kind, Lifetime, Order, Scopes, Sort, Subject, Trouble, failed};
use crate::stage::{Check, Stage, claims};

type Played<'a> = BoxFuture<'a, Result<Vec<Check>, Trouble>>;

/// What a consent puts into tokens stays where Hydra puts it: in `ext`.
pub(super) fn consent<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let mut checks = Vec::new();
        for sort in [Sort::jwt(Subject::User, "RS256"), Sort::opaque(Subject::User)] {
            let issued = stage.issue(&order(sort)).await?;
            for strategy in STRATEGIES {
                if strategy == Strategy::Jwks && sort.format == Format::Opaque {
                    continue;
                }
                let judge = stage.judge(strategy, &[])?;
                let seen = claims(&judge, &issued.token).await?;
                let text = |claims: &Value, name: &str| {
                    claims.get(name).and_then(Value::as_str).unwrap_or("absent").to_owned()
                };
                let by = Some(strategy);
                checks.push(Check::same(by, format!("{sort}, sub"), "alice", text(&seen, "sub")));
                let own = text(&seen, "iss") == stage.settings.issuer;
                let issuer = if own { "the issuer" } else { "another" };
                checks.push(Check::same(by, format!("{sort}, iss"), "the issuer", issuer));
                let ext = seen.get("ext").cloned().unwrap_or(Value::Null);
                checks.push(Check::same(by, format!("{sort}, sub inside ext"), "mallory", text(&ext, "sub")));
                let verified = judge
                    .verify(&issued.token, Demand::Configured)
                    .await
                    .map_err(|error| failed(error.code()))?;
                let scopes: Vec<&str> = verified.scopes().collect();
                let holds = scopes.contains(&"things.read") && !scopes.contains(&"things.write");
                checks.push(Check::holds(
                    by,
                    format!("{sort}, scopes"),
                    "things.read, not the consent's things.write",
                    holds,
                    scopes.join(" "),
                ));
            }
        }
        Ok(checks)
    })
}

const fn order(sort: Sort) -> Order {
    Order {
        kind: Kind::Access,
        sort,
        audience: Audience::Ours,
        lifetime: Lifetime::Usual,
        scopes: Scopes::Held,
    }
}

/// As a client of Hydra's that gets a token for its questions.
pub(super) fn by_token<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let issued = stage.issue(&order(Sort::opaque(Subject::Client))).await?;
        let caller = (issued.client.as_str(), secret(&issued)?.to_owned());
        by_token_of_ours(stage, caller, VERIFIED, "its introspection looks at no credentials").await
    })
}

/// Another spelling of an opaque token, without its prefix: whatever Hydra says of it, each is asked about once, and a
/// revocation ends all.
pub(super) fn spellings<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let order = usual(stage, Format::Opaque).ok_or_else(|| failed("no opaque token"))?;
        let http = Http::new()?;
        let mut checks = Vec::new();
        for strategy in [Strategy::Introspection, Strategy::Hybrid] {
            let mut issued = stage.issue(&order).await?;
            let token = issued.token.clone();
            let other =
                token.strip_prefix("ory_at_").ok_or_else(|| failed("an opaque token without its prefix"))?;
            let said = http.form(&stage.settings.introspection, &[], &[("token", other)]).await?.json()?;
            let active = said.get("active") == Some(&Value::Bool(true));
            let want = if active { VERIFIED } else { rejected("inactive") };
            let judge = stage.judge(strategy, &[])?;
            let say = async |text: &str| judge.say(text, Demand::Fresh).await;
            checks.push(Check::verdict(strategy, "as issued", VERIFIED, say(&token).await));
            checks.push(Check::verdict(strategy, "without its prefix", want, say(other).await));
            let asked = judge.introspections().to_string();
            checks.push(Check::same(Some(strategy), "calls", "2", asked));
            stage.act(crate::server::Deed::Revoke, &mut issued).await?;
            for (what, text) in [("as issued, revoked", &*token), ("without its prefix, revoked", other)] {
                let verdict = judge.say(text, Demand::Live).await;
                checks.push(Check::verdict(strategy, what, rejected("inactive"), verdict));
            }
        }
        Ok(checks)
    })
}

/// Hydra publishes a key as one for encryption, and may sign with it nevertheless.
pub(super) fn encryption_key<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let hydra = Running::again(stage)?;
        let kid = hydra.name("enc");
        let keys = format!("{}/admin/keys/hydra.jwt.access-token", hydra.admin);
        let key = json!({ "alg": "RS256", "kid": kid, "use": "enc" });
        hydra.http.json(Method::POST, &keys, &[], &key).await?.good("a new key")?;
        let issued = stage.issue(&order(Sort::jwt(Subject::Client, "RS256"))).await;
        let verdicts = match &issued {
            Ok(issued) => verdicts(stage, &issued.token).await,
            Err(trouble) => Err(trouble.clone()),
        };
        hydra.remove_key(&kid).await?;
        verdicts
    })
}

async fn verdicts(stage: &Stage<'_>, token: &str) -> Result<Vec<Check>, Trouble> {
    let signed = crate::twist::header(token).and_then(|header| header.get("kid").cloned());
    if !signed.as_ref().and_then(Value::as_str).is_some_and(|kid| kid.contains("-enc-")) {
        return crate::server::cant_do("it doesn't sign with a key that is marked `enc`");
    }
    let want = Want::OneOf(
        &[Verdict::Rejected("unknown_key"), Verdict::Rejected("key_mismatch")],
        "a key for encryption is no key to check with, whether it counts as held or not",
    );
    let mut checks = Vec::new();
    for strategy in [Strategy::Jwks, Strategy::Hybrid] {
        let judge: Judge = stage.judge(strategy, &[])?;
        checks.push(Check::verdict(strategy, "", want, judge.say(token, Demand::Configured).await));
    }
    Ok(checks)
}
