//! The server's clients, and how they prove who they are.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use url::form_urlencoded;

use crate::answer::Refusal;

/// Id of the client that every server knows and that tokens are issued to by default.
pub const DEFAULT_CLIENT: &str = "app";
/// Secret of [`DEFAULT_CLIENT`].
pub const DEFAULT_CLIENT_SECRET: &str = "app-secret";
/// Id of the resource server that every server knows as a caller of introspection.
pub const RESOURCE_SERVER: &str = "api";
/// Secret of [`RESOURCE_SERVER`].
pub const RESOURCE_SERVER_SECRET: &str = "api-secret";

/// A registered client (RFC 6749 §2).
#[derive(Clone)]
pub struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) audiences: Option<Vec<String>>,
    pub(crate) enabled: bool,
}

impl Client {
    /// A client that may ask for tokens for any audience.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into(), audiences: None, enabled: true }
    }

    /// Allows tokens for this audience, and none that isn't named so.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.get_or_insert_default().push(audience.into());
        self
    }

    pub(crate) fn may_ask_for(&self, audience: &str) -> bool {
        self.audiences.as_ref().is_none_or(|allowed| allowed.iter().any(|name| name == audience))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("audiences", &self.audiences)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// What the introspection endpoint demands of its callers.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IntrospectionAuth {
    /// Nothing.
    None,
    /// `client_secret_basic` of a registered client (RFC 6749 §2.3.1).
    #[default]
    Basic,
    /// `client_secret_post` of a registered client (RFC 6749 §2.3.1).
    Post,
    /// Either of the two.
    BasicOrPost,
    /// This bearer token (RFC 7662 §2.1).
    Bearer(String),
}

impl fmt::Debug for IntrospectionAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic => "Basic",
            Self::Post => "Post",
            Self::BasicOrPost => "BasicOrPost",
            Self::Bearer(_) => "Bearer([redacted])",
        })
    }
}

/// How the server reads id and secret out of HTTP Basic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BasicDecoding {
    /// Form-decoded after the split at the colon, as RFC 6749 §2.3.1 demands.
    #[default]
    Form,
    /// Percent signs are decoded and `+` is left alone, as some servers do.
    Percent,
    /// Taken as they come, as other servers do.
    Raw,
}

/// All clients by id.
#[derive(Debug, Default)]
pub(crate) struct Clients(pub(crate) BTreeMap<String, Client>);

impl Clients {
    pub(crate) fn enabled(&self, id: &str) -> bool {
        self.0.get(id).is_none_or(|client| client.enabled)
    }

    fn check(&self, id: &str, secret: &str) -> Option<&Client> {
        self.0.get(id).filter(|client| client.enabled && client.secret == secret)
    }

    /// The client behind a request, by Basic or post; not by both (RFC 6749 §2.3).
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        form: &Form,
        decoding: BasicDecoding,
        accepted: &IntrospectionAuth,
    ) -> Result<&Client, Refusal> {
        let basic = basic(headers, decoding);
        let post = form.get("client_id").zip(form.get("client_secret"));
        let found = match (accepted, basic, post) {
            (_, Some(_), Some(_)) => return Err(Refusal::INVALID_REQUEST),
            (IntrospectionAuth::Basic | IntrospectionAuth::BasicOrPost, Some((id, secret)), None) => {
                self.check(&id, &secret)
            }
            (IntrospectionAuth::Post | IntrospectionAuth::BasicOrPost, None, Some((id, secret))) => {
                self.check(id, secret)
            }
            _ => None,
        };
        found.ok_or(Refusal::new(401, "invalid_client").challenge("Basic realm=\"authorization server\""))
    }
}

/// A form whose parameters stand there once each.
#[derive(Default)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// `None` if a parameter is repeated (RFC 6749 §3.2) or the content type is another.
    pub(crate) fn parse(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let content_type = headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?;
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return None;
        }
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return None;
            }
        }
        Some(Self(parameters))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// The token of a `Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers, "bearer")
}

fn basic(headers: &HeaderMap, decoding: BasicDecoding) -> Option<(String, String)> {
    let decoded = STANDARD.decode(credentials(headers, "basic")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((decode(id, decoding), decode(secret, decoding)))
}

fn credentials<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let (found, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim_start())
}

fn decode(text: &str, decoding: BasicDecoding) -> String {
    let plus_kept;
    let text = match decoding {
        BasicDecoding::Raw => return text.to_owned(),
        BasicDecoding::Form => text,
        BasicDecoding::Percent => {
            plus_kept = text.replace('+', "%2B");
            &plus_kept
        }
    };
    // Neither `&` nor `=` separates anything here.
    let text = text.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}
