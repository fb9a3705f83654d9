//! No line of any crate below, at TRACE, shows a token or a secret.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use support::{ASKED, Desk, our_auth, secs, transport};
use tracing_subscriber::fmt::MakeWriter;
use verifier_introspect::ClientAuth;
use verifier_testkit::{Fault, IntrospectionAuth};

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
    let shown = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(shown.contains("the introspection endpoint refuses our credentials"), "our own lines are heard");
    assert!(shown.contains("hyper"), "and those of the crates below");
    // base64 of "api:api-secret", and what the faults answered
    for secret in ["api-secret", "YXBpOmFwaS1zZWNyZXQ", "canary-header", "canary-parameter", "canary-body"] {
        assert!(!shown.contains(secret), "{secret}");
    }
    for token in tokens {
        assert!(!shown.contains(&token));
    }
}
