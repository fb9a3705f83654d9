//! Many issuers behind one handle: a token goes to the issuer that it names, byte for byte, and to no other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::sync::Arc;
use std::time::Duration;

use stage::{STRATEGIES, Stage, code, rejected, section, section_and};
use verifier::{Judged, Rejection, ValidationPolicy, VerifiedToken, Verifier};
use verifier_testkit::doubles::{CountingBackend, FixedVerifier};
use verifier_testkit::{Algorithm, AuthorizationServer, DEFAULT_AUDIENCE, Gate, TokenRequest};

/// Three servers, one a strategy; opaque tokens go to the second.
struct World {
    stage: Stage,
    servers: Vec<AuthorizationServer>,
}

impl World {
    fn new() -> Self {
        let stage = Stage::new();
        let servers = STRATEGIES.iter().map(|_| stage.server()).collect();
        Self { stage, servers }
    }

    fn toml(&self, lines: [&str; 3]) -> String {
        let sections = STRATEGIES.iter().zip(&self.servers).zip(lines);
        sections
            .map(|((strategy, server), lines)| {
                section_and(server.issuer(), strategy, &self.stage.secret(), lines)
            })
            .collect()
    }

    fn verifier(&self) -> Verifier {
        self.stage.build(&self.toml(["", "opaque = 'introspect'", ""]))
    }

    fn calls(&self) -> u64 {
        self.servers.iter().map(|server| server.counts().total()).sum()
    }
}

#[tokio::test]
async fn each_issuer_has_its_own_strategy() {
    let world = World::new();
    let verifier = world.verifier();
    for (strategy, server) in STRATEGIES.iter().zip(&world.servers) {
        let token = verifier.verify(&server.issue(TokenRequest::new()).token).await.unwrap();
        assert_eq!((token.issuer(), token.evidence().strategy.name()), (server.issuer(), *strategy));
    }
    let health = verifier.health();
    let parts: Vec<_> =
        health.parts.iter().map(|part| (part.issuer.as_deref().unwrap(), part.strategy.name())).collect();
    let expected: Vec<_> = world.servers.iter().map(AuthorizationServer::issuer).zip(STRATEGIES).collect();
    assert_eq!(parts, expected);
    assert_eq!(health.issuer, None);
}

