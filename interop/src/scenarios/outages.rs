//! Servers that are gone, halted, or have lost their store.

use std::time::Duration;

use crate::scenario::{
    Act, Change, Course, Demand, Expected, Scenario, Sorts, Step, VERIFIED, Verdict, Want,
};
use crate::server::{Deed, Lifetime};

const FINE: Expected = Expected::of(VERIFIED, VERIFIED, VERIFIED);

const HALTED: Want = Want::Exactly(Verdict::Unavailable("timed_out"));

const AWAY_SLOWLY: Expected = Expected::of(VERIFIED, HALTED, HALTED);

/// A kept connection may be found broken before the request is on its way, or after: the kernel doesn't say how much of it
/// a dead process has read.
const KILLED: Want = Want::OneOf(
    &[Verdict::Unavailable("connect_failed"), Verdict::Unavailable("unreadable_answer")],
    "a new connection is refused; a kept one that breaks under the request ends its answer",
);

const AWAY: Expected = Expected::of(VERIFIED, KILLED, KILLED);

/// Pauses grow while a server is away; ours end soon after it is back.
const RECOVERY: Duration = Duration::from_secs(15);

const fn row(id: &'static str, title: &'static str, steps: &'static [Step]) -> Scenario {
    Scenario { demand: Demand::Live, ..Scenario::new(id, title, Sorts::EachFormat, Course::Steps(steps)) }
}

/// The rows.
pub(crate) const ALL: &[Scenario] = &[
    row(
        "outage/halted",
        "the server's process is halted in its tracks, and goes on",
        &[
            Step::new("before", Act::Nothing, FINE),
            Step::new("halted", Act::Server(Deed::Halt), AWAY_SLOWLY),
            Step::new("goes on", Act::Server(Deed::GoOn), FINE).within(RECOVERY),
        ],
    ),
    Scenario {
        demand: Demand::Configured,
        ..row(
            "outage/answers-at-hand",
            "halted; what was asked a moment ago serves on within the example's freshness",
            &[
                Step::new("before", Act::Nothing, FINE),
                Step::new("halted", Act::Server(Deed::Halt), FINE).no_calls(),
            ],
        )
    },
    Scenario {
        demand: Demand::Configured,
        changes: &[
            Change::set("issuer.revocation", "freshness", "\"1s\""),
            Change::set("issuer.revocation", "when_unknown", "{ allow_stale = \"1m\" }"),
        ],
        ..row(
            "outage/allow-stale",
            "halted, with freshness = 1s and when_unknown = allow_stale",
            &[
                Step::new("before", Act::Nothing, FINE),
                Step::new("halted", Act::Server(Deed::Halt), Expected::of(VERIFIED, HALTED, VERIFIED))
                    .after_freshness(),
            ],
        )
    },
    row(
        "outage/restart",
        "the server is killed and started again on the same port, and nothing of ours is",
        &[
            Step::new("before", Act::Nothing, FINE),
            Step::new("killed", Act::Server(Deed::Kill), AWAY),
            Step::new("back", Act::Server(Deed::Restart), FINE).within(RECOVERY),
        ],
    ),
    Scenario {
        lifetime: Lifetime::Usual,
        changes: &[Change::set("issuer.introspection", "negative_ttl", "\"1s\"")],
        ..row(
            "outage/store-locked",
            "its store is locked: what it says then doesn't stay",
            &[
                Step::new("before", Act::Nothing, FINE),
                Step::new("locked", Act::Server(Deed::LockStore), LOCKED),
                Step::new("let go", Act::Server(Deed::UnlockStore), FINE).within(RECOVERY),
            ],
        )
    },
];

/// A server that can't look says so.
const LOST: Want = Want::Exactly(Verdict::Unavailable("server_error"));

const LOCKED: Expected = Expected::of(VERIFIED, LOST, LOST);
