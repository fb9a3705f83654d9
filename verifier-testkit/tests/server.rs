//! The server as a client on the network sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod client;

use std::time::Duration;

use client::{Reply, ask, basic, get, post, resource_server};
use serde_json::{Value, json};
use verifier_testkit::clients::{DEFAULT_CLIENT, DEFAULT_CLIENT_SECRET};
use verifier_testkit::server::AnswerFlaw;
use verifier_testkit::{
    Algorithm, Answer, AuthorizationServer, BasicDecoding, Client, Endpoint, IntrospectionAuth, ManualClock,
    Profile, TokenForge, TokenRequest,
};

async fn introspect(server: &AuthorizationServer, token: &str) -> Reply {
    let form = format!("token={token}");
    post(server.address(), &server.introspection_endpoint(), Some(&resource_server()), &form).await.unwrap()
}

fn part(token: &str, n: usize) -> Value {
    use base64::Engine as _;
    let text = token.split('.').nth(n).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

#[tokio::test]
async fn metadata_stands_where_both_standards_look_for_it() {
    let server = AuthorizationServer::start().unwrap();
    let origin = server.origin();
    assert_eq!(server.issuer(), format!("{origin}/realms/main"));
    let appended = format!("{}/.well-known/openid-configuration", server.issuer());
    let inserted = format!("{origin}/.well-known/oauth-authorization-server/realms/main");
    for uri in [appended, inserted] {
        let reply = get(server.address(), &uri).await.unwrap();
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let document = reply.json();
        assert_eq!(document["issuer"], server.issuer());
        assert_eq!(document["jwks_uri"], server.jwks_uri());
        assert_eq!(document["introspection_endpoint"], server.introspection_endpoint());
    }
    let wrong = format!("{origin}/realms/main/.well-known/oauth-authorization-server");
    assert_eq!(get(server.address(), &wrong).await.unwrap().status, 404);
    assert_eq!((server.counts().discovery, server.counts().other), (2, 1));
}

#[tokio::test]
async fn an_issuer_may_have_no_path_a_slash_at_its_end_or_another_name() {
    for (path, well_known) in [("", ""), ("/", "/"), ("/a/", "/a/")] {
        let server = AuthorizationServer::builder().issuer_path(path).start().unwrap();
        assert_eq!(server.issuer(), format!("{}{well_known}", server.origin()));
        let base = server.issuer().trim_end_matches('/');
        let reply = get(server.address(), &format!("{base}/.well-known/openid-configuration")).await.unwrap();
        assert_eq!(reply.json()["issuer"], server.issuer());
    }
    let name = "https://idp.example.com/realms/main";
    let server = AuthorizationServer::builder().issuer(name).start().unwrap();
    assert_eq!(server.jwks_uri(), format!("{name}/jwks"));
    assert_eq!(get(server.address(), &server.jwks_uri()).await.unwrap().status, 200);
    assert_eq!(part(&server.issue(TokenRequest::new()).token, 1)["iss"], name);
    assert!(AuthorizationServer::builder().issuer("ftp://idp").start().is_err());
}

#[tokio::test]
async fn the_key_set_has_a_validator() {
    let server = AuthorizationServer::builder().jwks_cache_control("max-age=60").start().unwrap();
    let first = get(server.address(), &server.jwks_uri()).await.unwrap();
    assert_eq!(first.header("cache-control"), Some("max-age=60"));
    let etag = first.header("etag").unwrap().to_owned();
    let again = async || {
        let headers = [("if-none-match", etag.as_str())];
        ask(server.address(), "GET", &server.jwks_uri(), &headers, "").await.unwrap()
    };
    let same = again().await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    server.add_key(Algorithm::Ed25519);
    let changed = again().await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
    server.set_jwks_cache_control(None);
    assert_eq!(again().await.header("cache-control"), None);
}

#[tokio::test]
async fn a_rotation_goes_step_by_step() {
    let server = AuthorizationServer::start().unwrap();
    let published = async || {
        let keys = get(server.address(), &server.jwks_uri()).await.unwrap().json();
        let kids = keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned());
        kids.collect::<Vec<String>>()
    };
    let signer = || server.issue(TokenRequest::new()).kid.unwrap();
    let old = server.signing_kid();
    let new = server.add_key(Algorithm::ES256);
    assert_eq!((signer(), published().await), (old.clone(), vec![old.clone(), new.clone()]));
    assert!(server.promote(&new));
    assert_eq!(signer(), new);
    server.publish_stale_keys(true);
    assert!(server.withdraw(&old));
    assert_eq!(published().await, [old.clone(), new.clone()], "stale");
    server.publish_stale_keys(false);
    assert_eq!(published().await, std::slice::from_ref(&new));
    assert!(!server.promote("nobody") && !server.withdraw("nobody"));

    let before = server.key(&new).unwrap();
    let after = server.add_key_with_kid(Algorithm::ES256, &new);
    assert_eq!(published().await, std::slice::from_ref(&new));
    assert_ne!(before.public_der(), after.public_der());
    assert_eq!(server.jwks()["keys"][0], Value::Object(after.jwk()));
    let next = server.rotate();
    assert_eq!((signer(), published().await), (next.clone(), vec![new, next]));
}

