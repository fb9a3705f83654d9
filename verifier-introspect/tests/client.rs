//! Who we say we are, and where the endpoint is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::fs;
use std::sync::Arc;

use serde_json::json;
use support::{Desk, our_auth, policy, rejected, secs, transport, unavailable};
use verifier_core::discovery::Discovery;
use verifier_core::endpoint::Schemes;
use verifier_core::error::{Rejection, UnavailableReason as U};
use verifier_core::policy::IssuerRules;
use verifier_core::profile::TokenProfile;
use verifier_core::secret::Secret;
use verifier_core::time::Clock;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::transport::Limits;
use verifier_core::verifier::{TokenVerifier, VerifyRequest};
use verifier_introspect::{
    ClientAuth, EndpointSource, IntrospectionConfig, IntrospectionVerifier, Introspector, SecretSource,
};
use verifier_testkit::{BasicDecoding, Client, Endpoint, Fault, IntrospectionAuth};

/// Characters that each encoding treats in its own way.
const ODD: &str = "a b+c%20&=:/\u{e9}~";

async fn code_with(
    auth: ClientAuth,
    demanded: IntrospectionAuth,
    decoding: BasicDecoding,
    id: &str,
) -> &'static str {
    let client = Client::new(id, ODD);
    let desk = Desk::of(
        |server| server.introspection_auth(demanded).basic_decoding(decoding).client(client),
        auth,
        |_| {},
        |_| Arc::new(transport()),
    );
    let issued = desk.issue();
    desk.code(&issued.token).await
}

#[tokio::test]
async fn every_way_of_authenticating_is_understood() {
    use BasicDecoding as D;
    use IntrospectionAuth as I;
    let odd = || Secret::new(ODD);
    let raw =
        || ClientAuth::Basic { client_id: "an api".into(), secret: SecretSource::Value(odd()), raw: true };
    let bearer = || ClientAuth::bearer(Secret::new("t0ken"));
    for (auth, demanded, decoding, expected) in [
        (ClientAuth::basic("an api", odd()), I::Basic, D::Form, "verified"),
        (ClientAuth::basic("an api", odd()), I::Basic, D::Percent, "verified"),
        (ClientAuth::basic("an api", odd()), I::Basic, D::Raw, "credentials_refused"),
        (ClientAuth::post("an api", odd()), I::Post, D::Form, "verified"),
        (ClientAuth::post("an api", odd()), I::Basic, D::Form, "credentials_refused"),
        (bearer(), I::Bearer("t0ken".into()), D::Form, "verified"),
        (bearer(), I::Bearer("other".into()), D::Form, "credentials_refused"),
        (ClientAuth::None, I::None, D::Form, "verified"),
        (ClientAuth::None, I::Basic, D::Form, "credentials_refused"),
    ] {
        let shown = format!("{} {demanded:?} {decoding:?}", auth.method());
        assert_eq!(code_with(auth, demanded, decoding, "an api").await, expected, "{shown}");
    }
    // A secret that only raw servers take: no percent sign may be decoded.
    assert_eq!(code_with(raw(), I::Basic, D::Form, "an api").await, "credentials_refused");
}

#[tokio::test]
async fn a_rotated_secret_file_is_picked_up_after_a_refusal() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "old-secret\n").unwrap();
    let modified = fs::metadata(file.path()).unwrap().modified().unwrap();
    let desk = Desk::of(
        |server| server,
        ClientAuth::basic("api", SecretSource::File(file.path().into())),
        |_| {},
        |_| Arc::new(transport()),
    );
    let issued = desk.issue();
    assert_eq!(desk.code(&issued.token).await, "credentials_refused");
    assert_eq!(desk.calls(), 1, "nothing newer to try");
    // The same length and time: only the refusal leads to another look.
    fs::write(file.path(), "api-secret\n").unwrap();
    fs::File::options().write(true).open(file.path()).unwrap().set_modified(modified).unwrap();
    assert_eq!(desk.code(&issued.token).await, "verified");
    assert_eq!(desk.calls(), 3);
    // A changed file is seen before anything is sent.
    fs::write(file.path(), "").unwrap();
    desk.clock.advance(secs(61));
    assert_eq!(desk.verify(&issued.token).await.err(), Some(unavailable(U::Misconfigured)));
    assert_eq!(desk.calls(), 3);
    fs::write(file.path(), "api-secret").unwrap();
    assert_eq!(desk.code(&issued.token).await, "verified");
    assert_eq!(desk.calls(), 4);
}

