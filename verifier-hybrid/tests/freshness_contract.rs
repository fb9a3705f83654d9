//! The freshness contract as a property: whatever happens in whatever order, no acceptance rests on older revocation
//! knowledge than was promised, none ends after a revocation event that covers its token, every fault ends in rejected
//! or unavailable unless the configuration says otherwise, and what the evidence says is true.
//!
//! A history that breaks it is printed with its seed. `FRESHNESS_SEED=n` lives through that one alone;
//! `FRESHNESS_HISTORIES=n` through so many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod sim;

use std::collections::BTreeMap;

use sim::doubles::Flaw;
use sim::history::{Breach, Outcome, live};

const HISTORIES: u64 = 10_000;
const THREADS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Lives through the histories of all seeds below `count`, on a few threads; stops at the first violation.
fn live_all(count: u64) -> Vec<Outcome> {
    let lives = |first: u64| {
        move || {
            let mut total = Vec::new();
            for seed in (first..count).step_by(THREADS as usize) {
                let outcome = live(seed, None, false);
                if !outcome.violations.is_empty() {
                    fail(seed);
                }
                total.push(outcome);
            }
            total
        }
    };
    let threads: Vec<_> = (0..THREADS).map(|first| std::thread::spawn(lives(first))).collect();
    threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        .collect()
}

fn fail(seed: u64) {
    let outcome = live(seed, None, true);
    panic!("FRESHNESS_SEED={seed} breaks the contract: {:#?}\n{}", outcome.violations, outcome.trail);
}

#[test]
fn no_history_breaks_the_contract() {
    if let Some(seed) = number("FRESHNESS_SEED") {
        let outcome = live(seed, None, true);
        assert!(outcome.violations.is_empty(), "{:#?}\n{}", outcome.violations, outcome.trail);
        return;
    }
    let count = number("FRESHNESS_HISTORIES").unwrap_or(HISTORIES);
    let outcomes = live_all(count);
    let sum = |part: fn(&Outcome) -> usize| outcomes.iter().map(part).sum::<usize>() as u64;
    // A property that nothing reaches would hold as well.
    println!(
        "{count} histories: {} fresh, {} stale, {} exempt, {} unchecked, {} rejected, {} unavailable, {} too stale",
        sum(|one| one.accepted_fresh),
        sum(|one| one.accepted_stale),
        sum(|one| one.accepted_exempt),
        sum(|one| one.accepted_unchecked),
        sum(|one| one.rejected),
        sum(|one| one.unavailable),
        sum(|one| one.too_stale),
    );
    assert!(sum(|one| one.accepted_fresh) > 2 * count, "accepted fresh: {}", sum(|one| one.accepted_fresh));
    assert!(sum(|one| one.accepted_stale) > count / 100, "stale: {}", sum(|one| one.accepted_stale));
    assert!(sum(|one| one.accepted_exempt) > count / 100, "exempt: {}", sum(|one| one.accepted_exempt));
    assert!(
        sum(|one| one.accepted_unchecked) > count / 4,
        "unchecked: {}",
        sum(|one| one.accepted_unchecked)
    );
    assert!(sum(|one| one.rejected) > count, "rejected: {}", sum(|one| one.rejected));
    assert!(sum(|one| one.unavailable) > count, "unavailable: {}", sum(|one| one.unavailable));
    assert!(sum(|one| one.too_stale) > count / 100, "too stale: {}", sum(|one| one.too_stale));
}

#[test]
fn the_double_without_a_flaw_keeps_it() {
    for seed in 0..1_000 {
        let outcome = live(seed, Some(Flaw::None), true);
        assert!(outcome.violations.is_empty(), "seed {seed}: {:#?}\n{}", outcome.violations, outcome.trail);
    }
}

/// Which breaches a flaw makes: how often, and the first seed of each. In a thousand histories, or as many as it takes
/// to see all of its own.
fn breaches(flaw: Flaw, own: &[Breach]) -> BTreeMap<Breach, (usize, u64)> {
    let mut found = BTreeMap::new();
    for seed in 0..HISTORIES {
        if seed >= 1_000 && own.iter().all(|breach| found.contains_key(breach)) {
            break;
        }
        for (breach, _) in live(seed, Some(flaw), false).violations {
            found.entry(breach).or_insert((0, seed)).0 += 1;
        }
    }
    found
}

/// Each flaw breaks the contract in its own way, and in no other: a property that cries for the wrong reason would
/// stay quiet when it matters.
#[test]
fn every_flaw_is_found_by_what_it_breaks() {
    for (flaw, own) in [
        (Flaw::FreshnessIgnored, &[Breach::RevokedBefore, Breach::FalselyDated][..]),
        (Flaw::DatedByItsArrival, &[Breach::RevokedBefore, Breach::FalselyDated]),
        (Flaw::LateAnswerWins, &[Breach::StaleThoughInactive]),
        (Flaw::EventIgnoredAfterTheWait, &[Breach::AcceptedAfterEvent]),
        (Flaw::FailsOpen, &[Breach::RevokedBefore, Breach::FalselyDated]),
    ] {
        let found = breaches(flaw, own);
        println!("{flaw:?}: {found:?}");
        assert!(found.keys().eq(own), "{flaw:?} was to show as {own:?}, and showed as {found:?}");
    }
}