#[tokio::test]
async fn issuers_are_compared_byte_for_byte_and_a_stranger_costs_no_call() {
    let world = World::new();
    let verifier = world.verifier();
    for server in &world.servers {
        let issuer = server.issuer();
        for name in [
            format!("{issuer}/"),
            issuer.trim_end_matches("main").to_owned(),
            issuer.to_uppercase(),
            issuer.replace("127.0.0.1", "localhost"),
            issuer.replace("/realms", "/%72ealms"),
            format!("{issuer} "),
            format!("{issuer}\0"),
            "https://stranger.example".to_owned(),
            String::new(),
        ] {
            let token =
                server.forge(TokenRequest::new()).claim("iss", name.clone()).sign(&server.signing_key());
            let refusal = rejected(verifier.verify(&token).await);
            assert_eq!(refusal, Rejection::UnknownIssuer, "{name:?}");
        }
        let odd = server.forge(TokenRequest::new());
        for raw in ["1", "null", "[\"x\"]", "{}"] {
            let token = odd.clone().claim_as("iss", raw).sign(&server.signing_key());
            assert!(verifier.verify(&token).await.is_err(), "{raw}");
        }
        // Twice: the strict reader takes neither of them.
        let twice =
            odd.clone().claim_member("iss", "\"https://stranger.example\"").sign(&server.signing_key());
        assert!(verifier.verify(&twice).await.is_err());
    }
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn opaque_tokens_go_to_the_issuer_that_is_marked_for_them() {
    let world = World::new();
    let verifier = world.verifier();
    let token = world.servers[1].issue(TokenRequest::new().opaque()).token;
    let accepted = verifier.verify(&token).await.unwrap();
    assert_eq!(accepted.issuer(), world.servers[1].issuer());
    // Another issuer's opaque token is asked of the marked one alone, who doesn't know it.
    let foreign = world.servers[2].issue(TokenRequest::new().opaque()).token;
    assert_eq!(rejected(verifier.verify(&foreign).await), Rejection::Inactive);
    assert_eq!((world.servers[0].counts().total(), world.servers[2].counts().total()), (0, 0));

    // The hybrid one may be marked too.
    let verifier = world.stage.build(&world.toml(["", "", "opaque = 'introspect'"]));
    assert_eq!(verifier.verify(&foreign).await.unwrap().issuer(), world.servers[2].issuer());
}

#[tokio::test]
async fn without_a_mark_opaque_tokens_are_refused_with_no_call() {
    let world = World::new();
    for lines in [["", "", ""], ["opaque = 'refuse'", "opaque = 'refuse'", "opaque = 'refuse'"]] {
        let verifier = world.stage.build(&world.toml(lines));
        let token = world.servers[1].issue(TokenRequest::new().opaque()).token;
        assert_eq!(rejected(verifier.verify(&token).await), Rejection::NotAJwt);
    }
    // One issuer alone, introspection: taken unless refused.
    let server = &world.servers[1];
    let token = server.issue(TokenRequest::new().opaque()).token;
    let alone = |lines: &str| {
        world.stage.build(&section_and(server.issuer(), "introspection", &world.stage.secret(), lines))
    };
    assert_eq!(rejected(alone("opaque = 'refuse'").verify(&token).await), Rejection::NotAJwt);
    assert_eq!(world.calls(), 0);
    assert_eq!(code(&alone("").verify(&token).await), "verified");
    assert_eq!(code(&alone("opaque = 'introspect'").verify(&token).await), "verified");
}

#[tokio::test]
async fn a_token_that_names_nobody_goes_to_the_marked_issuer_or_nowhere() {
    let world = World::new();
    let nameless: Vec<String> = world
        .servers
        .iter()
        .map(|server| server.forge(TokenRequest::new()).without_claim("iss").sign(&server.signing_key()))
        .collect();
    let verifier = world.verifier();
    for token in &nameless {
        assert_eq!(rejected(verifier.verify(token).await), Rejection::UnknownIssuer);
    }
    assert_eq!(world.calls(), 0);

    let verifier = world.stage.build(&world.toml(["danger_accept_missing_issuer = true", "", ""]));
    assert_eq!(verifier.verify(&nameless[0]).await.unwrap().issuer(), world.servers[0].issuer());
    // Signed by another: his key isn't looked for.
    assert!(matches!(rejected(verifier.verify(&nameless[2]).await), Rejection::UnknownKey));
    assert_eq!((world.servers[1].counts().total(), world.servers[2].counts().total()), (0, 0));
}

#[tokio::test]
async fn the_same_kid_at_two_issuers_is_two_keys() {
    let stage = Stage::new();
    let (a, b) = (stage.server(), stage.server());
    for server in [&a, &b] {
        server.add_key_with_kid(Algorithm::ES256, "shared");
        assert!(server.promote("shared"));
    }
    let verifier = stage.build(&format!(
        "{}{}",
        section(a.issuer(), "jwks", &stage.secret()),
        section(b.issuer(), "jwks", &stage.secret())
    ));
    for server in [&a, &b, &a, &b] {
        let issued = server.issue(TokenRequest::new());
        assert_eq!(issued.kid.as_deref(), Some("shared"));
        assert_eq!(verifier.verify(&issued.token).await.unwrap().issuer(), server.issuer());
    }
    for (own, other) in [(&a, &b), (&b, &a)] {
        let token = own.forge(TokenRequest::new()).claim("iss", other.issuer()).sign(&own.signing_key());
        assert_eq!(rejected(verifier.verify(&token).await), Rejection::BadSignature);
    }
}

/// What the backend of somebody else said of a token.
fn judged(token: &VerifiedToken) -> Judged {
    Judged::new(Arc::clone(token.facts()), *token.evidence())
}

#[tokio::test]
async fn a_custom_verdict_about_another_issuer_is_refused_alone_or_among_others() {
    let stage = Stage::new();
    let (own, other) = (stage.server(), stage.server());
    let verdict = |server: &AuthorizationServer| {
        let token = server.issue(TokenRequest::new()).token;
        let verifier = stage.verifier(server, "jwks");
        async move { judged(&verifier.verify(&token).await.unwrap()) }
    };
    let (right, wrong) = (verdict(&own).await, verdict(&other).await);
    let gate = Gate::new();
    gate.open();

    for pending in [false, true] {
        let fixed = |judged: &Judged| {
            let fixed = FixedVerifier::new(Ok(judged.clone()));
            Arc::new(if pending { fixed.behind(&gate) } else { fixed })
        };
        let (right, wrong) = (fixed(&right), fixed(&wrong));
        let token = own.issue(TokenRequest::new()).token;
        let section = format!("[[issuer]]\nissuer = {:?}\nstrategy = 'custom:mine'\n", own.issuer());
        let second = stage.section(&other, "jwks");
        for toml in [section.clone(), format!("{section}{second}")] {
            let with =
                |mine: Arc<FixedVerifier>| stage.build_with(&toml, &stage.backends().verifier("mine", mine));
            assert_eq!(code(&with(right.clone()).verify(&token).await), "verified");
            let verifier = with(wrong.clone());
            for _ in 0..3 {
                assert_eq!(rejected(verifier.verify(&token).await), Rejection::WrongIssuer);
            }
        }
        let verifier =
            Verifier::builder_in(stage.runtime.env()).issuer(own.issuer(), wrong.clone()).build().unwrap();
        assert_eq!(rejected(verifier.verify(&token).await), Rejection::WrongIssuer);
        // It is asked about no token that names another.
        let asked = wrong.calls();
        let foreign = other.issue(TokenRequest::new()).token;
        assert_eq!(rejected(verifier.verify(&foreign).await), Rejection::UnknownIssuer);
        assert_eq!(wrong.calls(), asked);
    }
}

#[tokio::test]
async fn one_issuers_outage_is_not_anothers() {
    let world = World::new();
    let verifier = world.stage.build_with(&world.toml(["", "", ""]), &world.stage.real_timers());
    for down in 0..3 {
        world.servers[down].refuse_connections();
        for (n, server) in world.servers.iter().enumerate() {
            let outcome = verifier.verify(&server.issue(TokenRequest::new()).token).await;
            let expected = if n == down { 503 } else { 200 };
            assert_eq!(
                outcome.as_ref().map_or_else(|error| error.status(), |_| 200),
                expected,
                "{outcome:?}"
            );
        }
        assert_eq!(verifier.ready(Duration::from_secs(5)).await, Ok(()), "others can be served");
        world.servers[down].accept_connections().unwrap();
        // Past every backoff, breaker and key age: as before.
        world.stage.clock.advance(Duration::from_secs(3 * 3_600));
        for server in &world.servers {
            let outcome = verifier.verify(&server.issue(TokenRequest::new()).token).await;
            assert_eq!(code(&outcome), "verified", "after the outage of {down}");
        }
    }
}

#[tokio::test]
async fn the_index_changes_no_verdict() {
    let world = World::new();
    let verifier = world.verifier();
    let mut tokens = Vec::new();
    for n in 0..20 {
        for server in &world.servers {
            tokens.push((
                server.issue(TokenRequest::new().subject(format!("user-{n}"))).token,
                server.issuer(),
            ));
        }
    }
    tokens.push((world.servers[1].issue(TokenRequest::new().opaque()).token, world.servers[1].issuer()));
    for _ in 0..3 {
        for (token, issuer) in &tokens {
            assert_eq!(verifier.verify(token).await.unwrap().issuer(), *issuer);
        }
    }
    // Tokens that differ in one byte from a known one aren't taken for it.
    for (token, _) in &tokens {
        let last = if token.ends_with('A') { 'B' } else { 'A' };
        let mut bent = token.clone();
        bent.pop();
        bent.push(last);
        assert!(verifier.verify(&bent).await.is_err());
    }
    // What is known to be routed is judged anew.
    world.stage.clock.advance(Duration::from_secs(1_000));
    for (token, _) in &tokens {
        let refusal = rejected(verifier.verify(token).await);
        assert!(matches!(refusal, Rejection::Expired | Rejection::Inactive), "{refusal:?}");
    }
}

#[tokio::test]
async fn another_policy_shares_keys_and_caches_and_judges_again() {
    for strategy in ["jwks", "hybrid"] {
        let stage = Stage::new();
        let server = stage.server();
        let signatures = CountingBackend::new();
        let verifier = stage.build_with(
            &stage.section(&server, strategy),
            &stage.backends().signatures(Arc::new(signatures.clone())),
        );
        let token = server.issue(TokenRequest::new().scope("orders:read")).token;
        assert_eq!(code(&verifier.verify(&token).await), "verified");
        assert_eq!(signatures.checks(), 1, "{strategy}: a cold token costs one check");
        let calls = server.counts().total();

        let policy = |scope: &str| {
            ValidationPolicy::for_audience(DEFAULT_AUDIENCE).require_scope(scope).build().unwrap()
        };
        let elsewhere =
            verifier.with_policy(ValidationPolicy::for_audience("https://other.example").build().unwrap());
        assert_eq!(rejected(elsewhere.verify(&token).await), Rejection::WrongAudience);
        assert_eq!(
            rejected(verifier.with_policy(policy("orders:write")).verify(&token).await),
            Rejection::InsufficientScope
        );
        assert_eq!(code(&verifier.with_policy(policy("orders:read")).verify(&token).await), "verified");
        let write = policy("orders:write");
        assert_eq!(
            rejected(verifier.request(&token).policy(&write).verify().await),
            Rejection::InsufficientScope
        );
        assert_eq!(code(&verifier.verify(&token).await), "verified");
        assert_eq!((signatures.checks(), server.counts().total()), (1, calls), "{strategy}");
    }
}

#[tokio::test]
async fn tenants_share_keys_and_are_told_apart() {
    let stage = Stage::new();
    let server = stage.server();
    let template = server.issuer().replace("/main", "/{tenantid}");
    let toml = section_and(&template, "jwks", &stage.secret(), "tenants = ['main', 'second']");
    let verifier = stage.build(&format!("{toml}\n[issuer.keys]\nurl = {:?}\n", server.jwks_uri()));
    let token = |tenant: &str| {
        let issuer = template.replace("{tenantid}", tenant);
        server.forge(TokenRequest::new()).claim("iss", issuer).sign(&server.signing_key())
    };
    for tenant in ["main", "second"] {
        let accepted = verifier.verify(&token(tenant)).await.unwrap();
        assert_eq!(accepted.issuer(), template.replace("{tenantid}", tenant));
    }
    for tenant in ["third", "{tenantid}", ""] {
        let refusal = rejected(verifier.verify(&token(tenant)).await);
        assert!(
            matches!(refusal, Rejection::UnknownIssuer | Rejection::WrongIssuer),
            "{tenant}: {refusal:?}"
        );
    }
    assert_eq!(server.counts().jwks, 1);
}
