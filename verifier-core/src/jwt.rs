//! One JWT's way, as types: [`UnverifiedJwt`] has no claims, [`AuthenticJwt`] has a checked signature, and only
//! [`AuthenticJwt::validate`] gives [`Facts`].
//!
//! ```compile_fail
//! fn claims_before_the_signature(jwt: verifier_core::jwt::UnverifiedJwt<'_>) {
//!     let _ = jwt.facts();
//! }
//! ```

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::algorithm::{Algorithm, AlgorithmSet};
use crate::claims::Facts;
use crate::error::Rejection;
use crate::header::JoseHeader;
use crate::json::{Json, JsonLimits, Object};
use crate::key::VerificationKey;
use crate::policy::{IssuerRules, Role, ValidationPolicy};
use crate::time::WallTime;
use crate::token::{AccessToken, CompactJwt, Shape};

/// A well-formed JWT whose signature nobody has checked. Its claims can't be had.
#[derive(Clone, Copy, Debug)]
pub struct UnverifiedJwt<'t> {
    token: &'t AccessToken<'t>,
    jwt: &'t CompactJwt,
}

impl<'t> UnverifiedJwt<'t> {
    /// From a token of JWT shape, which includes the strict JOSE header.
    ///
    /// # Errors
    /// Those of [`AccessToken::shape`]; [`Rejection::NotAJwt`] for an opaque one.
    pub fn parse(token: &'t AccessToken<'t>) -> Result<Self, Rejection> {
        match token.shape()? {
            Shape::Jwt(jwt) => Ok(Self { token, jwt }),
            Shape::Opaque => Err(Rejection::NotAJwt),
        }
    }

    /// The JOSE header.
    pub const fn header(&self) -> &'t JoseHeader {
        self.jwt.header()
    }

    /// The algorithm, if it is one of these (RFC 8725 §3.1).
    ///
    /// # Errors
    /// [`Rejection::AlgorithmNotAllowed`].
    pub fn algorithm(&self, allowed: AlgorithmSet) -> Result<Algorithm, Rejection> {
        self.header()
            .algorithm()
            .filter(|algorithm| allowed.contains(*algorithm))
            .ok_or(Rejection::AlgorithmNotAllowed)
    }

    /// Checks the signature over the received bytes (RFC 7515 §5.2 step 8).
    ///
    /// # Errors
    /// [`Rejection::KeyMismatch`] if the key is for another algorithm, [`Rejection::UnknownKey`] if it was withdrawn,
    /// [`Rejection::BadSignature`].
    pub fn check_signature(self, key: &Arc<VerificationKey>) -> Result<AuthenticJwt<'t>, Rejection> {
        if self.header().algorithm() != Some(key.algorithm()) {
            return Err(Rejection::KeyMismatch);
        }
        if key.is_withdrawn() {
            return Err(Rejection::UnknownKey);
        }
        let signature = self.jwt.signature();
        if !key.check(self.jwt.signing_input(self.token), signature) {
            return Err(Rejection::BadSignature);
        }
        Ok(AuthenticJwt { token: self.token, jwt: self.jwt })
    }

    /// The payload's `iss`, for routing alone: whoever uses it compares it with the validated one afterwards.
    pub fn untrusted_issuer(&self) -> Option<Box<str>> {
        match self.payload().ok()?.get("iss")? {
            Json::String(issuer) => Some(issuer.clone()),
            _ => None,
        }
    }

    fn payload(&self) -> Result<Object, Rejection> {
        read_payload(self.token, self.jwt)
    }
}

fn read_payload(token: &AccessToken<'_>, jwt: &CompactJwt) -> Result<Object, Rejection> {
    let bytes = URL_SAFE_NO_PAD.decode(jwt.payload_segment(token)).map_err(|_| Rejection::NotCanonical)?;
    Object::parse(&bytes, JsonLimits::CLAIMS).map_err(|_| Rejection::MalformedClaims)
}

/// A JWT whose signature was checked. Whose token it is, for whom and for how long, nobody has judged yet.
#[derive(Clone, Copy, Debug)]
pub struct AuthenticJwt<'t> {
    token: &'t AccessToken<'t>,
    jwt: &'t CompactJwt,
}

impl AuthenticJwt<'_> {
    /// Reads the claims set under the issuer's rules: what may be kept, since it is the same for every policy.
    ///
    /// # Errors
    /// [`Rejection::MalformedClaims`], [`Rejection::MissingClaim`], [`Rejection::WrongIssuer`],
    /// [`Rejection::WrongType`], [`Rejection::NotAnAccessToken`], [`Rejection::NoAccessTokenMark`].
    pub fn facts(&self, rules: &IssuerRules) -> Result<Facts, Rejection> {
        Facts::from_claims(self.jwt.header(), read_payload(self.token, self.jwt)?, rules)
    }

    /// The claims set of a JWT that is no access token, for readers of other kinds (RFC 9701, RFC 8417): whoever asks
    /// names the kind, and judges issuer, audience and times by its own rules. Nobody has judged them here.
    ///
    /// # Errors
    /// [`Rejection::WrongType`] if the header's `typ` is not this media type, given without `application/` (RFC 8725
    /// §3.11); [`Rejection::MalformedClaims`].
    pub fn claims_of_type(&self, media_type: &str) -> Result<Object, Rejection> {
        let header = self.jwt.header();
        if !header.is_type(media_type) {
            return Err(Rejection::WrongType);
        }
        let claims = read_payload(self.token, self.jwt)?;
        // RFC 7519 §5.3
        if header.replicated_claims().any(|(name, value)| claims.get(name) != Some(value)) {
            return Err(Rejection::MalformedClaims);
        }
        Ok(claims)
    }

    /// Reads and judges (RFC 7519 §7.2, RFC 9068 §4).
    ///
    /// # Errors
    /// [`ValidationError`].
    pub fn validate(
        &self,
        rules: &IssuerRules,
        policy: &ValidationPolicy,
        now: WallTime,
    ) -> Result<Facts, ValidationError> {
        let facts = self.facts(rules)?;
        match policy.judge(&facts, now, Role::Decides) {
            Ok(()) => Ok(facts),
            Err(Rejection::Expired) => Err(ValidationError::Expired(ExpiredToken { facts: Box::new(facts) })),
            Err(rejection) => Err(rejection.into()),
        }
    }
}

/// A token that passed every check of its own but `exp`: no credential any more, though it still says whose it was. For
/// flows that exchange an expired token. Scopes and sender constraint have not been judged.
#[derive(Debug)]
pub struct ExpiredToken {
    facts: Box<Facts>,
}

impl ExpiredToken {
    /// What the token said while it lived.
    pub fn expired_facts(&self) -> &Facts {
        &self.facts
    }
}

/// Why a JWT is not valid.
#[derive(Debug)]
#[non_exhaustive]
pub enum ValidationError {
    /// Expired, and nothing else is wrong with it.
    Expired(ExpiredToken),
    /// Something else.
    Rejected(Rejection),
}

impl ValidationError {
    /// The rejection, whichever it is.
    pub const fn rejection(&self) -> Rejection {
        match self {
            Self::Expired(_) => Rejection::Expired,
            Self::Rejected(rejection) => *rejection,
        }
    }
}

impl From<Rejection> for ValidationError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests;