#[tokio::test]
async fn an_answer_is_kept_under_who_asked_and_how() {
    // I02, I13
    let desk = Desk::start();
    let issued = desk.issue();
    desk.verify(&issued.token).await.unwrap();
    let place = || {
        EndpointSource::Fixed(
            verifier_core::endpoint::Endpoint::parse(&desk.server.introspection_endpoint(), Schemes::Secure)
                .unwrap(),
        )
    };
    let successor = |profile: TokenProfile, config: IntrospectionConfig| {
        Introspector::builder(
            IssuerRules::new(desk.server.issuer(), profile).unwrap(),
            place(),
            config,
            Arc::new(transport()),
            desk.env.clone(),
        )
        .answers(Arc::clone(desk.introspector.answers()))
        .build()
        .unwrap()
    };
    let held = |introspector: Introspector| {
        let verifier = IntrospectionVerifier::new(introspector, policy());
        let token = AccessToken::new(&issued.token, DEFAULT_MAX_TOKEN_LEN).unwrap();
        let request = VerifyRequest::new(&token, desk.clock.now());
        verifier.verify(&request).is_ready()
    };
    let same = || IntrospectionConfig::new(our_auth());
    assert!(held(successor(TokenProfile::generic(), same())), "a successor finds what it would have asked");
    let mut scoped = same();
    scoped.parameters = vec![("scope".into(), "read".into())];
    let mut labelled = same();
    labelled.headers = vec![("x-tenant".into(), "blue".into())];
    let mut unhinted = same();
    unhinted.token_type_hint = false;
    let other = IntrospectionConfig::new(ClientAuth::basic("other", Secret::new("api-secret")));
    let posted = IntrospectionConfig::new(ClientAuth::post("api", Secret::new("api-secret")));
    for config in [scoped, labelled, unhinted, other, posted] {
        assert!(!held(successor(TokenProfile::generic(), config)));
    }
    assert!(!held(successor(TokenProfile::hydra(), same())), "read by other rules");
}

#[tokio::test]
async fn an_extra_parameter_reaches_the_server() {
    // R19
    let scoped = |scope: &'static str| {
        Desk::of(
            |server| server,
            our_auth(),
            move |config| config.parameters = vec![("scope".into(), scope.into())],
            |_| Arc::new(transport()),
        )
    };
    let desk = scoped("things.read");
    let request = verifier_testkit::TokenRequest::new().scope("things.*");
    let issued = desk.server.issue(request.clone());
    assert!(desk.verify(&issued.token).await.is_ok());
    assert_eq!(desk.server.last_introspection().unwrap().form("scope").as_deref(), Some("things.read"));
    let desk = scoped("other");
    let issued = desk.server.issue(request);
    assert_eq!(desk.verify(&issued.token).await.err(), Some(rejected(Rejection::Inactive)));
}

fn discovering(desk: &Desk, allow_foreign_site: bool) -> IntrospectionVerifier {
    let transport = Arc::new(transport());
    let limits = Limits { connect: secs(20), total: secs(30), body: 65_536 };
    let discovery = Discovery::new(desk.server.issuer(), Schemes::Secure, transport.clone(), limits).unwrap();
    let source = EndpointSource::Discovered { discovery, schemes: Schemes::Secure, allow_foreign_site };
    let mut config = IntrospectionConfig::new(our_auth());
    config.limits = limits;
    let rules = IssuerRules::new(desk.server.issuer(), TokenProfile::generic()).unwrap();
    let introspector =
        Introspector::builder(rules, source, config, transport, desk.env.clone()).build().unwrap();
    IntrospectionVerifier::new(introspector, policy())
}

