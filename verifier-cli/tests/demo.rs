//! The demonstration, once, as a user runs it: every promise kept, and figures that can be true.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::process::Command;

use serde_json::Value;

fn figure(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no count: {value}"))
}

#[test]
fn the_demonstration_keeps_every_promise() {
    let output = Command::new(env!("CARGO_BIN_EXE_verifier")).args(["demo", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();

    let promises = document["promises"].as_array().unwrap();
    let broken: Vec<&Value> = promises.iter().filter(|promise| promise["kept"] != true).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(document["kept"], true);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "no progress where nobody watches");
    for strategy in ["jwks", "introspection", "hybrid"] {
        for name in ["stampede", "rotation", "flood_bystanders", "outage", "recovery"] {
            let found = promises.iter().any(|it| it["strategy"] == strategy && it["name"] == name);
            assert!(found, "{strategy} promises nothing about {name}");
        }
    }
    for (strategy, name) in
        [("jwks", "flood"), ("hybrid", "flood"), ("hybrid", "revocation"), ("introspection", "revocation")]
    {
        let found = promises.iter().any(|it| it["strategy"] == strategy && it["name"] == name);
        assert!(found, "{strategy} promises nothing about {name}");
    }

    let strategies = document["strategies"].as_array().unwrap();
    assert_eq!(strategies.len(), 3);
    for figures in strategies {
        let strategy = figures["strategy"].as_str().unwrap();
        check(figures, strategy != "introspection", strategy != "jwks");
    }
}

fn check(figures: &Value, looks_at_keys: bool, asks: bool) {
    let (keys, status) = (u64::from(looks_at_keys), u64::from(asks));

    let speed = &figures["speed"];
    assert_eq!(figure(&speed["cold_calls"]["introspection"]), status * figure(&speed["cold"]["count"]));
    assert_eq!(figure(&speed["cold_calls"]["jwks"]), 0);
    assert!(figure(&speed["warm"]["count"]) >= 1_000);
    for latency in [&speed["cold"], &speed["warm"]] {
        let (p50, p99) = (latency["p50_us"].as_f64().unwrap(), latency["p99_us"].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= p99, "{latency}");
    }

    let stampede = &figures["stampede"];
    assert_eq!((figure(&stampede["callers"]), figure(&stampede["verified"])), (100, 100));
    assert_eq!(figure(&stampede["calls"]["introspection"]), status);
    assert_eq!(figure(&stampede["calls"]["jwks"]), keys);

    let rotation = &figures["rotation"];
    assert!(figure(&rotation["requests"]) > 500 && figure(&rotation["rotations"]) > 1);
    assert_eq!(figure(&rotation["lost"]), 0);
    // Each new key has to be fetched once: a rotation that nobody noticed would prove nothing.
    assert!(figure(&rotation["calls"]["jwks"]) >= keys * figure(&rotation["rotations"]));

    let flood = &figures["flood"];
    assert_eq!(figure(&flood["tokens"]), 10_000);
    let verdicts = flood["verdicts"].as_object().unwrap();
    assert_eq!(verdicts.get("verified"), None);
    assert_eq!(verdicts.values().map(figure).sum::<u64>(), 10_000);
    assert_eq!(flood["good_tokens_lost"], 0);
    assert_eq!(flood["rotations_picked_up"], flood["rotations"]);
    let fetches = figure(&flood["calls"]["jwks"]);
    assert!(fetches >= keys && fetches <= figure(&flood["allowed_fetches"]) * keys, "{flood}");
    // A forged token costs a parse, never a question about it, where it can be judged locally.
    let questions = figure(&flood["calls"]["introspection"]);
    assert!(if looks_at_keys { questions < 100 } else { questions >= 10_000 }, "{flood}");

    let revocation = &figures["revocation"];
    assert_eq!(revocation["noticed_before_expiry"], asks);
    assert_eq!(figure(&revocation["noticed"]), status * figure(&revocation["tokens"]));
    let (code, accepted_for) =
        (revocation["codes"].as_object().unwrap(), revocation["accepted_for_s"].as_f64().unwrap());
    if asks {
        assert!(code.keys().eq(["inactive"]), "{revocation}");
        assert!(accepted_for <= revocation["freshness_s"].as_f64().unwrap());
    } else {
        assert!(code.keys().eq(["expired"]), "{revocation}");
        assert!(accepted_for > 60.0, "{revocation}");
    }

    let outage = &figures["outage"];
    let tokens = figure(&outage["tokens"]);
    assert_eq!(outage["fresh"]["verified"], tokens);
    assert_eq!(outage["recovered"]["verified"], tokens);
    let used_up = outage["freshness_used_up"].as_object().unwrap();
    assert_eq!(used_up.contains_key("verified"), !asks, "{outage}");
    assert_eq!(used_up.values().map(figure).sum::<u64>(), tokens);
    assert_eq!(outage["hours_later"].get("verified"), None, "{outage}");
}
