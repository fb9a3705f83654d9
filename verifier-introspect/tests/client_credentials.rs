//! A bearer token by the client-credentials grant (RFC 6749 §4.4): got once, renewed ahead, replaced when refused; and
//! whatever goes wrong with it says nothing of the token that is introspected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;

use serde_json::json;
use support::{ASKED, Desk, Held, policy, secs, transport, unavailable};
use verifier_core::discovery::Discovery;
use verifier_core::endpoint::{Endpoint as Address, Schemes};
use verifier_core::error::UnavailableReason as U;
use verifier_core::health::HealthNote;
use verifier_core::policy::IssuerRules;
use verifier_core::profile::TokenProfile;
use verifier_core::secret::Secret;
use verifier_core::time::Clock;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::transport::Limits;
use verifier_core::upstream::BreakerHealth;
use verifier_core::verifier::{TokenVerifier, VerifyRequest};
use verifier_introspect::client_auth::DEFAULT_TOKEN_LIFETIME;
use verifier_introspect::{
    BuildError, ClientAuth, ClientCredentials, EndpointSource, IntrospectionConfig, IntrospectionVerifier,
    Introspector,
};
use verifier_testkit::{
    Algorithm, Answer, AuthorizationServer, Client, Endpoint, Fault, Gate, IntrospectionAuth, SigningKey,
};

const SECRET: &str = "the client's secret, long enough for an HMAC";
const LIFETIME: u64 = 100;

fn fixed(server: &AuthorizationServer) -> EndpointSource {
    EndpointSource::Fixed(Address::parse(&server.token_endpoint(), Schemes::Secure).unwrap())
}

fn granted(server: &AuthorizationServer, auth: ClientAuth) -> ClientAuth {
    ClientAuth::ClientCredentials(Box::new(ClientCredentials::new(fixed(server), auth)))
}

fn by_secret() -> ClientAuth {
    ClientAuth::basic("me", Secret::new(SECRET))
}

fn desk() -> Desk {
    desk_with(by_secret())
}

fn desk_with(auth: ClientAuth) -> Desk {
    Desk::known_by(
        |server| {
            server
                .client(Client::new("me", SECRET))
                .introspection_auth(IntrospectionAuth::Granted)
                .granted_lifetime(secs(LIFETIME))
        },
        |server| granted(server, auth),
        |config| config.upstream.retries = 0,
        |_| Arc::new(transport()),
    )
}

fn grants(desk: &Desk) -> u64 {
    desk.server.counts().token
}

/// Waits until the token endpoint has been asked so often.
async fn asked(desk: &Desk, times: u64) {
    while grants(desk) < times {
        tokio::task::yield_now().await;
    }
}

/// The token that was shown last.
fn shown(desk: &Desk) -> String {
    desk.server.last_introspection().unwrap().headers["authorization"].to_str().unwrap().to_owned()
}

/// Asks until another token is shown than this one.
async fn renewed(desk: &Desk, old: &str) {
    for _ in 0..2_000 {
        if shown(desk) != old {
            return;
        }
        assert_eq!(fresh(desk).await, "verified");
    }
    panic!("it is never renewed");
}

async fn fresh(desk: &Desk) -> &'static str {
    desk.code(&desk.issue().token).await
}

#[tokio::test]
async fn one_token_serves_all_questions() {
    let desk = desk();
    let tokens: Vec<_> = (0..20).map(|_| desk.issue()).collect();
    let codes = futures::future::join_all(tokens.iter().map(|issued| desk.code(&issued.token))).await;
    assert!(codes.iter().all(|code| *code == "verified"), "{codes:?}");
    assert_eq!((grants(&desk), desk.calls()), (1, 20), "no stampede at the token endpoint");
    let request = desk.server.requests(Endpoint::Token).remove(0);
    assert_eq!(request.form("grant_type").as_deref(), Some("client_credentials"));
    assert!(request.form("scope").is_none() && request.headers.contains_key("authorization"));
    let question = desk.server.last_introspection().unwrap();
    assert!(question.form("client_id").is_none() && question.form("client_secret").is_none());
}

