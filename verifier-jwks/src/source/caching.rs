//! What a response says about its own age (RFC 9111).

use std::time::Duration;

use http::{HeaderMap, header};

/// For how long a response is current (RFC 9111 §4.2.1), its time in caches on the way taken off; `None` if it doesn't
/// say. What is malformed, or not to be stored at all, is current for no time.
pub(super) fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lifetime = cache_control(headers).or_else(|| expires(headers))?;
    Some(lifetime.saturating_sub(age(headers)))
}

/// How long the server asks to be left alone (RFC 9110 §10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    seconds(value).or_else(|| {
        let until = httpdate::parse_http_date(value).ok()?;
        Some(until.duration_since(date(headers, header::DATE)?).unwrap_or_default())
    })
}

fn cache_control(headers: &HeaderMap) -> Option<Duration> {
    let mut said: Option<Duration> = None;
    for value in headers.get_all(header::CACHE_CONTROL) {
        let Ok(value) = value.to_str() else { return Some(Duration::ZERO) };
        for directive in value.split(',') {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let name = name.trim();
            let lifetime = if name.eq_ignore_ascii_case("max-age") {
                seconds(argument.trim().trim_matches('"')).unwrap_or_default()
            } else if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
                Duration::ZERO
            } else {
                continue;
            };
            said = Some(said.map_or(lifetime, |earlier| earlier.min(lifetime)));
        }
    }
    said
}

/// Without `Date` there is nothing to compare `Expires` with but a clock of ours, which may be off.
fn expires(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::EXPIRES)?;
    let Some(expires) = date(headers, header::EXPIRES) else { return Some(Duration::ZERO) };
    Some(expires.duration_since(date(headers, header::DATE)?).unwrap_or_default())
}

fn age(headers: &HeaderMap) -> Duration {
    let value = headers.get(header::AGE).and_then(|value| value.to_str().ok());
    value.and_then(|value| seconds(value.trim())).unwrap_or_default()
}

fn date(headers: &HeaderMap, name: header::HeaderName) -> Option<std::time::SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// RFC 9111 §1.2.2: what is too great counts as very great.
fn seconds(text: &str) -> Option<Duration> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn age_of(list: &[(&'static str, &str)]) -> Option<u64> {
        max_age(&headers(list)).map(|age| age.as_secs())
    }

    #[test]
    fn the_shortest_word_counts() {
        assert_eq!(age_of(&[]), None);
        assert_eq!(age_of(&[("cache-control", "public, Max-Age=300")]), Some(300));
        assert_eq!(age_of(&[("cache-control", "max-age=\"300\"")]), Some(300));
        assert_eq!(age_of(&[("cache-control", "max-age=300"), ("cache-control", "max-age=20")]), Some(20));
        assert_eq!(age_of(&[("cache-control", "no-store")]), Some(0));
        assert_eq!(age_of(&[("cache-control", "max-age=300, no-cache")]), Some(0));
        assert_eq!(age_of(&[("cache-control", "public")]), None);
        assert_eq!(age_of(&[("cache-control", "max-age=-5")]), Some(0));
        assert_eq!(age_of(&[("cache-control", "max-age=soon")]), Some(0));
        assert_eq!(
            age_of(&[("cache-control", "max-age=99999999999999999999999")]),
            Some(u64::from(u32::MAX))
        );
        assert_eq!(age_of(&[("cache-control", "max-age=300"), ("age", "100")]), Some(200));
        assert_eq!(age_of(&[("cache-control", "max-age=300"), ("age", "400")]), Some(0));
    }

    #[test]
    fn expires_is_compared_with_the_servers_own_date() {
        let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(age_of(&[date, ("expires", "Wed, 21 Oct 2026 07:38:00 GMT")]), Some(600));
        assert_eq!(age_of(&[date, ("expires", "Wed, 21 Oct 2026 07:18:00 GMT")]), Some(0));
        assert_eq!(age_of(&[("expires", "Wed, 21 Oct 2026 07:38:00 GMT")]), None);
        assert_eq!(age_of(&[date, ("expires", "0")]), Some(0));
        assert_eq!(
            age_of(&[date, ("expires", "Wed, 21 Oct 2026 07:38:00 GMT"), ("cache-control", "max-age=5")]),
            Some(5)
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(&headers(&[("retry-after", "7")])), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after(&headers(&[
                ("date", "Wed, 21 Oct 2026 07:28:00 GMT"),
                ("retry-after", "Wed, 21 Oct 2026 07:28:09 GMT")
            ])),
            Some(Duration::from_secs(9))
        );
        assert_eq!(retry_after(&headers(&[("retry-after", "-7")])), None);
        assert_eq!(retry_after(&headers(&[])), None);
    }
}
