//! Other people's JWT libraries: we judge what they sign, and they check what the testkit signs.

mod matrix;
mod speaker;

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Map, Value, json};
use verifier::{Backends, Verifier, VerifierConfig};
use verifier_testkit::{Algorithm, SigningKey, TokenForge};

use self::matrix::{Cell, ISSUER, Reading, cells};
use self::speaker::{LIBRARIES, Speaker};
use crate::clock;
use crate::judge::verdict_of;
use crate::play::Outcome;
use crate::report::{self, Sum};
use crate::scenario::Verdict;
use crate::server::{AUDIENCE, Trouble, failed};
use crate::stage::Check;

/// What they are called beside the servers.
pub(crate) const NAME: &str = "libs";

/// Plays the matrix with each library, printing what comes.
///
/// # Errors
/// If nobody reads it.
pub(crate) async fn run(json: bool, out: &mut impl Write) -> io::Result<Sum> {
    let mut sum = Sum::default();
    for library in LIBRARIES {
        let begun = clock::instant();
        let mut signed = Outcome::new("library/signs", "tokens that it signs, judged by jwks");
        let mut checked = Outcome::new("library/checks", "tokens that the testkit signs, checked by it");
        match Speaker::start(library).await {
            Ok(mut speaker) => {
                let played = signs(&mut speaker, &mut signed).await;
                signed.take(played, "");
                let played = checks(&mut speaker, &mut checked);
                checked.take(played, "");
                for outcome in [&mut signed, &mut checked] {
                    // One that can do nothing at all is one that wasn't asked rightly.
                    if outcome.checks.is_empty() && outcome.broken.is_empty() {
                        outcome.broken.push("nothing was compared".to_owned());
                    }
                }
            }
            Err(trouble) => signed.take(Err(trouble), ""),
        }
        signed.took = clock::instant().since(begun);
        for outcome in [&signed, &checked] {
            report::outcome(out, json, library, outcome)?;
            sum = sum.plus(outcome);
        }
    }
    Ok(sum)
}

fn wall() -> i64 {
    clock::now().wall.unix_seconds()
}

/// What came out otherwise, the first few of them; "" if nothing did.
fn told(odd: &[String]) -> String {
    let mut text = odd.iter().take(4).cloned().collect::<Vec<_>>().join("; ");
    if odd.len() > 4 {
        let _ = write!(text, "; and {} more", odd.len() - 4);
    }
    text
}

fn counted(what: String, total: usize, odd: &[String]) -> Check {
    let wanted = format!("{total} of {total} as expected");
    let got = if odd.is_empty() { wanted.clone() } else { format!("{} not: {}", odd.len(), told(odd)) };
    Check::holds(None, what, wanted, odd.is_empty() && total > 0, got)
}

/// The library signs, we judge.
async fn signs(speaker: &mut Speaker, outcome: &mut Outcome) -> Result<Vec<Check>, Trouble> {
    let keys = speaker.ask(&[json!({ "do": "keys" })])?;
    let keys = keys.first().and_then(|answer| answer.get("keys")).and_then(Value::as_array).cloned();
    let keys = keys.ok_or_else(|| failed("it published no keys"))?;
    let mut checks = Vec::new();
    for algorithm in Algorithm::ALL {
        let name = algorithm.name();
        let cells = cells();
        let now = wall();
        let requests: Vec<Value> = cells
            .iter()
            .map(|cell| json!({ "do": "sign", "algorithm": name, "header": cell.header(name), "claims": cell.claims(now) }))
            .collect();
        let answers = speaker.ask(&requests)?;
        if let Some(reason) = answers.first().and_then(|answer| answer.get("cannot")).and_then(Value::as_str)
        {
            outcome.not_here.push(format!("{name}: {reason}"));
            continue;
        }
        for by in Reading::ALL {
            let verifier = verifier(&keys, algorithm, by)?;
            let mut odd = Vec::new();
            for (cell, answer) in cells.iter().zip(&answers) {
                odd.extend(judged(&verifier, cell, answer, by).await);
            }
            checks.push(counted(format!("{name}, {}", by.name()), cells.len(), &odd));
        }
    }
    Ok(checks)
}

/// What is odd about our verdict on one of the library's tokens.
async fn judged(verifier: &Verifier, cell: &Cell, answer: &Value, by: Reading) -> Option<String> {
    let Some(token) = answer.get("token").and_then(Value::as_str) else {
        return Some(format!("{cell:?}: {answer}"));
    };
    let expected = cell.expected(by);
    let verdict = match verifier.verify(token).await {
        Err(error) => verdict_of(error),
        Ok(verified) => {
            let seen = (
                verified.subject(),
                verified.has_scope("read"),
                verified.audience().any(|one| one == AUDIENCE),
            );
            if seen != (Some("alice"), true, true) {
                return Some(format!("{cell:?}: verified, but seen as {seen:?}"));
            }
            Verdict::Verified
        }
    };
    if verdict != expected {
        return Some(format!("{cell:?}: {verdict}, expected {expected}"));
    }
    // The same with another character inside the signature must not pass, or all of the above says nothing.
    let Some(forged) = crate::twist::Twist::Signature.of(token) else {
        return Some(format!("{cell:?}: no room to forge its signature"));
    };
    // The header is judged before any key is used, so what it is refused for is said first.
    let wanted = match expected {
        Verdict::Rejected("wrong_type") => expected,
        _ => Verdict::Rejected("bad_signature"),
    };
    let verdict = verifier.verify(&forged).await.map_or_else(verdict_of, |_| Verdict::Verified);
    (verdict != wanted).then(|| format!("{cell:?}: forged, and {verdict}, expected {wanted}"))
}

