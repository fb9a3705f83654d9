//! Credentials of our own, put into the form in which they are sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Uri};
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::secret::Secret;
use verifier_core::time::WallTime;
use zeroize::Zeroizing;

use super::assertion::{ASSERTION_TYPE, Signing};
use super::held::Held;
use super::{ClientAuth, SecretError};
use crate::encode::{encoded_len, percent_encode};

/// Whom something is presented to, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aim<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) endpoint: &'a Uri,
    pub(crate) now: WallTime,
}

/// What is sent along with one request.
#[derive(Debug, Default)]
pub(crate) struct Presented {
    /// The `Authorization` value, marked sensitive.
    pub(crate) authorization: Option<HeaderValue>,
    form: Vec<(&'static str, Secret)>,
    /// What it was made of: the secret, the key or the token.
    pub(super) source: Option<Secret>,
}

impl Presented {
    /// What goes into the form.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.form.iter().map(|(name, value)| (*name, value.expose()))
    }

    /// A bearer token (RFC 6750 §2.1).
    pub(super) fn bearer(token: &Secret) -> Result<Self, CannotPresent> {
        let mut value = Zeroizing::new(Vec::with_capacity(7 + token.expose().len()));
        value.extend_from_slice(b"Bearer ");
        value.extend_from_slice(token.expose().as_bytes());
        Ok(Self { authorization: Some(sensitive(value)?), form: Vec::new(), source: Some(token.clone()) })
    }
}

/// The credentials of one client.
#[derive(Debug)]
pub(crate) struct Direct {
    method: Method,
    secret: Option<Held>,
}

#[derive(Debug)]
enum Method {
    None,
    Basic {
        client_id: Box<str>,
        raw: bool,
    },
    Post {
        client_id: Box<str>,
    },
    Bearer,
    Signed {
        client_id: Box<str>,
        signing: Signing,
    },
    /// Known by its name, and by what is none of our business here: a certificate, or nothing.
    Named {
        client_id: Box<str>,
        by: &'static str,
    },
}

impl Direct {
    /// Reads the secret once, so that what is missing is known at the start.
    pub(crate) fn load(auth: ClientAuth) -> Result<Self, SecretError> {
        let (method, source) = match auth {
            ClientAuth::None => (Method::None, None),
            ClientAuth::Basic { client_id, secret, raw } => {
                if raw && client_id.contains(':') {
                    return Err(SecretError::ColonInClientId);
                }
                (Method::Basic { client_id: named(client_id)?, raw }, Some(secret))
            }
            ClientAuth::Post { client_id, secret } => {
                (Method::Post { client_id: named(client_id)? }, Some(secret))
            }
            ClientAuth::Bearer { token } => (Method::Bearer, Some(token)),
            ClientAuth::SecretJwt { client_id, secret, assertion } => {
                let signing = Signing::new(Signing::SECRET, assertion)?;
                (Method::Signed { client_id: named(client_id)?, signing }, Some(secret))
            }
            ClientAuth::PrivateKeyJwt { client_id, key, assertion } => {
                let signing = Signing::new(Signing::PRIVATE_KEY, assertion)?;
                (Method::Signed { client_id: named(client_id)?, signing }, Some(key))
            }
            ClientAuth::Public { client_id } => {
                (Method::Named { client_id: named(client_id)?, by: "public" }, None)
            }
            ClientAuth::Tls { client_id } => {
                (Method::Named { client_id: named(client_id)?, by: "tls_client_auth" }, None)
            }
            ClientAuth::ClientCredentials(_) => {
                return Err(SecretError::NotAtTokenEndpoint { method: "client_credentials" });
            }
        };
        let direct = Self { method, secret: None };
        let held = source.map(Held::new).transpose().map_err(|error| direct.of_key(error))?;
        let direct = Self { secret: held, ..direct };
        direct.try_out().map_err(|error| direct.of_key(error))?;
        Ok(direct)
    }

    /// Whether the secret that is there now can be used.
    fn try_out(&self) -> Result<(), SecretError> {
        let Some(held) = &self.secret else { return Ok(()) };
        let secret = held.current()?;
        match &self.method {
            Method::Signed { signing, .. } => signing.key(&secret).map(drop).map_err(SecretError::CannotSign),
            Method::Bearer => match Presented::bearer(&secret) {
                Ok(_) => Ok(()),
                Err(_) => Err(SecretError::NotAHeaderValue),
            },
            _ => Ok(()),
        }
    }

