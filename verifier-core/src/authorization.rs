//! The `Authorization` header's value (RFC 9110 §11.6.2, RFC 6750 §2.1, RFC 9449 §7.1).

use crate::error::Rejection;
use crate::verifier::Scheme;

/// A token with the scheme that it came by. `Debug` shows no token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The token: one word of visible ASCII, not yet judged.
    pub token: &'a str,
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("scheme", &self.scheme).field("token", &"[redacted]").finish()
    }
}

/// Reads all the values of `Authorization` that a request has.
///
/// # Errors
/// [`Rejection::NoCredentials`] if there is no value, or one of a scheme that isn't ours; [`Rejection::MalformedRequest`]
/// if there are several, or the value isn't a scheme, spaces and one b64token.
pub fn credentials<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Credentials<'a>, Rejection> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(Rejection::NoCredentials)?;
    if values.next().is_some() {
        return Err(Rejection::MalformedRequest);
    }
    // Visible ASCII and spaces only: what else there may be in a field value has no place in ours.
    let text = std::str::from_utf8(value).map_err(|_| Rejection::MalformedRequest)?;
    if !text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return Err(Rejection::MalformedRequest);
    }
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    // RFC 9110 §11.1: the scheme is case-insensitive.
    let scheme = if name.eq_ignore_ascii_case("Bearer") {
        Scheme::Bearer
    } else if name.eq_ignore_ascii_case("DPoP") {
        Scheme::Dpop
    } else if is_scheme(name) {
        return Err(Rejection::NoCredentials);
    } else {
        return Err(Rejection::MalformedRequest);
    };
    let token = rest.trim_start_matches(' ');
    if !is_b64token(token) {
        return Err(Rejection::MalformedRequest);
    }
    Ok(Credentials { scheme, token })
}

/// RFC 9110 §5.6.2: 1*tchar.
fn is_scheme(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// RFC 6750 §2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=".
fn is_b64token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<(Scheme, String), Rejection> {
        credentials(values.iter().map(|value| value.as_bytes()))
            .map(|found| (found.scheme, found.token.to_owned()))
    }

    #[test]
    fn scheme_is_case_insensitive() {
        for value in ["Bearer abc", "bearer abc", "BEARER abc", "bEaReR   abc"] {
            assert_eq!(read(&[value]), Ok((Scheme::Bearer, "abc".into())), "{value}");
        }
        assert_eq!(read(&["dpop abc=="]), Ok((Scheme::Dpop, "abc==".into())));
    }

    #[test]
    fn absent_and_foreign_credentials_are_none() {
        assert_eq!(read(&[]), Err(Rejection::NoCredentials));
        assert_eq!(read(&["Basic dXNlcjpwYXNz"]), Err(Rejection::NoCredentials));
    }

    #[test]
    fn malformed_and_ambiguous_credentials_are_400() {
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a,b",
            "Bearer a, Bearer b",
            "Bearer\ta",
            "Bearer a\u{a0}",
            "Bearer =",
            "Bearer a=b",
            "Bearer \"a\"",
            " Bearer a",
            "Bearer a ",
        ] {
            assert_eq!(read(&[value]), Err(Rejection::MalformedRequest), "{value:?}");
        }
        assert_eq!(read(&["Bearer a", "Bearer a"]), Err(Rejection::MalformedRequest));
        assert_eq!(credentials([&b"Bearer \xff"[..]]), Err(Rejection::MalformedRequest));
    }
}
