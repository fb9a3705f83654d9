//! One JWK to one prepared key, or the reason why not (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).

mod material;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

pub(crate) use self::material::{prepare, public_thumbprint};
use crate::algorithm::{Algorithm, AlgorithmSet};
use crate::header::MAX_KID_LEN;
use crate::json::{Json, Object};
use crate::key::VerificationKey;
use crate::signature::{Curve, KeyMaterial, SignatureBackend};

/// Greatest RSA modulus unless configured otherwise, in bits. Checking costs more than linearly: with 8192 bits and
/// a great exponent it takes sixty times what it takes with 2048.
pub const DEFAULT_MAX_RSA_BITS: usize = 4096;

/// What a key must be to be imported.
#[derive(Clone, Debug)]
pub struct KeyRules {
    /// The issuer's allow-list: a key for any other algorithm is skipped.
    pub algorithms: AlgorithmSet,
    /// The algorithm of a key that names none and fits several on the allow-list; without it such a key is ambiguous.
    pub algorithm_when_absent: Option<Algorithm>,
    /// Greatest RSA modulus, in bits.
    pub max_rsa_bits: usize,
    /// Whether `oct` keys are taken: for static secrets only, never for a set that came over the network.
    pub allow_symmetric: bool,
}

impl KeyRules {
    /// With this allow-list, RSA up to [`DEFAULT_MAX_RSA_BITS`], no secrets.
    pub const fn new(algorithms: AlgorithmSet) -> Self {
        Self {
            algorithms,
            algorithm_when_absent: None,
            max_rsa_bits: DEFAULT_MAX_RSA_BITS,
            allow_symmetric: false,
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+) => {
        /// Why a key is not used. The other keys of its set are not concerned (RFC 7517 §5).
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[non_exhaustive]
        pub enum SkipReason { $($(#[doc = $doc])+ $variant,)+ }

        impl SkipReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable code: a metric label.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

reasons! {
    /// `kty` or `crv` is none of those supported, or the PEM block is no public key.
    UnknownKeyType = "unknown_key_type",
    /// A required member is absent.
    MissingMember = "missing_member",
    /// A member has the wrong type or is not canonical base64url; the key is no object; the DER is malformed.
    MalformedMember = "malformed_member",
    /// `use` or `key_ops` reserve the key for something else.
    NotForVerification = "not_for_verification",
    /// The key's algorithm is unknown or not on the allow-list, or none that fits is.
    AlgorithmNotAllowed = "key_algorithm_not_allowed",
    /// The key names no algorithm and several on the allow-list fit.
    AlgorithmAmbiguous = "key_algorithm_ambiguous",
    /// The key's algorithm does not go with its type or curve.
    AlgorithmMismatch = "key_algorithm_mismatch",
    /// An RSA modulus under 2048 bits (RFC 7518 §3.3), or a secret shorter than the hash (§3.2).
    KeyTooSmall = "key_too_small",
    /// An RSA modulus over the limit.
    KeyTooLarge = "key_too_large",
    /// An RSA exponent that is even, under 3, or of more than 33 bits.
    BadExponent = "bad_exponent",
    /// The point does not lie on the curve.
    NotOnCurve = "not_on_curve",
    /// A coordinate does not have the curve's full length (RFC 7518 §6.2.1.2).
    WrongCoordinateLength = "wrong_coordinate_length",
    /// An Ed25519 key of low order, under which anybody can sign, or one that is not canonical.
    WeakEd25519Key = "weak_ed25519_key",
    /// Private parts are published: the key is compromised (RFC 7517 §9.3).
    PrivateMembers = "private_members",
    /// A secret where only public keys belong.
    SymmetricKey = "symmetric_key",
    /// A member occurs twice in the key.
    DuplicateMember = "duplicate_member",
    /// Another key of the set has the same `kid` and algorithm: neither can be used.
    DuplicateKid = "duplicate_kid",
    /// The cryptography library does not take the key.
    Unusable = "unusable",
}

impl SkipReason {
    /// Whether the key betrays that secrets got out, which calls for an alarm rather than a note.
    pub const fn is_alarming(self) -> bool {
        matches!(self, Self::PrivateMembers | Self::SymmetricKey)
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for SkipReason {}

/// Imports one JWK. Only public members are read; certificates (`x5c` and its kin) are never looked at.
///
/// # Errors
/// Every variant of [`SkipReason`] but [`SkipReason::DuplicateKid`], which is a matter of the set.
pub fn import(
    jwk: &Object,
    rules: &KeyRules,
    backend: &dyn SignatureBackend,
) -> Result<VerificationKey, SkipReason> {
    if jwk.repeats_members() {
        return Err(SkipReason::DuplicateMember);
    }
    let kind = Kind::of(jwk)?;
    if kind.private_members().iter().any(|name| jwk.get(name).is_some()) {
        return Err(SkipReason::PrivateMembers);
    }
    if kind == Kind::Secret && !rules.allow_symmetric {
        return Err(SkipReason::SymmetricKey);
    }
    check_usage(jwk)?;
    let kid = kid(jwk)?;
    let algorithm = algorithm(jwk, kind, rules)?;

    match kind {
        Kind::Rsa => {
            let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
            prepare(kid, KeyMaterial::Rsa { n: &n, e: &e }, algorithm, rules, backend)
        }
        Kind::Ec(curve) => {
            let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
            prepare(kid, KeyMaterial::Ec { curve, x: &x, y: &y }, algorithm, rules, backend)
        }
        Kind::Ed25519 => {
            let x = bytes(jwk, "x")?;
            prepare(kid, KeyMaterial::Ed25519 { x: &x }, algorithm, rules, backend)
        }
        Kind::Secret => {
            let k = Zeroizing::new(bytes(jwk, "k")?);
            prepare(kid, KeyMaterial::Secret(&k), algorithm, rules, backend)
        }
    }
}

/// The `kid` of a JWK; an empty one counts as absent, as in a header.
///
/// # Errors
/// [`SkipReason::MalformedMember`] if it is no string, or longer than a header's may be.
pub(crate) fn kid(jwk: &Object) -> Result<Option<&str>, SkipReason> {
    match text(jwk, "kid")? {
        Some(kid) if kid.len() > MAX_KID_LEN => Err(SkipReason::MalformedMember),
        kid => Ok(kid.filter(|kid| !kid.is_empty())),
    }
}

/// The id and algorithm under which this key would stand in its set, were it usable.
pub(crate) fn place<'j>(jwk: &'j Object, rules: &KeyRules) -> Option<(&'j str, Algorithm)> {
    if jwk.repeats() {
        return None;
    }
    check_usage(jwk).ok()?;
    let algorithm = algorithm(jwk, Kind::of(jwk).ok()?, rules).ok()?;
    Some((kid(jwk).ok()??, algorithm))
}

/// The thumbprint of a key whose private parts stand in this JWK.
pub(crate) fn exposed(jwk: &Object, rules: &KeyRules, backend: &dyn SignatureBackend) -> Option<[u8; 32]> {
    let kind = Kind::of(jwk).ok()?;
    if kind.private_members().iter().all(|name| jwk.get(name).is_none()) {
        return None;
    }
    let member = |name| bytes(jwk, name).ok();
    match kind {
        Kind::Rsa => {
            public_thumbprint(KeyMaterial::Rsa { n: &member("n")?, e: &member("e")? }, rules, backend)
        }
        Kind::Ec(curve) => {
            let (x, y) = (member("x")?, member("y")?);
            public_thumbprint(KeyMaterial::Ec { curve, x: &x, y: &y }, rules, backend)
        }
        Kind::Ed25519 => public_thumbprint(KeyMaterial::Ed25519 { x: &member("x")? }, rules, backend),
        Kind::Secret => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    Ec(Curve),
    Ed25519,
    Secret,
}

impl Kind {
    fn of(jwk: &Object) -> Result<Self, SkipReason> {
        match required(jwk, "kty")? {
            "RSA" => Ok(Self::Rsa),
            "EC" => {
                let name = required(jwk, "crv")?;
                let curve = Curve::ALL.into_iter().find(|curve| curve.name() == name);
                curve.map(Self::Ec).ok_or(SkipReason::UnknownKeyType)
            }
            "OKP" => match required(jwk, "crv")? {
                "Ed25519" => Ok(Self::Ed25519),
                _ => Err(SkipReason::UnknownKeyType),
            },
            "oct" => Ok(Self::Secret),
            _ => Err(SkipReason::UnknownKeyType),
        }
    }

    /// RFC 7518 §6.2.2, §6.3.2, §6.4.1, for any type: a private part in the wrong type of key is a leak none the less.
    const fn private_members(self) -> &'static [&'static str] {
        match self {
            Self::Secret => &["d", "p", "q", "dp", "dq", "qi", "oth"],
            _ => &["d", "p", "q", "dp", "dq", "qi", "oth", "k"],
        }
    }

    /// What a key of this type can check.
    const fn algorithms(self) -> AlgorithmSet {
        use Algorithm as A;
        match self {
            Self::Rsa => AlgorithmSet::of(&[A::Rs256, A::Rs384, A::Rs512, A::Ps256, A::Ps384, A::Ps512]),
            Self::Ec(curve) => AlgorithmSet::of(&[curve.algorithm()]),
            Self::Ed25519 => AlgorithmSet::of(&[A::Ed25519]),
            Self::Secret => AlgorithmSet::of(&[A::Hs256, A::Hs384, A::Hs512]),
        }
    }
}

/// RFC 7517 §4.2, §4.3: both absent, or both for signatures.
fn check_usage(jwk: &Object) -> Result<(), SkipReason> {
    if text(jwk, "use")?.is_some_and(|usage| usage != "sig") {
        return Err(SkipReason::NotForVerification);
    }
    let Some(operations) = jwk.get("key_ops") else { return Ok(()) };
    let mut operations = operations
        .as_array()
        .and_then(|all| all.iter().map(Json::as_str).collect::<Option<Vec<_>>>())
        .ok_or(SkipReason::MalformedMember)?;
    operations.sort_unstable();
    if operations.iter().zip(operations.iter().skip(1)).any(|(a, b)| a == b) {
        return Err(SkipReason::MalformedMember);
    }
    if operations.contains(&"verify") { Ok(()) } else { Err(SkipReason::NotForVerification) }
}

/// RFC 8725 §3.1: each key has exactly one algorithm. It is the key's own `alg`, or follows from type, curve and
/// allow-list; never from a token.
fn algorithm(jwk: &Object, kind: Kind, rules: &KeyRules) -> Result<Algorithm, SkipReason> {
    if let Some(name) = text(jwk, "alg")? {
        let algorithm = Algorithm::from_name(name).ok_or(SkipReason::AlgorithmNotAllowed)?;
        if !kind.algorithms().contains(algorithm) {
            return Err(SkipReason::AlgorithmMismatch);
        }
        return if rules.algorithms.contains(algorithm) {
            Ok(algorithm)
        } else {
            Err(SkipReason::AlgorithmNotAllowed)
        };
    }
    let fitting = kind.algorithms().intersection(rules.algorithms);
    let mut candidates = fitting.iter();
    match (candidates.next(), candidates.next()) {
        (None, _) => Err(SkipReason::AlgorithmNotAllowed),
        (Some(only), None) => Ok(only),
        _ => rules
            .algorithm_when_absent
            .filter(|algorithm| fitting.contains(*algorithm))
            .ok_or(SkipReason::AlgorithmAmbiguous),
    }
}

fn text<'j>(jwk: &'j Object, name: &str) -> Result<Option<&'j str>, SkipReason> {
    match jwk.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(SkipReason::MalformedMember),
    }
}

fn required<'j>(jwk: &'j Object, name: &str) -> Result<&'j str, SkipReason> {
    text(jwk, name)?.ok_or(SkipReason::MissingMember)
}

fn bytes(jwk: &Object, name: &str) -> Result<Vec<u8>, SkipReason> {
    URL_SAFE_NO_PAD.decode(required(jwk, name)?).map_err(|_| SkipReason::MalformedMember)
}

#[cfg(test)]
#[cfg(feature = "aws-lc-rs")]
mod tests;
