#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;
use serde::Deserialize;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::error::VerifyError;
use crate::evidence::Evidence;
use crate::fixtures::{
    AUDIENCE, Claims, EXP, ISSUER, NOW, answered, generic, header, judged, object, policy, profiles, rules,
};
use crate::json::Number;
use crate::policy::{Role, ValidationPolicy};
use crate::profile::TokenProfile;
use crate::time::Now;
use crate::time::WallTime;

/// The verdict under each profile on its own good claims with one of them changed.
fn everywhere(change: impl Fn(Claims) -> Claims) -> Vec<(String, Option<Rejection>)> {
    profiles()
        .into_iter()
        .map(|(profile, header)| {
            let claims = change(Claims::of(&profile)).text();
            (format!("{}: {claims}", profile.name), judged(&profile, &header, &claims).err())
        })
        .collect()
}

fn all_say(expected: Option<Rejection>, change: impl Fn(Claims) -> Claims) {
    for (claims, actual) in everywhere(change) {
        assert_eq!(actual, expected, "{claims}");
    }
}

fn set(name: &str, raw: &str) -> impl Fn(Claims) -> Claims {
    let (name, raw) = (name.to_owned(), raw.to_owned());
    move |claims| claims.with(&name, &raw)
}

#[test]
fn good_claims_are_read_under_every_profile() {
    for (profile, header) in profiles() {
        let facts = judged(&profile, &header, &Claims::of(&profile).text()).unwrap();
        assert_eq!(&**facts.issuer(), ISSUER);
        assert_eq!(facts.subject(), Some("alice"));
        assert_eq!(facts.client_id(), Some("app"));
        assert_eq!(facts.audience().collect::<Vec<_>>(), [AUDIENCE]);
        assert_eq!(facts.scopes().collect::<Vec<_>>(), ["read", "write"]);
        assert_eq!(
            (facts.expires_at(), facts.issued_at(), facts.not_before()),
            (Some(EXP), Some(NOW - 10), None)
        );
        assert_eq!(facts.lifetime(), Some(Duration::from_secs(310)));
        assert_eq!(facts.jwt_id(), Some("j-1"));
        let roles: Vec<_> = facts.roles().collect();
        assert_eq!(roles, if profile.name == "keycloak" { vec!["admin", "user"] } else { vec![] });
    }
}

// D01
#[test]
fn times_are_numbers_or_malformed_and_never_absent() {
    for name in ["exp", "nbf", "iat"] {
        for raw in ["\"1800000000\"", "null", "true", "false", "[1800000000]", "{}", "{\"a\":1}", "\"\""] {
            all_say(Some(Rejection::MalformedClaims), set(name, raw));
        }
    }
}

// D02
#[test]
fn times_out_of_range_are_malformed() {
    for name in ["exp", "nbf", "iat"] {
        for raw in [
            "1e30",
            "-1",
            "-1.5",
            "-1e300",
            "-9223372036854775808",
            "-9223372036854775809",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "253402300800",
            "253402300800.0",
            "1e400",
            "NaN",
            "Infinity",
            "1_800_000_000",
            "0x7fffffff",
        ] {
            all_say(Some(Rejection::MalformedClaims), set(name, raw));
        }
    }
    all_say(None, set("exp", "253402300799"));
    all_say(None, set("exp", "1e10"));
    all_say(None, set("exp", "1800000300.0"));
    all_say(Some(Rejection::Expired), |claims| claims.with("exp", "-0").without("iat").with("iat", "0"));
    all_say(Some(Rejection::Expired), |claims| claims.with("exp", "0").with("iat", "0"));
    all_say(Some(Rejection::Expired), |claims| claims.with("exp", "1234.5").with("iat", "1000"));
}

#[test]
fn a_fraction_never_lengthens_a_life() {
    // exp is rounded down, so that the last fraction of a second doesn't count; nbf is rounded up.
    let read = |name: &str, raw: &str| generic(&Claims::new().with(name, raw));
    assert_eq!(read("exp", "1800000000.9").err(), Some(Rejection::Expired));
    assert_eq!(read("exp", "1800000001.9").unwrap().expires_at(), Some(NOW + 1));
    assert_eq!(read("nbf", "1800000000.1").err(), Some(Rejection::NotYetValid));
    assert_eq!(read("nbf", "1799999999.1").unwrap().not_before(), Some(NOW));
    assert_eq!(read("iat", "1799999999.9").unwrap().issued_at(), Some(NOW - 1));
}

