//! What becomes of the address that metadata named, when metadata or keys can't be had: by a transport that does as it is
//! told, a hung server included.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, Response, header};
use verifier_core::discovery::Discovery;
use verifier_core::endpoint::Schemes;
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::transport::{HttpTransport, Limits, TransportError};
use verifier_jwks::{DiscoverySource, ETag, Fetched, KeySource as _, RefreshConfig};
use verifier_testkit::ManualClock;

const ISSUER: &str = "https://idp.example";
const METADATA: &str = "/.well-known/openid-configuration";

#[derive(Clone)]
enum Does {
    Answers(u16, String),
    Hangs,
}

/// Servers by script: what each path does, and what was asked of it.
#[derive(Default)]
struct Scripted {
    paths: Mutex<HashMap<String, Does>>,
    validators: Mutex<Vec<(String, Option<String>)>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl HttpTransport for Scripted {
    async fn send(&self, request: Request<Bytes>, _: Limits) -> Result<Response<Bytes>, TransportError> {
        let path = request.uri().path().to_owned();
        let validator = request.headers().get(header::IF_NONE_MATCH);
        let validator = validator.map(|value| value.to_str().unwrap().to_owned());
        self.validators.lock().unwrap().push((path.clone(), validator));
        let does = self.paths.lock().unwrap().get(&path).cloned();
        match does.unwrap_or(Does::Answers(404, String::new())) {
            Does::Hangs => futures::future::pending().await,
            Does::Answers(status, body) => {
                // Servers count their versions, each from 1.
                let answer = Response::builder().status(status).header(header::ETAG, "\"1\"");
                Ok(answer.body(body.into()).unwrap())
            }
        }
    }
}

struct Scene {
    servers: Arc<Scripted>,
    clock: ManualClock,
    source: DiscoverySource,
}

impl Scene {
    fn new() -> Self {
        let (servers, clock) = (Arc::new(Scripted::default()), ManualClock::new());
        let limits = RefreshConfig::default().limits();
        let discovery = Discovery::new(ISSUER, Schemes::Secure, Arc::clone(&servers) as _, limits).unwrap();
        let source = DiscoverySource::new(
            discovery,
            Schemes::Secure,
            Arc::clone(&servers) as _,
            limits,
            Arc::new(clock.clone()),
        );
        let scene = Self { servers, clock, source };
        scene.metadata_names("/a");
        scene.path("/a", Does::Answers(200, "{}".into()));
        scene
    }

    fn path(&self, path: &str, does: Does) {
        self.servers.paths.lock().unwrap().insert(path.into(), does);
    }

    fn metadata_names(&self, path: &str) {
        let document = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{ISSUER}{path}"}}"#);
        self.path(METADATA, Does::Answers(200, document));
    }

    /// One fetch; `None` if it hangs, and is dropped as the store drops it when its time is over.
    fn fetch(&self, known: Option<&ETag>) -> Option<Result<Fetched, Unavailable>> {
        self.source.fetch(known).now_or_never()
    }
}

fn validator(fetched: Option<Result<Fetched, Unavailable>>) -> ETag {
    match fetched {
        Some(Ok(Fetched::Document { etag: Some(etag), .. })) => etag,
        other => panic!("{other:?}"),
    }
}

#[test]
fn metadata_that_hangs_takes_away_no_address_that_works() {
    let scene = Scene::new();
    validator(scene.fetch(None));
    scene.clock.advance(Duration::from_secs(3_601));
    scene.path(METADATA, Does::Hangs);
    assert!(scene.fetch(None).is_none(), "the metadata is due");
    validator(scene.fetch(None));

    // It is tried again, and so is the address after each failure.
    assert!(scene.fetch(None).is_none());
    validator(scene.fetch(None));
    scene.metadata_names("/b");
    scene.path("/b", Does::Answers(200, "{}".into()));
    validator(scene.fetch(None));
    assert_eq!(scene.servers.validators.lock().unwrap().last().unwrap().0, "/b");
}

#[test]
fn an_address_that_failed_once_is_asked_again_while_the_metadata_cannot_be_had() {
    let scene = Scene::new();
    validator(scene.fetch(None));
    scene.path("/a", Does::Answers(503, String::new()));
    scene.path(METADATA, Does::Answers(503, String::new()));
    assert!(scene.fetch(None).unwrap().is_err());
    scene.path("/a", Does::Answers(200, "{}".into()));
    validator(scene.fetch(None));

    // Wrong metadata does take it away.
    scene.path("/a", Does::Answers(503, String::new()));
    assert!(scene.fetch(None).unwrap().is_err());
    let foreign = r#"{"issuer":"https://other.example","jwks_uri":"https://idp.example/a"}"#;
    scene.path(METADATA, Does::Answers(200, foreign.into()));
    scene.path("/a", Does::Answers(200, "{}".into()));
    assert_eq!(scene.fetch(None).unwrap().unwrap_err().reason(), UnavailableReason::Misconfigured);
    scene.path(METADATA, Does::Hangs);
    for _ in 0..3 {
        assert!(scene.fetch(None).is_none(), "nothing is left to be asked");
    }
    scene.path(METADATA, Does::Answers(503, String::new()));
    assert!(scene.fetch(None).unwrap().is_err());
}

#[test]
fn an_address_that_hangs_is_looked_up_again() {
    let scene = Scene::new();
    validator(scene.fetch(None));
    scene.path("/a", Does::Hangs);
    assert!(scene.fetch(None).is_none());
    scene.metadata_names("/b");
    scene.path("/b", Does::Answers(200, "{}".into()));
    validator(scene.fetch(None));
    assert_eq!(scene.servers.validators.lock().unwrap().last().unwrap().0, "/b");

    // Once it is known again, it is taken from memory.
    validator(scene.fetch(None));
    let asked = scene.servers.validators.lock().unwrap().clone();
    assert_eq!(asked.iter().filter(|(path, _)| path == METADATA).count(), 2);
}

#[test]
fn a_validator_is_for_the_address_that_gave_it_though_another_answered_since() {
    let scene = Scene::new();
    let held = validator(scene.fetch(None));
    scene.clock.advance(Duration::from_secs(3_601));
    scene.metadata_names("/b");
    scene.path("/b", Does::Answers(200, "a page".into()));
    // Whoever reads this finds no keys in it, and goes on holding what the first address gave.
    validator(scene.fetch(Some(&held)));
    validator(scene.fetch(Some(&held)));
    let asked = scene.servers.validators.lock().unwrap().clone();
    let of_b: Vec<_> = asked.iter().filter(|(path, _)| path == "/b").collect();
    assert_eq!(of_b.len(), 2);
    assert!(of_b.iter().all(|(_, validator)| validator.is_none()), "{of_b:?}");

    // The one who gave it gets it.
    scene.metadata_names("/a");
    scene.clock.advance(Duration::from_secs(3_601));
    validator(scene.fetch(Some(&held)));
    let asked = scene.servers.validators.lock().unwrap().clone();
    assert_eq!(asked.last().unwrap(), &("/a".to_owned(), Some("\"1\"".to_owned())));
}

#[test]
fn an_https_issuer_may_not_name_a_plain_address_on_loopback() {
    let scene = Scene::new();
    let document = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"http://localhost/a"}}"#);
    scene.path(METADATA, Does::Answers(200, document));
    assert_eq!(scene.fetch(None).unwrap().unwrap_err().reason(), UnavailableReason::Misconfigured);
    assert!(scene.servers.validators.lock().unwrap().iter().all(|(path, _)| path != "/a"));
}
