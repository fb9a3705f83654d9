//! Whom Keycloak tells what, and how we say who we are.

use futures_util::future::join_all;
use serde_json::json;
use verifier::Strategy;
use verifier::core::health::{Health, HealthNote};

use super::{CLIENT, Played, order, text, verdict, verdicts};
use crate::judge::Judge;
use crate::scenario::{Change, Demand, VERIFIED, Want, rejected, unavailable};
use crate::scenarios::others::by_token_of_ours;
use crate::server::keycloak::Running;
use crate::server::keycloak::running::audience;
use crate::server::{AUDIENCE, Settings, Subject, Trouble};
use crate::stage::{Check, Stage};

/// As a client that is exempt from the rule that the caller stands in `aud`.
fn exempt(stage: &Stage<'_>, running: &Running) -> Result<Settings, Trouble> {
    let caller = Some(("any".to_owned(), running.secret("any")?));
    Ok(Settings { caller, ..stage.settings.clone() })
}

fn noted(health: &Health, note: HealthNote) -> bool {
    health.notes.contains(&note) || health.parts.iter().any(|part| noted(part, note))
}

pub(super) fn caller_not_named<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let running = Running::usual()?;
        let settings = &stage.settings;
        let ours = [audience("included.custom.audience", AUDIENCE, true)];
        running.client("app-uncalled", &json!({}), &ours).await?;
        let asked = || running.tokens("app-uncalled", Subject::Client, "");
        let token = text(&asked().await?, "access_token")?;
        let wants = [VERIFIED, rejected("inactive"), rejected("inactive")];
        let mut checks = verdicts(stage, settings, "not named", &token, &[], wants).await?;
        let exempt = exempt(stage, &running)?;
        checks.extend(verdicts(stage, &exempt, "not named, exempt", &token, &[], [VERIFIED; 3]).await?);

        // An operator is told, once it is no matter of one token.
        let tokens = join_all((0..20).map(|_| asked())).await;
        let judge = stage.judge(Strategy::Hybrid, &[])?;
        for answer in tokens {
            judge.say(&text(&answer?, "access_token")?, Demand::Configured).await;
        }
        let note = HealthNote::AllInactive;
        let told = if noted(&judge.verifier.health(), note) { note.code() } else { "no such note" };
        checks.push(Check::same(Some(Strategy::Hybrid), "health after 20 of them", note.code(), told));
        Ok(checks)
    })
}

const KIND: Want = rejected("not_an_access_token");
const SECRET: Want = rejected("algorithm_not_allowed");

pub(super) fn refresh_tokens<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let running = Running::usual()?;
        let exempt = exempt(stage, &running)?;
        stage.issue(&order(CLIENT)).await?;
        let mut checks = Vec::new();
        for (what, scope) in [("refresh token", "openid"), ("offline token", "openid offline_access")] {
            let answer = running.tokens("app-rs256", Subject::User, scope).await?;
            let token = text(&answer, "refresh_token")?;
            // Active, with an audience of ours in the answer: `token_type` alone tells.
            checks.extend(verdicts(stage, &exempt, what, &token, &[], [SECRET, KIND, SECRET]).await?);
        }
        let id_token = text(&running.tokens("app-rs256", Subject::User, "openid").await?, "id_token")?;
        checks.extend(verdicts(stage, &exempt, "ID token", &id_token, &[], [KIND; 3]).await?);
        Ok(checks)
    })
}

const REFUSED: Want = unavailable("credentials_refused");

pub(super) fn client_secret_jwt<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(asserted(stage, "client_secret_jwt"))
}

pub(super) fn private_key_jwt<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(asserted(stage, "private_key_jwt"))
}

/// As a client that says who it is by an assertion of ours, whenever it asks.
async fn asserted(stage: &Stage<'_>, method: &'static str) -> Result<Vec<Check>, Trouble> {
    let running = Running::usual()?;
    let by_secret = method == "client_secret_jwt";
    let (caller, secret) = if by_secret {
        ("any-secret-jwt", running.secret("any")?)
    } else {
        ("any-private-key-jwt", String::new())
    };
    let settings = Settings { caller: Some((caller.to_owned(), secret)), ..stage.settings.clone() };
    // Changes live as long as the table, and paths are known only now: one text a run.
    let key = format!("{{ file = \"{}\" }}", running.secret_file("any.pem").display());
    let mut changes = vec![Change::set(
        "issuer.introspection",
        "client_auth",
        if by_secret { "\"client_secret_jwt\"" } else { "\"private_key_jwt\"" },
    )];
    if !by_secret {
        changes.push(Change::remove("issuer.introspection", "client_secret"));
        changes.push(Change::set("issuer.introspection", "client_key", Box::leak(key.into_boxed_str())));
        changes.push(Change::set("issuer.introspection", "client_key_id", "\"any\""));
        changes.push(Change::set("issuer.introspection", "client_assertion_algorithm", "\"RS256\""));
    }
    let mut checks = Vec::new();
    for strategy in [Strategy::Introspection, Strategy::Hybrid] {
        let judge = Judge::new(stage.product, &settings, strategy, &changes)?;
        // Each assertion is taken once: the second call needs one of its own.
        for what in ["first", "second"] {
            let issued = stage.issue(&order(CLIENT)).await?;
            checks.push(Check::verdict(
                strategy,
                what,
                VERIFIED,
                judge.say(&issued.token, Demand::Live).await,
            ));
        }
    }
    Ok(checks)
}

/// It gives us a token, and takes none at introspection.
pub(super) fn by_token<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let running = Running::usual()?;
        stage.issue(&order(CLIENT)).await?;
        let caller = ("app-rs256", running.secret("app")?);
        by_token_of_ours(stage, caller, REFUSED, "its introspection endpoint takes no bearer token").await
    })
}

/// Ways of saying who we are: caller, its secret, what is changed.
const METHODS: &[(&str, &str, &str, &[Change])] = &[
    ("client_secret_basic", "api", "api", &[]),
    (
        "client_secret_post",
        "api",
        "api",
        &[Change::set("issuer.introspection", "client_auth", "\"client_secret_post\"")],
    ),
    ("client_secret_basic, exempt", "any", "any", &[]),
];

pub(super) fn credentials<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let running = Running::usual()?;
        let issued = stage.issue(&order(CLIENT)).await?;
        let mut checks = Vec::new();
        let caller = |id: &str, secret: String| Settings {
            caller: Some((id.to_owned(), secret)),
            ..stage.settings.clone()
        };
        for strategy in [Strategy::Introspection, Strategy::Hybrid] {
            for &(what, id, secret, changes) in METHODS {
                let settings = caller(id, running.secret(secret)?);
                checks
                    .push(verdict(stage, &settings, strategy, what, &issued.token, changes, VERIFIED).await?);
            }
            let right = running.secret("api")?;
            for (what, settings) in [
                ("wrong secret", caller("api", "wrong".to_owned())),
                ("unknown client", caller("nobody", right.clone())),
                // 403 to a client without a secret.
                ("public client", caller("public", right)),
            ] {
                checks.push(verdict(stage, &settings, strategy, what, &issued.token, &[], REFUSED).await?);
            }
        }
        Ok(checks)
    })
}
