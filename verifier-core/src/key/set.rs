//! A key set: read key by key, asked by `kid` and algorithm, compared with the one before it.

use std::fmt;
use std::sync::Arc;

use super::VerificationKey;
use crate::algorithm::Algorithm;
use crate::json::{Json, JsonError, JsonLimits, Object};
use crate::jwk::{self, KeyRules, SkipReason};
use crate::signature::SignatureBackend;

/// The keys of one issuer at one time.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Arc<VerificationKey>>,
    /// Ids under which several keys of one algorithm were found; none of these is in `keys`.
    contested: Vec<(Box<str>, Algorithm)>,
    skipped: Vec<SkippedKey>,
}

/// A key of a set that is not used.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SkippedKey {
    /// Its place in the set, from 0.
    pub index: usize,
    /// Its `kid`, if that could be read.
    pub kid: Option<Box<str>>,
    /// Why.
    pub reason: SkipReason,
}

/// Why a text gives no key set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum KeySetError {
    /// No JSON object with an array `keys` (RFC 7517 §5.1), or one nested too deep or too large.
    NotAKeySet,
    /// A member occurs twice outside the keys.
    DuplicateMember,
    /// `keys` is empty.
    NoKeys,
    /// There are keys, and each was skipped.
    NoUsableKey,
    /// More keys than the limit.
    TooManyKeys,
}

impl KeySetError {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAKeySet => "not_a_key_set",
            Self::DuplicateMember => "duplicate_member",
            Self::NoKeys => "no_keys",
            Self::NoUsableKey => "no_usable_key",
            Self::TooManyKeys => "too_many_keys",
        }
    }
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAKeySet => "not a JWK Set",
            Self::DuplicateMember => "a member of the JWK Set occurs twice",
            Self::NoKeys => "the JWK Set is empty",
            Self::NoUsableKey => "the JWK Set holds no usable key",
            Self::TooManyKeys => "the JWK Set holds too many keys",
        })
    }
}

impl std::error::Error for KeySetError {}

