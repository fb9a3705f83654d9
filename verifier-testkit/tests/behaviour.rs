//! Behaviours: their names, and what the network sees of those that no other test shows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod client;

use std::collections::BTreeSet;

use client::{Reply, get, post, resource_server};
use verifier_testkit::clients::{DEFAULT_CLIENT, DEFAULT_CLIENT_SECRET};
use verifier_testkit::{AuthorizationServer, Behaviour, RefreshTold, TokenRequest};

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
