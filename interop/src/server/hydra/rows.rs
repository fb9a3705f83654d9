//! What is particular about Hydra: verdicts other than the table's, scenarios that it alone can play, advice.

use verifier::Strategy;

use super::plays;
use crate::scenario::{
    Act, Change, Course, Expected, Override, Scenario, Sorts, Step, VERIFIED, Verdict, Want, rejected,
    unavailable,
};
use crate::server::{Format, Kind, Scopes, Sort};

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

const NOT_ACCESS: Want = rejected("not_an_access_token");

const FINE: Expected = Expected::of(VERIFIED, VERIFIED, VERIFIED);

const EDWARDS: &str = "Hydra signs with EdDSA, and calls the tokens inactive";

const LOCKED: Want = Want::OneOf(
    &[Verdict::Rejected("inactive"), Verdict::Unavailable("timed_out")],
    "of two calls at once one waits for the lock longer than we wait for an answer",
);

const LOCKED_OUT: &str =
    "while its store is locked, Hydra calls good tokens inactive, or says nothing in time";

/// Where Hydra makes a verdict another than the table's.
pub(super) const OVERRIDES: &[Override] = &[
    own("fresh", None, Some(Strategy::Introspection), edwards, rejected("inactive"), EDWARDS),
    own("fresh", None, Some(Strategy::Hybrid), edwards, rejected("inactive"), EDWARDS),
    own("algorithm/not-listed", None, Some(Strategy::Introspection), edwards, rejected("inactive"), EDWARDS),
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
    own("outage/store-locked", Some("locked"), Some(Strategy::Introspection), every, LOCKED, LOCKED_OUT),
    own("outage/store-locked", Some("locked"), Some(Strategy::Hybrid), every, LOCKED, LOCKED_OUT),
];

const fn both(want: Want) -> Expected {
    Expected::of(Want::NotAsked("the parameter is introspection's"), want, want)
}

const fn asked(want: Want) -> Expected {
    Expected::of(VERIFIED, want, want)
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
    Scenario {
        kind: Kind::Id,
        changes: &[Change::set("issuer", "audience", "[\"interop-jwt\", \"interop-opaque\"]")],
        ..Scenario::new(
            "hydra/id-token-for-us",
            "an ID token, where the API is named like the client: its audience tells nothing",
            Sorts::Users,
            Course::Steps(&[Step::new(
                "first",
                Act::Nothing,
                Expected::of(NOT_ACCESS, rejected("inactive"), NOT_ACCESS),
            )]),
        )
    },
    Scenario {
        changes: &[Change::set("issuer.introspection", "endpoint", "\"{introspection}/\"")],
        ..Scenario::new(
            "hydra/endpoint-with-slash",
            "an introspection endpoint with a slash at its end: Hydra redirects, nobody follows",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, asked(unavailable("redirected")))]),
        )
    },
    Scenario {
        changes: &[Change::remove("issuer.introspection", "endpoint")],
        ..Scenario::new(
            "hydra/endpoint-not-named",
            "the introspection endpoint is left to Hydra's metadata, which don't have it",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, asked(unavailable("misconfigured")))]),
        )
    },
    Scenario {
        changes: &[
            Change::remove("issuer.introspection", "client_auth"),
            Change::set("issuer.introspection", "client_id", "\"api\""),
            Change::set("issuer.introspection", "client_secret", "{ file = \"{wrong-secret-file}\" }"),
        ],
        ..Scenario::new(
            "hydra/credentials-ignored",
            "credentials of ours that nobody knows: Hydra doesn't look at them",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, FINE)]),
        )
    },
    Scenario::new(
        "hydra/consent",
        "claims that the consent puts into a token never pass for the token's",
        Sorts::Users,
        Course::Own(plays::consent),
    ),
    Scenario::new(
        "hydra/spellings",
        "an opaque token in two spellings",
        Sorts::Opaque,
        Course::Own(plays::spellings),
    ),
    Scenario::new(
        "hydra/encryption-key",
        "signed with a key that is published for encryption",
        Sorts::Jwt,
        Course::Own(plays::encryption_key),
    )
    .alone(),
    Scenario::new(
        "hydra/client_credentials",
        "a token of Hydra's own, got by client credentials: Hydra doesn't look at it",
        Sorts::EachFormat,
        Course::Own(plays::by_token),
    ),
    Scenario {
        changes: &[Change::set("issuer.introspection", "signed_answers", "{ audience = \"api\" }")],
        ..Scenario::new(
            "hydra/signed-answers",
            "signed answers (RFC 9701) demanded of Hydra, which gives plain ones",
            Sorts::EachFormat,
            Course::Steps(&[Step::new("first", Act::Nothing, asked(unavailable("answer_not_signed")))]),
        )
    },
];

/// What Hydra's users should know.
pub(super) const ADVICE: &[&str] = &[
    "`aud` is empty unless the client asks with the parameter `audience`, and it must be allowed to (`audience` of the \
     client): else every token is `wrong_audience`.",
    "The introspection endpoint is on the admin port and in no metadata: name `introspection.endpoint`, without a slash at \
     its end (Hydra redirects, and redirects aren't followed). It looks at no credentials: protect the port, and set \
     `client_auth = \"none\"`.",
    "After a key rotation, JWTs of the older key are inactive at introspection, although the key is still published: \
     `jwks` goes on accepting them, `hybrid` rejects them. Rotate when that does no harm, or keep tokens short.",
    "JWTs signed with EdDSA are always inactive at introspection: with such a key, use `jwks`.",
    "While the store is locked or overloaded, Hydra calls good tokens inactive. Such an answer is kept for `negative_ttl` \
     (10 s) and then asked about again.",
    "Wildcard scopes (`things.*`) are compared literally here. Let Hydra match them: `introspection.parameters = { scope = \
     \"things.read\" }`.",
    "A refresh ends the access token before it, a refresh token used twice ends the whole family, a deleted client all of \
     its tokens: `introspection` and `hybrid` see each within `freshness`.",
];
