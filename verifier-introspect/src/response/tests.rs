use proptest::prelude::*;

use super::*;

const NOW: WallTime = WallTime::from_unix_seconds(1_767_225_600); // 2026-01-01T00:00:00Z

fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in list {
        map.append(*name, value.parse().unwrap());
    }
    map
}

fn answer(status: u16, body: &str) -> Result<Reading, Unavailable> {
    let headers = headers(&[("content-type", "application/json")]);
    read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), NOW)
}

fn reason(status: u16, body: &str) -> UnavailableReason {
    answer(status, body).unwrap_err().reason()
}

#[test]
fn only_a_boolean_active_says_anything() {
    let Ok(Reading::Active(object)) = answer(200, r#"{"active":true,"sub":"a"}"#) else { panic!() };
    assert_eq!(object.get("sub").and_then(Json::as_str), Some("a"));
    // H04: the rest of an inactive answer is ignored, oddities included.
    assert_eq!(answer(200, r#"{"exp":null,"sub":7,"active":false}"#), Ok(Reading::Inactive));
    // H01, H02
    for body in [
        r#"{"active":"true"}"#,
        r#"{"active":1}"#,
        r#"{"active":null}"#,
        r#"{"active":"false"}"#,
        r#"{"active":[true]}"#,
        r#"{"Active":true}"#,
        r"{}",
        r#"{"active":true,"active":true}"#,
        r#"{"active":false,"active":true}"#,
        r#"{"active":true,"active":false}"#,
        r#"{"active":false,"a":{"b":1,"b":2}}"#,
        r"[true]",
        r#"[{"active":true}]"#,
        r#""active""#,
        "true",
        "null",
        "",
        " ",
        r#"{"active":true"#,
        r#"{"active":true}{}"#,
        "<html>active</html>",
        "\u{feff}{\"active\":true}",
    ] {
        assert_eq!(reason(200, body), UnavailableReason::UnreadableAnswer, "{body}");
    }
}

#[test]
fn only_json_is_read() {
    let body = br#"{"active":true}"#;
    let read = |types: &[(&'static str, &str)]| read(StatusCode::OK, &headers(types), body, NOW);
    for kind in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json;charset=utf-8",
        "application/introspection+json",
    ] {
        assert!(matches!(read(&[("content-type", kind)]), Ok(Reading::Active(_))), "{kind}");
    }
    assert!(read(&[]).is_ok(), "a missing type is forgiven");
    for kind in [
        "text/html",
        "text/plain",
        "text/json",
        "application/token-introspection+jwt",
        "application/jsonp",
        "application/x-json+xml",
        "",
    ] {
        assert!(read(&[("content-type", kind)]).is_err(), "{kind}");
    }
    let twice = [("content-type", "application/json"), ("content-type", "application/json")];
    assert!(read(&twice).is_err());
}

#[test]
fn each_status_blames_the_right_one() {
    use UnavailableReason as R;
    let active = r#"{"active":true}"#;
    for (status, expected) in [
        (201, R::UnreadableAnswer),
        (202, R::UnreadableAnswer),
        (204, R::UnreadableAnswer),
        (206, R::UnreadableAnswer),
        (301, R::Redirected),
        (302, R::Redirected),
        (304, R::Redirected),
        (307, R::Redirected),
        (400, R::RefusedByServer),
        (401, R::CredentialsRefused),
        (403, R::CredentialsRefused),
        (404, R::Misconfigured),
        (405, R::Misconfigured),
        (406, R::RefusedByServer),
        (408, R::TimedOut),
        (410, R::Misconfigured),
        (413, R::RefusedByServer),
        (414, R::RefusedByServer),
        (422, R::RefusedByServer),
        (429, R::RateLimited),
        (431, R::RefusedByServer),
        (500, R::ServerError),
        (502, R::ServerError),
        (503, R::ServerError),
        (599, R::ServerError),
        (999, R::UnreadableAnswer),
    ] {
        assert_eq!(reason(status, active), expected, "{status}");
        assert_eq!(reason(status, ""), expected, "{status}");
    }
    // R21
    for error in ["invalid_client", "unauthorized_client"] {
        assert_eq!(reason(400, &format!(r#"{{"error":"{error}"}}"#)), R::CredentialsRefused);
    }
    for body in [r#"{"error":"invalid_request"}"#, r#"{"error":["invalid_client"]}"#, r#"["invalid_client"]"#]
    {
        assert_eq!(reason(400, body), R::RefusedByServer);
    }
}

#[test]
fn the_server_says_when_to_come_back() {
    let after = |status: u16, value: &str| {
        read(StatusCode::from_u16(status).unwrap(), &headers(&[("retry-after", value)]), b"", NOW)
            .unwrap_err()
            .retry_after()
    };
    assert_eq!(after(429, "7"), Some(Duration::from_secs(7)));
    assert_eq!(after(503, " 0 "), Some(Duration::ZERO));
    assert_eq!(after(503, "Thu, 01 Jan 2026 00:00:30 GMT"), Some(Duration::from_secs(30)));
    assert_eq!(after(503, "Wed, 31 Dec 2025 23:59:59 GMT"), Some(Duration::ZERO));
    for endless in ["99999999999999999999999999", "86400", "Fri, 01 Jan 2027 00:00:00 GMT"] {
        assert_eq!(after(429, endless), Some(MAX_RETRY_AFTER), "{endless}");
    }
    for nonsense in ["", "-1", "soon", "1.5", "+3"] {
        assert_eq!(after(429, nonsense), None, "{nonsense}");
    }
    // Nobody else's word counts.
    assert_eq!(after(500, "7"), None);
    assert_eq!(after(400, "7"), None);
}

#[test]
fn an_object_beyond_the_limits_is_told_from_what_is_no_answer() {
    let deep = "[".repeat(40) + &"]".repeat(40);
    assert_eq!(answer(200, &format!("{{\"active\":true,\"ext\":{deep}}}")), Ok(Reading::Oversized));
    assert_eq!(answer(200, &deep), Err(UnavailableReason::UnreadableAnswer.into()));
    assert!(answer(500, &format!("{{\"ext\":{deep}}}")).is_err());
}

proptest! {
    #[test]
    fn anything_is_read_without_a_panic_and_only_200_is_an_answer(
        status in 100_u16..1000,
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        prop_assert!(read(status, &HeaderMap::new(), &body, NOW).is_err(), "random bytes are no answer");
        let good = read(status, &HeaderMap::new(), br#"{"active":true}"#, NOW);
        prop_assert_eq!(good.is_ok(), status == StatusCode::OK);
    }

    #[test]
    fn active_is_read_where_it_stands(
        before in proptest::collection::btree_map("[b-z]{1,6}", "[ -!#-\\[\\]-~]{0,8}", 0..5),
        active in any::<bool>(),
        at in 0_usize..6,
    ) {
        let mut members: Vec<String> =
            before.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        members.insert(at.min(members.len()), format!("\"active\":{active}"));
        let read = answer(200, &format!("{{{}}}", members.join(","))).unwrap();
        match read {
            Reading::Active(object) => {
                prop_assert!(active);
                prop_assert_eq!(object.len(), before.len() + 1);
            }
            Reading::Inactive => prop_assert!(!active),
            Reading::Oversized => prop_assert!(false, "a small object"),
        }
    }
}
