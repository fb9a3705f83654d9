//! The token response (RFC 6749 §5.1, §5.2): pure. Whatever isn't a bearer token is our trouble, and never says anything
//! about the token that is to be introspected.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::json::{Json, JsonLimits, Number, Object};
use verifier_core::secret::Secret;
use verifier_core::time::WallTime;

use crate::response::{blames_client, is_json, retry_after};

/// What the token endpoint gave.
#[derive(Debug, PartialEq)]
pub(super) struct Granted {
    pub(super) token: Secret,
    /// Its `expires_in`; `None` if it doesn't say.
    pub(super) lifetime: Option<Duration>,
}

/// Reads a response.
///
/// - `CredentialsRefused`: 401, 403, or a 400 that says `invalid_client` or `unauthorized_client`.
/// - `Misconfigured`: every other 4xx, whatever it says: scope, resource, grant and address are our settings, and no
///   token of a caller's is in this request; and a token that isn't a bearer token.
/// - `UnreadableAnswer`: a 200 without a token response, another success.
/// - `Redirected`, `TimedOut`, `RateLimited`, `ServerError` as at the introspection endpoint.
pub(super) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: WallTime,
) -> Result<Granted, Unavailable> {
    let reason = match status.as_u16() {
        200 if is_json(headers) => return read_grant(body).map_err(Unavailable::new),
        300..=399 => UnavailableReason::Redirected,
        401 | 403 => UnavailableReason::CredentialsRefused,
        400 if blames_client(body) => UnavailableReason::CredentialsRefused,
        408 => UnavailableReason::TimedOut,
        429 => UnavailableReason::RateLimited,
        400..=499 => UnavailableReason::Misconfigured,
        500..=599 => UnavailableReason::ServerError,
        _ => UnavailableReason::UnreadableAnswer,
    };
    let unavailable = Unavailable::new(reason);
    Err(match retry_after(headers, now).filter(|_| matches!(status.as_u16(), 429 | 503)) {
        Some(after) => unavailable.retry_in(after),
        None => unavailable,
    })
}

fn read_grant(body: &[u8]) -> Result<Granted, UnavailableReason> {
    const UNREADABLE: UnavailableReason = UnavailableReason::UnreadableAnswer;
    let answer = Object::parse(body, JsonLimits::CLAIMS).map_err(|_| UNREADABLE)?;
    let text = |name: &str| answer.get(name).and_then(Json::as_str).ok_or(UNREADABLE);
    let token = text("access_token")?;
    // RFC 6750 §2.1 is narrower; what a header can't hold, or would be read as two, is no token.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
        return Err(UNREADABLE);
    }
    if !text("token_type")?.eq_ignore_ascii_case("bearer") {
        return Err(UnavailableReason::Misconfigured); // bound to a key, most likely, and we have none
    }
    let lifetime = match answer.get("expires_in") {
        None | Some(Json::Null) => None,
        Some(Json::Number(Number::Unsigned(seconds))) => Some(*seconds),
        // As several servers write it.
        Some(Json::String(digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| UNREADABLE)?)
        }
        Some(_) => return Err(UNREADABLE),
    };
    Ok(Granted { token: Secret::new(token), lifetime: lifetime.map(Duration::from_secs) })
}

#[cfg(test)]
mod tests;
