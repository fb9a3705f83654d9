//! Behaviours: their names, and what the network sees of those that no other test shows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod client;

use std::collections::BTreeSet;

use client::{Reply, get, post, resource_server};
use serde_json::{Value, json};
use verifier_testkit::clients::{DEFAULT_CLIENT, DEFAULT_CLIENT_SECRET};
use verifier_testkit::{
    Algorithm, AuthorizationServer, Behaviour, CallerRefusal, Profile, RefreshTold, TokenRequest,
};

async fn introspect(server: &AuthorizationServer, token: &str) -> Reply {
    let form = format!("token={token}");
    post(server.address(), &server.introspection_endpoint(), Some(&resource_server()), &form).await.unwrap()
}

#[test]
fn each_is_found_by_its_name_and_switched_alone() {
    let server = AuthorizationServer::start().unwrap();
    assert_eq!(Behaviour::ALL.iter().collect::<BTreeSet<_>>().len(), Behaviour::ALL.len());
    for one in Behaviour::ALL {
        assert!(Behaviour::by_name(one.name()).any(|found| found == *one), "{one:?}");
        assert!(!server.behaves(*one));
        server.behave(*one, true);
        for other in Behaviour::ALL {
            assert_eq!(server.behaves(*other), other == one, "{other:?}");
        }
        server.behave(*one, false);
        assert!(!server.behaves(*one));
    }
    assert_eq!(Behaviour::by_name("refresh_tokens_active").count(), 5);
    assert_eq!(Behaviour::by_name("no_such_thing").count(), 0);
}

#[tokio::test]
async fn they_combine_and_are_taken_back() {
    let server = AuthorizationServer::builder()
        .behaviour(Behaviour::RefusesJwtIntrospection)
        .behaviour(Behaviour::RefreshTokensActive(RefreshTold::Nothing))
        .start()
        .unwrap();
    let jwt = server.issue(TokenRequest::new()).token;
    let refresh = server.issue(TokenRequest::new().opaque().refresh_token()).token;
    let reply = introspect(&server, &jwt).await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("unsupported_token_type")));
    assert_eq!(introspect(&server, "e30.x.y").await.status, 400);
    let answer = introspect(&server, &refresh).await;
    assert!(
        answer.active() && answer.json().get("aud").is_none() && answer.json().get("token_type").is_none()
    );
    server.behave(Behaviour::RefusesJwtIntrospection, false);
    server.behave(Behaviour::RefreshTokensActive(RefreshTold::Nothing), false);
    assert!(introspect(&server, &jwt).await.active());
    assert!(!introspect(&server, &refresh).await.active());
}

#[tokio::test]
async fn a_key_may_sign_before_it_is_published() {
    let server = AuthorizationServer::builder().behaviour(Behaviour::SignsBeforePublishing).start().unwrap();
    let count = async || {
        get(server.address(), &server.jwks_uri()).await.unwrap().json()["keys"].as_array().unwrap().len()
    };
    assert_eq!(count().await, 1);
    server.rotate();
    assert_eq!(count().await, 1);
    server.issue(TokenRequest::new());
    assert_eq!(count().await, 2);
    server.behave(Behaviour::SignsBeforePublishing, false);
    server.behave(Behaviour::FirstReaderSeesAnotherKey, true);
    assert_eq!((count().await, count().await), (1, 3));
}

#[tokio::test]
async fn the_key_set_is_published_as_oddly_as_asked_for() {
    let server = AuthorizationServer::start().unwrap();
    server.add_key(Algorithm::Ed25519);
    let set = async || get(server.address(), &server.jwks_uri()).await.unwrap();
    let keys = async |member: &str| -> Vec<Value> {
        set().await.json()["keys"].as_array().unwrap().iter().map(|key| key[member].clone()).collect()
    };
    let plain = keys("kid").await;
    for (behaviour, member, expected) in [
        (Behaviour::EmptyKid, "kid", [json!(""), json!("")]),
        (Behaviour::NoKid, "kid", [Value::Null, Value::Null]),
        (Behaviour::SigningKeyMarkedEnc, "use", [json!("enc"), json!("sig")]),
    ] {
        server.behave(behaviour, true);
        assert_eq!(keys(member).await, expected, "{behaviour:?}");
        server.behave(behaviour, false);
    }
    server.behave(Behaviour::KeyOrderChanges, true);
    let (first, second) = (keys("kid").await, keys("kid").await);
    assert_ne!(first, second);
    assert!(first.contains(&plain[0]) && second.contains(&plain[0]));
    server.behave(Behaviour::KeyOrderChanges, false);
    for (behaviour, expected) in
        [(Behaviour::JwksNoStore, "no-store"), (Behaviour::JwksLongMaxAge, "max-age=86400")]
    {
        server.behave(behaviour, true);
        assert_eq!(set().await.header("cache-control"), Some(expected));
        server.behave(behaviour, false);
    }
    server.behave(Behaviour::JwksFails, true);
    assert_eq!(set().await.status, 500);
    server.behave(Behaviour::JwksFails, false);
    assert_eq!(set().await.status, 200);
}

