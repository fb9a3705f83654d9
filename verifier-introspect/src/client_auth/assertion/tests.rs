use http::Uri;
use proptest::prelude::*;
use verifier_core::json::{Json, JsonLimits, Number, Object};
use verifier_core::signature::{AwsLc, KeyMaterial, SignatureBackend};
use verifier_core::time::WallTime;

use super::*;

const SECRET: &str = "a secret of the client's, 32 bytes or more, with \u{e9}";
/// RFC 8037 appendix A.1, with an id.
const OKP: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"jwk-kid","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn parts(signing: &Signing, client_id: &str, text: &str) -> (Object, Object, String, Vec<u8>) {
    let endpoint = Uri::from_static("https://idp.example:8443/introspect?tenant=1");
    let aim = Aim {
        issuer: "https://idp.example",
        endpoint: &endpoint,
        now: WallTime::from_unix_seconds(1_700_000_000),
    };
    let jwt = signing.assertion(client_id, &Secret::new(text), &aim).unwrap();
    let segments: Vec<&str> = jwt.expose().split('.').collect();
    let [header, claims, signature] = segments.as_slice() else { panic!("three segments") };
    let object =
        |segment: &str| Object::parse(&URL_SAFE_NO_PAD.decode(segment).unwrap(), JsonLimits::CLAIMS).unwrap();
    let signed = format!("{header}.{claims}");
    (object(header), object(claims), signed, URL_SAFE_NO_PAD.decode(signature).unwrap())
}

fn text<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    object.get(name).and_then(Json::as_str)
}

fn number(object: &Object, name: &str) -> Option<u64> {
    match object.get(name) {
        Some(Json::Number(Number::Unsigned(number))) => Some(*number),
        _ => None,
    }
}

#[test]
fn it_says_what_rfc_7523_demands() {
    let signing = Signing::new(Signing::SECRET, Assertion::default()).unwrap();
    let (header, claims, signed, signature) = parts(&signing, "me", SECRET);
    assert_eq!((text(&header, "alg"), text(&header, "typ")), (Some("HS256"), Some("JWT")));
    assert_eq!(header.get("kid"), None);
    assert_eq!((text(&claims, "iss"), text(&claims, "sub")), (Some("me"), Some("me")));
    assert_eq!(text(&claims, "aud"), Some("https://idp.example"), "one text, no list");
    assert_eq!(number(&claims, "iat"), Some(1_700_000_000));
    assert_eq!(number(&claims, "exp"), Some(1_700_000_060));
    let key = AwsLc.prepare(&KeyMaterial::Secret(SECRET.as_bytes()), Algorithm::Hs256).unwrap();
    assert!(key.check(signed.as_bytes(), &signature));
    let (_, again, ..) = parts(&signing, "me", SECRET);
    let jti = text(&claims, "jti").unwrap();
    assert!(jti.len() >= 22 && Some(jti) != text(&again, "jti"), "a fresh one each time");
}

#[test]
fn audience_algorithm_and_key_id_are_as_configured() {
    let with = |assertion: Assertion, method, key: &str| {
        let (header, claims, ..) = parts(&Signing::new(method, assertion).unwrap(), "me", key);
        let member = |object: &Object, name| text(object, name).map(str::to_owned);
        (member(&header, "alg").unwrap(), member(&header, "kid"), member(&claims, "aud").unwrap())
    };
    let own = Assertion::default;
    let (alg, kid, _) = with(own(), Signing::PRIVATE_KEY, OKP);
    assert_eq!((alg.as_str(), kid.as_deref()), ("EdDSA", Some("jwk-kid")));
    let (alg, kid, aud) = with(
        own().with_algorithm("Ed25519").with_key_id("mine").with_audience(AssertionAudience::Endpoint),
        Signing::PRIVATE_KEY,
        OKP,
    );
    assert_eq!((alg.as_str(), kid.as_deref()), ("Ed25519", Some("mine")));
    assert_eq!(aud, "https://idp.example:8443/introspect?tenant=1");
    let text = AssertionAudience::Text("urn:x".into());
    let assertion = own().with_algorithm("HS384").with_audience(text);
    let (alg, _, aud) = with(assertion, Signing::SECRET, SECRET);
    assert_eq!((alg.as_str(), aud.as_str()), ("HS384", "urn:x"));
}

#[test]
fn what_cannot_go_together_is_refused() {
    let refused = |method, name: &str| Signing::new(method, Assertion::default().with_algorithm(name)).err();
    for name in ["none", "hs256", "RS1", ""] {
        assert_eq!(refused(Signing::SECRET, name), Some(SecretError::UnknownAlgorithm { name: name.into() }));
    }
    for (method, name) in [(Signing::SECRET, "RS256"), (Signing::PRIVATE_KEY, "HS256")] {
        let name = name.to_owned();
        assert_eq!(refused(method, &name), Some(SecretError::WrongKindOfAlgorithm { name, method }));
    }
    let signing = Signing::new(Signing::SECRET, Assertion::default()).unwrap();
    assert!(matches!(
        signing.key(&Secret::new("short")).err(),
        Some(SigningError::SecretTooShort { least: 32, len: 5, .. })
    ));
    let rs = Signing::new(Signing::PRIVATE_KEY, Assertion::default().with_algorithm("RS256")).unwrap();
    assert!(matches!(rs.key(&Secret::new(OKP)).err(), Some(SigningError::AlgorithmMismatch { .. })));
}

#[test]
fn debug_shows_no_key() {
    let signing = Signing::new(Signing::SECRET, Assertion::default()).unwrap();
    parts(&signing, "me", SECRET);
    assert!(!format!("{signing:?}").contains("secret of the client"), "{signing:?}");
}

proptest! {
    /// Whatever the client is called, it comes out as it went in.
    #[test]
    fn no_client_id_can_add_a_claim(client_id in any::<String>()) {
        let signing = Signing::new(Signing::SECRET, Assertion::default()).unwrap();
        let (_, claims, ..) = parts(&signing, &client_id, SECRET);
        prop_assert_eq!(text(&claims, "iss"), Some(client_id.as_str()));
        prop_assert_eq!(text(&claims, "sub"), Some(client_id.as_str()));
        prop_assert_eq!(text(&claims, "aud"), Some("https://idp.example"));
    }
}
