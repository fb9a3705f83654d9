use std::time::Duration;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use verifier_testkit::forge::catalogue;
use verifier_testkit::{Algorithm, SigningKey, TokenForge};

use super::*;

const NOW: i64 = 1_800_000_000;
const HEADER: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"k1"}"#;

fn claims() -> String {
    format!(
        r#"{{"iss":"https://idp.example","sub":"alice","aud":"api","client_id":"app","iat":{},"exp":{}}}"#,
        NOW - 60,
        NOW + 240
    )
}

fn token(header: &str, claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", encode(header), encode(claims), encode("signature"))
}

fn findings(token: &str) -> Vec<String> {
    let parts = Parts::of(token).unwrap();
    findings::of(token, &parts, WallTime::from_unix_seconds(NOW))
}

#[track_caller]
fn assert_finds(token: &str, expected: &str) {
    let found = findings(token);
    assert!(found.iter().any(|finding| finding.contains(expected)), "{expected:?} is not in {found:#?}");
}

#[test]
fn a_good_token_has_nothing_wrong() {
    assert_eq!(findings(&token(HEADER, &claims())), Vec::<String>::new());
}

#[test]
fn what_is_wrong_in_the_header_is_said() {
    for (header, expected) in [
        (r#"{"alg":"none","typ":"at+jwt","kid":"k"}"#, "alg none"),
        (r#"{"alg":"nOnE ","typ":"at+jwt","kid":"k"}"#, "alg none"),
        (r#"{"alg":"HS256","typ":"at+jwt","kid":"k"}"#, "whoever can check it can make it"),
        (r#"{"alg":"ES999","typ":"at+jwt","kid":"k"}"#, "ES999 is not known"),
        (r#"{"alg":1,"typ":"at+jwt","kid":"k"}"#, "alg is not a string"),
        (r#"{"typ":"at+jwt","kid":"k"}"#, "alg is missing"),
        (r#"{"alg":"ES256","typ":"at+jwt"}"#, "no kid"),
        (r#"{"alg":"ES256","kid":"k"}"#, "typ is missing"),
        (r#"{"alg":"ES256","kid":"k","typ":"JWT"}"#, "typ JWT"),
        (r#"{"alg":"ES256","kid":"k","typ":"logout+jwt"}"#, "typ logout+jwt"),
        (r#"{"alg":"ES256","alg":"none","kid":"k"}"#, "duplicate members in the header"),
        (r#"{"alg":"ES256","kid":"k","crit":["x"]}"#, "crit is not supported"),
        (r#"{"alg":"ES256","kid":"k","jku":"https://x"}"#, "jku brings a key along"),
    ] {
        assert_finds(&token(header, &claims()), expected);
    }
}

#[test]
fn what_is_wrong_in_the_claims_is_said() {
    let with = |name: &str, raw: &str| {
        let forge = TokenForge::new(HEADER, claims()).claim_as(name, raw);
        forge.with_signature(b"signature")
    };
    assert_finds(&with("exp", &(NOW - 120).to_string()), "expired 2m ago");
    assert_finds(&with("exp", &NOW.to_string()), "expired 0 ms ago");
    assert_finds(&with("exp", "\"9999999999\""), "exp is not a number");
    assert_finds(&with("nbf", &(NOW + 10).to_string()), "not valid before 2027-01-15T08:00:10Z");
    assert_finds(&with("iat", &(NOW + 100).to_string()), "iat lies in the future");
    assert_finds(&with("exp", &(NOW + 86_400).to_string()), "lives for 1day 1m");
    assert_finds(&with("aud", "[]"), "aud is not a list of strings");
    assert_finds(&with("sub", "1"), "sub has the wrong type");
    assert_finds(&with("cnf", "{}"), "cnf: bound");
    let without =
        |name: &str| TokenForge::new(HEADER, claims()).without_claim(name).with_signature(b"signature");
    assert_finds(&without("aud"), "aud is missing");
    assert_finds(&without("iss"), "iss is missing");
    assert_finds(&without("exp"), "exp is missing");
    assert_finds(
        &token(HEADER, &format!(r#"{},"exp":1}}"#, claims().trim_end_matches('}'))),
        "duplicate members",
    );
    assert_finds(&token(HEADER, "[1]"), "not a JSON object");
    let generic = r#"{"alg":"ES256","kid":"k"}"#;
    assert_finds(&token(generic, r#"{"nonce":"n"}"#), "mark of an ID token");
    assert_finds(&token(generic, r#"{"typ":"Refresh"}"#), "claim typ says Refresh");
    assert_finds(&token(generic, r#"{"aud":["app"],"azp":"app"}"#), "only audience is the client");
}

#[test]
fn every_other_spelling_is_noticed() {
    let key = SigningKey::generate(Algorithm::ES256);
    let good = TokenForge::new(HEADER, claims()).for_key(&key);
    for forged in catalogue::spellings(&good, &key) {
        // What can't be read at all is said elsewhere.
        let Ok(parts) = Parts::of(&forged.token) else { continue };
        let found = findings::of(&forged.token, &parts, WallTime::from_unix_seconds(NOW));
        assert!(!found.is_empty(), "{}", forged.name);
    }
}

#[test]
fn hostile_tokens_are_shown_without_harm() {
    let key = SigningKey::generate(Algorithm::ES256);
    let good = TokenForge::new(HEADER, claims()).for_key(&key);
    let mut tokens = vec![
        token(r#"{"alg":"ES256","kid":"\u001b[2J\u009b\u202e"}"#, "{\"sub\":\"\u{9b}2J\u{202e}\"}"),
        token("{\"alg\":\"\u{1b}]0;x\u{7}\"}", "\u{1b}[31mno JSON\u{9b}"),
        token(r#"{"alg":"ES256","typ":"\u001b[2J","alg":1}"#, r#"{"typ":"\u001b[2J","token_use":"\u009b"}"#),
    ];
    for list in [
        catalogue::unsigned(&good, &key),
        catalogue::algorithm_misnamed(&good, &key),
        catalogue::odd_kids(&good, &key),
        catalogue::critical(&good, &key),
        catalogue::duplicate_members(&good, &key),
        catalogue::not_an_object(&good, &key),
        catalogue::odd_dates(&good, &key),
        catalogue::shapes(&good, &key),
    ] {
        tokens.extend(list.into_iter().map(|forged| forged.token));
    }
    for token in tokens {
        let Ok(parts) = Parts::of(&token) else { continue };
        let mut out = Vec::new();
        let now = WallTime::from_unix_seconds(NOW);
        parts.write(now, &mut out).unwrap();
        write_findings(&findings::of(&token, &parts, now), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("UNVERIFIED"));
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
    }
}

#[test]
fn what_is_no_jwt_is_said() {
    let why = |token: &str| Parts::of(token).err().unwrap_or_default();
    assert!(why("opaque").contains("opaque"));
    assert!(why("a.b.c").contains("header is not"));
    assert!(why(&catalogue::jwe_shaped()).contains("encrypted"));
    assert!(why(&"a.".repeat(10_000)).contains("three parts"));
}

#[test]
fn times_are_told_from_now() {
    let now = WallTime::from_unix_seconds(NOW);
    assert_eq!(relative(NOW + 240, now), "in 4m");
    assert_eq!(relative(NOW - 60, now), "1m ago");
    assert_eq!(relative(i64::MAX, now).split(' ').next(), Some("in"));
    assert_eq!(spoken(Duration::ZERO), "0 ms");
}