async fn verdict(desk: &Desk, verifier: &IntrospectionVerifier, token: &str) -> &'static str {
    let token = AccessToken::new(token, DEFAULT_MAX_TOKEN_LEN).unwrap();
    let request = VerifyRequest::new(&token, desk.clock.now());
    match verifier.verify(&request).await {
        Ok(_) => "verified",
        Err(error) => error.code(),
    }
}

#[tokio::test]
async fn a_discovered_endpoint_is_asked_for_once() {
    let desk = Desk::start();
    let verifier = discovering(&desk, false);
    assert_eq!(desk.server.counts().total(), 0, "building asks nothing");
    assert!(verifier.health(desk.clock.now()).ready.is_err());
    let tokens: Vec<_> = (0..20).map(|_| desk.issue()).collect();
    let verdicts =
        futures::future::join_all(tokens.iter().map(|issued| verdict(&desk, &verifier, &issued.token))).await;
    assert!(verdicts.iter().all(|code| *code == "verified"), "{verdicts:?}");
    assert_eq!((desk.server.counts().discovery, desk.calls()), (1, 20));
    assert_eq!(verifier.ready(None).into_ready().ok().expect("known"), Ok(()));
    assert_eq!(verifier.health(desk.clock.now()).ready, Ok(()));
}

#[tokio::test]
async fn ready_finds_the_endpoint_and_tells_why_it_cannot() {
    let desk = Desk::start();
    assert_eq!(desk.verifier.ready(None).into_ready().ok().expect("nothing is asked"), Ok(()));
    let verifier = discovering(&desk, false);
    desk.server.faults().next(Endpoint::Discovery, 1, Fault::Status(503, String::new()));
    assert_eq!(verifier.ready(None).await.unwrap_err().reason(), U::ServerError);
    let now = desk.clock.now().monotonic;
    assert_eq!(verifier.ready(Some(now)).await.unwrap_err().reason(), U::DeadlineExceeded);
    assert_eq!(verifier.ready(Some(now.plus(secs(5)))).await, Ok(()));
    let issued = desk.issue();
    assert_eq!(verdict(&desk, &verifier, &issued.token).await, "verified");
}

#[tokio::test]
async fn no_secret_goes_to_a_place_that_is_not_the_issuer_s() {
    let desk = Desk::start();
    let elsewhere = Desk::start();
    let issued = desk.issue();
    let name = |endpoint: serde_json::Value| {
        let mut metadata = desk.server.metadata();
        metadata["introspection_endpoint"] = endpoint;
        desk.server.override_metadata(&metadata);
    };
    // Another host that is this machine, too.
    let foreign = elsewhere.server.introspection_endpoint().replace("127.0.0.1", "localhost");
    name(json!(foreign));
    assert_eq!(verdict(&desk, &discovering(&desk, false), &issued.token).await, "misconfigured");
    assert_eq!(elsewhere.server.counts().connections, 0);
    assert_eq!(verdict(&desk, &discovering(&desk, true), &issued.token).await, "inactive");
    assert_eq!(elsewhere.calls(), 1, "named in the configuration, it is asked");
    for endpoint in [json!(null), json!("http://idp.example/introspect"), json!("ftp://127.0.0.1/x")] {
        name(endpoint.clone());
        let verifier = discovering(&desk, true);
        let code = verdict(&desk, &verifier, &issued.token).await;
        assert!(matches!(code, "misconfigured" | "unreadable_answer"), "{endpoint}: {code}");
    }
    assert_eq!(desk.calls(), 0);
}
