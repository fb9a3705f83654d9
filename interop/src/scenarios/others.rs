//! What needs more than one server, more than one address, or a demand of its own.

use futures_util::future::BoxFuture;
use verifier::{Freshness, Strategy};
use verifier_testkit::{Algorithm, AuthorizationServer, TokenRequest};

use crate::judge::verdict_of;
use crate::scenario::{
    Act, Change, Course, Demand, Expected, STRATEGIES, Scenario, Sorts, Step, VERIFIED, Verdict, Want,
    rejected, unavailable,
};
use crate::server::{
    AUDIENCE, Audience, Deed, Format, Kind, Lifetime, Need, Order, Scopes, Sort, Trouble, cant_do, failed,
};
use crate::stage::{Check, Stage};

const FINE: Expected = Expected::of(VERIFIED, VERIFIED, VERIFIED);

/// The rows.
pub(crate) const ALL: &[Scenario] = &[
    Scenario::new(
        "foreign/another-issuer",
        "a good token of another issuer",
        Sorts::EachFormat,
        Course::Own(another_issuer),
    ),
    Scenario::new(
        "foreign/forged",
        "a token that names this issuer, signed with somebody else's key",
        Sorts::Jwt,
        Course::Own(forged),
    ),
    Scenario::new(
        "freshness/not-promised",
        "a freshness demanded of jwks, which can't promise any",
        Sorts::Jwt,
        Course::Own(not_promised),
    ),
    Scenario::new(
        "freshness/one-call",
        "100 requests with one new token at the same moment make one call",
        Sorts::EachFormat,
        Course::Own(one_call),
    ),
    Scenario::new(
        "algorithm/not-listed",
        "signed with an algorithm that the configuration doesn't list",
        Sorts::Each,
        Course::Own(not_listed),
    )
    .alone(),
    Scenario::new(
        "foreign/key-ids",
        "20 tokens with made-up key ids cost the server two fetches at most",
        Sorts::Jwt,
        Course::Own(key_ids),
    ),
    Scenario {
        needs: &[Need::AnotherAddress],
        ..Scenario::new(
            "address/fresh",
            "the issuer's name isn't its address: reached through `connect`",
            Sorts::EachUsual,
            Course::Steps(&[Step::new("first", Act::Nothing, FINE)]),
        )
    },
    Scenario {
        needs: &[Need::AnotherAddress],
        demand: Demand::Fresh,
        ..Scenario::new(
            "address/revoked",
            "the issuer's name isn't its address: a revocation shows as soon",
            Sorts::EachFormat,
            Course::Steps(&[
                Step::new("before", Act::Nothing, FINE),
                Step::new(
                    "after",
                    Act::Server(Deed::Revoke),
                    Expected::of(VERIFIED, rejected("inactive"), rejected("inactive")),
                )
                .after_freshness(),
            ]),
        )
    },
    Scenario {
        needs: &[Need::AnotherAddress],
        ..Scenario::new(
            "address/without-connect",
            "the issuer's name isn't its address, and the configuration doesn't say so: nobody is found",
            Sorts::Jwt,
            Course::Own(without_connect),
        )
    },
];

/// By a token that we get at the server's token endpoint as this client, with its secret: that it is got, and what the
/// introspection endpoint makes of it.
///
/// # Errors
/// The server's.
pub(crate) async fn by_token_of_ours(
    stage: &Stage<'_>,
    (client, secret): (&str, String),
    want: Want,
    because: &'static str,
) -> Result<Vec<Check>, Trouble> {
    const SECTION: &str = "issuer.introspection";
    let file = tempfile::NamedTempFile::new().map_err(failed)?;
    std::fs::write(file.path(), secret).map_err(failed)?;
    // Changes live as long as the table: one text a run.
    let kept = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let changes = [
        Change::set(SECTION, "client_auth", "\"client_credentials\""),
        Change::set(SECTION, "client_id", kept(format!("{client:?}"))),
        Change::set(
            SECTION,
            "client_secret",
            kept(format!("{{ file = {:?} }}", file.path().display().to_string())),
        ),
    ];
    let opaque = usual(stage, Format::Opaque).or_else(|| usual(stage, Format::Jwt));
    let order = opaque.ok_or_else(|| failed("no tokens"))?;
    let issued = stage.issue(&order).await?;
    let mut checks = Vec::new();
    for strategy in [Strategy::Introspection, Strategy::Hybrid] {
        let judge = stage.judge_of(strategy, &order.sort, &changes)?;
        let _ = judge.verifier.ready(std::time::Duration::from_secs(5)).await;
        let (fetches, calls) = (judge.fetches(), judge.introspections());
        let verdict = judge.say(&issued.token, Demand::Configured).await;
        checks.push(Check { because: Some(because), ..Check::verdict(strategy, "verdict", want, verdict) });
        // Both endpoints were found and asked: a token was got, and shown.
        let (fetches, calls) = (judge.fetches() - fetches, judge.introspections() - calls);
        checks.push(Check::holds(
            Some(strategy),
            "calls",
            "the token endpoint, then introspection",
            fetches > 0 && calls > 0,
            format!("{fetches} elsewhere, {calls} to introspection"),
        ));
    }
    Ok(checks)
}

