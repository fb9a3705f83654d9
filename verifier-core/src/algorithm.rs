//! The signature algorithms of JOSE that are supported, and sets of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A signature algorithm (RFC 7518 §3.1, RFC 8037, RFC 9864).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519, which is spelled `Ed25519` (RFC 9864) or `EdDSA` (RFC 8037, deprecated).
    Ed25519,
    /// HMAC with SHA-256: static secrets only.
    Hs256,
    /// HMAC with SHA-384: static secrets only.
    Hs384,
    /// HMAC with SHA-512: static secrets only.
    Hs512,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: &'static [Self] = &[
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Ed25519,
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
    ];

    /// The algorithm of this `alg` value, compared exactly (RFC 7515 §4.1.1).
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "EdDSA" {
            return Some(Self::Ed25519);
        }
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Ed25519 => "Ed25519",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// Whether the key that checks is the key that signs.
    pub const fn is_symmetric(self) -> bool {
        self.least_secret_len().is_some()
    }

    /// The least length of an HMAC secret in bytes, that of the hash (RFC 7518 §3.2); `None` for the asymmetric.
    pub const fn least_secret_len(self) -> Option<usize> {
        match self {
            Self::Hs256 => Some(32),
            Self::Hs384 => Some(48),
            Self::Hs512 => Some(64),
            _ => None,
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is that of no supported algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownAlgorithm;

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown signature algorithm; known are EdDSA")?;
        Algorithm::ALL.iter().try_for_each(|algorithm| write!(f, ", {algorithm}"))
    }
}

impl std::error::Error for UnknownAlgorithm {}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::from_name(name).ok_or(UnknownAlgorithm)
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A set of algorithms: an allow-list.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct AlgorithmSet(u16);

impl AlgorithmSet {
    /// All that are not HMAC.
    pub const ASYMMETRIC: Self = {
        let hmac = Algorithm::Hs256.bit() | Algorithm::Hs384.bit() | Algorithm::Hs512.bit();
        Self(Self::of(Algorithm::ALL).0 & !hmac)
    };

    /// The empty set, which allows nothing.
    pub const fn new() -> Self {
        Self(0)
    }

    /// The set of these.
    pub const fn of(algorithms: &[Algorithm]) -> Self {
        let mut bits = 0;
        let mut rest = algorithms;
        while let [first, after @ ..] = rest {
            bits |= first.bit();
            rest = after;
        }
        Self(bits)
    }

    /// Whether `algorithm` is in it.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & algorithm.bit() != 0
    }

    /// Adds `algorithm`; whether it is new.
    pub const fn insert(&mut self, algorithm: Algorithm) -> bool {
        let new = !self.contains(algorithm);
        self.0 |= algorithm.bit();
        new
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many are in it.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Those in it, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.iter().copied().filter(move |algorithm| self.contains(*algorithm))
    }
}

impl FromIterator<Algorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        let mut set = Self::new();
        algorithms.into_iter().for_each(|algorithm| {
            set.insert(algorithm);
        });
        set
    }
}

impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<'de> Deserialize<'de> for AlgorithmSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Algorithm>::deserialize(deserializer).map(|algorithms| algorithms.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_and_come_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(*algorithm));
            assert_eq!(algorithm.name().parse(), Ok(*algorithm));
        }
        assert_eq!(Algorithm::from_name("EdDSA"), Some(Algorithm::Ed25519));
        for name in
            ["", "rs256", "Rs256", "RS256 ", " RS256", "none", "ES521", "ES256K", "Ed448", "eddsa", "RS1"]
        {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn asymmetric_is_all_but_hmac() {
        for algorithm in Algorithm::ALL {
            assert_eq!(AlgorithmSet::ASYMMETRIC.contains(*algorithm), !algorithm.name().starts_with("HS"));
            assert_eq!(algorithm.is_symmetric(), algorithm.name().starts_with("HS"));
        }
    }

    #[test]
    fn sets() {
        let mut set = AlgorithmSet::new();
        assert!(set.is_empty());
        assert!(set.insert(Algorithm::Es256));
        assert!(!set.insert(Algorithm::Es256));
        assert_eq!(set, AlgorithmSet::of(&[Algorithm::Es256]));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Algorithm::Es256]);
        assert_eq!(set.len(), 1);
        assert!(!set.contains(Algorithm::Es384));
        assert_eq!(format!("{set:?}"), "{Es256}");
        let read: AlgorithmSet = serde_json::from_str(r#"["RS256","EdDSA"]"#).unwrap();
        assert_eq!(read, [Algorithm::Rs256, Algorithm::Ed25519].into_iter().collect());
        let error = serde_json::from_str::<AlgorithmSet>(r#"["RS257"]"#).unwrap_err().to_string();
        assert!(error.contains("known are EdDSA, RS256"), "{error}");
    }
}
