//! Whom the transport trusts, and HTTP/2.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Version;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::Step::SayAndClose;
use support::{OK, Server, get, plain};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::server::TlsStream;
use verifier_core::transport::TransportError;
use verifier_http::{ReqwestTransport, Roots, TransportConfig};

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// The side of a server whose certificate is for `name`.
    fn acceptor(&self, name: &str, alpn: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key.into())
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    fn trusted(&self) -> ReqwestTransport {
        TransportConfig::new().roots(Roots::Given).ca_pem(self.pem()).build().unwrap()
    }
}

/// Serves each connection with `serve`; returns where, and how many connections there were.
async fn listen<F, S>(acceptor: TlsAcceptor, serve: S) -> (SocketAddr, Arc<AtomicUsize>)
where
    S: Fn(TlsStream<TcpStream>) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream));
            }
        }
    });
    (address, connections)
}

/// HTTP/1.1: answers each request with its own head.
async fn echo(mut stream: TlsStream<TcpStream>) {
    let mut head = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut head).await {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {n}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.write_all(&head[..n]).await.unwrap();
    }
}

/// How a stream of HTTP/2 ends.
#[derive(Clone, Copy)]
enum End {
    Answer,
    Reset(h2::Reason),
    /// The whole connection, without a word.
    Vanish,
    /// The whole connection, with a word.
    GoAway(h2::Reason),
}

/// HTTP/2: ends the n-th stream of a connection in the n-th way.
async fn streams(stream: TlsStream<TcpStream>, ends: Vec<End>, heard: Arc<AtomicUsize>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut ends = ends.into_iter();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        heard.fetch_add(1, Ordering::SeqCst);
        match ends.next().unwrap_or(End::Answer) {
            End::Answer => {
                let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                body.send_data(Bytes::from_static(b"ok"), true).unwrap();
            }
            End::Reset(reason) => respond.send_reset(reason),
            End::Vanish => return,
            End::GoAway(reason) => connection.abrupt_shutdown(reason),
        }
    }
}

/// A transport and a server that ends its streams so, both counted.
async fn over_h2(ends: Vec<End>) -> (ReqwestTransport, String, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let authority = Authority::new();
    let heard = Arc::new(AtomicUsize::new(0));
    let ears = Arc::clone(&heard);
    let (address, connections) =
        listen(authority.acceptor("localhost", &["h2", "http/1.1"]), move |stream| {
            streams(stream, ends.clone(), Arc::clone(&ears))
        })
        .await;
    let url = format!("https://localhost:{}/", address.port());
    (authority.trusted(), url, connections, heard)
}

#[tokio::test]
async fn a_root_in_ca_file_is_trusted() {
    let authority = Authority::new();
    let (address, _) = listen(authority.acceptor("localhost", &[]), echo).await;
    let url = format!("https://localhost:{}/", address.port());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    for roots in [Roots::Given, Roots::System] {
        let transport = TransportConfig::new().roots(roots).ca_file(file.path()).build().unwrap();
        let response = get(&transport, &url).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11);
        assert!(response.body().starts_with(b"GET / HTTP/1.1\r\n"));
    }
}

#[tokio::test]
async fn other_roots_are_not() {
    let (address, connections) = listen(Authority::new().acceptor("localhost", &[]), echo).await;
    let url = format!("https://localhost:{}/", address.port());
    let stranger = Authority::new();
    let merged = TransportConfig::new().roots(Roots::System).ca_pem(stranger.pem()).build().unwrap();
    for transport in [stranger.trusted(), merged, plain().build().unwrap()] {
        assert_eq!(get(&transport, &url).await.unwrap_err(), TransportError::Tls);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn the_certificate_must_be_for_the_host() {
    let authority = Authority::new();
    let (address, _) = listen(authority.acceptor("idp.example.com", &[]), echo).await;
    let outcome = get(&authority.trusted(), &format!("https://localhost:{}/", address.port())).await;
    assert_eq!(outcome.unwrap_err(), TransportError::Tls);
}

#[tokio::test]
async fn a_server_without_tls_fails_the_handshake() {
    for words in [OK, b""] {
        // Whatever the client says, this server takes it for a request only if it looks like one: it answers at once.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(words);
        });
        let outcome = get(&Authority::new().trusted(), &url).await;
        assert_eq!(outcome.unwrap_err(), TransportError::Tls);
    }
}

