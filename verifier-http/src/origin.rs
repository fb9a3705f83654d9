//! Origins (RFC 6454 §4), and the table that sends the requests for one to another.

use std::fmt;

use http::HeaderValue;
use url::{Host, Url};

/// Scheme, host and port of an `http` or `https` URL, nothing else.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: Host<String>,
    port: u16,
}

impl Origin {
    /// Reads an origin as it is written in configuration. `None` if it isn't one, or is more than one: a path, a query,
    /// user or password are refused.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if bare { Self::of(&url) } else { None }
    }

    /// The origin of a URL; `None` for other schemes than `http` and `https`.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// As a `Host` header shows it: without the port that the scheme implies (RFC 9110 §7.2).
    fn authority(&self) -> String {
        match (self.scheme.as_str(), self.port) {
            ("http", 80) | ("https", 443) => self.host.to_string(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    /// Writes this origin into a URL.
    fn write_to(&self, url: &mut Url) -> Option<()> {
        // The port last: a change of scheme may drop it.
        url.set_scheme(&self.scheme).ok()?;
        url.set_host(Some(&self.host.to_string())).ok()?;
        url.set_port(Some(self.port)).ok()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which origin's requests go where instead.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detours(Vec<(Origin, Origin)>);

impl Detours {
    /// Adds one; `false` if there is one for this origin already.
    pub(crate) fn add(&mut self, from: Origin, to: Origin) -> bool {
        let new = self.0.iter().all(|(known, _)| *known != from);
        if new {
            self.0.push((from, to));
        }
        new
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Turns `url` to its detour, if it has one. Returns the `Host` header that goes with it: the original authority.
    pub(crate) fn take(&self, url: &mut Url) -> Option<HeaderValue> {
        let asked = Origin::of(url)?;
        let (_, to) = self.0.iter().find(|(from, _)| *from == asked)?;
        let host = HeaderValue::try_from(asked.authority()).ok()?;
        let mut turned = url.clone();
        to.write_to(&mut turned)?;
        *url = turned;
        Some(host)
    }
}

#[cfg(test)]
mod tests;
