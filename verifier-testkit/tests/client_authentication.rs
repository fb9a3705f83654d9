//! What the server takes for proof of who a client is, and what it doesn't.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod client;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::{basic, post};
use serde_json::{Value, json};
use verifier_testkit::{
    Algorithm, AssertionAudience, AuthorizationServer, Client, IntrospectionAuth, ManualClock, SigningKey,
    TokenRequest,
};

const SECRET: &str = "a secret that is long enough for HMAC with SHA-256";
const TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

type Change = Box<dyn Fn(&mut Value)>;

struct Desk {
    server: AuthorizationServer,
    clock: ManualClock,
    key: SigningKey,
}

impl Desk {
    fn start(auth: IntrospectionAuth) -> Self {
        let clock = ManualClock::new();
        let key = SigningKey::generate(Algorithm::ES256);
        let client = Client::new("me", SECRET).key(key.clone());
        let server =
            AuthorizationServer::builder().clock(clock.clone()).client(client).introspection_auth(auth);
        Self { server: server.start().unwrap(), clock, key }
    }

    fn now(&self) -> i64 {
        use verifier_core::time::Clock as _;
        self.clock.now().wall.unix_seconds()
    }

    fn claims(&self, jti: &str) -> Value {
        let now = self.now();
        json!({ "iss": "me", "sub": "me", "aud": self.server.issuer(), "jti": jti, "iat": now, "exp": now + 60 })
    }

    /// The status of an introspection with this assertion.
    async fn status(&self, key: &SigningKey, claims: &Value, form: &str) -> u16 {
        let header = json!({ "alg": key.algorithm().name(), "kid": key.kid(), "typ": "JWT" });
        let b64 = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", b64(&header), b64(claims));
        let jwt = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())));
        let form = format!("token=x&client_assertion_type={TYPE}&client_assertion={jwt}{form}");
        let uri = self.server.introspection_endpoint();
        post(self.server.address(), &uri, None, &form).await.unwrap().status
    }
}

#[tokio::test]
async fn an_assertion_holds_in_every_respect_or_not_at_all() {
    let desk = Desk::start(IntrospectionAuth::PrivateKeyJwt);
    assert_eq!(desk.status(&desk.key, &desk.claims("1"), "").await, 200);
    assert_eq!(desk.status(&desk.key, &desk.claims("1"), "").await, 401, "each once");
    assert_eq!(desk.status(&desk.key, &desk.claims("2"), "&client_id=me").await, 200);
    let cases: Vec<(&str, Change)> = vec![
        ("iss", Box::new(|claims| claims["iss"] = json!("app"))),
        ("sub", Box::new(|claims| claims["sub"] = json!("app"))),
        ("aud", Box::new(|claims| claims["aud"] = json!("https://other.example"))),
        ("aud as a list", Box::new(|claims| claims["aud"] = json!([claims["aud"]]))),
        ("no jti", Box::new(|claims| claims["jti"] = Value::Null)),
        ("no exp", Box::new(|claims| claims["exp"] = Value::Null)),
        ("expired", Box::new(|claims| claims["exp"] = claims["iat"].clone())),
        ("long", Box::new(|claims| claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 61))),
        ("early", Box::new(|claims| claims["iat"] = json!(claims["iat"].as_i64().unwrap() + 5))),
    ];
    for (n, (name, change)) in cases.iter().enumerate() {
        let mut claims = desk.claims(&format!("c{n}"));
        change(&mut claims);
        assert_eq!(desk.status(&desk.key, &claims, "").await, 401, "{name}");
    }
    assert_eq!(desk.status(&desk.key, &desk.claims("3"), "&client_id=app").await, 401);
    assert_eq!(desk.status(&desk.key, &desk.claims("4"), "&client_id=me&client_secret=x").await, 400);
    let stranger = SigningKey::generate(Algorithm::ES256).with_kid(desk.key.kid());
    assert_eq!(desk.status(&stranger, &desk.claims("5"), "").await, 401);
    let secret = SigningKey::hmac(Algorithm::HS256, SECRET);
    assert_eq!(desk.status(&secret, &desk.claims("6"), "").await, 401, "the other method");
    let desk = Desk::start(IntrospectionAuth::SecretJwt);
    assert_eq!(desk.status(&secret, &desk.claims("7"), "").await, 200);
    let other = SigningKey::hmac(Algorithm::HS256, "another secret that is long enough, too");
    assert_eq!(desk.status(&other, &desk.claims("8"), "").await, 401);
}

#[tokio::test]
async fn a_granted_token_opens_introspection_until_it_ends() {
    let clock = ManualClock::new();
    let server = AuthorizationServer::builder()
        .clock(clock.clone())
        .introspection_auth(IntrospectionAuth::Granted)
        .granted_lifetime(Duration::from_secs(30));
    let server = server.start().unwrap();
    let ask = |token: String| {
        let (address, uri) = (server.address(), server.introspection_endpoint());
        async move { post(address, &uri, Some(&format!("Bearer {token}")), "token=x").await.unwrap().status }
    };
    let (uri, auth) = (server.token_endpoint(), basic("app", "app-secret"));
    let reply = post(server.address(), &uri, Some(&auth), "grant_type=client_credentials").await;
    let granted = reply.unwrap().json();
    assert_eq!(granted["expires_in"], 30);
    let token = granted["access_token"].as_str().unwrap().to_owned();
    assert_eq!(ask(token.clone()).await, 200);
    // A user's token is not the caller's.
    assert_eq!(ask(server.issue(TokenRequest::new()).token).await, 401);
    clock.advance(Duration::from_secs(30));
    assert_eq!(ask(token).await, 401);
}

#[tokio::test]
async fn the_audience_may_be_the_endpoint() {
    let mut desk = Desk::start(IntrospectionAuth::PrivateKeyJwt);
    let client = Client::new("me", SECRET).key(desk.key.clone());
    desk.server = AuthorizationServer::builder()
        .clock(desk.clock.clone())
        .client(client)
        .introspection_auth(IntrospectionAuth::PrivateKeyJwt)
        .assertion_audience(AssertionAudience::Endpoint)
        .start()
        .unwrap();
    assert_eq!(desk.status(&desk.key, &desk.claims("1"), "").await, 401);
    let mut claims = desk.claims("2");
    claims["aud"] = json!(desk.server.introspection_endpoint());
    assert_eq!(desk.status(&desk.key, &claims, "").await, 200);
}
