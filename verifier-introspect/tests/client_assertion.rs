//! `client_secret_jwt` and `private_key_jwt` (RFC 7523) at a server that checks every claim and takes each assertion
//! once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use support::{ASKED, Desk, secs, transport};
use verifier_core::error::UnavailableReason as U;
use verifier_core::health::HealthNote;
use verifier_core::secret::Secret;
use verifier_core::time::Clock;
use verifier_core::verifier::TokenVerifier;
use verifier_introspect::client_auth::ASSERTION_LIFETIME;
use verifier_introspect::{Assertion, AssertionAudience, BuildError, ClientAuth, SecretError, SecretSource};
use verifier_testkit::forge::{Segment, segments};
use verifier_testkit::{
    Algorithm, AssertionAudience as Demanded, Client, Fault, IntrospectionAuth, SigningKey,
};

/// 64 bytes and more, as HS512 needs.
const SECRET: &str = "the client's secret, which is as long as the longest hash: 64 bytes or more";

fn assertion() -> Assertion {
    Assertion::default()
}

fn by_secret(assertion: Assertion) -> ClientAuth {
    ClientAuth::SecretJwt { client_id: "me".into(), secret: Secret::new(SECRET).into(), assertion }
}

fn by_key(key: &SigningKey, assertion: Assertion) -> ClientAuth {
    let key = Secret::new(key.private_pem().unwrap()).into();
    ClientAuth::PrivateKeyJwt { client_id: "me".into(), key, assertion }
}

fn desk(auth: ClientAuth, key: Option<&SigningKey>, demanded: IntrospectionAuth, aud: Demanded) -> Desk {
    let client = key.into_iter().fold(Client::new("me", SECRET), |client, key| client.key(key.clone()));
    Desk::of(
        |server| server.client(client).introspection_auth(demanded).assertion_audience(aud),
        auth,
        |config| {
            config.upstream.retries = 2;
            config.upstream.retry_backoff = Duration::ZERO;
        },
        |_| Arc::new(transport()),
    )
}

/// The assertions of the last requests.
fn assertions(desk: &Desk) -> Vec<String> {
    let requests = desk.server.requests(ASKED);
    requests.iter().map(|request| request.form("client_assertion").expect("an assertion")).collect()
}

fn claims(jwt: &str) -> serde_json::Value {
    serde_json::from_slice(&segments::decoded(jwt, Segment::Payload).unwrap()).unwrap()
}

#[tokio::test]
async fn every_algorithm_is_understood() {
    use IntrospectionAuth::{PrivateKeyJwt, SecretJwt};
    for name in ["HS256", "HS384", "HS512"] {
        let desk = desk(by_secret(assertion().with_algorithm(name)), None, SecretJwt, Demanded::Issuer);
        assert_eq!(desk.code(&desk.issue().token).await, "verified", "{name}");
    }
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_hmac()) {
        let key = SigningKey::generate(algorithm);
        let auth = by_key(&key, assertion().with_algorithm(algorithm.name()).with_key_id(key.kid()));
        let desk = desk(auth, Some(&key), PrivateKeyJwt, Demanded::Issuer);
        assert_eq!(desk.code(&desk.issue().token).await, "verified", "{algorithm}");
        let sent = assertions(&desk).remove(0);
        let header: serde_json::Value =
            serde_json::from_slice(&segments::decoded(&sent, Segment::Header).unwrap()).unwrap();
        assert_eq!(header, serde_json::json!({ "alg": algorithm.name(), "kid": key.kid(), "typ": "JWT" }));
    }
    // What goes with the key, where nothing is named.
    for algorithm in [Algorithm::RS256, Algorithm::ES384, Algorithm::EdDSA] {
        let key = SigningKey::generate(algorithm);
        let desk = desk(by_key(&key, assertion()), Some(&key), PrivateKeyJwt, Demanded::Issuer);
        assert_eq!(desk.code(&desk.issue().token).await, "verified", "{algorithm}");
    }
}

