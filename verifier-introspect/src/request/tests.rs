use verifier_core::secret::Secret;
use verifier_core::time::WallTime;

use super::*;
use crate::client_auth::{Aim, ClientAuth, Direct};

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn build(form: &RequestForm, auth: ClientAuth, token: &str) -> Request<Bytes> {
    let endpoint = Uri::from_static("https://idp.example/introspect?x=1");
    let aim = Aim { issuer: "https://idp.example", endpoint: &endpoint, now: WallTime::EPOCH };
    let presented = Direct::load(auth).unwrap().present(&aim).unwrap();
    form.request(&endpoint, token, &presented)
}

#[test]
fn the_request_is_the_one_of_rfc_7662() {
    let form = RequestForm::new(true, &[], &[]).unwrap();
    let request = build(&form, ClientAuth::basic("me", Secret::new("s")), "a+b/c=~.-_");
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri(), "https://idp.example/introspect?x=1");
    assert_eq!(request.body(), "token=a%2Bb%2Fc%3D~.-_&token_type_hint=access_token");
    let header = |name: HeaderName| request.headers().get(name).unwrap().to_str().unwrap();
    assert_eq!(header(header::CONTENT_TYPE), "application/x-www-form-urlencoded");
    assert_eq!(header(header::ACCEPT), "application/json");
    assert_eq!(header(header::CACHE_CONTROL), "no-store");
    assert_eq!(header(header::AUTHORIZATION), "Basic bWU6cw==");
    assert!(request.headers().get(header::AUTHORIZATION).unwrap().is_sensitive());
}

#[test]
fn a_token_can_add_no_parameter() {
    let form = RequestForm::new(false, &[], &[]).unwrap();
    let request = build(&form, ClientAuth::None, "x&token=y&client_id=z%00");
    assert_eq!(request.body(), "token=x%26token%3Dy%26client_id%3Dz%2500");
    assert!(request.headers().get(header::AUTHORIZATION).is_none());
}

#[test]
fn parameters_headers_and_posted_credentials_are_encoded() {
    let form = RequestForm::new(
        false,
        &pairs(&[("scope", "a:read b")]),
        &pairs(&[("x-tenant", "blue"), ("X-Tenant", "red")]),
    )
    .unwrap();
    let request = build(&form, ClientAuth::post("me & you", Secret::new("s=")), "t");
    assert_eq!(request.body(), "token=t&client_id=me%20%26%20you&client_secret=s%3D&scope=a%3Aread%20b");
    let tenants: Vec<_> = request.headers().get_all("x-tenant").iter().collect();
    assert_eq!(tenants, ["blue", "red"]);
    assert!(tenants.iter().all(|value| value.is_sensitive()));
}

#[test]
fn names_that_are_ours_are_refused() {
    for name in ["token", "client_secret", "client_id", "token_type_hint", ""] {
        let error = RequestForm::new(true, &pairs(&[(name, "x")]), &[]).unwrap_err();
        assert_eq!(error, BuildError::ReservedParameter { name: name.into() });
    }
    for name in ["Authorization", "content-type", "Host", "accept"] {
        let error = RequestForm::new(true, &[], &pairs(&[(name, "x")])).unwrap_err();
        assert_eq!(error, BuildError::ReservedHeader { name: name.into() });
    }
    for (name, value) in [("a b", "x"), ("x", "a\r\nb: c")] {
        let error = RequestForm::new(true, &[], &pairs(&[(name, value)])).unwrap_err();
        assert_eq!(error, BuildError::InvalidHeader { name: name.into() });
    }
}