#[tokio::test]
async fn secrets_are_never_published() {
    let server = AuthorizationServer::start().unwrap();
    let kid = server.add_key(Algorithm::HS256);
    let issued = server.issue(TokenRequest::new().algorithm(Algorithm::HS256));
    assert_eq!(issued.kid.as_deref(), Some(kid.as_str()));
    let document = get(server.address(), &server.jwks_uri()).await.unwrap();
    assert!(!String::from_utf8(document.body).unwrap().contains("oct"));
}

#[tokio::test]
async fn a_token_of_every_algorithm_names_a_published_key() {
    let server = AuthorizationServer::start().unwrap();
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_hmac()) {
        let issued = server.issue(TokenRequest::new().algorithm(algorithm));
        assert_eq!(part(&issued.token, 0)["alg"], algorithm.name());
        let keys = server.jwks();
        let key = keys["keys"]
            .as_array()
            .unwrap()
            .iter()
            .find(|key| Some(key["kid"].as_str().unwrap()) == issued.kid.as_deref());
        assert_eq!(key.unwrap()["alg"], algorithm.name());
    }
}

#[tokio::test]
async fn revocation_makes_a_token_inactive() {
    let server = AuthorizationServer::start().unwrap();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|subject| server.issue(TokenRequest::new().subject(subject)));
    let opaque = server.issue(TokenRequest::new().opaque());
    assert!(!opaque.token.contains('.') && opaque.kid.is_none());
    for issued in [&a, &b, &c, &d, &opaque] {
        assert!(introspect(&server, &issued.token).await.active());
    }
    assert!(server.revoke(&a.token) && server.revoke_jti(&b.jti) && server.revoke_subject("c"));
    for (issued, active) in [(&a, false), (&b, false), (&c, false), (&d, true), (&opaque, true)] {
        assert_eq!(introspect(&server, &issued.token).await.active(), active, "{}", issued.subject);
        assert_eq!(server.is_active(&issued.token), active);
    }
    assert_eq!(introspect(&server, &a.token).await.json(), json!({ "active": false }));
    assert_eq!(introspect(&server, "unknown").await.json(), json!({ "active": false }));
    assert!(!server.revoke("unknown") && !server.revoke_jti("unknown"));
}

#[tokio::test]
async fn revocation_over_http_is_for_the_tokens_own_client() {
    let server = AuthorizationServer::builder().client(Client::new("other", "s")).start().unwrap();
    let issued = server.issue(TokenRequest::new());
    let revoke = async |auth: &str, token: &str| {
        let form = format!("token={token}");
        post(server.address(), &server.revocation_endpoint(), Some(auth), &form).await.unwrap().status
    };
    let own = basic(DEFAULT_CLIENT, DEFAULT_CLIENT_SECRET);
    assert_eq!(revoke(&basic("other", "s"), &issued.token).await, 200);
    assert!(server.is_active(&issued.token));
    assert_eq!(revoke(&basic(DEFAULT_CLIENT, "wrong"), &issued.token).await, 401);
    assert!(server.is_active(&issued.token));
    assert_eq!(revoke(&own, "unknown").await, 200);
    assert_eq!(revoke(&own, &issued.token).await, 200);
    assert!(!server.is_active(&issued.token));
}

