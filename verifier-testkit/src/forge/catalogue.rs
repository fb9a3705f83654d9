//! The known attacks, ready made. Each is wrong in one respect and right in all others: signed with the right key
//! wherever its nature allows that, or a test would pass for the wrong reason.

use serde_json::{Value, json};

use super::segments::{self, Segment, Spelling};
use super::{TokenForge, appended};
use crate::keys::{Algorithm, SigningKey, base64url, ecdsa_signature, jwk_set, random_text};

/// A hostile token and what is wrong with it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forged {
    /// What is wrong, for the message of a failing test.
    pub name: String,
    /// The token.
    pub token: String,
}

impl std::fmt::Debug for Forged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forged").field("name", &self.name).finish_non_exhaustive()
    }
}

fn forged(name: impl Into<String>, token: String) -> Forged {
    Forged { name: name.into(), token }
}

/// `alg` says that nothing is signed, in many spellings, with an empty signature and with a right one (RFC 8725 §2.1).
pub fn unsigned(good: &TokenForge, key: &SigningKey) -> Vec<Forged> {
    ["none", "None", "NONE", "nOnE", "none ", "none\u{0}"]
        .into_iter()
        .flat_map(|name| {
            let forge = good.clone().header("alg", name);
            [
                forged(format!("alg {name:?}, no signature"), forge.unsigned()),
                forged(format!("alg {name:?}, signed"), forge.sign(key)),
            ]
        })
        .collect()
}

/// `alg` is absent, no string, or no registered name (RFC 7515 §4.1.1); rightly signed.
pub fn algorithm_misnamed(good: &TokenForge, key: &SigningKey) -> Vec<Forged> {
    let name = key.algorithm().name();
    let mut all = vec![forged("alg absent", good.clone().without_header("alg").sign(key))];
    for raw in ["null", "\"\"", "1", "true", "[]", "{}"] {
        all.push(forged(format!("alg {raw}"), good.clone().header_as("alg", raw).sign(key)));
    }
    for text in [name.to_lowercase(), format!(" {name}"), format!("{name} "), format!("{name}\u{0}")] {
        let forge = good.clone().header("alg", text.clone());
        all.push(forged(format!("alg {text:?}"), forge.sign(key)));
    }
    let array = json!([name]).to_string();
    all.push(forged("alg in an array", good.clone().header_as("alg", &array).sign(key)));
    all
}

/// The public key, which everybody has, as the secret of an HMAC: in every form in which it might be lying about
/// (RFC 8725 §2.1).
pub fn public_key_as_secret(good: &TokenForge, key: &SigningKey) -> Vec<Forged> {
    let pem = key.public_pem();
    let jwk = Value::Object(key.jwk()).to_string();
    let mut secrets = vec![
        ("PEM", pem.clone().into_bytes()),
        ("PEM without the last line break", pem.trim_end().into()),
        ("PEM with CRLF", pem.replace('\n', "\r\n").into()),
        ("PEM with CR", pem.replace('\n', "\r").into()),
        ("PEM in one line", pem.replace('\n', "").into()),
        ("PEM after a blank", format!(" {pem}").into()),
        ("PEM after a line break", format!("\n{pem}").into()),
        ("DER", key.public_der()),
        ("DER in base64url", base64url(key.public_der()).into()),
        ("raw", key.public_raw()),
        ("raw in base64url", base64url(key.public_raw()).into()),
        ("JWK", jwk.clone().into()),
        ("JWK with a byte order mark", format!("\u{feff}{jwk}").into()),
        ("JWK Set", jwk_set([key]).to_string().into()),
        ("kid", key.kid().into()),
        ("nothing", Vec::new()),
    ];
    secrets.extend(key.public_pkcs1_pem().map(|pem| ("PKCS#1 PEM", pem.into_bytes())));
    secrets
        .into_iter()
        .flat_map(|(name, secret)| {
            [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512].map(|algorithm| {
                let forge = good.clone().header("alg", algorithm.name());
                let token = forge.sign(&SigningKey::hmac(algorithm, secret.clone()));
                forged(format!("{algorithm} with the public key: {name}"), token)
            })
        })
        .collect()
}

