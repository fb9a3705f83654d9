//! Introspection answers as JWTs (RFC 9701 §5), right ones and wrong ones.

use std::time::Duration;

use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::{Map, Value, json};

use super::state::State;
use crate::answer::Answer;
use crate::forge::TokenForge;
use crate::keys::{Algorithm, SigningKey, base64url};

const MEDIA_TYPE: &str = "application/token-introspection+jwt";

/// What is wrong with the signed introspection answers of a server, each in this respect alone and rightly signed
/// otherwise.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum AnswerFlaw {
    /// Plain JSON after all.
    Plain,
    /// Plain JSON, with the right JWT in a member `jwt`.
    PlainWithJwt,
    /// Another `Content-Type`.
    MediaType(String),
    /// Another `typ`; `None`: there is none.
    Type(Option<String>),
    /// These claims instead of the server's; null ones are left out.
    Claims(Value),
    /// Signed for so long that it is no news: `iat` lies back.
    IssuedAgo(Duration),
    /// `iat` lies ahead.
    IssuedIn(Duration),
    /// Signed with another, published, key of this algorithm.
    Algorithm(Algorithm),
    /// `alg` is `none`, and there is no signature.
    Unsigned,
    /// The signature is damaged.
    BadSignature,
    /// Signed with a key that the server doesn't publish, under the `kid` of one that it does.
    ForeignKey,
    /// Signed with a key that nobody publishes, under a `kid` of its own.
    UnknownKey,
    /// The members of the answer stand beside the claims of the JWT, and `token_introspection` is not there.
    AnswerOutside,
    /// `active` stands beside the claims of the JWT; what is in `token_introspection` lacks it.
    ActiveOutside,
    /// Five segments, as of a JWE around the JWT.
    Encrypted,
    /// This text instead of a JWT.
    Text(String),
}

/// Whether the caller asks for a JWT and nothing else; given a choice this server takes JSON.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(ACCEPT).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    value.to_str().is_ok_and(|value| value.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

/// The answer as a JWT for this caller.
pub(super) fn sign(
    state: &State,
    algorithm: Algorithm,
    caller: Option<&str>,
    answer: Map<String, Value>,
) -> Answer {
    let flaw = state.answer_flaw();
    if flaw == Some(AnswerFlaw::Plain) {
        return Answer::json(&Value::Object(answer));
    }
    let media_type = match &flaw {
        Some(AnswerFlaw::MediaType(other)) => other.as_str(),
        _ => MEDIA_TYPE,
    };
    let jwt = compact(state, algorithm, caller, answer.clone(), flaw.as_ref());
    if flaw == Some(AnswerFlaw::PlainWithJwt) {
        let mut answer = answer;
        answer.insert("jwt".into(), jwt.into());
        return Answer::json(&Value::Object(answer));
    }
    Answer::new(200, jwt).header("content-type", media_type)
}

fn compact(
    state: &State,
    algorithm: Algorithm,
    caller: Option<&str>,
    answer: Map<String, Value>,
    flaw: Option<&AnswerFlaw>,
) -> String {
    let algorithm = match flaw {
        Some(AnswerFlaw::Algorithm(other)) => *other,
        _ => algorithm,
    };
    let key = state.keys().of_algorithm(algorithm);
    let claims = json!(claims(state, caller, answer, flaw));
    let header = json!({ "typ": "token-introspection+jwt" });
    let mut forge = TokenForge::new(header.to_string(), claims.to_string()).for_key(&key);
    if let Some(AnswerFlaw::Type(typ)) = flaw {
        forge = match typ {
            Some(typ) => forge.header("typ", typ.as_str()),
            None => forge.without_header("typ"),
        };
    }
    match flaw {
        Some(AnswerFlaw::Unsigned) => forge.header("alg", "none").unsigned(),
        Some(AnswerFlaw::BadSignature) => forge.sign_then(&key, |mut signature| {
            if let Some(byte) = signature.last_mut() {
                *byte ^= 1;
            }
            signature
        }),
        Some(AnswerFlaw::ForeignKey) => forge.sign(&SigningKey::generate(algorithm)),
        Some(AnswerFlaw::UnknownKey) => {
            let stranger = SigningKey::generate(algorithm).with_kid("nobody-publishes-it");
            forge.for_key(&stranger).sign(&stranger)
        }
        Some(AnswerFlaw::Encrypted) => {
            let header = json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT" });
            let sealed = base64url(forge.sign(&key));
            format!("{}.AAAA.AAAA.{sealed}.AAAA", base64url(header.to_string()))
        }
        Some(AnswerFlaw::Text(text)) => text.clone(),
        _ => forge.sign(&key),
    }
}

fn claims(
    state: &State,
    caller: Option<&str>,
    mut answer: Map<String, Value>,
    flaw: Option<&AnswerFlaw>,
) -> Map<String, Value> {
    let now = state.unix_seconds();
    let issued_at = match flaw {
        Some(AnswerFlaw::IssuedAgo(age)) => now.saturating_sub(seconds(*age)),
        Some(AnswerFlaw::IssuedIn(wait)) => now.saturating_add(seconds(*wait)),
        _ => now,
    };
    let mut claims = Map::new();
    claims.insert("iss".into(), state.issuer.as_str().into());
    claims.insert("aud".into(), caller.unwrap_or(&state.settings.audience).into());
    claims.insert("iat".into(), issued_at.into());
    if flaw == Some(&AnswerFlaw::AnswerOutside) {
        answer.append(&mut claims); // these of the JWT stay what they are
        return answer;
    }
    if flaw == Some(&AnswerFlaw::ActiveOutside) {
        claims.extend(answer.remove("active").map(|active| ("active".to_owned(), active)));
    }
    claims.insert("token_introspection".into(), Value::Object(answer));
    if let Some(AnswerFlaw::Claims(Value::Object(others))) = flaw {
        for (name, value) in others {
            if value.is_null() {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
    }
    claims
}

fn seconds(d: Duration) -> i64 {
    i64::try_from(d.as_secs()).unwrap_or(i64::MAX)
}
