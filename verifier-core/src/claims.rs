//! What a token, or an introspection answer, says: read once, judged again on every use.

mod reading;
mod typed;
mod verified;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::reading::{Malformed, Read, Reader};
use self::typed::TypedClaims;
pub use self::verified::{ClaimsError, InsufficientScope, VerifiedToken};
use crate::error::Rejection;
use crate::header::JoseHeader;
use crate::identity::Identity;
use crate::json::{Json, Object};
use crate::policy::IssuerRules;

/// What a token is bound to (RFC 7800).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Confirmation {
    /// `x5t#S256`: SHA-256 of the client certificate (RFC 8705 §3.1).
    CertificateSha256([u8; 32]),
    /// `jkt`: SHA-256 thumbprint of the DPoP key (RFC 9449 §6.1).
    JwkThumbprint([u8; 32]),
    /// Something else, or several at once: can't be confirmed.
    Unsupported,
}

/// Why facts can't be read from an introspection answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnswerError {
    /// A member has a type that it must not have: no answer at all, nothing is known of the token.
    Unreadable,
    /// The answer is readable, and says that this token is not for us.
    Rejected(Rejection),
}

/// What one source says of a token: immutable, the same for every policy.
pub struct Facts {
    issuer: Arc<str>,
    subject: Option<Box<str>>,
    client: Option<Box<str>>,
    audience: Box<[Box<str>]>,
    scopes: Box<[Box<str>]>,
    roles: Box<[Box<str>]>,
    expires_at: Option<i64>,
    not_before: Option<i64>,
    issued_at: Option<i64>,
    jwt_id: Option<Box<str>>,
    session: Option<Box<str>>,
    confirmation: Option<Confirmation>,
    kid: Option<Box<str>>,
    identity: Identity,
    members: Object,
    typed: TypedClaims,
}

impl Facts {
    /// Reads the claims set of a JWT whose signature has been checked (RFC 7519 §4.1, RFC 9068 §2.2).
    ///
    /// # Errors
    /// [`Rejection::MalformedClaims`], [`Rejection::MissingClaim`], [`Rejection::WrongIssuer`], and those of the
    /// profile.
    pub(crate) fn from_claims(
        header: &JoseHeader,
        claims: Object,
        rules: &IssuerRules,
    ) -> Result<Self, Rejection> {
        let reader = Reader { members: &claims, lenient: false, profile: &rules.profile };
        let malformed = |_: Malformed| Rejection::MalformedClaims;

        // RFC 7519 §5.3: replicated claims must be the same
        if header.replicated_claims().any(|(name, value)| claims.get(name) != Some(value)) {
            return Err(Rejection::MalformedClaims);
        }
        let issuer = rules.matching(reader.text("iss").map_err(malformed)?)?;
        rules.profile.judge_header(header)?;
        let read = reader.read().map_err(malformed)?;
        rules.profile.judge_claims(header, &claims, read.client.as_deref())?;
        // A JWT without `exp` never ends, whatever the profile says (RFC 9068 §2.2).
        if read.expires_at.is_none() {
            return Err(Rejection::MissingClaim);
        }
        Ok(Self::assemble(issuer, read, header.kid(), claims))
    }

    /// Reads an active introspection answer (RFC 7662 §2.2). Texts that are null or empty count as absent.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn from_answer(answer: Object, rules: &IssuerRules) -> Result<Self, AnswerError> {
        let reader = Reader { members: &answer, lenient: true, profile: &rules.profile };
        let unreadable = |_: Malformed| AnswerError::Unreadable;

        let issuer = match reader.text("iss").map_err(unreadable)? {
            // Who answers is the issuer whom we asked; a name that is there must be his. Of several names it can't be
            // said which, and events would miss the token under the wrong one.
            None if rules.names().nth(1).is_some() => {
                return Err(AnswerError::Rejected(Rejection::MissingClaim));
            }
            None => rules.issuer().clone(),
            iss => rules.matching(iss).map_err(AnswerError::Rejected)?,
        };
        // RFC 9449 §6.2: a DPoP token whose binding the answer doesn't tell can't be confirmed.
        let is_dpop = reader
            .text("token_type")
            .map_err(unreadable)?
            .is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP"));
        let mut read = reader.read().map_err(unreadable)?;
        rules.profile.judge_answer(&answer, read.client.as_deref()).map_err(AnswerError::Rejected)?;
        if is_dpop {
            read.confirmation = read.confirmation.or(Some(Confirmation::Unsupported));
        }
        Ok(Self::assemble(issuer, read, None, answer))
    }

    fn assemble(issuer: Arc<str>, read: Read, kid: Option<&str>, members: Object) -> Self {
        let identity = Identity::new(
            &issuer,
            read.jwt_id.as_deref(),
            read.subject.as_deref(),
            read.session.as_deref(),
            read.client.as_deref(),
            read.issued_at,
        );
        Self {
            issuer,
            subject: read.subject,
            client: read.client,
            audience: read.audience,
            scopes: read.scopes,
            roles: read.roles,
            expires_at: read.expires_at,
            not_before: read.not_before,
            issued_at: read.issued_at,
            jwt_id: read.jwt_id,
            session: read.session,
            confirmation: read.confirmation,
            kid: kid.map(Box::from),
            identity,
            members,
            typed: TypedClaims::default(),
        }
    }

    /// The issuer, as configured.
    pub const fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// `sub`
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The client, from the claim that the profile names.
    pub fn client_id(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// `aud`, as a list.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter().map(|one| &**one)
    }

    /// The scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(|one| &**one)
    }

    /// Whether this scope is among them, byte for byte.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|one| &**one == scope)
    }

    /// The roles, from where the profile points to.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(|one| &**one)
    }

    /// `exp`, in seconds since the epoch, rounded down.
    pub const fn expires_at(&self) -> Option<i64> {
        self.expires_at
    }

    /// `nbf`, in seconds since the epoch, rounded up.
    pub const fn not_before(&self) -> Option<i64> {
        self.not_before
    }

    /// `iat`, in seconds since the epoch, rounded down.
    pub const fn issued_at(&self) -> Option<i64> {
        self.issued_at
    }

    /// `exp - iat`; `None` if either is absent.
    pub fn lifetime(&self) -> Option<Duration> {
        let (exp, iat) = (self.expires_at?, self.issued_at?);
        Some(u64::try_from(exp.saturating_sub(iat)).map_or(Duration::ZERO, Duration::from_secs))
    }

    /// `jti`
    pub fn jwt_id(&self) -> Option<&str> {
        self.jwt_id.as_deref()
    }

    /// `sid`
    pub fn session_id(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// `cnf`
    pub const fn confirmation(&self) -> Option<Confirmation> {
        self.confirmation
    }

    /// The `kid` of the header, for a JWT.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Who the token is, for revocation and comparison.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A claim by its name; `None` also for null.
    pub fn claim(&self, name: &str) -> Option<&Json> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Whether a claim is absent, null or an empty text.
    pub(crate) fn says_nothing(&self, name: &str) -> bool {
        self.claim(name).is_none_or(|value| value.as_str() == Some(""))
    }

    /// All members, as they came.
    pub const fn members(&self) -> &Object {
        &self.members
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("iss", &self.issuer)
            .field("sub", &self.subject)
            .field("client_id", &self.client)
            .field("jti", &self.jwt_id)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests;
