//! What a service demands of a token: pure judgements over [`Facts`] and the time, run again on every hit.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::challenge::is_scope_token;
use crate::claims::Facts;
use crate::error::Rejection;
use crate::profile::TokenProfile;
use crate::time::WallTime;

/// Clock difference that is forgiven unless configured.
pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
/// Greatest leeway that can be configured (RFC 9068 §4: no more than a few minutes).
pub const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// What holds for every token of one issuer: its name, byte for byte, and what its access tokens look like.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IssuerRules {
    issuers: Arc<[Arc<str>]>,
    missing_issuer_accepted: bool,
    /// What an access token looks like.
    pub profile: Arc<TokenProfile>,
}

impl IssuerRules {
    /// One issuer.
    ///
    /// # Errors
    /// [`PolicyError::EmptyIssuer`].
    pub fn new(issuer: &str, profile: TokenProfile) -> Result<Self, PolicyError> {
        Self::any_of([issuer], profile)
    }

    /// Several names that share keys: the tenants of one multi-tenant issuer, listed one by one. The first gives the
    /// issuer its name.
    ///
    /// # Errors
    /// [`PolicyError::EmptyIssuer`] if there is none, or one is empty.
    pub fn any_of<'a>(
        issuers: impl IntoIterator<Item = &'a str>,
        profile: TokenProfile,
    ) -> Result<Self, PolicyError> {
        let issuers: Arc<[Arc<str>]> = issuers.into_iter().map(Arc::from).collect();
        if issuers.is_empty() || issuers.iter().any(|issuer| issuer.is_empty()) {
            return Err(PolicyError::EmptyIssuer);
        }
        Ok(Self { issuers, missing_issuer_accepted: false, profile: Arc::new(profile) })
    }

    /// Accepts tokens without `iss`, as home-made ones may be: they count as this issuer's. Dangerous where keys are
    /// shared with another issuer.
    #[must_use]
    pub fn danger_accept_missing_issuer(self) -> Self {
        let mut profile = (*self.profile).clone();
        profile.required.retain(|name| name != "iss");
        Self { missing_issuer_accepted: true, profile: Arc::new(profile), ..self }
    }

    /// The issuer's name.
    pub fn issuer(&self) -> &Arc<str> {
        static NONE: std::sync::OnceLock<Arc<str>> = std::sync::OnceLock::new();
        // Never empty by construction.
        self.issuers.first().unwrap_or_else(|| NONE.get_or_init(|| Arc::from("")))
    }

    /// Every name that this issuer's tokens may bear.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.issuers.iter()
    }

    /// Whether tokens without `iss` are accepted.
    pub const fn accepts_missing_issuer(&self) -> bool {
        self.missing_issuer_accepted
    }

    /// The configured name that equals this `iss`, byte for byte.
    ///
    /// # Errors
    /// [`Rejection::WrongIssuer`]; [`Rejection::MissingClaim`] if there is none where one is demanded.
    pub fn matching(&self, iss: Option<&str>) -> Result<Arc<str>, Rejection> {
        match iss {
            Some(iss) => {
                self.issuers.iter().find(|name| &***name == iss).cloned().ok_or(Rejection::WrongIssuer)
            }
            None if self.missing_issuer_accepted => Ok(self.issuer().clone()),
            None => Err(Rejection::MissingClaim),
        }
    }
}

/// Who must be among a token's audiences.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AudienceRule {
    /// One of these must be in the claim, byte for byte.
    AnyOf {
        /// The claim: `aud`, or another where an issuer has none (`client_id`, `azp`).
        claim: Box<str>,
        /// The accepted values.
        values: Vec<Box<str>>,
    },
    /// Tokens for anybody are accepted.
    DangerAny,
}

/// One API's demands. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ValidationPolicy(Arc<Demands>);

#[derive(Debug)]
struct Demands {
    audience: AudienceRule,
    leeway: Duration,
    max_age: Option<Duration>,
    max_lifetime: Option<Duration>,
    required_claims: Vec<Box<str>>,
    required_scopes: Vec<Box<str>>,
}

/// How much of a policy one source of facts has to satisfy, where token and answer are both at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[non_exhaustive]
pub enum Role {
    /// This side's claims are what the service sees: all of the policy holds.
    #[default]
    Decides,
    /// The other side decides: what this side says of audience and times must hold, and it may be silent.
    Corroborates,
}

