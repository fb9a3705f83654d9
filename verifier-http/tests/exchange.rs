//! Exchanges with servers that say and do all sorts of things.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use support::Step::{Flood, Hold, Reset, Say, SayAndClose};
use support::{LIMITS, OK, Server, get, get_within, plain, transport};
use verifier_core::transport::{HttpTransport, Limits, TransportError};

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_form_arrives_whole_and_so_does_the_answer() {
    let server = Server::start(vec![vec![Say(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\netag: \"7\"\r\ncontent-length: 15\r\n\r\n{\"active\":true}",
    )]]);
    let request = Request::post(server.url("/introspect?x=1"))
        .header("authorization", "Basic YTpi")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from_static(b"token=t%2Bt"))
        .unwrap();
    let response = transport().send(request, LIMITS).await.unwrap();

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["etag"], "\"7\"");
    assert_eq!(response.body().as_ref(), br#"{"active":true}"#);
    let heard = server.requests().remove(0);
    assert!(heard.starts_with("POST /introspect?x=1 HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("authorization: Basic YTpi\r\n"), "{heard}");
    assert!(heard.contains("content-length: 11\r\n"), "{heard}");
    assert!(heard.contains("user-agent: verifier-http/"), "{heard}");
    assert!(heard.contains(&format!("host: {}\r\n", server.address)), "{heard}");
    assert!(heard.ends_with("\r\n\r\ntoken=t%2Bt"), "{heard}");
    assert!(!heard.to_lowercase().contains("accept-encoding"), "{heard}");
}

#[tokio::test]
async fn a_get_has_no_body() {
    let server = Server::start(vec![vec![Say(OK)]]);
    get(&transport(), &server.url("/jwks")).await.unwrap();
    let heard = server.requests().remove(0);
    assert!(!heard.contains("content-length") && !heard.contains("transfer-encoding"), "{heard}");
}

#[tokio::test]
async fn every_status_is_an_answer() {
    for (line, status) in [
        (&b"HTTP/1.1 304 Not Modified\r\n\r\n"[..], 304),
        (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", 401),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", 503),
    ] {
        let server = Server::start(vec![vec![Say(line)]]);
        assert_eq!(get(&transport(), &server.url("/")).await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_redirect_is_returned_not_followed() {
    let target = Server::start(vec![vec![Say(OK)]]);
    let moved = format!("HTTP/1.1 307 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.url("/"));
    let server = Server::start(vec![vec![Say(moved.leak().as_bytes())]]);
    let response = get(&transport(), &server.url("/")).await.unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(response.headers()["location"], target.url("/"));
    assert_eq!((server.connections(), target.connections()), (1, 0));
}

#[tokio::test]
async fn cookies_are_not_kept() {
    let server = Server::start(vec![vec![
        Say(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"),
        Say(OK),
    ]]);
    let transport = transport();
    get(&transport, &server.url("/")).await.unwrap();
    get(&transport, &server.url("/")).await.unwrap();
    assert!(!server.requests()[1].contains("cookie"));
    assert_eq!(server.connections(), 1, "the connection is used again");
}

#[tokio::test]
async fn encoded_content_is_left_as_it_is() {
    let server = Server::start(vec![vec![Say(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nraw",
    )]]);
    let response = get(&transport(), &server.url("/")).await.unwrap();
    assert_eq!(response.body().as_ref(), b"raw");
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(get(&transport(), &url).await.unwrap_err(), TransportError::Connect);
}

#[tokio::test]
async fn a_name_that_does_not_resolve() {
    let outcome = get(&transport(), "http://nowhere.invalid/").await;
    assert_eq!(outcome.unwrap_err(), TransportError::Connect);
}

#[tokio::test]
async fn no_answer_in_time() {
    let server = Server::start(vec![vec![Hold]]);
    let limits = Limits { total: SOON, ..LIMITS };
    let outcome = get_within(&transport(), &server.url("/"), limits).await;
    assert_eq!(outcome.unwrap_err(), TransportError::TimedOut);
}

#[tokio::test]
async fn the_time_covers_the_body() {
    let server = Server::start(vec![vec![Say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), Hold]]);
    let limits = Limits { total: SOON, ..LIMITS };
    let outcome = get_within(&transport(), &server.url("/"), limits).await;
    assert_eq!(outcome.unwrap_err(), TransportError::TimedOut);
}

#[tokio::test]
async fn the_time_to_connect_has_a_limit_of_its_own() {
    // Accepts connections (the system does), and never answers a TLS handshake.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let limits = Limits { connect: SOON, total: Duration::from_secs(86_400), ..LIMITS };
    let outcome = get_within(&transport(), &url, limits).await;
    assert_eq!(outcome.unwrap_err(), TransportError::TimedOut);
}

#[tokio::test]
async fn a_server_that_only_hangs_up() {
    for step in [SayAndClose(b""), Reset, SayAndClose(b"HTTP/1.1 200 OK\r\ncontent-le")] {
        let server = Server::start(vec![vec![step]]);
        let outcome = get(&transport(), &server.url("/")).await;
        assert_eq!(outcome.unwrap_err(), TransportError::Broken);
        assert_eq!(server.connections(), 1, "not sent again");
    }
}

#[tokio::test]
async fn what_is_no_http_is_broken() {
    for words in [&b"SSH-2.0-OpenSSH_9.6\r\n"[..], b"HTTP/1.1 999999 \r\n\r\n", b"\0\0\0\0\r\n\r\n"] {
        let server = Server::start(vec![vec![SayAndClose(words)]]);
        let outcome = get(&transport(), &server.url("/")).await;
        assert_eq!(outcome.unwrap_err(), TransportError::Broken);
    }
}

#[tokio::test]
async fn the_length_of_a_request_is_counted_not_believed() {
    for (name, value) in [("content-length", "99"), ("content-length", "1"), ("transfer-encoding", "chunked")]
    {
        let server = Server::start(vec![vec![Say(OK)]]);
        let request =
            Request::post(server.url("/")).header(name, value).body(Bytes::from_static(b"token=t")).unwrap();
        transport().send(request, LIMITS).await.unwrap();
        let heard = server.requests().remove(0);
        assert!(heard.contains("content-length: 7\r\n") && heard.ends_with("\r\n\r\ntoken=t"), "{heard}");
    }
}

#[tokio::test]
async fn half_a_body_is_broken() {
    for half in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhalf\r\n",
    ] {
        let server = Server::start(vec![vec![SayAndClose(half)]]);
        let outcome = get(&transport(), &server.url("/")).await;
        assert_eq!(outcome.unwrap_err(), TransportError::Broken);
    }
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed() {
    for end in [SayAndClose(b""), Reset] {
        let server = Server::start(vec![vec![Say(OK), end]]);
        let transport = transport();
        get(&transport, &server.url("/")).await.unwrap();
        let outcome = get(&transport, &server.url("/")).await;
        assert_eq!(outcome.unwrap_err(), TransportError::ConnectionReused);
        assert_eq!(server.connections(), 1, "not sent again by the transport itself");
    }
}

#[tokio::test]
async fn nonsense_on_a_pooled_connection_is_still_broken() {
    let server = Server::start(vec![vec![Say(OK), SayAndClose(b"SSH-2.0-OpenSSH_9.6\r\n")]]);
    let transport = transport();
    get(&transport, &server.url("/")).await.unwrap();
    assert_eq!(get(&transport, &server.url("/")).await.unwrap_err(), TransportError::Broken);
}

#[tokio::test]
async fn a_body_of_just_the_limit_passes() {
    let server = Server::start(vec![vec![Say(OK)], vec![Say(OK)]]);
    let at = |body| Limits { body, ..LIMITS };
    let response = get_within(&transport(), &server.url("/"), at(2)).await.unwrap();
    assert_eq!(response.body().as_ref(), b"ok");
    let outcome = get_within(&transport(), &server.url("/"), at(1)).await;
    assert_eq!(outcome.unwrap_err(), TransportError::BodyTooLarge);
}

#[tokio::test]
async fn an_announced_flood_is_refused_unread() {
    // Not one byte of the body is sent: waiting for it would never end.
    let server = Server::start(vec![vec![
        Say(b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n"),
        Hold,
    ]]);
    let outcome = get(&transport(), &server.url("/")).await;
    assert!(matches!(outcome.unwrap_err(), TransportError::BodyTooLarge | TransportError::Broken));
    let server = Server::start(vec![vec![Say(b"HTTP/1.1 200 OK\r\ncontent-length: 1025\r\n\r\n"), Hold]]);
    let outcome = get(&transport(), &server.url("/")).await;
    assert_eq!(outcome.unwrap_err(), TransportError::BodyTooLarge);
}

#[tokio::test]
async fn of_an_error_with_too_large_a_page_the_status_is_left() {
    let server = Server::start(vec![vec![Say(b"HTTP/1.1 503 Away\r\ncontent-length: 1025\r\n\r\n"), Hold]]);
    let response = get(&transport(), &server.url("/")).await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().len()), (503, 0));
}

#[tokio::test]
async fn an_endless_body_is_refused() {
    for (head, chunk) in [
        (&b"HTTP/1.1 200 OK\r\n\r\n"[..], &b"more and more"[..]),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"4\r\nmore\r\n"),
    ] {
        let server = Server::start(vec![vec![Flood(head, chunk)]]);
        let outcome = get(&transport(), &server.url("/")).await;
        assert_eq!(outcome.unwrap_err(), TransportError::BodyTooLarge);
    }
}

#[tokio::test]
async fn endless_headers_are_broken() {
    let server = Server::start(vec![vec![Flood(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n")]]);
    assert_eq!(get(&transport(), &server.url("/")).await.unwrap_err(), TransportError::Broken);
}

#[tokio::test]
async fn a_detour_keeps_the_host_and_goes_past_the_proxy() {
    let proxy = Server::start(vec![vec![Say(OK)]]);
    let server = Server::start(vec![vec![Say(OK)]]);
    let transport =
        plain().proxy(proxy.url("")).connect("https://idp.example.com", server.url("")).build().unwrap();
    get(&transport, "https://idp.example.com/realms/main?x").await.unwrap();
    let heard = server.requests().remove(0);
    assert!(heard.starts_with("GET /realms/main?x HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("host: idp.example.com\r\n"), "{heard}");
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_proxy_gets_everything_else() {
    let proxy = Server::start(vec![vec![Say(OK)]]);
    let address = proxy.address;
    let transport = plain().proxy(format!("http://user:secret@{address}")).build().unwrap();
    get(&transport, "http://idp.invalid/jwks").await.unwrap();
    let heard = proxy.requests().remove(0);
    assert!(heard.starts_with("GET http://idp.invalid/jwks HTTP/1.1\r\n"), "{heard}");
    assert!(heard.to_lowercase().contains("proxy-authorization: basic dxnlcjpzzwnyzxq="), "{heard}");
}

#[tokio::test]
async fn a_proxy_that_refuses_the_tunnel() {
    let proxy = Server::start(vec![vec![SayAndClose(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")]]);
    let transport = plain().proxy(proxy.url("")).build().unwrap();
    let outcome = get(&transport, "https://idp.invalid/jwks").await;
    assert_eq!(outcome.unwrap_err(), TransportError::Connect);
}

#[test]
fn a_pool_survives_the_runtime_it_was_filled_on() {
    let server = Server::start((0..3).map(|_| vec![Say(OK), Say(OK)]).collect());
    let transport = transport();
    for round in 1..=3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            get(&transport, &server.url("/")).await.unwrap();
            get(&transport, &server.url("/")).await.unwrap();
        });
        assert_eq!(server.connections(), round);
    }
}
