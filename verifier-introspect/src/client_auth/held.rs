//! Secrets where they are: at hand, or in a file that is watched.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use verifier_core::secret::Secret;
use zeroize::Zeroizing;

use super::{SecretError, SecretSource};

/// Greatest size of a secret file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// A secret, and where a newer one may be.
#[derive(Debug)]
pub(crate) enum Held {
    Value(Secret),
    File(WatchedFile),
}

#[derive(Debug)]
pub(crate) struct WatchedFile {
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
    pub(crate) fn new(source: SecretSource) -> Result<Self, SecretError> {
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
    pub(crate) fn current(&self) -> Result<Secret, SecretError> {
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

    pub(crate) fn reread(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::File(file) => {
                let (stamp, secret) = read(&file.path)?;
                *file.last.lock().unwrap_or_else(PoisonError::into_inner) = (stamp, secret.clone());
                Ok(secret)
            }
        }
    }

    pub(crate) fn name(&self) -> Vec<u8> {
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
