//! An address that may be asked: https, or http where that is known to be harmless.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

/// An address whose scheme has been judged. `Display` shows no query and no user.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Which schemes are allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Schemes {
    /// https; http for loopback addresses only (RFC 8414 §2, RFC 6750 §5.3).
    #[default]
    Secure,
    /// http to any host: whoever is on the path reads tokens and replaces keys.
    DangerPlainHttp,
}

impl Endpoint {
    /// Reads and judges an address.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn parse(text: &str, schemes: Schemes) -> Result<Self, EndpointError> {
        let url = Url::parse(text).map_err(|_| EndpointError::NotAUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if schemes == Schemes::DangerPlainHttp || is_loopback(&url) => {}
            "http" => return Err(EndpointError::PlainHttp),
            _ => return Err(EndpointError::OtherScheme),
        }
        if !url.has_host() {
            return Err(EndpointError::NotAUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        Ok(Self(url))
    }

    /// The address.
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// The address as text, query included.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether this address is on the same site as another: the same host, or one below it. What a metadata document
    /// names elsewhere gets no secret of ours unless the configuration names it.
    pub fn is_on_site_of(&self, other: &str) -> bool {
        let Ok(other) = Url::parse(other) else { return false };
        match (self.0.host(), other.host()) {
            (Some(Host::Domain(own)), Some(Host::Domain(site))) => {
                own == site || own.strip_suffix(site).is_some_and(|below| below.ends_with('.'))
            }
            (Some(own), Some(site)) => own == site,
            _ => false,
        }
    }
}

/// Whether the host is a loopback address, or `localhost`.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.origin().ascii_serialization(), self.0.path())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// Why an address is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EndpointError {
    /// It can't be parsed, or has no host.
    NotAUrl,
    /// http to a host that isn't loopback.
    PlainHttp,
    /// Neither https nor http.
    OtherScheme,
    /// It holds a user or password.
    Credentials,
    /// It has a fragment.
    Fragment,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "not an absolute URL with a host",
            Self::PlainHttp => {
                "plain http to a host that is not loopback; use https, or set danger_allow_http = true if you mean it"
            }
            Self::OtherScheme => "the scheme must be https",
            Self::Credentials => "the URL must not hold a user or password",
            Self::Fragment => "the URL must not have a fragment",
        })
    }
}

impl std::error::Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback() {
        for url in
            ["http://127.0.0.1:8080/x", "http://localhost/x", "http://[::1]/x", "https://idp.example/x"]
        {
            assert!(Endpoint::parse(url, Schemes::Secure).is_ok(), "{url}");
        }
        for url in
            ["http://idp.example/x", "http://127.0.0.1.evil.example/", "http://localhost.evil.example/"]
        {
            assert_eq!(Endpoint::parse(url, Schemes::Secure), Err(EndpointError::PlainHttp), "{url}");
            assert!(Endpoint::parse(url, Schemes::DangerPlainHttp).is_ok());
        }
        for url in ["file:///etc/passwd", "gopher://x/", "data:,x", "ftp://x/y"] {
            assert_eq!(
                Endpoint::parse(url, Schemes::DangerPlainHttp),
                Err(EndpointError::OtherScheme),
                "{url}"
            );
        }
        assert_eq!(Endpoint::parse("https://a:b@x/", Schemes::Secure), Err(EndpointError::Credentials));
    }

    #[test]
    fn a_site_is_a_host_and_what_is_below_it() {
        let on =
            |url: &str, issuer: &str| Endpoint::parse(url, Schemes::Secure).unwrap().is_on_site_of(issuer);
        assert!(on("https://idp.example/i", "https://idp.example/realms/a"));
        assert!(on("https://api.idp.example/i", "https://idp.example"));
        assert!(!on("https://evilidp.example/i", "https://idp.example"));
        assert!(!on("https://example/i", "https://idp.example"));
        assert!(!on("https://evil.example/i", "https://idp.example"));
    }

    #[test]
    fn display_shows_no_query() {
        let endpoint = Endpoint::parse("https://idp.example/i?key=secret", Schemes::Secure).unwrap();
        assert!(!format!("{endpoint} {endpoint:?}").contains("secret"));
    }
}
