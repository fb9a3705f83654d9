//! What a section says of how its server is reached, and by which rules.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use verifier::core::algorithm::Algorithm;
use verifier::core::discovery::Discovery;
use verifier::core::endpoint::Schemes;
use verifier::{ConfigError, Reach, VerifierConfig};
use verifier_testkit::AuthorizationServer;

fn reach(text: &str) -> Result<Reach, ConfigError> {
    VerifierConfig::from_toml(text).unwrap().issuer[0].reach()
}

#[tokio::test]
async fn requests_go_where_the_section_sends_them() {
    const ISSUER: &str = "https://idp.example.test/realms/main";
    let server = AuthorizationServer::builder().issuer(ISSUER).start().unwrap();
    let reach = reach(&format!(
        "[[issuer]]\nissuer = {ISSUER:?}\nstrategy = \"jwks\"\nprofile = \"at+jwt\"\naudience = \"a\"\n\
         [issuer.connect]\n\"https://idp.example.test\" = {:?}\n",
        server.origin()
    ))
    .unwrap();
    let transport = Arc::clone(&reach.transport);
    let discovery = Discovery::new(ISSUER, reach.schemes, transport, reach.refresh.limits()).unwrap();
    assert_eq!(discovery.metadata().await.unwrap().issuer(), ISSUER);
}

#[test]
fn the_rules_are_those_of_the_section() {
    let reach = reach(
        "[[issuer]]\nissuer = \"http://idp.example\"\nstrategy = \"hybrid\"\nprofile = \"at+jwt\"\naudience = \"a\"\n\
         danger_allow_http = true\nleeway = \"7s\"\nmax_lifetime = \"9m\"\n\
         [issuer.keys]\nalgorithms = [\"RS256\"]\nmax_rsa_bits = 2048\ntimeout = \"9s\"\n[issuer.introspection]\n",
    )
    .unwrap();
    assert_eq!(&**reach.rules.issuer(), "http://idp.example");
    assert_eq!(reach.schemes, Schemes::DangerPlainHttp);
    assert_eq!(reach.key_rules.algorithms.iter().collect::<Vec<_>>(), [Algorithm::Rs256]);
    assert_eq!(reach.key_rules.max_rsa_bits, 2048);
    assert_eq!(reach.refresh.limits().total, Duration::from_secs(9));
    assert_eq!(reach.policy.leeway(), Duration::from_secs(7));
    assert_eq!(reach.policy.max_lifetime(), Some(Duration::from_secs(540)));
}

#[test]
fn what_cannot_be_used_is_named_by_its_key() {
    let section =
        "[[issuer]]\nissuer = \"https://i\"\nstrategy = \"jwks\"\nprofile = \"at+jwt\"\naudience = \"a\"\n";
    for (rest, key) in [
        ("ca_file = \"/nonexistent.pem\"\n", "ca_file"),
        ("[issuer.keys]\nmax_rsa_bits = 1024\n", "keys.max_rsa_bits"),
        ("[issuer.connect]\n\"https://i\" = \"http://far.example\"\n", "connect"),
    ] {
        let error = reach(&format!("{section}{rest}")).unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    }
}
