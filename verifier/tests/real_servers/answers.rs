//! What servers say of a token: nothing for a while, less, more, or something else than the token does.

use serde_json::Value;
use verifier::HealthNote;
use verifier_testkit::{Behaviour as B, DEFAULT_AUDIENCE, TokenRequest};

use crate::play::{Play, play};
use crate::script::{FIRST, KNOWN, LATER, Row, Step, Way, act, ask, issue, many, no, off, ok, on};

const INACTIVE_LATER: [crate::script::Outcome; 4] =
    [ok(0, 0), no("inactive", 1, 0), no("inactive", 1, 0), no("inactive", 1, 0)];
const INACTIVE_KNOWN: [crate::script::Outcome; 4] =
    [ok(0, 0), no("inactive", 0, 0), no("inactive", 0, 0), no("inactive", 0, 0)];

pub(crate) fn rows() -> Vec<Row> {
    vec![
        locked_store(),
        older_key(),
        slim(),
        slim_but_for_the_audience(),
        role_removed(),
        caller_not_in_audience(),
        jwt_member(),
        jwt_member_and_nothing_else(),
        odd_members(),
        null_in_the_token(),
        null_in_the_answer(),
        unreadable_members(),
        one_second_more(),
        wildcard_matched_here(),
        wildcard_matched_there("things.read", true),
        wildcard_matched_there("other.read", false),
    ]
}

fn locked_store() -> Row {
    Row::new("R02", "the store is locked for a while").steps(vec![
        issue("good", TokenRequest::new),
        ask("good", FIRST),
        on(B::LockedStore),
        ask("good", KNOWN),
        issue("new", TokenRequest::new),
        ask("new", INACTIVE_LATER),
        Step::Wait(61),
        ask("good", INACTIVE_LATER),
        ask("good", INACTIVE_KNOWN),
        off(B::LockedStore),
        ask("good", INACTIVE_KNOWN),
        Step::Wait(11),
        ask("good", LATER),
        ask("new", LATER),
        act(|play| assert!(play.verifier.revocations().is_empty(), "nothing permanent")),
    ])
}

fn older_key() -> Row {
    Row::new("R03", "inactive, since another key signs by now")
        .profile("hydra")
        .behaving(B::CurrentKeyOnly)
        .steps(vec![
            issue("older", TokenRequest::new),
            ask("older", FIRST),
            act(|play| drop(play.server.rotate())),
            Step::Wait(61),
            ask("older", INACTIVE_LATER),
            issue("newer", TokenRequest::new),
            ask("newer", FIRST),
        ])
}

fn user() -> TokenRequest {
    TokenRequest::new().subject("alice").role("clerk").scope("orders:read")
}

fn slim() -> Row {
    Row::new("R07", "no sub, roles and aud in the token").profile("keycloak").behaving(B::SlimTokens).steps(
        vec![
            issue("slim", user),
            ask("slim", [no("wrong_audience", 0, 1), ok(1, 0), no("wrong_audience", 0, 1), ok(1, 1)]),
            act(|play| {
                if matches!(play.way, Way::Introspection | Way::HybridAnswers) {
                    play.accepted(|token| {
                        assert_eq!(token.subject(), Some("alice"));
                        assert_eq!(token.roles().collect::<Vec<_>>(), ["clerk"]);
                    });
                }
            }),
        ],
    )
}

fn slim_but_for_the_audience() -> Row {
    Row::new("R07", "no sub and roles in the token, and sub is required")
        .profile("keycloak")
        .behaving(B::SlimTokens)
        .lines("required_claims = [\"sub\"]")
        .steps(vec![
            issue("slim", || user().claim("aud", DEFAULT_AUDIENCE)),
            ask("slim", [no("missing_claim", 0, 1), ok(1, 0), no("missing_claim", 0, 1), ok(1, 1)]),
        ])
}

