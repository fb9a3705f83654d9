//! Authorization server metadata (RFC 8414, OpenID Connect Discovery 1.0): where it is looked for, and what is read
//! from it. Pure: nothing is fetched here.

use std::fmt;

use url::Url;

use crate::json::{Json, JsonLimits, Object};

/// Why there is no metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum MetadataError {
    /// The issuer's name is no `http` or `https` URL without user, query and fragment (RFC 8414 §2).
    NotAnIssuer,
    /// The document is no JSON object that can be read strictly.
    NotAnObject,
    /// `issuer` is absent or no string.
    NoIssuer,
    /// `issuer` is not the configured issuer, byte for byte (RFC 8414 §3.3).
    IssuerMismatch,
    /// A member that is used has the wrong type, or is no absolute `http` or `https` URL.
    MalformedMember,
}

impl MetadataError {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAnIssuer => "not_an_issuer",
            Self::NotAnObject => "not_an_object",
            Self::NoIssuer => "no_issuer",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::MalformedMember => "malformed_member",
        }
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnIssuer => "the issuer is no URL without user, query and fragment",
            Self::NotAnObject => "the metadata document is not a JSON object",
            Self::NoIssuer => "the metadata document names no issuer",
            Self::IssuerMismatch => "the metadata document is another issuer's",
            Self::MalformedMember => "a member of the metadata document is malformed",
        })
    }
}

impl std::error::Error for MetadataError {}

/// Where an issuer's metadata may be, in the order to try: OpenID Connect appends its path to the issuer's (Discovery
/// §4), RFC 8414 §3 puts its own between host and path. A terminating slash is removed first, by both.
///
/// # Errors
/// [`MetadataError::NotAnIssuer`].
pub fn discovery_urls(issuer: &str) -> Result<Vec<Url>, MetadataError> {
    const OPENID: &str = "/.well-known/openid-configuration";
    const OAUTH: &str = "/.well-known/oauth-authorization-server";

    let base = web_url(issuer).filter(|url| url.query().is_none()).ok_or(MetadataError::NotAnIssuer)?;
    let path = base.path().strip_suffix('/').unwrap_or_else(|| base.path()).to_owned();
    let at = |path: &str| {
        let mut url = base.clone();
        url.set_path(path);
        url
    };
    let mut urls = vec![at(&format!("{path}{OPENID}")), at(&format!("{OAUTH}{path}"))];
    urls.dedup();
    Ok(urls)
}

/// The members of a metadata document that a resource server uses. The endpoints are absolute `http` or `https` URLs;
/// whether plain `http` will do, and whether an endpoint's host is one to send secrets to, is for the caller to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    issuer: Box<str>,
    jwks_uri: Option<Box<str>>,
    token_endpoint: Option<Box<str>>,
    introspection_endpoint: Option<Box<str>>,
    revocation_endpoint: Option<Box<str>>,
    introspection_auth_methods: Option<Box<[Box<str>]>>,
    mtls_token_endpoint: Option<Box<str>>,
    mtls_introspection_endpoint: Option<Box<str>>,
}

impl Metadata {
    /// Reads a document fetched for `issuer`. `null` counts as absent, which makes no difference to safety here.
    ///
    /// # Errors
    /// [`MetadataError::NotAnObject`], [`MetadataError::NoIssuer`], [`MetadataError::IssuerMismatch`],
    /// [`MetadataError::MalformedMember`].
    pub fn parse(bytes: &[u8], issuer: &str) -> Result<Self, MetadataError> {
        let document = Object::parse(bytes, JsonLimits::DOCUMENT).map_err(|_| MetadataError::NotAnObject)?;
        let named = document.get("issuer").and_then(Json::as_str).ok_or(MetadataError::NoIssuer)?;
        if named != issuer {
            return Err(MetadataError::IssuerMismatch);
        }
        let aliases = match document.get("mtls_endpoint_aliases") {
            None | Some(Json::Null) => None,
            Some(Json::Object(aliases)) => Some(aliases),
            Some(_) => return Err(MetadataError::MalformedMember),
        };
        let alias = |name: &str| aliases.map_or(Ok(None), |aliases| endpoint(aliases, name));
        Ok(Self {
            issuer: issuer.into(),
            mtls_token_endpoint: alias("token_endpoint")?,
            mtls_introspection_endpoint: alias("introspection_endpoint")?,
            jwks_uri: endpoint(&document, "jwks_uri")?,
            token_endpoint: endpoint(&document, "token_endpoint")?,
            introspection_endpoint: endpoint(&document, "introspection_endpoint")?,
            revocation_endpoint: endpoint(&document, "revocation_endpoint")?,
            introspection_auth_methods: texts(&document, "introspection_endpoint_auth_methods_supported")?,
        })
    }

    /// The issuer: the configured name and the document's are the same.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where the JWK Set is.
    pub fn jwks_uri(&self) -> Option<&str> {
        self.jwks_uri.as_deref()
    }

    /// The token endpoint.
    pub fn token_endpoint(&self) -> Option<&str> {
        self.token_endpoint.as_deref()
    }

    /// The introspection endpoint (RFC 7662).
    pub fn introspection_endpoint(&self) -> Option<&str> {
        self.introspection_endpoint.as_deref()
    }

    /// The token endpoint for clients that authenticate in TLS, from `mtls_endpoint_aliases`, or else the usual one (RFC
    /// 8705 §5).
    pub fn mtls_token_endpoint(&self) -> Option<&str> {
        self.mtls_token_endpoint.as_deref().or(self.token_endpoint())
    }

    /// The introspection endpoint for clients that authenticate in TLS, from `mtls_endpoint_aliases`, or else the usual
    /// one (RFC 8705 §5).
    pub fn mtls_introspection_endpoint(&self) -> Option<&str> {
        self.mtls_introspection_endpoint.as_deref().or(self.introspection_endpoint())
    }

    /// The revocation endpoint (RFC 7009).
    pub fn revocation_endpoint(&self) -> Option<&str> {
        self.revocation_endpoint.as_deref()
    }

    /// How a client may authenticate at the introspection endpoint; `None` if the document doesn't say.
    pub fn introspection_endpoint_auth_methods_supported(&self) -> Option<&[Box<str>]> {
        self.introspection_auth_methods.as_deref()
    }
}

/// An absolute web address of a named host, with nothing that is not part of an address of a service.
fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    // `Url` repairs what it reads ("https:/host", blanks around it, backslashes); what needs repair is refused.
    let spelled = text.get(..url.scheme().len() + 3).is_some_and(|start| {
        start.split_once("://").is_some_and(|(scheme, rest)| rest.is_empty() && scheme == url.scheme())
    });
    let clean = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    (plain && spelled && clean && web).then_some(url)
}

fn endpoint(document: &Object, name: &str) -> Result<Option<Box<str>>, MetadataError> {
    match document.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => {
            let text = value.as_str().filter(|text| web_url(text).is_some());
            text.map(|text| Some(text.into())).ok_or(MetadataError::MalformedMember)
        }
    }
}

fn texts(document: &Object, name: &str) -> Result<Option<Box<[Box<str>]>>, MetadataError> {
    match document.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => value
            .as_array()
            .and_then(|all| all.iter().map(|one| one.as_str().map(Into::into)).collect::<Option<Box<[_]>>>())
            .map(Some)
            .ok_or(MetadataError::MalformedMember),
    }
}

#[cfg(test)]
mod tests;
