//! What is particular about Hydra: verdicts other than the table's, scenarios that it alone can play, advice.

use verifier::Strategy;

use crate::scenario::{
    Act, Change, Course, Demand, Expected, Override, Scenario, Sorts, Step, VERIFIED, Verdict, Want, rejected,
};
use crate::server::{Deed, Format, Scopes, Sort};

const fn every(_: &Sort) -> bool {
    true
}

fn edwards(sort: &Sort) -> bool {
    sort.algorithm == "EdDSA"
}

fn jwt(sort: &Sort) -> bool {
    sort.format == Format::Jwt
}

const fn own(
    scenario: &'static str,
    step: Option<&'static str>,
    strategy: Option<Strategy>,
    sorts: fn(&Sort) -> bool,
    want: Want,
    because: &'static str,
) -> Override {
    Override { scenario, step, strategy, sorts, want, because }
}

const EDWARDS: &str = "Hydra signs with EdDSA, and calls the tokens inactive";

/// Where Hydra makes a verdict another than the table's.
pub(super) const OVERRIDES: &[Override] = &[
    own("fresh", None, Some(Strategy::Introspection), edwards, rejected("inactive"), EDWARDS),
    own("fresh", None, Some(Strategy::Hybrid), edwards, rejected("inactive"), EDWARDS),
    own(
        "kind/id-token",
        None,
        Some(Strategy::Introspection),
        every,
        rejected("inactive"),
        "ID tokens are inactive for Hydra",
    ),
    own(
        "revoked/refreshed",
        Some("after"),
        Some(Strategy::Introspection),
        every,
        rejected("inactive"),
        "a refresh ends the access token before it",
    ),
    own(
        "revoked/refreshed",
        Some("after"),
        Some(Strategy::Hybrid),
        every,
        rejected("inactive"),
        "a refresh ends the access token before it",
    ),
    own(
        "rotation/added",
        Some("the older token"),
        Some(Strategy::Introspection),
        jwt,
        rejected("inactive"),
        "JWTs of the older key are inactive for Hydra, though the key is published",
    ),
    own(
        "rotation/added",
        Some("the older token"),
        Some(Strategy::Hybrid),
        jwt,
        rejected("inactive"),
        "JWTs of the older key are inactive for Hydra, though the key is published",
    ),
];

const FINE: Expected = Expected::of(VERIFIED, VERIFIED, VERIFIED);

const fn both(want: Want) -> Expected {
    Expected::of(Want::NotAsked("the parameter is introspection's"), want, want)
}

/// What Hydra alone can play.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        scopes: Scopes::Wildcard,
        changes: &[Change::set("issuer.introspection", "parameters", "{ scope = \"{held}\" }")],
        ..Scenario::new(
            "hydra/scope-parameter/held",
            "asked with the parameter scope, Hydra matches a wildcard scope itself",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, both(VERIFIED))]),
        )
    },
    Scenario {
        changes: &[Change::set("issuer.introspection", "parameters", "{ scope = \"{other}\" }")],
        ..Scenario::new(
            "hydra/scope-parameter/not-held",
            "asked with the parameter scope for one that it hasn't, Hydra says inactive",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, both(rejected("inactive")))]),
        )
    },
];

/// What Hydra's users should know.
pub(super) const ADVICE: &[&str] = &[];