/// The usual access token of the first sort of this format.
pub(crate) fn usual(stage: &Stage<'_>, format: Format) -> Option<Order> {
    let sort = *stage.product.sorts().iter().find(|sort| sort.format == format)?;
    Some(Order {
        kind: Kind::Access,
        sort,
        audience: Audience::Ours,
        lifetime: Lifetime::Usual,
        scopes: Scopes::Held,
    })
}

fn another_issuer<'a>(stage: &'a Stage<'a>) -> BoxFuture<'a, Result<Vec<Check>, Trouble>> {
    Box::pin(async move {
        let other = another_server()?;
        let token = other.issue(TokenRequest::new().audience(AUDIENCE)).token;
        // Claims aren't read before a signature is checked, so it is the key that isn't known.
        let wants = [rejected("unknown_key"), rejected("inactive"), rejected("unknown_key")];
        judged(stage, "foreign/another-issuer", &any_sort(stage)?, &token, wants).await
    })
}

fn forged<'a>(stage: &'a Stage<'a>) -> BoxFuture<'a, Result<Vec<Check>, Trouble>> {
    Box::pin(async move {
        let other = another_server()?;
        let request = TokenRequest::new().audience(AUDIENCE).claim("iss", stage.settings.issuer.clone());
        let token = other.issue(request).token;
        let wants = [rejected("unknown_key"), rejected("inactive"), rejected("unknown_key")];
        judged(stage, "foreign/forged", &any_sort(stage)?, &token, wants).await
    })
}

/// A JWT's sort, for JWTs that are nobody's here.
fn any_sort(stage: &Stage<'_>) -> Result<Sort, Trouble> {
    let jwt = usual(stage, Format::Jwt).or_else(|| usual(stage, Format::Opaque));
    jwt.map(|order| order.sort).ok_or_else(|| failed("no tokens"))
}

/// A server of another name, with keys of the algorithm that the examples allow.
fn another_server() -> Result<AuthorizationServer, Trouble> {
    let server = AuthorizationServer::start().map_err(failed)?;
    let kid = server.add_key(Algorithm::RS256);
    if server.promote(&kid) { Ok(server) } else { Err(failed("the other server keeps its old key")) }
}

async fn judged(
    stage: &Stage<'_>,
    scenario: &str,
    sort: &Sort,
    token: &str,
    wants: [Want; 3],
) -> Result<Vec<Check>, Trouble> {
    let mut checks = Vec::new();
    for (strategy, want) in STRATEGIES.into_iter().zip(wants) {
        let judge = stage.judge(strategy, &[])?;
        let verdict = judge.say(token, Demand::Configured).await;
        // What this server makes of it may be particular, here as in the steps of other scenarios.
        let own = stage.product.overrides().iter().find(|own| own.fits(scenario, "", strategy, sort));
        let want = own.map_or(want, |own| own.want);
        checks.push(Check {
            because: own.map(|own| own.because),
            ..Check::verdict(strategy, "", want, verdict)
        });
    }
    Ok(checks)
}

fn not_promised<'a>(stage: &'a Stage<'a>) -> BoxFuture<'a, Result<Vec<Check>, Trouble>> {
    Box::pin(async move {
        let order = usual(stage, Format::Jwt).ok_or_else(|| failed("no JWT"))?;
        let issued = stage.issue(&order).await?;
        let judge = stage.judge_of(Strategy::Jwks, &order.sort, &[])?;
        let demanded = judge.verifier.request(&issued.token).freshness(Freshness::LIVE).verify().await;
        let verdict = demanded.map_or_else(verdict_of, |_| Verdict::Verified);
        Ok(vec![Check::verdict(Strategy::Jwks, "asked live", unavailable("no_revocation_source"), verdict)])
    })
}