#[tokio::test]
async fn the_wrong_key_secret_or_method_is_refused_and_says_nothing_of_the_token() {
    use IntrospectionAuth::{Basic, PrivateKeyJwt, SecretJwt};
    let key = SigningKey::generate(Algorithm::ES256);
    let other = SigningKey::generate(Algorithm::ES256);
    let wrong = |secret: &str| ClientAuth::secret_jwt("me", Secret::new(secret));
    for (auth, demanded) in [
        (by_key(&key, assertion()), SecretJwt),
        (by_key(&key, assertion()), Basic),
        (by_key(&other, assertion()), PrivateKeyJwt),
        (by_key(&key, assertion().with_key_id("unknown")), PrivateKeyJwt),
        (by_secret(assertion()), PrivateKeyJwt),
        (wrong("another secret, with which this server has nothing to do"), SecretJwt),
    ] {
        let shown = format!("{auth:?} {demanded:?}");
        let desk = desk(auth, Some(&key), demanded, Demanded::Issuer);
        assert_eq!(desk.code(&desk.issue().token).await, "credentials_refused", "{shown}");
        assert_eq!(desk.calls(), 1, "nothing else to try: {shown}");
        let health = desk.verifier.health(desk.clock.now());
        assert!(health.notes.contains(&HealthNote::CredentialsRefused), "{shown}");
    }
}

#[tokio::test]
async fn the_audience_is_the_issuer_unless_told_otherwise() {
    // H16
    use IntrospectionAuth::SecretJwt;
    let code = async |audience: AssertionAudience, demanded| {
        let desk = desk(by_secret(assertion().with_audience(audience)), None, SecretJwt, demanded);
        let code = desk.code(&desk.issue().token).await;
        let sent = claims(&assertions(&desk)[0]);
        assert!(sent["aud"].is_string(), "never a list");
        (code, sent["aud"] == desk.server.issuer())
    };
    assert_eq!(code(AssertionAudience::Issuer, Demanded::Issuer).await, ("verified", true));
    assert_eq!(code(AssertionAudience::Issuer, Demanded::Endpoint).await, ("credentials_refused", true));
    assert_eq!(code(AssertionAudience::Endpoint, Demanded::Endpoint).await, ("verified", false));
    let text = AssertionAudience::Text("urn:elsewhere".into());
    assert_eq!(code(text, Demanded::Issuer).await, ("credentials_refused", false));
}

#[tokio::test]
async fn each_attempt_signs_anew() {
    let desk = desk(by_secret(assertion()), None, IntrospectionAuth::SecretJwt, Demanded::Issuer);
    desk.server.faults().next(ASKED, 1, Fault::Status(503, String::new()));
    let (first, second) = (desk.issue(), desk.issue());
    assert_eq!(desk.code(&first.token).await, "verified");
    desk.clock.advance(secs(5));
    assert_eq!(desk.code(&second.token).await, "verified");
    let sent = assertions(&desk);
    assert_eq!(sent.len(), 3);
    let ids: BTreeSet<String> = sent.iter().map(|jwt| claims(jwt)["jti"].to_string()).collect();
    assert_eq!(ids.len(), 3, "no id twice");
    for (jwt, request) in sent.iter().zip(desk.server.requests(ASKED)) {
        let said = claims(jwt);
        assert_eq!((&said["iss"], &said["sub"]), (&"me".into(), &"me".into()));
        let lives = said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap();
        assert!(lives <= 60 && ASSERTION_LIFETIME == secs(60));
        assert_eq!(request.form("client_id").as_deref(), Some("me"), "beside the assertion");
        assert!(request.form("client_secret").is_none() && !request.headers.contains_key("authorization"));
        assert_eq!(
            request.form("client_assertion_type").as_deref(),
            Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        );
    }
    let iat = |n: usize| claims(&sent[n])["iat"].as_i64().unwrap();
    assert!(iat(2) >= iat(0) + 5, "by the clock that was handed in");
}

#[tokio::test]
async fn a_rotated_key_file_is_picked_up_before_and_after_a_refusal() {
    let (old, new) = (SigningKey::generate(Algorithm::ES256), SigningKey::generate(Algorithm::ES256));
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |text: &str| fs::write(file.path(), text).unwrap();
    write(&old.private_pem().unwrap());
    let modified = fs::metadata(file.path()).unwrap().modified().unwrap();
    let auth = ClientAuth::private_key_jwt("me", SecretSource::File(file.path().into()));
    let desk = desk(auth, Some(&new), IntrospectionAuth::PrivateKeyJwt, Demanded::Issuer);
    let issued = desk.issue();
    assert_eq!(desk.code(&issued.token).await, "credentials_refused");
    assert_eq!(desk.calls(), 1);
    // Most likely the same length, and the same time: only the refusal leads to another look.
    write(&new.private_pem().unwrap());
    fs::File::options().write(true).open(file.path()).unwrap().set_modified(modified).unwrap();
    assert_eq!(desk.code(&issued.token).await, "verified");
    assert_eq!(desk.calls(), 3);
    // What can't sign is our trouble, and nothing is sent.
    for broken in [old.public_pem(), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END".into()] {
        write(&broken);
        desk.clock.advance(secs(61));
        let refused = desk.verify(&issued.token).await.err();
        assert_eq!(refused, Some(support::unavailable(U::Misconfigured)));
    }
    assert_eq!(desk.calls(), 3);
    write(&new.private_pem().unwrap());
    assert_eq!(desk.code(&issued.token).await, "verified");
}