#[tokio::test]
async fn tokens_expire_by_the_servers_clock() {
    let clock = ManualClock::new();
    let server = AuthorizationServer::builder().clock(clock.clone()).start().unwrap();
    let issued = server.issue(TokenRequest::new().lifetime(Duration::from_secs(60)));
    let later = server.issue(TokenRequest::new().not_before_in(Duration::from_secs(60)));
    assert_eq!((issued.issued_at, issued.expires_at), (clock.unix_seconds(), clock.unix_seconds() + 60));
    assert!(introspect(&server, &issued.token).await.active());
    assert!(!introspect(&server, &later.token).await.active());
    clock.advance(Duration::from_secs(59));
    assert!(introspect(&server, &issued.token).await.active());
    clock.advance(Duration::from_secs(1));
    assert!(!introspect(&server, &issued.token).await.active());
    assert!(introspect(&server, &later.token).await.active());
    let born_expired =
        TokenRequest::new().lifetime(Duration::from_secs(5)).issued_ago(Duration::from_secs(5));
    assert!(!server.is_active(&server.issue(born_expired).token));
}

#[tokio::test]
async fn a_disabled_client_and_a_lost_store_come_back() {
    let server = AuthorizationServer::start().unwrap();
    let issued = server.issue(TokenRequest::new());
    assert!(server.disable_client(DEFAULT_CLIENT) && !server.disable_client("nobody"));
    assert!(!introspect(&server, &issued.token).await.active());
    assert!(server.enable_client(DEFAULT_CLIENT));
    assert!(introspect(&server, &issued.token).await.active());
    server.lose_store(true);
    assert!(!introspect(&server, &issued.token).await.active());
    server.lose_store(false);
    assert!(introspect(&server, &issued.token).await.active());
}

#[tokio::test]
async fn introspection_callers_are_checked() {
    let good = resource_server();
    let post_form = "client_id=api&client_secret=api-secret&token=x";
    let cases: [(IntrospectionAuth, Option<&str>, &str, u16); 12] = [
        (IntrospectionAuth::Basic, Some(&good), "token=x", 200),
        (IntrospectionAuth::Basic, None, "token=x", 401),
        (IntrospectionAuth::Basic, Some("Basic YXBpOndyb25n"), "token=x", 401),
        (IntrospectionAuth::Basic, None, post_form, 401),
        (IntrospectionAuth::Basic, Some(&good), post_form, 400),
        (IntrospectionAuth::Post, None, post_form, 200),
        (IntrospectionAuth::Post, Some(&good), "token=x", 401),
        (IntrospectionAuth::BasicOrPost, None, post_form, 200),
        (IntrospectionAuth::Bearer("t".into()), Some("Bearer t"), "token=x", 200),
        (IntrospectionAuth::Bearer("t".into()), Some("Bearer u"), "token=x", 401),
        (IntrospectionAuth::None, None, "token=x", 200),
        (IntrospectionAuth::None, None, "token=x&token=y", 400),
    ];
    for (auth, header, form, status) in cases {
        let server = AuthorizationServer::builder().introspection_auth(auth.clone()).start().unwrap();
        let reply = post(server.address(), &server.introspection_endpoint(), header, form).await.unwrap();
        assert_eq!(reply.status, status, "{auth:?} {form}");
        assert!(!reply.body.is_empty());
    }
}

