//! Credentials in use: read from where they are, put into the form in which they are sent.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::secret::Secret;
use zeroize::Zeroizing;

use super::{ClientAuth, SecretError, SecretSource};
use crate::encode::{encoded_len, percent_encode};

/// Greatest size of a secret file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// What is sent along with one request.
#[derive(Debug, Default)]
pub(crate) struct Presented {
    /// The `Authorization` value, marked sensitive.
    pub(crate) authorization: Option<HeaderValue>,
    /// `client_id` and `client_secret` of the form.
    pub(crate) form: Option<(Box<str>, Secret)>,
    /// The secret in either.
    secret: Option<Secret>,
}

/// The credentials of one client.
#[derive(Debug)]
pub(crate) struct Credentials {
    method: Method,
    secret: Option<Held>,
}

#[derive(Debug)]
enum Method {
    None,
    Basic { client_id: Box<str>, raw: bool },
    Post { client_id: Box<str> },
    Bearer,
}

impl Credentials {
    /// Reads the secret once, so that what is missing is known at the start.
    pub(crate) fn load(auth: ClientAuth) -> Result<Self, SecretError> {
        let named = |client_id: String| {
            if client_id.is_empty() {
                Err(SecretError::EmptyClientId)
            } else {
                Ok(client_id.into_boxed_str())
            }
        };
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
        };
        let credentials = Self { method, secret: source.map(Held::new).transpose()? };
        match credentials.present() {
            Ok(_) => Ok(credentials),
            Err(CannotPresent::Secret(error)) => Err(error),
            Err(CannotPresent::NotAHeaderValue) => Err(SecretError::NotAHeaderValue),
        }
    }

    /// What the next request carries.
    pub(crate) fn present(&self) -> Result<Presented, CannotPresent> {
        let Some(held) = &self.secret else { return Ok(Presented::default()) };
        let secret = held.current().map_err(CannotPresent::Secret)?;
        let mut presented = Presented::default();
        match &self.method {
            Method::None => {}
            Method::Basic { client_id, raw } => {
                presented.authorization = Some(basic(client_id, secret.expose(), *raw)?);
            }
            Method::Post { client_id } => presented.form = Some((client_id.clone(), secret.clone())),
            Method::Bearer => {
                let mut value = Zeroizing::new(Vec::with_capacity(7 + secret.expose().len()));
                value.extend_from_slice(b"Bearer ");
                value.extend_from_slice(secret.expose().as_bytes());
                presented.authorization = Some(sensitive(value)?);
            }
        }
        presented.secret = Some(secret);
        Ok(presented)
    }

    /// The server refused what was presented: whether there is something else to present by now.
    pub(crate) fn renewed_since(&self, refused: &Presented) -> bool {
        match (&self.secret, &refused.secret) {
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
        };
        (method, Zeroizing::new(who))
    }
}

/// Why no credentials can be presented.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum CannotPresent {
    Secret(SecretError),
    NotAHeaderValue,
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

/// A secret, and where a newer one may be.
#[derive(Debug)]
enum Held {
    Value(Secret),
    File(WatchedFile),
}

#[derive(Debug)]
struct WatchedFile {
    path: PathBuf,
    last: Mutex<(Stamp, Secret)>,
}

/// By what a changed file is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
}

impl Held {
    fn new(source: SecretSource) -> Result<Self, SecretError> {
        match source {
            SecretSource::Value(secret) if secret.is_empty() => Err(SecretError::EmptyValue),
            SecretSource::Value(secret) => Ok(Self::Value(secret)),
            SecretSource::File(path) => {
                let last = Mutex::new(read(&path)?);
                Ok(Self::File(WatchedFile { path, last }))
            }
        }
    }

    /// The secret as it is now: a look at the file's time and length, and a read if one of them has changed.
    fn current(&self) -> Result<Secret, SecretError> {
        let file = match self {
            Self::Value(secret) => return Ok(secret.clone()),
            Self::File(file) => file,
        };
        let stamp = fs::metadata(&file.path).map(|metadata| Stamp::of(&metadata));
        match (stamp, &*file.last.lock().unwrap_or_else(PoisonError::into_inner)) {
            (Ok(stamp), (known, secret)) if stamp == *known => return Ok(secret.clone()),
            _ => {}
        }
        self.reread()
    }

    fn reread(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::File(file) => {
                let (stamp, secret) = read(&file.path)?;
                *file.last.lock().unwrap_or_else(PoisonError::into_inner) = (stamp, secret.clone());
                Ok(secret)
            }
        }
    }

    fn name(&self) -> Vec<u8> {
        match self {
            Self::Value(secret) => secret.expose().as_bytes().to_vec(),
            Self::File(file) => file.path.as_os_str().as_encoded_bytes().to_vec(),
        }
    }
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { modified: metadata.modified().ok(), len: metadata.len() }
    }
}

/// The stamp is taken before the text, so that a file changed in between is read once more, not once too few.
fn read(path: &Path) -> Result<(Stamp, Secret), SecretError> {
    let unreadable =
        |error: std::io::Error| SecretError::Unreadable { file: path.into(), kind: error.kind() };
    let file = File::open(path).map_err(unreadable)?;
    let stamp = Stamp::of(&file.metadata().map_err(unreadable)?);
    let room = usize::try_from(stamp.len.min(MAX_FILE)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room + 1));
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(SecretError::NotASecret { file: path.into() });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotASecret { file: path.into() })?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(SecretError::EmptyFile { file: path.into() });
    }
    Ok((stamp, Secret::new(line)))
}
