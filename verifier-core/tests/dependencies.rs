//! Who depends on whom: read from `cargo metadata`, so that nobody has to remember it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, PackageId};

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        // Of this platform alone: others' packages need not be there.
        .other_options(["--filter-platform".to_owned(), host()])
        .exec()
        .expect("cargo metadata")
}

fn host() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = std::process::Command::new(rustc).arg("-vV").output().expect("rustc");
    let version = String::from_utf8(version.stdout).unwrap();
    version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned()
}

/// The packages that each package is built with, by name: dependencies of tests don't count, those of build scripts do.
struct Tree<'m> {
    names: BTreeMap<&'m PackageId, String>,
    built_with: BTreeMap<&'m PackageId, Vec<&'m PackageId>>,
}

impl<'m> Tree<'m> {
    fn new(metadata: &'m Metadata) -> Self {
        let names = metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
        let nodes = &metadata.resolve.as_ref().expect("a resolved graph").nodes;
        let built_with = nodes
            .iter()
            .map(|node| {
                let normal = node.deps.iter().filter(|dependency| {
                    dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development)
                });
                (&node.id, normal.map(|dependency| &dependency.pkg).collect())
            })
            .collect();
        Self { names, built_with }
    }

    fn id(&self, name: &str) -> &'m PackageId {
        self.names.iter().find(|(_, own)| *own == name).unwrap_or_else(|| panic!("no package {name}")).0
    }

    /// Everything below a package.
    fn below(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![self.id(name)];
        while let Some(id) = open.pop() {
            for next in &self.built_with[id] {
                if found.insert(self.names[next].as_str()) {
                    open.push(next);
                }
            }
        }
        found
    }
}

/// Our own crates, and which of them each may be built with. A crate that isn't here has no place yet.
const ALLOWED: &[(&str, &[&str])] = &[
    ("verifier-core", &[]),
    ("verifier-http", &["verifier-core"]),
    ("verifier-jwks", &["verifier-core"]),
    ("verifier-introspect", &["verifier-core"]),
    ("verifier-hybrid", &["verifier-core"]),
    ("verifier-testkit", &["verifier-core"]),
    ("verifier", ENGINE),
    ("verifier-cli", &["verifier", "verifier-testkit"]),
    ("benches", &["verifier", "verifier-testkit"]),
    ("interop", &["verifier", "verifier-testkit"]),
];

const ENGINE: &[&str] =
    &["verifier-core", "verifier-http", "verifier-jwks", "verifier-introspect", "verifier-hybrid"];

#[test]
fn dependencies_go_in_one_direction() {
    let metadata = metadata();
    let ours: BTreeSet<_> =
        metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let known: BTreeSet<_> = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(ours, known, "a crate of the workspace has no place in the order");

    let tree = Tree::new(&metadata);
    let mut wrong = Vec::new();
    for (name, allowed) in ALLOWED {
        for direct in &tree.built_with[tree.id(name)] {
            let direct = tree.names[direct].as_str();
            if ours.contains(direct) && !allowed.contains(&direct) {
                wrong.push(format!("{name} -> {direct}"));
            }
        }
    }
    assert!(wrong.is_empty(), "not allowed: {wrong:?}");
}

#[test]
fn the_core_has_no_runtime_no_client_and_no_cache() {
    let metadata = metadata();
    let tree = Tree::new(&metadata);
    let below = tree.below("verifier-core");
    // The walk sees what it is meant to see.
    assert!(below.contains("serde_json") && below.contains("aws-lc-rs"));
    let foreign = [
        "tokio",
        "async-std",
        "smol",
        "async-io",
        "reqwest",
        "hyper",
        "hyper-util",
        "h2",
        "rustls",
        "tower",
        "moka",
        "quick_cache",
        "arc-swap",
        "dashmap",
        "lru",
        "crossbeam-channel",
        "rayon",
    ];
    let found: Vec<_> = foreign.into_iter().filter(|name| below.contains(name)).collect();
    assert!(found.is_empty(), "verifier-core is built with {found:?}");
}

#[test]
fn the_strategies_know_no_client() {
    let metadata = metadata();
    let tree = Tree::new(&metadata);
    for name in ["verifier-jwks", "verifier-introspect", "verifier-hybrid"] {
        let below = tree.below(name);
        let found: Vec<_> =
            ["reqwest", "hyper", "tokio"].into_iter().filter(|one| below.contains(one)).collect();
        assert!(found.is_empty(), "{name} is built with {found:?}");
    }
}