fn role_removed() -> Row {
    let roles = |play: &Play, expected: [&[&str]; 4]| {
        play.accepted(|token| assert_eq!(token.roles().collect::<Vec<_>>(), **play.of(&expected)));
    };
    Row::new("R08", "a role, then a scope is taken away at the server")
        .profile("keycloak")
        .behaving(B::ComputesClaimsAnew)
        .lines("required_scopes = [\"orders:read\"]")
        .steps(vec![
            issue("user's", user),
            ask("user's", FIRST),
            act(move |play| roles(play, [&["clerk"]; 4])),
            act(|play| play.server.take_away("alice", "clerk")),
            ask("user's", KNOWN),
            act(move |play| roles(play, [&["clerk"]; 4])),
            Step::Wait(61),
            ask("user's", LATER),
            act(move |play| roles(play, [&["clerk"], &[], &["clerk"], &[]])),
            act(|play| play.server.take_away("alice", "orders:read")),
            Step::Wait(61),
            ask(
                "user's",
                [ok(0, 0), no("insufficient_scope", 1, 0), ok(1, 0), no("insufficient_scope", 1, 0)],
            ),
        ])
}

fn caller_not_in_audience() -> Row {
    const SOME: u64 = 20;
    let inactive = [ok(0, 1), no("inactive", SOME, 0), no("inactive", SOME, 1), no("inactive", SOME, 1)];
    Row::new("R09", "our client isn't in the tokens' audience")
        .profile("keycloak")
        .behaving(B::AudienceChecksTheCaller)
        .steps(vec![
            many(SOME as usize, |play, _| play.server.issue(user()).token, inactive),
            act(|play| {
                let (notes, lines) = match play.way {
                    Way::Jwks => (vec![], 0),
                    // Without keys it can't be told whether the tokens were any good.
                    Way::Introspection => (vec![HealthNote::NoneActive], 1),
                    _ => (vec![HealthNote::AllInactive], 1),
                };
                assert_eq!(play.notes(), notes);
                assert_eq!(play.lines_with("is it in their audience?"), lines);
            }),
            issue("for both", || user().audience(DEFAULT_AUDIENCE).audience("api")),
            ask("for both", LATER),
            act(|play| assert_eq!(play.notes(), [])),
        ])
}

fn jwt_member() -> Row {
    Row::new("R16", "a usable token within the answer").behaving(B::AnswersWithJwtMember).steps(vec![
        issue("good", user),
        ask("good", FIRST),
        act(|play| play.accepted(|token| assert_eq!(token.subject(), Some("alice")))),
        // What the member says doesn't count.
        issue("inactive", || user().answered("active", false)),
        ask("inactive", INACTIVE_LATER),
    ])
}

fn jwt_member_and_nothing_else() -> Row {
    let unreadable = "unreadable_answer";
    Row::new("R16", "a usable token in an answer that doesn't say active")
        .behaving(B::AnswersWithJwtMember)
        .steps(vec![
            issue("unsaid", || user().not_answered("active")),
            ask("unsaid", [ok(0, 1), no(unreadable, 1, 0), no(unreadable, 1, 1), no(unreadable, 1, 1)]),
        ])
}

fn odd_members() -> Row {
    Row::new("R17", "ext with names of its own, nulls, huge integers")
        .behaving(B::ExtWithOwnNames)
        .behaving(B::NullMembers)
        .behaving(B::HugeIntegers)
        .steps(vec![
            issue("odd", user),
            ask("odd", FIRST),
            act(|play| {
                let issuer = play.server.issuer();
                play.accepted(|token| {
                    assert_eq!((token.subject(), token.issuer()), (Some("alice"), issuer));
                    assert_eq!(token.claim("department"), None);
                    assert!(token.members().get("department").is_some(), "kept as it came");
                    let whole: serde_json::Map<String, Value> =
                        (*token.claims::<serde_json::Map<String, Value>>().unwrap()).clone();
                    assert_eq!(whole["quota"], 9_007_199_254_740_993_u64);
                    assert_eq!(whole["wrapped"], i64::MIN);
                    assert_eq!(whole["ext"]["sub"], "somebody-else");
                });
            }),
        ])
}

