use super::*;

fn token(n: u32) -> Digest {
    Digest::of_parts(&[&n.to_le_bytes()])
}

fn at(seconds: u64) -> Instant {
    Instant::ORIGIN.plus(Duration::from_secs(seconds))
}

#[test]
fn many_different_inactive_tokens_in_a_row_are_a_sign() {
    let events = Events::default();
    for n in 1..ALL_INACTIVE {
        events.inactive_though_valid("i", token(n), at(1));
    }
    assert_eq!(events.notes(), []);
    events.inactive_though_valid("i", token(ALL_INACTIVE - 1), at(1));
    assert_eq!(events.notes(), [], "the same token once more");
    events.inactive_though_valid("i", token(ALL_INACTIVE), at(1));
    assert_eq!(events.notes(), [HealthNote::AllInactive]);
    events.answered();
    assert_eq!(events.notes(), [HealthNote::AllInactive]);
    events.active();
    assert_eq!(events.notes(), []);
}

#[test]
fn without_keys_it_is_a_sign_only_until_the_first_active_answer() {
    let events = Events::default();
    for n in 0..ALL_INACTIVE - 1 {
        events.inactive_and_unknown("i", token(n), at(1));
        events.inactive_and_unknown("i", token(n), at(1));
    }
    assert_eq!(events.notes(), []);
    events.inactive_and_unknown("i", token(ALL_INACTIVE), at(1));
    assert_eq!(events.notes(), [HealthNote::NoneActive]);
    events.active();
    assert_eq!(events.notes(), []);
    for n in 0..ALL_INACTIVE * 2 {
        events.inactive_and_unknown("i", token(n), at(1));
    }
    assert_eq!(events.notes(), [], "junk, which anybody can send");
}

#[test]
fn notes_about_us_last_until_the_next_answer() {
    let events = Events::default();
    events.failed("i", UnavailableReason::CredentialsRefused.into(), at(1));
    events.failed("i", UnavailableReason::Redirected.into(), at(1));
    events.failed("i", UnavailableReason::ServerError.into(), at(1));
    assert_eq!(events.notes(), [HealthNote::CredentialsRefused, HealthNote::Redirected]);
    events.answered();
    assert_eq!(events.notes(), []);
}

#[test]
fn a_kind_is_logged_once_in_a_while() {
    let events = Events::default();
    let left_out = |kind: Kind| events.quiet[kind as usize].1.load(Ordering::Relaxed);
    for _ in 0..1_000 {
        events.failed("i", UnavailableReason::RefusedByServer.into(), at(100));
    }
    assert_eq!(left_out(Kind::Refused), 999);
    events.failed("i", UnavailableReason::ServerError.into(), at(100));
    assert_eq!(left_out(Kind::Failed), 0, "another kind has its own turn");
    events.failed("i", UnavailableReason::RefusedByServer.into(), at(110));
    assert_eq!(left_out(Kind::Refused), 0);
}

#[test]
fn a_server_that_refuses_all_and_never_answered_is_a_sign() {
    let refused = UnavailableReason::RefusedByServer.into();
    let events = Events::default();
    let enough = u32::try_from(ALL_REFUSED).unwrap();
    for n in 1..enough {
        events.refused("i", token(n), refused, at(1));
        events.refused("i", token(1), refused, at(1)); // the same tokens over and over are few
    }
    assert_eq!(events.notes(), []);
    events.refused("i", token(enough), refused, at(1));
    assert_eq!(events.notes(), [HealthNote::AllRefused]);
    events.failed("i", UnavailableReason::ServerError.into(), at(1));
    assert_eq!(events.notes(), [HealthNote::AllRefused]);
    events.answered();
    assert_eq!(events.notes(), []);
    // One answer shows that we are understood: what is refused from then on is the tokens.
    for n in 0..10 * enough {
        events.refused("i", token(n), refused, at(1));
    }
    assert_eq!(events.notes(), []);
    assert!(events.refused.lock().unwrap().is_empty(), "nor is it counted, or told in a line");
}

#[test]
fn answers_that_are_not_signed_rightly_have_a_line_of_their_own() {
    let events = Events::default();
    let untrusted = [
        UnavailableReason::AnswerNotSigned,
        UnavailableReason::AnswerEncrypted,
        UnavailableReason::AnswerNotTrusted,
    ];
    for why in untrusted {
        events.failed("i", why.into(), at(1));
    }
    assert_eq!(events.quiet[Kind::Untrusted as usize].1.load(Ordering::Relaxed), 2);
    assert_eq!(events.notes(), []);
}
