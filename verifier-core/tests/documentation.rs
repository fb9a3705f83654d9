//! What the documentation lists is what there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use verifier_core::error::{Rejection, UnavailableReason};

const WHY: &str = include_str!("../../docs/why-401.md");

#[test]
fn every_code_is_explained_once_and_no_other() {
    let listed: Vec<&str> = WHY
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code)
        .collect();
    let there: Vec<&str> = Rejection::ALL
        .iter()
        .map(|rejection| rejection.code())
        .chain(UnavailableReason::ALL.iter().map(|reason| reason.code()))
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn every_rejection_is_listed_with_its_status() {
    for rejection in Rejection::ALL {
        let row = format!("| `{}` | {} |", rejection.code(), rejection.status());
        assert!(WHY.contains(&row), "{row}");
    }
}
