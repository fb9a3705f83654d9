//! The certificate by which a server knows the client (RFC 8705 §2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use verifier_core::secret::Secret;
use verifier_core::transport::TransportError;
use verifier_http::{BuildError, PemSource, Roots, TransportConfig};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Certificate and key for `name`.
    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap(), key)
    }
}

/// A server that lets in whom `clients` vouches for, and answers with the number of certificates that it was shown.
async fn server(own: &Authority, clients: &Authority) -> String {
    let (leaf, key) = own.sign("localhost");
    let mut roots = RootCertStore::empty();
    roots.add(clients.0.der().clone()).unwrap();
    let provider = Arc::new(default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![leaf.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let shown = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
            if let Ok(1..) = stream.read(&mut [0; 4096]).await {
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n{shown}");
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    url
}

fn trusting(own: &Authority) -> TransportConfig {
    TransportConfig::new().roots(Roots::Given).ca_pem(own.0.pem())
}

fn text(pem: impl Into<String>) -> PemSource {
    PemSource::Text(Secret::new(pem))
}

#[tokio::test]
async fn a_certificate_that_the_server_knows_opens() {
    let (own, clients) = (Authority::new(), Authority::new());
    let url = server(&own, &clients).await;
    let (leaf, key) = clients.sign("me");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        PemSource::File(path)
    };
    let both = format!("# ours\n{}{}", key.serialize_pem(), leaf.pem());
    for (chain, private, shown) in [
        (text(leaf.pem()), text(key.serialize_pem()), "1"),
        (file("chain", &leaf.pem()), file("key", &key.serialize_pem()), "1"),
        (text(format!("{}{}", leaf.pem(), clients.0.pem())), text(key.serialize_pem()), "2"),
        (file("both", &both), file("both", &both), "1"),
        (text(leaf.pem().replace('\n', "\r\n")), text(key.serialize_pem().replace('\n', "\r\n")), "1"),
    ] {
        let transport = trusting(&own).client_certificate(chain, private).build().unwrap();
        assert_eq!(get(&transport, &url).await.unwrap().body().as_ref(), shown.as_bytes());
    }
}

#[tokio::test]
async fn none_or_another_one_does_not() {
    let (own, clients) = (Authority::new(), Authority::new());
    let url = server(&own, &clients).await;
    let (leaf, key) = Authority::new().sign("me");
    let none = trusting(&own).build().unwrap();
    let other = trusting(&own).client_certificate(text(leaf.pem()), text(key.serialize_pem()));
    for transport in [none, other.build().unwrap()] {
        let refused = get(&transport, &url).await.unwrap_err();
        // TLS 1.3 tells a client that it was refused only after the handshake: it shows as a broken exchange too.
        assert!(
            matches!(
                refused,
                TransportError::Tls | TransportError::Broken | TransportError::ConnectionReused
            ),
            "{refused:?}"
        );
    }
}

#[test]
fn what_does_not_go_together_is_found_when_building() {
    let clients = Authority::new();
    let ((leaf, key), (_, other)) = (clients.sign("me"), clients.sign("me"));
    let (chain, key) = (leaf.pem(), key.serialize_pem());
    let build = |chain: PemSource, key: PemSource| {
        TransportConfig::new().roots(Roots::None).client_certificate(chain, key).build().err()
    };
    assert_eq!(build(text(&chain), text(&key)), None);
    assert_eq!(build(text(&chain), text(other.serialize_pem())), Some(BuildError::ClientKeyMismatch));
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert_eq!(build(text(&chain), text(encrypted)), Some(BuildError::ClientKeyEncrypted));
    assert_eq!(build(text(&chain), text(&chain)), Some(BuildError::NoClientKey));
    assert_eq!(build(text(&chain), text(format!("{key}{key}"))), Some(BuildError::NoClientKey));
    assert_eq!(build(text(&chain), text("hunter2")), Some(BuildError::NoClientKey));
    for nothing in ["", "hunter2", &key, "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"] {
        assert_eq!(build(text(nothing), text(&key)), Some(BuildError::NoClientCertificate));
    }
    for (chain, key, part) in [
        (PemSource::File("/nowhere/c".into()), text(&key), "client_certificate"),
        (text(&chain), PemSource::File("/nowhere/c".into()), "client_key"),
    ] {
        let error = build(chain, key).unwrap();
        assert!(error.to_string().starts_with(&format!("{part} (/nowhere/c) can't be read")), "{error}");
    }
    let shown = format!("{:?}", TransportConfig::new().client_certificate(text(&chain), text(&key)));
    assert!(!shown.contains("BEGIN") && shown.contains("[redacted]"), "{shown}");
}
