use verifier_core::json::{JsonLimits, Object};
use verifier_core::policy::IssuerRules;
use verifier_core::profile::TokenProfile;
use verifier_core::revocation::{RevocationEvent, RevocationRule};
use verifier_core::time::WallTime;

use super::*;

const EVER: Duration = Duration::from_secs(3_600);

fn at(seconds: i64) -> Now {
    let wall = WallTime::from_unix_seconds(seconds);
    Now::new(wall, Instant::ORIGIN.plus(Duration::from_secs(seconds.unsigned_abs())))
}

fn key(name: &str) -> Key {
    Key { token: Digest::of_parts(&[name.as_bytes()]), scope: Digest::of_parts(&[b"scope"]) }
}

fn active(jti: &str) -> Status {
    let rules = IssuerRules::new("https://idp.example", TokenProfile::generic()).unwrap();
    let text = format!(r#"{{"active":true,"sub":"s","jti":"{jti}","client_id":"c","sid":"x","iat":1}}"#);
    let answer = Object::parse(text.as_bytes(), JsonLimits::CLAIMS).unwrap();
    Status::Active(Arc::new(Facts::from_answer(answer, &rules).unwrap()))
}

fn record(as_of: i64, status: Status, keep: Duration) -> Arc<Record> {
    Arc::new(Record::new(at(as_of), status, keep, None, 0))
}

fn store() -> Answers {
    Answers::new(Cache::Bounded { active: 100, negative: 100 }, Arc::default())
}

fn seen(answers: &Answers, name: &str, now: i64) -> &'static str {
    match answers.latest(&key(name), at(now)).map(|record| record.status.clone()) {
        None => "nothing",
        Some(Status::Active(_)) => "active",
        Some(Status::Lapsed) => "lapsed",
        Some(Status::Inactive) => "inactive",
        Some(Status::Unacceptable(_)) => "unacceptable",
        Some(Status::Refused(_)) => "refused",
    }
}

#[test]
fn the_newest_question_wins_whichever_lands_last() {
    let answers = store();
    answers.keep(key("t"), &record(10, active("1"), EVER));
    answers.keep(key("t"), &record(20, Status::Inactive, EVER));
    assert_eq!(seen(&answers, "t", 21), "inactive");
    answers.keep(key("t"), &record(15, active("1"), EVER));
    assert_eq!(seen(&answers, "t", 21), "inactive", "asked before, landed late");
    answers.keep(key("t"), &record(30, active("1"), EVER));
    assert_eq!(seen(&answers, "t", 31), "active");
    // Also where the token was never active before.
    answers.keep(key("u"), &record(20, Status::Inactive, EVER));
    answers.keep(key("u"), &record(15, active("2"), EVER));
    assert_eq!(seen(&answers, "u", 21), "inactive");
    answers.keep(key("u"), &record(25, active("2"), EVER));
    assert_eq!(seen(&answers, "u", 26), "active");
}

#[test]
fn what_was_known_of_an_active_token_is_forgotten_in_time() {
    let answers = store();
    answers.keep(key("t"), &record(10, active("1"), Duration::from_secs(60)));
    assert_eq!(seen(&answers, "t", 70), "active");
    assert_eq!(seen(&answers, "t", 71), "lapsed");
    assert_eq!(seen(&answers, "t", 11), "lapsed", "the claims are gone for good");
}

#[test]
fn an_answer_at_its_end_leaves_nothing_older_behind() {
    let answers = store();
    answers.keep(key("t"), &record(10, active("1"), EVER));
    answers.keep(key("t"), &record(20, active("1"), Duration::ZERO));
    assert_eq!(seen(&answers, "t", 21), "nothing");
}

#[test]
fn a_refusal_says_nothing_of_the_token() {
    let answers = store();
    let why = Unavailable::new(verifier_core::error::UnavailableReason::RefusedByServer);
    answers.keep(key("t"), &record(10, active("1"), EVER));
    answers.keep(key("t"), &record(20, Status::Refused(why), Duration::from_secs(10)));
    assert_eq!(seen(&answers, "t", 21), "active");
    let refused = answers.refusal(&key("t"), at(30)).unwrap();
    assert!(matches!(refused.status, Status::Refused(own) if own == why));
    assert!(answers.refusal(&key("t"), at(31)).is_none());
    answers.keep(key("u"), &record(20, Status::Refused(why), Duration::from_secs(10)));
    assert_eq!(seen(&answers, "u", 21), "nothing");
}

#[test]
fn junk_drives_out_nothing_that_is_live() {
    let answers = store();
    for n in 0..50 {
        answers.keep(key(&format!("good-{n}")), &record(10, active("1"), EVER));
    }
    // A revoked token stays where it was, too.
    answers.keep(key("good-0"), &record(11, Status::Inactive, EVER));
    for n in 0..10_000 {
        answers.keep(key(&format!("junk-{n}")), &record(12, Status::Inactive, EVER));
    }
    let (active, negative) = answers.counts();
    assert_eq!(active, 50);
    assert!(negative <= 100, "{negative}");
    for n in 1..50 {
        assert_eq!(seen(&answers, &format!("good-{n}"), 13), "active");
    }
    assert_eq!(seen(&answers, "good-0", 13), "inactive");
}

#[test]
fn nothing_is_kept_when_off_and_nothing_is_found_in_another_scope() {
    let off = Answers::new(Cache::Off, Arc::default());
    off.keep(key("t"), &record(10, active("1"), EVER));
    assert_eq!(seen(&off, "t", 11), "nothing");
    let answers = store();
    answers.keep(key("t"), &record(10, active("1"), EVER));
    let elsewhere = Key { scope: Digest::of_parts(&[b"other"]), ..key("t") };
    assert!(answers.latest(&elsewhere, at(11)).is_none());
}

#[test]
fn an_event_touches_by_the_whole_identity() {
    let rule = |jti: &str| {
        RevocationRule::from(&RevocationEvent::Token {
            issuer: "https://idp.example".into(),
            jwt_id: jti.into(),
            expires_at: None,
        })
    };
    let log = RevocationLog::new();
    let token = key("t").token;
    let full = record(10, active("1"), EVER);
    let without_jti = record(10, active(""), EVER);
    let who = Identity::new("https://idp.example", Some("1"), Some("s"), None, Some("c"), Some(1));
    log.append(rule("2"));
    assert!(!full.is_touched(&log, None, token));
    assert!(!without_jti.is_touched(&log, Some(&who), token), "the signed token knows its jti");
    log.append(rule("3"));
    let nameless = record(10, active(""), EVER);
    assert!(nameless.is_touched(&log, None, token), "a missing member counts as a match");
    log.append(rule("1"));
    assert!(full.is_touched(&log, None, token));
    assert!(without_jti.is_touched(&log, Some(&who), token));
    assert!(!record(10, Status::Inactive, EVER).is_touched(&log, None, token));
}

#[test]
fn one_hit_in_a_while_asks_ahead_of_time() {
    let record = record(10, active("1"), EVER);
    let pause = Duration::from_secs(5);
    assert!(record.claim_nudge(at(60).monotonic, pause));
    assert!(!record.claim_nudge(at(64).monotonic, pause));
    assert!(record.claim_nudge(at(65).monotonic, pause));
}