fn one_call<'a>(stage: &'a Stage<'a>) -> BoxFuture<'a, Result<Vec<Check>, Trouble>> {
    Box::pin(async move {
        let mut checks = Vec::new();
        for format in [Format::Jwt, Format::Opaque] {
            let Some(order) = usual(stage, format) else { continue };
            if format == Format::Jwt && stage.product.lacks(Need::JwtIntrospection).is_some() {
                continue;
            }
            for strategy in [Strategy::Introspection, Strategy::Hybrid] {
                let issued = stage.issue(&order).await?;
                let judge = stage.judge_of(strategy, &order.sort, &[])?;
                let _ = judge.verifier.ready(std::time::Duration::from_secs(5)).await;
                let all = (0..100).map(|_| judge.say(&issued.token, Demand::Configured));
                let verdicts = futures_util::future::join_all(all).await;
                let good = verdicts.iter().filter(|verdict| **verdict == Verdict::Verified).count();
                let got = match verdicts.iter().find(|verdict| **verdict != Verdict::Verified) {
                    None => format!("{good} verified"),
                    Some(other) => format!("{good} verified, others {other} and the like"),
                };
                checks.push(Check::same(
                    Some(strategy),
                    format!("{}, verdicts", order.sort),
                    "100 verified",
                    got,
                ));
                let calls = judge.introspections().to_string();
                checks.push(Check::same(Some(strategy), format!("{}, calls", order.sort), "1", calls));
            }
        }
        if checks.is_empty() { Err(failed("it introspects no token that it issues")) } else { Ok(checks) }
    })
}

fn not_listed<'a>(stage: &'a Stage<'a>) -> BoxFuture<'a, Result<Vec<Check>, Trouble>> {
    Box::pin(async move {
        let mut checks = Vec::new();
        for sort in stage.product.sorts() {
            let usual = usual(stage, Format::Jwt).ok_or_else(|| failed("no JWT"))?;
            let odd = sort.format != Format::Jwt || sort.subject != usual.sort.subject;
            if odd || stage.lists(Strategy::Jwks, sort.algorithm) {
                continue;
            }
            let order = Order { sort: *sort, ..usual };
            let issued = stage.issue(&order).await?;
            let wants = [rejected("algorithm_not_allowed"), VERIFIED, rejected("algorithm_not_allowed")];
            for mut check in judged(stage, "algorithm/not-listed", sort, &issued.token, wants).await? {
                check.what = sort.to_string();
                checks.push(check);
            }
        }
        if checks.is_empty() {
            cant_do("it signs with no other algorithm than the example lists")
        } else {
            Ok(checks)
        }
    })
}

fn key_ids<'a>(stage: &'a Stage<'a>) -> BoxFuture<'a, Result<Vec<Check>, Trouble>> {
    Box::pin(async move {
        let order = usual(stage, Format::Jwt).ok_or_else(|| failed("no JWT"))?;
        let issued = stage.issue(&order).await?;
        let mut checks = Vec::new();
        for strategy in [Strategy::Jwks, Strategy::Hybrid] {
            let judge = stage.judge_of(strategy, &order.sort, &[])?;
            judge
                .verifier
                .ready(std::time::Duration::from_secs(5))
                .await
                .map_err(|error| failed(error.code()))?;
            let (fetches, calls) = (judge.fetches(), judge.introspections());
            for number in 0..20 {
                let token = crate::twist::with_kid(&issued.token, &format!("made-up-{number}"));
                let verdict = judge.say(&token.ok_or_else(|| failed("no JWT"))?, Demand::Configured).await;
                checks.push(Check::verdict(strategy, "verdict", rejected("unknown_key"), verdict));
            }
            checks.retain(|check| !check.passed || check.what != "verdict");
            let (fetches, calls) = (judge.fetches() - fetches, judge.introspections() - calls);
            checks.push(Check::holds(
                Some(strategy),
                "",
                "unknown_key, two fetches at most, no introspection",
                fetches <= 2 && calls == 0,
                format!("{fetches} fetches, {calls} introspections"),
            ));
        }
        Ok(checks)
    })
}

fn without_connect<'a>(stage: &'a Stage<'a>) -> BoxFuture<'a, Result<Vec<Check>, Trouble>> {
    Box::pin(async move {
        let order = usual(stage, Format::Jwt).ok_or_else(|| failed("no JWT"))?;
        let issued = stage.issue(&order).await?;
        let settings = crate::server::Settings { address: None, ..stage.settings.clone() };
        let judge = crate::judge::Judge::new(stage.product, &settings, Strategy::Jwks, &[])?;
        let verdict = judge.say(&issued.token, Demand::Configured).await;
        Ok(vec![Check::verdict(Strategy::Jwks, "", unavailable("keys_not_loaded"), verdict)])
    })
}
