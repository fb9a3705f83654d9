//! Keys that change: step by step, and under a steady stream of verifications.

use crate::rotation;
use crate::scenario::{
    Act, Change, Course, Demand, Expected, Scenario, Sorts, Step, VERIFIED, Verdict, Want, rejected,
};
use crate::server::{Deed, Need};

const FINE: Expected = Expected::of(VERIFIED, VERIFIED, VERIFIED);

/// How old the key set grows here before it is fetched again; the default is 10 min.
pub(crate) const MAX_AGE: std::time::Duration = std::time::Duration::from_secs(2);

/// The changes that make it so. Attempts because of age and for unknown keys share the slots that `cooldown` gives out, so
/// that has to be shorter than the age.
pub(crate) const SHORT_AGE: &[Change] =
    &[Change::set("issuer.keys", "max_age", "\"2s\""), Change::set("issuer.keys", "cooldown", "\"1s\"")];

const NOT_JUDGED: Expected = {
    let none = Want::NotAsked("nothing can be said while one key follows another");
    Expected::of(none, none, none).opaque(none, none)
};

const WITHDRAWN: Want = Want::OneOf(
    &[Verdict::Rejected("unknown_key"), Verdict::Rejected("inactive")],
    "whichever is known first: that the key is gone, or that the server calls its tokens inactive",
);

/// The rows.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        demand: Demand::Live,
        ..Scenario::new(
            "rotation/added",
            "a new key signs at once, the older one stays published",
            Sorts::Jwt,
            Course::Steps(&[
                Step::new("before", Act::Nothing, FINE),
                Step::new("a key is added", Act::Server(Deed::AddKey), NOT_JUDGED),
                Step::new("its first token", Act::NewToken, FINE),
                Step::new("the older token", Act::OldToken, FINE),
                Step::new("the newer token again", Act::OldToken, FINE),
            ]),
        )
    },
    Scenario {
        demand: Demand::Live,
        changes: SHORT_AGE,
        ..Scenario::new(
            "rotation/withdrawn",
            "the key that signed a token is withdrawn",
            Sorts::Jwt,
            Course::Steps(&[
                Step::new("a key is added", Act::Server(Deed::AddKey), NOT_JUDGED),
                Step::new("its first token", Act::NewToken, FINE),
                Step::new(
                    "the key is withdrawn",
                    Act::Server(Deed::DropKey),
                    Expected::of(rejected("unknown_key"), rejected("inactive"), WITHDRAWN),
                )
                .within(MAX_AGE),
            ]),
        )
    },
    Scenario {
        needs: &[Need::Deed(Deed::AddKey), Need::Deed(Deed::DropKey)],
        alone: true,
        ..Scenario::new(
            "rotation/stream",
            "a key is added, signs, and is withdrawn under a steady stream of verifications",
            Sorts::Jwt,
            Course::Own(rotation::stream),
        )
    },
];
