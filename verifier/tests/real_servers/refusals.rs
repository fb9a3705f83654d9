//! Answers that are none: about one token, about us, or from somewhere else.

use verifier::HealthNote;
use verifier_testkit::{Behaviour as B, CallerRefusal, Endpoint, Fault, TokenRequest};

use crate::play::play;
use crate::script::{FIRST, KNOWN, LATER, Row, Step, act, all, ask, issue, many, no, off, ok, on};

/// As many as an attacker has in a minute.
const FLOOD: u64 = 1_000;
const READY: [&str; 4] = ["ready"; 4];
const REMEMBERED: [crate::script::Outcome; 4] =
    [ok(0, 0), no("refused_by_server", 0, 0), no("refused_by_server", 0, 0), no("refused_by_server", 0, 0)];

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        odd_token(),
        refused_format(),
        refused_length(),
        refused_though_known(),
        failing_though_known(),
        redirect(),
    ];
    rows.extend(
        [
            CallerRefusal::UnauthorizedClient400,
            CallerRefusal::Bare401,
            CallerRefusal::Html403,
            CallerRefusal::LoginPage302,
        ]
        .map(refused_caller),
    );
    rows
}

fn odd_token() -> Row {
    Row::new("R01", "a header without alg").behaving(B::RefusesOddTokens).steps(vec![
        Step::Issue("odd", Box::new(|_| "e30.e30.e30".to_owned())),
        ask("odd", all("malformed_header")),
        issue("good", TokenRequest::new),
        ask("good", FIRST),
        ask("odd", all("malformed_header")),
        act(|play| play.nothing_is_held_against_the_server()),
    ])
}

/// 400 to every JWT: node-oidc-provider.
fn refused_format() -> Row {
    let flood = [
        ok(0, 1),
        no("refused_by_server", FLOOD, 0),
        no("refused_by_server", FLOOD, 1),
        no("refused_by_server", FLOOD, 1),
    ];
    Row::new("R01", "400 to a thousand well-formed JWTs")
        .behaving(B::RefusesJwtIntrospection)
        .opaque_too()
        .steps(vec![
            many(FLOOD as usize, |play, _| play.server.issue(TokenRequest::new()).token, flood),
            act(after_the_flood),
            Step::Ready(READY),
            issue("opaque", || TokenRequest::new().opaque()),
            ask("opaque", [no("not_a_jwt", 0, 0), ok(1, 0), ok(1, 0), ok(1, 0)]),
            // Remembered of that token alone, and for a while.
            ask("one of many", REMEMBERED),
            off(B::RefusesJwtIntrospection),
            issue("good", TokenRequest::new),
            ask("good", LATER),
            ask("one of many", REMEMBERED),
            Step::Wait(11),
            ask("one of many", LATER),
        ])
}

/// 413 to long tokens: Keycloak, and gateways.
fn refused_length() -> Row {
    let flood = [
        ok(0, 1),
        no("refused_by_server", FLOOD, 0),
        no("refused_by_server", FLOOD, 1),
        no("refused_by_server", FLOOD, 1),
    ];
    let long = || TokenRequest::new().claim("padding", "x".repeat(1_024));
    Row::new("R01", "413 to a thousand long tokens").behaving(B::RefusesLongTokens).steps(vec![
        many(FLOOD as usize, move |play, _| play.server.issue(long()).token, flood),
        act(after_the_flood),
        Step::Ready(READY),
        issue("good", TokenRequest::new),
        ask("good", LATER),
        ask("good", KNOWN),
        ask("one of many", REMEMBERED),
    ])
}

/// What was known before doesn't stand in for a server that can be asked.
fn refused_though_known() -> Row {
    let refused = "refused_by_server";
    Row::new("R01", "400 to a token that was active a while ago, and stale statuses are allowed")
        .revocation("when_unknown = { allow_stale = \"4m\" }")
        .steps(vec![
            issue("good", TokenRequest::new),
            ask("good", FIRST),
            on(B::RefusesJwtIntrospection),
            Step::Wait(61),
            ask("good", [ok(0, 0), no(refused, 1, 0), no(refused, 1, 0), no(refused, 1, 0)]),
            ask("good", REMEMBERED),
        ])
}