// D04
#[test]
fn a_jwt_without_exp_is_refused() {
    all_say(Some(Rejection::MissingClaim), |claims| claims.without("exp"));
    // Even where the profile has forgotten to demand it.
    let mut profile = TokenProfile::generic();
    profile.required.clear();
    let verdict = judged(&profile, &header(""), &Claims::new().without("exp").text());
    assert_eq!(verdict.err(), Some(Rejection::MissingClaim));
}

#[test]
fn the_claims_of_a_profile_are_demanded() {
    for (profile, header) in profiles() {
        for name in &profile.required {
            let claims = Claims::of(&profile).without(name).text();
            let expected = Some(Rejection::MissingClaim);
            assert_eq!(judged(&profile, &header, &claims).err(), expected, "{} {name}", profile.name);
        }
    }
}

#[test]
fn an_empty_text_is_not_what_a_profile_demands() {
    for (profile, header) in profiles() {
        for name in profile.required.iter().filter(|name| matches!(&***name, "jti" | "client_id")) {
            let claims = Claims::of(&profile).with(name, "\"\"").text();
            let expected = Some(Rejection::MissingClaim);
            assert_eq!(judged(&profile, &header, &claims).err(), expected, "{} {name}", profile.name);
        }
    }
    // No scope at all is still a scope claim, as servers send it for tokens without any.
    assert!(generic(&Claims::new().without("client_id").with("scope", "\"\"")).is_ok());
}

// D07
#[test]
fn an_audience_is_exact_or_wrong() {
    let quoted = |aud: &str| format!("{aud:?}");
    all_say(None, set("aud", &quoted(AUDIENCE)));
    all_say(None, set("aud", &format!("[\"other\",{AUDIENCE:?}]")));
    all_say(None, set("aud", &format!("[{AUDIENCE:?},{AUDIENCE:?}]")));
    for aud in [
        "https://api.example/",
        "https://api.example.evil",
        "https://api.exampl",
        "ttps://api.example",
        "HTTPS://API.EXAMPLE",
        "https://api.example:443",
        "https://api.example ",
        " https://api.example",
        "https://api.example\u{0}",
        "https://api.еxample",
        "*",
        "https://other.example https://api.example",
    ] {
        let raw = serde_json::to_string(aud).unwrap();
        all_say(Some(Rejection::WrongAudience), set("aud", &raw));
        all_say(Some(Rejection::WrongAudience), set("aud", &format!("[{raw}]")));
    }
    all_say(Some(Rejection::WrongAudience), set("aud", "[]"));
    all_say(Some(Rejection::WrongAudience), set("aud", "[\"\"]"));
    for (claims, verdict) in everywhere(set("aud", "\"\"")) {
        let required = claims.starts_with("at+jwt");
        let expected = if required { Rejection::MissingClaim } else { Rejection::WrongAudience };
        assert_eq!(verdict, Some(expected), "{claims}");
    }
    for raw in [
        "null",
        "1",
        "true",
        "{}",
        "[null]",
        "[1]",
        "[[\"https://api.example\"]]",
        "[\"https://api.example\",1]",
        "[\"https://api.example\",null]",
        "{\"https://api.example\":true}",
    ] {
        all_say(Some(Rejection::MalformedClaims), set("aud", raw));
    }
}

// D08
#[test]
fn a_token_for_nobody_is_for_nobody() {
    for (profile, header) in profiles() {
        let expected =
            if profile.name == "at+jwt" { Rejection::MissingClaim } else { Rejection::WrongAudience };
        let claims = Claims::of(&profile).without("aud").text();
        assert_eq!(judged(&profile, &header, &claims).err(), Some(expected), "{}", profile.name);
    }
}

