//! What an administrator can end.

use http::Method;
use serde_json::{Value, json};

use super::{CLIENT, Played, USER, order, verdicts};
use crate::clock;
use crate::judge::Judge;
use crate::scenario::{Demand, STRATEGIES, VERIFIED, Want, rejected};
use crate::server::Trouble;
use crate::server::keycloak::Running;
use crate::server::keycloak::deeds::next_second;
use crate::stage::{Check, Stage};

const ENDED: [Want; 3] = [VERIFIED, rejected("inactive"), rejected("inactive")];

async fn judges(stage: &Stage<'_>, token: &str) -> Result<(Vec<Judge>, Vec<Check>), Trouble> {
    let judges = STRATEGIES.map(|strategy| stage.judge(strategy, &[]));
    let judges = judges.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut checks = Vec::new();
    for judge in &judges {
        let verdict = judge.say(token, Demand::Fresh).await;
        checks.push(Check::verdict(judge.strategy, "before", VERIFIED, verdict));
    }
    Ok((judges, checks))
}

/// What the same verifiers say once the freshness is over.
async fn after(judges: &[Judge], token: &str, what: &str, wants: [Want; 3]) -> Vec<Check> {
    clock::pause(crate::scenario::FRESHNESS).await;
    let mut checks = Vec::new();
    for (judge, want) in judges.iter().zip(wants) {
        checks.push(Check::verdict(judge.strategy, what, want, judge.say(token, Demand::Fresh).await));
    }
    checks
}

pub(super) fn not_before<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let running = Running::usual()?;
        let issued = stage.issue(&order(CLIENT)).await?;
        let (judges, mut checks) = judges(stage, &issued.token).await?;
        running.admin.put("", &json!({ "notBefore": next_second() })).await?;
        checks.extend(after(&judges, &issued.token, "not before now", ENDED).await);
        running.admin.put("", &json!({ "notBefore": 0 })).await?;
        let settings = &stage.settings;
        checks.extend(
            verdicts(stage, settings, "taken back, asked anew", &issued.token, &[], [VERIFIED; 3]).await?,
        );
        Ok(checks)
    })
}

pub(super) fn logged_out<'a>(stage: &'a Stage<'a>) -> Played<'a> {
    Box::pin(async move {
        let running = Running::usual()?;
        let issued = stage.issue(&order(USER)).await?;
        let (judges, mut checks) = judges(stage, &issued.token).await?;
        let path = format!("users/{}/logout", running.admin.user("ada").await?);
        running.admin.call(Method::POST, &path, &Value::Null).await?;
        checks.extend(after(&judges, &issued.token, "logged out", ENDED).await);
        Ok(checks)
    })
}