#[tokio::test]
async fn basic_credentials_are_decoded_as_the_server_is_told() {
    let (id, secret) = ("a:b", "p+ %&=ü");
    let escaped = ("a%3Ab", "p%2B%20%25%26%3D%C3%BC");
    for (decoding, sent, status) in [
        (BasicDecoding::Form, escaped, 200),
        (BasicDecoding::Form, ("a%3Ab", "p%2B+%25%26%3D%C3%BC"), 200),
        (BasicDecoding::Percent, escaped, 200),
        (BasicDecoding::Percent, ("a%3Ab", "p+%20%25%26%3D%C3%BC"), 200),
        (BasicDecoding::Percent, ("a%3Ab", "p%2B+%25%26%3D%C3%BC"), 401),
        (BasicDecoding::Raw, escaped, 401),
    ] {
        let builder = AuthorizationServer::builder().client(Client::new(id, secret)).basic_decoding(decoding);
        let server = builder.start().unwrap();
        let auth = basic(sent.0, sent.1);
        let uri = server.introspection_endpoint();
        let reply = post(server.address(), &uri, Some(&auth), "token=x").await.unwrap();
        assert_eq!(reply.status, status, "{decoding:?} {sent:?}");
    }
}

#[tokio::test]
async fn the_token_endpoint_grants_to_clients() {
    let limited = Client::new("limited", "s").audience("https://a.example");
    let server = AuthorizationServer::builder().client(limited).start().unwrap();
    let token = async |auth: &str, form: &str| {
        post(server.address(), &server.token_endpoint(), Some(auth), form).await.unwrap()
    };
    let own = basic(DEFAULT_CLIENT, DEFAULT_CLIENT_SECRET);
    let reply = token(&own, "grant_type=client_credentials&scope=read%20write").await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    let answer = reply.json();
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(300)));
    let access_token = answer["access_token"].as_str().unwrap();
    assert_eq!(part(access_token, 1)["scope"], "read write");
    assert_eq!(part(access_token, 1)["sub"], DEFAULT_CLIENT);
    assert!(introspect(&server, access_token).await.active());

    assert_eq!(token(&own, "grant_type=password").await.json()["error"], "unsupported_grant_type");
    assert_eq!(token(&basic("app", "no"), "grant_type=client_credentials").await.status, 401);
    let limited = basic("limited", "s");
    let granted = token(&limited, "grant_type=client_credentials&resource=https://a.example").await.json();
    assert_eq!(part(granted["access_token"].as_str().unwrap(), 1)["aud"], "https://a.example");
    let refused = token(&limited, "grant_type=client_credentials&audience=https://b.example").await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("invalid_target")));
    server.disable_client("limited");
    assert_eq!(token(&limited, "grant_type=client_credentials").await.status, 401);
}

#[tokio::test]
async fn profiles_write_as_their_models_do() {
    let server = AuthorizationServer::start().unwrap();
    let request = || TokenRequest::new().subject("alice").scope("a b").role("admin").audience("x");
    let both = async |profile| {
        let issued = server.issue(request().profile(profile));
        (part(&issued.token, 0), part(&issued.token, 1), introspect(&server, &issued.token).await.json())
    };
    let (header, claims, answer) = both(Profile::AtJwt).await;
    assert_eq!(header["typ"], "at+jwt");
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        assert!(!claims[name].is_null(), "{name}");
        assert_eq!(answer[name], claims[name], "{name}");
    }
    assert_eq!((&claims["scope"], &claims["roles"]), (&json!("a b"), &json!(["admin"])));

    let (header, claims, _) = both(Profile::Generic).await;
    assert_eq!((&header["typ"], &claims["aud"]), (&json!("JWT"), &json!("x")));

    let (_, claims, answer) = both(Profile::Keycloak).await;
    assert_eq!((&claims["typ"], &claims["azp"]), (&json!("Bearer"), &json!("app")));
    assert_eq!(claims["realm_access"]["roles"], json!(["admin"]));
    assert!(claims["client_id"].is_null() && answer["client_id"] == "app" && answer["username"] == "alice");

    let (_, claims, answer) = both(Profile::Hydra).await;
    assert_eq!((&claims["scp"], &claims["aud"]), (&json!(["a", "b"]), &json!(["x"])));
    assert!(claims["scope"].is_null() && claims["ext"].is_object() && claims["nbf"].is_number());
    assert!(answer["jti"].is_null() && answer["token_use"] == "access_token" && answer["scope"] == "a b");
}

