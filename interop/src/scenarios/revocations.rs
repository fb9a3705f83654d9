//! Tokens that end before their time: when does each strategy notice, against its freshness?

use std::time::Duration;

use crate::scenario::{Act, Change, Course, Demand, Expected, Scenario, Sorts, Step, VERIFIED, rejected};
use crate::server::Deed;

const FINE: Expected = Expected::of(VERIFIED, VERIFIED, VERIFIED);

/// What was revoked goes on by `jwks`, which is what that strategy promises, and by no other.
const ENDED: Expected = Expected::of(VERIFIED, rejected("inactive"), rejected("inactive"));

const fn row(id: &'static str, title: &'static str, sorts: Sorts, steps: &'static [Step]) -> Scenario {
    Scenario { demand: Demand::Fresh, ..Scenario::new(id, title, sorts, Course::Steps(steps)) }
}

const FORGETFUL: &[Change] = &[Change::set("issuer.introspection", "negative_ttl", "\"1s\"")];

/// Asked live, and with inactive answers kept for 1 s (the default is 10 s), which is what a recovery waits for.
const fn again(id: &'static str, title: &'static str, sorts: Sorts, steps: &'static [Step]) -> Scenario {
    Scenario { demand: Demand::Live, changes: FORGETFUL, ..row(id, title, sorts, steps) }
}

const FIRST: Step = Step::new("before", Act::Nothing, FINE);

const fn ended(deed: Deed) -> Step {
    Step::new("after", Act::Server(deed), ENDED).after_freshness()
}

/// The rows.
pub(crate) const ALL: &[Scenario] = &[
    row(
        "revoked/rfc7009",
        "revoked by its client (RFC 7009)",
        Sorts::EachUsual,
        &[FIRST, ended(Deed::Revoke)],
    ),
    row(
        "revoked/by-a-stranger",
        "another client tries to revoke it, which changes nothing",
        Sorts::EachFormat,
        &[FIRST, Step::new("after", Act::Server(Deed::RevokeByStranger), FINE).after_freshness()],
    ),
    Scenario {
        demand: Demand::Live,
        ..Scenario::new(
            "revoked/live",
            "revoked, and asked live: the next verdict knows",
            Sorts::EachFormat,
            Course::Steps(&[FIRST, Step::new("after", Act::Server(Deed::Revoke), ENDED)]),
        )
    },
    row(
        "revoked/refresh-token",
        "the refresh token of its grant is revoked",
        Sorts::Users,
        &[FIRST, ended(Deed::RevokeRefreshToken)],
    ),
    row("revoked/logout", "the user logs out", Sorts::Users, &[FIRST, ended(Deed::Logout)]),
    row(
        "revoked/client-disabled",
        "its client is disabled, or deleted",
        Sorts::EachUsual,
        &[FIRST, ended(Deed::DisableClient)],
    ),
    again(
        "revoked/client-enabled-again",
        "its client is disabled, and enabled again: inactive is not for ever",
        Sorts::EachFormat,
        &[
            FIRST,
            Step::new("disabled", Act::Server(Deed::DisableClient), ENDED),
            Step::new("enabled again", Act::Server(Deed::EnableClient), FINE).within(NEGATIVE),
        ],
    ),
    row("revoked/user-disabled", "its user is disabled", Sorts::Users, &[FIRST, ended(Deed::DisableUser)]),
    again(
        "revoked/user-enabled-again",
        "its user is disabled, and enabled again: inactive is not for ever",
        Sorts::Users,
        &[
            FIRST,
            Step::new("disabled", Act::Server(Deed::DisableUser), ENDED),
            Step::new("enabled again", Act::Server(Deed::EnableUser), FINE).within(NEGATIVE),
        ],
    ),
    row(
        "revoked/refreshed",
        "the client refreshes: the access token before",
        Sorts::Users,
        &[FIRST, Step::new("after", Act::Server(Deed::Refresh), FINE).after_freshness()],
    ),
    row(
        "revoked/refresh-token-used-twice",
        "a refresh token is used twice: a theft, and the family ends",
        Sorts::Users,
        &[FIRST, ended(Deed::ReuseRefreshToken)],
    ),
    row(
        "revoked/all-of-a-client",
        "all tokens of its client are withdrawn",
        Sorts::EachFormat,
        &[FIRST, ended(Deed::WithdrawAll)],
    ),
];

/// How long an inactive answer is kept here, and a little more.
const NEGATIVE: Duration = Duration::from_secs(2);