/// The attacker's own key, named or carried by the header (RFC 8725 §2.7 and §3.10). `elsewhere` is an address of the
/// attacker's, where nobody should ever be seen.
pub fn own_key_in_header(good: &TokenForge, elsewhere: &str) -> Vec<Forged> {
    let own = SigningKey::generate(Algorithm::ES256);
    let good = good.clone().header("alg", own.algorithm().name());
    let certificate = json!([base64url(own.public_der())]);
    let mut all = Vec::new();
    for (name, value) in [
        ("jwk", Value::Object(own.jwk())),
        ("jku", json!(elsewhere)),
        ("x5u", json!(elsewhere)),
        ("x5c", certificate),
    ] {
        let forge = good.clone().header(name, value);
        all.push(forged(format!("{name}, with the kid of a trusted key"), forge.sign(&own)));
        all.push(forged(format!("{name}, with its own kid"), forge.clone().for_key(&own).sign(&own)));
        all.push(forged(format!("{name}, without kid"), forge.without_header("kid").sign(&own)));
    }
    all
}

/// Key ids that are no ids (RFC 8725 §3.10); rightly signed.
pub fn odd_kids(good: &TokenForge, key: &SigningKey) -> Vec<Forged> {
    let kid = key.kid();
    let texts = [
        "../../../../dev/null".to_owned(),
        "' OR 1=1 --".to_owned(),
        "a\r\nx: y".to_owned(),
        format!("{kid}\u{0}"),
        format!("{kid} "),
        format!(" {kid}"),
        "k".repeat(2_000),
    ];
    let mut all: Vec<Forged> = texts
        .iter()
        .map(|text| (text, text.chars().take(24).collect::<String>()))
        .map(|(text, start)| {
            forged(format!("kid {start:?}"), good.clone().header("kid", text.as_str()).sign(key))
        })
        .collect();
    for raw in ["null", "1", "true", "[]", "{}"] {
        all.push(forged(format!("kid {raw}"), good.clone().header_as("kid", raw).sign(key)));
    }
    all
}

/// Header parameters that change what a token means (RFC 7515 §4.1.11, RFC 7797, RFC 7516 §4.1.3); rightly signed.
pub fn critical(good: &TokenForge, key: &SigningKey) -> Vec<Forged> {
    let cases: [(&str, &[(&str, &str)]); 12] = [
        ("unknown", &[("crit", "[\"x\"]"), ("x", "1")]),
        ("empty", &[("crit", "[]")]),
        ("no array", &[("crit", "\"exp\""), ("exp", "1")]),
        ("null", &[("crit", "null")]),
        ("registered name", &[("crit", "[\"alg\"]")]),
        ("twice the same", &[("crit", "[\"x\",\"x\"]"), ("x", "1")]),
        ("absent name", &[("crit", "[\"x\"]")]),
        ("not a string", &[("crit", "[1]")]),
        ("b64 false", &[("b64", "false"), ("crit", "[\"b64\"]")]),
        ("b64 without crit", &[("b64", "false")]),
        ("b64 true", &[("b64", "true"), ("crit", "[\"b64\"]")]),
        ("compressed", &[("zip", "\"DEF\"")]),
    ];
    cases
        .into_iter()
        .map(|(name, members)| {
            let forge =
                members.iter().fold(good.clone(), |forge, (name, raw)| forge.header_member(name, raw));
            forged(format!("critical: {name}"), forge.sign(key))
        })
        .collect()
}

/// Members that stand there twice, the second one written with an escape as well (RFC 7519 §4); rightly signed.
pub fn duplicate_members(good: &TokenForge, key: &SigningKey) -> Vec<Forged> {
    let mut all = Vec::new();
    let algorithm = json!(key.algorithm().name()).to_string();
    all.push(forged("alg twice", good.clone().header_member("alg", &algorithm).sign(key)));
    for (name, raw) in [("iss", "\"x\""), ("exp", "9999999999"), ("sub", "\"x\""), ("aud", "\"x\"")] {
        all.push(forged(format!("{name} twice"), once(good, name, raw).claim_member(name, raw).sign(key)));
    }
    // The name of the member escaped: `"\u0065xp"` is `"exp"`.
    let payload = once(good, "exp", "9999999999").payload;
    let escaped = String::from_utf8_lossy(&appended(&payload, "?", "9999999999"))
        .replace("\"?\":", "\"\\u0065xp\":")
        .into_bytes();
    all.push(forged("exp twice, once escaped", good.clone().payload_text(escaped).sign(key)));
    let nested = r#"{"jkt":"a","jkt":"b"}"#;
    all.push(forged("jkt twice in cnf", good.clone().claim_member("cnf", nested).sign(key)));
    all
}

