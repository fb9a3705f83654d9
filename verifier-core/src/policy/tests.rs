#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::fixtures::{AUDIENCE, Claims, EXP, ISSUER, NOW, answered, generic};

const MICRO: Duration = Duration::from_micros(1);

fn at(seconds: i64) -> WallTime {
    WallTime::from_unix_seconds(seconds)
}

fn builder() -> PolicyBuilder {
    ValidationPolicy::for_audience(AUDIENCE).leeway(Duration::ZERO)
}

fn decides(policy: &ValidationPolicy, facts: &Facts, now: WallTime) -> Result<(), Rejection> {
    policy.judge(facts, now, Role::Decides)
}

fn facts(more: &str) -> Facts {
    answered(&format!(r#"{{"aud":{AUDIENCE:?}{more}}}"#)).unwrap()
}

// D03
#[test]
fn expiry_is_exact_to_the_microsecond() {
    let token = facts(&format!(r#","exp":{EXP}"#));
    for leeway in [Duration::ZERO, MICRO, Duration::from_secs(30), MAX_LEEWAY] {
        let policy = builder().leeway(leeway).build().unwrap();
        let end = at(EXP).plus(leeway);
        assert_eq!(decides(&policy, &token, end.minus(MICRO)), Ok(()), "{leeway:?}");
        assert_eq!(decides(&policy, &token, end), Err(Rejection::Expired), "{leeway:?}");
        assert_eq!(decides(&policy, &token, end.plus(MICRO)), Err(Rejection::Expired), "{leeway:?}");
    }
}

// R18
#[test]
fn a_token_is_expired_at_its_exp_whatever_the_server_says() {
    let token = facts(&format!(r#","active":true,"exp":{EXP}"#));
    assert_eq!(decides(&builder().build().unwrap(), &token, at(EXP)), Err(Rejection::Expired));
}

// D05
#[test]
fn not_before_and_issued_at_are_exact_to_the_microsecond() {
    for (name, rejection) in [("nbf", Rejection::NotYetValid), ("iat", Rejection::IssuedInFuture)] {
        let token = facts(&format!(r#","exp":{EXP},"{name}":{NOW}"#));
        for leeway in [Duration::ZERO, MICRO, Duration::from_secs(30), MAX_LEEWAY] {
            let policy = builder().leeway(leeway).build().unwrap();
            let start = at(NOW).minus(leeway);
            assert_eq!(decides(&policy, &token, start), Ok(()), "{name} {leeway:?}");
            assert_eq!(decides(&policy, &token, start.minus(MICRO)), Err(rejection), "{name} {leeway:?}");
        }
    }
}

#[test]
fn a_token_issued_after_its_end_was_never_good() {
    let policy = builder().leeway(MAX_LEEWAY).build().unwrap();
    let token = facts(&format!(r#","exp":{NOW},"iat":{}"#, NOW + 1));
    assert_eq!(decides(&policy, &token, at(NOW)), Err(Rejection::IssuedInFuture));
}

#[test]
fn greatest_age_and_lifetime() {
    let aged = builder().max_age(Duration::from_secs(100)).build().unwrap();
    let token = facts(&format!(r#","exp":{EXP},"iat":{}"#, NOW - 100));
    assert_eq!(decides(&aged, &token, at(NOW)), Ok(()));
    assert_eq!(decides(&aged, &token, at(NOW).plus(MICRO)), Err(Rejection::TooOld));
    let lenient = builder().leeway(Duration::from_secs(5)).max_age(Duration::from_secs(100)).build().unwrap();
    assert_eq!(decides(&lenient, &token, at(NOW + 5)), Ok(()));
    assert_eq!(decides(&lenient, &token, at(NOW + 5).plus(MICRO)), Err(Rejection::TooOld));

    let short = builder().max_lifetime(Duration::from_secs(400)).build().unwrap();
    assert_eq!(decides(&short, &token, at(NOW)), Ok(()));
    let long = facts(&format!(r#","exp":{},"iat":{}"#, EXP + 1, NOW - 100));
    assert_eq!(decides(&short, &long, at(NOW)), Err(Rejection::LifetimeTooLong));
    // Leeway is for clocks, and a lifetime needs none.
    let short = builder().leeway(MAX_LEEWAY).max_lifetime(Duration::from_secs(400)).build().unwrap();
    assert_eq!(decides(&short, &long, at(NOW)), Err(Rejection::LifetimeTooLong));
}

#[test]
fn a_limit_that_can_not_be_judged_refuses_where_it_decides() {
    for policy in [
        builder().max_age(Duration::from_secs(100)).build().unwrap(),
        builder().max_lifetime(Duration::from_secs(100)).build().unwrap(),
    ] {
        let no_iat = facts(&format!(r#","exp":{EXP}"#));
        assert_eq!(decides(&policy, &no_iat, at(NOW)), Err(Rejection::MissingClaim));
        assert_eq!(policy.judge(&no_iat, at(NOW), Role::Corroborates), Ok(()));
    }
    let endless = facts(&format!(r#","iat":{NOW}"#));
    let policy = builder().max_lifetime(Duration::from_secs(100)).build().unwrap();
    assert_eq!(decides(&policy, &endless, at(NOW)), Err(Rejection::MissingClaim));
}

#[test]
fn what_is_said_must_hold_on_the_other_side_too() {
    let policy =
        builder().max_age(Duration::from_secs(100)).max_lifetime(Duration::from_secs(400)).build().unwrap();
    let says = |more: &str| policy.judge(&facts(more), at(NOW), Role::Corroborates);
    assert_eq!(says(&format!(r#","exp":{NOW}"#)), Err(Rejection::Expired));
    assert_eq!(says(&format!(r#","nbf":{}"#, NOW + 1)), Err(Rejection::NotYetValid));
    assert_eq!(says(&format!(r#","iat":{}"#, NOW + 1)), Err(Rejection::IssuedInFuture));
    assert_eq!(says(&format!(r#","iat":{}"#, NOW - 101)), Err(Rejection::TooOld));
    assert_eq!(says(&format!(r#","iat":{NOW},"exp":{}"#, NOW + 401)), Err(Rejection::LifetimeTooLong));
    let other = answered(r#"{"aud":"https://other.example"}"#).unwrap();
    assert_eq!(policy.judge(&other, at(NOW), Role::Corroborates), Err(Rejection::WrongAudience));
    assert_eq!(policy.judge(&answered("{}").unwrap(), at(NOW), Role::Corroborates), Ok(()));
    // What is demanded beyond that is the deciding side's matter.
    let demanding = builder().require_claim("sub").require_scope("admin").build().unwrap();
    assert_eq!(demanding.judge(&facts(""), at(NOW), Role::Corroborates), Ok(()));
}

#[test]
fn audiences_may_be_several_or_in_another_claim() {
    let any = ValidationPolicy::for_audiences(["a", "b"]).build().unwrap();
    for (raw, good) in
        [("\"a\"", true), ("\"b\"", true), ("[\"x\",\"b\"]", true), ("\"c\"", false), ("\"ab\"", false)]
    {
        let token = answered(&format!(r#"{{"aud":{raw}}}"#)).unwrap();
        assert_eq!(decides(&any, &token, at(NOW)).is_ok(), good, "{raw}");
    }
    let client = ValidationPolicy::with_audience_rule(AudienceRule::AnyOf {
        claim: "client_id".into(),
        values: vec!["app".into()],
    })
    .build()
    .unwrap();
    let judged = |members: &str, role| client.judge(&answered(members).unwrap(), at(NOW), role);
    assert_eq!(judged(r#"{"client_id":"app"}"#, Role::Decides), Ok(()));
    // An `aud` that happens to be right is not what was asked for.
    for members in [r#"{"aud":"app"}"#, r#"{"client_id":"App"}"#, r#"{"client_id":null}"#, "{}"] {
        assert_eq!(judged(members, Role::Decides), Err(Rejection::WrongAudience), "{members}");
    }
    assert_eq!(judged("{}", Role::Corroborates), Ok(()));
    assert_eq!(judged(r#"{"client_id":"other"}"#, Role::Corroborates), Err(Rejection::WrongAudience));

    let own = |claim: &str| {
        let values = vec!["app".into()];
        ValidationPolicy::with_audience_rule(AudienceRule::AnyOf { claim: claim.into(), values })
            .build()
            .unwrap()
    };
    for (members, good) in [
        (r#"{"resource":"app"}"#, true),
        (r#"{"resource":["x","app"]}"#, true),
        (r#"{"resource":["x",1,null]}"#, false),
        (r#"{"resource":{"app":true}}"#, false),
        (r#"{"resource":[["app"]]}"#, false),
        (r#"{"resource":1}"#, false),
    ] {
        let verdict = decides(&own("resource"), &answered(members).unwrap(), at(NOW));
        assert_eq!(verdict.is_ok(), good, "{members}");
    }
}

#[test]
fn required_claims_are_there_and_not_null() {
    let policy = builder().require_claim("sub").require_claim("tenant").build().unwrap();
    let judged = |more: &str| decides(&policy, &facts(more), at(NOW));
    assert_eq!(judged(r#","sub":"alice","tenant":0"#), Ok(()));
    for more in [
        "",
        r#","sub":"alice""#,
        r#","tenant":1"#,
        r#","sub":"alice","tenant":null"#,
        r#","sub":"alice","tenant":"""#,
        r#","sub":null,"tenant":1"#,
    ] {
        assert_eq!(judged(more), Err(Rejection::MissingClaim), "{more}");
    }
    // A member of a nested object is no claim.
    assert_eq!(judged(r#","sub":"alice","ext":{"tenant":1}"#), Err(Rejection::MissingClaim));
}

#[test]
fn lacking_a_scope_is_said_only_of_a_good_token() {
    let policy = builder().require_scope("admin").require_scope("read").build().unwrap();
    let judged = |more: &str| decides(&policy, &facts(more), at(NOW));
    assert_eq!(judged(r#","scope":"read admin""#), Ok(()));
    assert_eq!(judged(r#","scope":"read""#), Err(Rejection::InsufficientScope));
    assert_eq!(judged(r#","scope":"read admin:all""#), Err(Rejection::InsufficientScope));
    assert_eq!(judged(""), Err(Rejection::InsufficientScope));
    assert_eq!(judged(&format!(r#","scope":"read","exp":{NOW}"#)), Err(Rejection::Expired));
    assert_eq!(policy.required_scopes().collect::<Vec<_>>(), ["admin", "read"]);
}

#[test]
fn expired_is_said_only_where_all_else_is_good() {
    let policy = builder().require_claim("sub").build().unwrap();
    let token = facts(&format!(r#","exp":{NOW}"#));
    assert_eq!(decides(&policy, &token, at(NOW)), Err(Rejection::MissingClaim));
    let other = answered(&format!(r#"{{"aud":"other","exp":{NOW}}}"#)).unwrap();
    assert_eq!(decides(&policy, &other, at(NOW)), Err(Rejection::WrongAudience));
}

// D06
#[test]
fn a_clock_before_the_epoch_or_at_the_end_of_time_refuses() {
    let token = generic(&Claims::new().with("nbf", "1000")).unwrap();
    let policy = builder().leeway(MAX_LEEWAY).build().unwrap();
    for micros in [i64::MIN, -1, 0, i64::MAX] {
        assert!(decides(&policy, &token, WallTime::from_unix_micros(micros)).is_err(), "{micros}");
    }
}

#[test]
fn a_policy_that_refuses_nothing_is_not_built() {
    for empty in [
        ValidationPolicy::for_audience(""),
        ValidationPolicy::for_audiences(Vec::<String>::new()),
        ValidationPolicy::for_audiences(["a", ""]),
        ValidationPolicy::with_audience_rule(AudienceRule::AnyOf {
            claim: "".into(),
            values: vec!["a".into()],
        }),
    ] {
        assert_eq!(empty.build().err(), Some(PolicyError::EmptyAudience));
    }
    let leeway = MAX_LEEWAY + MICRO;
    assert_eq!(builder().leeway(leeway).build().err(), Some(PolicyError::LeewayTooGreat { leeway }));
    assert!(builder().leeway(MAX_LEEWAY).build().is_ok());
    assert_eq!(builder().max_age(Duration::ZERO).build().err(), Some(PolicyError::ZeroLimit));
    assert_eq!(builder().max_lifetime(Duration::ZERO).build().err(), Some(PolicyError::ZeroLimit));
    let shown = PolicyError::LeewayTooGreat { leeway }.to_string();
    assert!(shown.contains("300.000001s") && shown.contains("300s"), "{shown}");
}

#[test]
fn a_scope_that_no_token_can_have_is_not_demanded() {
    for scope in ["", "read write", "a\"b", "a\\b", "a\tb", "é"] {
        assert_eq!(
            builder().require_scope(scope).build().err(),
            Some(PolicyError::ImpossibleScope),
            "{scope:?}"
        );
    }
}

#[test]
fn an_issuer_has_a_name() {
    let profile = TokenProfile::generic;
    assert_eq!(IssuerRules::new("", profile()).err(), Some(PolicyError::EmptyIssuer));
    assert_eq!(IssuerRules::any_of([], profile()).err(), Some(PolicyError::EmptyIssuer));
    assert_eq!(IssuerRules::any_of(["a", ""], profile()).err(), Some(PolicyError::EmptyIssuer));

    let tenants = IssuerRules::any_of(["https://idp/a", "https://idp/b"], profile()).unwrap();
    assert_eq!(&**tenants.issuer(), "https://idp/a");
    assert_eq!(tenants.matching(Some("https://idp/b")).as_deref(), Ok("https://idp/b"));
    assert_eq!(tenants.matching(Some("https://idp/c")), Err(Rejection::WrongIssuer));
    assert_eq!(tenants.matching(None), Err(Rejection::MissingClaim));
}

#[test]
fn a_missing_issuer_is_accepted_by_choice_and_a_wrong_one_never() {
    let rules = IssuerRules::new(ISSUER, TokenProfile::generic()).unwrap().danger_accept_missing_issuer();
    assert!(rules.accepts_missing_issuer());
    assert_eq!(rules.matching(None).as_deref(), Ok(ISSUER));
    assert_eq!(rules.matching(Some("")), Err(Rejection::WrongIssuer));
    let read = |claims: Claims| {
        let token = crate::fixtures::sign(&crate::fixtures::header(""), claims.text().as_bytes());
        crate::fixtures::validate(&token, &rules, &crate::fixtures::policy())
            .map_err(|error| error.rejection())
    };
    assert_eq!(&**read(Claims::new().without("iss")).unwrap().issuer(), ISSUER);
    assert_eq!(read(Claims::new().with("iss", "\"https://other\"")).err(), Some(Rejection::WrongIssuer));
    assert_eq!(read(Claims::new().with("iss", "null")).err(), Some(Rejection::MalformedClaims));
    assert_eq!(read(Claims::new().with("iss", "\"\"")).err(), Some(Rejection::MalformedClaims));
}

fn dates() -> impl Strategy<Value = String> {
    let near = (-700_i64..700).prop_map(|by| (NOW + by).to_string());
    let fraction = (-700_i64..700, 0_u32..1_000_000).prop_map(|(by, part)| format!("{}.{part:06}", NOW + by));
    prop_oneof![
        4 => near,
        2 => fraction,
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4_096, ..ProptestConfig::default() })]

    /// Whatever the dates, the leeway, the limits and the time: no panic, and no acceptance outside what was said.
    #[test]
    fn nothing_is_accepted_outside_its_time(
        exp in dates(), nbf in prop::option::of(dates()), iat in prop::option::of(dates()),
        leeway in 0_u64..=300_000_000,
        max_age in prop::option::of(1_u64..1_000), max_lifetime in prop::option::of(1_u64..1_000),
        now in prop_oneof![(NOW - 800) * 1_000_000..(NOW + 800) * 1_000_000, any::<i64>()],
        decides in any::<bool>(),
    ) {
        let mut members = format!(r#""aud":{AUDIENCE:?},"exp":{exp}"#);
        for (name, date) in [("nbf", &nbf), ("iat", &iat)] {
            if let Some(date) = date {
                members.push_str(&format!(r#","{name}":{date}"#));
            }
        }
        let Ok(facts) = answered(&format!("{{{members}}}")) else { return Ok(()) };
        let leeway = Duration::from_micros(leeway);
        let mut builder = builder().leeway(leeway);
        if let Some(max) = max_age {
            builder = builder.max_age(Duration::from_secs(max));
        }
        if let Some(max) = max_lifetime {
            builder = builder.max_lifetime(Duration::from_secs(max));
        }
        let now = WallTime::from_unix_micros(now);
        let role = if decides { Role::Decides } else { Role::Corroborates };
        if builder.build().unwrap().judge(&facts, now, role).is_ok() {
            // In microseconds and 128 bits, on the dates as they stood in the text, with no rounding to our favour.
            let micros = |text: &str| (text.parse::<f64>().unwrap() * 1e6) as i128;
            let (now, slack) = (i128::from(now.unix_micros()), leeway.as_micros() as i128);
            prop_assert!(now < micros(&exp) + slack);
            if let Some(nbf) = &nbf {
                prop_assert!(now + slack >= micros(nbf));
            }
            match &iat {
                Some(iat) => {
                    // Whole seconds: `iat` is rounded down.
                    prop_assert!(now + slack >= micros(iat) - 999_999);
                    if let Some(max) = max_age {
                        prop_assert!(now - micros(iat) <= i128::from(max) * 1_000_000 + slack);
                    }
                    if let Some(max) = max_lifetime {
                        prop_assert!(micros(&exp) - micros(iat) <= (i128::from(max) + 1) * 1_000_000);
                    }
                }
                None => prop_assert!(!decides || (max_age.is_none() && max_lifetime.is_none())),
            }
        }
    }

    /// Whatever was refused as expired stays so as time goes on.
    #[test]
    fn expiry_is_for_good(exp in NOW - 500..NOW + 500, first in NOW - 900..NOW + 900, later in 0_i64..1_000) {
        let policy = builder().build().unwrap();
        let token = facts(&format!(r#","exp":{exp}"#));
        if decides(&policy, &token, at(first)) == Err(Rejection::Expired) {
            prop_assert_eq!(decides(&policy, &token, at(first + later)), Err(Rejection::Expired));
        }
    }
}