// D09
#[test]
fn an_issuer_is_exact_or_wrong() {
    for iss in [
        "https://idp.example/realms/main/",
        "https://idp.example/realms/mai",
        "https://idp.example/realms/main2",
        "https://IDP.example/realms/main",
        "HTTPS://idp.example/realms/main",
        "https://idp.example:443/realms/main",
        "https://idp.example/realms/%6dain",
        "https://idp.example/realms/./main",
        "https://idp.еxample/realms/main",
        "https://idp.example/realms/ma\u{131}n",
        "https://idp.example/realms/main\u{0}",
        "__proto__",
        " ",
        "https://xn--idp-.example/realms/main",
        "http://idp.example/realms/main",
    ] {
        all_say(Some(Rejection::WrongIssuer), set("iss", &serde_json::to_string(iss).unwrap()));
    }
    let array = format!("[{ISSUER:?}]");
    for raw in ["null", "1", "true", "\"\"", "{}", "[]", &array] {
        all_say(Some(Rejection::MalformedClaims), set("iss", raw));
    }
    all_say(Some(Rejection::MissingClaim), |claims| claims.without("iss"));
}

#[test]
fn a_name_is_compared_as_it_is_spelled() {
    // The same letters, composed and decomposed.
    let (composed, decomposed) = ("https://idp.example/caf\u{e9}", "https://idp.example/cafe\u{301}");
    let rules = IssuerRules::new(composed, TokenProfile::generic()).unwrap();
    assert!(rules.matching(Some(composed)).is_ok());
    assert_eq!(rules.matching(Some(decomposed)), Err(Rejection::WrongIssuer));
}

// D10
#[test]
fn a_subject_is_a_text_that_is_not_empty() {
    for raw in ["null", "\"\"", "42", "true", "[\"alice\"]", "{}"] {
        all_say(Some(Rejection::MalformedClaims), set("sub", raw));
    }
    for (claims, verdict) in everywhere(|claims| claims.without("sub")) {
        let profile = claims.split(": ").next().and_then(TokenProfile::by_name).unwrap();
        let expected = profile.required.iter().any(|name| name == "sub").then_some(Rejection::MissingClaim);
        assert_eq!(verdict, expected, "{claims}");
    }
    for name in ["jti", "sid"] {
        for raw in ["null", "42", "true", "[\"x\"]", "{}"] {
            all_say(Some(Rejection::MalformedClaims), set(name, raw));
        }
    }
}

