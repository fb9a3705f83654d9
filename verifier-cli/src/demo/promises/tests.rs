use super::*;
use crate::demo::figures::{Calls, Flood, Latency, Outage, Revocation, Rotation, Speed, Stampede, Verdicts};

fn calls(jwks: u64, introspection: u64) -> Calls {
    Calls { discovery: 1, jwks, introspection }
}

fn verdicts(code: &'static str, count: u64) -> Verdicts {
    let mut verdicts = Verdicts::default();
    (0..count).for_each(|_| verdicts.note(code));
    verdicts
}

/// Figures of a strategy that keeps its promises, each at its very limit.
pub(in crate::demo) fn kept(strategy: &'static str) -> StrategyFigures {
    let (looks_at_keys, asks) = (strategy != "introspection", strategy != "jwks");
    let latency = Latency { count: 1, p50_us: 1.0, p99_us: 1.0 };
    let used_up = if asks { "breaker_open" } else { "verified" };
    StrategyFigures {
        strategy,
        speed: Speed {
            first_us: 1.0,
            cold: latency,
            warm: latency,
            cold_calls: calls(0, 1),
            warm_calls: calls(0, 0),
        },
        stampede: Stampede {
            callers: 100,
            verified: 100,
            calls: calls(u64::from(looks_at_keys), u64::from(asks)),
        },
        rotation: Rotation {
            rotations: 3,
            requests: 500,
            lost: 0,
            lost_by_code: Verdicts::default(),
            calls: calls(3, 500),
        },
        flood: Flood {
            tokens: 10,
            verdicts: verdicts("unknown_key", 10),
            calls: calls(3, 0),
            lasted_s: 50.0,
            cooldown_s: 30.0,
            allowed_fetches: 3,
            good_tokens: 50,
            good_tokens_lost: 0,
            rotations: 2,
            rotations_picked_up: 2,
            longest_wait_s: 30.0,
        },
        revocation: Revocation {
            freshness_s: asks.then_some(1.0),
            tokens: 6,
            noticed: if asks { 6 } else { 0 },
            noticed_after_s: asks.then_some(1.1),
            accepted_for_s: if asks { 1.0 } else { 300.0 },
            codes: verdicts("inactive", 6),
            noticed_before_expiry: asks,
        },
        outage: Outage {
            tokens: 5,
            fresh: verdicts("verified", 5),
            unseen: verdicts(used_up, 1),
            freshness_used_up: verdicts(used_up, 5),
            hours_later: verdicts("keys_stale", 5),
            recovered: verdicts("verified", 5),
        },
        verdicts: Verdicts::default(),
    }
}

fn broken(figures: StrategyFigures) -> Vec<&'static str> {
    judge(&[figures]).into_iter().filter(|promise| !promise.kept).map(|promise| promise.name).collect()
}

#[test]
fn promises_are_kept_up_to_their_limits() {
    for strategy in ["jwks", "introspection", "hybrid"] {
        assert_eq!(broken(kept(strategy)), Vec::<&str>::new(), "{strategy}");
    }
}

#[test]
fn each_figure_beyond_its_limit_breaks_its_promise_and_no_other() {
    let after = |change: fn(&mut StrategyFigures)| {
        let mut figures = kept("hybrid");
        change(&mut figures);
        broken(figures)
    };
    assert_eq!(after(|it| it.stampede.calls.introspection = 2), ["stampede"]);
    assert_eq!(after(|it| it.stampede.calls.introspection = 0), ["stampede"]);
    assert_eq!(after(|it| it.stampede.calls.jwks = 2), ["stampede"]);
    assert_eq!(after(|it| it.stampede.verified = 99), ["stampede"]);
    assert_eq!(after(|it| it.rotation.lost = 1), ["rotation"]);
    assert_eq!(after(|it| it.flood.calls.jwks = 4), ["flood"]);
    assert_eq!(after(|it| it.flood.longest_wait_s = 30.1), ["flood_rotation"]);
    assert_eq!(after(|it| it.flood.rotations_picked_up = 1), ["flood_rotation"]);
    assert_eq!(after(|it| it.flood.good_tokens_lost = 1), ["flood_bystanders"]);
    assert_eq!(after(|it| it.flood.verdicts.note("verified")), ["flood_bystanders"]);
    assert_eq!(after(|it| it.revocation.accepted_for_s = 1.01), ["revocation"]);
    assert_eq!(after(|it| it.revocation.noticed = 5), ["revocation"]);
    assert_eq!(after(|it| it.outage.hours_later.note("inactive")), ["outage"]);
    assert_eq!(after(|it| it.outage.fresh.note("unknown_key")), ["outage"]);
    assert_eq!(after(|it| it.outage.freshness_used_up = verdicts("verified", 5)), ["outage"]);
    assert_eq!(after(|it| it.outage.unseen = verdicts("verified", 1)), ["outage"]);
    assert_eq!(after(|it| it.outage.recovered = verdicts("breaker_open", 5)), ["recovery"]);
}

#[test]
fn local_verification_goes_on_in_an_outage_and_promises_nothing_of_revocations() {
    let mut figures = kept("jwks");
    figures.outage.freshness_used_up = verdicts("keys_stale", 5);
    assert_eq!(broken(figures), ["outage"]);
    assert!(judge(&[kept("jwks")]).iter().all(|promise| promise.name != "revocation"));
}
