use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::shape::is_canonical;
use super::*;
use crate::algorithm::Algorithm;

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn shape(text: &str) -> Result<Shape, Rejection> {
    AccessToken::new(text, DEFAULT_MAX_TOKEN_LEN)?.shape().cloned()
}

/// A header whose base64url has both `-` and `_`, two unused bits, and the rest of a good token.
const HEADER: &[u8] = br#"{"alg":"RS256","x":"~~~???>>>"}"#;

fn jwt(header: &[u8]) -> String {
    format!("{}.{}.{}", b64(header), b64(b"{\"sub\":\"x\"}"), b64(b"signature"))
}

#[test]
fn size_is_judged_before_anything_else() {
    assert_eq!(AccessToken::new("", 10).err(), Some(Rejection::MalformedToken));
    assert!(AccessToken::new("0123456789", 10).is_ok());
    assert_eq!(AccessToken::new("0123456789a", 10).err(), Some(Rejection::TokenTooLarge));
    assert_eq!(AccessToken::new(&"é".repeat(10), 10).err(), Some(Rejection::TokenTooLarge));
    let huge = "a".repeat(MAX_TOKEN_LEN + 1);
    assert_eq!(AccessToken::new(&huge, usize::MAX).err(), Some(Rejection::TokenTooLarge));
    assert!(AccessToken::new(&huge[1..], usize::MAX).is_ok());
}

#[test]
fn what_is_no_b64token_is_malformed() {
    for text in [
        "=",
        "===",
        "a b",
        "a\n",
        "\ta",
        "a\0",
        "a=b",
        "a?b",
        "a,b",
        "{\"a\":\"b\"}",
        "é",
        "a=.b",
        "a.b=.c",
        "\u{a0}a",
        "a%2e",
    ] {
        assert_eq!(shape(text), Err(Rejection::MalformedToken), "{text:?}");
    }
    for text in [
        "a",
        "abc==",
        "a-._~+/9",
        "....",
        "2YotnFZFEjr1zCsicMWpAA",
        "ory_at_x.y",
        "v4.local.AAAA",
        "v4.public.AAAA",
    ] {
        assert_eq!(shape(text), Ok(Shape::Opaque), "{text:?}");
    }
}

#[test]
fn the_parts_of_a_jwt() {
    let text = jwt(HEADER);
    let token = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN).unwrap();
    let Shape::Jwt(jwt) = token.shape().unwrap() else { panic!("no JWT") };
    assert_eq!(jwt.header().algorithm(), Some(Algorithm::Rs256));
    assert_eq!(jwt.payload_segment(&token), b64(b"{\"sub\":\"x\"}"));
    assert_eq!(jwt.signing_input(&token), text.rsplit_once('.').unwrap().0.as_bytes());
    assert_eq!(jwt.signature(), b"signature");
}

#[test]
fn any_respelling_of_a_jwt_is_refused() {
    let good = jwt(HEADER);
    assert!(matches!(shape(&good), Ok(Shape::Jwt(_))));
    let segments: Vec<&str> = good.split('.').collect();
    assert!(segments[0].contains(['-', '_']) && segments[0].len() % 4 == 2);

    let mut respelled = vec![
        good.replace('-', "+").replace('_', "/"),
        format!("{good}="),
        format!("{good}=="),
        format!("{}.{}+.{}", segments[0], segments[1], segments[2]),
        format!("{}.{}A.{}", segments[0], b64(b"123"), segments[2]),
        format!("{}.{}.{}/", segments[0], segments[1], b64(b"123456")),
    ];
    // Unused bits in each segment: the last character of one byte is one of A Q g w.
    for (place, canonical) in [HEADER, b"a", b"a"].into_iter().enumerate() {
        let mut parts = [b64(HEADER), b64(b"a"), b64(b"a")];
        assert!(matches!(shape(&parts.join(".")), Ok(Shape::Jwt(_))));
        parts[place] = b64(canonical);
        let last = parts[place].pop().unwrap();
        parts[place].push(char::from(u8::try_from(last).unwrap() + 1));
        respelled.push(parts.join("."));
    }
    for text in respelled {
        assert_ne!(text, good);
        assert_eq!(shape(&text), Err(Rejection::NotCanonical), "{text}");
    }
}

#[test]
fn a_jwt_with_an_evil_header_is_refused_and_never_opaque() {
    let deep = format!("{{\"alg\":\"RS256\",\"x\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for (header, expected) in [
        (&b"{}"[..], Rejection::MalformedHeader),
        (b" {\"alg\":\"RS256\",\"alg\":\"RS256\"} ", Rejection::MalformedHeader),
        (b"\xef\xbb\xbf{\"alg\":\"RS256\"}", Rejection::MalformedHeader),
        (b"{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", Rejection::MalformedHeader),
        (b"{\"alg\":\"nOnE\"}", Rejection::AlgorithmNotAllowed),
        (deep.as_bytes(), Rejection::MalformedHeader),
    ] {
        assert_eq!(shape(&jwt(header)), Err(expected), "{}", String::from_utf8_lossy(header));
    }
    // Some servers answer 400 to this one, `{}` in all three segments.
    assert_eq!(shape("e30.e30.e30"), Err(Rejection::MalformedHeader));
    let none = format!("{}.{}.", b64(b"{\"alg\":\"none\"}"), b64(b"{}"));
    assert_eq!(shape(&none), Err(Rejection::AlgorithmNotAllowed));
}

