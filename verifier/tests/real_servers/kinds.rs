//! Refresh and ID tokens, which servers call active and sign with the same keys: only access tokens pass.

use verifier_testkit::{Behaviour as B, DEFAULT_AUDIENCE, RefreshTold, TokenRequest};

use crate::play::play;
use crate::script::{FIRST, Outcome, Row, ask, issue, no, ok};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        refresh("hydra", RefreshTold::TokenUse),
        refresh("generic", RefreshTold::TokenUse),
        refresh("keycloak", RefreshTold::TokenType("Refresh")),
        refresh("keycloak", RefreshTold::TokenType("Offline")),
        refresh("generic", RefreshTold::TokenType("refresh_token")),
        refresh("generic", RefreshTold::Nothing),
        id("keycloak", "ID"),
        id("generic", "id_token"),
        id_told_by_its_claims(),
        one_type_and_profile_at_jwt(),
    ];
    rows.extend(["keycloak", "hydra", "generic"].map(one_type));
    rows
}

const OTHER: &str = "not_an_access_token";

/// Refused by its claims before anybody is asked; by the answer where nobody else looks at it.
const fn refused(local: &'static str, answer: &'static str, readings: u64) -> [Outcome; 4] {
    [no(local, 0, readings), no(answer, 1, 0), no(local, 0, readings), no(local, 0, readings)]
}

fn refresh(profile: &'static str, told: RefreshTold) -> Row {
    // Where nothing tells what it is, it is nobody's audience that does.
    let answer = if told == RefreshTold::Nothing { "wrong_audience" } else { OTHER };
    Row::new("R04", format!("refresh tokens are active: {profile}, {told:?}"))
        .profile(profile)
        .behaving(B::RefreshTokensActive(told))
        .opaque_too()
        .steps(vec![
            issue("opaque", || TokenRequest::new().opaque().refresh_token()),
            ask("opaque", [no("not_a_jwt", 0, 0), no(answer, 1, 0), no(answer, 1, 0), no(answer, 1, 0)]),
            issue("jwt", || TokenRequest::new().refresh_token()),
            ask("jwt", refused(OTHER, answer, 1)),
            // The same grant as access tokens.
            issue("access", TokenRequest::new),
            ask("access", [ok(0, 0), ok(1, 0), ok(1, 0), ok(1, 0)]),
        ])
}

fn id(profile: &'static str, kind: &'static str) -> Row {
    Row::new("R05", format!("ID tokens are active, for a wider audience: {kind}"))
        .profile(profile)
        .behaving(B::IdTokensActive(kind))
        .behaving(B::OneTypeForAll)
        .steps(vec![
            issue("id", || TokenRequest::new().subject("alice").id_token()),
            ask("id", refused(OTHER, OTHER, 1)),
            // Even where the token itself is for us.
            issue("for us", || {
                TokenRequest::new().subject("alice").id_token().claim("aud", DEFAULT_AUDIENCE)
            }),
            ask("for us", refused(OTHER, OTHER, 0)),
            issue("access", TokenRequest::new),
            ask("access", [ok(0, 0), ok(1, 0), ok(1, 0), ok(1, 0)]),
        ])
}

/// Nothing says what it is but what stands in ID tokens alone.
fn id_told_by_its_claims() -> Row {
    let request = || {
        TokenRequest::new()
            .subject("alice")
            .opaque()
            .answered("at_hash", "Zm9vYmFyYmF6cXV4Zm9vYg")
            .not_answered("token_type")
    };
    Row::new("R05", "an ID token is active, and no member names its kind")
        .profile("generic")
        .opaque_too()
        .steps(vec![
            issue("id", request),
            ask("id", [no("not_a_jwt", 0, 0), no(OTHER, 1, 0), no(OTHER, 1, 0), no(OTHER, 1, 0)]),
        ])
}

fn one_type(profile: &'static str) -> Row {
    // An ID token without `at_hash` is told by what it lacks, where no claim says what it is.
    let bare = match profile {
        "keycloak" => OTHER,
        "hydra" => "missing_claim",
        _ => "no_access_token_mark",
    };
    Row::new("R06", format!("one typ and one set of keys for all kinds: {profile}"))
        .profile(profile)
        .behaving(B::OneTypeForAll)
        .steps(vec![
            issue("access", || TokenRequest::new().subject("alice").scope("read")),
            ask("access", FIRST),
            issue("refresh", || TokenRequest::new().subject("alice").scope("read").refresh_token()),
            ask("refresh", refused(OTHER, "inactive", 0)),
            issue("id", || TokenRequest::new().subject("alice").id_token()),
            ask("id", refused(OTHER, "inactive", 0)),
            issue("bare id", || {
                TokenRequest::new()
                    .subject("alice")
                    .id_token()
                    .without_claim("at_hash")
                    .claim("aud", DEFAULT_AUDIENCE)
            }),
            ask("bare id", refused(bare, "inactive", 0)),
        ])
}

/// The strictest profile trusts the type alone, and takes nothing else for an access token.
fn one_type_and_profile_at_jwt() -> Row {
    Row::new("R06", "one typ for all kinds, and a profile that goes by the type")
        .behaving(B::OneTypeForAll)
        .steps(vec![
            issue("access", TokenRequest::new),
            ask("access", [no("wrong_type", 0, 0), ok(1, 0), no("wrong_type", 0, 0), no("wrong_type", 0, 0)]),
        ])
}

#[tokio::test]
async fn only_access_tokens_pass() {
    play(rows()).await;
}
