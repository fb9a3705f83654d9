//! How we authenticate at the introspection endpoint, by configuration: that it works, and that what doesn't go together
//! is refused with its key.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use stage::{Stage, code};
use verifier::{ConfigError, VerifierConfig};
use verifier_testkit::{
    Algorithm, Client, Endpoint, Fault, Gate, IntrospectionAuth as Auth, SigningKey, TokenRequest,
};

const SECRET: &str = "canary: a secret that is long enough for HS256";

/// A section for `introspection` with these lines, secret and key in files.
fn section(stage: &Stage, issuer: &str, lines: &str) -> String {
    let path = |name: &str| format!("{{ file = {:?} }}", stage.secret().with_file_name(name));
    let lines = lines.replace("SECRET", &path("api")).replace("KEY", &path("key"));
    let text = stage::section(issuer, "introspection", &stage.secret());
    let (before, _) = text.split_once("client_id").unwrap();
    format!("{before}{}", lines.replace("CERT", &path("cert")))
}

fn key_file(stage: &Stage, text: &str) {
    std::fs::write(stage.secret().with_file_name("key"), text).unwrap();
}

#[tokio::test]
async fn every_method_works_by_configuration_with_every_strategy() {
    const GRANT: &str = "client_auth = 'client_credentials'\nclient_id = 'me'\n";
    let key = SigningKey::generate(Algorithm::EdDSA).with_kid("k1");
    for (lines, auth, token_auth) in [
        (
            "client_auth = 'client_secret_jwt'\nclient_id = 'me'\nclient_secret = SECRET",
            Auth::SecretJwt,
            None,
        ),
        (
            "client_auth = 'client_secret_jwt'\nclient_id = 'me'\nclient_secret = SECRET\n\
             client_assertion_algorithm = 'HS256'\nclient_assertion_audience = 'issuer'",
            Auth::SecretJwt,
            None,
        ),
        // The identifier in the form is all that a public client has.
        ("client_auth = 'none'\nclient_id = 'me'", Auth::Tls, None),
        ("client_auth = 'private_key_jwt'\nclient_id = 'me'\nclient_key = KEY", Auth::PrivateKeyJwt, None),
        (
            "client_auth = 'private_key_jwt'\nclient_id = 'me'\nclient_key = KEY\nclient_key_id = 'k1'\n\
             client_assertion_algorithm = 'Ed25519'",
            Auth::PrivateKeyJwt,
            None,
        ),
        (&format!("{GRANT}client_secret = SECRET"), Auth::Granted, Some(Auth::Basic)),
        (
            &format!(
                "{GRANT}client_secret = SECRET\n[issuer.introspection.client_credentials]\n\
                client_auth = 'client_secret_jwt'\nscope = 'introspection'\nparameters = {{ resource = 'urn:r' }}"
            ),
            Auth::Granted,
            Some(Auth::SecretJwt),
        ),
        (
            &format!(
                "{GRANT}client_key = KEY\n[issuer.introspection.client_credentials]\n\
                client_auth = 'private_key_jwt'\ntoken_endpoint = 'TOKEN'"
            ),
            Auth::Granted,
            Some(Auth::PrivateKeyJwt),
        ),
    ] {
        for strategy in ["introspection", "hybrid"] {
            let stage = Stage::new();
            std::fs::write(stage.secret(), SECRET).unwrap();
            key_file(&stage, &key.private_pem().unwrap());
            let server = stage.server_with(|builder| {
                builder
                    .client(Client::new("me", SECRET).key(key.clone()))
                    .introspection_auth(auth.clone())
                    .token_auth(token_auth.clone().unwrap_or_default())
            });
            let lines = lines.replace("TOKEN'", &format!("{}'", server.token_endpoint()));
            let toml = section(&stage, server.issuer(), &lines)
                .replace("\"introspection\"", &format!("{strategy:?}"));
            let verifier = stage.build(&toml);
            let issued = server.issue(TokenRequest::new());
            assert_eq!(code(&verifier.verify(&issued.token).await), "verified", "{toml}");
            assert_eq!(server.counts().introspection, 1);
            assert_eq!(server.counts().token, u64::from(token_auth.is_some()));
        }
    }
}

