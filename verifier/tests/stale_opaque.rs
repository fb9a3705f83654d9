//! Opaque tokens under hybrid while their server fails: `when_unknown` holds for them, too, and no further.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::time::Duration;

use stage::{Stage, code, section_and};
use verifier::core::evidence::RevocationBasis;
use verifier::{Freshness, RevocationEvent, Verifier};
use verifier_testkit::{AuthorizationServer, Endpoint, Fault, TokenRequest};

const STALE: &str = "[issuer.revocation]\nfreshness = \"30s\"\nwhen_unknown = { allow_stale = \"10m\" }\n";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn verifier(stage: &Stage, server: &AuthorizationServer, revocation: &str) -> Verifier {
    let section = section_and(server.issuer(), "hybrid", &stage.secret(), "opaque = \"introspect\"");
    // Retries wait in real time.
    stage.build_with(&format!("{section}{revocation}"), &stage.real_timers())
}

fn down(server: &AuthorizationServer) {
    server.faults().on(Endpoint::Introspection, Fault::Status(503, String::new()));
}

#[tokio::test]
async fn what_was_last_known_active_is_accepted_up_to_the_allowance() {
    let stage = Stage::new();
    let server = stage.server();
    let (allowing, denying) = (verifier(&stage, &server, STALE), verifier(&stage, &server, ""));
    let token = server.issue(TokenRequest::new().opaque().lifetime(secs(3600))).token;
    for verifier in [&allowing, &denying] {
        assert_eq!(code(&verifier.verify(&token).await), "verified");
    }
    down(&server);
    stage.clock.advance(secs(599));
    let verified = allowing.verify(&token).await.unwrap();
    assert!(matches!(verified.evidence().revocation, RevocationBasis::Stale { .. }));
    assert_eq!(verified.revocation_age(), Some(secs(599)));
    assert_eq!(code(&denying.verify(&token).await), "server_error");
    // A demand of the request binds also then.
    for (demand, expected) in [
        (Freshness::LIVE, false),
        (Freshness::at_most(secs(598)), false),
        (Freshness::at_most(secs(599)), true),
    ] {
        let outcome = allowing.request(&token).freshness(demand).verify().await;
        assert_eq!(outcome.is_ok(), expected, "{demand:?}: {}", code(&outcome));
    }
    stage.clock.advance(secs(2));
    let over = allowing.verify(&token).await;
    assert!(over.is_err_and(|error| error.status() == 503));
    server.faults().clear_all();
    stage.clock.advance(secs(300)); // past the pause of the circuit breaker
    let verified = allowing.verify(&token).await.unwrap();
    assert!(matches!(verified.evidence().revocation, RevocationBasis::Active { .. }));
}

#[tokio::test]
async fn nothing_stale_stands_in_for_what_the_server_says_or_an_event_ended() {
    let stage = Stage::new();
    let server = stage.server();
    let verifier = verifier(&stage, &server, STALE);
    let issue = || server.issue(TokenRequest::new().opaque().lifetime(secs(3600)));
    let (revoked, ended, refused, unknown) = (issue(), issue(), issue(), issue());
    for issued in [&revoked, &ended, &refused] {
        assert_eq!(code(&verifier.verify(&issued.token).await), "verified");
    }
    stage.clock.advance(secs(31));
    server.revoke(&revoked.token);
    assert_eq!(code(&verifier.verify(&revoked.token).await), "inactive");
    verifier
        .revoke(&RevocationEvent::Subject {
            issuer: server.issuer().to_owned(),
            subject: ended.subject.clone(),
            issued_at_or_before: stage.clock.unix_seconds(),
        })
        .unwrap();
    // The server answers, and won't tell of this one.
    server.faults().on(Endpoint::Introspection, Fault::Status(400, String::new()));
    assert_eq!(code(&verifier.verify(&refused.token).await), "refused_by_server");

    down(&server);
    stage.clock.advance(secs(31));
    for (issued, name) in [(&revoked, "inactive"), (&ended, "revoked by event"), (&unknown, "never seen")] {
        assert!(verifier.verify(&issued.token).await.is_err(), "{name}");
    }
}
