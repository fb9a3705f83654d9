//! Key sets as they are published: ids, order, uses, timing, trouble.

use std::time::Duration;

use verifier_testkit::{Algorithm, Behaviour as B, Endpoint, TokenRequest};

use crate::play::play;
use crate::script::{FIRST, KNOWN, LATER, Outcome, Row, Step, act, ask, issue, no, off, ok, on};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        any_order(),
        key_for_encryption("with a kid", None),
        key_for_encryption("without a kid", Some(B::NoKid)),
        published_with_the_first_token(),
        published_later(),
        empty_set(),
        two_first_keys(),
        no_store(),
        long_max_age(),
        odd_key(),
    ];
    rows.extend([B::EmptyKid, B::NoKid].map(no_kid));
    rows
}

/// By local checks; introspection alone knows no keys.
const fn local(outcome: Outcome, introspected: Outcome) -> [Outcome; 4] {
    [outcome, introspected, outcome, outcome]
}

fn lasting() -> TokenRequest {
    TokenRequest::new().lifetime(Duration::from_secs(20_000))
}

fn no_kid(behaviour: B) -> Row {
    Row::new("R12", behaviour.name()).behaving(behaviour).steps(vec![
        act(|play| drop(play.server.add_key(Algorithm::Ed25519))),
        issue("good", TokenRequest::new),
        ask("good", FIRST),
        // As good as absent, in a header too.
        issue("empty", || TokenRequest::new().header("kid", "")),
        ask("empty", LATER),
    ])
}

fn any_order() -> Row {
    Row::new("R12", "key_order_changes").behaving(B::KeyOrderChanges).steps(vec![
        act(|play| {
            play.server.add_key(Algorithm::ES256);
            play.server.add_key(Algorithm::Ed25519);
        }),
        issue("good", TokenRequest::new),
        ask("good", FIRST),
        act(|play| drop(play.server.rotate())),
        issue("next", TokenRequest::new),
        ask("next", FIRST),
        // The same keys in another order: what was verified by them still is.
        Step::Wait(61),
        ask("good", LATER),
    ])
}

fn key_for_encryption(what: &str, also: Option<B>) -> Row {
    let row = Row::new("R12", format!("the key that signs is for encryption, {what}"))
        .behaving(B::SigningKeyMarkedEnc)
        .steps(vec![
            act(|play| drop(play.server.add_key(Algorithm::Ed25519))),
            issue("odd", TokenRequest::new),
            ask("odd", local(no("unknown_key", 0, 1), ok(1, 0))),
            issue("good", || TokenRequest::new().algorithm(Algorithm::Ed25519)),
            ask("good", LATER),
        ]);
    also.into_iter().fold(row, Row::behaving)
}

fn published_with_the_first_token() -> Row {
    Row::new("R13", "a new key signs at once, and is published with its first token").steps(vec![
        on(B::SignsBeforePublishing),
        issue("old", lasting),
        ask("old", FIRST),
        act(|play| drop(play.server.rotate())),
        issue("new", TokenRequest::new),
        ask("new", FIRST),
        issue("second", TokenRequest::new),
        ask("second", LATER),
        ask("old", KNOWN),
    ])
}

fn published_later() -> Row {
    Row::new("R13", "a new key signs at once, and is published some time later").steps(vec![
        issue("old", lasting),
        ask("old", FIRST),
        Step::Wait(31),
        act(|play| {
            play.server.publish_stale_keys(true);
            play.server.rotate();
        }),
        issue("new", lasting),
        ask("new", local(no("unknown_key", 0, 1), ok(1, 0))),
        ask("new", local(no("unknown_key", 0, 0), ok(0, 0))),
        act(|play| play.server.publish_stale_keys(false)),
        Step::Wait(20),
        ask("new", local(no("unknown_key", 0, 0), ok(0, 0))),
        // One cooldown later, and far from the end of what is held.
        Step::Wait(11),
        ask("new", [ok(0, 1), ok(0, 0), ok(1, 1), ok(1, 1)]),
        ask("new", KNOWN),
    ])
}

fn empty_set() -> Row {
    Row::new("R13", "the key set is empty until the first key is made").steps(vec![
        act(|play| play.server.override_jwks(200, "{\"keys\":[]}")),
        issue("good", TokenRequest::new),
        ask("good", local(no("keys_not_loaded", 0, 1), ok(1, 0))),
        ask("good", local(no("keys_not_loaded", 0, 0), ok(0, 0))),
        act(|play| play.server.clear_override(Endpoint::Jwks)),
        Step::Wait(31),
        ask("good", [ok(0, 1), ok(0, 0), ok(1, 1), ok(1, 1)]),
    ])
}

fn two_first_keys() -> Row {
    Row::new("R13", "parallel first readers see different keys").behaving(B::FirstReaderSeesAnotherKey).steps(
        vec![
            issue("good", TokenRequest::new),
            ask("good", local(no("unknown_key", 0, 1), ok(1, 0))),
            Step::Wait(31),
            ask("good", [ok(0, 1), ok(0, 0), ok(1, 1), ok(1, 1)]),
        ],
    )
}

fn no_store() -> Row {
    Row::new("R14", "jwks_no_store").behaving(B::JwksNoStore).steps(vec![
        issue("good", TokenRequest::new),
        ask("good", FIRST),
        // No reading for each token: kept for a minute at least.
        issue("second", TokenRequest::new),
        ask("second", LATER),
        Step::Wait(30),
        issue("third", TokenRequest::new),
        ask("third", LATER),
        act(|play| drop(play.server.rotate())),
        issue("new", TokenRequest::new),
        ask("new", FIRST),
    ])
}

fn long_max_age() -> Row {
    Row::new("R14", "jwks_long_max_age").behaving(B::JwksLongMaxAge).steps(vec![
        issue("old", lasting),
        ask("old", FIRST),
        act(|play| {
            let old = play.server.signing_kid();
            play.server.rotate();
            play.server.withdraw(&old);
        }),
        // Whatever was said of a day: a key that isn't known is looked for.
        issue("new", lasting),
        ask("new", FIRST),
        ask("old", local(no("unknown_key", 0, 0), ok(0, 0))),
        // And a key that is gone is gone within the hour.
        act(|play| {
            let old = play.server.signing_kid();
            play.server.rotate();
            play.server.withdraw(&old);
        }),
        Step::Wait(3_601),
        ask("new", local(no("unknown_key", 0, 1), ok(1, 0))),
    ])
}

fn odd_key() -> Row {
    let stale = [ok(0, 0).any_readings(), ok(1, 0), ok(1, 0).any_readings(), ok(1, 0).any_readings()];
    Row::new("R15", "the key set is a 500 for as long as an odd key is in the store").steps(vec![
        issue("good", lasting),
        ask("good", FIRST),
        on(B::JwksFails),
        Step::Wait(601),
        ask("good", stale),
        issue("second", lasting),
        ask("second", stale),
        act(|play| drop(play.server.rotate())),
        issue("unknown", lasting),
        ask("unknown", local(no("keys_unconfirmed", 0, 0).any_readings(), ok(1, 0))),
        // The stated bound: an age of 10 minutes, and an hour on top.
        Step::Wait(3_600),
        ask("good", local(no("keys_stale", 0, 0).any_readings(), ok(1, 0))),
        off(B::JwksFails),
        Step::Wait(301),
        ask("unknown", [ok(0, 1), ok(1, 0), ok(1, 1), ok(1, 1)]),
        ask("good", LATER),
    ])
}

#[tokio::test]
async fn key_sets_as_servers_publish_them() {
    play(rows()).await;
}
