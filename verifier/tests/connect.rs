//! The issuer is a name, not an address: its requests go where `connect` sends them, with the name they were meant for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use stage::{STRATEGIES, Stage, code, rejected, section};
use verifier::Rejection;
use verifier_testkit::{Endpoint, TokenRequest};

const NAME: &str = "https://idp.example.test";
const ISSUER: &str = "https://idp.example.test/realms/main";

#[tokio::test]
async fn all_that_an_origin_is_asked_for_goes_to_another_under_its_own_name() {
    for strategy in STRATEGIES {
        let stage = Stage::new();
        let server = stage.server_with(|builder| builder.issuer(ISSUER));
        // Loopback over plain http: no danger switch.
        let toml = format!(
            "{}[issuer.connect]\n{NAME:?} = {:?}\n",
            section(ISSUER, strategy, &stage.secret()),
            server.origin()
        );
        let verifier = stage.build(&toml);
        let accepted = verifier.verify(&server.issue(TokenRequest::new()).token).await.unwrap();
        assert_eq!(accepted.issuer(), ISSUER);

        let asked: &[Endpoint] = match strategy {
            "jwks" => &[Endpoint::Discovery, Endpoint::Jwks],
            "introspection" => &[Endpoint::Discovery, Endpoint::Introspection],
            _ => &[Endpoint::Discovery, Endpoint::Jwks, Endpoint::Introspection],
        };
        for endpoint in asked {
            let requests = server.requests(*endpoint);
            assert!(!requests.is_empty(), "{strategy}: {endpoint:?}");
            for request in requests {
                assert_eq!(request.header("host"), Some("idp.example.test"), "{strategy}: {endpoint:?}");
            }
        }
        // The name stays what it is, byte for byte.
        for name in [
            format!("{}/realms/main", server.origin()),
            format!("{ISSUER}/"),
            "http://idp.example.test/realms/main".into(),
        ] {
            let forged = server.forge(TokenRequest::new()).claim("iss", name).sign(&server.signing_key());
            let refusal = rejected(verifier.verify(&forged).await);
            assert!(
                matches!(refusal, Rejection::WrongIssuer | Rejection::Inactive),
                "{strategy}: {refusal:?}"
            );
        }
    }
}

#[tokio::test]
async fn addresses_in_the_configuration_take_the_detour_too() {
    let stage = Stage::new();
    let server = stage.server_with(|builder| builder.issuer(ISSUER));
    let toml = format!(
        "{}endpoint = {:?}\n[issuer.keys]\nurl = {:?}\n[issuer.connect]\n{NAME:?} = {:?}\n",
        section(ISSUER, "hybrid", &stage.secret()),
        server.introspection_endpoint(),
        server.jwks_uri(),
        server.origin()
    );
    assert!(server.jwks_uri().starts_with(NAME));
    let verifier = stage.build(&toml);
    assert_eq!(code(&verifier.verify(&server.issue(TokenRequest::new()).token).await), "verified");
    let counts = server.counts();
    assert_eq!((counts.discovery, counts.jwks, counts.introspection), (0, 1, 1));
}

#[tokio::test]
async fn metadata_that_names_plain_http_is_not_followed_though_the_detour_is() {
    let stage = Stage::new();
    let server = stage.server_with(|builder| builder.issuer(ISSUER));
    let mut metadata = server.metadata();
    metadata["jwks_uri"] = format!("{}/realms/main/jwks", server.origin()).into();
    server.override_metadata(&metadata);
    let toml = format!(
        "{}[issuer.connect]\n{NAME:?} = {:?}\n",
        section(ISSUER, "jwks", &stage.secret()),
        server.origin()
    );
    let verifier = stage.build(&toml);
    assert_eq!(code(&verifier.verify(&server.issue(TokenRequest::new()).token).await), "misconfigured");
    let why = verifier.health().keys.unwrap().last_error.unwrap();
    assert_eq!(why.code(), "misconfigured");
    assert_eq!(server.counts().jwks, 0);
}
