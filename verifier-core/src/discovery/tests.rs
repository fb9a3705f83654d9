use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures::executor::block_on;
use http::Response;

use super::*;
use crate::endpoint::EndpointError;
use crate::transport::TransportError;

const ISSUER: &str = "https://idp.example/realms/main";
const OPENID: &str = "https://idp.example/realms/main/.well-known/openid-configuration";
const OAUTH: &str = "https://idp.example/.well-known/oauth-authorization-server/realms/main";

/// Answers in turn, and keeps what it was asked.
#[derive(Debug, Default)]
struct Script {
    answers: Mutex<VecDeque<Result<(u16, String), TransportError>>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl HttpTransport for Script {
    async fn send(&self, request: Request<Bytes>, _: Limits) -> Result<Response<Bytes>, TransportError> {
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.headers()[header::ACCEPT], "application/json");
        self.asked.lock().unwrap().push(request.uri().to_string());
        let (status, body) = self.answers.lock().unwrap().pop_front().expect("asked too often")?;
        Ok(Response::builder().status(status).body(body.into()).unwrap())
    }
}

fn limits() -> Limits {
    Limits { connect: Duration::from_secs(1), total: Duration::from_secs(2), body: 65_536 }
}

fn ask(answers: &[Result<(u16, &str), TransportError>]) -> (Result<Metadata, &'static str>, Vec<String>) {
    let script = Arc::new(Script::default());
    *script.answers.lock().unwrap() =
        answers.iter().map(|answer| answer.map(|(status, body)| (status, body.to_owned()))).collect();
    let discovery = Discovery::new(ISSUER, Schemes::Secure, script.clone(), limits()).unwrap();
    let metadata = block_on(discovery.metadata()).map_err(Unavailable::code);
    let asked = script.asked.lock().unwrap().clone();
    (metadata, asked)
}

fn document(issuer: &str) -> String {
    format!(r#"{{"issuer":{issuer:?},"jwks_uri":"https://idp.example/keys"}}"#)
}

#[test]
fn the_first_place_is_enough() {
    let (metadata, asked) = ask(&[Ok((200, &document(ISSUER)))]);
    assert_eq!(metadata.unwrap().jwks_uri(), Some("https://idp.example/keys"));
    assert_eq!(asked, [OPENID]);
}

#[test]
fn the_second_place_is_asked_where_the_first_has_nothing() {
    for status in [404, 400, 403, 410, 204, 302] {
        let (metadata, asked) = ask(&[Ok((status, "")), Ok((200, &document(ISSUER)))]);
        assert!(metadata.is_ok(), "{status}");
        assert_eq!(asked, [OPENID, OAUTH]);
    }
    let (metadata, _) = ask(&[Ok((404, "")), Ok((404, ""))]);
    assert_eq!(metadata.err(), Some("unreadable_answer"));
    let (metadata, _) = ask(&[Ok((302, "")), Ok((404, ""))]);
    assert_eq!(metadata.err(), Some("redirected"), "the configured address is off");
}

#[test]
fn a_server_in_trouble_is_not_asked_again() {
    for (answer, code) in [
        (Ok((500, "")), "server_error"),
        (Ok((503, "")), "server_error"),
        (Ok((429, "")), "rate_limited"),
        (Err(TransportError::Connect), "connect_failed"),
        (Err(TransportError::TimedOut), "timed_out"),
        (Err(TransportError::Tls), "tls_failed"),
        (Err(TransportError::BodyTooLarge), "unreadable_answer"),
    ] {
        let (metadata, asked) = ask(&[answer]);
        assert_eq!((metadata.err(), asked.len()), (Some(code), 1));
    }
}

// G11
#[test]
fn another_issuers_document_is_a_contradiction() {
    for issuer in [
        "https://idp.example/realms/main/",
        "https://IDP.example/realms/main",
        "https://idp.example",
        "http://idp.example/realms/main",
    ] {
        let (metadata, asked) = ask(&[Ok((200, &document(issuer)))]);
        assert_eq!((metadata.err(), asked.len()), (Some("misconfigured"), 1), "{issuer}");
    }
}

#[test]
fn what_is_no_document_is_unreadable() {
    let doubled = format!(r#"{{"issuer":{ISSUER:?},"issuer":{ISSUER:?}}}"#);
    for body in ["", "[]", "<html>", "null", r#"{"jwks_uri":"https://idp.example/keys"}"#, &doubled] {
        let twice = [Ok((200, body)), Ok((404, ""))];
        assert_eq!(ask(&twice).0.err(), Some("unreadable_answer"), "{body}");
        // Single-page applications answer every path with their page.
        assert!(ask(&[Ok((200, body)), Ok((200, &document(ISSUER)))]).0.is_ok(), "{body}");
    }
}

#[test]
fn an_issuer_that_may_not_be_asked_is_refused() {
    let new = |issuer: &str, schemes| {
        Discovery::new(issuer, schemes, Arc::new(Script::default()), limits()).map(|_| ())
    };
    assert_eq!(new("http://idp.example", Schemes::Secure), Err(EndpointError::PlainHttp));
    assert_eq!(new("http://idp.example", Schemes::DangerPlainHttp), Ok(()));
    assert_eq!(new("http://127.0.0.1:8080", Schemes::Secure), Ok(()));
    for issuer in
        ["", "idp.example", "file:///etc/passwd", "https://idp.example/?x", "https://idp.example/#x"]
    {
        assert_eq!(new(issuer, Schemes::Secure), Err(EndpointError::NotAUrl), "{issuer}");
    }
}