#[tokio::test]
async fn contradictions_name_the_key_and_the_method() {
    let stage = Stage::new();
    std::fs::write(stage.secret(), SECRET).unwrap();
    let rsa = SigningKey::generate(Algorithm::RS256);
    key_file(&stage, &rsa.private_pem().unwrap());
    std::fs::write(stage.secret().with_file_name("cert"), "no certificate").unwrap();
    let refused = |lines: &str| -> ConfigError {
        let toml = section(&stage, "https://as.example", lines);
        let config = VerifierConfig::from_toml(&toml).unwrap_or_else(|error| panic!("{error}\n{toml}"));
        config.build_with(&stage.backends()).err().unwrap_or_else(|| panic!("built: {toml}"))
    };
    const BASIC: &str = "client_id = 'me'\nclient_secret = SECRET\n";
    const JWT: &str = "client_auth = 'client_secret_jwt'\nclient_id = 'me'\nclient_secret = SECRET\n";
    const SIGNED: &str = "client_auth = 'private_key_jwt'\nclient_id = 'me'\nclient_key = KEY\n";
    const TLS: &str = "client_auth = 'tls_client_auth'\nclient_id = 'me'\n";
    const GRANT: &str = "client_auth = 'client_credentials'\nclient_id = 'me'\nclient_secret = SECRET\n";
    const INNER: &str = "[issuer.introspection.client_credentials]\n";
    let rows: &[(String, &str, &[&str])] = &[
        (format!("{BASIC}client_key = KEY"), "client_key", &["client_secret_basic", "leave one out"]),
        (format!("{BASIC}client_key_id = 'k'"), "client_key_id", &["client_secret_basic"]),
        (format!("client_auth = 'bearer'\n{BASIC}"), "client_id", &["bearer", "leave one out"]),
        (
            format!("{BASIC}client_assertion_algorithm = 'RS256'"),
            "client_assertion_algorithm",
            &["client_secret_basic"],
        ),
        (format!("{BASIC}client_certificate = CERT"), "client_certificate", &["client_secret_basic"]),
        (format!("{BASIC}{INNER}scope = 's'"), "client_credentials", &["client_secret_basic"]),
        (format!("{JWT}client_key = KEY"), "client_key", &["client_secret_jwt"]),
        (
            format!("{JWT}client_assertion_algorithm = 'RS256'"),
            "client_assertion_algorithm",
            &["RS256", "client_secret_jwt"],
        ),
        (format!("{JWT}client_assertion_algorithm = 'HS512'"), "client_secret", &["HS512", "64"]),
        (format!("{JWT}client_assertion_algorithm = 'none'"), "client_assertion_algorithm", &["none"]),
        (
            format!("{JWT}client_assertion_audience = 'issuers'"),
            "client_assertion_audience",
            &["issuers", "endpoint", "URI"],
        ),
        (format!("{SIGNED}client_secret = SECRET"), "client_secret", &["private_key_jwt", "leave one out"]),
        (format!("{SIGNED}client_certificate = CERT"), "client_certificate", &["private_key_jwt"]),
        (
            format!("{SIGNED}client_assertion_algorithm = 'ES256'"),
            "client_assertion_algorithm",
            &["RSA key", "ES256"],
        ),
        (
            format!("{SIGNED}client_assertion_algorithm = 'HS256'"),
            "client_assertion_algorithm",
            &["HS256", "private_key_jwt"],
        ),
        ("client_auth = 'private_key_jwt'\nclient_id = 'me'".into(), "client_key", &["env", "file"]),
        (
            "client_auth = 'private_key_jwt'\nclient_id = 'me'\nclient_key = SECRET".into(),
            "client_key",
            &["neither"],
        ),
        (
            "client_auth = 'private_key_jwt'\nclient_id = 'me'\nclient_key = { file = '/nowhere/k' }".into(),
            "client_key",
            &["/nowhere/k"],
        ),
        ("client_auth = 'private_key_jwt'\nclient_key = KEY".into(), "client_id", &["needed"]),
        (TLS.to_owned(), "client_certificate", &["tls_client_auth"]),
        (format!("{TLS}client_certificate = CERT"), "client_key", &["tls_client_auth"]),
        (format!("{TLS}client_certificate = CERT\nclient_key = KEY"), "client_certificate", &["certificate"]),
        (
            format!("{TLS}client_certificate = CERT\nclient_key = KEY\nclient_key_id = 'k'"),
            "client_certificate",
            &["certificate"],
        ),
        (
            format!("{TLS}client_certificate = {{ file = '/nowhere/c' }}\nclient_key = KEY"),
            "client_certificate",
            &["/nowhere/c"],
        ),
        (format!("{GRANT}{INNER}client_auth = 'bearer'"), "client_credentials.client_auth", &["bearer"]),
        (
            format!("{GRANT}{INNER}client_auth = 'client_credentials'"),
            "client_credentials.client_auth",
            &["client_credentials"],
        ),
        (
            format!("{GRANT}{INNER}client_auth = 'private_key_jwt'"),
            "client_secret",
            &["private_key_jwt", "client_credentials.client_auth"],
        ),
        (
            format!("{GRANT}{INNER}token_endpoint = 'http://as.example/token'"),
            "client_credentials.token_endpoint",
            &["plain http"],
        ),
        (
            format!("{GRANT}{INNER}parameters = {{ grant_type = 'password' }}"),
            "client_credentials.parameters",
            &["grant_type"],
        ),
        ("client_auth = 'client_credentials'".into(), "client_id", &["needed"]),
    ];
    for (lines, key, words) in rows {
        let error = refused(lines);
        let shown = error.to_string();
        assert_eq!(error.key_path(), format!("issuer[0].introspection.{key}"), "{lines}\n{shown}");
        assert!(words.iter().all(|word| shown.contains(word)), "{shown}: {words:?}\n{lines}");
        assert!(!shown.contains("canary") && !shown.contains("BEGIN"), "{shown}");
    }
    // TLS that isn't.
    let plain =
        section(&stage, "http://127.0.0.1:1", &format!("{TLS}client_certificate = CERT\nclient_key = KEY"));
    let error = VerifierConfig::from_toml(&plain).unwrap().build_with(&stage.backends()).unwrap_err();
    assert_eq!(error.key_path(), "issuer[0].introspection.client_auth");
    assert!(error.to_string().contains("plain http"), "{error}");
    // Nor is it where the issuer alone is asked by TLS, and the address at which we are to be known isn't.
    let tls = format!("{TLS}client_certificate = CERT\nclient_key = KEY\n");
    let grant = tls.replace("client_auth = 'tls_client_auth'", "client_auth = 'client_credentials'");
    for (top, lines, key) in [
        ("", format!("{tls}endpoint = 'HTTP://as.example/introspect'"), "client_auth"),
        (
            "connect = { 'https://as.example' = 'http://127.0.0.1:1' }",
            format!("{tls}endpoint = 'https://as.example/introspect'"),
            "client_auth",
        ),
        (
            "",
            format!(
                "{grant}{INNER}client_auth = 'tls_client_auth'\ntoken_endpoint = 'http://as.example/token'"
            ),
            "client_credentials.client_auth",
        ),
    ] {
        let plain = section(&stage, "https://as.example", &lines)
            .replace("audience", &format!("danger_allow_http = true\n{top}\naudience"));
        let error = VerifierConfig::from_toml(&plain).unwrap().build_with(&stage.backends()).unwrap_err();
        assert_eq!(error.key_path(), format!("issuer[0].introspection.{key}"), "{error}");
        assert!(error.to_string().contains("plain http"), "{error}");
    }
    // Literals are refused wherever a secret may stand.
    for key in ["client_key", "client_certificate"] {
        let toml = section(&stage, "https://as.example", &format!("{BASIC}{key} = 'canary'"));
        let error = VerifierConfig::from_toml(&toml).unwrap_err();
        assert!(error.to_string().contains("env") && !error.to_string().contains("canary"), "{error}");
    }
    let toml = format!(
        "{GRANT}{INNER}parameters = {{ api_key = 'canary' }}\ntoken_endpoint = 'https://u:canary@as.example'"
    );
    let config = VerifierConfig::from_toml(&section(&stage, "https://as.example", &toml)).unwrap();
    assert!(!format!("{config:?}").contains("canary"), "{config:?}");
}

/// One call failed, however many wait for it.
#[tokio::test]
async fn one_failed_discovery_opens_no_breaker() {
    let stage = Stage::new();
    let server = stage.server();
    let verifier = stage.build(&stage.section(&server, "introspection"));
    let gate = Gate::new();
    let failing =
        Fault::Then(Box::new(Fault::Delay(gate.clone())), Box::new(Fault::Status(500, String::new())));
    server.faults().next(Endpoint::Discovery, 1, failing);
    let tokens: Vec<_> = (0..20).map(|_| server.issue(TokenRequest::new().opaque()).token).collect();
    let waiting = futures::future::join_all(tokens.iter().map(|token| verifier.verify(token)));
    let later = async {
        while verifier.health().upstream.unwrap().in_flight < 20 {
            tokio::task::yield_now().await;
        }
        gate.open();
    };
    let (verdicts, ()) = futures::future::join(waiting, later).await;
    assert!(verdicts.iter().all(|verdict| code(verdict) == "server_error"), "{verdicts:?}");
    assert_eq!(verifier.health().upstream.unwrap().consecutive_failures, 1);
    assert_eq!(code(&verifier.verify(&tokens[0]).await), "verified", "the door is open");
}