#[tokio::test]
async fn claims_header_and_answers_can_be_bent_each_for_itself() {
    let server = AuthorizationServer::start().unwrap();
    let request = TokenRequest::new()
        .subject("alice")
        .without_claim("sub")
        .claim("exp", "tomorrow")
        .kid("other")
        .header("typ", "JWT")
        .answered("active", "true")
        .not_answered("iss");
    let issued = server.issue(request);
    assert_eq!(part(&issued.token, 0), json!({ "alg": "ES256", "kid": "other", "typ": "JWT" }));
    assert!(part(&issued.token, 1)["sub"].is_null() && part(&issued.token, 1)["exp"] == "tomorrow");
    let answer = introspect(&server, &issued.token).await.json();
    assert!(answer["sub"] == "alice" && answer["active"] == "true" && answer["iss"].is_null());
    assert!(!format!("{issued:?}").contains(&issued.token));

    let forged =
        server.forge(TokenRequest::new().subject("eve")).claim("admin", true).sign(&server.signing_key());
    assert!(part(&forged, 1)["admin"] == true && part(&forged, 1)["iss"] == server.issuer());
    assert!(!server.is_active(&forged) && TokenForge::like(&forged).is_some());
}

#[tokio::test]
async fn scope_parameter_signing_key_and_the_callers_audience_are_judged() {
    let server = AuthorizationServer::start().unwrap();
    let issued = server.issue(TokenRequest::new().scope("read things.*"));
    for (scope, active) in
        [("read", true), ("read+things.write", true), ("rea", false), ("read+admin", false), ("", true)]
    {
        let form = format!("token={}&scope={scope}", issued.token);
        let uri = server.introspection_endpoint();
        let reply = post(server.address(), &uri, Some(&resource_server()), &form).await.unwrap();
        assert_eq!(reply.active(), active, "{scope}");
    }
    let server = AuthorizationServer::builder().current_key_only(true).start().unwrap();
    let [jwt, opaque] =
        [TokenRequest::new(), TokenRequest::new().opaque()].map(|request| server.issue(request));
    assert!(introspect(&server, &jwt.token).await.active());
    server.rotate();
    assert!(!introspect(&server, &jwt.token).await.active());
    assert!(introspect(&server, &opaque.token).await.active());
    let server = AuthorizationServer::builder().audience_must_name_caller(true).start().unwrap();
    let [mine, other] = ["api", "web"].map(|name| server.issue(TokenRequest::new().audience(name)));
    assert!(introspect(&server, &mine.token).await.active());
    assert!(!introspect(&server, &other.token).await.active());
}

#[tokio::test]
async fn answers_can_be_overridden() {
    let server = AuthorizationServer::start().unwrap();
    let [a, b] = ["a", "b"].map(|subject| server.issue(TokenRequest::new().subject(subject)));
    server.override_introspection_of(&a.token, &json!({ "active": "yes" }));
    assert_eq!(introspect(&server, &a.token).await.json()["active"], "yes");
    assert!(introspect(&server, &b.token).await.active());
    server.override_answer_about(
        &a.token,
        Answer::json(&json!({ "error": "unsupported_token_type" })).status(400),
    );
    assert_eq!(introspect(&server, &a.token).await.status, 400);
    server.override_introspection(&json!([true]));
    assert_eq!(introspect(&server, &b.token).await.json(), json!([true]));
    server.clear_override(Endpoint::Introspection);
    assert!(introspect(&server, &a.token).await.active());
    server.override_jwks(200, "{\"error\":\"rate_limited\"}");
    let reply = get(server.address(), &server.jwks_uri()).await.unwrap();
    assert_eq!(reply.json()["error"], "rate_limited");
    server.override_metadata(&json!({ "issuer": "https://other.example" }));
    let uri = format!("{}/.well-known/openid-configuration", server.issuer());
    assert_eq!(get(server.address(), &uri).await.unwrap().json()["issuer"], "https://other.example");
}

