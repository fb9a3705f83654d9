//! The server's clients, and how they prove who they are.

mod assertion;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use url::form_urlencoded;

use crate::answer::Refusal;
use crate::keys::SigningKey;
use assertion::{Brought, Kind, Used};

pub use assertion::AssertionAudience;
pub(crate) use assertion::Reader;

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
    pub(crate) keys: Vec<SigningKey>,
}

impl Client {
    /// A client that may ask for tokens for any audience.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into(), audiences: None, enabled: true, keys: Vec::new() }
    }

    /// Allows tokens for this audience, and none that isn't named so.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.get_or_insert_default().push(audience.into());
        self
    }

    /// Registers a key whose public half checks the client's assertions (`private_key_jwt`), under its id and for every
    /// algorithm of its kind.
    #[must_use]
    pub fn key(mut self, key: SigningKey) -> Self {
        self.keys.push(key);
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

/// What the introspection endpoint, or the token endpoint, demands of its callers.
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
    /// `client_secret_jwt` of a registered client (RFC 7523 §2.2): an assertion under its secret.
    SecretJwt,
    /// `private_key_jwt` of a registered client (RFC 7523 §2.2): an assertion signed with one of its keys.
    PrivateKeyJwt,
    /// The `client_id` of a registered client in the form: what is left of `tls_client_auth` (RFC 8705 §2) behind
    /// something that ends TLS.
    Tls,
    /// Basic, post or either kind of assertion: what the token endpoint takes by default.
    Registered,
    /// A live bearer token that this server's own token endpoint gave.
    Granted,
}

impl IntrospectionAuth {
    /// The names of RFC 8414 §2.
    pub(crate) fn method_names(&self) -> &'static [&'static str] {
        match self {
            Self::Basic => &["client_secret_basic"],
            Self::Post => &["client_secret_post"],
            Self::BasicOrPost => &["client_secret_basic", "client_secret_post"],
            Self::SecretJwt => &["client_secret_jwt"],
            Self::PrivateKeyJwt => &["private_key_jwt"],
            Self::Tls => &["tls_client_auth"],
            Self::Registered => {
                &["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"]
            }
            Self::None | Self::Bearer(_) | Self::Granted => &[],
        }
    }

    const fn takes_basic(&self) -> bool {
        matches!(self, Self::Basic | Self::BasicOrPost | Self::Registered)
    }

    const fn takes_post(&self) -> bool {
        matches!(self, Self::Post | Self::BasicOrPost | Self::Registered)
    }

    const fn takes(&self, kind: Kind) -> bool {
        match kind {
            Kind::Secret => matches!(self, Self::SecretJwt | Self::Registered),
            Kind::PrivateKey => matches!(self, Self::PrivateKeyJwt | Self::Registered),
        }
    }
}

impl fmt::Debug for IntrospectionAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic => "Basic",
            Self::Post => "Post",
            Self::BasicOrPost => "BasicOrPost",
            Self::Bearer(_) => "Bearer([redacted])",
            Self::SecretJwt => "SecretJwt",
            Self::PrivateKeyJwt => "PrivateKeyJwt",
            Self::Tls => "Tls",
            Self::Registered => "Registered",
            Self::Granted => "Granted",
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
pub(crate) struct Clients {
    pub(crate) by_id: BTreeMap<String, Client>,
    used: Used,
}

impl Clients {
    pub(crate) fn new(clients: impl IntoIterator<Item = Client>) -> Self {
        let by_id = clients.into_iter().map(|client| (client.id.clone(), client)).collect();
        Self { by_id, used: Used::default() }
    }

    pub(crate) fn enabled(&self, id: &str) -> bool {
        self.by_id.get(id).is_none_or(|client| client.enabled)
    }

    fn known(&self, id: &str) -> Option<&Client> {
        self.by_id.get(id).filter(|client| client.enabled)
    }

    fn check(&self, id: &str, secret: &str) -> Option<&Client> {
        self.known(id).filter(|client| client.secret == secret)
    }

    /// The client behind a request, by one of the accepted methods; not by two (RFC 6749 §2.3).
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        form: &Form,
        decoding: BasicDecoding,
        accepted: &IntrospectionAuth,
        reader: &Reader<'_>,
    ) -> Result<&Client, Refusal> {
        let basic = basic(headers, decoding);
        let post = form.get("client_id").zip(form.get("client_secret"));
        let asserted = form.get("client_assertion").is_some();
        if u8::from(basic.is_some()) + u8::from(post.is_some()) + u8::from(asserted) > 1 {
            return Err(Refusal::INVALID_REQUEST);
        }
        let found = match (basic, post) {
            (Some((id, secret)), _) if accepted.takes_basic() => self.check(&id, &secret),
            (None, Some((id, secret))) if accepted.takes_post() => self.check(id, secret),
            (None, None) if asserted => self.by_assertion(form, accepted, reader),
            (None, None) if *accepted == IntrospectionAuth::Tls => {
                form.get("client_id").and_then(|id| self.known(id))
            }
            _ => None,
        };
        found.ok_or(Refusal::new(401, "invalid_client").challenge("Basic realm=\"authorization server\""))
    }

    fn by_assertion(
        &self,
        form: &Form,
        accepted: &IntrospectionAuth,
        reader: &Reader<'_>,
    ) -> Option<&Client> {
        let brought = Brought::by(form)?;
        let client = self.known(brought.client_id(form)?)?;
        brought.check(client, reader, &self.used).filter(|kind| accepted.takes(*kind)).map(|_| client)
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
