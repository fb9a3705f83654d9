use proptest::prelude::*;
use url::Url;

use super::{Detours, Origin};

fn detours(pairs: &[(&str, &str)]) -> Detours {
    let mut detours = Detours::default();
    for (from, to) in pairs {
        assert!(detours.add(Origin::parse(from).unwrap(), Origin::parse(to).unwrap()));
    }
    detours
}

#[test]
fn only_bare_http_origins_are_origins() {
    for text in
        ["https://idp.example.com", "https://idp.example.com/", "http://[::1]:8080", "http://127.0.0.1:1"]
    {
        assert!(Origin::parse(text).is_some(), "{text}");
    }
    for text in [
        "",
        "idp.example.com",
        "idp.example.com:443",
        "ftp://idp.example.com",
        "https://",
        "https://idp.example.com/realms",
        "https://idp.example.com?x",
        "https://idp.example.com#x",
        "https://user@idp.example.com",
        "https://user:secret@idp.example.com",
    ] {
        assert!(Origin::parse(text).is_none(), "{text}");
    }
}

#[test]
fn spellings_of_one_origin_are_equal() {
    assert_eq!(Origin::parse("https://IDP.example.com:443/"), Origin::parse("https://idp.example.com"));
    assert_ne!(Origin::parse("https://idp.example.com"), Origin::parse("http://idp.example.com"));
    assert_ne!(Origin::parse("https://idp.example.com"), Origin::parse("https://idp.example.com:8443"));
}

#[test]
fn a_detour_changes_the_origin_and_keeps_the_rest() {
    let detours = detours(&[("https://idp.example.com", "http://keycloak:8080")]);
    let mut url = Url::parse("https://idp.example.com/realms/main/certs?x=1").unwrap();
    let host = detours.take(&mut url).unwrap();
    assert_eq!(url.as_str(), "http://keycloak:8080/realms/main/certs?x=1");
    assert_eq!(host, "idp.example.com");
}

#[test]
fn the_host_header_names_an_unusual_port() {
    let detours = detours(&[("http://idp.example.com:8000", "https://[::1]")]);
    let mut url = Url::parse("http://idp.example.com:8000/a").unwrap();
    assert_eq!(detours.take(&mut url).unwrap(), "idp.example.com:8000");
    assert_eq!(url.as_str(), "https://[::1]/a");
}

#[test]
fn other_origins_are_left_alone() {
    let detours = detours(&[("https://idp.example.com", "http://keycloak:8080")]);
    for text in
        ["http://idp.example.com/", "https://idp.example.com:8443/", "https://idp.example.com.evil.test/"]
    {
        let mut url = Url::parse(text).unwrap();
        assert!(detours.take(&mut url).is_none(), "{text}");
        assert_eq!(url.as_str(), text);
    }
}

#[test]
fn an_origin_has_one_detour() {
    let mut detours = detours(&[("https://idp.example.com", "http://a")]);
    let origin = |text| Origin::parse(text).unwrap();
    assert!(!detours.add(origin("https://idp.example.com:443"), origin("http://b")));
}

proptest! {
    #[test]
    fn a_detour_ends_at_its_target(
        from_tls: bool, to_tls: bool, from_port in 1u16.., to_port in 1u16.., path in "(/[a-z]{1,5}){0,3}"
    ) {
        let scheme = |tls| if tls { "https" } else { "http" };
        let from = format!("{}://a.test:{from_port}", scheme(from_tls));
        let to = format!("{}://b.test:{to_port}", scheme(to_tls));
        let mut url = Url::parse(&format!("{from}{path}")).unwrap();
        let path = url.path().to_owned();

        prop_assert!(detours(&[(&from, &to)]).take(&mut url).is_some());

        prop_assert_eq!(Origin::of(&url), Origin::parse(&to));
        prop_assert_eq!(url.path(), path);
    }
}
