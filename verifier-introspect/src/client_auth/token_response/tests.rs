use http::HeaderValue;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use proptest::prelude::*;
use verifier_core::error::UnavailableReason as U;

use super::*;

fn answer(status: u16, body: &str) -> Result<Granted, Unavailable> {
    answer_as(status, "application/json;charset=UTF-8", body)
}

fn answer_as(status: u16, kind: &'static str, body: &str) -> Result<Granted, Unavailable> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), WallTime::EPOCH)
}

fn granted(token: &str, seconds: Option<u64>) -> Result<Granted, Unavailable> {
    Ok(Granted { token: Secret::new(token), lifetime: seconds.map(Duration::from_secs) })
}

#[test]
fn a_bearer_token_is_read() {
    for (body, seconds) in [
        (r#"{"access_token":"t","token_type":"Bearer","expires_in":300,"x":[1]}"#, Some(300)),
        (r#"{"access_token":"t","token_type":"bearer","expires_in":"299"}"#, Some(299)),
        (r#"{"access_token":"t","token_type":"BEARER","expires_in":0}"#, Some(0)),
        (r#"{"access_token":"t","token_type":"Bearer"}"#, None),
        (r#"{"access_token":"t","token_type":"Bearer","expires_in":null}"#, None),
    ] {
        assert_eq!(answer(200, body), granted("t", seconds), "{body}");
    }
}

#[test]
fn what_is_no_bearer_token_is_our_trouble() {
    for (body, reason) in [
        ("", U::UnreadableAnswer),
        ("[true]", U::UnreadableAnswer),
        ("{}", U::UnreadableAnswer),
        (r#"{"access_token":"t"}"#, U::UnreadableAnswer),
        (r#"{"access_token":"","token_type":"Bearer"}"#, U::UnreadableAnswer),
        (r#"{"access_token":"a b","token_type":"Bearer"}"#, U::UnreadableAnswer),
        (r#"{"access_token":"a\r\nb: c","token_type":"Bearer"}"#, U::UnreadableAnswer),
        (r#"{"access_token":1,"token_type":"Bearer"}"#, U::UnreadableAnswer),
        (r#"{"access_token":"t","token_type":"Bearer","expires_in":-1}"#, U::UnreadableAnswer),
        (r#"{"access_token":"t","token_type":"Bearer","expires_in":"soon"}"#, U::UnreadableAnswer),
        (r#"{"access_token":"t","token_type":"Bearer","access_token":"u"}"#, U::UnreadableAnswer),
        (r#"{"access_token":"t","token_type":"DPoP"}"#, U::Misconfigured),
        (r#"{"access_token":"t","token_type":"N_A"}"#, U::Misconfigured),
    ] {
        assert_eq!(answer(200, body), Err(reason.into()), "{body}");
    }
    let page = answer_as(200, "text/html", r#"{"access_token":"t","token_type":"Bearer"}"#);
    assert_eq!(page, Err(U::UnreadableAnswer.into()));
}

#[test]
fn every_status_has_its_reason() {
    for (status, body, reason) in [
        (401, r#"{"error":"invalid_client"}"#, U::CredentialsRefused),
        (401, "", U::CredentialsRefused),
        (403, "<html>", U::CredentialsRefused),
        (400, r#"{"error":"invalid_client"}"#, U::CredentialsRefused),
        (400, r#"{"error":"unauthorized_client"}"#, U::CredentialsRefused),
        (400, r#"{"error":"invalid_scope"}"#, U::Misconfigured),
        (400, "", U::Misconfigured),
        (404, "", U::Misconfigured),
        (413, "", U::Misconfigured),
        (302, "", U::Redirected),
        (408, "", U::TimedOut),
        (429, "", U::RateLimited),
        (500, "", U::ServerError),
        (201, "", U::UnreadableAnswer),
        (204, "", U::UnreadableAnswer),
    ] {
        assert_eq!(answer(status, body).unwrap_err().reason(), reason, "{status} {body}");
    }
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
    let busy = read(StatusCode::SERVICE_UNAVAILABLE, &headers, b"", WallTime::EPOCH).unwrap_err();
    assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
}

proptest! {
    /// No answer says that a token is refused, inactive or anything else about it.
    #[test]
    fn no_answer_blames_a_token(status in 100_u16..1_000, body in any::<Vec<u8>>()) {
        let outcome = read(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &body, WallTime::EPOCH);
        if let Err(why) = outcome {
            prop_assert_ne!(why.reason(), U::RefusedByServer);
        }
    }
}
