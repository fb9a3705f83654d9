use proptest::prelude::*;
use verifier_core::json::JsonLimits;

use super::*;
use UnavailableReason as U;

fn at(seconds: i64) -> WallTime {
    WallTime::from_unix_seconds(seconds)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn claims(text: &str) -> Object {
    Object::parse(text.as_bytes(), JsonLimits::CLAIMS).unwrap()
}

fn times(text: &str) -> Option<Times> {
    Times::read(&claims(text))
}

fn judged(text: &str, asked: WallTime, now: WallTime, leeway: u64) -> Result<(), U> {
    times(text).unwrap().judge(asked, now, secs(leeway)).map_err(Unavailable::reason)
}

#[test]
fn an_answer_is_news_if_it_was_signed_after_the_question_as_far_as_clocks_tell() {
    let (asked, now) = (at(1_000), at(1_002));
    for (iat, leeway, expected) in [
        (1_000, 30, Ok(())),
        (1_002, 30, Ok(())),
        (970, 30, Ok(())),
        (969, 30, Err(U::TooStale)),
        (1_032, 30, Ok(())),
        (1_033, 30, Err(U::AnswerNotTrusted)),
        (0, 30, Err(U::TooStale)),
        // A clock that counts in seconds is behind by up to one.
        (999, 0, Ok(())),
        (998, 0, Err(U::TooStale)),
        (1_003, 0, Err(U::AnswerNotTrusted)),
    ] {
        assert_eq!(judged(&format!(r#"{{"iat":{iat}}}"#), asked, now, leeway), expected, "{iat} {leeway}");
    }
    let late_in_the_second = at(1_000).plus(Duration::from_millis(999));
    assert_eq!(judged(r#"{"iat":1000}"#, late_in_the_second, late_in_the_second, 0), Ok(()));
    assert_eq!(judged(r#"{"iat":1000.5}"#, at(1_001), at(1_001), 0), Ok(()));
}

#[test]
fn an_answer_whose_own_time_is_over_or_has_not_come_is_none() {
    let (asked, now) = (at(1_000), at(1_000));
    for (text, expected) in [
        (r#"{"iat":1000,"exp":1031}"#, Ok(())),
        (r#"{"iat":1000,"exp":971}"#, Ok(())),
        (r#"{"iat":1000,"exp":970}"#, Err(U::TooStale)),
        (r#"{"iat":1000,"nbf":1030}"#, Ok(())),
        (r#"{"iat":1000,"nbf":1031}"#, Err(U::AnswerNotTrusted)),
    ] {
        assert_eq!(judged(text, asked, now, 30), expected, "{text}");
    }
}

#[test]
fn times_are_numbers() {
    for text in [
        "{}",
        r#"{"iat":null}"#,
        r#"{"iat":"1000"}"#,
        r#"{"iat":-1}"#,
        r#"{"iat":1e300}"#,
        r#"{"iat":1000,"exp":null}"#,
        r#"{"iat":1000,"exp":"2000"}"#,
        r#"{"iat":1000,"nbf":true}"#,
    ] {
        assert_eq!(times(text), None, "{text}");
    }
}

#[test]
fn what_the_keys_lack_is_no_fault_of_the_endpoint() {
    for reason in U::ALL {
        let said = of_keys(Unavailable::new(*reason).retry_in(secs(3)));
        assert!(!said.is_server_failure(), "{reason}");
        assert!(
            matches!(said.reason(), U::KeysNotLoaded | U::KeysStale | U::KeysUnconfirmed | U::NoRuntime),
            "{reason}"
        );
    }
    assert_eq!(of_keys(Unavailable::new(U::KeysStale).retry_in(secs(3))).retry_after(), Some(secs(3)));
}

proptest! {
    /// The freshness contract: what is dated by its question was not signed before it, but for what clocks may differ.
    #[test]
    fn nothing_old_is_dated_as_new(
        asked in 0..2_000_000_i64, iat in 0..2_000_000_i64, took in 0..10_000_i64, leeway in 0..300_u64,
    ) {
        let (asked, now) = (WallTime::from_unix_micros(asked * 1_000), WallTime::from_unix_micros((asked + took) * 1_000));
        let times = Times { issued_at: WallTime::from_unix_micros(iat * 1_000), expires_at: None, not_before: None };
        let verdict = times.judge(asked, now, secs(leeway)).map_err(Unavailable::reason);
        let older = asked.since(times.issued_at);
        let ahead = times.issued_at.since(now);
        prop_assert_eq!(verdict == Err(U::TooStale), older > secs(leeway.max(1)));
        prop_assert_eq!(verdict == Err(U::AnswerNotTrusted), ahead > secs(leeway));
        // A longer wait for the answer makes no old one new.
        if verdict == Err(U::TooStale) {
            prop_assert!(times.judge(asked, now.plus(secs(60)), secs(leeway)).is_err());
        }
    }
}
