//! Neither our client secret or key, nor what they sign or get us, nor a token shows in anything that we or our dependencies write: events at TRACE, log
//! records, errors, `Debug` of whatever is public, health. One test in this file: subscribers are the process's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use stage::Stage;
use verifier::{Freshness, Verifier, VerifierConfig};
use verifier_testkit::{
    Algorithm, Answer, AuthorizationServer, Client, Endpoint, Fault, IntrospectionAuth, SigningKey,
    TokenRequest,
};

const SECRET: &str = "canary+secret/%with odd&characters=0123456789";

/// What everybody writes to.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl log::Log for Paper {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(self.clone(), "{} {}: {}", record.level(), record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}

impl Paper {
    fn note(&self, what: impl std::fmt::Display) {
        writeln!(self.clone(), "{what}").unwrap();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// All forms in which the secret travels.
fn forms_of_the_secret() -> Vec<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let strict = encoded.replace('+', "%20");
    let mut forms = vec![SECRET.to_owned(), encoded.clone(), strict.clone(), "canary".to_owned()];
    for secret in [SECRET, &encoded, &strict] {
        let pair = STANDARD.encode(format!("api:{secret}"));
        forms.push(pair.trim_end_matches('=').to_owned());
        forms.push(STANDARD.encode(secret).trim_end_matches('=').to_owned());
    }
    forms
}

/// A token, and those of its parts that say something.
fn forms_of(token: &str) -> Vec<String> {
    let mut forms = vec![token.to_owned()];
    let parts: Vec<&str> = token.split('.').collect();
    if let [_, payload, signature] = parts.as_slice() {
        forms.extend([(*payload).to_owned(), (*signature).to_owned()]);
        forms.push(String::from_utf8_lossy(&URL_SAFE_NO_PAD.decode(payload).unwrap()).into_owned());
    }
    forms
}

/// What was signed or got for a request, in the forms in which it travelled.
fn forms_of_credentials(server: &AuthorizationServer) -> Vec<String> {
    let mut forms = Vec::new();
    for request in [Endpoint::Introspection, Endpoint::Token].into_iter().flat_map(|at| server.requests(at)) {
        forms.extend(request.form("client_assertion").iter().flat_map(|assertion| forms_of(assertion)));
        let header = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        let token = header.and_then(|text| text.strip_prefix("Bearer "));
        forms.extend(token.into_iter().flat_map(forms_of));
    }
    forms
}

async fn ask(paper: &Paper, verifier: &Verifier, token: &str) {
    for demand in [Freshness::CONFIGURED, Freshness::LIVE] {
        let request = verifier.request(token).freshness(demand).within(Duration::from_secs(2));
        paper.note(format_args!("{request:?}"));
        match request.verify().await {
            Ok(accepted) => paper.note(format_args!("{accepted:?} {:?}", accepted.evidence())),
            Err(error) => {
                paper.note(format_args!("{error} {error:?} {:?}", verifier.challenge(error)));
                paper.note(format_args!(
                    "{:?}",
                    verifier.challenge(error).map(|challenge| challenge.to_header_value())
                ));
            }
        }
    }
    paper.note(format_args!("{verifier:?} {:?} {:?}", verifier.health(), verifier.revocations()));
}

#[tokio::test]
async fn nothing_that_is_written_holds_a_secret_or_a_token() {
    let paper = Paper::default();
    let events = paper.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || events.clone())
        .init();
    log::set_boxed_logger(Box::new(paper.clone())).unwrap();
    log::set_max_level(log::LevelFilter::Trace);

