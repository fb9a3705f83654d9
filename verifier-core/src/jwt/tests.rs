#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::fixtures::{self, Claims, NOW, generic, header, key, policy, rules, sign, validate};
use crate::profile::TokenProfile;

fn good() -> String {
    sign(&header(r#""JWT""#), Claims::new().text().as_bytes())
}

fn verdict(token: &str) -> Result<Facts, Rejection> {
    validate(token, &rules(&TokenProfile::generic()), &policy()).map_err(|error| error.rejection())
}

fn checked(token: &str, key: &Arc<VerificationKey>) -> Option<Rejection> {
    let token = AccessToken::new(token, 64 * 1024).unwrap();
    UnverifiedJwt::parse(&token).and_then(|jwt| jwt.check_signature(key)).err()
}

#[test]
fn a_good_token_goes_the_whole_way() {
    let facts = verdict(&good()).unwrap();
    assert_eq!(&**facts.issuer(), fixtures::ISSUER);
    assert_eq!(facts.subject(), Some("alice"));
    assert_eq!(facts.kid(), Some("k"));
}

#[test]
fn what_is_no_jwt_gets_no_further() {
    for text in ["opaque", "a.b", "a.b.c.d", "ory_at_x.y"] {
        let token = AccessToken::new(text, 100).unwrap();
        assert_eq!(UnverifiedJwt::parse(&token).err(), Some(Rejection::NotAJwt), "{text}");
    }
}

#[test]
fn the_header_selects_only_what_is_allowed() {
    let text = good();
    let token = AccessToken::new(&text, 64 * 1024).unwrap();
    let jwt = UnverifiedJwt::parse(&token).unwrap();
    assert_eq!(jwt.algorithm(AlgorithmSet::of(&[Algorithm::Ed25519])), Ok(Algorithm::Ed25519));
    for allowed in [AlgorithmSet::new(), AlgorithmSet::of(&[Algorithm::Rs256, Algorithm::Hs256])] {
        assert_eq!(jwt.algorithm(allowed), Err(Rejection::AlgorithmNotAllowed));
    }
    // An algorithm that nobody knows is on no list, not even on one of all.
    let text = sign(r#"{"alg":"XX999"}"#, b"{}");
    let token = AccessToken::new(&text, 64 * 1024).unwrap();
    let all = AlgorithmSet::of(Algorithm::ALL);
    assert_eq!(UnverifiedJwt::parse(&token).unwrap().algorithm(all), Err(Rejection::AlgorithmNotAllowed));
}

#[test]
fn a_key_checks_its_own_algorithm_and_only_while_it_is_published() {
    assert_eq!(checked(&good(), &key()), None);
    for alg in ["RS256", "HS256", "ES256", "XX999"] {
        let token = sign(&format!(r#"{{"alg":"{alg}","kid":"k"}}"#), Claims::new().text().as_bytes());
        assert_eq!(checked(&token, &key()), Some(Rejection::KeyMismatch), "{alg}");
    }
    let withdrawn = key();
    withdrawn.withdraw();
    assert_eq!(checked(&good(), &withdrawn), Some(Rejection::UnknownKey));
}

#[test]
fn a_signature_covers_header_and_payload() {
    let token = good();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (head, payload) = input.split_once('.').unwrap();
    let other = sign(&header(""), Claims::new().with("sub", r#""mallory""#).text().as_bytes());
    let other: Vec<_> = other.split('.').collect();
    for forged in [
        format!("{}.{payload}.{signature}", other[0]),
        format!("{head}.{}.{signature}", other[1]),
        format!("{head}.{payload}.{}", other[2]),
        format!("{head}.{payload}.{}", "A".repeat(86)),
        format!("{head}.{payload}.AA"),
    ] {
        assert_eq!(checked(&forged, &key()), Some(Rejection::BadSignature), "{forged}");
    }
}

#[test]
fn a_payload_that_is_no_claims_set_is_malformed() {
    let depth = |n: usize| format!(r#"{{"iss":"x","a":{}{}}}"#, "[".repeat(n), "]".repeat(n));
    let wide = format!(r#"{{"aud":[{}"x"]}}"#, r#""x","#.repeat(3_000));
    for payload in [
        "[]",
        "null",
        "1",
        "\"x\"",
        "true",
        "[{}]",
        "{} ",
        "{}{}",
        "\u{feff}{}",
        "",
        "{",
        "{'a':1}",
        r#"{"exp":1,"exp":2}"#,
        r#"{"exp":1,"\u0065xp":2}"#,
        r#"{"cnf":{"jkt":"a","jkt":"b"}}"#,
        r#"{"a":[{"b":1,"b":1}]}"#,
        r#"{"sub":"\ud800"}"#,
        &depth(16),
        &depth(8_000),
        &wide,
    ] {
        let expected = match payload {
            // No payload at all is a matter of the gate.
            "" => Rejection::MalformedToken,
            // White space around an object is JSON all the same; this one merely says nothing.
            "{} " => Rejection::MissingClaim,
            _ => Rejection::MalformedClaims,
        };
        let token = sign(&header(""), payload.as_bytes());
        assert_eq!(verdict(&token).err(), Some(expected), "{:.60}", payload);
    }
    for bytes in [&b"{\"sub\":\"\xff\"}"[..], b"{\0\"\0a\0\"\0:\0\x31\0}\0", b"\xff\xfe{\0}\0"] {
        assert_eq!(verdict(&sign(&header(""), bytes)).err(), Some(Rejection::MalformedClaims));
    }
}

#[test]
fn only_what_is_expired_and_nothing_else_is_an_expired_token() {
    let expired = Claims::new().with("exp", (NOW - 1).to_string());
    let validated = |claims: &Claims| {
        validate(&sign(&header(""), claims.text().as_bytes()), &rules(&TokenProfile::generic()), &policy())
    };
    match validated(&expired) {
        Err(ValidationError::Expired(token)) => assert_eq!(token.expired_facts().subject(), Some("alice")),
        other => panic!("{other:?}"),
    }
    let cases = [
        (expired.clone().with("aud", r#""other""#), Rejection::WrongAudience),
        (expired.clone().with("iss", r#""https://other.example""#), Rejection::WrongIssuer),
        (expired.clone().with("nbf", (NOW + 60).to_string()), Rejection::NotYetValid),
        (expired.clone().with("at_hash", r#""x""#), Rejection::NotAnAccessToken),
        (expired.without("client_id").without("scope"), Rejection::NoAccessTokenMark),
    ];
    for (claims, expected) in cases {
        match validated(&claims) {
            Err(ValidationError::Rejected(rejection)) => assert_eq!(rejection, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_untrusted_issuer_is_a_text_or_nothing() {
    let peek = |payload: &str| {
        let text = sign(&header(""), payload.as_bytes());
        let token = AccessToken::new(&text, 64 * 1024).unwrap();
        UnverifiedJwt::parse(&token).unwrap().untrusted_issuer()
    };
    assert_eq!(peek(r#"{"iss":"https://a"}"#).as_deref(), Some("https://a"));
    for payload in [
        "{}",
        "[]",
        "nonsense",
        r#"{"iss":null}"#,
        r#"{"iss":["https://a"]}"#,
        r#"{"iss":1}"#,
        r#"{"iss":"https://a","iss":"https://b"}"#,
        r#"{"ext":{"iss":"https://a"}}"#,
    ] {
        assert_eq!(peek(payload), None, "{payload}");
    }
}

#[test]
fn debug_shows_no_token() {
    let text = good();
    let token = AccessToken::new(&text, 64 * 1024).unwrap();
    let jwt = UnverifiedJwt::parse(&token).unwrap();
    let authentic = jwt.check_signature(&key()).unwrap();
    let shown = format!("{jwt:?} {authentic:?}");
    assert!(text.split('.').all(|segment| !shown.contains(segment)), "{shown}");
    assert!(!shown.contains("alice"), "{shown}");
}

#[test]
fn a_token_by_another_key_is_refused() {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let token = good();
    let (input, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(pair.sign(input.as_bytes()).as_ref()));
    assert_eq!(checked(&forged, &key()), Some(Rejection::BadSignature));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// One changed character anywhere, to anything: never accepted, never a panic.
    #[test]
    fn no_changed_token_is_accepted(at in any::<prop::sample::Index>(), to in any::<char>()) {
        let token = good();
        let mut chars: Vec<char> = token.chars().collect();
        let at = at.index(chars.len());
        prop_assume!(chars[at] != to);
        chars[at] = to;
        let changed: String = chars.into_iter().collect();
        prop_assert!(verdict(&changed).is_err());
    }

    /// Any signed bytes whatever as payload: a verdict, never a panic; and an acceptance only of an object.
    #[test]
    fn any_payload_gets_a_verdict(payload in prop::collection::vec(any::<u8>(), 1..200)) {
        prop_assert!(verdict(&sign(&header(""), &payload)).is_err());
    }

    /// A claim of any kind under any registered name: a verdict, never a panic.
    #[test]
    fn any_value_of_a_claim_gets_a_verdict(
        name in prop::sample::select(vec![
            "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "client_id", "azp", "scope", "scp", "cnf", "typ",
            "roles",
        ]),
        raw in prop::sample::select(vec![
            "null", "true", "0", "-1", "1.5", "1e300", "18446744073709551615", "\"\"", "\"x\"", "[]", "[\"\"]", "[1]",
            "[[\"x\"]]", "{}", "{\"jkt\":1}", "{\"a\":{}}",
        ]),
    ) {
        let claims = Claims::new().with(name, raw);
        if let Ok(facts) = generic(&claims) {
            prop_assert_eq!(&**facts.issuer(), fixtures::ISSUER);
            prop_assert!(facts.expires_at().is_some_and(|exp| exp > NOW));
            prop_assert!(facts.audience().any(|one| one == fixtures::AUDIENCE));
        }
    }
}

#[test]
fn the_claims_of_another_kind_are_had_by_its_name_alone() {
    let claims = |header: &str, payload: &str, kind: &str| {
        let text = sign(header, payload.as_bytes());
        let token = AccessToken::new(&text, 64 * 1024).unwrap();
        let jwt = UnverifiedJwt::parse(&token).unwrap().check_signature(&key()).unwrap();
        jwt.claims_of_type(kind).map(|claims| claims.len())
    };
    let kind = "token-introspection+jwt";
    for typ in ["token-introspection+jwt", "application/token-introspection+jwt", "Token-Introspection+JWT"] {
        assert_eq!(claims(&header(&format!("{typ:?}")), r#"{"a":1,"b":2}"#, kind), Ok(2), "{typ}");
    }
    for typ in ["\"JWT\"", "\"at+jwt\"", "\"token-introspection\"", "\"\"", ""] {
        assert_eq!(claims(&header(typ), "{}", kind), Err(Rejection::WrongType), "{typ}");
    }
    let right = header(r#""token-introspection+jwt""#);
    for payload in ["[]", "", r#"{"a":1,"a":1}"#, "7"] {
        assert_eq!(
            claims(&right, &format!("{payload} "), kind),
            Err(Rejection::MalformedClaims),
            "{payload}"
        );
    }
    let replicated = r#"{"alg":"EdDSA","kid":"k","typ":"token-introspection+jwt","iss":"i"}"#;
    assert_eq!(claims(replicated, r#"{"iss":"i"}"#, kind), Ok(1));
    assert_eq!(claims(replicated, r#"{"iss":"j"}"#, kind), Err(Rejection::MalformedClaims));
    assert_eq!(claims(replicated, "{}", kind), Err(Rejection::MalformedClaims));
}
