use verifier::VerifierConfig;

use super::*;
use crate::scenario::STRATEGIES;
use crate::server::ALL;

fn settings(address: Option<&str>) -> Settings {
    Settings {
        issuer: "http://127.0.0.1:4444".to_owned(),
        introspection: "http://127.0.0.1:4445/introspect".to_owned(),
        jwks: "http://127.0.0.1:4444/jwks".to_owned(),
        caller: Some(("api".to_owned(), "secret".to_owned())),
        address: address.map(str::to_owned),
        held_scope: "read",
        other_scope: "write",
    }
}

#[test]
fn every_example_is_a_configuration_for_every_strategy() {
    for product in ALL {
        for strategy in STRATEGIES {
            for address in [None, Some("http://127.0.0.2:4444")] {
                let text = configuration(*product, &settings(address), strategy, Path::new("/dev/null"), &[])
                    .unwrap();
                VerifierConfig::from_toml(&text)
                    .unwrap_or_else(|error| panic!("{strategy}: {error}\n{text}"));
            }
        }
    }
}

#[test]
fn another_line_that_changes_is_noticed() {
    let example = examples::get("hydra").unwrap().toml;
    let adapted = adapt(example, &settings(None), Strategy::Hybrid, "/dev/null");
    assert_eq!(touched(example, &adapted, Strategy::Hybrid), None);
    let more = adapted.replace("profile  = \"hydra\"", "profile = \"generic\"");
    assert_ne!(more, adapted);
    assert!(touched(example, &more, Strategy::Hybrid).unwrap().contains("generic"));
    assert!(touched(example, &format!("{adapted}freshness = \"1s\"\n"), Strategy::Hybrid).is_some());
}

#[test]
fn a_change_that_a_strategy_refuses_is_left_out() {
    let changes = [Change::set("issuer.revocation", "when_unknown", "{ allow_stale = \"1m\" }")];
    for product in ALL {
        for strategy in STRATEGIES {
            let text =
                configuration(*product, &settings(None), strategy, Path::new("/dev/null"), &changes).unwrap();
            let holds = text.lines().any(|line| line.starts_with("when_unknown = { allow_stale"));
            assert_eq!(holds, strategy == Strategy::Hybrid, "{text}");
        }
    }
}

#[test]
fn changes_replace_add_and_remove() {
    let text = "[[issuer]]\na = 1\n\n[issuer.keys]\na = 2\n";
    let change = |change| apply(text, &change, &settings(None));
    assert_eq!(
        change(Change::set("issuer", "a", "\"{held}\"")),
        "[[issuer]]\na = \"read\"\n\n[issuer.keys]\na = 2\n"
    );
    assert_eq!(
        change(Change::set("issuer.keys", "b", "3")),
        "[[issuer]]\na = 1\n\n[issuer.keys]\nb = 3\na = 2\n"
    );
    assert_eq!(change(Change::remove("issuer.keys", "a")), "[[issuer]]\na = 1\n\n[issuer.keys]\n");
    assert_eq!(change(Change::set("issuer.revocation", "a", "3")), text);
    assert!(change(Change::set("", "deadline", "\"1s\"")).starts_with("deadline = \"1s\"\n[[issuer]]"));
}
