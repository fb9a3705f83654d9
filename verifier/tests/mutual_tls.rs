//! `tls_client_auth` (RFC 8705) from configuration to handshake: the certificate goes to the endpoints that the metadata
//! name for it, with the client's id beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use verifier::VerifierConfig;
use verifier::core::transport::Limits;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap(), key)
    }

    fn acceptor(&self, clients: Option<&Self>) -> TlsAcceptor {
        let (leaf, key) = self.sign("localhost");
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = builder.with_single_cert(vec![leaf.der().clone()], key.into()).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

type Heard = Arc<Mutex<Vec<String>>>;

/// Serves HTTP/1.1, one request a connection: the answer by the request's text.
async fn serve(acceptor: TlsAcceptor, listener: TcpListener, heard: Heard, answer: impl Fn(&str) -> String) {
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        let mut request = String::new();
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            request += std::str::from_utf8(&buffer[..n]).unwrap();
            let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                break;
            }
        }
        let body = answer(&request);
        heard.lock().unwrap().push(request);
        let text = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    (listener, origin)
}

/// Verifies one token by this method; what both servers heard.
async fn exchange(lines: &str, known: bool) -> (Result<(), &'static str>, Vec<String>, Vec<String>) {
    let (own, clients) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("{:?}", path.display().to_string())
    };
    let stranger = Authority::new();
    let (leaf, key) = if known { clients.sign("me") } else { stranger.sign("me") };
    let (ca, chain, key) =
        (file("ca", &own.0.pem()), file("cert", &leaf.pem()), file("key", &key.serialize_pem()));

    let ((open, issuer), (closed, mutual)) = (listen().await, listen().await);
    let metadata = format!(
        r#"{{"issuer":"{issuer}","introspection_endpoint":"{issuer}/introspect","token_endpoint":"{issuer}/token",
        "mtls_endpoint_aliases":{{"introspection_endpoint":"{mutual}/introspect","token_endpoint":"{mutual}/token"}}}}"#
    );
    let active = format!(
        r#"{{"active":true,"iss":"{issuer}","aud":"api","sub":"alice","client_id":"c","token_type":"Bearer",
        "exp":4102444800,"scope":"read"}}"#
    );
    let (at_issuer, at_mutual) = (Heard::default(), Heard::default());
    tokio::spawn(serve(own.acceptor(None), open, Arc::clone(&at_issuer), move |_| metadata.clone()));
    tokio::spawn(serve(own.acceptor(Some(&clients)), closed, Arc::clone(&at_mutual), move |request| {
        if request.starts_with("POST /token ") {
            r#"{"access_token":"granted","token_type":"Bearer","expires_in":60}"#.to_owned()
        } else {
            active.clone()
        }
    }));

    let toml = format!(
        "[[issuer]]\nissuer = {issuer:?}\nstrategy = 'introspection'\nprofile = 'generic'\naudience = 'api'\n\
         ca_file = {ca}\n[issuer.introspection]\ntimeout = '20s'\nconnect_timeout = '20s'\nclient_id = 'me'\n\
         client_certificate = {{ file = {chain} }}\nclient_key = {{ file = {key} }}\n{lines}"
    );
    let config = VerifierConfig::from_toml(&toml).unwrap();
    let verifier = config.build().unwrap();
    let within = std::time::Duration::from_secs(60);
    let verdict = verifier.request("opaque-token").within(within).verify().await;
    let heard = |heard: &Heard| heard.lock().unwrap().clone();
    let heard = (heard(&at_issuer), heard(&at_mutual));
    // Who looks at the server with the section's eyes shows the certificate where questions are asked, nowhere else.
    let reach = config.issuer[0].reach().unwrap();
    for (transport, shows) in [(&reach.asking, known), (&reach.transport, false)] {
        let request = http::Request::post(format!("{mutual}/introspect")).body(bytes::Bytes::new()).unwrap();
        let limits = Limits { connect: within, total: within, body: 10_000 };
        assert_eq!(transport.send(request, limits).await.is_ok(), shows);
    }
    (verdict.map(drop).map_err(|error| error.code()), heard.0, heard.1)
}

#[tokio::test]
async fn the_certificate_opens_the_endpoints_that_are_named_for_it() {
    let (verdict, at_issuer, at_mutual) = exchange("client_auth = 'tls_client_auth'\n", true).await;
    assert_eq!(verdict, Ok(()));
    assert!(at_issuer.iter().all(|request| request.starts_with("GET /.well-known/")), "{at_issuer:?}");
    let [request] = at_mutual.as_slice() else { panic!("{at_mutual:?}") };
    assert!(request.starts_with("POST /introspect ") && request.contains("&client_id=me"), "{request}");
    assert!(!request.contains("authorization:") && !request.contains("client_secret"), "{request}");
}

#[tokio::test]
async fn a_token_is_got_by_the_certificate_too() {
    let grant = "client_auth = 'client_credentials'\n[issuer.introspection.client_credentials]\n\
                 client_auth = 'self_signed_tls_client_auth'\n";
    let (verdict, at_issuer, at_mutual) = exchange(grant, true).await;
    assert_eq!(verdict, Ok(()));
    assert!(at_issuer.iter().all(|request| request.starts_with("GET /.well-known/")), "{at_issuer:?}");
    let [token, question] = at_mutual.as_slice() else { panic!("{at_mutual:?}") };
    assert!(token.starts_with("POST /token ") && token.contains("&client_id=me"), "{token}");
    assert!(question.contains("authorization: Bearer granted"), "{question}");
}

#[tokio::test]
async fn a_certificate_that_nobody_knows_is_no_verdict() {
    let (verdict, _, at_mutual) = exchange("client_auth = 'tls_client_auth'\n", false).await;
    let code = verdict.unwrap_err();
    assert!(matches!(code, "tls_failed" | "unreadable_answer" | "connect_failed"), "{code}");
    assert!(at_mutual.is_empty(), "nothing was said to a server that does not know us");
}
