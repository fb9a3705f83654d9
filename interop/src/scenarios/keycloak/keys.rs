//! Its keys, and the names that it goes by.

use std::time::Duration;

use serde_json::{Value, json};
use verifier::Strategy;

use super::{CLIENT, Played, order, text, verdicts};
use crate::scenario::{Change, Demand, STRATEGIES, VERIFIED, Want, rejected, unavailable};
use crate::server::keycloak::{AT_JWT, Running};
use crate::server::{Settings, Sort, Subject, Trouble, failed};
use crate::stage::{Check, Stage};

const UNKNOWN: Want = rejected("unknown_key");
const INACTIVE: Want = rejected("inactive");

pub(super) fn priorities<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let running = Running::usual()?;
        // Verifiers that know the keys of before.
        let mut judges = Vec::new();
        for strategy in STRATEGIES {
            let judge = stage.judge(strategy, &[])?;
            let _ = judge.verifier.ready(Duration::from_secs(5)).await;
            judges.push(judge);
        }
        let first = running.admin.add_key(200).await?;
        let played = async {
            let old = stage.issue(&order(CLIENT)).await?;
            let mut checks = Vec::new();
            for judge in &judges {
                let verdict = judge.say(&old.token, Demand::Configured).await;
                checks.push(Check::verdict(judge.strategy, "first token of a new key", VERIFIED, verdict));
            }
            let second = running.admin.add_key(300).await?;
            let turned = turns(stage, &running, &first, &old.token).await;
            running.admin.remove(&format!("components/{second}"), &Value::Null).await?;
            checks.extend(turned?);
            Ok(checks)
        }
        .await;
        running.admin.remove(&format!("components/{first}"), &Value::Null).await?;
        played
    })
}

/// The key of a token becomes passive, then disabled, while another one signs.
async fn turns(stage: &Stage<'_>, running: &Running, key: &str, token: &str) -> Result<Vec<Check>, Trouble> {
    let settings = &stage.settings;
    let signed = stage.issue(&order(CLIENT)).await?;
    let another = signed.token.split('.').next() != token.split('.').next();
    let signs = if another { "signs at once" } else { "doesn't sign" };
    let mut checks = vec![Check::same(None, "a key of higher priority", "signs at once", signs)];
    checks.extend(verdicts(stage, settings, "overruled, still active", token, &[], [VERIFIED; 3]).await?);
    let path = format!("components/{key}");
    let turned = |enabled, active| running.admin.key("newer", 200, enabled, active);
    running.admin.put(&path, &turned(true, false)).await?;
    checks.extend(verdicts(stage, settings, "passive, still published", token, &[], [VERIFIED; 3]).await?);
    running.admin.put(&path, &turned(false, false)).await?;
    let wants = [UNKNOWN, INACTIVE, UNKNOWN];
    checks.extend(verdicts(stage, settings, "disabled", token, &[], wants).await?);
    checks.extend(verdicts(stage, settings, "of the other key", &signed.token, &[], [VERIFIED; 3]).await?);
    Ok(checks)
}

pub(super) fn encryption_key<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let running = Running::usual()?;
        let issued = stage.issue(&order(CLIENT)).await?;
        let set = running.key_set().await?;
        let keys =
            set.get("keys").and_then(Value::as_array).ok_or_else(|| failed("no keys in the key set"))?;
        let used = |wanted: &str| keys.iter().filter(|key| key.get("use") == Some(&json!(wanted))).count();
        let (signing, encrypting) = (used("sig"), used("enc"));
        let got = format!("{encrypting} encryption keys");
        let mut checks = vec![Check::holds(None, "the key set", "an encryption key", encrypting > 0, got)];
        for strategy in [Strategy::Jwks, Strategy::Hybrid] {
            let judge = stage.judge(strategy, &[])?;
            let verdict = judge.say(&issued.token, Demand::Configured).await;
            checks.push(Check::verdict(strategy, "beside it", VERIFIED, verdict));
            let health = judge.verifier.health();
            let held = std::iter::once(&health).chain(&health.parts).find_map(|part| part.keys.as_ref());
            let usable = held.map_or(0, |keys| keys.usable);
            // The example allows RS256 alone.
            let fits = (1..=signing).contains(&usable);
            let got = format!("{usable} keys held");
            checks.push(Check::holds(Some(strategy), "keys held", "signing keys only", fits, got));
            let skipped = held.map_or(0, |keys| keys.skipped.len());
            let told = skipped + usable == keys.len();
            let got = format!("{skipped} of {} skipped, with a reason", keys.len() - usable);
            checks.push(Check::holds(Some(strategy), "the others", "each skipped, with a reason", told, got));
        }
        Ok(checks)
    })
}