#[tokio::test]
async fn a_detour_to_https_keeps_the_host_and_checks_the_name_of_its_target() {
    let authority = Authority::new();
    let (address, _) = listen(authority.acceptor("localhost", &["h2", "http/1.1"]), echo).await;
    let config = TransportConfig::new().roots(Roots::Given).ca_pem(authority.pem());
    let to = format!("https://localhost:{}", address.port());
    let transport = config.connect("https://idp.example.com", to).build().unwrap();
    let response = get(&transport, "https://idp.example.com/jwks").await.unwrap();
    assert_eq!(response.version(), Version::HTTP_11, "though HTTP/2 is offered");
    let heard = String::from_utf8_lossy(response.body()).into_owned();
    assert!(heard.contains("host: idp.example.com\r\n"), "{heard}");
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel() {
    let proxy = Server::start(vec![vec![SayAndClose(b"HTTP/1.1 200 OK\r\n\r\n")]]);
    let transport = plain().proxy(proxy.url("")).build().unwrap();
    // The tunnel leads nowhere; it depends on who is faster at which step that shows.
    assert!(get(&transport, "https://idp.invalid/jwks").await.is_err());
    assert!(proxy.requests()[0].starts_with("CONNECT idp.invalid:443 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn http2_is_used_where_it_is_offered() {
    let (transport, url, connections, heard) = over_h2(vec![]).await;
    for _ in 0..3 {
        let response = get(&transport, &url).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.body().as_ref(), b"ok");
    }
    assert_eq!((connections.load(Ordering::SeqCst), heard.load(Ordering::SeqCst)), (1, 3));
}

#[tokio::test]
async fn a_stream_that_the_server_refused_was_not_read() {
    let (transport, url, _, heard) = over_h2(vec![End::Reset(h2::Reason::REFUSED_STREAM)]).await;
    assert_eq!(get(&transport, &url).await.unwrap_err(), TransportError::ConnectionReused);
    assert_eq!(heard.load(Ordering::SeqCst), 1, "not sent again by the transport itself");
    assert!(get(&transport, &url).await.is_ok());
}

/// HTTP/2 by hand: answers the first request with "going away, and that one I did not look at".
async fn goes_away(mut stream: TlsStream<TcpStream>) {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY_LAST_STREAM_0_NO_ERROR: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const HEADERS: u8 = 1;
    stream.write_all(SETTINGS).await.unwrap();
    stream.read_exact(&mut [0; 24]).await.unwrap(); // the preface
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        if head[3] == HEADERS {
            stream.write_all(GOAWAY_LAST_STREAM_0_NO_ERROR).await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
            return;
        }
    }
}

#[tokio::test]
async fn a_server_that_goes_away_did_not_read_the_stream() {
    let authority = Authority::new();
    let (address, connections) = listen(authority.acceptor("localhost", &["h2"]), goes_away).await;
    let url = format!("https://localhost:{}/", address.port());
    assert_eq!(get(&authority.trusted(), &url).await.unwrap_err(), TransportError::ConnectionReused);
    assert_eq!(connections.load(Ordering::SeqCst), 1, "not sent again by the transport itself");
}

#[tokio::test]
async fn a_stream_that_failed_is_broken() {
    let ends = vec![End::Answer, End::Reset(h2::Reason::INTERNAL_ERROR)];
    let (transport, url, _, heard) = over_h2(ends).await;
    assert!(get(&transport, &url).await.is_ok());
    assert_eq!(get(&transport, &url).await.unwrap_err(), TransportError::Broken);
    assert_eq!(heard.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_pooled_connection_that_vanished() {
    let (transport, url, connections, _) = over_h2(vec![End::Answer, End::Vanish]).await;
    assert!(get(&transport, &url).await.is_ok());
    assert_eq!(get(&transport, &url).await.unwrap_err(), TransportError::ConnectionReused);
    assert!(get(&transport, &url).await.is_ok());
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_pooled_connection_that_the_server_gave_up() {
    let ends = vec![End::Answer, End::GoAway(h2::Reason::ENHANCE_YOUR_CALM)];
    let (transport, url, connections, _) = over_h2(ends).await;
    assert!(get(&transport, &url).await.is_ok());
    assert_eq!(get(&transport, &url).await.unwrap_err(), TransportError::ConnectionReused);
    assert!(get(&transport, &url).await.is_ok());
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_new_connection_that_vanished_is_broken() {
    let (transport, url, _, heard) = over_h2(vec![End::Vanish]).await;
    assert_eq!(get(&transport, &url).await.unwrap_err(), TransportError::Broken);
    assert_eq!(heard.load(Ordering::SeqCst), 1);
}
