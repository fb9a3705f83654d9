//! What node-oidc-provider alone can play.

mod callers;
mod refusals;
mod restarts;
mod tokens;

use std::sync::OnceLock;

use verifier::Strategy;

use crate::judge::Judge;
use crate::scenario::{Change, Course, Demand, Play, Scenario, Sorts, Want};
use crate::server::http::Http;
use crate::server::node_oidc_provider::{client_token, secret};
use crate::server::{AUDIENCE, Settings, Sort, Subject, Trouble, failed};
use crate::stage::{Check, Stage};

/// The resource server that introspects, unless said otherwise.
pub(crate) const CALLER: &str = "api";

const fn row(id: &'static str, title: &'static str, play: Play) -> Scenario {
    Scenario::new(id, title, Sorts::EachFormat, Course::Own(play))
}

/// The rows.
pub(crate) const ALL: &[Scenario] = &[
    row(
        "refused/thousand",
        "1,000 JWTs that it refuses to introspect (400), and as many forged: no outage, and a good token passes",
        |stage| Box::pin(refusals::thousand(stage)),
    ),
    row("refused/asked-once", "a JWT that was refused is not asked about again at once", |stage| {
        Box::pin(refusals::asked_once(stage))
    }),
    row(
        "refused/exempt",
        "hybrid that asks about long-lived JWTs only: short-lived ones pass, opaque ones are asked about",
        |stage| Box::pin(refusals::exempt(stage)),
    ),
    row("caller/client_secret_post", "our secret in the body", |stage| Box::pin(callers::post(stage))),
    row("caller/client_secret_jwt", "our secret signs an assertion (HS256)", |stage| {
        Box::pin(callers::secret_jwt(stage))
    }),
    row("caller/private_key_jwt", "our key signs an assertion: RS256, PS256, ES256, EdDSA", |stage| {
        Box::pin(callers::key_jwt(stage))
    }),
    row("caller/none", "a public client, which only says its id", |stage| Box::pin(callers::public(stage))),
    row("caller/client_credentials", "a token of the server's own, got by client credentials", |stage| {
        Box::pin(callers::by_token(stage))
    }),
    row("caller/wrong-secret", "a wrong secret", |stage| Box::pin(callers::wrong_secret(stage))),
    row("caller/badly-encoded", "a secret that isn't form-encoded though it has to be", |stage| {
        Box::pin(callers::badly_encoded(stage))
    }),
    row("caller/told-nothing", "a caller that the server's policy tells nothing", |stage| {
        Box::pin(callers::told_nothing(stage))
    }),
    row("caller/disabled", "our client is disabled, and enabled again", |stage| {
        Box::pin(callers::disabled(stage))
    })
    .alone(),
    row(
        "signed/unasked",
        "registered for signed answers, but plain ones are asked for: the server gives them",
        |stage| Box::pin(callers::signed_unasked(stage)),
    ),
    row("signed/asked", "signed answers (RFC 9701): RS256, ES256, EdDSA", |stage| {
        Box::pin(callers::signed(stage))
    }),
    row(
        "signed/encrypted",
        "registered for encrypted answers, which we don't read: the server gives no plain ones",
        |stage| Box::pin(callers::encrypted(stage)),
    ),
    row("token/hs256", "a JWT signed with a shared secret", |stage| Box::pin(tokens::hs256(stage))),
    row("token/encrypted", "an encrypted JWT", |stage| Box::pin(tokens::encrypted(stage))),
    row("token/algorithm-not-listed", "an algorithm that the configuration doesn't list", |stage| {
        Box::pin(tokens::not_listed(stage))
    }),
    row("token/dotted", "three parts that are no JWT: opaque to the server and to us", |stage| {
        Box::pin(tokens::dotted(stage))
    }),
    row("token/id-token", "an ID token, where the configuration accepts its audience, too", |stage| {
        Box::pin(tokens::id_token(stage))
    }),
    row("token/claims", "what a service sees of alice's tokens", |stage| Box::pin(tokens::claims(stage))),
    row("token/end", "at the second of its end, and not before, it is refused", |stage| {
        Box::pin(tokens::end(stage))
    }),
    row("token/long-lived", "a JWT that lives longer than max_lifetime", |stage| {
        Box::pin(tokens::long_lived(stage))
    }),
    row("keys/odd-ones", "keys without alg, keys without use, encryption keys in the set", |stage| {
        Box::pin(tokens::keys(stage))
    }),
    row("issuer/spelling", "the issuer configured with a slash at the end", |stage| {
        Box::pin(tokens::spelling(stage))
    }),
    row(
        "issuer/metadata",
        "the issuer configured by another name of its host, metadata by discovery",
        |stage| Box::pin(tokens::metadata(stage)),
    ),
    row("restart/new-keys", "started again on the same port with other keys and an empty store", |stage| {
        Box::pin(restarts::new_keys(stage))
    })
    .alone(),
    row("outage/500-for-one-token", "a token that makes the server answer 500, amid good ones", |stage| {
        Box::pin(restarts::stumbles(stage))
    })
    .alone(),
];

/// The strategies that introspect.
const ASKING: [Strategy; 2] = [Strategy::Introspection, Strategy::Hybrid];

const OPAQUE: Sort = Sort::opaque(Subject::Client);

const JWT: Sort = Sort::jwt(Subject::Client, "RS256");

/// A verifier whose caller is another client of the server.
fn judge_as(
    stage: &Stage<'_>,
    strategy: Strategy,
    client: &str,
    changes: &[Change],
) -> Result<Judge, Trouble> {
    judge_with(stage, strategy, client, secret(client)?, changes)
}

fn judge_with(
    stage: &Stage<'_>,
    strategy: Strategy,
    client: &str,
    secret: String,
    changes: &[Change],
) -> Result<Judge, Trouble> {
    let settings = Settings { caller: Some((client.to_owned(), secret)), ..stage.settings.clone() };
    Judge::new(stage.product, &settings, strategy, changes)
}

/// A client's token for us, by the client's id.
async fn token_of(stage: &Stage<'_>, client: &str, lifetime: Option<&str>) -> Result<String, Trouble> {
    let headers: Vec<(&str, &str)> =
        lifetime.map(|seconds| ("interop-lifetime", seconds)).into_iter().collect();
    let form = [("resource", AUDIENCE), ("scope", "read")];
    client_token(http()?, address(stage), client, &headers, &form).await?.text("access_token")
}

/// For all plays: to make one takes as long as many requests do.
fn http() -> Result<&'static Http, Trouble> {
    static HTTP: OnceLock<Http> = OnceLock::new();
    if HTTP.get().is_none() {
        let _ = HTTP.set(Http::new()?);
    }
    HTTP.get().ok_or_else(|| failed("no client for HTTP"))
}

/// Where it listens.
fn address<'a>(stage: &'a Stage<'_>) -> &'a str {
    stage.settings.address.as_deref().unwrap_or(&stage.settings.issuer)
}

async fn said(judge: &Judge, what: &str, token: &str, want: Want) -> Check {
    Check::verdict(judge.strategy, what, want, judge.say(token, Demand::Configured).await)
}

/// A value for a configuration that isn't known before the server runs. It lives as long as the driver.
fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}
