//! The server's keys: which of them are published, and which one signs.

use serde_json::Value;

use crate::keys::{Algorithm, SigningKey, jwk_set};

/// Keys are never dropped while the server lives: an RSA key that nobody holds might come again as a new one.
pub(super) struct Keyring {
    keys: Vec<(SigningKey, Published)>,
    signing: SigningKey,
    stale: Option<Value>,
    /// Whether keys are published with the first token that they sign.
    late: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Published {
    Yes,
    No,
    /// With the first token that it signs.
    Late,
}

impl Keyring {
    pub(super) fn new(first: SigningKey) -> Self {
        let mut ring = Self { keys: Vec::new(), signing: first.clone(), stale: None, late: false };
        ring.add(first);
        ring
    }

    pub(super) const fn signing(&self) -> &SigningKey {
        &self.signing
    }

    pub(super) fn find(&self, kid: &str) -> Option<&SigningKey> {
        self.keys.iter().rev().map(|(key, _)| key).find(|key| key.kid() == kid)
    }

    pub(super) fn add(&mut self, key: SigningKey) -> String {
        let kid = key.kid().to_owned();
        self.withdraw(&kid);
        let published = match (key.algorithm().is_hmac(), self.late) {
            (true, _) => Published::No,
            (false, true) => Published::Late,
            (false, false) => Published::Yes,
        };
        self.keys.push((key, published));
        kid
    }

    pub(super) const fn publish_with_first_token(&mut self, late: bool) {
        self.late = late;
    }

    /// A token was signed with this key.
    pub(super) fn has_signed(&mut self, kid: &str) {
        for (_, published) in
            self.keys.iter_mut().filter(|(key, published)| key.kid() == kid && *published == Published::Late)
        {
            *published = Published::Yes;
        }
    }

    pub(super) fn promote(&mut self, kid: &str) -> bool {
        match self.find(kid).cloned() {
            Some(key) => {
                self.signing = key;
                true
            }
            None => false,
        }
    }

    pub(super) fn withdraw(&mut self, kid: &str) -> bool {
        let mut found = false;
        for (_, published) in self.keys.iter_mut().filter(|(key, _)| key.kid() == kid) {
            *published = Published::No;
            found = true;
        }
        found
    }

    /// The signing key if it has this algorithm, else the newest published one that has, else a new one.
    pub(super) fn of_algorithm(&mut self, algorithm: Algorithm) -> SigningKey {
        if self.signing.algorithm() == algorithm {
            return self.signing.clone();
        }
        let usable = |published: &Published| algorithm.is_hmac() || *published == Published::Yes;
        let found = self
            .keys
            .iter()
            .rev()
            .find(|(key, published)| key.algorithm() == algorithm && usable(published))
            .map(|(key, _)| key.clone());
        found.unwrap_or_else(|| {
            let key = SigningKey::generate(algorithm);
            self.add(key.clone());
            key
        })
    }

    pub(super) fn publish_stale(&mut self, stale: bool) {
        self.stale = stale.then(|| self.published());
    }

    pub(super) fn published(&self) -> Value {
        self.stale.clone().unwrap_or_else(|| {
            jwk_set(
                self.keys.iter().filter(|(_, published)| *published == Published::Yes).map(|(key, _)| key),
            )
        })
    }
}
