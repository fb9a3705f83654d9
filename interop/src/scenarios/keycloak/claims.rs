//! What tokens say, and what answers add or take away.

use http::Method;
use serde_json::json;
use verifier::Strategy;

use super::{CLAIMS_OF_ANSWER, Played, USER, order, said, text, verdict, verdicts, verified};
use crate::judge::Judge;
use crate::scenario::{Change, STRATEGIES, VERIFIED, rejected};
use crate::server::keycloak::running::audience;
use crate::server::keycloak::{LIGHTWEIGHT, Running};
use crate::server::{AUDIENCE, Subject, Trouble};
use crate::stage::{Check, Stage};

const ROLE: &str = "reader";

/// Whether the service sees the role.
async fn sees(judge: &Judge, token: &str, what: &str, role: &str, wanted: bool) -> Result<Check, Trouble> {
    let verified = verified(judge, token).await?;
    let seen: Vec<&str> = verified.roles().collect();
    let said = |seen: bool| if seen { format!("the role {role}") } else { format!("no role {role}") };
    Ok(Check::same(Some(judge.strategy), what, said(wanted), said(seen.contains(&role))))
}

pub(super) fn roles<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let issued = stage.issue(&order(USER)).await?;
        let of_client = [Change::set("issuer", "roles", "[\"/resource_access/shop/roles\"]")];
        let mut checks = Vec::new();
        for strategy in STRATEGIES {
            checks.push(sees(&stage.judge(strategy, &[])?, &issued.token, "of the realm", ROLE, true).await?);
            let judge = stage.judge(strategy, &of_client)?;
            checks.push(sees(&judge, &issued.token, "of a client", "clerk", true).await?);
            checks.push(sees(&judge, &issued.token, "of a client", ROLE, false).await?);
        }
        Ok(checks)
    })
}

pub(super) fn role_withdrawn<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let running = Running::usual()?;
        let admin = &running.admin;
        let issued = stage.issue(&order(USER)).await?;
        let mut judges = Vec::new();
        for strategy in STRATEGIES {
            // The token goes on saying it; an answer doesn't.
            let what = if strategy == Strategy::Introspection {
                "the answer's claims"
            } else {
                "the token's claims"
            };
            judges.push((stage.judge(strategy, &[])?, what, strategy != Strategy::Introspection));
        }
        judges.push((stage.judge(Strategy::Hybrid, &[CLAIMS_OF_ANSWER])?, "the answer's claims", false));

        let mut checks = Vec::new();
        for (judge, what, _) in &judges {
            checks.push(sees(judge, &issued.token, &format!("{what}, before"), ROLE, true).await?);
        }
        let path = format!("users/{}/role-mappings/realm", admin.user("ada").await?);
        let role = json!([admin.read(&format!("roles/{ROLE}")).await?]);
        admin.remove(&path, &role).await?;
        let mut after = Vec::new();
        for (judge, what, stays) in &judges {
            after.push(sees(judge, &issued.token, &format!("{what}, role withdrawn"), ROLE, *stays).await);
        }
        admin.call(Method::POST, &path, &role).await?;
        for check in after {
            checks.push(check?);
        }
        Ok(checks)
    })
}

const DEMANDS_SUB: Change = Change::set("issuer", "required_claims", "[\"sub\"]");

pub(super) fn lightweight<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let issued = stage.issue(&order(USER.flavoured(LIGHTWEIGHT))).await?;
        let claims = said(&issued.token)?;
        let slim = ["sub", "realm_access", "resource_access"].iter().all(|name| claims.get(name).is_none());
        let got = if slim { "no sub, no roles" } else { "some of them" };
        let mut checks = vec![Check::same(None, "the token", "no sub, no roles", got)];
        let wants = [rejected("missing_claim"), VERIFIED, rejected("missing_claim")];
        let settings = &stage.settings;
        checks.extend(verdicts(stage, settings, "sub demanded", &issued.token, &[DEMANDS_SUB], wants).await?);
        let judge = stage.judge(Strategy::Hybrid, &[DEMANDS_SUB, CLAIMS_OF_ANSWER])?;
        let seen = verified(&judge, &issued.token).await?;
        let what = "sub demanded of the answer";
        let got = if seen.subject().is_some() { "a subject" } else { "no subject" };
        checks.push(Check::same(Some(Strategy::Hybrid), what, "a subject", got));
        checks.push(sees(&judge, &issued.token, what, ROLE, true).await?);
        Ok(checks)
    })
}

pub(super) fn lightweight_audience<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let running = Running::usual()?;
        let token = slimmest(&running).await?;
        let settings = &stage.settings;
        let got = if said(&token)?.get("aud").is_none() { "no aud" } else { "an aud" };
        let mut checks = vec![Check::same(None, "the token", "no aud", got)];
        let wants = [rejected("wrong_audience"), VERIFIED, rejected("wrong_audience")];
        checks.extend(verdicts(stage, settings, "the token's claims", &token, &[], wants).await?);
        let changes = [CLAIMS_OF_ANSWER];
        let what = "the answer's claims";
        checks.push(verdict(stage, settings, Strategy::Hybrid, what, &token, &changes, VERIFIED).await?);
        Ok(checks)
    })
}

/// A user's token without sub, roles, audience: the answer has them.
async fn slimmest(running: &Running) -> Result<String, Trouble> {
    let attributes = json!({ "client.use.lightweight.access.token.enabled": "true" });
    let mappers = [
        audience("included.client.audience", "api", false),
        audience("included.custom.audience", AUDIENCE, false),
    ];
    running.client("app-slimmest", &attributes, &mappers).await?;
    text(&running.tokens("app-slimmest", Subject::User, "openid").await?, "access_token")
}
