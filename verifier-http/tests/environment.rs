//! What the variables of the environment may do, and what not. Each test runs itself again in a process of its own that
//! has them set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::process::Command;

use support::Step::Say;
use support::{OK, Server, get, plain};
use verifier_http::transport::ReqwestTransport;
use verifier_http::{BuildError, Roots, TransportConfig};

const CHILD: &str = "VERIFIER_HTTP_TEST_CHILD";

/// Runs `check` in a child process of this test, `name`, with `variables` set.
fn with_environment(name: &str, variables: &[(&str, &str)], check: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return check();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR")
        .envs(variables.iter().copied())
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn no_proxy_is_taken_from_the_environment() {
    let dead = "http://127.0.0.1:1";
    let variables = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    with_environment("no_proxy_is_taken_from_the_environment", &variables.map(|name| (name, dead)), || {
        let server = Server::start(vec![vec![Say(OK)]]);
        let transport: ReqwestTransport = plain().build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(get(&transport, &server.url("/"))).unwrap();
    });
}

// Elsewhere than on these systems the platform itself judges certificates.
#[cfg(all(unix, not(target_vendor = "apple"), not(target_os = "android")))]
#[test]
fn a_system_without_roots_is_told_at_once() {
    let nowhere = [("SSL_CERT_FILE", "/nowhere/ca.pem")];
    with_environment("a_system_without_roots_is_told_at_once", &nowhere, || {
        let error = TransportConfig::new().build().unwrap_err();
        assert_eq!(error, BuildError::NoRoots);
        assert!(error.to_string().contains("ca_file"), "{error}");
        assert!(TransportConfig::new().roots(Roots::None).build().is_ok());
    });
}