/// With the claim, that it may be doubled.
fn once(good: &TokenForge, name: &str, raw: &str) -> TokenForge {
    let there = serde_json::from_slice::<Value>(&good.payload).is_ok_and(|claims| claims.get(name).is_some());
    if there { good.clone() } else { good.clone().claim_member(name, raw) }
}

/// Header and payload that are no JSON object (RFC 7515 §5.2, RFC 7519 §7.2); rightly signed.
pub fn not_an_object(good: &TokenForge, key: &SigningKey) -> Vec<Forged> {
    let (header, payload) = (good.header.as_slice(), good.payload.as_slice());
    let mut all = Vec::new();
    for (segment, text) in [(Segment::Header, header), (Segment::Payload, payload)] {
        let quoted = Value::from(String::from_utf8_lossy(text)).to_string().into_bytes();
        let utf16 = String::from_utf8_lossy(text).encode_utf16().flat_map(u16::to_le_bytes).collect();
        let depth = |levels: usize| appended(text, "d", &["[".repeat(levels), "]".repeat(levels)].concat());
        let cases: [(&str, Vec<u8>); 13] = [
            ("empty", Vec::new()),
            ("null", b"null".to_vec()),
            ("number", b"1".to_vec()),
            ("string", quoted),
            ("array", [b"[", text, b"]"].concat()),
            ("trailing data", [text, b"{}"].concat()),
            ("byte order mark", [b"\xef\xbb\xbf", text].concat()),
            ("UTF-16", utf16),
            ("invalid UTF-8", appended_bytes(text, b"\"\xff\"")),
            ("lone surrogate", appended(text, "d", r#""\ud800""#)),
            ("comment", [b"/**/", text].concat()),
            ("depth 64", depth(64)),
            ("depth 2000", depth(2_000)),
        ];
        for (name, bytes) in cases {
            let forge = match segment {
                Segment::Header => good.clone().header_text(bytes),
                _ => good.clone().payload_text(bytes),
            };
            all.push(forged(format!("{segment:?}: {name}"), forge.sign(key)));
        }
    }
    all
}

fn appended_bytes(text: &[u8], raw: &[u8]) -> Vec<u8> {
    let mut longer = text.to_vec();
    if longer.last() == Some(&b'}') {
        longer.pop();
    }
    longer.extend_from_slice(b",\"d\":");
    longer.extend_from_slice(raw);
    longer.push(b'}');
    longer
}

/// Dates that are no NumericDate (RFC 7519 §2), or none that can be kept; rightly signed.
pub fn odd_dates(good: &TokenForge, key: &SigningKey) -> Vec<Forged> {
    let wrong =
        ["null", "true", "\"9999999999\"", "[9999999999]", "{}", "1e400", "-1e400", "NaN", "Infinity"];
    ["exp", "nbf", "iat"]
        .into_iter()
        .flat_map(|name| wrong.map(|raw| (name, raw)))
        .map(|(name, raw)| forged(format!("{name} {raw}"), good.clone().claim_as(name, raw).sign(key)))
        .collect()
}

/// The same token spelled otherwise (RFC 7515 §2). Header and payload are signed as they are spelled, so that only a
/// reader who insists on the one spelling can tell.
pub fn spellings(good: &TokenForge, key: &SigningKey) -> Vec<Forged> {
    let mut spellings = vec![Spelling::Padded, Spelling::StandardAlphabet, Spelling::TrailingBits];
    spellings.extend(["\n", "\r\n", " ", "\0", "?", "%3D"].map(|text| Spelling::Inserted(text.to_owned())));
    let mut all = Vec::new();
    for spelling in &spellings {
        for segment in [Segment::Header, Segment::Payload] {
            let token = good.clone().spelled(segment, spelling.clone()).sign(key);
            all.push(forged(format!("{segment:?}: {spelling:?}"), token));
        }
        // Not every signature can be spelled in every way: another one may. RSA's is always the same.
        let respelled =
            (0..64).find_map(|_| segments::respell(&good.sign(key), Segment::Signature, spelling));
        all.extend(respelled.map(|token| forged(format!("Signature: {spelling:?}"), token)));
    }
    all
}

/// Tokens of another shape than three segments, and other serializations (RFC 7515 §7.2, RFC 7516 §7.1).
pub fn shapes(good: &TokenForge, key: &SigningKey) -> Vec<Forged> {
    let token = good.sign(key);
    let input = good.signing_input();
    let (header, payload) = input.split_once('.').unwrap_or_default();
    let signature = token.rsplit('.').next().unwrap_or_default();
    vec![
        forged("shape: empty", String::new()),
        forged("shape: header alone", header.to_owned()),
        forged("shape: two segments", input.clone()),
        forged("shape: four segments", format!("{token}.{signature}")),
        forged("shape: a dot before", format!(".{token}")),
        forged("shape: a dot after", format!("{token}.")),
        forged("shape: no header", format!(".{payload}.{signature}")),
        forged("shape: detached payload", format!("{header}..{signature}")),
        forged("shape: no signature", format!("{input}.")),
        forged("shape: dots alone", "..".to_owned()),
        forged("shape: JWE-shaped", jwe_shaped()),
        forged("shape: flattened JSON", good.flattened_json(key)),
        forged("shape: general JSON", good.general_json(key)),
        forged("shape: twice", format!("{token}{token}")),
        forged("shape: two with a comma", format!("{token},{token}")),
    ]
}

/// Signatures that aren't the right one, or not in the right form (RFC 7518 §3.4, RFC 8725 §3.3).
pub fn signatures(good: &TokenForge, key: &SigningKey) -> Vec<Forged> {
    let token = good.sign(key);
    let mut all = vec![
        forged("signature: empty", good.unsigned()),
        forged("signature: zeros", good.sign_then(key, |signature| vec![0; signature.len()])),
        forged("signature: ones", good.sign_then(key, |signature| vec![0xff; signature.len()])),
        forged("signature: truncated", good.sign_then(key, |signature| minus_one(&signature))),
        forged("signature: longer", good.sign_then(key, |signature| [signature.as_slice(), &[0]].concat())),
        forged(
            "signature: zero before",
            good.sign_then(key, |signature| [&[0], signature.as_slice()].concat()),
        ),
        forged("signature: twice", good.sign_then(key, |signature| signature.repeat(2))),
        forged("signature: of other claims", {
            let other = good.clone().claim("sub", "somebody else").sign(key);
            segments::replaced(&token, Segment::Signature, other.rsplit('.').next().unwrap_or_default())
        }),
        forged(
            "signature: by another key of the same kind",
            good.sign(&SigningKey::generate(key.algorithm())),
        ),
        forged("signature: one bit of the first byte", segments::bit_flipped(&token, Segment::Signature, 0)),
        forged("signature: one bit of the payload", segments::bit_flipped(&token, Segment::Payload, 8 * 12)),
    ];
    if matches!(key.algorithm(), Algorithm::ES256 | Algorithm::ES384 | Algorithm::ES512) {
        all.push(forged("signature: DER", good.sign_then(key, |signature| ecdsa_signature(&signature))));
    }
    all
}

fn minus_one(bytes: &[u8]) -> Vec<u8> {
    bytes.split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default()
}

/// Five segments of which the first is a JWE header (RFC 7516 §7.1); the rest is noise.
pub fn jwe_shaped() -> String {
    let header = base64url(r#"{"alg":"dir","enc":"A256GCM"}"#);
    format!("{header}..{}.{}.{}", random_text(12), random_text(64), random_text(16))
}

/// A flood of tokens, each with a key id that nobody has, without end. Their signatures are noise: they cost nothing.
pub fn unknown_kids(good: &TokenForge) -> impl Iterator<Item = String> + use<> {
    let good = good.clone();
    std::iter::repeat_with(move || {
        let forge = good.clone().header("kid", random_text(12));
        format!("{}.{}", forge.signing_input(), random_text(64))
    })
}
