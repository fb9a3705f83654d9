//! No line of any crate below, at TRACE, shows a token or a secret.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use support::{ASKED, Desk, our_auth, secs, transport};
use tracing_subscriber::fmt::MakeWriter;
use verifier_core::algorithm::Algorithm as Known;
use verifier_core::error::UnavailableReason;
use verifier_core::time::{Instant, Now};
use verifier_core::trusted_keys::{Lookup, TrustedKeys};
use verifier_core::verifier::Asked;
use verifier_introspect::{ClientAuth, SignedAnswers};
use verifier_testkit::server::AnswerFlaw;
use verifier_testkit::{Algorithm, Fault, IntrospectionAuth, TokenRequest};

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
    for auth in [our_auth(), ClientAuth::post("api", verifier_core::secret::Secret::new("api-secret"))] {
        let desk = Desk::of(
            |server| server.introspection_auth(IntrospectionAuth::BasicOrPost),
            auth,
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
    }
    tokens.extend(signed_answers().await);
    let shown = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(shown.contains("the introspection endpoint refuses our credentials"), "our own lines are heard");
    assert!(shown.contains("an introspection answer isn't signed"), "for signed answers too");
    assert!(shown.contains("hyper"), "and those of the crates below");
    // base64 of "api:api-secret", and what the faults answered
    for secret in [
        "api-secret",
        "YXBpOmFwaS1zZWNyZXQ",
        "canary-header",
        "canary-parameter",
        "canary-body",
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
