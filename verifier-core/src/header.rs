//! The JOSE header of a compact JWS, read strictly (RFC 7515 §4, RFC 8725 §3).

use std::fmt;

use crate::algorithm::Algorithm;
use crate::error::Rejection;
use crate::json::{Json, JsonLimits, Object};

/// Greatest length of a `kid`, in bytes.
pub const MAX_KID_LEN: usize = 1024;

/// What of a JOSE header is used. Nothing in it is trusted: `kid` only selects among keys already trusted, and `jku`,
/// `jwk`, `x5u`, `x5c`, `x5t` are never looked at (RFC 8725 §3.10).
#[derive(Clone, PartialEq)]
pub struct JoseHeader {
    algorithm_name: Box<str>,
    algorithm: Option<Algorithm>,
    kid: Option<Box<str>>,
    typ: Option<Box<str>>,
    replicated: Vec<(&'static str, Json)>,
}

/// Parameters that change what the signature covers or how the payload is read. None is supported, and to ignore one
/// would be to misread the token: `crit` (RFC 7515 §4.1.11: we understand no extension), `b64` (RFC 7797 §7), and those
/// of encryption (RFC 7516 §4.1, RFC 7518 §4.8.1).
const UNSUPPORTED: [&str; 6] = ["crit", "b64", "zip", "enc", "p2c", "p2s"];

/// The claims that a header may repeat (RFC 7519 §5.3).
const REPLICATED: [&str; 3] = ["iss", "sub", "aud"];

impl JoseHeader {
    /// Reads the decoded first segment.
    ///
    /// # Errors
    /// [`Rejection::MalformedHeader`] if it is no JSON object with unique names, lacks `alg`, has a parameter of the
    /// wrong type, or one that is not supported; [`Rejection::AlgorithmNotAllowed`] for any spelling of `none`. An
    /// `alg` that is merely unknown is no error here: the authorization server may know it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejection> {
        let header = Object::parse(bytes, JsonLimits::HEADER).map_err(|_| Rejection::MalformedHeader)?;

        let name = text(&header, "alg")?.filter(|name| !name.is_empty()).ok_or(Rejection::MalformedHeader)?;
        if is_none(name) {
            return Err(Rejection::AlgorithmNotAllowed);
        }
        if UNSUPPORTED.iter().any(|name| header.get(name).is_some()) {
            return Err(Rejection::MalformedHeader);
        }
        let kid = text(&header, "kid")?.filter(|kid| !kid.is_empty());
        if kid.is_some_and(|kid| kid.len() > MAX_KID_LEN) {
            return Err(Rejection::MalformedHeader);
        }
        // A JWT inside a JWT (RFC 7519 §5.2) is not unwrapped.
        if text(&header, "cty")?.is_some_and(|cty| is_media_type(cty, "jwt")) {
            return Err(Rejection::MalformedHeader);
        }
        Ok(Self {
            algorithm_name: name.into(),
            algorithm: Algorithm::from_name(name),
            kid: kid.map(Into::into),
            typ: text(&header, "typ")?.map(Into::into),
            replicated: REPLICATED
                .into_iter()
                .filter_map(|name| Some((name, header.get(name)?.clone())))
                .collect(),
        })
    }

    /// The value of `alg`: text of whoever made the token.
    pub fn algorithm_name(&self) -> &str {
        &self.algorithm_name
    }

    /// The algorithm, if it is one that we know.
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// The key's id; an empty one counts as absent.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The value of `typ`, as it stands.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Whether `typ` is this media type, given without `application/`: ASCII letters in either case, and with or
    /// without that prefix in the header (RFC 7515 §4.1.9).
    pub fn is_type(&self, media_type: &str) -> bool {
        self.typ().is_some_and(|typ| is_media_type(typ, media_type))
    }

    /// The claims `iss`, `sub`, `aud` that the header repeats; each must equal the payload's (RFC 7519 §5.3).
    pub fn replicated_claims(&self) -> impl Iterator<Item = (&'static str, &Json)> {
        self.replicated.iter().map(|(name, value)| (*name, value))
    }
}

impl fmt::Debug for JoseHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoseHeader").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A parameter that is a string where it is present; `null` is present and no string.
fn text<'h>(header: &'h Object, name: &str) -> Result<Option<&'h str>, Rejection> {
    match header.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(Rejection::MalformedHeader),
    }
}

/// `none` in any case, with any junk in or around it: some library somewhere would trim it.
fn is_none(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).eq("none".chars())
}

fn is_media_type(value: &str, expected: &str) -> bool {
    const PREFIX: &str = "application/";
    let bare = match value.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => value.get(PREFIX.len()..).unwrap_or_default(),
        _ => value,
    };
    bare.eq_ignore_ascii_case(expected)
}

#[cfg(test)]
mod tests;
