//! What real authorization servers do, row by row, through every strategy: from a configuration to verdicts, against an
//! authorization server on loopback that behaves as the real ones were seen to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod answers;
mod keys;
mod kinds;
mod names;
mod play;
mod refusals;
mod revocations;
mod script;
mod spellings;

use std::collections::BTreeSet;

use script::Row;

fn rows() -> Vec<Row> {
    [
        refusals::rows(),
        answers::rows(),
        kinds::rows(),
        spellings::rows(),
        revocations::rows(),
        keys::rows(),
        names::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn no_row_is_left_out() {
    let expected: BTreeSet<String> = (1..=22).map(|n| format!("R{n:02}")).collect();
    let found: BTreeSet<String> = rows().iter().map(|row| row.id.to_owned()).collect();
    assert_eq!(found, expected);
}
