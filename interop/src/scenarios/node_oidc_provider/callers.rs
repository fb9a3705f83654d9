//! How the resource server shows who it is, and what it is told for that.

use std::time::Duration;

use verifier::Strategy;

use super::{ASKING, CALLER, address, http, judge_as, judge_with, kept, said, token_of};
use crate::clock;
use crate::judge::Judge;
use crate::scenario::{Change, Demand, VERIFIED, Verdict, Want, rejected, unavailable};
use crate::scenarios::others::by_token_of_ours;
use crate::server::Trouble;
use crate::server::http::Http;
use crate::server::node_oidc_provider::{operate, run_file, secret};
use crate::stage::{Check, Stage};

/// Pauses after a refusal of our credentials end sooner.
const RECOVERY: Duration = Duration::from_secs(20);

const SECTION: &str = "issuer.introspection";

async fn each(
    stage: &Stage<'_>,
    client: &str,
    changes: &[Change],
    want: Want,
) -> Result<Vec<Check>, Trouble> {
    let token = token_of(stage, "app-opaque", None).await?;
    let mut checks = Vec::new();
    for strategy in ASKING {
        let judge = judge_as(stage, strategy, client, changes)?;
        checks.push(said(&judge, client, &token, want).await);
    }
    Ok(checks)
}

pub(super) async fn post(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    each(stage, "api-post", &[Change::set(SECTION, "client_auth", "\"client_secret_post\"")], VERIFIED).await
}

pub(super) async fn secret_jwt(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let changes = [Change::set(SECTION, "client_auth", "\"client_secret_jwt\"")];
    let mut checks = each(stage, "api-secret-jwt", &changes, VERIFIED).await?;
    checks.extend(twice(stage, "api-secret-jwt", &changes).await?);
    Ok(checks)
}

pub(super) async fn key_jwt(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let mut checks = Vec::new();
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let client = format!("api-key-jwt-{algorithm}");
        let changes = key_changes(&client, algorithm);
        let token = token_of(stage, "app-opaque", None).await?;
        for strategy in ASKING {
            let judge = judge_with(stage, strategy, &client, String::new(), &changes)?;
            checks.push(said(&judge, &client, &token, VERIFIED).await);
        }
        let judge = judge_with(stage, Strategy::Introspection, &client, String::new(), &changes)?;
        checks.extend(live(stage, &judge, &client).await?);
    }
    Ok(checks)
}

fn key_changes(client: &str, algorithm: &str) -> [Change; 5] {
    let file = run_file("secrets").join(format!("{client}.pem"));
    [
        Change::remove(SECTION, "client_secret"),
        Change::set(SECTION, "client_auth", "\"private_key_jwt\""),
        Change::set(SECTION, "client_key", kept(format!("{{ file = {:?} }}", file.display().to_string()))),
        Change::set(SECTION, "client_key_id", kept(format!("{:?}", format!("{client}-1")))),
        Change::set(SECTION, "client_assertion_algorithm", kept(format!("{algorithm:?}"))),
    ]
}

/// Each assertion is accepted once: two calls need two.
async fn twice(stage: &Stage<'_>, client: &str, changes: &[Change]) -> Result<Vec<Check>, Trouble> {
    let judge = judge_as(stage, Strategy::Introspection, client, changes)?;
    live(stage, &judge, client).await
}

async fn live(stage: &Stage<'_>, judge: &Judge, client: &str) -> Result<Vec<Check>, Trouble> {
    let token = token_of(stage, "app-opaque", None).await?;
    let mut checks = Vec::new();
    for time in ["first", "second"] {
        let verdict = judge.say(&token, Demand::Live).await;
        checks.push(Check::verdict(judge.strategy, format!("{client}, {time} call"), VERIFIED, verdict));
    }
    Ok(checks)
}

pub(super) async fn public(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let token = token_of(stage, "app-opaque", None).await?;
    let changes = [Change::remove(SECTION, "client_secret"), Change::set(SECTION, "client_auth", "\"none\"")];
    let mut checks = Vec::new();
    for strategy in ASKING {
        let judge = judge_with(stage, strategy, "api-public", String::new(), &changes)?;
        checks.push(said(&judge, "api-public", &token, VERIFIED).await);
    }
    Ok(checks)
}

