//! A token that passed every check: what the service sees.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::Facts;
use crate::error::{Rejection, VerifyError};
use crate::evidence::Evidence;
use crate::json::{Json, Object};
use crate::time::Now;

/// The claims don't fit the type that was asked for. Neither `Display` nor `Debug` quotes them.
pub struct ClaimsError(serde_json::Error);

impl fmt::Debug for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClaimsError").field(&self.0.classify()).finish()
    }
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The cause may quote the token; the category never does.
        write!(f, "the claims do not fit the requested type ({:?} error)", self.0.classify())
    }
}

impl std::error::Error for ClaimsError {}

/// A token that passed every check. Cheap to clone.
#[derive(Clone)]
pub struct VerifiedToken {
    facts: Arc<Facts>,
    other: Option<Arc<Facts>>,
    evidence: Evidence,
    arrival: Now,
}

impl VerifiedToken {
    /// The one constructor: called where all has been checked.
    pub(crate) const fn assertion(
        facts: Arc<Facts>,
        other: Option<Arc<Facts>>,
        evidence: Evidence,
        arrival: Now,
    ) -> Self {
        Self { facts, other, evidence, arrival }
    }

    /// The issuer, as configured.
    pub fn issuer(&self) -> &str {
        self.facts.issuer()
    }

    /// `sub`. In a client's own token it may name the client: see [`is_client_only`](Self::is_client_only).
    pub fn subject(&self) -> Option<&str> {
        self.facts.subject()
    }

    /// The client that the token was issued to.
    pub fn client_id(&self) -> Option<&str> {
        self.facts.client_id()
    }

    /// Whether the token speaks for a client alone and for no user: no subject, or the client is the subject
    /// (RFC 9700 §4.15).
    pub fn is_client_only(&self) -> bool {
        self.subject().is_none_or(|subject| Some(subject) == self.client_id())
    }

    /// `aud`, as a list.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.facts.audience()
    }

    /// The scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.facts.scopes()
    }

    /// Whether this scope was granted, byte for byte.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.facts.has_scope(scope)
    }

    /// Demands all of these scopes.
    ///
    /// # Errors
    /// [`InsufficientScope`], which makes a 403 with a challenge that names them (RFC 6750 §3.1).
    pub fn require_scopes(&self, scopes: &[&str]) -> Result<(), InsufficientScope> {
        if scopes.iter().all(|scope| self.has_scope(scope)) {
            Ok(())
        } else {
            Err(InsufficientScope { required: scopes.iter().map(|scope| Box::from(*scope)).collect() })
        }
    }

    /// The roles, from where the profile points to.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.facts.roles()
    }

    /// `exp`, in seconds since the epoch; `None` for an opaque token whose server doesn't tell.
    pub fn expires_at(&self) -> Option<i64> {
        self.facts.expires_at()
    }

    /// `iat`, in seconds since the epoch.
    pub fn issued_at(&self) -> Option<i64> {
        self.facts.issued_at()
    }

    /// `jti`
    pub fn jwt_id(&self) -> Option<&str> {
        self.facts.jwt_id()
    }

    /// The `kid` of the signed token.
    pub fn kid(&self) -> Option<&str> {
        self.facts.kid().or_else(|| self.other.as_ref().and_then(|other| other.kid()))
    }

    /// A claim by its name.
    pub fn claim(&self, name: &str) -> Option<&Json> {
        self.facts.claim(name)
    }

    /// All claims, as they came.
    pub fn members(&self) -> &Object {
        self.facts.members()
    }

    /// The claims as a type of your own. Read once a token and type; later calls share the value.
    ///
    /// # Errors
    /// [`ClaimsError`] if they don't fit.
    pub fn claims<T: DeserializeOwned + Any + Send + Sync>(&self) -> Result<Arc<T>, ClaimsError> {
        if let Some(kept) = self.facts.typed.get::<T>() {
            return Ok(kept);
        }
        let value = serde_json::to_value(&self.facts.members).and_then(serde_json::from_value::<T>);
        let value = Arc::new(value.map_err(ClaimsError)?);
        self.facts.typed.keep(&value);
        Ok(value)
    }

    /// What the acceptance rests on.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// How old the revocation knowledge was when the request arrived; `None` if this strategy has none.
    pub fn revocation_age(&self) -> Option<Duration> {
        self.evidence.revocation_age(self.arrival)
    }

    /// The facts that the service sees.
    pub const fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// The other side, where token and introspection answer are both at hand.
    pub const fn other_facts(&self) -> Option<&Arc<Facts>> {
        self.other.as_ref()
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken").field("facts", &self.facts).field("evidence", &self.evidence).finish()
    }
}

/// The token is good and lacks a scope: 403.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InsufficientScope {
    required: Box<[Box<str>]>,
}

impl InsufficientScope {
    /// The scopes that are needed.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        self.required.iter().map(|scope| &**scope)
    }

    /// The challenge that names them.
    pub fn challenge(&self) -> crate::challenge::Challenge {
        crate::challenge::Challenge::for_rejection(Rejection::InsufficientScope).with_scopes(self.required())
    }
}

impl From<InsufficientScope> for VerifyError {
    fn from(_: InsufficientScope) -> Self {
        Rejection::InsufficientScope.into()
    }
}

impl fmt::Display for InsufficientScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("insufficient_scope")
    }
}

impl std::error::Error for InsufficientScope {}
