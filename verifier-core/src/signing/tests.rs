use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::signature::{AwsLc, Curve, KeyMaterial, SignatureBackend};

const MESSAGE: &[u8] = b"header.payload";

fn pem(tag: &str, der: &[u8]) -> String {
    ::pem::encode(&::pem::Pem::new(tag, der)).replace('\r', "")
}

fn checks(key: &SigningKey, public: &KeyMaterial<'_>) {
    let signature = key.sign(MESSAGE).unwrap();
    let prepared = AwsLc.prepare(public, key.algorithm()).unwrap();
    assert!(prepared.check(MESSAGE, &signature), "{}", key.algorithm());
    assert!(!prepared.check(b"other", &signature));
}

fn rsa() -> (RsaKeyPair, String) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let text = pem("PRIVATE KEY", der.as_ref());
    (pair, text)
}

/// The numbers of an RSAPrivateKey: SEQUENCE, and INTEGERs of two-byte or shorter lengths.
fn integers(mut der: &[u8]) -> Vec<Vec<u8>> {
    let mut next = |header: bool| -> Option<Vec<u8>> {
        let (&_tag, rest) = der.split_first()?;
        let (&short, rest) = rest.split_first().unwrap();
        let (len, rest) = match short {
            0x81 => (usize::from(rest[0]), &rest[1..]),
            0x82 => (usize::from(rest[0]) << 8 | usize::from(rest[1]), &rest[2..]),
            short => (usize::from(short), rest),
        };
        let content = rest[..len.min(rest.len())].to_vec();
        der = if header { rest } else { &rest[len..] };
        Some(content)
    };
    next(true);
    std::iter::from_fn(|| next(false)).collect()
}

/// The RSAPrivateKey inside PKCS#8 starts at the fourth SEQUENCE or so: it is found by its version and length.
fn pkcs1(pair: &RsaKeyPair) -> Vec<u8> {
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(pair).unwrap();
    let der = der.as_ref();
    let at =
        (5..60).find(|at| der[*at..].starts_with(&[0x30, 0x82]) && der[at + 4..].starts_with(&[2, 1, 0, 2]));
    der[at.unwrap()..].to_vec()
}

#[test]
fn rsa_signs_by_all_its_algorithms_from_every_form() {
    let (pair, pkcs8) = rsa();
    let der = pkcs1(&pair);
    let numbers = integers(&der);
    let magnitude = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes[zeros..].to_vec()
    };
    let (n, e) = (magnitude(&numbers[1]), magnitude(&numbers[2]));
    let material = KeyMaterial::Rsa { n: &n, e: &e };
    let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(magnitude(bytes));
    let members: Vec<String> = ["n", "e", "d", "p", "q", "dp", "dq", "qi"]
        .iter()
        .zip(&numbers[1..])
        .map(|(name, number)| format!("\"{name}\":\"{}\"", b64(number)))
        .collect();
    let jwk = format!("{{\"kty\":\"RSA\",\"kid\":\"k1\",\"use\":\"sig\",{}}}", members.join(","));
    for text in [&pkcs8, &pem("RSA PRIVATE KEY", &der), &jwk] {
        for name in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
            checks(&SigningKey::private(text, Algorithm::from_name(name)).unwrap(), &material);
        }
        assert_eq!(SigningKey::private(text, None).unwrap().algorithm(), Algorithm::Rs256);
    }
    assert_eq!(SigningKey::private(&jwk, None).unwrap().key_id(), Some("k1"));
    let ps = jwk.replacen("\"use\"", "\"alg\":\"PS384\",\"use\"", 1);
    assert_eq!(SigningKey::private(&ps, None).unwrap().algorithm(), Algorithm::Ps384);
    // Half of the private numbers are not enough.
    let half = format!("{{\"kty\":\"RSA\",{}}}", members[..3].join(","));
    assert_eq!(SigningKey::private(&half, None).err(), Some(SigningError::MalformedJwk));
    for name in ["ES256", "Ed25519"] {
        let algorithm = Algorithm::from_name(name).unwrap();
        assert_eq!(
            SigningKey::private(&pkcs8, Some(algorithm)).err(),
            Some(SigningError::AlgorithmMismatch { key: "RSA key", algorithm })
        );
    }
}

#[test]
fn ec_signs_by_its_curve_from_every_form() {
    for curve in Curve::ALL {
        let pair = EcdsaKeyPair::generate(aws_lc::signing_of(curve)).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(curve.coordinate_len());
        let material = KeyMaterial::Ec { curve, x, y };
        let pkcs8 = pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref());
        let own = pair.private_key();
        let sec1 = AsDer::<EcPrivateKeyRfc5915Der<'_>>::as_der(&own).unwrap();
        // As `openssl ecparam -genkey` writes it.
        let sec1 = format!("{}{}", pem("EC PARAMETERS", b"\x06\x00"), pem("EC PRIVATE KEY", sec1.as_ref()));
        for text in [&pkcs8, &sec1] {
            checks(&SigningKey::private(text, None).unwrap(), &material);
            checks(&SigningKey::private(text, Some(curve.algorithm())).unwrap(), &material);
            for other in [Algorithm::Rs256, Algorithm::Ed25519, Algorithm::Es256, Algorithm::Es384] {
                let refused = SigningKey::private(text, Some(other)).err();
                assert_eq!(refused.is_some(), other != curve.algorithm(), "{other} on {}", curve.name());
            }
        }
    }
}

