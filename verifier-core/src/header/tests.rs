use super::*;

fn read(text: &str) -> Result<JoseHeader, Rejection> {
    JoseHeader::parse(text.as_bytes())
}

#[test]
fn an_ordinary_header_is_read() {
    let header =
        read(r#"{"typ":"at+jwt","alg":"RS256","kid":"k1","iss":"https://as","aud":["a"],"x":{"y":null}}"#)
            .unwrap();
    assert_eq!(header.algorithm(), Some(Algorithm::Rs256));
    assert_eq!(header.algorithm_name(), "RS256");
    assert_eq!(header.kid(), Some("k1"));
    assert_eq!(header.typ(), Some("at+jwt"));
    let replicated: Vec<_> = header.replicated_claims().collect();
    assert_eq!(replicated.len(), 2);
    assert_eq!(replicated[0], ("iss", &Json::String("https://as".into())));
    assert_eq!(replicated[1].0, "aud");
}

#[test]
fn none_is_refused_however_it_is_spelled() {
    for alg in
        ["none", "None", "NONE", "nOnE", "none ", " none", "none\\u0000", "\\tnone\\n", "'none'", "no ne"]
    {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        assert_eq!(read(&header), Err(Rejection::AlgorithmNotAllowed), "{header}");
    }
}

#[test]
fn alg_must_be_a_name() {
    for header in [
        r"{}",
        r#"{"alg":null}"#,
        r#"{"alg":""}"#,
        r#"{"alg":1}"#,
        r#"{"alg":["RS256"]}"#,
        r#"{"alg":{}}"#,
        r#"{"alg":true}"#,
    ] {
        assert_eq!(read(header), Err(Rejection::MalformedHeader), "{header}");
    }
}

#[test]
fn an_unknown_alg_is_left_to_the_strategies() {
    for alg in ["rs256", "Rs256", "es256", " RS256", "RS256 ", "ES256K", "dir", "ＲＳ256"] {
        let header = read(&format!(r#"{{"alg":"{alg}"}}"#)).unwrap();
        assert_eq!(header.algorithm(), None);
        assert_eq!(header.algorithm_name(), alg);
    }
}

#[test]
fn what_changes_the_meaning_of_a_token_is_refused() {
    for parameter in [
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":"x""#,
        r#""crit":["x","x"],"x":1"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""zip":"DEF""#,
        r#""enc":"A128GCM""#,
        r#""p2c":1000000"#,
        r#""p2s":"x""#,
        r#""cty":"JWT""#,
        r#""cty":"jwt""#,
        r#""cty":"application/JWT""#,
        r#""cty":7"#,
        r#""typ":7"#,
        r#""typ":null"#,
        r#""kid":7"#,
        r#""kid":null"#,
        r#""kid":["k"]"#,
        r#""alg":"RS256""#,
        r#""\u0061lg":"none""#,
    ] {
        let header = format!(r#"{{"alg":"RS256",{parameter}}}"#);
        assert_eq!(read(&header), Err(Rejection::MalformedHeader), "{header}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let deep = format!(r#"{{"alg":"RS256","x":{}{}}}"#, "[".repeat(16), "]".repeat(16));
    let wide: String = (0..70).map(|i| format!(r#","x{i}":0"#)).collect();
    let wide = format!(r#"{{"alg":"RS256"{wide}}}"#);
    for header in [
        "",
        "[]",
        "null",
        r#""alg""#,
        r#"[{"alg":"RS256"}]"#,
        r#"{"alg":"RS256"}x"#,
        "\u{feff}{\"alg\":\"RS256\"}",
        &deep,
        &wide,
    ] {
        assert_eq!(read(header), Err(Rejection::MalformedHeader), "{header}");
    }
}

#[test]
fn kid_is_bounded_and_empty_is_absent() {
    let with = |kid: &str| read(&format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#));
    assert_eq!(with("").unwrap().kid(), None);
    assert_eq!(with(&"k".repeat(1024)).unwrap().kid().map(str::len), Some(1024));
    assert_eq!(with(&"k".repeat(1025)), Err(Rejection::MalformedHeader));
    // Whatever else it says, it is only compared.
    for kid in ["../../etc/passwd", "' or 1=1", "a\\r\\nb", "a\\u0000"] {
        assert!(with(kid).unwrap().kid().is_some());
    }
}

#[test]
fn keys_in_the_header_are_never_looked_at() {
    let with =
        read(r#"{"alg":"ES256","jwk":{"kty":"oct"},"jku":7,"x5u":"http://evil","x5c":["x"],"x5t":null}"#);
    assert_eq!(with, read(r#"{"alg":"ES256"}"#));
}

#[test]
fn types_are_media_types() {
    let is = |typ: &str, expected: &str| {
        read(&format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#)).unwrap().is_type(expected)
    };
    for typ in ["at+jwt", "AT+JWT", "at+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert!(is(typ, "at+jwt"), "{typ}");
    }
    for typ in [
        "",
        "JWT",
        "at+jwt ",
        "at+jwt;v=1",
        "application/",
        "application/application/at+jwt",
        "text/at+jwt",
        "äpplicätion/at+jwt",
    ] {
        assert!(!is(typ, "at+jwt"), "{typ}");
    }
    assert!(!read(r#"{"alg":"RS256"}"#).unwrap().is_type("at+jwt"));
}

#[test]
fn debug_shows_no_text_of_the_token() {
    let header = read(r#"{"alg":"HS999","kid":"canary","typ":"canary","iss":"canary"}"#).unwrap();
    assert!(!format!("{header:?}").contains("canary"));
}