#[tokio::test]
async fn it_is_renewed_ahead_of_its_end_and_never_used_after_it() {
    let desk = desk();
    assert_eq!(fresh(&desk).await, "verified");
    desk.clock.advance(secs(79));
    assert_eq!(fresh(&desk).await, "verified");
    assert_eq!(grants(&desk), 1, "not yet");
    desk.clock.advance(secs(1));
    let first = shown(&desk);
    assert_eq!(fresh(&desk).await, "verified");
    assert_eq!(shown(&desk), first, "nobody waits for the next one");
    renewed(&desk, &first).await;
    assert_eq!(grants(&desk), 2);
    // The token endpoint is away when the next renewal is due: what is held serves to its end.
    desk.clock.advance(secs(80));
    desk.server.faults().on(Endpoint::Token, Fault::Status(503, String::new()));
    assert_eq!(fresh(&desk).await, "verified");
    asked(&desk, 3).await;
    assert_eq!(fresh(&desk).await, "verified");
    assert_eq!(grants(&desk), 3, "not tried again at once");
    desk.clock.advance(secs(19));
    assert_eq!(fresh(&desk).await, "verified");
    desk.clock.advance(secs(1));
    assert_eq!(fresh(&desk).await, "server_error");
    desk.server.faults().clear_all();
    assert_eq!(fresh(&desk).await, "verified");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_not_each_time() {
    let desk = desk();
    assert_eq!(fresh(&desk).await, "verified");
    // Ended at the server, with all others of the client: by a restart, for instance.
    desk.server.disable_client("me");
    desk.server.enable_client("me");
    desk.clock.advance(secs(30));
    desk.server.faults().next(ASKED, 1, Fault::Status(401, String::new()));
    assert_eq!(fresh(&desk).await, "verified");
    assert_eq!((grants(&desk), desk.calls()), (2, 3), "one retry, with another token");
    // Refused whatever is shown: a token that has just come isn't replaced again and again.
    desk.server.faults().on(ASKED, Fault::Status(401, String::new()));
    for _ in 0..5 {
        assert_eq!(fresh(&desk).await, "credentials_refused");
    }
    assert_eq!(grants(&desk), 2);
    desk.clock.advance(secs(10));
    for _ in 0..5 {
        assert_eq!(fresh(&desk).await, "credentials_refused");
    }
    assert_eq!(grants(&desk), 3);
    assert!(desk.verifier.health(desk.clock.now()).notes.contains(&HealthNote::CredentialsRefused));
    desk.server.faults().clear_all();
    assert_eq!(fresh(&desk).await, "verified");
}

#[tokio::test]
async fn a_token_that_says_no_lifetime_is_short_lived() {
    let desk = desk();
    let give = |n: u32, rest: serde_json::Value| {
        let mut answer = json!({ "access_token": format!("t{n}"), "token_type": "bearer" });
        if let (Some(answer), Some(rest)) = (answer.as_object_mut(), rest.as_object()) {
            answer.extend(rest.clone());
        }
        desk.server.override_answer(Endpoint::Token, Answer::json(&answer));
    };
    // The server knows none of these tokens: what matters is which one it is shown.
    give(1, json!({}));
    fresh(&desk).await;
    assert_eq!(shown(&desk), "Bearer t1");
    desk.clock.advance(DEFAULT_TOKEN_LIFETIME / 2);
    give(2, json!({ "expires_in": 0 }));
    fresh(&desk).await;
    assert_eq!((shown(&desk).as_str(), grants(&desk)), ("Bearer t2", 2), "after a refusal");
    // One that lives for no time is used for the question that it was got for, and for none after it.
    fresh(&desk).await;
    assert_eq!(grants(&desk), 3);
    give(3, json!({}));
    fresh(&desk).await;
    assert_eq!((shown(&desk).as_str(), grants(&desk)), ("Bearer t3", 4));
    desk.server.override_introspection(&json!({ "active": false }));
    desk.clock.advance(DEFAULT_TOKEN_LIFETIME - secs(1));
    fresh(&desk).await;
    assert_eq!(shown(&desk), "Bearer t3");
    asked(&desk, 5).await;
}

#[tokio::test]
async fn what_goes_wrong_with_the_grant_is_ours_and_not_kept() {
    let error = |error: &str, status| {
        Answer::new(status, json!({ "error": error }).to_string()).header("content-type", "application/json")
    };
    for (answer, reason, counts) in [
        (error("invalid_client", 401), U::CredentialsRefused, false),
        (error("invalid_client", 400), U::CredentialsRefused, false),
        (error("unauthorized_client", 400), U::CredentialsRefused, false),
        (error("invalid_scope", 400), U::Misconfigured, false),
        (Answer::new(403, "<html>"), U::CredentialsRefused, false),
        (Answer::new(302, "").header("location", "/login"), U::Redirected, false),
        (Answer::new(404, ""), U::Misconfigured, false),
        (Answer::json(&json!({ "access_token": "t", "token_type": "DPoP" })), U::Misconfigured, false),
        (Answer::json(&json!([true])), U::UnreadableAnswer, true),
        (Answer::new(200, "<html>").header("content-type", "text/html"), U::UnreadableAnswer, true),
        (Answer::new(503, ""), U::ServerError, true),
        (Answer::new(429, ""), U::RateLimited, true),
    ] {
        let desk = desk();
        desk.server.override_answer(Endpoint::Token, answer.clone());
        let issued = desk.issue();
        let failed = desk.verify(&issued.token).await.err();
        assert_eq!(failed, Some(unavailable(reason)), "{answer:?}");
        assert_eq!(desk.calls(), 0, "nothing is asked without a token");
        let health = desk.verifier.health(desk.clock.now()).upstream.unwrap();
        assert_eq!(health.consecutive_failures, u32::from(counts), "{answer:?}");
        assert_eq!(health.breaker, BreakerHealth::Closed);
        desk.server.clear_override(Endpoint::Token);
        desk.clock.advance(secs(61)); // whatever pause the server earned
        assert_eq!(desk.code(&issued.token).await, "verified", "{answer:?}");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_away_is_no_verdict() {
    let desk = desk();
    let issued = desk.issue();
    desk.server.faults().next(Endpoint::Token, 1, Fault::Close);
    let code = desk.code(&issued.token).await;
    assert!(matches!(code, "connect_failed" | "unreadable_answer"), "{code}");
    desk.server.refuse_connections();
    assert_eq!(desk.code(&issued.token).await, "connect_failed");
    desk.server.accept_connections().unwrap();
    assert_eq!(desk.code(&issued.token).await, "verified");
}

#[tokio::test]
async fn every_method_is_understood_at_the_token_endpoint() {
    let key = SigningKey::generate(Algorithm::PS256);
    let pem = || Secret::new(key.private_pem().unwrap());
    let secret = || Secret::new(SECRET);
    for (auth, demanded) in [
        (ClientAuth::basic("me", secret()), IntrospectionAuth::Basic),
        (ClientAuth::post("me", secret()), IntrospectionAuth::Post),
        (ClientAuth::secret_jwt("me", secret()), IntrospectionAuth::SecretJwt),
        (ClientAuth::private_key_jwt("me", pem()), IntrospectionAuth::PrivateKeyJwt),
        (ClientAuth::tls("me"), IntrospectionAuth::Tls),
    ] {
        let shown = format!("{demanded:?}");
        let client = Client::new("me", SECRET).key(key.clone());
        let desk = Desk::known_by(
            |server| {
                let server = server.client(client).token_auth(demanded);
                server.introspection_auth(IntrospectionAuth::Granted)
            },
            |server| granted(server, auth),
            |_| {},
            |_| Arc::new(transport()),
        );
        assert_eq!(fresh(&desk).await, "verified", "{shown}");
        assert_eq!(fresh(&desk).await, "verified", "{shown}");
        assert_eq!(grants(&desk), 1, "{shown}");
    }
}

#[tokio::test]
async fn scope_and_parameters_are_asked_for_and_answers_kept_under_them() {
    let with = |desk: &Desk, grant: ClientCredentials| {
        Introspector::builder(
            IssuerRules::new(desk.server.issuer(), TokenProfile::generic()).unwrap(),
            EndpointSource::Fixed(
                Address::parse(&desk.server.introspection_endpoint(), Schemes::Secure).unwrap(),
            ),
            IntrospectionConfig::new(ClientAuth::ClientCredentials(Box::new(grant))),
            Arc::new(transport()),
            desk.env.clone(),
        )
        .answers(Arc::clone(desk.introspector.answers()))
        .build()
    };
    let desk = desk();
    let grant = || ClientCredentials::new(fixed(&desk.server), by_secret());
    let issued = desk.issue();
    desk.verify(&issued.token).await.unwrap();
    let held = |introspector: Introspector| {
        let verifier = IntrospectionVerifier::new(introspector, policy());
        let token = AccessToken::new(&issued.token, DEFAULT_MAX_TOKEN_LEN).unwrap();
        verifier.verify(&VerifyRequest::new(&token, desk.clock.now())).is_ready()
    };
    assert!(held(with(&desk, grant()).unwrap()));
    let other =
        ClientCredentials::new(fixed(&desk.server), ClientAuth::basic("app", Secret::new("app-secret")));
    for different in [
        grant().with_scope("introspection"),
        grant().with_parameter("resource", "https://idp.example/introspect"),
        other,
    ] {
        assert!(!held(with(&desk, different).unwrap()));
    }
    let asking = with(&desk, grant().with_scope("a b").with_parameter("resource", "urn:r")).unwrap();
    let verifier = IntrospectionVerifier::new(asking, policy());
    let token = AccessToken::new(&issued.token, DEFAULT_MAX_TOKEN_LEN).unwrap();
    verifier.verify(&VerifyRequest::new(&token, desk.clock.now())).await.unwrap();
    let request = desk.server.requests(Endpoint::Token).pop().unwrap();
    assert_eq!(request.form("scope").as_deref(), Some("a b"));
    assert_eq!(request.form("resource").as_deref(), Some("urn:r"));

    for name in ["grant_type", "client_id", "scope", ""] {
        let refused = with(&desk, grant().with_parameter(name, "x")).unwrap_err();
        assert_eq!(refused, BuildError::ReservedGrantParameter { name: name.into() });
    }
    let nested = ClientAuth::ClientCredentials(Box::new(grant()));
    for auth in [nested, ClientAuth::None, ClientAuth::bearer(Secret::new("t"))] {
        let refused = with(&desk, ClientCredentials::new(fixed(&desk.server), auth)).unwrap_err();
        assert!(refused.to_string().starts_with("client_credentials.client_auth: "), "{refused}");
    }
}

#[tokio::test]
async fn a_discovered_token_endpoint_is_on_the_issuer_s_site() {
    let desk = desk();
    let discovering = || {
        let limits = Limits { connect: secs(20), total: secs(30), body: 65_536 };
        let discovery =
            Discovery::new(desk.server.issuer(), Schemes::Secure, Arc::new(transport()), limits).unwrap();
        let source =
            EndpointSource::Discovered { discovery, schemes: Schemes::Secure, allow_foreign_site: false };
        let auth =
            ClientAuth::ClientCredentials(Box::new(ClientCredentials::new(source.clone(), by_secret())));
        let rules = IssuerRules::new(desk.server.issuer(), TokenProfile::generic()).unwrap();
        let builder = Introspector::builder(
            rules,
            source,
            IntrospectionConfig::new(auth),
            Arc::new(transport()),
            desk.env.clone(),
        );
        IntrospectionVerifier::new(builder.build().unwrap(), policy())
    };
    let code = async |verifier: IntrospectionVerifier| {
        let issued = desk.issue();
        let token = AccessToken::new(&issued.token, DEFAULT_MAX_TOKEN_LEN).unwrap();
        let outcome = verifier.verify(&VerifyRequest::new(&token, desk.clock.now())).await;
        outcome.map_or_else(|error| error.code(), |_| "verified")
    };
    assert_eq!(code(discovering()).await, "verified");
    let mut metadata = desk.server.metadata();
    metadata["token_endpoint"] = json!(desk.server.token_endpoint().replace("127.0.0.1", "localhost"));
    desk.server.override_metadata(&metadata);
    let before = grants(&desk);
    assert_eq!(code(discovering()).await, "misconfigured");
    assert_eq!(grants(&desk), before, "no secret goes there");
    metadata["token_endpoint"] = json!(null);
    desk.server.override_metadata(&metadata);
    assert_eq!(code(discovering()).await, "misconfigured");
}

#[tokio::test]
async fn waiting_for_a_token_makes_no_answer_look_older() {
    let desk = desk();
    let gate = Held(Gate::new());
    desk.server.faults().next(Endpoint::Token, 1, Fault::Delay(gate.0.clone()));
    let issued = desk.issue();
    let waiting = desk.verify(&issued.token);
    let later = async {
        asked(&desk, 1).await;
        desk.clock.advance(secs(7));
        gate.0.open();
    };
    let (verdict, ()) = futures::future::join(waiting, later).await;
    // Dated by when the question left, not by when it was clear that there would be one.
    assert_eq!(verdict.unwrap().evidence().revocation.as_of(), Some(desk.clock.now()));
}

fn upstream(desk: &Desk) -> verifier_core::upstream::UpstreamHealth {
    desk.verifier.health(desk.clock.now()).upstream.unwrap()
}

/// Anybody can send a token that some firewall answers with a 403.
#[tokio::test]
async fn what_serves_is_not_thrown_away_for_want_of_another() {
    let desk = desk();
    assert_eq!(fresh(&desk).await, "verified");
    desk.clock.advance(secs(30));
    desk.server.faults().on(Endpoint::Token, Fault::Status(500, String::new()));
    for n in 0..20 {
        desk.server.faults().next(ASKED, 1, Fault::Status(403, String::new()));
        let code = desk.code(&format!("odd-{n}")).await;
        assert!(["server_error", "credentials_refused"].contains(&code), "{code}");
    }
    assert_eq!(grants(&desk), 2, "another is tried for, and not each time");
    assert_eq!(upstream(&desk).breaker, BreakerHealth::Closed);
    assert_eq!(fresh(&desk).await, "verified", "by the token that is there");
    // If it was the token after all, another comes as soon as it can be had.
    desk.server.disable_client("me");
    desk.server.enable_client("me");
    desk.server.faults().clear_all();
    desk.clock.advance(secs(5));
    desk.server.faults().next(ASKED, 1, Fault::Status(401, String::new()));
    assert_eq!(fresh(&desk).await, "verified");
    assert_eq!(grants(&desk), 3);
}

#[tokio::test]
async fn a_failure_that_many_wait_for_counts_once() {
    let desk = desk();
    let gate = Held(Gate::new());
    let failing =
        Fault::Then(Box::new(Fault::Delay(gate.0.clone())), Box::new(Fault::Status(500, String::new())));
    desk.server.faults().next(Endpoint::Token, 1, failing);
    let tokens: Vec<_> = (0..20).map(|_| desk.issue()).collect();
    let waiting = futures::future::join_all(tokens.iter().map(|issued| desk.code(&issued.token)));
    let later = async {
        asked(&desk, 1).await;
        while upstream(&desk).in_flight < 20 {
            tokio::task::yield_now().await;
        }
        gate.0.open();
    };
    let (codes, ()) = futures::future::join(waiting, later).await;
    assert!(codes.iter().all(|code| *code == "server_error"), "{codes:?}");
    assert_eq!((grants(&desk), upstream(&desk).consecutive_failures), (1, 1));
    assert_eq!(fresh(&desk).await, "verified", "the door is open");
}

/// Refusals, renewals and questions at once: nobody hangs, and the token endpoint sees a handful of calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_refusals_is_no_stampede() {
    let desk = desk();
    assert_eq!(fresh(&desk).await, "verified");
    desk.clock.advance(secs(85)); // due for renewal, too
    desk.server.faults().on(ASKED, Fault::every_other(Fault::Status(401, String::new())));
    for round in 1..=5 {
        let tokens: Vec<_> = (0..60).map(|_| desk.issue()).collect();
        let codes = futures::future::join_all(tokens.iter().map(|issued| desk.code(&issued.token))).await;
        assert!(
            codes.iter().all(|code| ["verified", "credentials_refused"].contains(code)),
            "{round}: {codes:?}"
        );
        assert!(grants(&desk) <= 1 + round, "{round}: {}", grants(&desk));
        desk.clock.advance(secs(10));
    }
    desk.server.faults().clear_all();
    assert_eq!(fresh(&desk).await, "verified");
    assert_eq!(upstream(&desk).breaker, BreakerHealth::Closed);
    assert_eq!(desk.introspector.in_flight(), 0);
}

/// A renewal ahead of time has nobody who waits for it and would be told.
#[tokio::test]
async fn a_client_that_gets_no_more_tokens_shows_while_the_last_one_serves() {
    let desk = desk();
    let notes = || desk.verifier.health(desk.clock.now()).notes;
    assert_eq!(fresh(&desk).await, "verified");
    desk.clock.advance(secs(80));
    desk.server.faults().next(Endpoint::Token, 1, Fault::Status(401, String::new()));
    assert_eq!(fresh(&desk).await, "verified");
    asked(&desk, 2).await;
    for _ in 0..2_000 {
        if !notes().is_empty() {
            break;
        }
        assert_eq!(fresh(&desk).await, "verified");
    }
    assert_eq!(notes(), [HealthNote::CredentialsRefused]);
    assert_eq!(fresh(&desk).await, "verified", "that the old one is taken says nothing of the next");
    assert_eq!(notes(), [HealthNote::CredentialsRefused]);
    let old = shown(&desk);
    desk.clock.advance(secs(5));
    assert_eq!(fresh(&desk).await, "verified");
    renewed(&desk, &old).await;
    assert_eq!(notes(), []);
}
