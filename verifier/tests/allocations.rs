//! A warm verification allocates nothing. One test in this file: the count is the process's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod stage;

use std::alloc::System;

use futures::FutureExt;
use stage::Stage;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use verifier::Verifier;
use verifier_testkit::TokenRequest;

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HITS: usize = 10_000;

/// Allocations and reallocations in [`HITS`] warm verifications.
fn allocations(verifier: &Verifier, token: &str) -> usize {
    for _ in 0..100 {
        verifier.verify(token).now_or_never().expect("a hit is ready").unwrap();
    }
    let region = Region::new(COUNTING);
    for _ in 0..HITS {
        verifier.verify(token).now_or_never().expect("a hit is ready").unwrap();
    }
    let change = region.change();
    change.allocations + change.reallocations
}

#[tokio::test]
async fn a_warm_hit_allocates_nothing() {
    let stage = Stage::new();
    let (server, other) = (stage.server(), stage.server());
    let mut found = Vec::new();
    for strategy in stage::STRATEGIES {
        for (issuers, toml) in [
            (1, stage.section(&server, strategy)),
            (2, format!("{}{}", stage.section(&server, strategy), stage.section(&other, "jwks"))),
        ] {
            let verifier = stage.build(&toml);
            let token = server.issue(TokenRequest::new().subject("alice").scope("a b")).token;
            // Cold, and once warm for the router's index.
            verifier.verify(&token).await.unwrap();
            verifier.verify(&token).await.unwrap();
            let count = allocations(&verifier, &token);
            found.push((strategy, issuers, count));
        }
    }
    // A thread of the harness or the server may allocate meanwhile; one in a hundred hits is not ours.
    let bound = HITS / 100;
    assert!(found.iter().all(|(_, _, count)| *count <= bound), "allocations in {HITS} hits: {found:?}");
    // The count counts: a cold verification allocates.
    let verifier = stage.verifier(&server, "jwks");
    let token = server.issue(TokenRequest::new()).token;
    let region = Region::new(COUNTING);
    verifier.verify(&token).await.unwrap();
    assert!(region.change().allocations > 10);
}
