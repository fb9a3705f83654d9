//! What only Keycloak can play: what its tokens say and its answers add, whom it tells, its keys by priority, its
//! administrator's buttons.

mod asking;
mod claims;
mod endings;
mod keys;
mod refusals;

use futures_util::future::BoxFuture;
use serde_json::Value;
use verifier::{Strategy, VerifiedToken};

use crate::judge::Judge;
use crate::scenario::{
    Act, Change, Course, Demand, Expected, Override, Play, STRATEGIES, Scenario, Sorts, Step, VERIFIED, Want,
    rejected, unavailable,
};
use crate::server::{Audience, Kind, Lifetime, Order, Scopes, Settings, Sort, Subject, Trouble, failed};
use crate::stage::{Check, Stage};

type Played<'a> = BoxFuture<'a, Result<Vec<Check>, Trouble>>;

const fn row(id: &'static str, title: &'static str, play: Play) -> Scenario {
    Scenario::new(id, title, Sorts::Jwt, Course::Own(play))
}

const UNSIGNED: Expected =
    Expected::of(VERIFIED, unavailable("answer_not_signed"), unavailable("answer_not_signed"));

/// The rows.
pub(crate) const SCENARIOS: &[Scenario] = &[
    row("keycloak/roles", "roles of the realm, and of a client", claims::roles),
    row("keycloak/role-withdrawn", "an administrator takes a role away", claims::role_withdrawn).alone(),
    row("keycloak/lightweight", "a lightweight token, where sub is demanded", claims::lightweight),
    row("keycloak/lightweight-audience", "a lightweight token without aud", claims::lightweight_audience),
    row("keycloak/caller-not-named", "the caller's client id isn't in aud", asking::caller_not_named),
    row(
        "keycloak/refresh-token",
        "refresh and offline tokens that Keycloak calls active",
        asking::refresh_tokens,
    ),
    row("keycloak/credentials", "credentials of ours, right and wrong", asking::credentials),
    row(
        "keycloak/client_secret_jwt",
        "our credentials as an assertion by our secret",
        asking::client_secret_jwt,
    ),
    row("keycloak/private_key_jwt", "our credentials as an assertion by our key", asking::private_key_jwt),
    row(
        "keycloak/client_credentials",
        "a token of Keycloak's own, got by client credentials",
        asking::by_token,
    ),
    Scenario {
        changes: &[Change::set("issuer.introspection", "signed_answers", "true")],
        ..Scenario::new(
            "keycloak/signed-answers",
            "signed answers (RFC 9701) demanded of Keycloak, which gives plain ones",
            Sorts::Jwt,
            Course::Steps(&[Step::new("first", Act::Nothing, UNSIGNED)]),
        )
    },
    row("keycloak/not-before", "not-before of the realm, and back", endings::not_before).alone(),
    row("keycloak/logged-out", "the user's sessions are ended by an administrator", endings::logged_out)
        .alone(),
    row("keycloak/keys", "key providers by priority: added, passive, disabled", keys::priorities).alone(),
    row("keycloak/encryption-key", "an encryption key in the set", keys::encryption_key).alone(),
    row("keycloak/at-jwt", "only at+jwt is let in", keys::at_jwt),
    row("keycloak/unlisted", "an algorithm of the realm that the example doesn't list", keys::unlisted),
    row("keycloak/shared-secret", "a client whose tokens are signed by HS256", keys::shared_secret),
    row("keycloak/another-realm", "a token of another realm of the same server", keys::another_realm),
    row("keycloak/host", "the token was fetched under another host name", keys::host),
    row("keycloak/name", "the metadata name another issuer", keys::name),
    row(
        "keycloak/refused",
        "1,000 tokens that Keycloak answers with 400, then a good one",
        refusals::refused,
    ),
    row("keycloak/too-large", "a token that Keycloak answers with 413, then a good one", refusals::too_large),
];

const fn own(
    scenario: &'static str,
    strategy: Option<Strategy>,
    want: &'static str,
    because: &'static str,
) -> Override {
    Override { scenario, step: None, strategy, sorts: |_| true, want: rejected(want), because }
}

/// Where its verdicts are others.
pub(crate) const OVERRIDES: &[Override] = &[
    own(
        "audience/none",
        Some(Strategy::Introspection),
        "inactive",
        "the caller isn't in aud, so Keycloak says inactive before anybody compares audiences",
    ),
    own(
        "kind/refresh-token",
        Some(Strategy::Introspection),
        "inactive",
        "a refresh token's aud is the realm, so it isn't told to us; keycloak/refresh-token asks as a client to whom it is",
    ),
    own("kind/refresh-token", None, "algorithm_not_allowed", "it is a JWT with the realm's HS512 secret"),
    Override {
        want: unavailable("misconfigured"),
        ..own(
            "misconfigured/issuer",
            Some(Strategy::Introspection),
            "",
            "the example finds the endpoint through the metadata, which name another issuer",
        )
    },
    own(
        "kind/code",
        Some(Strategy::Hybrid),
        "not_a_jwt",
        "the example for hybrid refuses opaque tokens, and nobody is asked",
    ),
];

const CLIENT: Sort = Sort::jwt(Subject::Client, "RS256");
const USER: Sort = Sort::jwt(Subject::User, "RS256");

const CLAIMS_OF_ANSWER: Change = Change::set("issuer.revocation", "claims", "\"introspection\"");

/// An ordinary access token of a sort.
const fn order(sort: Sort) -> Order {
    Order {
        kind: Kind::Access,
        sort,
        audience: Audience::Ours,
        lifetime: Lifetime::Usual,
        scopes: Scopes::Absent,
    }
}

/// What verifiers that have asked nobody yet say of a token, in the order of [`STRATEGIES`].
async fn verdicts(
    stage: &Stage<'_>,
    settings: &Settings,
    what: &str,
    token: &str,
    changes: &[Change],
    wants: [Want; 3],
) -> Result<Vec<Check>, Trouble> {
    let mut checks = Vec::new();
    for (strategy, want) in STRATEGIES.into_iter().zip(wants) {
        if !matches!(want, Want::NotAsked(_)) {
            checks.push(verdict(stage, settings, strategy, what, token, changes, want).await?);
        }
    }
    Ok(checks)
}

/// The same by one strategy.
async fn verdict(
    stage: &Stage<'_>,
    settings: &Settings,
    strategy: Strategy,
    what: &str,
    token: &str,
    changes: &[Change],
    want: Want,
) -> Result<Check, Trouble> {
    let judge = Judge::new(stage.product, settings, strategy, changes)?;
    let verdict = judge.say(token, Demand::Live).await;
    Ok(Check::verdict(strategy, what, want, verdict))
}

/// The token, verified.
async fn verified(judge: &Judge, token: &str) -> Result<VerifiedToken, Trouble> {
    let verified = judge.verify(token, Demand::Live).await;
    verified.map_err(|error| failed(format_args!("{}: not verified: {}", judge.strategy, error.code())))
}

/// The claims of a token, as it says them.
fn said(token: &str) -> Result<Value, Trouble> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let claims = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    claims.ok_or_else(|| failed("an access token that is no JWT"))
}

/// A text member of an answer.
fn text(answer: &Value, member: &str) -> Result<String, Trouble> {
    let text = answer.get(member).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| failed(format_args!("no {member} in the answer")))
}
