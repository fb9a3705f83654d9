//! The introspection response (RFC 7662 §2.2): pure. Only a 200 with a JSON object that has a boolean `active` says
//! anything about a token; all else says something about the server, about us, or about nobody.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, StatusCode, header};
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::json::{Json, JsonError, JsonLimits, Object};
use verifier_core::time::WallTime;
use verifier_core::upstream::MAX_RETRY_AFTER;

/// What a server said of a token.
#[derive(Clone, PartialEq, Debug)]
pub enum Reading {
    /// Active; all members, `active` too.
    Active(Object),
    /// Not active. Other members are not looked at (RFC 7662 §2.2: there should be none).
    Inactive,
    /// An answer, larger or deeper than is read: what this token's claims are, and no trouble for others.
    Oversized,
}

/// Reads a response. `now` dates a `Retry-After` that is a date.
///
/// # Errors
/// [`Unavailable`], because:
/// - `UnreadableAnswer`: a 200, or another success, that is no answer: another media type, no JSON object, a member
///   twice, `active` absent or no boolean. A missing `Content-Type` is forgiven, a wrong one isn't.
/// - `CredentialsRefused`: 401, 403, or a 400 that says `invalid_client` or `unauthorized_client` (RFC 7662 §2.3,
///   RFC 6749 §5.2).
/// - `Misconfigured`: 404, 405, 410: no introspection endpoint is there.
/// - `RefusedByServer`: every other 4xx: the server won't answer for this token, which says nothing of others.
/// - `Redirected`: 3xx, also to a login page.
/// - `RateLimited`: 429; `TimedOut`: 408; `ServerError`: 5xx; with the server's `Retry-After` for 429 and 503, up to
///   [`MAX_RETRY_AFTER`].
pub fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: WallTime,
) -> Result<Reading, Unavailable> {
    let reason = match status.as_u16() {
        200 if is_json(headers) => {
            return read_answer(body).ok_or(UnavailableReason::UnreadableAnswer.into());
        }
        300..=399 => UnavailableReason::Redirected,
        401 | 403 => UnavailableReason::CredentialsRefused,
        400 if blames_client(body) => UnavailableReason::CredentialsRefused,
        404 | 405 | 410 => UnavailableReason::Misconfigured,
        408 => UnavailableReason::TimedOut,
        429 => UnavailableReason::RateLimited,
        400..=499 => UnavailableReason::RefusedByServer,
        500..=599 => UnavailableReason::ServerError,
        _ => UnavailableReason::UnreadableAnswer,
    };
    let unavailable = Unavailable::new(reason);
    Err(match retry_after(headers, now).filter(|_| matches!(status.as_u16(), 429 | 503)) {
        Some(after) => unavailable.retry_in(after),
        None => unavailable,
    })
}

fn read_answer(body: &[u8]) -> Option<Reading> {
    let answer = match Object::parse(body, JsonLimits::CLAIMS) {
        Ok(answer) => answer,
        Err(JsonError::TooDeep | JsonError::TooMany) if body.trim_ascii_start().starts_with(b"{") => {
            return Some(Reading::Oversized);
        }
        Err(_) => return None,
    };
    reading(answer)
}

/// What an answer says, wherever it stood; `None` if it doesn't say.
pub(crate) fn reading(answer: Object) -> Option<Reading> {
    match answer.get("active") {
        Some(Json::Bool(true)) => Some(Reading::Active(answer)),
        Some(Json::Bool(false)) => Some(Reading::Inactive),
        _ => None,
    }
}

/// `application/json` or `application/…+json`, with any parameters, at most once.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    if !headers.contains_key(header::CONTENT_TYPE) {
        return true;
    }
    media_type(headers).is_some_and(|kind| {
        kind.strip_prefix("application/").is_some_and(|sub| sub == "json" || sub.ends_with("+json"))
    })
}

/// The one `Content-Type` in lower case, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    Some(value.to_str().ok()?.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

pub(crate) fn blames_client(body: &[u8]) -> bool {
    Object::parse(body, JsonLimits::CLAIMS).is_ok_and(|error| {
        matches!(error.get("error").and_then(Json::as_str), Some("invalid_client" | "unauthorized_client"))
    })
}

/// RFC 9110 §10.2.3: seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: WallTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let after = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        WallTime::EPOCH.plus(date).since(now)
    };
    Some(after.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests;