#[tokio::test]
async fn requests_are_counted_and_recorded() {
    let server = AuthorizationServer::start().unwrap();
    let issued = server.issue(TokenRequest::new());
    introspect(&server, &issued.token).await;
    introspect(&server, "a%2Bb").await;
    get(server.address(), &server.jwks_uri()).await.unwrap();
    assert_eq!(ask(server.address(), "DELETE", &server.jwks_uri(), &[], "").await.unwrap().status, 405);
    let counts = server.counts();
    assert_eq!((counts.introspection, counts.jwks, counts.connections), (2, 2, 4));
    assert_eq!((counts.total(), counts.of(Endpoint::Jwks), counts.introspection_peak), (4, 2, 1));
    let last = server.last_introspection().unwrap();
    assert_eq!(last.form("token").as_deref(), Some("a+b"));
    assert_eq!(last.header("authorization"), Some(resource_server().as_str()));
    assert!(!format!("{last:?}").contains("Basic"));
    assert_eq!(server.requests(Endpoint::Introspection).len(), 2);
    server.reset_counts();
    assert_eq!(server.counts().total(), 0);
    assert!(server.last_introspection().is_none());
}

#[test]
fn two_servers_have_different_rsa_keys() {
    let start = || AuthorizationServer::builder().algorithm(Algorithm::RS256).start().unwrap();
    let (a, b) = (start(), start());
    assert_ne!(a.signing_key().public_der(), b.signing_key().public_der());
    assert_ne!(a.address(), b.address());
}

