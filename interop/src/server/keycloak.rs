//! Keycloak: realms made by `start`, clients by the driver as tokens need them.

pub(crate) mod admin;
pub(crate) mod deeds;
pub(crate) mod running;

use async_trait::async_trait;
use verifier::Strategy;

pub(crate) use self::admin::Admin;
pub(crate) use self::running::Running;
use super::{Deed, Format, Need, Product, Scopes, Server, Sort, Start, Subject, Trouble, process};
use crate::scenario::{Override, Scenario};
use crate::scenarios::keycloak;

/// The product.
#[derive(Debug)]
pub(crate) struct Keycloak;

const NAME: &str = "keycloak";

/// The realm that most is played in.
const REALM: &str = "interop";

/// The realm whose name is an address where nobody listens.
const ELSEWHERE: &str = "elsewhere";

/// Typed by the client's setting "use RFC 9068 access token header type".
pub(crate) const AT_JWT: &str = "at+jwt";

/// By the client's setting "use lightweight access token": no `sub`, no roles.
pub(crate) const LIGHTWEIGHT: &str = "lightweight";

const SORTS: &[Sort] = &[
    Sort::jwt(Subject::Client, "RS256"),
    Sort::jwt(Subject::User, "RS256"),
    Sort::jwt(Subject::Client, "RS256").flavoured(AT_JWT),
    Sort::jwt(Subject::User, "RS256").flavoured(LIGHTWEIGHT),
    Sort::jwt(Subject::Client, "RS384"),
    Sort::jwt(Subject::Client, "RS512"),
    Sort::jwt(Subject::Client, "PS256"),
    Sort::jwt(Subject::Client, "PS384"),
    Sort::jwt(Subject::Client, "PS512"),
    Sort::jwt(Subject::Client, "ES256"),
    Sort::jwt(Subject::User, "ES256"),
    Sort::jwt(Subject::Client, "ES384"),
    Sort::jwt(Subject::Client, "ES512"),
    Sort::jwt(Subject::Client, "EdDSA"),
];

const ADVICE: &[&str] = &[
    "Your API isn't in `aud` unless a mapper \"Audience\" puts it there: make a client scope with two of them, one for \
     your API's name (`audience` in the configuration), one for the client id with which you introspect. Without the \
     second, Keycloak calls every token inactive, and `health` notes `all_inactive`.",
    "Where a token can't name its callers, the client attribute `allow.token.introspection.without.audience.check` \
     exempts the introspecting client. Such a client is told of refresh and ID tokens, too, and `token_type` alone \
     tells them apart: keep the profile `keycloak`.",
    "Lightweight access tokens hold neither `sub` nor roles: `claims = \"introspection\"` under `hybrid`, or the \
     strategy `introspection`. With `claims = \"introspection\"` a role that an administrator takes away is gone at the \
     next answer; with `claims = \"token\"` at the token's end.",
    "Realm roles are found by themselves; roles of a client with `roles = [\"/resource_access/CLIENT/roles\"]`.",
    "Disabling a client or a user makes its tokens inactive, and enabling it makes them active again: an inactive \
     answer is kept for `negative_ttl` (10 s), not for ever.",
    "\"Not before\" of realm or client means tokens issued in an earlier second; it, too, can be taken back.",
    "A new key provider of a higher priority signs at once; a passive one stays published, so its tokens go on; a \
     disabled one leaves the set. Make a key passive, wait for the longest lifetime, then disable it.",
    "A token signed by an algorithm that the realm has no key for makes Keycloak add one at that moment. List all \
     algorithms of your clients in `algorithms`.",
    "With `hostname-strict=false`, or in dev mode, `iss` follows the Host header of whoever fetched the token: set \
     `hostname`, and `connect` where the service reaches Keycloak by another address.",
    "`revokeRefreshToken` (\"Revoke Refresh Token\") makes a refresh token that is used twice end the session's access \
     tokens as well.",
];

#[async_trait]
impl Product for Keycloak {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Keycloak 26.7.3"
    }

    fn example(&self, _strategy: Strategy) -> &'static str {
        NAME
    }

    fn sorts(&self) -> &'static [Sort] {
        SORTS
    }

    fn lacks(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Format(Format::Opaque) => Some("it has no opaque access tokens"),
            Need::Scopes(Scopes::Wildcard) => Some("its scopes have no patterns"),
            Need::Deed(Deed::LockStore | Deed::UnlockStore) => {
                Some("its store is inside its process, where nobody else can lock it")
            }
            _ => None,
        }
    }

    fn overrides(&self) -> &'static [Override] {
        keycloak::OVERRIDES
    }

    fn scenarios(&self) -> &'static [Scenario] {
        keycloak::SCENARIOS
    }

    fn advice(&self) -> &'static [&'static str] {
        ADVICE
    }

    async fn start(&self, how: Start) -> Result<Box<dyn Server>, Trouble> {
        let realm = match how {
            Start::Usual => REALM,
            Start::NamedLocalhost => ELSEWHERE,
        };
        // Both realms are of one server: a second one would cost half a minute and half a gigabyte.
        let runs = Running::process().is_ok_and(|process| process.lives());
        let owns = how == Start::Usual || !runs;
        if owns {
            process::script(NAME, "start", &[]).await?;
        }
        Ok(Box::new(Running::attach(realm, owns)?))
    }
}
