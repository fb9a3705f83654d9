//! Faults do on the socket what they say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod client;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream as StdTcpStream;
use std::sync::Arc;
use std::time::Duration;

use client::{Connection, Reply, get, path, post, resource_server};
use serde_json::json;
use verifier_testkit::{AuthorizationServer, Endpoint, Fault, Gate, ManualClock, TokenRequest};

async fn jwks(server: &AuthorizationServer) -> std::io::Result<Reply> {
    get(server.address(), &server.jwks_uri()).await
}

async fn introspect(server: &AuthorizationServer, token: &str) -> std::io::Result<Reply> {
    let form = format!("token={token}");
    post(server.address(), &server.introspection_endpoint(), Some(&resource_server()), &form).await
}

fn start() -> AuthorizationServer {
    AuthorizationServer::start().unwrap()
}

#[tokio::test]
async fn status_redirect_and_wrong_content() {
    let server = start();
    let with = async |fault: Fault| {
        server.faults().on(Endpoint::Jwks, fault);
        jwks(&server).await.unwrap()
    };
    let reply = with(Fault::Status(500, "oops".into())).await;
    assert_eq!((reply.status, reply.body.as_slice()), (500, b"oops".as_slice()));
    let reply = with(Fault::RetryAfter(429, 7)).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("7")));
    let reply = with(Fault::Redirect("http://127.0.0.1:1/x".into())).await;
    assert_eq!((reply.status, reply.header("location")), (307, Some("http://127.0.0.1:1/x")));
    let reply = with(Fault::ContentType("text/plain".into())).await;
    assert_eq!((reply.header("content-type"), reply.json()), (Some("text/plain"), server.jwks()));
    let reply = with(Fault::Html200).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html")));
    assert!(reply.body.starts_with(b"<"));
    let reply = with(Fault::EmptyBody).await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    let reply = with(Fault::HugeBody(3_000_000)).await;
    assert_eq!((reply.body.len(), reply.json()), (3_000_000, server.jwks()));
    let reply = with(Fault::ContentType("text/plain".into()).then(Fault::HugeBody(1_000))).await;
    assert_eq!((reply.header("content-type"), reply.body.len()), (Some("text/plain"), 1_000));
    let reply = with(Fault::DelayFor(Duration::from_millis(1))).await;
    assert_eq!(reply.json(), server.jwks());

    server.faults().clear(Endpoint::Jwks);
    assert_eq!(jwks(&server).await.unwrap().json(), server.jwks());
    assert_eq!(server.counts().jwks, 10);
}

#[tokio::test]
async fn connections_are_cut_before_and_in_the_middle_of_an_answer() {
    let server = start();
    server.faults().next(Endpoint::Jwks, 1, Fault::Close);
    let mut connection = Connection::open(server.address()).await.unwrap();
    let error = connection.ask("GET", path(&server.jwks_uri()), &[], "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(server.counts().jwks, 1, "the request was read");

    // Seen with std, which shows what was sent before the end.
    server.faults().next(Endpoint::Jwks, 1, Fault::HalfBody);
    let whole = server.jwks().to_string();
    let uri = server.jwks_uri();
    let mut stream = StdTcpStream::connect(server.address()).unwrap();
    write!(stream, "GET {} HTTP/1.1\r\nhost: x\r\n\r\n", path(&uri)).unwrap();
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    let text = String::from_utf8(received).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", whole.len())), "{head}");
    assert_eq!(body, &whole[..whole.len() / 2]);
}

#[tokio::test]
async fn an_endless_body_does_not_end_and_blocks_nobody() {
    let server = start();
    server.faults().next(Endpoint::Jwks, 1, Fault::EndlessBody);
    let mut endless = Connection::open(server.address()).await.unwrap();
    let reply = endless.ask("GET", path(&server.jwks_uri()), &[], "").await.unwrap();
    assert_eq!(reply.header("content-length"), None);
    assert_eq!(reply.body.len(), 1 << 20);
    // It is still being sent while another is served.
    assert_eq!(jwks(&server).await.unwrap().json(), server.jwks());
}

#[tokio::test]
async fn queued_faults_go_before_the_permanent_one() {
    let server = start();
    let faults = server.faults();
    faults.on(Endpoint::Jwks, Fault::Status(500, String::new()));
    faults.next(Endpoint::Jwks, 2, Fault::Status(501, String::new()));
    faults.next_good(Endpoint::Jwks, 1);
    faults.next(Endpoint::Jwks, 1, Fault::Status(502, String::new()));
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(jwks(&server).await.unwrap().status);
    }
    assert_eq!(seen, [501, 501, 200, 502, 500, 500]);
    let uri = format!("{}/.well-known/openid-configuration", server.issuer());
    assert_eq!(get(server.address(), &uri).await.unwrap().status, 200, "the others are as before");
    faults.clear_all();
    assert_eq!(jwks(&server).await.unwrap().status, 200);
}

#[tokio::test]
async fn flapping_fails_every_other_request() {
    let server = start();
    server.faults().on(Endpoint::Jwks, Fault::flapping());
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(jwks(&server).await.unwrap().status);
    }
    assert_eq!(seen, [503, 200, 503, 200, 503]);
}

