//! The `WWW-Authenticate` challenge of RFC 6750 §3: fixed texts only, one for all reasons, so that nothing an attacker
//! sent gets into a header and nobody learns which check a token failed.

use std::fmt::{self, Write as _};

use http::HeaderValue;

use crate::error::Rejection;

/// The realm that is named where nothing else would stand behind the scheme (RFC 6750 §3 wants one parameter).
pub const DEFAULT_REALM: &str = "protected";

/// A challenge for one response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    rejection: Rejection,
    realm: Option<Box<str>>,
    scopes: Vec<Box<str>>,
    resource_metadata: Option<Box<str>>,
    reveal_expiry: bool,
}

impl Challenge {
    /// The challenge for a rejection.
    pub const fn for_rejection(rejection: Rejection) -> Self {
        Self { rejection, realm: None, scopes: Vec::new(), resource_metadata: None, reveal_expiry: false }
    }

    /// Names the realm. A realm with characters that no quoted text may hold is left out.
    #[must_use]
    pub fn with_realm(mut self, realm: &str) -> Self {
        self.realm = quotable(realm).then(|| realm.into());
        self
    }

    /// Names the scopes that are needed; those that are no scope-token (RFC 6749 §3.3) are left out.
    #[must_use]
    pub fn with_scopes<'s>(mut self, scopes: impl IntoIterator<Item = &'s str>) -> Self {
        self.scopes = scopes.into_iter().filter(|scope| is_scope_token(scope)).map(Box::from).collect();
        self
    }

    /// Names the protected resource metadata (RFC 9728 §5.1); an address that isn't plain ASCII is left out.
    #[must_use]
    pub fn with_resource_metadata(mut self, url: &str) -> Self {
        self.resource_metadata = (quotable(url) && !url.contains(' ')).then(|| url.into());
        self
    }

    /// Lets the client know when all that is wrong with its token is its age, so that it refreshes. Expiry is judged
    /// last, on a token with a good signature, issuer and audience.
    #[must_use]
    pub const fn reveal_expiry(mut self, reveal: bool) -> Self {
        self.reveal_expiry = reveal;
        self
    }

    /// The value of the header.
    pub fn to_header_value(&self) -> HeaderValue {
        // Only visible ASCII stands in it, by construction.
        HeaderValue::try_from(self.to_string()).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
    }

    const fn description(&self) -> Option<&'static str> {
        match self.rejection {
            Rejection::NoCredentials => None,
            Rejection::MalformedRequest => Some("The request is malformed"),
            Rejection::InsufficientScope => Some("The request requires higher privileges"),
            Rejection::Expired if self.reveal_expiry => Some("The access token expired"),
            _ => Some("The access token is invalid"),
        }
    }
}

/// RFC 6750 §3: %x20-21 / %x23-5B / %x5D-7E.
fn quotable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// RFC 6749 §3.3: 1*( %x21 / %x23-5B / %x5D-7E ).
pub(crate) fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && quotable(text) && !text.contains(' ')
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = ' ';
        let mut parameter = |f: &mut fmt::Formatter<'_>, name: &str, value: &str| {
            let before = std::mem::replace(&mut separator, ',');
            if before == ',' {
                f.write_str(",")?;
            }
            write!(f, " {name}=\"{value}\"")
        };
        f.write_str("Bearer")?;
        let error = self.rejection.oauth_error();
        let alone = error.is_none() && self.resource_metadata.is_none();
        if let Some(realm) = self.realm.as_deref().or(alone.then_some(DEFAULT_REALM)) {
            parameter(f, "realm", realm)?;
        }
        if let Some(error) = error {
            parameter(f, "error", error)?;
        }
        if let Some(description) = self.description() {
            parameter(f, "error_description", description)?;
        }
        if !self.scopes.is_empty()
            && matches!(self.rejection, Rejection::InsufficientScope | Rejection::NoCredentials)
        {
            let mut list = String::new();
            for (n, scope) in self.scopes.iter().enumerate() {
                write!(list, "{}{scope}", if n == 0 { "" } else { " " })?;
            }
            parameter(f, "scope", &list)?;
        }
        if let Some(url) = &self.resource_metadata {
            parameter(f, "resource_metadata", url)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_credentials_there_is_no_error_code() {
        assert_eq!(
            Challenge::for_rejection(Rejection::NoCredentials).to_string(),
            r#"Bearer realm="protected""#
        );
        assert_eq!(
            Challenge::for_rejection(Rejection::NoCredentials)
                .with_resource_metadata("https://api.example/.well-known/oauth-protected-resource")
                .to_string(),
            r#"Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource""#
        );
    }

    #[test]
    fn every_invalid_token_gets_the_same_text() {
        let texts: std::collections::BTreeSet<_> = Rejection::ALL
            .iter()
            .filter(|rejection| rejection.oauth_error() == Some("invalid_token"))
            .map(|rejection| Challenge::for_rejection(*rejection).to_string())
            .collect();
        assert_eq!(
            texts.into_iter().collect::<Vec<_>>(),
            [r#"Bearer error="invalid_token", error_description="The access token is invalid""#]
        );
    }

    #[test]
    fn expiry_is_told_by_choice() {
        let expired = Challenge::for_rejection(Rejection::Expired).reveal_expiry(true);
        assert!(expired.to_string().contains("The access token expired"));
        let wrong = Challenge::for_rejection(Rejection::WrongAudience).reveal_expiry(true);
        assert!(!wrong.to_string().contains("expired"));
    }

    #[test]
    fn nothing_unquotable_gets_in() {
        let challenge = Challenge::for_rejection(Rejection::InsufficientScope)
            .with_realm("a\"b")
            .with_scopes(["orders:write", "x\", error=\"none", "a b", ""])
            .with_resource_metadata("https://x/\r\nSet-Cookie: a");
        assert_eq!(
            challenge.to_string(),
            r#"Bearer error="insufficient_scope", error_description="The request requires higher privileges", scope="orders:write""#
        );
        assert!(challenge.to_header_value().to_str().is_ok());
    }
}