#[tokio::test]
async fn answers_are_signed_for_who_asks_for_that_alone() {
    const JWT: &str = "application/token-introspection+jwt";
    let clock = ManualClock::new();
    let server =
        AuthorizationServer::builder().clock(clock.clone()).signs_answers(Algorithm::RS256).start().unwrap();
    assert_eq!(server.metadata()["introspection_signing_alg_values_supported"], json!(["RS256"]));
    let token = server.issue(TokenRequest::new().subject("alice")).token;
    let auth = resource_server();
    let asking = async |accept: &str| {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", auth.as_str()),
            ("accept", accept),
        ];
        let form = format!("token={token}");
        ask(server.address(), "POST", &server.introspection_endpoint(), &headers, &form).await.unwrap()
    };
    for accept in ["application/json", "*/*", &format!("{JWT}, application/json"), "application/jwt"] {
        assert!(asking(accept).await.active(), "{accept}");
    }
    let reply = asking(JWT).await;
    assert_eq!(reply.header("content-type"), Some(JWT));
    let text = String::from_utf8(reply.body).unwrap();
    let (header, claims) = (part(&text, 0), part(&text, 1));
    assert_eq!((&header["typ"], &header["alg"]), (&json!("token-introspection+jwt"), &json!("RS256")));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(server.issuer()), &json!("api")));
    assert_eq!(claims["iat"], clock.unix_seconds());
    assert_eq!(claims["token_introspection"]["active"], true);
    assert!(claims.get("active").is_none());
    let published = server.jwks();
    assert!(published["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header["kid"]));

    // Each flaw shows in what is sent, and goes when it is taken back.
    for flaw in [
        AnswerFlaw::Plain,
        AnswerFlaw::MediaType("application/jwt".into()),
        AnswerFlaw::Type(None),
        AnswerFlaw::Claims(json!({"iss": "other"})),
        AnswerFlaw::IssuedAgo(Duration::from_secs(60)),
        AnswerFlaw::IssuedIn(Duration::from_secs(60)),
        AnswerFlaw::Algorithm(Algorithm::ES256),
        AnswerFlaw::Unsigned,
        AnswerFlaw::BadSignature,
        AnswerFlaw::ForeignKey,
        AnswerFlaw::UnknownKey,
        AnswerFlaw::AnswerOutside,
        AnswerFlaw::ActiveOutside,
        AnswerFlaw::Encrypted,
    ] {
        server.spoil_signed_answers(Some(flaw.clone()));
        let reply = asking(JWT).await;
        assert!(reply.body != text.as_bytes() || reply.header("content-type") != Some(JWT), "{flaw:?}");
        server.spoil_signed_answers(None);
        // RS256 signatures are the same each time.
        assert_eq!(asking(JWT).await.body, text.as_bytes(), "{flaw:?}");
    }
}

#[tokio::test]
async fn hosted_providers_write_as_their_models_do() {
    let server =
        AuthorizationServer::builder().issuer_path("/tenant/v2.0").profile(Profile::Entra).start().unwrap();
    let request = || TokenRequest::new().subject("alice").scope("a b").role("admin").audience("x");
    let of = |profile| {
        let token = server.issue(request().profile(profile)).token;
        (part(&token, 0), part(&token, 1))
    };
    let (header, claims) = of(Profile::Auth0);
    assert_eq!((&header["typ"], &claims["azp"]), (&json!("JWT"), &json!("app")));
    assert_eq!((claims["aud"].as_array().unwrap().len(), &claims["permissions"]), (2, &json!(["admin"])));

    let (header, claims) = of(Profile::Okta);
    assert_eq!(
        (&header["typ"], &claims["cid"], &claims["scp"]),
        (&json!(null), &json!("app"), &json!(["a", "b"]))
    );
    assert!(claims["jti"].as_str().unwrap().starts_with("AT."));

    for (profile, client, version) in [(Profile::Entra, "azp", "2.0"), (Profile::EntraV1, "appid", "1.0")] {
        let (_, claims) = of(profile);
        assert_eq!((&claims[client], &claims["ver"]), (&json!("app"), &json!(version)));
        assert_eq!((&claims["tid"], &claims["scp"]), (&json!("tenant"), &json!("a b")));
        let own = server.issue(TokenRequest::new().scope("a").role("admin").profile(profile)).token;
        assert_eq!((&part(&own, 1)["scp"], &part(&own, 1)["roles"]), (&json!(null), &json!(["admin"])));
    }
    let (header, claims) = of(Profile::Cognito);
    assert!(header["typ"].is_null() && claims["aud"].is_null());
    assert_eq!((&claims["token_use"], &claims["client_id"]), (&json!("access"), &json!("app")));

    let (_, claims) = of(Profile::GoogleIdToken);
    assert_eq!(
        (&claims["azp"], &claims["scope"], &claims["aud"]),
        (&json!("alice"), &json!(null), &json!("x"))
    );
}

#[tokio::test]
async fn id_and_refresh_tokens_are_signed_by_the_same_keys_and_active() {
    let server = AuthorizationServer::start().unwrap();
    for profile in [
        Profile::AtJwt,
        Profile::Generic,
        Profile::Keycloak,
        Profile::Hydra,
        Profile::Auth0,
        Profile::Okta,
        Profile::Entra,
        Profile::EntraV1,
        Profile::Cognito,
        Profile::GoogleIdToken,
    ] {
        let request = || TokenRequest::new().subject("alice").profile(profile);
        let id = server.issue_id_token(request());
        assert_eq!(part(&id.token, 1)["aud"], "app", "{profile:?}");
        assert_ne!(part(&id.token, 0)["typ"], "at+jwt", "{profile:?}");
        assert_eq!(id.kid.as_deref(), Some(&*server.signing_kid()));
        let answer = introspect(&server, &id.token).await.json();
        assert_eq!((&answer["active"], &answer["aud"]), (&json!(true), &json!("app")), "{profile:?}");

        let refresh = server.issue_refresh_token(request());
        assert_eq!(refresh.kid.is_some(), profile == Profile::Keycloak, "{profile:?}");
        let answer = introspect(&server, &refresh.token).await.json();
        assert_eq!(answer["active"], true, "{profile:?}");
        assert!(server.revoke(&refresh.token));
        assert_eq!(introspect(&server, &refresh.token).await.json(), json!({ "active": false }));
    }
    let ours = server.issue_id_token(TokenRequest::new().claim("aud", "x").claim("nonce", "n"));
    assert_eq!((&part(&ours.token, 1)["aud"], &part(&ours.token, 1)["nonce"]), (&json!("x"), &json!("n")));
}