    /// What is said of a secret is said of the key where there is one in its place.
    fn of_key(&self, error: SecretError) -> SecretError {
        match &self.method {
            Method::Signed { signing, .. } if signing.method() == Signing::PRIVATE_KEY => {
                SecretError::Key(Box::new(error))
            }
            _ => error,
        }
    }

    /// What the next request carries.
    pub(crate) fn present(&self, aim: &Aim<'_>) -> Result<Presented, CannotPresent> {
        if let Method::Named { client_id, .. } = &self.method {
            let form = vec![("client_id", Secret::new(&**client_id))];
            return Ok(Presented { form, ..Presented::default() });
        }
        let Some(held) = &self.secret else { return Ok(Presented::default()) };
        let secret = held.current()?;
        let mut presented = Presented::default();
        match &self.method {
            Method::None | Method::Named { .. } => {}
            Method::Basic { client_id, raw } => {
                presented.authorization = Some(basic(client_id, secret.expose(), *raw)?);
            }
            Method::Post { client_id } => {
                presented.form =
                    vec![("client_id", Secret::new(&**client_id)), ("client_secret", secret.clone())];
            }
            Method::Bearer => return Presented::bearer(&secret),
            Method::Signed { client_id, signing } => {
                // RFC 7521 §4.2: the identifier is optional beside an assertion, and some servers look for it there.
                presented.form = vec![
                    ("client_id", Secret::new(&**client_id)),
                    ("client_assertion_type", Secret::new(ASSERTION_TYPE)),
                    ("client_assertion", signing.assertion(client_id, &secret, aim)?),
                ];
            }
        }
        presented.source = Some(secret);
        Ok(presented)
    }

    /// The server refused what was presented: whether there is something else to present by now.
    pub(crate) fn renewed_since(&self, refused: &Presented) -> bool {
        match (&self.secret, &refused.source) {
            (Some(held), Some(refused)) => held.reread().is_ok_and(|secret| secret != *refused),
            _ => false,
        }
    }

    /// Who asks, as parts of a cache's scope. A bearer token names nobody, so it stands for itself.
    pub(crate) fn scope(&self) -> (&'static str, Zeroizing<Vec<u8>>) {
        let (method, who) = match &self.method {
            Method::None => ("none", Vec::new()),
            Method::Basic { client_id, .. } => ("basic", client_id.as_bytes().to_vec()),
            Method::Post { client_id } => ("post", client_id.as_bytes().to_vec()),
            Method::Bearer => ("bearer", self.secret.as_ref().map(Held::name).unwrap_or_default()),
            Method::Signed { client_id, signing } => (signing.method(), client_id.as_bytes().to_vec()),
            Method::Named { client_id, by } => (*by, client_id.as_bytes().to_vec()),
        };
        (method, Zeroizing::new(who))
    }
}

fn named(client_id: String) -> Result<Box<str>, SecretError> {
    if client_id.is_empty() { Err(SecretError::EmptyClientId) } else { Ok(client_id.into_boxed_str()) }
}

/// Why no credentials can be presented.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum CannotPresent {
    Secret(SecretError),
    NotAHeaderValue,
    NoRandomness,
}

impl From<SecretError> for CannotPresent {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

impl From<CannotPresent> for Unavailable {
    fn from(_: CannotPresent) -> Self {
        Self::new(UnavailableReason::Misconfigured)
    }
}

/// RFC 6749 §2.3.1 over RFC 7617 §2.
fn basic(client_id: &str, secret: &str, raw: bool) -> Result<HeaderValue, CannotPresent> {
    let room = encoded_len(client_id) + 1 + encoded_len(secret);
    let mut pair = Zeroizing::new(Vec::with_capacity(room));
    if raw {
        pair.extend_from_slice(client_id.as_bytes());
        pair.push(b':');
        pair.extend_from_slice(secret.as_bytes());
    } else {
        percent_encode(client_id, &mut pair);
        pair.push(b':');
        percent_encode(secret, &mut pair);
    }
    let encoded = Zeroizing::new(STANDARD.encode(&*pair));
    let mut value = Zeroizing::new(Vec::with_capacity(6 + encoded.len()));
    value.extend_from_slice(b"Basic ");
    value.extend_from_slice(encoded.as_bytes());
    sensitive(value)
}

/// A header value that is wiped with its last clone.
fn sensitive(value: Zeroizing<Vec<u8>>) -> Result<HeaderValue, CannotPresent> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(value))
        .map_err(|_| CannotPresent::NotAHeaderValue)?;
    value.set_sensitive(true);
    Ok(value)
}
