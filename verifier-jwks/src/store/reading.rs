//! What a source brought, to keys.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use verifier_core::error::UnavailableReason;
use verifier_core::jwk::KeyRules;
use verifier_core::key::{KeySet, KeySetError};
use verifier_core::signature::SignatureBackend;

use crate::config::ConfigError;
use crate::refresh::Failure;
use crate::source::{ETag, Fetched, KeyFormat};

/// How keys are read.
#[derive(Debug)]
pub(crate) struct Reading {
    rules: KeyRules,
    max_keys: usize,
    backend: Arc<dyn SignatureBackend>,
}

/// What a fetch brought, read.
pub(crate) enum Brought {
    Same { max_age: Option<Duration> },
    Set { keys: KeySet, etag: Option<ETag>, max_age: Option<Duration> },
}

impl Reading {
    /// Documents never give secrets, whatever `rules` say.
    pub(crate) fn new(rules: KeyRules, max_keys: usize, backend: Arc<dyn SignatureBackend>) -> Self {
        Self { rules: KeyRules { allow_symmetric: false, ..rules }, max_keys, backend }
    }

    /// A set that was fetched. An empty one, or one of which nothing can be used, is a failure.
    pub(crate) fn read(&self, fetched: Fetched) -> Result<Brought, Failure> {
        match fetched {
            Fetched::NotModified { max_age } => Ok(Brought::Same { max_age }),
            Fetched::Keys(keys) if keys.is_empty() => Err(Failure::EmptySet),
            Fetched::Keys(keys) => Ok(Brought::Set { keys, etag: None, max_age: None }),
            Fetched::Document { bytes, format, etag, max_age } => match self.document(&bytes, &format) {
                Ok(keys) => Ok(Brought::Set { keys, etag, max_age }),
                Err(ConfigError::KeySet(KeySetError::NoKeys)) => Err(Failure::EmptySet),
                Err(_) => Err(Failure::Other(UnavailableReason::UnreadableAnswer.into())),
            },
        }
    }

    /// Keys that never change.
    ///
    /// # Errors
    /// [`ConfigError::KeySet`], [`ConfigError::Key`].
    pub(crate) fn read_fixed(&self, fetched: Fetched) -> Result<KeySet, ConfigError> {
        match fetched {
            Fetched::NotModified { .. } => Err(KeySetError::NoKeys.into()),
            Fetched::Keys(keys) if keys.is_empty() => Err(KeySetError::NoKeys.into()),
            Fetched::Keys(keys) => Ok(keys),
            Fetched::Document { bytes, format, .. } => self.document(&bytes, &format),
        }
    }

    fn document(&self, bytes: &Bytes, format: &KeyFormat) -> Result<KeySet, ConfigError> {
        match format {
            KeyFormat::JwkSet => Ok(KeySet::from_jwks(bytes, &self.rules, self.max_keys, &*self.backend)?),
            KeyFormat::Pem { algorithm, .. } if !self.rules.algorithms.contains(*algorithm) => {
                Err(ConfigError::KeyNotAllowed { algorithm: *algorithm })
            }
            KeyFormat::Pem { algorithm, kid } => {
                Ok(KeySet::from_pem(bytes, *algorithm, kid.as_deref(), &self.rules, &*self.backend)?)
            }
        }
    }
}