/// The keys of RFC 7515 appendix A.3 and RFC 8037 appendix A.
const EC_JWK: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
const OKP_JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

#[test]
fn private_jwks_of_the_standards_sign() {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (x, y) = (
        decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
        decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
    );
    let ec = SigningKey::private(EC_JWK, None).unwrap();
    checks(&ec, &KeyMaterial::Ec { curve: Curve::P256, x: &x, y: &y });
    let okp = SigningKey::private(OKP_JWK, Some(Algorithm::Ed25519)).unwrap();
    checks(&okp, &KeyMaterial::Ed25519 { x: &decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo") });
    // RFC 8037 appendix A.4: this algorithm signs one way only.
    let signed = okp.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc").unwrap();
    assert_eq!(
        URL_SAFE_NO_PAD.encode(signed),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
    // A public half that isn't the private one's.
    let swapped = EC_JWK.replace("x_FEzRu9", "y_FEzRu9");
    assert_eq!(SigningKey::private(&swapped, None).err(), Some(SigningError::Unusable));
}

#[test]
fn ed25519_in_pem() {
    let pair = Ed25519KeyPair::generate().unwrap();
    for der in [pair.to_pkcs8().unwrap(), pair.to_pkcs8v1().unwrap()] {
        let key = SigningKey::private(&pem("PRIVATE KEY", der.as_ref()), None).unwrap();
        checks(&key, &KeyMaterial::Ed25519 { x: pair.public_key().as_ref() });
    }
}

#[test]
fn what_is_no_private_key_is_named() {
    let (pair, private) = rsa();
    let public = pem("PUBLIC KEY", pair.public_key().as_ref());
    let old = private.replace("PRIVATE KEY", "RSA PRIVATE KEY").replacen(
        "-----\n",
        "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
        1,
    );
    let without_d = EC_JWK.replace("\"d\"", "\"x5u\"");
    let for_encryption = EC_JWK.replace("\"kty\"", "\"use\":\"enc\",\"kty\"");
    let to_verify = EC_JWK.replace("\"kty\"", "\"key_ops\":[\"verify\"],\"kty\"");
    let twice = EC_JWK.replace("\"kty\"", "\"d\":\"AA\",\"kty\"");
    for (text, expected) in [
        ("", SigningError::NotAPrivateKey),
        ("hunter2", SigningError::NotAPrivateKey),
        (public.as_str(), SigningError::PublicKey),
        (&pem("CERTIFICATE", b"x"), SigningError::PublicKey),
        (&pem("ENCRYPTED PRIVATE KEY", b"x"), SigningError::Encrypted),
        (&old, SigningError::Encrypted),
        (&format!("{private}{private}"), SigningError::SeveralKeys),
        (&pem("PRIVATE KEY", b"x"), SigningError::Unusable),
        (&pem("RSA PRIVATE KEY", b"x"), SigningError::Unusable),
        (&pem("EC PRIVATE KEY", b"x"), SigningError::Unusable),
        (&without_d, SigningError::PublicKey),
        (&for_encryption, SigningError::NotForSigning),
        (&to_verify, SigningError::NotForSigning),
        (&twice, SigningError::MalformedJwk),
        (r#"{"kty":"oct","k":"AAAA"}"#, SigningError::NotAPrivateKey),
        (r#"{"kty":"OKP","crv":"X25519","d":"AA","x":"AA"}"#, SigningError::Unusable),
        ("{}", SigningError::MalformedJwk),
    ] {
        assert_eq!(SigningKey::private(text, None).err(), Some(expected), "{text}");
    }
    // A certificate beside the key does no harm.
    assert!(SigningKey::private(&format!("{}{private}", pem("CERTIFICATE", b"x")), None).is_ok());
    for algorithm in [Algorithm::Hs256, Algorithm::Hs512] {
        assert_eq!(
            SigningKey::private(&private, Some(algorithm)).err(),
            Some(SigningError::AlgorithmMismatch { key: "private key", algorithm })
        );
    }
}

#[test]
fn a_secret_is_as_long_as_the_hash_at_least() {
    for (algorithm, least) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
        let secret = vec![7; least];
        checks(&SigningKey::secret(&secret, algorithm).unwrap(), &KeyMaterial::Secret(&secret));
        assert_eq!(
            SigningKey::secret(&secret[1..], algorithm).err(),
            Some(SigningError::SecretTooShort { algorithm, least, len: least - 1 })
        );
    }
    assert!(matches!(
        SigningKey::secret(&[7; 64], Algorithm::Rs256).err(),
        Some(SigningError::AlgorithmMismatch { .. })
    ));
}

#[test]
fn debug_shows_no_key() {
    let key = SigningKey::secret(b"a-secret-that-is-a-canary-for-us", Algorithm::Hs256).unwrap();
    assert!(!format!("{key:?}").contains("canary"));
    let shown = format!("{:?}", SigningKey::private(OKP_JWK, None).unwrap());
    assert!(shown.contains("[redacted]") && !shown.contains("nWGx"), "{shown}");
}