impl ValidationPolicy {
    /// A policy for this audience (claim `aud`).
    pub fn for_audience(audience: impl Into<String>) -> PolicyBuilder {
        Self::for_audiences([audience])
    }

    /// A policy for any of these audiences (claim `aud`).
    pub fn for_audiences<A: Into<String>>(audiences: impl IntoIterator<Item = A>) -> PolicyBuilder {
        let values = audiences.into_iter().map(|audience| audience.into().into_boxed_str()).collect();
        Self::with_audience_rule(AudienceRule::AnyOf { claim: "aud".into(), values })
    }

    /// A policy that accepts tokens for anybody: one that was stolen from another service is as good as ours.
    pub fn danger_accept_any_audience() -> PolicyBuilder {
        Self::with_audience_rule(AudienceRule::DangerAny)
    }

    /// A policy with this rule.
    pub fn with_audience_rule(audience: AudienceRule) -> PolicyBuilder {
        PolicyBuilder(Demands {
            audience,
            leeway: DEFAULT_LEEWAY,
            max_age: None,
            max_lifetime: None,
            required_claims: Vec::new(),
            required_scopes: Vec::new(),
        })
    }

    /// The clock difference that is forgiven.
    pub fn leeway(&self) -> Duration {
        self.0.leeway
    }

    /// The audience rule.
    pub fn audience(&self) -> &AudienceRule {
        &self.0.audience
    }

    /// The greatest `exp - iat` that is accepted.
    pub fn max_lifetime(&self) -> Option<Duration> {
        self.0.max_lifetime
    }

    /// Judges facts at an instant. `exp` comes last, so that [`Rejection::Expired`] means that all else is good;
    /// scopes come after it, since lacking one is no fault of the token.
    ///
    /// # Errors
    /// The first [`Rejection`], in the order of the code.
    pub fn judge(&self, facts: &Facts, now: WallTime, role: Role) -> Result<(), Rejection> {
        let demands = &*self.0;
        let leeway = demands.leeway;

        // RFC 7519 §4.1.5
        if facts.not_before().is_some_and(|nbf| now.plus(leeway) < WallTime::from_unix_seconds(nbf)) {
            return Err(Rejection::NotYetValid);
        }
        // RFC 7519 §4.1.6; a token from the future has been forged or misdated
        if let Some(iat) = facts.issued_at() {
            let issued = WallTime::from_unix_seconds(iat);
            if now.plus(leeway) < issued || facts.expires_at().is_some_and(|exp| iat > exp) {
                return Err(Rejection::IssuedInFuture);
            }
            if demands.max_age.is_some_and(|max| now.since(issued) > max.saturating_add(leeway)) {
                return Err(Rejection::TooOld);
            }
        } else if role == Role::Decides && (demands.max_age.is_some() || demands.max_lifetime.is_some()) {
            return Err(Rejection::MissingClaim);
        }
        if let Some(max) = demands.max_lifetime {
            match facts.lifetime() {
                Some(lifetime) if lifetime > max => return Err(Rejection::LifetimeTooLong),
                None if role == Role::Decides => return Err(Rejection::MissingClaim),
                _ => {}
            }
        }
        demands.judge_audience(facts, role)?;
        if role == Role::Decides && demands.required_claims.iter().any(|name| facts.says_nothing(name)) {
            return Err(Rejection::MissingClaim);
        }
        // RFC 7519 §4.1.4: on or after `exp` is too late
        if facts.expires_at().is_some_and(|exp| now >= WallTime::from_unix_seconds(exp).plus(leeway)) {
            return Err(Rejection::Expired);
        }
        if role == Role::Decides && !demands.required_scopes.iter().all(|scope| facts.has_scope(scope)) {
            return Err(Rejection::InsufficientScope);
        }
        Ok(())
    }

    /// The scopes that every request needs: for the `scope` of a 403 challenge.
    pub fn required_scopes(&self) -> impl Iterator<Item = &str> {
        self.0.required_scopes.iter().map(|scope| &**scope)
    }
}

