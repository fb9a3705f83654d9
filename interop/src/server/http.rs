//! How deeds talk to a server: forms and JSON over loopback, no redirect followed, cookies by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, header};
use serde_json::Value;
use url::form_urlencoded;
use verifier::core::transport::{HttpTransport as _, Limits};
use verifier::http::{ReqwestTransport, TransportConfig};

use super::{Trouble, failed};

/// Cookies of one browser at one server: names and values, no rules.
pub(crate) type Jar = BTreeMap<String, String>;

/// Sends requests.
#[derive(Clone, Debug)]
pub(crate) struct Http(std::sync::Arc<ReqwestTransport>);

/// An answer, whatever its status.
#[derive(Clone)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// `Location`, if there is one.
    pub(crate) location: Option<String>,
    /// The body.
    pub(crate) body: Bytes,
    cookies: Vec<(String, String)>,
}

impl Answer {
    /// The answer, if its status is 2xx.
    ///
    /// # Errors
    /// [`Trouble::Failed`] with `what`, the status and the beginning of the body.
    pub(crate) fn good(self, what: &str) -> Result<Self, Trouble> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        // Errors of token endpoints hold no token.
        let text: String = String::from_utf8_lossy(&self.body).chars().take(200).collect();
        Err(failed(format_args!("{what}: status {}: {text}", self.status)))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if it is none.
    pub(crate) fn json(&self) -> Result<Value, Trouble> {
        serde_json::from_slice(&self.body)
            .map_err(|_| failed("the server answered with something that is no JSON"))
    }

    /// A text member of the body.
    ///
    /// # Errors
    /// [`Trouble::Failed`] naming the member.
    pub(crate) fn text(&self, member: &str) -> Result<String, Trouble> {
        let text = self.json()?.get(member).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| failed(format_args!("no {member} in the server's answer")))
    }

    /// A parameter of the address that `Location` leads to.
    ///
    /// # Errors
    /// [`Trouble::Failed`] naming the parameter.
    pub(crate) fn parameter(&self, name: &str) -> Result<String, Trouble> {
        let location = self.location.as_deref().unwrap_or_default();
        parameter(location, name)
    }
}

/// A parameter of an address.
///
/// # Errors
/// [`Trouble::Failed`] naming the parameter.
pub(crate) fn parameter(address: &str, name: &str) -> Result<String, Trouble> {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .ok_or_else(|| failed(format_args!("no {name} where the server sent us")))
}

/// `Authorization: Basic`, each part form-encoded (RFC 6749 §2.3.1).
pub(crate) fn basic(client: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(client), encoded(secret))))
}

impl Http {
    /// A client without connections.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there are no roots of certificates.
    pub(crate) fn new() -> Result<Self, Trouble> {
        TransportConfig::new().build().map(|transport| Self(std::sync::Arc::new(transport))).map_err(failed)
    }

    /// GET.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there was no answer.
    pub(crate) async fn get(&self, url: &str) -> Result<Answer, Trouble> {
        self.send(Method::GET, url, &[], Bytes::new()).await
    }

    /// GET, as a browser with cookies, which are replaced by those that are set.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there was no answer.
    pub(crate) async fn visit(&self, url: &str, jar: &mut Jar) -> Result<Answer, Trouble> {
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let headers: &[(&str, &str)] = if cookies.is_empty() { &[] } else { &[("cookie", &cookies)] };
        let answer = self.send(Method::GET, url, headers, Bytes::new()).await?;
        jar.extend(answer.cookies.iter().cloned());
        Ok(answer)
    }

    /// POST of a form.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there was no answer.
    pub(crate) async fn form(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        parameters: &[(&str, &str)],
    ) -> Result<Answer, Trouble> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.send(Method::POST, url, &all, Bytes::from(body)).await
    }

    /// Any method with a JSON body; [`Value::Null`] sends none.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there was no answer.
    pub(crate) async fn json(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Answer, Trouble> {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        self.send(method, url, &all, body).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, Trouble> {
        let mut request = Request::builder().method(method.clone()).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).map_err(failed)?;
        let path = request.uri().path().to_owned();
        let limits =
            Limits { connect: Duration::from_secs(5), total: Duration::from_secs(60), body: 8 << 20 };
        let response = self
            .0
            .send(request, limits)
            .await
            .map_err(|error| failed(format_args!("{method} {path}: {error}")))?;
        let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned).ok();
        let cookies =
            response.headers().get_all(header::SET_COOKIE).iter().filter_map(text).filter_map(|cookie| {
                let (name, value) = cookie.split(';').next()?.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            });
        Ok(Answer {
            status: response.status().as_u16(),
            location: response.headers().get(header::LOCATION).and_then(text),
            cookies: cookies.collect(),
            body: response.into_body(),
        })
    }
}
