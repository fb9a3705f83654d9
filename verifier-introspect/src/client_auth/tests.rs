use std::fs;
use std::io::Write as _;

use http::Uri;
use verifier_core::time::WallTime;

use super::direct::{CannotPresent, Direct};
use super::*;

fn aim(endpoint: &Uri) -> Aim<'_> {
    Aim { issuer: "https://idp.example", endpoint, now: WallTime::from_unix_seconds(1_700_000_000) }
}

fn present_by(direct: &Direct) -> Result<Presented, CannotPresent> {
    direct.present(&aim(&Uri::from_static("https://idp.example/introspect")))
}

fn present(auth: ClientAuth) -> Presented {
    present_by(&Direct::load(auth).unwrap()).unwrap()
}

fn form(presented: &Presented) -> Vec<(String, String)> {
    presented.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn value(text: &str) -> SecretSource {
    SecretSource::Value(Secret::new(text))
}

fn header(auth: ClientAuth) -> String {
    let presented = present(auth);
    let value = presented.authorization.unwrap();
    assert!(value.is_sensitive());
    value.to_str().unwrap().to_owned()
}

#[test]
fn basic_is_form_encoded_unless_raw() {
    // RFC 7617's own example has nothing to encode.
    assert_eq!(
        header(ClientAuth::basic("Aladdin", value("open~sesame"))),
        "Basic QWxhZGRpbjpvcGVufnNlc2FtZQ=="
    );
    // "a:b" and "p w+%" become "a%3Ab" and "p%20w%2B%25".
    assert_eq!(header(ClientAuth::basic("a:b", value("p w+%"))), "Basic YSUzQWI6cCUyMHclMkIlMjU=");
    let raw = ClientAuth::Basic { client_id: "a".into(), secret: value("p w+%"), raw: true };
    assert_eq!(header(raw), "Basic YTpwIHcrJQ==");
    let raw = ClientAuth::Basic { client_id: "a:b".into(), secret: value("p"), raw: true };
    assert_eq!(Direct::load(raw).err(), Some(SecretError::ColonInClientId));
}

#[test]
fn post_goes_into_the_form_and_bearer_into_the_header() {
    let presented = present(ClientAuth::post("me", value("s")));
    assert!(presented.authorization.is_none());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(form(&presented), [pair("client_id", "me"), pair("client_secret", "s")]);
    assert_eq!(header(ClientAuth::bearer(value("t0ken"))), "Bearer t0ken");
    assert_eq!(Direct::load(ClientAuth::bearer(value("a\nb"))).err(), Some(SecretError::NotAHeaderValue));
    let none = present(ClientAuth::None);
    assert!(none.authorization.is_none() && form(&none).is_empty());
    let tls = present(ClientAuth::tls("me"));
    assert!(tls.authorization.is_none());
    assert_eq!(form(&tls), [pair("client_id", "me")]);
}

#[test]
fn what_is_missing_is_known_at_the_start_and_named() {
    assert_eq!(Direct::load(ClientAuth::basic("", value("s"))).err(), Some(SecretError::EmptyClientId));
    assert_eq!(Direct::load(ClientAuth::basic("a", value(""))).err(), Some(SecretError::EmptyValue));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("the-secret");
    let load = || Direct::load(ClientAuth::basic("a", SecretSource::File(file.clone())));
    for (content, expected) in [
        (None, "can't be read"),
        (Some(b"\n".as_slice()), "is empty"),
        (Some(b""), "is empty"),
        (Some(b"\xff"), "no UTF-8"),
        (Some(&[b'a'; 70_000]), "over 64 KiB"),
    ] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let error = load().unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("the-secret"), "{error}");
    }
}

#[test]
fn a_changed_file_is_read_again() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"first\r\n").unwrap();
    let auth = ClientAuth::post("a", SecretSource::File(file.path().into()));
    let credentials = Direct::load(auth).unwrap();
    let secret = || present_by(&credentials).map(|presented| form(&presented).remove(1).1);
    assert_eq!(secret().unwrap(), "first");
    file.write_all(b"more\n").unwrap();
    assert_eq!(secret().unwrap(), "first\r\nmore");
    fs::write(file.path(), "").unwrap();
    assert!(secret().is_err(), "an emptied file is no secret");
    fs::write(file.path(), "third").unwrap();
    assert_eq!(secret().unwrap(), "third");
}

#[test]
fn after_a_refusal_the_file_is_read_whatever_its_time_says() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "first").unwrap();
    let credentials = Direct::load(ClientAuth::bearer(SecretSource::File(file.path().into()))).unwrap();
    let sent = present_by(&credentials).unwrap();
    assert!(!credentials.renewed_since(&sent), "nothing new is there");
    // Same length, same time.
    let modified = fs::metadata(file.path()).unwrap().modified().unwrap();
    fs::write(file.path(), "other").unwrap();
    fs::File::options().write(true).open(file.path()).unwrap().set_modified(modified).unwrap();
    assert_eq!(present_by(&credentials).unwrap().authorization, sent.authorization, "the change is not seen");
    assert!(credentials.renewed_since(&sent));
    assert_eq!(present_by(&credentials).unwrap().authorization.unwrap(), "Bearer other");
    let fixed = Direct::load(ClientAuth::bearer(value("x"))).unwrap();
    assert!(!fixed.renewed_since(&present_by(&fixed).unwrap()));
}

#[test]
fn nothing_shows_a_secret() {
    let auth = ClientAuth::basic("me", value("canary-secret"));
    let shown = format!("{auth:?}");
    let credentials = Direct::load(auth).unwrap();
    let shown = format!("{shown} {credentials:?} {:?}", present_by(&credentials).unwrap());
    assert!(shown.contains("me") && !shown.contains("canary") && !shown.contains("Basic bW"), "{shown}");
}
