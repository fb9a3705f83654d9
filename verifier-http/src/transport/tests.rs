use std::time::Duration;

use bytes::Bytes;
use http::Request;
use verifier_core::transport::{HttpTransport, Limits, TransportError};

use super::ReqwestTransport;
use crate::config::{Roots, TransportConfig};

fn transport() -> ReqwestTransport {
    TransportConfig::new().roots(Roots::None).build().unwrap()
}

const LIMITS: Limits =
    Limits { connect: Duration::from_secs(5), total: Duration::from_secs(5), body: 1 << 10 };

#[test]
fn headers_that_may_hold_a_secret_are_marked() {
    let request = Request::post("http://a.test/introspect")
        .header("authorization", "Basic abc")
        .header("x-api-key", "abc")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from_static(b"token=abc"))
        .unwrap();
    let transport = transport();
    let (_, addressed) = transport.address(request).unwrap();
    let sensitive = |name: &str| addressed.headers().get(name).unwrap().is_sensitive();
    assert!(sensitive("authorization") && sensitive("x-api-key"));
    assert!(!sensitive("content-type"));
    let shown = format!("{addressed:?}");
    assert!(!shown.contains("abc"), "{shown}");
}

#[test]
fn what_is_no_http_url_is_unsendable() {
    for uri in ["/relative", "ftp://a.test/", "http://user:secret@a.test/", "a.test:80", "*"] {
        let request = Request::get(uri).body(Bytes::new()).unwrap();
        let error = transport().address(request).map(|_| ()).unwrap_err();
        assert_eq!(error, TransportError::Unsendable, "{uri}");
    }
}

#[test]
fn without_a_runtime_a_request_is_unsendable() {
    let request = Request::get("http://127.0.0.1:1/").body(Bytes::new()).unwrap();
    let outcome = pollster::block_on(transport().send(request, LIMITS));
    assert_eq!(outcome.unwrap_err(), TransportError::Unsendable);
}