#[tokio::test]
async fn callers_are_refused_in_many_ways() {
    let server = AuthorizationServer::start().unwrap();
    let token = server.issue(TokenRequest::new()).token;
    let wrong = client::basic("api", "wrong");
    for (how, status, challenge) in [
        (None, 401, true),
        (Some(CallerRefusal::UnauthorizedClient400), 400, false),
        (Some(CallerRefusal::Bare401), 401, false),
        (Some(CallerRefusal::Html403), 403, false),
        (Some(CallerRefusal::LoginPage302), 302, false),
    ] {
        if let Some(how) = how {
            server.behave(Behaviour::RefusesCallers(how), true);
        }
        let form = format!("token={token}");
        let uri = server.introspection_endpoint();
        let reply = post(server.address(), &uri, Some(&wrong), &form).await.unwrap();
        assert_eq!(
            (reply.status, reply.header("www-authenticate").is_some()),
            (status, challenge),
            "{how:?}"
        );
        assert!(introspect(&server, &token).await.active(), "right credentials");
        if let Some(how) = how {
            server.behave(Behaviour::RefusesCallers(how), false);
        }
    }
}

#[tokio::test]
async fn answers_say_what_tokens_do_not() {
    let server = AuthorizationServer::builder().profile(Profile::Keycloak).start().unwrap();
    server.behave(Behaviour::SlimTokens, true);
    server.behave(Behaviour::ComputesClaimsAnew, true);
    let issued = server.issue(TokenRequest::new().subject("alice").role("clerk").role("boss"));
    assert!(["sub", "aud", "realm_access"].iter().all(|name| !issued.claims.contains_key(*name)));
    server.take_away("alice", "boss");
    server.take_away("bob", "clerk");
    let answer = introspect(&server, &issued.token).await.json();
    assert_eq!(
        (answer["sub"].as_str(), &answer["realm_access"]["roles"]),
        (Some("alice"), &json!(["clerk"]))
    );
    server.behave(Behaviour::ComputesClaimsAnew, false);
    let answer = introspect(&server, &issued.token).await.json();
    assert_eq!(answer["realm_access"]["roles"], json!(["clerk", "boss"]));
}

#[tokio::test]
async fn the_issuers_name_follows_the_host_that_was_asked_for() {
    // The client of these tests always asks for the host "test".
    const HERE: &str = "http://test/realms/main";
    let server = AuthorizationServer::builder().behaviour(Behaviour::IssuerFollowsHost).start().unwrap();
    let uri = format!("{}/.well-known/openid-configuration", server.issuer());
    let document = get(server.address(), &uri).await.unwrap().json();
    assert_eq!(document["issuer"], HERE);
    assert_eq!(document["introspection_endpoint"], format!("{HERE}/introspect"));

    let elsewhere = server.issue(TokenRequest::new()).token;
    assert!(!introspect(&server, &elsewhere).await.active(), "issued under another name");
    let caller = client::basic(DEFAULT_CLIENT, DEFAULT_CLIENT_SECRET);
    let form = "grant_type=client_credentials";
    let reply = post(server.address(), &server.token_endpoint(), Some(&caller), form).await.unwrap();
    let answer = introspect(&server, reply.json()["access_token"].as_str().unwrap()).await;
    assert!(answer.active());
    assert_eq!(answer.json()["iss"], HERE);
    server.behave(Behaviour::IssuerFollowsHost, false);
    assert!(introspect(&server, &elsewhere).await.active());
}
