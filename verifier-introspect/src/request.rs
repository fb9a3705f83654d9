//! The introspection request (RFC 7662 §2.1): pure.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use zeroize::Zeroizing;

use crate::client_auth::Presented;
use crate::config::BuildError;
use crate::encode::{encoded_len, percent_encode};
use crate::signed;

/// Form parameters that are ours: no configured one may bear their name, twice in a form is an attack.
const OWN_PARAMETERS: [&str; 7] = [
    "token",
    "token_type_hint",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "request",
];

/// Headers that are ours, or the connection's.
const OWN_HEADERS: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TRANSFER_ENCODING,
];

/// What is the same for every request of one introspector.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestForm {
    token_type_hint: bool,
    signed_answers: bool,
    parameters: Vec<(String, String)>,
    headers: HeaderMap,
}

impl RequestForm {
    /// A form with `token_type_hint=access_token`, if so wished, and with further parameters and headers, such as
    /// Hydra's `scope`.
    ///
    /// # Errors
    /// [`BuildError::ReservedParameter`], [`BuildError::ReservedHeader`], [`BuildError::InvalidHeader`].
    pub(crate) fn new(
        token_type_hint: bool,
        parameters: &[(String, String)],
        headers: &[(String, String)],
    ) -> Result<Self, BuildError> {
        for (name, _) in parameters {
            if name.is_empty() || OWN_PARAMETERS.contains(&name.as_str()) {
                return Err(BuildError::ReservedParameter { name: name.clone() });
            }
        }
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let invalid = || BuildError::InvalidHeader { name: name.clone() };
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            if OWN_HEADERS.contains(&header) {
                return Err(BuildError::ReservedHeader { name: name.clone() });
            }
            let mut value = HeaderValue::from_str(value).map_err(|_| invalid())?;
            value.set_sensitive(true);
            map.append(header, value);
        }
        Ok(Self { token_type_hint, signed_answers: false, parameters: parameters.to_vec(), headers: map })
    }

    /// The same, asking for signed answers and for nothing else: a list of media types would leave it to the server,
    /// and to whoever sits before it, to sign or not (RFC 9701 §4).
    pub(crate) fn for_signed_answers(self, signed_answers: bool) -> Self {
        Self { signed_answers, ..self }
    }

    /// Whatever an answer may depend on, for the scope under which it is kept.
    pub(crate) fn scope(&self) -> impl Iterator<Item = &[u8]> {
        let hint: &[u8] = if self.token_type_hint { b"hint" } else { b"" };
        let parameters = self
            .parameters
            .iter()
            .flat_map(|(name, value)| [b"&".as_slice(), name.as_bytes(), value.as_bytes()]);
        let headers = self
            .headers
            .iter()
            .flat_map(|(name, value)| [b":".as_slice(), name.as_str().as_bytes(), value.as_bytes()]);
        std::iter::once(hint).chain(parameters).chain(headers)
    }

    /// The request for one token. Its body and its `Authorization` are wiped with their last clone; what the transport
    /// copies out of them on the way to the socket is beyond our reach.
    pub(crate) fn request(&self, endpoint: &Uri, token: &str, presented: &Presented) -> Request<Bytes> {
        let mut request = post(endpoint, self.body(token, presented), presented);
        request.headers_mut().extend(self.headers.clone());
        if self.signed_answers {
            request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(signed::MEDIA_TYPE));
        }
        request
    }

    fn body(&self, token: &str, presented: &Presented) -> Bytes {
        let hint = self.token_type_hint.then_some(("token_type_hint", "access_token"));
        let parameters = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        form(std::iter::once(("token", token)).chain(hint).chain(presented.fields()).chain(parameters))
    }
}

/// A form sent to an endpoint of the authorization server, with the `Authorization` that is presented there.
pub(crate) fn post(endpoint: &Uri, body: Bytes, presented: &Presented) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.clone();
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    if let Some(value) = &presented.authorization {
        headers.insert(header::AUTHORIZATION, value.clone());
    }
    request
}

/// These fields as a form, wiped with its last clone.
pub(crate) fn form<'a>(fields: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Bytes {
    let room = fields.clone().map(|(name, value)| encoded_len(name) + encoded_len(value) + 2).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    for (name, value) in fields {
        if !body.is_empty() {
            body.push(b'&');
        }
        percent_encode(name, &mut body);
        body.push(b'=');
        percent_encode(value, &mut body);
    }
    Bytes::from_owner(body)
}

#[cfg(test)]
mod tests;