#[tokio::test]
async fn what_cannot_sign_is_found_when_building_and_named() {
    let rsa = SigningKey::generate(Algorithm::RS256);
    let key = |text: String, assertion| ClientAuth::PrivateKeyJwt {
        client_id: "me".into(),
        key: Secret::new(text).into(),
        assertion,
    };
    let pem = || rsa.private_pem().unwrap();
    let desk = Desk::start();
    let build = |auth| {
        let endpoint = verifier_core::endpoint::Endpoint::parse(
            &desk.server.introspection_endpoint(),
            verifier_core::endpoint::Schemes::Secure,
        );
        verifier_introspect::Introspector::builder(
            verifier_core::policy::IssuerRules::new(
                desk.server.issuer(),
                verifier_core::profile::TokenProfile::generic(),
            )
            .unwrap(),
            verifier_introspect::EndpointSource::Fixed(endpoint.unwrap()),
            verifier_introspect::IntrospectionConfig::new(auth),
            Arc::new(transport()),
            desk.env.clone(),
        )
        .build()
        .unwrap_err()
    };
    let short = ClientAuth::secret_jwt("me", Secret::new("only 25 bytes of a secret"));
    let file = |path: &str| ClientAuth::private_key_jwt("me", SecretSource::File(path.into()));
    for (auth, words) in [
        (short, ["client_secret: ", "25", "32"]),
        (
            by_secret(assertion().with_algorithm("RS256")),
            ["client_assertion_algorithm: ", "RS256", "client_secret_jwt"],
        ),
        (
            key(pem(), assertion().with_algorithm("HS256")),
            ["client_assertion_algorithm: ", "HS256", "private_key_jwt"],
        ),
        (
            key(pem(), assertion().with_algorithm("ES256")),
            ["client_assertion_algorithm: ", "RSA key", "ES256"],
        ),
        (
            key(pem(), assertion().with_algorithm("RS257")),
            ["client_assertion_algorithm: ", "RS257", "supported"],
        ),
        (key(rsa.public_pem(), assertion()), ["client_key: ", "public key", "no private key"]),
        (key("hunter2".into(), assertion()), ["client_key: ", "neither", "JWK"]),
        (key(String::new(), assertion()), ["client_key: ", "is empty", ""]),
        (file("/nowhere/key.pem"), ["client_key: ", "/nowhere/key.pem", "can't be read"]),
        (ClientAuth::private_key_jwt("", Secret::new(pem())), ["client_id", "is empty", ""]),
    ] {
        let error = build(auth);
        assert!(matches!(&error, BuildError::Secret(SecretError::Key(_) | _)));
        let error = error.to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}: {words:?}");
        assert!(error.contains(words[0]) && !error.contains("hunter2"), "{error}");
    }
    assert_eq!(desk.calls(), 0, "building asks nothing");
}

#[tokio::test]
async fn wrong_credentials_in_every_form_of_answer() {
    // R21: an empty body, a page, a login.
    for (fault, code) in [
        (Fault::Status(401, String::new()), "credentials_refused"),
        (Fault::Status(403, "<html>no</html>".into()), "credentials_refused"),
        (Fault::Status(400, r#"{"error":"invalid_client"}"#.into()), "credentials_refused"),
        (Fault::Redirect("/login".into()), "redirected"),
    ] {
        let desk = desk(by_secret(assertion()), None, IntrospectionAuth::SecretJwt, Demanded::Issuer);
        let issued = desk.issue();
        desk.server.faults().next(ASKED, 1, fault.clone());
        assert_eq!(desk.code(&issued.token).await, code, "{fault:?}");
        assert_eq!(desk.code(&issued.token).await, "verified", "nothing of that is kept: {fault:?}");
    }
}

#[tokio::test]
async fn a_certificate_is_announced_by_the_client_s_id() {
    let desk = Desk::of(
        |server| server.client(Client::new("me", SECRET)).introspection_auth(IntrospectionAuth::Tls),
        ClientAuth::tls("me"),
        |_| {},
        |_| Arc::new(transport()),
    );
    assert_eq!(desk.code(&desk.issue().token).await, "verified");
    let request = desk.server.last_introspection().unwrap();
    assert_eq!(request.form("client_id").as_deref(), Some("me"));
    assert!(request.form("client_secret").is_none() && !request.headers.contains_key("authorization"));
}