/// The counterpart: it does stand in for one that can't be, as configured; and never what was inactive.
fn failing_though_known() -> Row {
    let failing = "server_error";
    let trouble = || Fault::Status(500, String::new());
    Row::new("R02", "inactive, then 500, and stale statuses are allowed")
        .revocation("when_unknown = { allow_stale = \"4m\" }")
        .steps(vec![
            issue("good", TokenRequest::new),
            ask("good", FIRST),
            issue("inactive", TokenRequest::new),
            on(B::LockedStore),
            ask("inactive", [ok(0, 0), no("inactive", 1, 0), no("inactive", 1, 0), no("inactive", 1, 0)]),
            off(B::LockedStore),
            act(move |play| play.server.faults().on(Endpoint::Introspection, trouble())),
            Step::Wait(61),
            ask("good", [ok(0, 0), no(failing, 1, 0), ok(1, 0), ok(1, 0)]),
            ask("inactive", [ok(0, 0), no(failing, 1, 0), no(failing, 1, 0), no(failing, 1, 0)]),
            act(|play| play.server.faults().clear_all()),
            ask("inactive", LATER),
        ])
}

fn after_the_flood(play: &crate::play::Play) {
    play.nothing_is_held_against_the_server();
    let lines = play.lines_with("refuses to answer for a token");
    assert_eq!(lines, usize::from(play.way.introspects()), "a flood of tokens is no flood of lines");
}

fn redirect() -> Row {
    Row::new("R20", "the introspection endpoint redirects").behaving(B::RedirectsIntrospection).steps(vec![
        issue("good", TokenRequest::new),
        ask("good", [ok(0, 1), no("redirected", 1, 0), no("redirected", 1, 1), no("redirected", 1, 1)]),
        act(|play| {
            let expected: &[HealthNote] =
                if play.way.introspects() { &[HealthNote::Redirected] } else { &[] };
            assert_eq!(play.notes(), expected);
            assert_eq!(play.lines_with("its address is off"), expected.len());
            play.nothing_is_held_against_the_server();
        }),
        off(B::RedirectsIntrospection),
        ask("good", LATER),
        act(|play| assert_eq!(play.notes(), [])),
    ])
}

fn refused_caller(how: CallerRefusal) -> Row {
    let (code, note, line) = match how {
        CallerRefusal::LoginPage302 => ("redirected", HealthNote::Redirected, "its address is off"),
        _ => ("credentials_refused", HealthNote::CredentialsRefused, "refuses our credentials"),
    };
    let refused = [ok(0, 1), no(code, 1, 0), no(code, 1, 1), no(code, 1, 1)];
    let again = [ok(0, 0), no(code, 1, 0), no(code, 1, 0), no(code, 1, 0)];
    Row::new("R21", format!("wrong credentials: {how:?}"))
        .behaving(B::RefusesCallers(how))
        .server(|builder| builder.client(verifier_testkit::Client::new("api", "another")))
        .steps(vec![
            issue("good", TokenRequest::new),
            ask("good", refused),
            // Never kept: it says nothing of the token.
            ask("good", again),
            act(move |play| {
                let expected: &[HealthNote] = if play.way.introspects() { &[note] } else { &[] };
                assert_eq!(play.notes(), expected);
                assert_eq!(play.lines_with(line), expected.len());
                play.nothing_is_held_against_the_server();
            }),
            Step::Ready(READY),
            on(B::LockedStore),
            ask("good", again),
            off(B::LockedStore),
            act(|play| play.write_secret("another")),
            // A secret that was changed in its file needs no restart.
            ask("good", LATER),
        ])
}

#[tokio::test]
async fn a_server_that_will_not_answer_is_no_server_in_trouble() {
    play(rows()).await;
}