/// It gives us a token, and takes none at introspection: there it knows clients by their credentials alone (400, as for
/// any request without).
pub(super) async fn by_token(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let caller = ("app-opaque", secret("app-opaque")?);
    by_token_of_ours(stage, caller, unavailable("refused_by_server"), NO_BEARER).await
}

const NO_BEARER: &str = "its introspection endpoint takes no bearer token";

pub(super) async fn wrong_secret(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let token = token_of(stage, "app-opaque", None).await?;
    let mut checks = Vec::new();
    for strategy in ASKING {
        let judge = judge_with(stage, strategy, CALLER, "wrong".to_owned(), &[])?;
        checks.push(said(&judge, "an opaque token", &token, unavailable("credentials_refused")).await);
    }
    Ok(checks)
}

/// 400 `invalid_request` is what it answers to odd tokens, too: whose fault it is can't be told, only that it isn't
/// known whether the token is active.
pub(super) async fn badly_encoded(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let changes = [Change::set(SECTION, "client_auth", "\"client_secret_basic_raw\"")];
    each(stage, CALLER, &changes, unavailable("refused_by_server")).await
}

pub(super) async fn told_nothing(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    each(stage, "user-opaque", &[], rejected("inactive")).await
}

pub(super) async fn disabled(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    let http = http()?;
    let disabled = disabled_checks(stage, http).await;
    operate(http, address(stage), "client/enable?id=api-post").await?;
    let (judges, token, mut checks) = disabled?;
    for judge in &judges {
        // After a refusal it isn't tried again at once.
        let begun = clock::instant();
        let mut verdict = judge.say(&token, Demand::Live).await;
        while verdict != Verdict::Verified && clock::instant().since(begun) < RECOVERY {
            clock::pause(Duration::from_millis(50)).await;
            verdict = judge.say(&token, Demand::Live).await;
        }
        let took = clock::instant().since(begun);
        checks.push(Check::verdict(judge.strategy, "enabled again", VERIFIED, verdict).took(took));
    }
    Ok(checks)
}

async fn disabled_checks(
    stage: &Stage<'_>,
    http: &Http,
) -> Result<(Vec<Judge>, String, Vec<Check>), Trouble> {
    let token = token_of(stage, "app-opaque", None).await?;
    let mut judges = Vec::new();
    let mut checks = Vec::new();
    for strategy in ASKING {
        let judge = judge_as(stage, strategy, "api-post", &[])?;
        checks.push(said(&judge, "before", &token, VERIFIED).await);
        judges.push(judge);
    }
    operate(http, address(stage), "client/disable?id=api-post").await?;
    for judge in &judges {
        let verdict = judge.say(&token, Demand::Live).await;
        checks.push(Check::verdict(judge.strategy, "disabled", unavailable("credentials_refused"), verdict));
    }
    Ok((judges, token, checks))
}

pub(super) async fn signed_unasked(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    each(stage, "api-signed", &[], VERIFIED).await
}

pub(super) async fn signed(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    const ROWS: [(&str, &str); 3] = [
        ("api-signed", "true"),
        ("api-signed-ES256", "{ algorithm = \"ES256\" }"),
        ("api-signed-EdDSA", "{ algorithm = \"EdDSA\" }"),
    ];
    let inactive = "not-a-token-of-this-server";
    let mut checks = Vec::new();
    for (client, value) in ROWS {
        let changes = [Change::set(SECTION, "signed_answers", value)];
        checks.extend(each(stage, client, &changes, VERIFIED).await?);
        for strategy in ASKING {
            let judge = judge_as(stage, strategy, client, &changes)?;
            checks.push(
                said(&judge, &format!("{client}, an inactive token"), inactive, rejected("inactive")).await,
            );
        }
    }
    // Who registered nothing is signed for by RS256 (RFC 9701 §6).
    let unregistered = [Change::set(SECTION, "signed_answers", "true")];
    checks.extend(each(stage, CALLER, &unregistered, VERIFIED).await?);
    // By another algorithm than the configured one: somebody's mistake, or worse.
    let other = [Change::set(SECTION, "signed_answers", "{ algorithm = \"ES256\" }")];
    checks.extend(each(stage, "api-signed", &other, unavailable("answer_not_trusted")).await?);
    Ok(checks)
}

pub(super) async fn encrypted(stage: &Stage<'_>) -> Result<Vec<Check>, Trouble> {
    each(stage, "api-encrypted", &[], unavailable("refused_by_server")).await
}
