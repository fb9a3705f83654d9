//! Backends of one's own, by their names in the configuration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::sync::Arc;

use stage::{Stage, code, rejected, section, unavailable};
use verifier::http::{Roots, TransportConfig};
use verifier::jwks::StaticSource;
use verifier::{Freshness, Rejection, UnavailableReason, VerifierConfig};
use verifier_testkit::doubles::{CountingBackend, CountingTransport, Reply, ScriptedChecker};
use verifier_testkit::{Algorithm, TokenRequest};

#[tokio::test]
async fn a_key_source_of_ones_own() {
    let stage = Stage::new();
    let server = stage.server();
    let source = StaticSource::jwk_set(server.jwks().to_string());
    let toml = format!("{}[issuer.keys]\nsource = 'custom:mine'\n", stage.section(&server, "jwks"));
    let verifier = stage.build_with(&toml, &stage.backends().keys("mine", Arc::new(source)));
    assert_eq!(code(&verifier.verify(&server.issue(TokenRequest::new()).token).await), "verified");
    assert_eq!(server.counts().total(), 0);
}

#[tokio::test]
async fn a_checker_of_ones_own_alone_and_beside_introspection() {
    let stage = Stage::new();
    let server = stage.server();
    let alone = section(server.issuer(), "hybrid", &stage.secret());
    let alone = alone.split("[issuer.introspection]").next().unwrap();
    let both = stage.section(&server, "hybrid");
    for (toml, asks) in [
        (format!("{alone}[issuer.revocation]\ncheckers = ['custom:mine']\n"), 0),
        (format!("{both}[issuer.revocation]\ncheckers = ['custom:mine', 'introspection']\n"), 1),
    ] {
        server.reset_counts();
        let checker = Arc::new(ScriptedChecker::always(Reply::active()));
        let verifier = stage.build_with(&toml, &stage.backends().revocation("mine", checker.clone()));
        let token = server.issue(TokenRequest::new()).token;
        assert_eq!(code(&verifier.verify(&token).await), "verified");
        assert_eq!((checker.calls(), server.counts().introspection), (1, asks));
        // Any that says inactive wins.
        checker.from_now_on(Reply::inactive());
        assert_eq!(rejected(verifier.verify(&token).await), Rejection::Inactive);
        checker.from_now_on(Reply::could_not_ask(UnavailableReason::StatusUnknown));
        let live = verifier
            .request(&server.issue(TokenRequest::new()).token)
            .freshness(Freshness::LIVE)
            .verify()
            .await;
        assert_eq!(unavailable(live), UnavailableReason::StatusUnknown);
    }
}

#[tokio::test]
async fn a_transport_and_a_signature_backend_of_ones_own() {
    let stage = Stage::new();
    let server = stage.server();
    let transport =
        CountingTransport::around(Arc::new(TransportConfig::new().roots(Roots::None).build().unwrap()));
    let signatures = CountingBackend::new();
    let backends =
        stage.backends().transport(Arc::new(transport.clone())).signatures(Arc::new(signatures.clone()));
    let toml = stage.section(&server, "hybrid");
    let verifier = stage.build_with(&toml, &backends);
    let token = server.issue(TokenRequest::new()).token;
    assert_eq!(code(&verifier.verify(&token).await), "verified");
    // A status miss costs one signature check, not two.
    assert_eq!(signatures.checks(), 1);
    assert_eq!(transport.sends() as u64, server.counts().total());

    // Settings that nobody would heed are refused.
    for line in [
        "connect = { 'https://a.example' = 'http://127.0.0.1:1' }",
        "proxy = 'http://127.0.0.1:1'",
        "ca_file = 'x'",
    ] {
        let toml = stage::section_and(server.issuer(), "jwks", &stage.secret(), line);
        let error = VerifierConfig::from_toml(&toml).unwrap().build_with(&backends).unwrap_err();
        assert_eq!(error.key_path(), format!("issuer[0].{}", line.split(' ').next().unwrap()));
        assert!(error.to_string().contains("Backends::transport"), "{error}");
    }
}

#[tokio::test]
async fn a_shared_secret_from_a_file_in_each_encoding() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    let stage = Stage::new();
    let secret = b"a shared secret of forty-two bytes, ??>>~~";
    let key = verifier_testkit::SigningKey::hmac(Algorithm::HS256, secret.as_slice());
    let server = stage.server_with(|builder| builder.signing_key(key));
    let token = server.issue(TokenRequest::new().without_header("kid")).token;
    for (encoding, text) in [
        ("utf8", String::from_utf8(secret.to_vec()).unwrap()),
        ("base64", STANDARD.encode(secret)),
        ("base64url", URL_SAFE_NO_PAD.encode(secret)),
    ] {
        std::fs::write(stage.secret(), format!("{text}\n")).unwrap();
        let toml = format!(
            "{}[issuer.keys]\nalgorithms = ['HS256']\nencoding = {encoding:?}\nsecret = {{ file = {:?} }}\n",
            stage.section(&server, "jwks"),
            stage.secret()
        );
        assert_eq!(code(&stage.build(&toml).verify(&token).await), "verified", "{encoding}");
    }
    assert_eq!(server.counts().total(), 0, "a shared secret is asked of nobody");
}