#[tokio::test]
async fn a_delayed_request_is_judged_late_and_a_delayed_answer_early() {
    let server = Arc::new(start());
    for (early, active) in [(true, true), (false, false)] {
        let gate = Gate::new();
        let fault = if early { Fault::DelayAnswer(gate.clone()) } else { Fault::Delay(gate.clone()) };
        server.faults().next(Endpoint::Introspection, 1, fault);
        let issued = server.issue(TokenRequest::new());
        let asking = {
            let (server, token) = (Arc::clone(&server), issued.token.clone());
            tokio::spawn(async move { introspect(&server, &token).await.unwrap().active() })
        };
        gate.arrived(1).await;
        server.revoke(&issued.token);
        assert!(!asking.is_finished());
        gate.open();
        assert_eq!(asking.await.unwrap(), active, "early: {early}");
    }
}

#[tokio::test]
async fn a_gate_holds_many_and_lets_them_through_one_by_one() {
    let server = Arc::new(start());
    let gate = Gate::new();
    server.faults().on(Endpoint::Introspection, Fault::Delay(gate.clone()));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let server = Arc::clone(&server);
        asking.spawn(async move { introspect(&server, "x").await.unwrap().status });
    }
    gate.arrived(20).await;
    assert_eq!((gate.arrivals(), server.counts().introspection_peak), (20, 20));
    assert!(asking.try_join_next().is_none());
    gate.release(1);
    assert_eq!(asking.join_next().await.unwrap().unwrap(), 200);
    assert!(asking.try_join_next().is_none());
    gate.open();
    assert_eq!(asking.join_all().await, [200; 19]);

    gate.close();
    asking = tokio::task::JoinSet::new();
    let late = Arc::clone(&server);
    asking.spawn(async move { introspect(&late, "x").await.unwrap().status });
    gate.arrived(21).await;
    assert!(asking.try_join_next().is_none());
    gate.open();
    assert_eq!(asking.join_all().await, [200]);
}

#[tokio::test]
async fn a_delay_may_end_in_a_failure() {
    let server = start();
    let gate = Gate::new();
    gate.open();
    server.faults().on(Endpoint::Jwks, Fault::Delay(gate.clone()).then(Fault::Status(503, String::new())));
    assert_eq!(jwks(&server).await.unwrap().status, 503);
    server.faults().on(Endpoint::Jwks, Fault::Delay(gate.clone()).then(Fault::Close));
    assert_eq!(jwks(&server).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(gate.arrivals(), 2);
}

#[tokio::test]
async fn refused_connections_are_refused_on_the_socket_and_come_back_on_the_same_port() {
    let server = start();
    let mut kept = Connection::open(server.address()).await.unwrap();
    kept.ask("GET", path(&server.jwks_uri()), &[], "").await.unwrap();
    for _ in 0..3 {
        server.refuse_connections();
        server.refuse_connections();
        assert_eq!(jwks(&server).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert!(kept.ask("GET", path(&server.jwks_uri()), &[], "").await.is_err(), "closed as well");
        server.accept_connections().unwrap();
        server.accept_connections().unwrap();
        assert_eq!(jwks(&server).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_kept_connection_serves_many_requests_until_it_is_closed() {
    let server = start();
    let uri = server.jwks_uri();
    let mut connection = Connection::open(server.address()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(connection.ask("GET", path(&uri), &[], "").await.unwrap().status, 200);
    }
    assert_eq!((server.counts().connections, server.counts().jwks), (1, 3));
    server.close_connections();
    assert!(connection.ask("GET", path(&uri), &[], "").await.is_err());
    assert_eq!(server.counts().jwks, 3, "a closed connection reads nothing");
    assert_eq!(jwks(&server).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_dropped_server_gives_its_port_back_even_with_requests_held() {
    let server = start();
    let gate = Gate::new();
    server.faults().on(Endpoint::Jwks, Fault::Delay(gate.clone()));
    let address = server.address();
    let uri = server.jwks_uri();
    let held = tokio::spawn(async move { get(address, &uri).await.map(|reply| reply.status) });
    gate.arrived(1).await;
    drop(server);
    assert!(held.await.unwrap().is_err());
    assert_eq!(Connection::open(address).await.err().unwrap().kind(), ErrorKind::ConnectionRefused);
    AuthorizationServer::builder().port(address.port()).start().unwrap();
}

#[test]
fn everything_works_without_tokio() {
    let server = AuthorizationServer::builder().clock(ManualClock::new()).start().unwrap();
    let gate = Gate::new();
    server.faults().on(Endpoint::Introspection, Fault::Delay(gate.clone()));
    server.override_introspection(&json!({ "active": false }));
    let address = server.address();
    let target = path(&server.introspection_endpoint()).to_owned();
    let asking = std::thread::spawn(move || {
        let mut stream = StdTcpStream::connect(address).unwrap();
        write!(stream, "POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut received = String::new();
        stream.read_to_string(&mut received).unwrap();
        received
    });
    futures::executor::block_on(gate.arrived(1));
    gate.open();
    assert!(asking.join().unwrap().ends_with("{\"active\":false}"));
}
