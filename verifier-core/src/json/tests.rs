use proptest::prelude::*;

use super::read::NUMBER_AS_MAP;
use super::*;

fn read(text: &str) -> Result<Object, JsonError> {
    Object::parse(text.as_bytes(), JsonLimits::HEADER)
}

#[test]
fn values_are_read_as_they_stand() {
    let object = read(
        r#"{"null":null,"yes":true,"n":7,"neg":-7,"f":1.5,"one":1.0,"big":18446744073709551616,
            "s":"\u00e9\ud83d\ude00\"","a":[1,[]],"o":{"x":{}}}"#,
    )
    .unwrap();
    assert_eq!(object.len(), 10);
    assert!(object.get("null").unwrap().is_null());
    assert_eq!(object.get("absent"), None);
    assert_eq!(object.get("yes").unwrap().as_bool(), Some(true));
    assert_eq!(object.get("n").unwrap().as_u64(), Some(7));
    assert_eq!(object.get("neg"), Some(&Json::Number(Number::Signed(-7))));
    assert_eq!(object.get("neg").unwrap().as_u64(), None);
    assert_eq!(object.get("f"), Some(&Json::Number(Number::Float(1.5))));
    assert_eq!(object.get("one").unwrap().as_u64(), None);
    assert_eq!(object.get("big"), Some(&Json::Number(Number::Float(18_446_744_073_709_551_616.0))));
    assert_eq!(object.get("s").unwrap().as_str(), Some("é😀\""));
    assert_eq!(object.get("a").unwrap().as_array().unwrap().len(), 2);
    assert!(object.get("o").unwrap().as_object().unwrap().get("x").unwrap().as_object().unwrap().is_empty());
    assert_eq!(object.iter().next().unwrap().0, "null");
}

#[test]
fn what_is_no_object_is_refused() {
    for text in ["[]", "[true]", "[[[", "null", "true", "1", "-1", "1.5", "\"x\"", " 7 "] {
        assert_eq!(read(text), Err(JsonError::NotAnObject), "{text}");
    }
    for text in [
        "",
        " ",
        "{",
        "}",
        "{}x",
        "{} {}",
        "{},",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "\u{feff}{}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":1e400}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\0\"}",
        "{\"a\"}",
        "{1:2}",
        "{\"a\":1 \"b\":2}",
        "{/**/}",
        "nul",
    ] {
        assert_eq!(read(text), Err(JsonError::NotJson), "{text:?}");
    }
    for bytes in
        [&b"{\"a\":\"\xff\"}"[..], b"\xff\xfe{\0}\0", b"{\"a\":\"\xc0\x80\"}", b"{\"a\":\"\xed\xa0\x80\"}"]
    {
        assert_eq!(Object::parse(bytes, JsonLimits::HEADER), Err(JsonError::NotJson));
    }
}

#[test]
fn duplicates_are_refused_at_every_level_and_in_every_spelling() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"exp":1,"\u0065xp":2}"#,
        r#"{"x":{"a":1,"b":2,"a":3}}"#,
        r#"{"x":[[{"a":1,"a":2}]]}"#,
        r#"{"":1,"":1}"#,
        r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"c":1}"#,
    ] {
        assert_eq!(read(text), Err(JsonError::DuplicateMember), "{text}");
        assert!(
            Object::parse_marking(text.as_bytes(), JsonLimits::HEADER).unwrap().repeats_members(),
            "{text}"
        );
    }
    for text in [r#"{"a":1,"A":1}"#, r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#, r#"{"a":[{"x":1},{"x":1}]}"#] {
        assert!(read(text).is_ok(), "{text}");
        assert!(
            !Object::parse_marking(text.as_bytes(), JsonLimits::HEADER).unwrap().repeats_members(),
            "{text}"
        );
    }
}

#[test]
fn depth_is_bounded_and_costs_no_stack() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(read(&nested(16)).is_ok());
    assert_eq!(read(&nested(17)), Err(JsonError::TooDeep));
    assert_eq!(read(&nested(110_000)), Err(JsonError::TooDeep));
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert!(read(&objects(16)).is_ok());
    assert_eq!(read(&objects(17)), Err(JsonError::TooDeep));
    assert_eq!(read(&objects(110_000)), Err(JsonError::TooDeep));
}

