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