/// A verifier of one algorithm that holds all of the library's keys; of a shared secret alone, since nobody mixes them.
fn verifier(keys: &[Value], algorithm: Algorithm, by: Reading) -> Result<Verifier, Trouble> {
    let name = algorithm.name();
    let mut text = format!(
        "[[issuer]]\nissuer = \"{ISSUER}\"\nstrategy = \"jwks\"\n{}\naudience = [\"{AUDIENCE}\"]\n\
         required_scopes = [\"read\"]\n\n[issuer.keys]\nalgorithms = [\"{name}\"]\n",
        by.lines()
    );
    let secret_file = tempfile::NamedTempFile::new().map_err(failed)?;
    if algorithm.is_hmac() {
        let own = keys.iter().find(|key| key.get("kid").and_then(Value::as_str) == Some(name));
        let secret =
            own.and_then(|key| key.get("k")).and_then(Value::as_str).ok_or_else(|| failed("no secret"))?;
        std::fs::write(secret_file.path(), secret).map_err(failed)?;
        let _ = writeln!(
            text,
            "secrets = [{{ kid = \"{name}\", secret = {{ file = {:?} }}, encoding = \"base64url\" }}]",
            secret_file.path().display().to_string()
        );
    } else {
        // A shared secret is never published; and keys under both names of one algorithm (RFC 9864) would be ambiguous
        // where a token names none.
        let other = match algorithm {
            Algorithm::Ed25519 => "EdDSA",
            Algorithm::EdDSA => "Ed25519",
            _ => "",
        };
        let is =
            |key: &Value, member: &str, value: &str| key.get(member).and_then(Value::as_str) == Some(value);
        let public: Vec<&Value> =
            keys.iter().filter(|key| !is(key, "kty", "oct") && !is(key, "alg", other)).collect();
        let _ = writeln!(text, "inline = '''{}'''", json!({ "keys": public }));
    }
    let config = VerifierConfig::from_toml(&text).map_err(failed)?;
    config.build_with(&Backends::new()).map_err(failed)
}

/// The testkit signs, the library checks.
fn checks(speaker: &mut Speaker, outcome: &mut Outcome) -> Result<Vec<Check>, Trouble> {
    let mut checks = Vec::new();
    for algorithm in Algorithm::ALL {
        let name = algorithm.name();
        let key = SigningKey::generate(algorithm).with_kid(name);
        // Checkers are told whom to expect, so the issuer is always named.
        let cells: Vec<Cell> = cells().into_iter().filter(|cell| cell.iss).collect();
        let now = wall();
        let good: Vec<Map<String, Value>> = cells.iter().map(|cell| cell.claims(now)).collect();
        let request = |token: String| {
            json!({
                "do": "check", "algorithm": name, "token": token, "jwk": key.jwk(), "issuer": ISSUER,
                "audience": AUDIENCE,
            })
        };
        let forge = |cell: &Cell, claims: &Map<String, Value>| {
            let mut header = cell.header(name);
            header.insert("alg".to_owned(), json!(name));
            TokenForge::new(Value::Object(header).to_string(), Value::Object(claims.clone()).to_string())
        };
        let tokens: Vec<String> =
            cells.iter().zip(&good).map(|(cell, claims)| forge(cell, claims).sign(&key)).collect();
        let answers = speaker.ask(&tokens.iter().cloned().map(request).collect::<Vec<_>>())?;
        if let Some(reason) = answers.first().and_then(|answer| answer.get("cannot")).and_then(Value::as_str)
        {
            outcome.not_here.push(format!("{name}: {reason}"));
            continue;
        }
        let odd: Vec<String> = cells
            .iter()
            .zip(&good)
            .zip(&answers)
            .filter(|((_, claims), answer)| !agrees(claims, answer))
            .map(|((cell, _), answer)| format!("{cell:?}: {answer}"))
            .collect();
        checks.push(counted(format!("{name}, good ones"), cells.len(), &odd));

        // And that it does check: what is wrong in one respect is refused.
        let another = SigningKey::generate(algorithm).with_kid(name);
        let mut bad = Vec::new();
        for (cell, claims) in cells.iter().zip(&good) {
            let with = |name: &str, value: Value| {
                let mut claims = claims.clone();
                claims.insert(name.to_owned(), value);
                forge(cell, &claims).sign(&key)
            };
            bad.push(("expired", with("exp", json!(now - 600))));
            bad.push(("for another API", with("aud", json!("https://another.example.com"))));
            bad.push(("another issuer's", with("iss", json!("https://another.example.com"))));
            bad.push(("by another key", forge(cell, claims).sign(&another)));
        }
        let answers =
            speaker.ask(&bad.iter().map(|(_, token)| request(token.clone())).collect::<Vec<_>>())?;
        let odd: Vec<String> = bad
            .iter()
            .zip(&answers)
            .filter(|(_, answer)| answer.get("refused").is_none())
            .map(|((what, _), answer)| format!("{what}: {answer}"))
            .collect();
        checks.push(counted(format!("{name}, bad ones refused"), bad.len(), &odd));
    }
    Ok(checks)
}

/// Whether the library read the claims that were signed. An audience of one may be a text or a list to it.
fn agrees(claims: &Map<String, Value>, answer: &Value) -> bool {
    let listed = |value: &Value| match value {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    answer.get("claims").and_then(Value::as_object).is_some_and(|read| {
        read.len() == claims.len()
            && claims.iter().all(|(name, value)| {
                read.get(name)
                    .is_some_and(|read| read == value || name == "aud" && listed(read) == listed(value))
            })
    })
}