/// Which key a token means.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// This one.
    Found(&'a Arc<VerificationKey>),
    /// None in this set.
    Unknown,
    /// There is a key of this id, and it is for another algorithm.
    Mismatch,
    /// Several would do, and trial verification is not done.
    Ambiguous,
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517 §5), key by key: what is wrong with one costs that one.
    ///
    /// # Errors
    /// Every variant of [`KeySetError`].
    pub fn from_jwks(
        bytes: &[u8],
        rules: &KeyRules,
        max_keys: usize,
        backend: &dyn SignatureBackend,
    ) -> Result<Self, KeySetError> {
        let document = Object::parse_marking(bytes, JsonLimits::DOCUMENT).map_err(|error| match error {
            JsonError::DuplicateMember => KeySetError::DuplicateMember,
            _ => KeySetError::NotAKeySet,
        })?;
        if document.repeats()
            || document.iter().any(|(name, value)| name != "keys" && value.repeats_members())
        {
            return Err(KeySetError::DuplicateMember);
        }
        let published = document.get("keys").and_then(Json::as_array).ok_or(KeySetError::NotAKeySet)?;
        if published.is_empty() {
            return Err(KeySetError::NoKeys);
        }
        if published.len() > max_keys {
            return Err(KeySetError::TooManyKeys);
        }

        let mut read = Vec::with_capacity(published.len());
        let (mut skipped, mut spoilt, mut exposed) = (Vec::new(), Vec::new(), Vec::new());
        for (index, key) in published.iter().enumerate() {
            match import(key, rules, backend) {
                Ok(key) => read.push((index, key)),
                Err((kid, reason)) => {
                    skipped.push(SkippedKey { index, kid, reason });
                    let place = key.as_object().and_then(|jwk| jwk::place(jwk, rules));
                    spoilt.extend(place.map(|(kid, algorithm)| (kid.into(), algorithm)));
                    exposed.extend(key.as_object().and_then(|jwk| jwk::exposed(jwk, rules, backend)));
                }
            }
        }
        // Whoever reads the set can sign with these, under whatever id and algorithm they stand there once more. (What
        // stands in a spoilt place goes with that.)
        let leaked = read.extract_if(.., |(_, key)| {
            exposed.contains(key.identity().thumbprint())
                && !spoilt.iter().any(|(id, algorithm): &(Box<str>, Algorithm)| {
                    key.kid() == Some(id) && key.algorithm() == *algorithm
                })
        });
        skipped.extend(leaked.map(|(index, key)| SkippedKey {
            index,
            kid: key.kid,
            reason: SkipReason::PrivateMembers,
        }));
        let set = Self::assemble(read, skipped, spoilt);
        if set.keys.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(set) }
    }

    /// Of keys already made. Those that share id and algorithm count once if they are the same key, and else not at all.
    pub fn from_keys(keys: Vec<VerificationKey>) -> Self {
        Self::assemble(keys.into_iter().enumerate().collect(), Vec::new(), Vec::new())
    }

    /// Of one public key in PEM; see [`VerificationKey::from_pem`].
    ///
    /// # Errors
    /// As there.
    pub fn from_pem(
        text: &[u8],
        algorithm: Algorithm,
        kid: Option<&str>,
        rules: &KeyRules,
        backend: &dyn SignatureBackend,
    ) -> Result<Self, SkipReason> {
        Ok(Self::from_keys(vec![VerificationKey::from_pem(text, algorithm, kid, rules, backend)?]))
    }

    /// Of static secrets, each with its id and algorithm; see [`VerificationKey::from_secret`].
    ///
    /// # Errors
    /// As there; [`SkipReason::DuplicateKid`] if different secrets share id and algorithm.
    pub fn from_secrets<'s>(
        secrets: impl IntoIterator<Item = (Option<&'s str>, Algorithm, &'s [u8])>,
        backend: &dyn SignatureBackend,
    ) -> Result<Self, SkipReason> {
        let keys = secrets
            .into_iter()
            .map(|(kid, algorithm, secret)| VerificationKey::from_secret(secret, algorithm, kid, backend))
            .collect::<Result<Vec<_>, _>>()?;
        let set = Self::from_keys(keys);
        set.skipped.first().map_or(Ok(()), |skipped| Err(skipped.reason))?;
        Ok(set)
    }

    /// Sorts out keys that share id and algorithm. `spoilt` are the places of keys that were skipped: a good key beside
    /// a bad one in the same place is not known to be the one that the issuer means, or not the only one who holds it.
    fn assemble(
        read: Vec<(usize, VerificationKey)>,
        mut skipped: Vec<SkippedKey>,
        spoilt: Vec<(Box<str>, Algorithm)>,
    ) -> Self {
        let mut contested: Vec<(Box<str>, Algorithm)> = Vec::new();
        for (place, (_, key)) in read.iter().enumerate() {
            let Some(kid) = key.kid() else { continue };
            let here =
                |(id, algorithm): &(Box<str>, Algorithm)| &**id == kid && *algorithm == key.algorithm();
            let differs = read.iter().skip(place + 1).any(|(_, other)| {
                other.kid() == Some(kid)
                    && other.algorithm() == key.algorithm()
                    && other.identity() != key.identity()
            });
            if (differs || spoilt.iter().any(here)) && !contested.iter().any(here) {
                contested.push((kid.into(), key.algorithm()));
            }
        }

        let mut keys: Vec<Arc<VerificationKey>> = Vec::with_capacity(read.len());
        for (index, key) in read {
            let names = |(kid, algorithm): &(Box<str>, Algorithm)| {
                key.kid() == Some(&**kid) && *algorithm == key.algorithm()
            };
            if contested.iter().any(names) {
                skipped.push(SkippedKey { index, kid: key.kid, reason: SkipReason::DuplicateKid });
            } else if !keys.iter().any(|held| is_same(held, &key)) {
                keys.push(Arc::new(key));
            }
        }
        skipped.sort_by_key(|key| key.index);
        Self { keys, contested, skipped }
    }

    /// The key for a token with this `kid` and algorithm. A token that names a key gets that key or none; one that
    /// names none gets the only key that fits, whether that has an id or not.
    pub fn select(&self, kid: Option<&str>, algorithm: Algorithm) -> Selection<'_> {
        match kid.filter(|kid| !kid.is_empty()) {
            Some(kid) => self.select_named(kid, algorithm),
            None => self.select_only(algorithm),
        }
    }

    fn select_named(&self, kid: &str, algorithm: Algorithm) -> Selection<'_> {
        let mut other = false;
        for key in self.live().filter(|key| key.kid() == Some(kid)) {
            if key.algorithm() == algorithm {
                return Selection::Found(key);
            }
            other = true;
        }
        for (_, contested) in self.contested.iter().filter(|(id, _)| &**id == kid) {
            if *contested == algorithm {
                return Selection::Ambiguous;
            }
            other = true;
        }
        if other { Selection::Mismatch } else { Selection::Unknown }
    }

    fn select_only(&self, algorithm: Algorithm) -> Selection<'_> {
        if self.contested.iter().any(|(_, contested)| *contested == algorithm) {
            return Selection::Ambiguous;
        }
        let mut fitting = self.live().filter(|key| key.algorithm() == algorithm);
        match fitting.next() {
            None => Selection::Unknown,
            // The same key under two ids is one key.
            Some(key) if fitting.all(|other| other.identity() == key.identity()) => Selection::Found(key),
            Some(_) => Selection::Ambiguous,
        }
    }

    fn live(&self) -> impl Iterator<Item = &Arc<VerificationKey>> {
        self.keys.iter().filter(|key| !key.is_withdrawn())
    }

    /// This set, with the very keys of `previous` where they are unchanged in id and identity: what was verified by
    /// them keeps standing.
    #[must_use]
    pub fn adopt(mut self, previous: &Self) -> Self {
        for key in &mut self.keys {
            if let Some(held) = previous.live().find(|held| is_same(held, key)) {
                *key = Arc::clone(held);
            }
        }
        self
    }

    /// Withdraws each key of `previous` that `next` has not adopted. To be called once `next` is in place.
    pub fn withdraw_missing(previous: &Self, next: &Self) {
        for key in &previous.keys {
            if !next.keys.iter().any(|held| Arc::ptr_eq(held, key)) {
                key.withdraw();
            }
        }
    }

    /// The usable keys.
    pub fn keys(&self) -> &[Arc<VerificationKey>] {
        &self.keys
    }

    /// The number of usable keys.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is usable.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The ids of the usable keys, of those that have one.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.kid())
    }

    /// The keys that were found and are not used.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }
}

fn import(
    key: &Json,
    rules: &KeyRules,
    backend: &dyn SignatureBackend,
) -> Result<VerificationKey, (Option<Box<str>>, SkipReason)> {
    let Some(jwk) = key.as_object() else { return Err((None, SkipReason::MalformedMember)) };
    jwk::import(jwk, rules, backend).map_err(|reason| {
        let kid = if jwk.repeats() { None } else { jwk::kid(jwk).ok().flatten() };
        (kid.map(Into::into), reason)
    })
}

fn is_same(a: &VerificationKey, b: &VerificationKey) -> bool {
    a.identity() == b.identity() && a.kid() == b.kid()
}