#[test]
fn members_and_elements_are_counted_together() {
    let members = |n: usize| {
        let all: Vec<_> = (0..n).map(|i| format!("\"{i}\":0")).collect();
        format!("{{{}}}", all.join(","))
    };
    assert!(read(&members(64)).is_ok());
    assert_eq!(read(&members(65)), Err(JsonError::TooMany));
    let elements = |n: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(n - 1));
    assert!(read(&elements(63)).is_ok());
    assert_eq!(read(&elements(64)), Err(JsonError::TooMany));
}

#[test]
fn a_number_in_the_disguise_of_arbitrary_precision_is_a_number() {
    // Another crate's feature must not turn numbers into objects.
    let disguised = |text: &str| read(&format!("{{\"a\":{{\"{NUMBER_AS_MAP}\":\"{text}\"}}}}"));
    let value = |text: &str| disguised(text).unwrap().get("a").cloned();
    assert_eq!(value("12"), Some(Json::Number(Number::Unsigned(12))));
    assert_eq!(value("-12"), Some(Json::Number(Number::Signed(-12))));
    assert_eq!(value("1.5e1"), Some(Json::Number(Number::Float(15.0))));
    assert_eq!(value("-0"), read(r#"{"a":-0}"#).unwrap().get("a").cloned());
    assert_eq!(value("-0"), Some(Json::Number(Number::Float(-0.0))));
    for text in ["1e400", "inf", "NaN", "", "x", "+1", "01", "1."] {
        assert_eq!(disguised(text), Err(JsonError::NotJson), "{text}");
    }
    assert_eq!(read(&format!("{{\"a\":{{\"{NUMBER_AS_MAP}\":\"1\",\"b\":2}}}}")), Err(JsonError::NotJson));
}

#[test]
fn pointers_follow_rfc_6901() {
    let object = read(r#"{"foo":["bar","baz"],"":0,"a/b":1,"m~n":8,"o":{"p":[{"q":true}]}}"#).unwrap();
    assert_eq!(object.pointer("/foo").unwrap().as_array().unwrap().len(), 2);
    assert_eq!(object.pointer("/foo/0").unwrap().as_str(), Some("bar"));
    assert_eq!(object.pointer("/").unwrap().as_u64(), Some(0));
    assert_eq!(object.pointer("/a~1b").unwrap().as_u64(), Some(1));
    assert_eq!(object.pointer("/m~0n").unwrap().as_u64(), Some(8));
    assert_eq!(object.pointer("/o/p/0/q").unwrap().as_bool(), Some(true));
    for pointer in
        ["", "foo", "/foo/2", "/foo/00", "/foo/-", "/foo/+1", "/m~n", "/m~", "/foo/bar/x", "/o/x/y"]
    {
        assert_eq!(object.pointer(pointer), None, "{pointer}");
    }
}

#[test]
fn debug_shows_names_and_kinds_only() {
    let object =
        read(r#"{"sub":"alice-secret","exp":12345,"ok":true,"a":["hidden",null],"o":{"in":1.5}}"#).unwrap();
    let shown = format!("{object:?}");
    assert_eq!(
        shown,
        r#"{"sub": string, "exp": number, "ok": bool, "a": [string, null], "o": {"in": number}}"#
    );
    assert_eq!(format!("{:?}", Number::Unsigned(5)), "number");
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<i32>().prop_map(|n| (f64::from(n) / 8.0).into()),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,4}", inner, 0..12)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// What both read, both read alike.
    #[test]
    fn agrees_with_serde_json(value in prop::collection::btree_map(".{0,4}", value(), 0..12)) {
        let text = serde_json::to_vec(&value).unwrap();
        let object = Object::parse(&text, JsonLimits::CLAIMS).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(serde_json::to_value(&object).unwrap(), expected);
    }

    /// We never read what serde_json refuses.
    #[test]
    fn is_no_laxer_than_serde_json(text in r#"[\[\]{}",:\\0-9eE.+\-antrulfse ]{0,24}"#) {
        if read(&text).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).is_ok());
        }
    }

    #[test]
    fn a_duplicate_among_many_is_found(n in 2_usize..40, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let mut names: Vec<String> = (0..n).map(|i| format!("m{i}")).collect();
        let (from, to) = (a.index(n), b.index(n));
        names[to] = names[from].clone();
        let text = format!("{{{}}}", names.iter().map(|n| format!("{n:?}:0")).collect::<Vec<_>>().join(","));
        let expected = if from == to { None } else { Some(JsonError::DuplicateMember) };
        prop_assert_eq!(read(&text).err(), expected);
    }
}