impl Demands {
    /// RFC 7519 §4.1.3, RFC 9068 §4: byte for byte.
    fn judge_audience(&self, facts: &Facts, role: Role) -> Result<(), Rejection> {
        let AudienceRule::AnyOf { claim, values } = &self.audience else { return Ok(()) };
        let accepted = |one: &str| values.iter().any(|value| &**value == one);
        let (silent, holds) = if &**claim == "aud" {
            let mut audience = facts.audience().peekable();
            (audience.peek().is_none(), audience.any(accepted))
        } else {
            match facts.claim(claim) {
                None => (true, false),
                Some(value) => (
                    false,
                    value.as_str().is_some_and(accepted)
                        || value
                            .as_array()
                            .is_some_and(|list| list.iter().filter_map(|one| one.as_str()).any(accepted)),
                ),
            }
        };
        if holds || (silent && role == Role::Corroborates) { Ok(()) } else { Err(Rejection::WrongAudience) }
    }
}

/// Builds a [`ValidationPolicy`].
#[derive(Debug)]
#[must_use]
pub struct PolicyBuilder(Demands);

impl PolicyBuilder {
    /// Forgives this clock difference; at most [`MAX_LEEWAY`].
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.0.leeway = leeway;
        self
    }

    /// Refuses tokens that were issued longer ago, whatever their `exp`.
    pub fn max_age(mut self, max: Duration) -> Self {
        self.0.max_age = Some(max);
        self
    }

    /// Refuses tokens whose `exp - iat` is greater: what keeps a strategy that can't see revocations to short-lived
    /// tokens.
    pub fn max_lifetime(mut self, max: Duration) -> Self {
        self.0.max_lifetime = Some(max);
        self
    }

    /// Demands this claim.
    pub fn require_claim(mut self, name: impl Into<String>) -> Self {
        self.0.required_claims.push(name.into().into_boxed_str());
        self
    }

    /// Demands this scope of every token; lacking it is 403.
    pub fn require_scope(mut self, scope: impl Into<String>) -> Self {
        self.0.required_scopes.push(scope.into().into_boxed_str());
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// [`PolicyError`]: a policy that refuses nothing it should, or contradicts itself, isn't built.
    pub fn build(self) -> Result<ValidationPolicy, PolicyError> {
        if let AudienceRule::AnyOf { claim, values } = &self.0.audience
            && (claim.is_empty() || values.is_empty() || values.iter().any(|value| value.is_empty()))
        {
            return Err(PolicyError::EmptyAudience);
        }
        if self.0.leeway > MAX_LEEWAY {
            return Err(PolicyError::LeewayTooGreat { leeway: self.0.leeway });
        }
        if self.0.max_age.is_some_and(|max| max.is_zero())
            || self.0.max_lifetime.is_some_and(|max| max.is_zero())
        {
            return Err(PolicyError::ZeroLimit);
        }
        if !self.0.required_scopes.iter().all(|scope| is_scope_token(scope)) {
            return Err(PolicyError::ImpossibleScope);
        }
        Ok(ValidationPolicy(Arc::new(self.0)))
    }
}

/// Why a policy can't be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PolicyError {
    /// No issuer, or an empty name.
    EmptyIssuer,
    /// No audience, or an empty one.
    EmptyAudience,
    /// The leeway is over [`MAX_LEEWAY`].
    LeewayTooGreat {
        /// What was asked for.
        leeway: Duration,
    },
    /// A greatest age or lifetime of zero would refuse every token.
    ZeroLimit,
    /// A required scope is no scope-token (RFC 6749 §3.3): no token can have it.
    ImpossibleScope,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyIssuer => f.write_str("issuer: none is given, or one is empty"),
            Self::EmptyAudience => f.write_str(
                "audience: none is given, or one is empty; to accept tokens for anybody, say danger_accept_any_audience",
            ),
            Self::LeewayTooGreat { leeway } => {
                write!(f, "leeway: {leeway:?} is over the greatest allowed, {MAX_LEEWAY:?}")
            }
            Self::ZeroLimit => f.write_str("max_age, max_lifetime: zero would refuse every token"),
            Self::ImpossibleScope => f.write_str(
                "required scope: one is empty or holds a blank, a quote or another character that no scope has",
            ),
        }
    }
}

impl std::error::Error for PolicyError {}

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests;