    let mut forms = forms_of_the_secret();
    let key = SigningKey::generate(Algorithm::ES256);
    let pem = key.private_pem().unwrap();
    // The last lines of PEM are the key itself; the first are the same for all.
    forms.extend(pem.lines().filter(|line| !line.starts_with("-----")).skip(1).map(str::to_owned));
    for (auth, name) in [
        (IntrospectionAuth::Basic, "client_secret_basic"),
        (IntrospectionAuth::Post, "client_secret_post"),
        (IntrospectionAuth::Bearer(SECRET.to_owned()), "bearer"),
        (IntrospectionAuth::SecretJwt, "client_secret_jwt"),
        (IntrospectionAuth::PrivateKeyJwt, "private_key_jwt"),
        (IntrospectionAuth::Granted, "client_credentials"),
    ] {
        for strategy in stage::STRATEGIES {
            let stage = Stage::new();
            let server = stage.server_with(|builder| {
                builder
                    .client(Client::new("api", SECRET).key(key.clone()))
                    .introspection_auth(auth.clone())
                    .granted_lifetime(Duration::from_secs(1))
            });
            let by_key = name == "private_key_jwt";
            std::fs::write(stage.secret(), if by_key { &pem } else { SECRET }).unwrap();
            let id = if name == "bearer" { "" } else { "client_id = \"api\"" };
            let mut toml = stage
                .section(&server, strategy)
                .replace("client_id = \"api\"", &format!("{id}\nclient_auth = {name:?}"));
            if by_key {
                toml = toml.replace("client_secret", "client_key");
            }
            let config = VerifierConfig::from_toml(&toml).unwrap();
            let backends = stage.real_timers();
            paper.note(format_args!("{config:?} {:?} {backends:?}", config.warnings()));

            for fault in [
                None,
                Some(Fault::Status(401, "who are you?".into())),
                Some(Fault::Status(500, "sorry".into())),
                Some(Fault::Redirect("http://127.0.0.1:1/elsewhere".into())),
                Some(Fault::Html200),
                Some(Fault::HalfBody),
                Some(Fault::Close),
            ] {
                let verifier = config.build_with(&backends).unwrap();
                let jwt = server.issue(TokenRequest::new()).token;
                let opaque = server.issue(TokenRequest::new().opaque()).token;
                let wrong = server.issue(TokenRequest::new().audience("https://other.example")).token;
                let _ = verifier.ready(Duration::from_secs(2)).await;
                if let Some(fault) = &fault {
                    server.faults().on(Endpoint::Introspection, fault.clone());
                }
                for token in [&jwt, &opaque, &wrong] {
                    ask(&paper, &verifier, token).await;
                    paper.note(format_args!(
                        "{:?}",
                        verifier.authorization([format!("Bearer {token}").as_bytes()])
                    ));
                    forms.extend(forms_of(token));
                }
                server.faults().clear_all();
                // The token endpoint, too.
                if name == "client_credentials" && strategy != "jwks" {
                    for fault in [Fault::Status(401, String::new()), Fault::Html200, Fault::HalfBody] {
                        server.faults().on(Endpoint::Token, fault);
                        let verifier = config.build_with(&backends).unwrap();
                        ask(&paper, &verifier, &jwt).await;
                        server.faults().clear_all();
                    }
                }
                forms.extend(forms_of_credentials(&server));
            }

            // A server that answers with what it was asked.
            let verifier = config.build_with(&backends).unwrap();
            let jwt = server.issue(TokenRequest::new()).token;
            server.override_answer(
                Endpoint::Introspection,
                Answer::new(400, format!("{{\"error\":\"{jwt} {SECRET}\"}}")),
            );
            ask(&paper, &verifier, &jwt).await;
            server.clear_override(Endpoint::Introspection);
            // Nobody there.
            server.refuse_connections();
            let verifier = config.build_with(&backends).unwrap();
            ask(&paper, &verifier, &jwt).await;
            forms.extend(forms_of(&jwt));
            // Spoken to in TLS, where nobody speaks it.
            server.accept_connections().unwrap();
            let endpoint = server.introspection_endpoint().replace("http:", "https:");
            if strategy != "jwks" {
                let toml = toml.replace("client_auth", &format!("endpoint = {endpoint:?}\nclient_auth"));
                let verifier = VerifierConfig::from_toml(&toml).unwrap().build_with(&backends).unwrap();
                ask(&paper, &verifier, &server.issue(TokenRequest::new()).token).await;
            }
        }
    }

    forms.sort();
    forms.dedup();
    let text = paper.text();
    for writer in ["hyper", "reqwest", "verifier"] {
        assert!(text.contains(writer), "nothing of {writer} was written: is anybody listening?");
    }
    for word in
        ["token rejected", "token verified", "no verdict", "strategy=\"hybrid\"", "code=\"not_a_jwt\""]
    {
        assert!(text.contains(word), "the handle's events lack {word}");
    }
    for form in forms {
        if let Some(at) = text.find(&form) {
            let around: String =
                text[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
            panic!("a secret of {} characters was written after: {around}", form.len());
        }
    }
    // The handle's own events name nobody: not the issuer, not the subject, no key.
    for line in text.lines().filter(|line| line.contains("verifier::events")) {
        for word in ["127.0.0.1", "kid", "sub", "realms", "app"] {
            assert!(!line.contains(word), "{line}");
        }
        assert!(line.contains("DEBUG"), "{line}");
    }
}
