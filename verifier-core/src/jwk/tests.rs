use proptest::prelude::*;

use super::*;
use crate::json::JsonLimits;
use crate::signature::AwsLc;

/// RFC 7638 §3.1.
const RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
/// RFC 7515 appendix A.3.
const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
/// RFC 8037 appendix A.2.
const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn rules() -> KeyRules {
    KeyRules::new(AlgorithmSet::of(&[
        Algorithm::Rs256,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Ed25519,
    ]))
}

fn read(jwk: &str, rules: &KeyRules) -> Result<VerificationKey, SkipReason> {
    import(&Object::parse_marking(jwk.as_bytes(), JsonLimits::DOCUMENT).unwrap(), rules, &AwsLc)
}

fn rsa(more: &str) -> Result<VerificationKey, SkipReason> {
    read(&format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":"AQAB"{more}}}"#), &rules())
}

fn ec(more: &str) -> Result<VerificationKey, SkipReason> {
    read(&format!(r#"{{"kty":"EC","crv":"P-256","x":"{EC_X}","y":"{EC_Y}"{more}}}"#), &rules())
}

fn ed(x: &[u8]) -> Result<VerificationKey, SkipReason> {
    read(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(x)), &rules())
}

fn rsa_numbers(n: &[u8], e: &[u8]) -> Result<VerificationKey, SkipReason> {
    let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
    read(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#), &rules())
}

fn thumbprint(key: &VerificationKey) -> String {
    URL_SAFE_NO_PAD.encode(key.identity().thumbprint())
}

#[test]
fn thumbprints_of_the_standards() {
    assert_eq!(thumbprint(&rsa("").unwrap()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let ed = ed(&URL_SAFE_NO_PAD.decode(ED_X).unwrap()).unwrap();
    assert_eq!(thumbprint(&ed), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn algorithm_comes_from_the_key_or_the_allow_list() {
    assert_eq!(rsa("").unwrap().algorithm(), Algorithm::Rs256);
    assert_eq!(rsa(r#","alg":"RS256""#).unwrap().algorithm(), Algorithm::Rs256);
    assert_eq!(ec("").unwrap().algorithm(), Algorithm::Es256);
    assert_eq!(rsa(r#","alg":"PS256""#).unwrap_err(), SkipReason::AlgorithmNotAllowed);
    for alg in ["RSA-OAEP", "rs256", "none", ""] {
        assert_eq!(rsa(&format!(r#","alg":"{alg}""#)).unwrap_err(), SkipReason::AlgorithmNotAllowed, "{alg}");
    }
    for alg in ["ES256", "HS256", "Ed25519"] {
        assert_eq!(rsa(&format!(r#","alg":"{alg}""#)).unwrap_err(), SkipReason::AlgorithmMismatch, "{alg}");
    }
    assert_eq!(ec(r#","alg":"ES384""#).unwrap_err(), SkipReason::AlgorithmMismatch);
    for alg in ["null", "7", "[\"RS256\"]"] {
        assert_eq!(rsa(&format!(r#","alg":{alg}"#)).unwrap_err(), SkipReason::MalformedMember, "{alg}");
    }
    for alg in ["EdDSA", "Ed25519"] {
        let key = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED_X}","alg":"{alg}"}}"#);
        assert_eq!(read(&key, &rules()).unwrap().algorithm(), Algorithm::Ed25519);
    }
}

#[test]
fn a_key_that_fits_several_algorithms_is_ambiguous() {
    let jwk = format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":"AQAB"}}"#);
    let mut rules = KeyRules::new(AlgorithmSet::of(&[Algorithm::Rs256, Algorithm::Ps256]));
    assert_eq!(read(&jwk, &rules).unwrap_err(), SkipReason::AlgorithmAmbiguous);
    rules.algorithm_when_absent = Some(Algorithm::Ps256);
    assert_eq!(read(&jwk, &rules).unwrap().algorithm(), Algorithm::Ps256);
    // What isn't allowed doesn't become so by being the choice.
    rules.algorithm_when_absent = Some(Algorithm::Rs512);
    assert_eq!(read(&jwk, &rules).unwrap_err(), SkipReason::AlgorithmAmbiguous);
    rules.algorithms = AlgorithmSet::of(&[Algorithm::Es256]);
    assert_eq!(read(&jwk, &rules).unwrap_err(), SkipReason::AlgorithmNotAllowed);
    rules.algorithms = AlgorithmSet::new();
    assert_eq!(read(&jwk, &rules).unwrap_err(), SkipReason::AlgorithmNotAllowed);
}

#[test]
fn a_key_reserved_for_something_else_is_skipped() {
    for good in [r#","use":"sig""#, r#","key_ops":["verify"]"#, r#","use":"sig","key_ops":["sign","verify"]"#]
    {
        assert!(rsa(good).is_ok(), "{good}");
    }
    for (members, reason) in [
        (r#","use":"enc""#, SkipReason::NotForVerification),
        (r#","use":"SIG""#, SkipReason::NotForVerification),
        (r#","use":"""#, SkipReason::NotForVerification),
        (r#","use":null"#, SkipReason::MalformedMember),
        (r#","key_ops":[]"#, SkipReason::NotForVerification),
        (r#","key_ops":["sign","wrapKey"]"#, SkipReason::NotForVerification),
        (r#","key_ops":["verify","verify"]"#, SkipReason::MalformedMember),
        (r#","key_ops":["verify",1]"#, SkipReason::MalformedMember),
        (r#","key_ops":"verify""#, SkipReason::MalformedMember),
        (r#","use":"enc","key_ops":["verify"]"#, SkipReason::NotForVerification),
    ] {
        assert_eq!(rsa(members).unwrap_err(), reason, "{members}");
    }
}

#[test]
fn published_private_parts_are_an_alarm() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for value in ["\"AQAB\"", "null", "[]"] {
            for more in ["", r#","use":"enc""#] {
                let member = format!(r#","{name}":{value}{more}"#);
                assert_eq!(rsa(&member).unwrap_err(), SkipReason::PrivateMembers, "{member}");
                assert_eq!(ec(&member).unwrap_err(), SkipReason::PrivateMembers, "{member}");
            }
        }
    }
    assert!(SkipReason::PrivateMembers.is_alarming() && SkipReason::SymmetricKey.is_alarming());
    assert!(!SkipReason::KeyTooSmall.is_alarming());
}

#[test]
fn secrets_are_taken_only_where_asked_for() {
    let with = |len: usize, alg: &str, allow_symmetric| {
        let rules = KeyRules {
            allow_symmetric,
            ..KeyRules::new(AlgorithmSet::of(&[Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512]))
        };
        let k = URL_SAFE_NO_PAD.encode(vec![7; len]);
        read(&format!(r#"{{"kty":"oct","k":"{k}","alg":"{alg}"}}"#), &rules).map(|key| key.algorithm())
    };
    assert_eq!(with(32, "HS256", false), Err(SkipReason::SymmetricKey));
    for (alg, least) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        assert_eq!(with(least, alg, true), Ok(alg.parse().unwrap()));
        assert_eq!(with(least - 1, alg, true), Err(SkipReason::KeyTooSmall));
        assert_eq!(with(0, alg, true), Err(SkipReason::KeyTooSmall));
    }
    assert_eq!(with(32, "A256GCM", true), Err(SkipReason::AlgorithmNotAllowed));
}

#[test]
fn types_and_members() {
    for (jwk, reason) in [
        ("{}", SkipReason::MissingMember),
        (r#"{"kty":null}"#, SkipReason::MalformedMember),
        (r#"{"kty":"rsa"}"#, SkipReason::UnknownKeyType),
        (r#"{"kty":"AKP"}"#, SkipReason::UnknownKeyType),
        (r#"{"kty":"EC"}"#, SkipReason::MissingMember),
        (r#"{"kty":"EC","crv":"secp256k1"}"#, SkipReason::UnknownKeyType),
        (r#"{"kty":"EC","crv":"P-256"}"#, SkipReason::MissingMember),
        (r#"{"kty":"OKP","crv":"X25519"}"#, SkipReason::UnknownKeyType),
        (r#"{"kty":"OKP","crv":"Ed448"}"#, SkipReason::UnknownKeyType),
        (r#"{"kty":"RSA","n":"AQAB"}"#, SkipReason::MissingMember),
        (r#"{"kty":"RSA","n":7,"e":"AQAB"}"#, SkipReason::MalformedMember),
        (r#"{"kty":"RSA","n":"","e":"AQAB"}"#, SkipReason::MalformedMember),
        (r#"{"kty":"RSA","kty":"EC"}"#, SkipReason::DuplicateMember),
        (r#"{"kty":"RSA","x":{"a":1,"a":2}}"#, SkipReason::DuplicateMember),
    ] {
        assert_eq!(read(jwk, &rules()).unwrap_err(), reason, "{jwk}");
    }
    let padded = format!(r#"{{"kty":"RSA","n":"{RSA_N}==","e":"AQAB"}}"#);
    assert_eq!(read(&padded, &rules()).unwrap_err(), SkipReason::MalformedMember);
    assert_eq!(rsa(r#","kid":7"#).unwrap_err(), SkipReason::MalformedMember);
    assert_eq!(rsa(r#","kid":"""#).unwrap().kid(), None);
    assert_eq!(rsa(r#","kid":"k""#).unwrap().kid(), Some("k"));
    let long = format!(r#","kid":"{}""#, "k".repeat(MAX_KID_LEN + 1));
    assert_eq!(rsa(&long).unwrap_err(), SkipReason::MalformedMember);
    // Certificates are not looked at, whatever they say.
    assert!(rsa(r#","x5c":["junk"],"x5t":7,"x5u":"http://evil""#).is_ok());
}

#[test]
fn rsa_sizes() {
    let modulus = |bits: usize| {
        let mut n = vec![0xff; bits.div_ceil(8)];
        if !bits.is_multiple_of(8) {
            n[0] = (1 << (bits % 8)) - 1;
        }
        n
    };
    let e = [1, 0, 1];
    for bits in [2048, 2049, 3072, 4096] {
        assert!(rsa_numbers(&modulus(bits), &e).is_ok(), "{bits}");
    }
    for bits in [8, 512, 1024, 2047] {
        assert_eq!(rsa_numbers(&modulus(bits), &e).unwrap_err(), SkipReason::KeyTooSmall, "{bits}");
    }
    for bits in [4097, 8192, 16384] {
        assert_eq!(rsa_numbers(&modulus(bits), &e).unwrap_err(), SkipReason::KeyTooLarge, "{bits}");
    }
    let mut even = modulus(2048);
    even[255] = 0xfe;
    assert_eq!(rsa_numbers(&even, &e).unwrap_err(), SkipReason::MalformedMember);
}

#[test]
fn a_sign_byte_before_the_modulus_is_forgiven_and_nothing_more() {
    let n = URL_SAFE_NO_PAD.decode(RSA_N).unwrap();
    let signed = rsa_numbers(&[&[0], &n[..]].concat(), &[1, 0, 1]).unwrap();
    assert_eq!(signed.identity(), rsa("").unwrap().identity());
    let refused = |n: &[u8], e: &[u8]| rsa_numbers(n, e).unwrap_err();
    assert_eq!(refused(&[&[0, 0], &n[..]].concat(), &[1, 0, 1]), SkipReason::MalformedMember);
    let mut low = n.clone();
    low[0] = 0x7f;
    assert_eq!(refused(&[&[0], &low[..], &[1]].concat(), &[1, 0, 1]), SkipReason::MalformedMember);
    assert_eq!(refused(&n, &[0, 1, 0, 1]), SkipReason::MalformedMember);
    assert_eq!(refused(&n, &[]), SkipReason::MalformedMember);
    assert_eq!(refused(&[0], &[3]), SkipReason::MalformedMember);
}

#[test]
fn rsa_exponents() {
    let n = URL_SAFE_NO_PAD.decode(RSA_N).unwrap();
    for e in [&[3][..], &[17], &[1, 0, 1], &[1, 0xff, 0xff, 0xff, 0xff]] {
        assert!(rsa_numbers(&n, e).is_ok(), "{e:?}");
    }
    for e in [&[1][..], &[2], &[4], &[1, 0, 0], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1], &[0xff; 256]] {
        assert_eq!(rsa_numbers(&n, e).unwrap_err(), SkipReason::BadExponent, "{e:?}");
    }
    assert_eq!(rsa_numbers(&n, &[0]).unwrap_err(), SkipReason::MalformedMember);
}

#[test]
fn ec_coordinates_have_full_length() {
    let x = URL_SAFE_NO_PAD.decode(EC_X).unwrap();
    let y = URL_SAFE_NO_PAD.decode(EC_Y).unwrap();
    let with = |crv: &str, x: &[u8], y: &[u8]| {
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        read(&format!(r#"{{"kty":"EC","crv":"{crv}","x":"{x}","y":"{y}"}}"#), &rules()).map(|_| ())
    };
    assert_eq!(with("P-256", &x, &y), Ok(()));
    for (x, y) in [
        (&x[1..], &y[..]),
        (&x[..], &y[..31]),
        (&[&[0], &x[..]].concat()[..], &y[..]),
        (&[][..], &[][..]),
        (&[&[4], &x[..], &y[..]].concat()[..], &y[..]),
    ] {
        assert_eq!(with("P-256", x, y), Err(SkipReason::WrongCoordinateLength));
    }
    assert_eq!(with("P-384", &x, &y), Err(SkipReason::WrongCoordinateLength));
    assert_eq!(with("P-256", &y, &x), Err(SkipReason::NotOnCurve));
    assert_eq!(with("P-256", &[0; 32], &[0; 32]), Err(SkipReason::NotOnCurve));
    // x + p is the same number and another text.
    assert_eq!(with("P-256", &[0xff; 32], &y), Err(SkipReason::NotOnCurve));
}

#[test]
fn weak_ed25519_keys_are_refused() {
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    for y in [
        // The low-order points, each with either sign, and what is no canonical encoding: p to 2^255 - 1.
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let mut y = hex(y);
        assert_eq!(ed(&y).unwrap_err(), SkipReason::WeakEd25519Key, "{y:x?}");
        y[31] |= 0x80;
        assert_eq!(ed(&y).unwrap_err(), SkipReason::WeakEd25519Key, "{y:x?}");
    }
    for len in [0, 31, 33, 44, 64] {
        assert_eq!(ed(&vec![9; len]).unwrap_err(), SkipReason::WrongCoordinateLength, "{len}");
    }
}

#[test]
fn codes_are_unique() {
    let codes: std::collections::BTreeSet<_> = SkipReason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), SkipReason::ALL.len());
}

proptest! {
    /// Whatever a key set holds, a key comes of it or a reason.
    #[test]
    fn import_never_panics(
        kty in prop::sample::select(vec!["RSA", "EC", "OKP", "oct", "x"]),
        crv in prop::sample::select(vec!["P-256", "P-384", "P-521", "Ed25519", "x"]),
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 5),
    ) {
        let [n, e, x, y, k] = [0, 1, 2, 3, 4].map(|i| URL_SAFE_NO_PAD.encode(&values[i]));
        let public = if kty == "oct" { format!(r#","k":"{k}""#) } else { String::new() };
        let jwk = format!(r#"{{"kty":"{kty}","crv":"{crv}","n":"{n}","e":"{e}","x":"{x}","y":"{y}"{public}}}"#);
        let rules = KeyRules { allow_symmetric: true, max_rsa_bits: 16_384, ..KeyRules::new(AlgorithmSet::of(Algorithm::ALL)) };
        if let Ok(key) = read(&jwk, &rules) {
            prop_assert!(!key.check(b"message", &values[0]));
        }
    }
}