// D11
#[test]
fn scopes_are_a_set_of_exact_words() {
    let scopes = |raw: &str| -> Vec<String> {
        let facts = generic(&Claims::new().with("scope", raw)).unwrap();
        facts.scopes().map(Into::into).collect()
    };
    assert_eq!(scopes(r#""read:all  write ""#), ["read:all", "write"]);
    assert_eq!(scopes(r#""read\twrite""#), ["read\twrite"]);
    assert_eq!(scopes(r#""read read""#), ["read", "read"]);
    assert_eq!(scopes(r#""""#), [""; 0]);
    assert_eq!(scopes(r#"["read write","x"]"#), ["read write", "x"]);

    let facts = generic(&Claims::new().with("scope", r#""read:all things.*""#)).unwrap();
    for absent in ["read", "all", "READ:ALL", "read:all things.*", "", "things.one", "read:al", "read:all "] {
        assert!(!facts.has_scope(absent), "{absent}");
    }
    assert!(facts.has_scope("read:all") && facts.has_scope("things.*"));

    // An array only where the profile says so (RFC 9068 §2.2.3: a text).
    let (profile, header) = &profiles()[0];
    let claims = Claims::new().with("scope", r#"["read"]"#).text();
    assert_eq!(judged(profile, header, &claims).err(), Some(Rejection::MalformedClaims));
    for raw in ["null", "1", "{}", "[1]", "[[\"read\"]]", "true"] {
        assert_eq!(
            generic(&Claims::new().with("scope", raw)).err(),
            Some(Rejection::MalformedClaims),
            "{raw}"
        );
    }
    // The first claim that is there counts, so that a second one adds nothing.
    let both = Claims::new().with("scope", "\"read\"").with("scp", "[\"admin\"]");
    assert!(!generic(&both).unwrap().has_scope("admin"));
}

// D12
#[test]
fn a_clients_own_token_speaks_for_no_user() {
    let is_client_only = |claims: Claims| {
        let facts = Arc::new(generic(&claims).unwrap());
        token(facts).is_client_only()
    };
    assert!(!is_client_only(Claims::new()));
    assert!(is_client_only(Claims::new().with("sub", r#""app""#)));
    assert!(is_client_only(Claims::new().without("sub")));
    assert!(!is_client_only(Claims::new().with("sub", r#""App""#)));
}

// D13
#[test]
fn a_binding_is_read_or_can_not_be_confirmed() {
    let bound = |raw: &str| generic(&Claims::new().with("cnf", raw)).unwrap().confirmation();
    let good = URL_SAFE_NO_PAD.encode([7; 32]);
    assert_eq!(bound(&format!(r#"{{"jkt":"{good}"}}"#)), Some(Confirmation::JwkThumbprint([7; 32])));
    assert_eq!(bound(&format!(r#"{{"x5t#S256":"{good}"}}"#)), Some(Confirmation::CertificateSha256([7; 32])));
    assert_eq!(generic(&Claims::new()).unwrap().confirmation(), None);
    for raw in [
        "{}".to_owned(),
        format!(r#"{{"jkt":"{good}","x5t#S256":"{good}"}}"#),
        format!(r#"{{"jkt":"{good}","other":null}}"#),
        format!(r#"{{"JKT":"{good}"}}"#),
        format!(r#"{{"x5t":"{good}"}}"#),
        format!(r#"{{"jkt":"{good}="}}"#),
        format!(r#"{{"jkt":["{good}"]}}"#),
        format!(r#"{{"jkt":"{}"}}"#, URL_SAFE_NO_PAD.encode([7; 31])),
        format!(r#"{{"jkt":"{}"}}"#, URL_SAFE_NO_PAD.encode([7; 33])),
        format!(r#"{{"jkt":"{}"}}"#, URL_SAFE_NO_PAD.encode([0xff; 32]).replace(['_', '-'], "/")),
        r#"{"jkt":null}"#.into(),
        r#"{"jkt":""}"#.into(),
        r#"{"jwk":{"kty":"OKP"}}"#.into(),
        r#"{"kid":"k"}"#.into(),
    ] {
        assert_eq!(bound(&raw), Some(Confirmation::Unsupported), "{raw}");
    }
    for raw in ["null", "\"x\"", "[]", "1", "true", "[{\"jkt\":\"x\"}]"] {
        all_say(Some(Rejection::MalformedClaims), set("cnf", raw));
    }
}

// RFC 7519 §5.3
#[test]
fn claims_in_the_header_are_the_payloads_or_refused() {
    let with_header = |members: &str| {
        let header = format!(r#"{{"alg":"EdDSA","kid":"k",{members}}}"#);
        judged(&TokenProfile::generic(), &header, &Claims::new().text()).err()
    };
    assert_eq!(with_header(&format!(r#""iss":{ISSUER:?}"#)), None);
    assert_eq!(with_header(&format!(r#""iss":{ISSUER:?},"sub":"alice","aud":[{AUDIENCE:?}]"#)), None);
    for members in [
        r#""iss":"https://other.example""#.to_owned(),
        r#""sub":"mallory""#.into(),
        r#""sub":null"#.into(),
        r#""sub":["alice"]"#.into(),
        format!(r#""aud":{AUDIENCE:?}"#),
        format!(r#""aud":[{AUDIENCE:?},"b"]"#),
        r#""aud":[]"#.into(),
    ] {
        assert_eq!(with_header(&members), Some(Rejection::MalformedClaims), "{members}");
    }
    // Absent in the payload is another value too.
    let header = r#"{"alg":"EdDSA","kid":"k","sub":"alice"}"#;
    let verdict = judged(&TokenProfile::generic(), header, &Claims::new().without("sub").text());
    assert_eq!(verdict.err(), Some(Rejection::MalformedClaims));
}

// R17
#[test]
fn nested_objects_are_never_flattened_and_private_nulls_stay() {
    let nested = Claims::new()
        .with(
            "ext",
            r#"{"sub":"mallory","iss":"https://evil.example","scope":"admin","exp":9999999999,"aud":"x"}"#,
        )
        .with("private", "null")
        .with("big", "18446744073709551616")
        .with("wrapped", "-9223372036854775808");
    let facts = generic(&nested).unwrap();
    assert_eq!((facts.subject(), facts.expires_at()), (Some("alice"), Some(EXP)));
    assert!(!facts.has_scope("admin"));
    assert!(facts.members().get("private").is_some_and(Json::is_null));
    assert_eq!(facts.claim("private"), None);
    assert_eq!(facts.claim("wrapped"), Some(&Json::Number(Number::Signed(i64::MIN))));

    let only_nested = Claims::new().without("sub").with("ext", r#"{"sub":"mallory"}"#);
    assert_eq!(generic(&only_nested).unwrap().subject(), None);
}

#[test]
fn roles_are_found_by_pointer_and_odd_ones_passed_over() {
    let (profile, header) = &profiles()[2];
    for (raw, expected) in [
        (r#"{"roles":["a",1,null,["b"],"c"]}"#, vec!["a", "c"]),
        (r#"{"roles":"admin"}"#, vec![]),
        (r#"{"roles":{"admin":true}}"#, vec![]),
        (r#"["admin"]"#, vec![]),
        ("null", vec![]),
    ] {
        let claims = Claims::of(profile).with("realm_access", raw).text();
        let facts = judged(profile, header, &claims).unwrap();
        assert_eq!(facts.roles().collect::<Vec<_>>(), expected, "{raw}");
    }
}

#[test]
fn a_lifetime_needs_both_ends_and_is_never_negative() {
    let facts = |members: &str| answered(members).unwrap();
    assert_eq!(facts(r#"{"exp":10,"iat":4}"#).lifetime(), Some(Duration::from_secs(6)));
    assert_eq!(facts(r#"{"exp":4,"iat":10}"#).lifetime(), Some(Duration::ZERO));
    assert_eq!(facts(r#"{"exp":4}"#).lifetime(), None);
    assert_eq!(facts(r#"{"iat":4}"#).lifetime(), None);
}

// Answers of an introspection endpoint.

fn verdict_on_answer(members: &str) -> Result<(), AnswerError> {
    policy()
        .judge(&answered(members)?, WallTime::from_unix_seconds(NOW), Role::Decides)
        .map_err(AnswerError::Rejected)
}

fn answer(more: &str) -> String {
    format!(r#"{{"active":true,"aud":{AUDIENCE:?},"client_id":"app"{more}}}"#)
}

// H03
#[test]
fn times_of_an_answer_are_judged() {
    let rejected = |rejection| Err(AnswerError::Rejected(rejection));
    assert_eq!(verdict_on_answer(&answer("")), Ok(()));
    assert_eq!(verdict_on_answer(&answer(&format!(r#","exp":{EXP}"#))), Ok(()));
    assert_eq!(verdict_on_answer(&answer(&format!(r#","exp":{NOW}"#))), rejected(Rejection::Expired));
    assert_eq!(verdict_on_answer(&answer(&format!(r#","exp":{NOW}.9"#))), rejected(Rejection::Expired));
    assert_eq!(
        verdict_on_answer(&answer(&format!(r#","nbf":{}"#, NOW + 1))),
        rejected(Rejection::NotYetValid)
    );
    assert_eq!(
        verdict_on_answer(&answer(&format!(r#","iat":{}"#, NOW + 1))),
        rejected(Rejection::IssuedInFuture)
    );
    for name in ["exp", "nbf", "iat"] {
        for raw in ["null", "\"1800000300\"", "true", "-1", "1e30", "[]", "{}"] {
            let members = answer(&format!(r#","{name}":{raw}"#));
            assert_eq!(verdict_on_answer(&members), Err(AnswerError::Unreadable), "{members}");
        }
    }
}

// H05
#[test]
fn an_answer_for_another_issuer_is_refused() {
    let other = answer(r#","iss":"https://other.example""#);
    assert_eq!(verdict_on_answer(&other), Err(AnswerError::Rejected(Rejection::WrongIssuer)));
    assert_eq!(verdict_on_answer(&answer(&format!(r#","iss":{ISSUER:?}"#))), Ok(()));
    for raw in ["1", "[]", "{}", "true"] {
        assert_eq!(
            verdict_on_answer(&answer(&format!(r#","iss":{raw}"#))),
            Err(AnswerError::Unreadable),
            "{raw}"
        );
    }
}

// H06
#[test]
fn an_answer_without_an_issuer_is_no_answer_where_there_are_several() {
    let rules =
        IssuerRules::any_of(["https://a.example", "https://b.example"], TokenProfile::generic()).unwrap();
    let read =
        |members: &str| Facts::from_answer(object(members), &rules).map(|facts| facts.issuer().to_string());
    // Taken for a's, an event about b's token would pass it by.
    assert_eq!(read(r#"{"sub":"s"}"#), Err(AnswerError::Rejected(Rejection::MissingClaim)));
    assert_eq!(read(r#"{"sub":"s","iss":"https://b.example"}"#), Ok("https://b.example".into()));
}

#[test]
fn an_answer_for_another_audience_or_none_is_refused() {
    let wrong = Err(AnswerError::Rejected(Rejection::WrongAudience));
    for members in [
        r#"{"active":true,"aud":"https://other.example"}"#,
        r#"{"active":true,"aud":[]}"#,
        r#"{"active":true,"aud":""}"#,
        r#"{"active":true,"aud":null}"#,
        r#"{"active":true}"#,
    ] {
        assert_eq!(verdict_on_answer(members), wrong, "{members}");
        // Without an audience it holds only where that was spelled out.
        let anybody = ValidationPolicy::danger_accept_any_audience().build().unwrap();
        let facts = answered(members).unwrap();
        assert_eq!(anybody.judge(&facts, WallTime::from_unix_seconds(NOW), Role::Decides), Ok(()));
    }
    for raw in ["1", "true", "{}", "[1]", "[null]"] {
        let members = format!(r#"{{"active":true,"aud":{raw}}}"#);
        assert_eq!(verdict_on_answer(&members), Err(AnswerError::Unreadable), "{members}");
    }
}

// H07, R04, R05
#[test]
fn an_answer_about_another_kind_of_token_is_refused() {
    for (profile, _) in profiles() {
        let rules = rules(&profile);
        let read = |members: &str| Facts::from_answer(object(members), &rules).map(|_| ());
        for more in [
            r#","token_type":"refresh_token""#,
            r#","token_type":"Refresh""#,
            r#","token_type":"Offline""#,
            r#","token_type":"N_A""#,
            r#","token_type":"ID""#,
            r#","token_type":"id_token""#,
            r#","token_type":"Bearer","token_use":"refresh_token""#,
            r#","token_use":"id""#,
            r#","typ":"Refresh""#,
            r#","typ":"ID","token_type":"Bearer""#,
            r#","typ":"Logout""#,
            r#","token_type":"urn:ietf:params:oauth:token-type:refresh_token""#,
            r#","token_type":"urn:ietf:params:oauth:token-type:id_token""#,
        ] {
            let expected = Err(AnswerError::Rejected(Rejection::NotAnAccessToken));
            assert_eq!(read(&answer(more)), expected, "{} {more}", profile.name);
        }
        for more in [
            "",
            r#","token_type":"Bearer""#,
            r#","token_type":"bearer","token_use":"access_token""#,
            r#","token_type":null"#,
            r#","token_type":"""#,
            r#","typ":"Bearer","nonce":"n""#,
            r#","token_type":"urn:ietf:params:oauth:token-type:access_token""#,
        ] {
            // There nothing but such marks tells an ID token that is answered active.
            if profile.name == "okta" && more.contains("nonce") {
                continue;
            }
            assert_eq!(read(&answer(more)), Ok(()), "{} {more}", profile.name);
        }
        for raw in ["1", "true", "[\"Bearer\"]", "{}"] {
            let members = answer(&format!(r#","token_type":{raw}"#));
            assert_eq!(read(&members), Err(AnswerError::Unreadable), "{} {raw}", profile.name);
        }
    }
    // Neither kind nor audience named: for nobody.
    let silent = r#"{"active":true,"client_id":"app","sub":"alice"}"#;
    assert_eq!(verdict_on_answer(silent), Err(AnswerError::Rejected(Rejection::WrongAudience)));
}

// H07: DPoP
#[test]
fn an_answer_that_hides_a_binding_can_not_be_confirmed() {
    let confirmation = |more: &str| answered(&answer(more)).unwrap().confirmation();
    let thumbprint = URL_SAFE_NO_PAD.encode([9; 32]);
    assert_eq!(confirmation(r#","token_type":"DPoP""#), Some(Confirmation::Unsupported));
    assert_eq!(confirmation(r#","token_type":"dpop""#), Some(Confirmation::Unsupported));
    assert_eq!(
        confirmation(&format!(r#","token_type":"DPoP","cnf":{{"jkt":"{thumbprint}"}}"#)),
        Some(Confirmation::JwkThumbprint([9; 32]))
    );
    assert_eq!(confirmation(r#","token_type":"Bearer""#), None);
    for raw in ["null", "[]", "\"x\"", "1"] {
        assert_eq!(
            answered(&answer(&format!(r#","cnf":{raw}"#))).err(),
            Some(AnswerError::Unreadable),
            "{raw}"
        );
    }
}

// A null text is nothing in an answer, and malformed in a token.
#[test]
fn null_is_nothing_in_an_answer_and_malformed_in_a_token() {
    for name in ["iss", "sub", "jti", "aud", "client_id", "scope"] {
        let members = format!(r#"{{"active":true,"{name}":null}}"#);
        let facts = answered(&members).unwrap();
        assert_eq!(&**facts.issuer(), ISSUER);
        assert_eq!((facts.subject(), facts.jwt_id(), facts.client_id()), (None, None, None));
        assert_eq!((facts.audience().count(), facts.scopes().count()), (0, 0));
        assert_eq!(facts.claim(name), None);
        assert_eq!(
            generic(&Claims::new().with(name, "null")).err(),
            Some(Rejection::MalformedClaims),
            "{name}"
        );
    }
    assert_eq!(answered(r#"{"active":true,"sub":""}"#).unwrap().subject(), None);
    for name in ["sub", "jti", "client_id", "scope"] {
        let members = format!(r#"{{"active":true,"{name}":7}}"#);
        assert_eq!(answered(&members).err(), Some(AnswerError::Unreadable), "{name}");
    }
}

// R07
#[test]
fn a_slim_token_and_its_rich_answer_are_judged_by_their_role() {
    let slim = generic(&Claims::new().without("aud").without("sub"));
    assert_eq!(slim.err(), Some(Rejection::WrongAudience));
    let (profile, head) = (TokenProfile::generic(), header(""));
    let payload = Claims::new().without("aud").without("sub").text();
    let text = crate::fixtures::sign(&head, payload.as_bytes());
    let access = crate::token::AccessToken::new(&text, 64 * 1024).unwrap();
    let slim = crate::jwt::UnverifiedJwt::parse(&access)
        .and_then(|jwt| jwt.check_signature(&crate::fixtures::key()))
        .and_then(|jwt| jwt.facts(&rules(&profile)))
        .unwrap();
    let rich = answered(&answer(r#","sub":"alice","roles":["admin"]"#)).unwrap();
    let demanding = ValidationPolicy::for_audience(AUDIENCE).require_claim("sub").build().unwrap();
    let now = WallTime::from_unix_seconds(NOW);
    assert_eq!(demanding.judge(&slim, now, Role::Corroborates), Ok(()));
    assert_eq!(demanding.judge(&rich, now, Role::Decides), Ok(()));
    assert!(demanding.judge(&slim, now, Role::Decides).is_err());
    assert_eq!(rich.roles().collect::<Vec<_>>(), ["admin"]);
}

// What the service gets.

fn token(facts: Arc<Facts>) -> VerifiedToken {
    let now = Now::new(WallTime::from_unix_seconds(NOW), crate::time::Instant::from_nanos(1));
    VerifiedToken::assertion(facts, None, Evidence::new(crate::evidence::Strategy::Jwks), now)
}

#[derive(Deserialize, Debug)]
struct Own {
    sub: String,
    tenant: Option<u64>,
}

#[test]
fn own_types_are_read_once_and_shared_by_clones() {
    let facts = Arc::new(generic(&Claims::new().with("tenant", "18446744073709551615")).unwrap());
    let first = token(facts.clone());
    let own = first.claims::<Own>().unwrap();
    assert_eq!((own.sub.as_str(), own.tenant), ("alice", Some(u64::MAX)));
    assert!(Arc::ptr_eq(&own, &first.claims::<Own>().unwrap()));
    assert!(Arc::ptr_eq(&own, &first.clone().claims::<Own>().unwrap()));
    // Another request with the same cached facts.
    assert!(Arc::ptr_eq(&own, &token(facts).claims::<Own>().unwrap()));
    // Another type has a place of its own.
    let map = first.claims::<std::collections::BTreeMap<String, serde_json::Value>>().unwrap();
    assert_eq!(map["exp"], EXP);
    assert!(Arc::ptr_eq(&own, &first.claims::<Own>().unwrap()));
}

#[test]
fn a_type_that_does_not_fit_is_an_error_without_claims_in_it() {
    #[derive(Deserialize, Debug)]
    struct Wrong {
        #[serde(rename = "sub")]
        _sub: u64,
    }
    let verified = token(Arc::new(generic(&Claims::new().with("sub", "\"canary\"")).unwrap()));
    let error = verified.claims::<Wrong>().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    assert!(std::error::Error::source(&error).is_none());
}

#[test]
fn more_types_than_are_kept_are_still_read() {
    macro_rules! types {
        ($verified:ident, $($name:ident)*) => {
            $(
                #[derive(Deserialize)]
                struct $name {
                    sub: String,
                }
                assert_eq!($verified.claims::<$name>().unwrap().sub, "alice");
            )*
        };
    }
    let verified = token(Arc::new(generic(&Claims::new()).unwrap()));
    types!(verified, A B C D E F G H I J);
    // The first ones are kept, and no more than that.
    assert!(Arc::ptr_eq(&verified.claims::<A>().unwrap(), &verified.claims::<A>().unwrap()));
    assert!(!Arc::ptr_eq(&verified.claims::<J>().unwrap(), &verified.claims::<J>().unwrap()));
}

#[test]
fn debug_shows_who_and_nothing_else() {
    let claims = Claims::new()
        .with("email", "\"canary@example\"")
        .with("scope", "\"canary-scope\"")
        .with("sid", "\"canary-sid\"")
        .with("ext", r#"{"canary":["canary"]}"#);
    let facts = Arc::new(generic(&claims).unwrap());
    let shown = format!("{facts:?} {:?} {:#?}", token(facts.clone()), facts.members());
    for part in [ISSUER, "alice", "app", "j-1"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!format!("{facts:?} {:?}", token(facts.clone())).contains("canary"), "{shown}");
    assert!(!format!("{facts:?}").contains(AUDIENCE) && !format!("{facts:?}").contains(&EXP.to_string()));
}

#[test]
fn lacking_a_scope_names_what_is_needed() {
    let verified = token(Arc::new(generic(&Claims::new()).unwrap()));
    assert!(verified.require_scopes(&[]).is_ok());
    assert!(verified.require_scopes(&["write", "read"]).is_ok());
    let error = verified.require_scopes(&["read", "admin"]).unwrap_err();
    assert_eq!(error.required().collect::<Vec<_>>(), ["read", "admin"]);
    assert!(error.challenge().to_string().contains(r#"scope="read admin""#));
    assert_eq!(VerifyError::from(error).status(), 403);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any number as a date: read inside the range, whole, and never to a longer life; else malformed.
    #[test]
    fn dates_are_rounded_to_a_shorter_life(seconds in any::<f64>()) {
        let exact = |name: &str| answered(&format!(r#"{{"{name}":{seconds:e}}}"#));
        let (Ok(exp), Ok(nbf)) = (exact("exp"), exact("nbf")) else {
            prop_assert!(!(0.0..253_402_300_799.0).contains(&seconds));
            return Ok(());
        };
        let (exp, nbf) = (exp.expires_at().unwrap(), nbf.not_before().unwrap());
        prop_assert!(exp as f64 <= seconds && seconds <= nbf as f64 && nbf - exp <= 1);
    }

    #[test]
    fn whole_dates_are_read_exactly(seconds in any::<u64>()) {
        match answered(&format!(r#"{{"exp":{seconds}}}"#)) {
            Ok(facts) => prop_assert_eq!(facts.expires_at(), i64::try_from(seconds).ok()),
            Err(error) => {
                prop_assert_eq!(error, AnswerError::Unreadable);
                prop_assert!(seconds > 253_402_300_799);
            }
        }
    }

    /// No answer whatever makes the reader panic, and a member of an answer is never read as another's.
    #[test]
    fn any_answer_is_read_or_refused(
        names in prop::collection::btree_set(
            prop::sample::select(vec!["iss", "sub", "aud", "exp", "nbf", "iat", "scope", "cnf", "token_type", "jti"]),
            0..8,
        ),
        raws in prop::collection::vec(
            prop::sample::select(vec!["null", "1", "\"x\"", "\"\"", "[\"x\"]", "{}", "true", "1e300", "-1", "[]"]),
            8,
        ),
    ) {
        let members: Vec<_> = names.iter().zip(&raws).map(|(name, raw)| format!("\"{name}\":{raw}")).collect();
        if let Ok(facts) = answered(&format!("{{{}}}", members.join(","))) {
            prop_assert_eq!(facts.subject().is_some(), members.contains(&"\"sub\":\"x\"".to_owned()));
            prop_assert_eq!(&**facts.issuer(), ISSUER);
        }
    }
}
