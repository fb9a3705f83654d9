//! The seeds of the fuzz targets are what their names say: a corpus that rots finds nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;

use verifier_core::token::{AccessToken, MAX_TOKEN_LEN, Shape};

#[test]
fn token_seeds_are_what_their_names_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/token");
    let mut kinds = [0; 3];
    for entry in fs::read_dir(folder).expect("the seeds stand beside the fuzz targets") {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let text = fs::read_to_string(entry.path()).unwrap();
        let token = AccessToken::new(&text, MAX_TOKEN_LEN).unwrap();
        let (kind, expected) = match token.shape() {
            Ok(Shape::Jwt(_)) => (0, "jwt"),
            Ok(Shape::Opaque) => (1, "opaque"),
            Err(_) => (2, "rejected"),
        };
        assert!(name.starts_with(expected), "{name} is {expected}");
        kinds[kind] += 1;
    }
    assert!(kinds.iter().all(|count| *count > 0), "each kind has a seed: {kinds:?}");
}
