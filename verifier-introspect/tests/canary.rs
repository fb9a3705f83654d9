//! No line of any crate below, at TRACE, shows a token or a secret.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use support::{ASKED, Desk, our_auth, secs, transport};
use tracing_subscriber::fmt::MakeWriter;
use verifier_core::algorithm::Algorithm as Known;
use verifier_core::endpoint::{Endpoint as Address, Schemes};
use verifier_core::error::UnavailableReason;
use verifier_core::secret::Secret;
use verifier_core::time::{Instant, Now};
use verifier_core::trusted_keys::{Lookup, TrustedKeys};
use verifier_core::verifier::Asked;
use verifier_introspect::{ClientAuth, ClientCredentials, EndpointSource, SignedAnswers};
use verifier_testkit::server::AnswerFlaw;
use verifier_testkit::{
    Algorithm, AuthorizationServer, Client, Endpoint, Fault, IntrospectionAuth, SigningKey, TokenRequest,
};

const SECRET: &str = "canary-secret-of-more-than-32-bytes-in-all";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn nothing_is_logged_that_is_secret() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(lines.clone())
        .finish();
    // For the whole process: the server's own thread is heard, too.
    tracing_subscriber::util::SubscriberInitExt::init(subscriber);
    let mut tokens = Vec::new();
    let key = SigningKey::generate(Algorithm::ES256);
    let secret = || Secret::new(SECRET);
    let granted = |server: &AuthorizationServer| {
        let endpoint = Address::parse(&server.token_endpoint(), Schemes::Secure).unwrap();
        let own = ClientAuth::basic("api", secret());
        let grant = ClientCredentials::new(EndpointSource::Fixed(endpoint), own);
        ClientAuth::ClientCredentials(Box::new(grant.with_parameter("x-key", "canary-grant")))
    };
    for method in 0..5 {
        let client = Client::new("api", SECRET).key(key.clone());
        let demanded = if method == 4 { IntrospectionAuth::Granted } else { IntrospectionAuth::Registered };
        let desk = Desk::known_by(
            |server| server.client(client).introspection_auth(demanded),
            |server| match method {
                0 => ClientAuth::basic("api", secret()),
                1 => ClientAuth::post("api", secret()),
                2 => ClientAuth::secret_jwt("api", secret()),
                3 => ClientAuth::private_key_jwt("api", Secret::new(key.private_pem().unwrap())),
                _ => granted(server),
            },
            |config| {
                config.headers = vec![("x-key".into(), "canary-header".into())];
                config.parameters = vec![("x-key".into(), "canary-parameter".into())];
                config.upstream.breaker_failures = 100;
                config.upstream.retries = 0;
            },
            |_| Arc::new(transport()),
        );
        for fault in [
            Fault::Status(401, "canary-body".into()),
            Fault::Status(400, "canary-body".into()),
            Fault::Status(500, "canary-body".into()),
            Fault::Redirect("http://127.0.0.1:1/canary-location".into()),
            Fault::Html200,
            Fault::HalfBody,
            Fault::Close,
        ] {
            let issued = desk.issue();
            desk.server.faults().next(ASKED, 1, fault);
            drop(desk.verify(&issued.token).await);
            desk.clock.advance(secs(11));
            tokens.push(issued.token);
        }
        let issued = desk.issue();
        desk.verify(&issued.token).await.unwrap();
        tokens.push(issued.token);
        for request in [ASKED, Endpoint::Token].into_iter().flat_map(|at| desk.server.requests(at)) {
            tokens.extend(request.form("client_assertion"));
            let header = request.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
            tokens.extend(header.and_then(|text| text.split_once(' ').map(|(_, token)| token.to_owned())));
        }
    }
    tokens.extend(key.private_pem().unwrap().lines().nth(2).map(str::to_owned));
    tokens.extend(signed_answers().await);
    let shown = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(shown.contains("the introspection endpoint refuses our credentials"), "our own lines are heard");
    assert!(shown.contains("an introspection answer isn't signed"), "for signed answers too");
    assert!(shown.contains("hyper"), "and those of the crates below");
    for secret in [
        SECRET,
        "canary-header",
        "canary-parameter",
        "canary-body",
        "canary-grant",
        "api-secret",
        "YXBpOmFwaS1zZWNyZXQ",
        "canary-jwt",
    ] {
        assert!(!shown.contains(secret), "{secret}");
    }
    for token in tokens {
        assert!(!shown.contains(&token));
    }
}

/// R16: neither a signed answer nor the `jwt` that some servers add to a plain one is shown: it may be a usable token.
async fn signed_answers() -> Vec<String> {
    let desk = Desk::of(
        |server| server.signs_answers(Algorithm::ES256),
        our_auth(),
        |config| {
            let mut signed = SignedAnswers::new(Arc::new(NoKeys));
            signed.algorithm = Known::Es256;
            config.signed_answers = Some(signed);
        },
        |_| Arc::new(transport()),
    );
    let mut tokens = Vec::new();
    for flaw in [
        None,
        Some(AnswerFlaw::Plain),
        Some(AnswerFlaw::Type(None)),
        Some(AnswerFlaw::Encrypted),
        Some(AnswerFlaw::Text("canary-jwt.e30.AAAA".into())),
    ] {
        desk.server.spoil_signed_answers(flaw);
        let issued = desk.server.issue(TokenRequest::new().answered("jwt", "canary-jwt"));
        assert!(desk.verify(&issued.token).await.is_err());
        desk.clock.advance(secs(11));
        tokens.push(issued.token);
    }
    tokens
}

#[derive(Debug)]
struct NoKeys;

impl TrustedKeys for NoKeys {
    fn key<'a>(&'a self, _: Option<&str>, _: Known, _: Now, _: Option<Instant>) -> Asked<'a, Lookup> {
        Asked::Ready(Lookup::Unavailable(UnavailableReason::KeysNotLoaded.into()))
    }
}