#[test]
fn a_jwt_without_payload_or_signature_is_refused() {
    let header = b64(HEADER);
    for text in [format!("{header}..{header}"), format!("{header}.{header}."), format!("{header}..")] {
        assert_eq!(shape(&text), Err(Rejection::MalformedToken), "{text}");
    }
}

#[test]
fn three_segments_without_a_header_are_opaque() {
    for header in [&b"[]"[..], b"null", b"\"alg\"", b"{", b"{x}", b"random", b"", b"{}x", b"\xff\xfe{\0}\0"] {
        assert_eq!(shape(&jwt(header)), Ok(Shape::Opaque), "{header:?}");
    }
    for text in ["..", "a.b.c", "a.b", "a.b.c.d", "a.b.c.d.e.f"] {
        assert_eq!(shape(text), Ok(Shape::Opaque), "{text}");
    }
    let header = b64(HEADER);
    for count in [1, 2, 4, 6] {
        assert_eq!(shape(&vec![header.as_str(); count].join(".")), Ok(Shape::Opaque), "{count}");
    }
}

#[test]
fn encrypted_tokens_are_refused() {
    let header = b64(br#"{"alg":"dir","enc":"A128GCM"}"#);
    assert_eq!(shape(&format!("{header}..AA.AA.AA")), Err(Rejection::EncryptedToken));
    assert_eq!(shape("YWJj..AA.AA.AA"), Ok(Shape::Opaque));
    let dots = ".".repeat(DEFAULT_MAX_TOKEN_LEN);
    assert_eq!(shape(&dots), Ok(Shape::Opaque));
}

#[test]
fn digests_tell_tokens_and_parts_apart() {
    let digest = |text: &str| AccessToken::new(text, 100).unwrap().digest();
    assert_eq!(digest("abc"), digest("abc"));
    assert_ne!(digest("abc"), digest("abd"));
    assert_ne!(digest("abc"), digest("abc="));
    assert_eq!(Digest::of_parts(&[b"ab", b"c"]), Digest::of_parts(&[b"ab", b"c"]));
    assert_ne!(Digest::of_parts(&[b"ab", b"c"]), Digest::of_parts(&[b"a", b"bc"]));
    assert_ne!(Digest::of_parts(&[b"abc"]), Digest::of_parts(&[b"abc", b""]));
    assert_ne!(Digest::of_parts(&[b"abc"]), digest("abc"));
    assert_ne!(Digest::of_parts(&[]), Digest::of_parts(&[b""]));
    // Not even a token that spells length and part has the digest of the part.
    assert_ne!(Digest::of_parts(&[b"abc"]), Digest::of_token("\u{3}\0\0\0\0\0\0\0abc"));
}

#[test]
fn no_debug_shows_a_token() {
    let text = jwt(br#"{"alg":"RS256","kid":"canary"}"#);
    let token = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN).unwrap();
    let owned = token.to_owned_token();
    assert_eq!(owned.borrow().as_str(), text);
    assert_eq!(owned.borrow().digest(), token.digest());
    assert_eq!(owned.digest(), token.digest());
    assert!(owned.borrow().shape().is_ok());
    assert_eq!(format!("{token:?} {owned:?}"), "AccessToken([redacted]) OwnedToken([redacted])");
    let shown = format!("{:?} {:?}", token.shape().unwrap(), token.digest());
    assert!(!shown.contains("canary") && shown.ends_with("Digest(..)"), "{shown}");
}

proptest! {
    #[test]
    fn canonical_is_what_the_strict_decoder_takes_and_gives_back(text in "[A-Za-z0-9_+/=~-]{0,12}") {
        let decoded = URL_SAFE_NO_PAD.decode(&text);
        prop_assert_eq!(is_canonical(&text), decoded.is_ok());
        if let Ok(bytes) = decoded {
            prop_assert_eq!(URL_SAFE_NO_PAD.encode(bytes), text);
        }
    }

    #[test]
    fn shape_never_panics(text in any::<String>()) {
        let _ = shape(&text);
    }

    #[test]
    fn shape_never_panics_near_a_jwt(
        header in r#"\{("alg":"(RS256|none|x)")?[ ,:"a-z\[\]{}\\]{0,12}\}?"#,
        rest in "[A-Za-z0-9._=+/-]{0,24}",
    ) {
        let text = format!("{}.{rest}", b64(header.as_bytes()));
        if let Ok(Shape::Jwt(jwt)) = shape(&text) {
            let token = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN).unwrap();
            // Nothing is lost or added: the parts spell the token again, and only that token.
            let input = std::str::from_utf8(jwt.signing_input(&token)).unwrap();
            prop_assert_eq!(format!("{input}.{}", b64(jwt.signature())), text.clone());
            prop_assert!(input.ends_with(jwt.payload_segment(&token)));
        }
    }

    /// Change any one character of a JWT's text to another: never an equal token in another spelling.
    #[test]
    fn one_token_has_one_spelling(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_+/-]") {
        let good = jwt(HEADER);
        let at = at.index(good.len());
        let mut changed = good.clone();
        changed.replace_range(at..=at, &with);
        prop_assume!(changed != good);
        if let Ok(Shape::Jwt(jwt)) = shape(&changed) {
            let parts: Vec<_> = changed.split('.').map(|s| URL_SAFE_NO_PAD.decode(s).unwrap()).collect();
            let original: Vec<_> = good.split('.').map(|s| URL_SAFE_NO_PAD.decode(s).unwrap()).collect();
            prop_assert_ne!(&parts, &original);
            prop_assert_eq!(jwt.signature(), &*parts[2]);
        }
    }
}
