//! Where this server's verdicts are other than the table's.

use verifier::Strategy;

use crate::scenario::{Override, VERIFIED, Want, rejected, unavailable};
use crate::server::{Format, Sort, Subject};

/// It answers any JWT with 400, which is that token's affair: remembered for it alone, and no outage.
const REFUSED: Want = unavailable("refused_by_server");

const REFUSES_JWTS: &str = "it refuses to introspect JWTs: 400 unsupported_token_type";

fn jwts(sort: &Sort) -> bool {
    sort.format == Format::Jwt
}

fn opaque(sort: &Sort) -> bool {
    sort.format == Format::Opaque
}

fn clients_opaque(sort: &Sort) -> bool {
    opaque(sort) && sort.subject == Subject::Client
}

fn users_opaque(sort: &Sort) -> bool {
    opaque(sort) && sort.subject == Subject::User
}

/// JWTs that the server would have to be asked about.
const fn refused(scenario: &'static str, strategy: Strategy) -> Override {
    Override {
        scenario,
        step: None,
        strategy: Some(strategy),
        sorts: jwts,
        want: REFUSED,
        because: REFUSES_JWTS,
    }
}

/// A server that never says more of a JWT than 400 can't be missed.
const fn not_missed(strategy: Strategy) -> Override {
    Override { want: Want::NotAsked("it introspects no JWT, there or not"), ..refused("outage/*", strategy) }
}

/// The example names no endpoint: who goes by another issuer's name doesn't find it.
const fn nameless(strategy: Strategy) -> Override {
    Override {
        scenario: "misconfigured/issuer",
        step: None,
        strategy: Some(strategy),
        sorts: |_| true,
        want: unavailable("misconfigured"),
        because: "the example finds the endpoint through the metadata, which name another issuer",
    }
}

/// JWTs that the example exempts.
const fn not_asked(scenario: &'static str) -> Override {
    Override {
        want: VERIFIED,
        because: "the example asks nobody about short-lived JWTs",
        ..refused(scenario, Hybrid)
    }
}

/// What ends elsewhere goes on here.
const fn goes_on(
    scenario: &'static str,
    strategy: Strategy,
    sorts: fn(&Sort) -> bool,
    because: &'static str,
) -> Override {
    Override { scenario, step: None, strategy: Some(strategy), sorts, want: VERIFIED, because }
}

const fn stumbles(strategy: Strategy) -> Override {
    Override {
        scenario: "revoked/client-disabled",
        step: Some("after"),
        strategy: Some(strategy),
        sorts: users_opaque,
        want: unavailable("server_error"),
        because: CLIENT_OF_A_USERS_TOKEN_GONE,
    }
}

const CLIENT_GONE: &str = "introspection doesn't look for the client of a client's own token";

const CLIENT_OF_A_USERS_TOKEN_GONE: &str =
    "introspection of a user's token stumbles over a client that is gone: 500 server_error";

const USER_GONE: &str = "introspection doesn't look for the user";

const ID_TOKEN: &str = "an ID token is a JWT, whatever access token comes with it; it says no typ";

const REFRESH_TOKEN: &str =
    "refresh tokens are active without token_type and aud, but for too long: that is judged first";

use Strategy::{Hybrid, Introspection, Jwks};

/// All of them.
pub(super) const OVERRIDES: &[Override] = &[
    not_missed(Introspection),
    not_missed(Hybrid),
    // By introspection alone the server is asked before anything of a JWT is judged, but for its shape.
    refused("fresh*", Introspection),
    refused("expired", Introspection),
    refused("tampered/claims", Introspection),
    refused("tampered/signature", Introspection),
    refused("tampered/key-id", Introspection),
    refused("audience/other", Introspection),
    refused("kind/dpop-bound", Introspection),
    refused("scope/*", Introspection),
    refused("revoked/*", Introspection),
    refused("rotation/*", Introspection),
    nameless(Introspection),
    nameless(Hybrid),
    refused("foreign/*", Introspection),
    refused("algorithm/*", Introspection),
    refused("address/*", Introspection),
    // By hybrid it is asked only if a freshness is demanded: the example exempts JWTs that live no longer than it allows.
    refused("fresh/live", Hybrid),
    refused("revoked/*", Hybrid),
    refused("rotation/added", Hybrid),
    Override { step: Some("its first token"), ..refused("rotation/withdrawn", Hybrid) },
    Override {
        want: rejected("unknown_key"),
        step: Some("the key is withdrawn"),
        ..refused("rotation/withdrawn", Hybrid)
    },
    refused("address/revoked", Hybrid),
    not_asked("misconfigured/endpoint"),
    not_asked("misconfigured/client"),
    not_asked("misconfigured/secret"),
    Override {
        scenario: "kind/id-token",
        step: None,
        strategy: Some(Hybrid),
        sorts: users,
        want: rejected("wrong_type"),
        because: ID_TOKEN,
    },
    // ID tokens are JWTs, refresh tokens are not, whatever the access token's format.
    Override { sorts: users, ..refused("kind/id-token", Introspection) },
    Override {
        scenario: "kind/id-token",
        step: None,
        strategy: Some(Jwks),
        sorts: users,
        want: rejected("wrong_type"),
        because: ID_TOKEN,
    },
    Override {
        scenario: "kind/refresh-token",
        step: None,
        strategy: Some(Introspection),
        sorts: users,
        want: rejected("lifetime_too_long"),
        because: REFRESH_TOKEN,
    },
    Override {
        scenario: "kind/refresh-token",
        step: None,
        strategy: Some(Hybrid),
        sorts: users,
        want: rejected("lifetime_too_long"),
        because: REFRESH_TOKEN,
    },
    goes_on("revoked/client-*", Introspection, clients_opaque, CLIENT_GONE),
    goes_on("revoked/client-*", Hybrid, clients_opaque, CLIENT_GONE),
    goes_on("revoked/user-*", Introspection, opaque, USER_GONE),
    goes_on("revoked/user-*", Hybrid, opaque, USER_GONE),
    stumbles(Introspection),
    stumbles(Hybrid),
];

fn users(sort: &Sort) -> bool {
    sort.subject == Subject::User
}