pub(super) fn at_jwt<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let changes = [Change::set("issuer", "types", "[\"at+jwt\"]")];
        let never = Want::NotAsked("introspection doesn't look into tokens, and refuses the setting");
        let settings = &stage.settings;
        let usual = stage.issue(&order(CLIENT)).await?;
        let typed = stage.issue(&order(CLIENT.flavoured(AT_JWT))).await?;
        let wrong = rejected("wrong_type");
        let mut checks =
            verdicts(stage, settings, "JWT", &usual.token, &changes, [wrong, never, wrong]).await?;
        let wants = [VERIFIED, never, VERIFIED];
        checks.extend(verdicts(stage, settings, "at+jwt", &typed.token, &changes, wants).await?);
        Ok(checks)
    })
}

pub(super) fn unlisted<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let issued = stage.issue(&order(Sort::jwt(Subject::Client, "ES256"))).await?;
        let refused = rejected("algorithm_not_allowed");
        verdicts(stage, &stage.settings, "ES256", &issued.token, &[], [refused, VERIFIED, refused]).await
    })
}

pub(super) fn shared_secret<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let issued = stage.issue(&order(Sort::jwt(Subject::Client, "HS256"))).await?;
        let refused = rejected("algorithm_not_allowed");
        verdicts(stage, &stage.settings, "HS256", &issued.token, &[], [refused, VERIFIED, refused]).await
    })
}

pub(super) fn another_realm<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let token = Running::elsewhere()?.any_token().await?;
        verdicts(stage, &stage.settings, "", &token, &[], [UNKNOWN, INACTIVE, UNKNOWN]).await
    })
}

pub(super) fn host<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let running = Running::usual()?;
        stage.issue(&order(CLIENT)).await?;
        let url = running.endpoint("token").replace("127.0.0.1", "localhost");
        let answer = running.post(&url, "app-rs256", &[], &[("grant_type", "client_credentials")]).await?;
        let token = answer.good("token endpoint")?.text("access_token")?;
        let wrong = rejected("wrong_issuer");
        let mut checks = verdicts(stage, &stage.settings, "", &token, &[], [wrong, INACTIVE, wrong]).await?;
        let named = |url: &str| url.replace("127.0.0.1", "localhost");
        let settings = Settings {
            issuer: named(&stage.settings.issuer),
            introspection: named(&stage.settings.introspection),
            jwks: named(&stage.settings.jwks),
            ..stage.settings.clone()
        };
        checks
            .extend(verdicts(stage, &settings, "configured by that name", &token, &[], [VERIFIED; 3]).await?);
        Ok(checks)
    })
}

pub(super) fn name<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let elsewhere = Running::elsewhere()?;
        let token = elsewhere.any_token().await?;
        let settings = Settings { issuer: elsewhere.by_address(), ..stage.settings.clone() };
        verdicts(stage, &settings, "", &token, &[], [unavailable("misconfigured"); 3]).await
    })
}

impl Running {
    /// A client's token, for whomever.
    async fn any_token(&self) -> Result<String, Trouble> {
        self.client("app", &json!({}), &[]).await?;
        text(&self.tokens("app", Subject::Client, "").await?, "access_token")
    }
}
