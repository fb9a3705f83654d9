use std::io::{ErrorKind, Write};

use super::{BuildError, CaSource, Roots, TransportConfig};

/// Reads no roots from the system, which takes its time.
fn config() -> TransportConfig {
    TransportConfig::new().roots(Roots::None)
}

fn ca() -> String {
    rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap().cert.pem()
}

fn file(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

#[test]
fn a_missing_ca_file_is_named() {
    let error = TransportConfig::new().ca_file("/nowhere/ca.pem").build().unwrap_err();
    assert_eq!(
        error,
        BuildError::CaFileUnreadable { path: "/nowhere/ca.pem".into(), kind: ErrorKind::NotFound }
    );
    assert!(error.to_string().contains("ca_file (/nowhere/ca.pem)"), "{error}");
}

#[test]
fn a_ca_file_without_certificates_is_named() {
    for content in ["", "no PEM at all", "-----BEGIN X-----\nAAAA\n-----END X-----\n"] {
        let file = file(content);
        let error = TransportConfig::new().ca_file(file.path()).build().unwrap_err();
        assert_eq!(error, BuildError::NoCertificate(CaSource::File(file.path().into())), "{content}");
        assert!(error.to_string().contains("ca_file"), "{error}");
    }
}

#[test]
fn a_certificate_that_is_none_is_refused() {
    for content in [
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n",
    ] {
        let file = file(content);
        let error = TransportConfig::new().roots(Roots::Given).ca_file(file.path()).build().unwrap_err();
        assert_eq!(error, BuildError::BadCertificate(CaSource::File(file.path().into())), "{content}");
    }
}

#[test]
fn given_roots_suffice() {
    let file = file(&ca());
    assert!(TransportConfig::new().roots(Roots::Given).ca_file(file.path()).build().is_ok());
    assert!(TransportConfig::new().roots(Roots::Given).ca_pem(ca()).ca_pem(ca()).build().is_ok());
}

#[test]
fn nobody_to_trust_names_ca_file() {
    let error = TransportConfig::new().roots(Roots::Given).build().unwrap_err();
    assert_eq!(error, BuildError::NoRoots);
    assert!(error.to_string().contains("ca_file"), "{error}");
}

#[test]
fn roots_that_would_be_ignored_are_a_contradiction() {
    assert_eq!(config().ca_pem(ca()).build().unwrap_err(), BuildError::RootsUnused);
}

#[test]
fn a_proxy_is_an_http_url() {
    for url in ["http://proxy:3128", "https://proxy", "http://user:secret@proxy:3128"] {
        assert!(config().proxy(url).build().is_ok(), "{url}");
    }
    for url in ["", "proxy", "proxy:3128", "socks5://proxy:1080", "http://proxy/path", "file:///etc"] {
        assert_eq!(config().proxy(url).build().unwrap_err(), BuildError::Proxy, "{url}");
    }
}

#[test]
fn connect_takes_origins_once() {
    let to = "http://keycloak:8080";
    assert!(config().connect("https://a.test", to).connect("https://b.test", to).build().is_ok());
    assert_eq!(config().connect("https://a.test/realms", to).build().unwrap_err(), BuildError::NotAnOrigin);
    assert_eq!(config().connect("https://a.test", "keycloak").build().unwrap_err(), BuildError::NotAnOrigin);
    assert_eq!(
        config().connect("https://a.test", to).connect("https://a.test:443/", to).build().unwrap_err(),
        BuildError::ConnectTwice { origin: "https://a.test".to_owned() }
    );
}

#[test]
fn a_user_agent_is_one_line() {
    assert_eq!(config().user_agent("a\r\nb: c").build().unwrap_err(), BuildError::UserAgent);
}

#[test]
fn nothing_shows_the_password_of_a_proxy() {
    let good = config().proxy("http://user:secret@proxy:3128");
    let bad = config().proxy("socks5://user:secret@proxy:3128");
    let shown = format!(
        "{good:?} {:?} {:?} {}",
        good.clone().build().unwrap(),
        bad.clone().build().unwrap_err(),
        bad.build().unwrap_err()
    );
    assert!(!shown.contains("secret") && !shown.contains("user:"), "{shown}");
}
