//! Every strategy that a configuration can name, and a backend of one's own, through the conformance suite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::sync::Arc;
use std::time::Duration;

use stage::{STRATEGIES, Stage};
use verifier::Verifier;
use verifier_testkit::conformance::{Kind, Subject, conformance};
use verifier_testkit::{Algorithm, AuthorizationServer, DEFAULT_AUDIENCE, SigningKey, TokenRequest};

/// Tokens of every kind by one server.
fn mint(server: &AuthorizationServer, strangers_key: &SigningKey, kind: Kind) -> Option<String> {
    let good = || TokenRequest::new().subject("alice").scope("orders:read");
    Some(match kind {
        Kind::Good => server.issue(good()).token,
        Kind::Expired => server.issue(good().issued_ago(Duration::from_secs(900))).token,
        Kind::OtherAudience => server.issue(good().audience("https://other.example")).token,
        Kind::OtherIssuer => {
            server.forge(good()).claim("iss", "https://stranger.example").sign(strangers_key)
        }
        Kind::Tampered => {
            let token = server.issue(good()).token;
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let (header, payload) = signed.split_once('.').unwrap();
            let flipped = if payload.ends_with('A') { "B" } else { "A" };
            format!("{header}.{}{flipped}.{signature}", &payload[..payload.len() - 1])
        }
        Kind::Revoked => {
            let token = server.issue(good()).token;
            assert!(server.revoke(&token));
            token
        }
        _ => return None,
    })
}

fn subject(
    stage: &Stage,
    verifier: &Verifier,
    server: &Arc<AuthorizationServer>,
    sees_revocation: bool,
) -> Subject {
    let (server, key) = (Arc::clone(server), server.signing_key().with_kid("stranger"));
    let issuer = server.issuer().to_owned();
    let subject = Subject::new(verifier.backend(), Arc::new(stage.clock.clone()), move |kind| {
        mint(&server, &key, kind)
    })
    .bearing(issuer, DEFAULT_AUDIENCE, "orders:read");
    if sees_revocation { subject.seeing_revocation() } else { subject }
}

#[tokio::test]
async fn every_strategy_conforms_alone() {
    for strategy in STRATEGIES {
        let stage = Stage::new();
        let server = Arc::new(stage.server());
        let verifier = stage.verifier(&server, strategy);
        let report = conformance(&subject(&stage, &verifier, &server, strategy != "jwks")).await;
        assert!(report.conforms(), "{strategy}: {report}");
    }
}

#[tokio::test]
async fn strategies_conform_where_answers_are_signed() {
    for strategy in ["introspection", "hybrid"] {
        let stage = Stage::new();
        let server = Arc::new(stage.server_with(|builder| builder.signs_answers(Algorithm::ES256)));
        let section = stage.section(&server, strategy) + "signed_answers = { algorithm = \"ES256\" }\n";
        let verifier = stage.build(&section);
        let report = conformance(&subject(&stage, &verifier, &server, true)).await;
        assert!(report.conforms(), "{strategy}: {report}");
    }
}

#[tokio::test]
async fn every_strategy_conforms_behind_the_router() {
    for strategy in STRATEGIES {
        let stage = Stage::new();
        let (server, other) = (Arc::new(stage.server()), stage.server());
        let toml = format!("{}{}", stage.section(&server, strategy), stage.section(&other, "jwks"));
        let verifier = stage.build(&toml);
        let report = conformance(&subject(&stage, &verifier, &server, strategy != "jwks")).await;
        assert!(report.conforms(), "{strategy}: {report}");
        assert_eq!(other.counts().introspection, 0);
    }
}