fn null_in_the_token() -> Row {
    let malformed = "malformed_claims";
    let expected = [no(malformed, 0, 1), ok(1, 0), no(malformed, 0, 1), no(malformed, 0, 1)];
    let later = [no(malformed, 0, 0), ok(1, 0), no(malformed, 0, 0), no(malformed, 0, 0)];
    Row::new("R17", "a registered claim is null, or a date out of range").steps(vec![
        issue("null nbf", || user().claim("nbf", Value::Null)),
        ask("null nbf", expected),
        issue("null sub", || user().claim("sub", Value::Null)),
        ask("null sub", later),
        issue("wrapped", || user().claim("iat", -1)),
        ask("wrapped", later),
        issue("huge", || user().claim("exp", 9_007_199_254_740_993_u64)),
        ask("huge", later),
    ])
}

fn null_in_the_answer() -> Row {
    Row::new("R17", "a member of the answer that may be null is").steps(vec![
        issue("first", || user().answered("jti", Value::Null)),
        ask("first", FIRST),
        issue("second", || user().answered("sub", Value::Null)),
        ask("second", LATER),
        issue("third", || user().answered("iss", Value::Null).answered("token_type", Value::Null)),
        ask("third", LATER),
    ])
}

fn unreadable_members() -> Row {
    let unreadable = "unreadable_answer";
    let first = [ok(0, 1), no(unreadable, 1, 0), no(unreadable, 1, 1), no(unreadable, 1, 1)];
    let later = [ok(0, 0), no(unreadable, 1, 0), no(unreadable, 1, 0), no(unreadable, 1, 0)];
    let known = [ok(0, 0), no(unreadable, 0, 0), no(unreadable, 0, 0), no(unreadable, 0, 0)];
    let flood = [ok(0, 0), no(unreadable, 100, 0), no(unreadable, 100, 0), no(unreadable, 100, 0)];
    Row::new("R17", "a member of the answer is malformed: that token's trouble alone").steps(vec![
        issue("null exp", || user().answered("exp", Value::Null)),
        ask("null exp", first),
        ask("null exp", known),
        issue("wrapped", || user().answered("exp", i64::MIN)),
        ask("wrapped", later),
        many(100, |play, _| play.server.issue(user().answered("nbf", u64::MAX)).token, flood),
        act(|play| play.nothing_is_held_against_the_server()),
        issue("good", user),
        ask("good", LATER),
        Step::Wait(11),
        ask("wrapped", later),
    ])
}

fn one_second_more() -> Row {
    Row::new("R18", "active until a second after exp")
        .behaving(B::ActiveUntilExpPlusOne)
        .lines("leeway = \"0s\"")
        .server(|builder| builder.lifetime(std::time::Duration::from_secs(40)))
        .steps(vec![
            issue("short", user),
            ask("short", FIRST),
            Step::Wait(39),
            ask("short", KNOWN),
            Step::Wait(1),
            ask(
                "short",
                [no("expired", 0, 0), no("expired", 1, 0), no("expired", 0, 0), no("expired", 0, 0)],
            ),
            Step::Wait(1),
            ask(
                "short",
                [no("expired", 0, 0), no("inactive", 1, 0), no("expired", 0, 0), no("expired", 0, 0)],
            ),
        ])
}

fn wildcard() -> TokenRequest {
    TokenRequest::new().scope("things.*")
}

fn wildcard_matched_here() -> Row {
    let lacks = "insufficient_scope";
    Row::new("R19", "a wildcard scope is literal here")
        .profile("hydra")
        .lines("required_scopes = [\"things.read\"]")
        .steps(vec![
            issue("wildcard", wildcard),
            ask("wildcard", [no(lacks, 0, 1), no(lacks, 1, 0), no(lacks, 0, 1), no(lacks, 1, 1)]),
        ])
}

fn wildcard_matched_there(scope: &str, held: bool) -> Row {
    let inactive = [ok(0, 1), no("inactive", 1, 0), no("inactive", 1, 1), no("inactive", 1, 1)];
    Row::new("R19", format!("the server is asked with scope={scope}"))
        .profile("hydra")
        .introspection(&format!("parameters = {{ scope = {scope:?} }}"))
        .steps(vec![issue("wildcard", wildcard), ask("wildcard", if held { FIRST } else { inactive })])
}

#[tokio::test]
async fn what_servers_say_of_tokens() {
    play(rows()).await;
}
