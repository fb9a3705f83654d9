//! The examples run, and every configuration that is shown to a reader builds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;

use verifier::VerifierConfig;
use verifier::examples::ALL;

#[path = "../examples/custom_backend.rs"]
mod custom_backend;
#[path = "../examples/per_route_freshness.rs"]
mod per_route_freshness;
#[path = "../examples/quickstart.rs"]
mod quickstart;
#[path = "../examples/without_tokio.rs"]
mod without_tokio;

#[test]
fn each_example_does_what_it_says() {
    quickstart::main().unwrap();
    without_tokio::main().unwrap();
    per_route_freshness::main().unwrap();
    custom_backend::main().unwrap();
}

/// Reads and builds a configuration, its secrets taken from a file: the environment of a test is everybody's.
fn build(toml: &str, origin: &str) {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "a-secret").unwrap();
    let place = format!("{{ file = {:?} }}", secret.path());
    let mut text = String::new();
    for line in toml.lines() {
        match (line.find("{ env = "), line.find('}')) {
            (Some(start), Some(end)) if !line.trim_start().starts_with('#') => {
                text += &format!("{}{place}{}\n", &line[..start], &line[end + 1..]);
            }
            _ => text += &format!("{line}\n"),
        }
    }
    let config = VerifierConfig::from_toml(&text).unwrap_or_else(|error| panic!("{origin}: {error}\n{text}"));
    config.build().unwrap_or_else(|error| panic!("{origin}: {error}\n{text}"));
}

#[test]
fn every_example_configuration_builds() {
    assert!(ALL.len() >= 10);
    for example in ALL {
        build(example.toml, example.name);
        assert_eq!(verifier::examples::get(example.name).map(|found| found.toml), Some(example.toml));
        let profile = format!("profile = {:?}", example.profile);
        let told = example.toml.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(&profile), "{} is not an example of its profile", example.name);
    }
}

/// The TOML blocks of a document that hold an issuer whole.
fn blocks(document: &str) -> Vec<String> {
    document
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```"))
        .map(|(block, _)| block.to_owned())
        .filter(|block| block.contains("[[issuer]]") && block.contains("strategy"))
        .collect()
}

#[test]
fn every_configuration_in_the_documents_builds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in ["README.md", "docs/guide.md", "docs/why-401.md", "docs/threat-model.md"] {
        // Documents aren't part of the packaged crate.
        let Ok(document) = std::fs::read_to_string(root.join(name)) else { continue };
        for block in blocks(&document) {
            build(&block, name);
        }
        if name == "README.md" {
            assert!(!blocks(&document).is_empty(), "the README shows a configuration");
        }
    }
}
