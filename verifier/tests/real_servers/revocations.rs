//! Revocation by an event: it names who the token is, and so reaches every text of it and every kept answer.

use verifier::RevocationEvent;
use verifier_testkit::{Behaviour as B, TokenRequest};

use crate::play::{Play, play};
use crate::script::{FIRST, KNOWN, Outcome, Row, act, all, ask, issue, make, no, ok};
use crate::spellings::spelling;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        opaque("its jti", by_jti),
        opaque("its subject", by_subject),
        jwt("its jti", by_jti),
        jwt("its subject", by_subject),
    ]
}

const JTI: &str = "the-token-of-alice";

fn user() -> TokenRequest {
    TokenRequest::new().subject("alice").jti(JTI)
}

fn by_jti(play: &Play) -> RevocationEvent {
    RevocationEvent::Token {
        issuer: play.server.issuer().to_owned(),
        jwt_id: JTI.to_owned(),
        expires_at: None,
    }
}

fn by_subject(play: &Play) -> RevocationEvent {
    RevocationEvent::Subject {
        issuer: play.server.issuer().to_owned(),
        subject: "alice".to_owned(),
        issued_at_or_before: play.clock.unix_seconds(),
    }
}

fn opaque(what: &str, event: fn(&Play) -> RevocationEvent) -> Row {
    const REVOKED: [Outcome; 4] =
        [no("not_a_jwt", 0, 0), no("revoked", 1, 0), no("revoked", 1, 0), no("revoked", 1, 0)];
    let accepted = [no("not_a_jwt", 0, 0), ok(1, 0), ok(1, 0), ok(1, 0)];
    let mut steps = vec![issue("opaque", || user().opaque())];
    for n in 0..4 {
        steps.extend([make("spelling", spelling(n)), ask("spelling", accepted)]);
    }
    steps.push(act(move |play| play.verifier.revoke(&event(play)).unwrap()));
    // Of those that are kept, and of those that nobody has seen yet: the server still says active, and is asked once.
    for n in 0..8 {
        steps.extend([make("spelling", spelling(n)), ask("spelling", REVOKED)]);
    }
    steps.extend([
        issue("another's", || TokenRequest::new().subject("bob").opaque()),
        ask("another's", accepted),
    ]);
    Row::new("R11", format!("an opaque token is revoked by {what}"))
        .behaving(B::ReadsTokensLeniently)
        .opaque_too()
        .steps(steps)
}

fn jwt(what: &str, event: fn(&Play) -> RevocationEvent) -> Row {
    const REVOKED: [Outcome; 4] =
        [no("revoked", 0, 0), no("revoked", 1, 0), no("revoked", 0, 0), no("revoked", 0, 0)];
    Row::new("R11", format!("a JWT is revoked by {what}")).behaving(B::ReadsTokensLeniently).steps(vec![
        issue("jwt", user),
        ask("jwt", FIRST),
        ask("jwt", KNOWN),
        issue("another's", || TokenRequest::new().subject("bob")),
        ask("another's", [ok(0, 0), ok(1, 0), ok(1, 0), ok(1, 0)]),
        act(move |play| play.verifier.revoke(&event(play)).unwrap()),
        ask("jwt", REVOKED),
        make("respelled", |play| format!("{}=", play.token("jwt"))),
        ask("respelled", all("not_canonical")),
        ask("another's", KNOWN),
    ])
}

#[tokio::test]
async fn an_event_reaches_all_that_the_token_is() {
    play(rows()).await;
}
