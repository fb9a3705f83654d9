//! What a token is, by itself: fresh, altered, somebody else's, another kind.

use crate::scenario::{
    Act, Change, Course, Demand, Expected, Scenario, Sorts, Step, VERIFIED, Verdict, Want, rejected,
    unavailable,
};
use crate::server::{Audience, Kind, Lifetime, Need, Scopes};
use crate::twist::Twist;

const FINE: Expected = Expected::of(VERIFIED, VERIFIED, VERIFIED);

/// All strategies say the same of JWTs; opaque tokens are the server's affair.
const fn all(code: &'static str) -> Expected {
    Expected::of(rejected(code), rejected(code), rejected(code))
}

/// The rows.
pub(crate) const ALL: &[Scenario] = &[
    Scenario::new(
        "fresh",
        "a fresh access token, of every sort",
        Sorts::Each,
        Course::Steps(&[
            Step::new("first", Act::Nothing, FINE),
            Step::new("again, from what is kept", Act::Nothing, FINE).no_calls(),
        ]),
    ),
    Scenario {
        demand: Demand::Live,
        ..Scenario::new(
            "fresh/live",
            "asked about now",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("live", Act::Nothing, FINE)]),
        )
    },
    Scenario {
        scopes: Scopes::Absent,
        ..Scenario::new(
            "fresh/no-scope",
            "without any scope",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, FINE)]),
        )
    },
    Scenario {
        lifetime: Lifetime::Short,
        changes: &[Change::set("issuer", "leeway", "\"0s\"")],
        ..Scenario::new(
            "expired",
            "past its end, without leeway",
            Sorts::EachFormat,
            Course::Steps(&[
                Step::new("alive", Act::Nothing, FINE),
                Step::new(
                    "expired",
                    Act::UntilExpired,
                    Expected::of(rejected("expired"), GONE, rejected("expired")).opaque(GONE, GONE),
                ),
            ]),
        )
    },
    Scenario {
        twist: Twist::Payload,
        ..Scenario::new(
            "tampered/claims",
            "a claim added, the signature kept",
            Sorts::Jwt,
            Course::Steps(&[Step::new(
                "first",
                Act::Nothing,
                Expected::of(rejected("bad_signature"), rejected("inactive"), rejected("bad_signature")),
            )]),
        )
    },
    Scenario {
        twist: Twist::Signature,
        ..Scenario::new(
            "tampered/signature",
            "another character in the signature, or in the opaque token",
            Sorts::EachFormat,
            Course::Steps(&[Step::new(
                "first",
                Act::Nothing,
                Expected::of(rejected("bad_signature"), rejected("inactive"), rejected("bad_signature"))
                    .opaque(rejected("inactive"), rejected("inactive")),
            )]),
        )
    },
    Scenario {
        twist: Twist::Unsigned,
        ..Scenario::new(
            "tampered/unsigned",
            "alg none",
            Sorts::Jwt,
            Course::Steps(&[Step::new("first", Act::Nothing, all("algorithm_not_allowed")).no_calls()]),
        )
    },
    Scenario {
        twist: Twist::UnknownKey,
        ..Scenario::new(
            "tampered/key-id",
            "a made-up key id",
            Sorts::Jwt,
            Course::Steps(&[Step::new(
                "first",
                Act::Nothing,
                Expected::of(rejected("unknown_key"), rejected("inactive"), rejected("unknown_key")),
            )]),
        )
    },
    Scenario {
        twist: Twist::EmptyParts,
        ..Scenario::new(
            "odd/header-without-alg",
            "e30.e30.e30, which makes some servers answer 400: no server is asked",
            Sorts::Jwt,
            Course::Steps(&[Step::new("first", Act::Nothing, all("malformed_header")).no_calls()]),
        )
    },
    Scenario {
        twist: Twist::UnusedBits,
        ..Scenario::new(
            "odd/unused-bits",
            "respelled with unused bits: no server is asked",
            Sorts::Jwt,
            Course::Steps(&[Step::new("first", Act::Nothing, all("not_canonical")).no_calls()]),
        )
    },
    Scenario {
        twist: Twist::Padded,
        ..Scenario::new(
            "odd/padding",
            "respelled with padding: no server is asked",
            Sorts::Jwt,
            Course::Steps(&[Step::new("first", Act::Nothing, all("not_canonical")).no_calls()]),
        )
    },
    Scenario {
        twist: Twist::OtherAlphabet,
        ..Scenario::new(
            "odd/alphabet",
            "respelled with + and /: no server is asked",
            Sorts::Jwt,
            Course::Steps(&[Step::new("first", Act::Nothing, all("not_canonical")).no_calls()]),
        )
    },
    Scenario {
        audience: Audience::Other,
        ..Scenario::new(
            "audience/other",
            "for somebody else's API",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, all("wrong_audience"))]),
        )
    },
    Scenario {
        audience: Audience::Nobody,
        ..Scenario::new(
            "audience/none",
            "for nobody",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, all("wrong_audience"))]),
        )
    },
    Scenario {
        kind: Kind::Id,
        ..Scenario::new(
            "kind/id-token",
            "an ID token",
            Sorts::Users,
            Course::Steps(&[Step::new("first", Act::Nothing, all("not_an_access_token"))]),
        )
    },
    Scenario {
        kind: Kind::Refresh,
        ..Scenario::new(
            "kind/refresh-token",
            "a refresh token",
            Sorts::Users,
            Course::Steps(&[Step::new(
                "first",
                Act::Nothing,
                Expected::of(
                    rejected("not_a_jwt"),
                    rejected("not_an_access_token"),
                    rejected("not_an_access_token"),
                ),
            )]),
        )
    },
    Scenario {
        kind: Kind::Code,
        ..Scenario::new(
            "kind/code",
            "an authorization code",
            Sorts::Users,
            Course::Steps(&[Step::new(
                "first",
                Act::Nothing,
                Expected::of(rejected("not_a_jwt"), rejected("inactive"), rejected("inactive")),
            )]),
        )
    },
    Scenario {
        kind: Kind::DpopBound,
        ..Scenario::new(
            "kind/dpop-bound",
            "a DPoP-bound token offered as bearer",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, all("sender_unproven"))]),
        )
    },
    Scenario {
        changes: &[Change::set("issuer", "required_scopes", "[\"{held}\"]")],
        ..Scenario::new(
            "scope/held",
            "a scope that it has",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, FINE)]),
        )
    },
    Scenario {
        changes: &[Change::set("issuer", "required_scopes", "[\"{other}\"]")],
        ..Scenario::new(
            "scope/not-held",
            "a scope that it hasn't",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, all("insufficient_scope"))]),
        )
    },
    Scenario {
        scopes: Scopes::Wildcard,
        changes: &[Change::set("issuer", "required_scopes", "[\"{held}\"]")],
        ..Scenario::new(
            "scope/wildcard",
            "a wildcard scope is compared literally",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, all("insufficient_scope"))]),
        )
    },
    Scenario {
        changes: &[Change::set("issuer.introspection", "endpoint", "\"{issuer}/there-is-nothing-here\"")],
        ..Scenario::new(
            "misconfigured/endpoint",
            "an introspection endpoint that isn't there",
            Sorts::EachFormat,
            Course::Steps(&[Step::new(
                "first",
                Act::Nothing,
                Expected::of(VERIFIED, unavailable("misconfigured"), unavailable("misconfigured")),
            )]),
        )
    },
    misconfigured(
        "misconfigured/client",
        "a client id of ours that the server doesn't know",
        &[Change::set("issuer.introspection", "client_id", "\"nobody-known\"")],
    ),
    misconfigured(
        "misconfigured/secret",
        "a client secret of ours that is wrong",
        &[Change::set("issuer.introspection", "client_secret", "{ file = \"{wrong-secret-file}\" }")],
    ),
    Scenario {
        changes: &[Change::set("issuer", "issuer", "\"{issuer}/\"")],
        ..Scenario::new(
            "misconfigured/issuer",
            "the issuer's name with a slash that it hasn't",
            Sorts::EachFormat,
            Course::Steps(&[Step::new(
                "first",
                Act::Nothing,
                Expected::of(unavailable("misconfigured"), ANOTHER_NAME, unavailable("misconfigured"))
                    .opaque(ANOTHER_NAME, ANOTHER_NAME),
            )]),
        )
    },
];

const ANOTHER_NAME: Want = Want::OneOf(
    &[Verdict::Rejected("unknown_issuer"), Verdict::Rejected("wrong_issuer")],
    "by a look at a JWT's `iss` before anybody is asked, or by the answer's",
);

const fn misconfigured(id: &'static str, title: &'static str, changes: &'static [Change]) -> Scenario {
    Scenario {
        needs: &[Need::CallerAuthentication],
        changes,
        ..Scenario::new(id, title, Sorts::EachFormat, Course::Steps(ASKED_IN_VAIN))
    }
}

const ASKED_IN_VAIN: &[Step] = &[Step::new("first", Act::Nothing, REFUSED)];

const REFUSED: Expected =
    Expected::of(VERIFIED, unavailable("credentials_refused"), unavailable("credentials_refused"));

const GONE: Want = Want::OneOf(
    &[Verdict::Rejected("expired"), Verdict::Rejected("inactive")],
    "a kept answer says when it ends, a new one that it has ended",
);
