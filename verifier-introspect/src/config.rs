//! The settings of an introspector, their defaults and bounds.

use std::fmt;
use std::time::Duration;

use verifier_core::algorithm::Algorithm;
use verifier_core::policy::MAX_LEEWAY;
use verifier_core::transport::Limits;
use verifier_core::upstream::{InvalidUpstreamConfig, UpstreamConfig};

use crate::client_auth::{ClientAuth, SecretError};
use crate::retention::Retention;
use crate::signed::SignedAnswers;

/// Greatest age of an answer behind an acceptance, by default.
pub const DEFAULT_FRESHNESS: Duration = Duration::from_secs(60);
/// Greatest age of an inactive answer that is used, by default.
pub const DEFAULT_NEGATIVE_TTL: Duration = Duration::from_secs(10);
/// Greatest `negative_ttl`: inactive is not for ever, servers say it in passing too.
pub const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(5 * 60);
/// Greatest age of an active answer that names no `exp`, by default.
pub const DEFAULT_WITHOUT_EXPIRY: Duration = Duration::from_secs(60);
/// Answers of active tokens that are kept, by default.
pub const DEFAULT_ACTIVE_ANSWERS: u64 = 10_000;
/// Answers of other tokens that are kept, by default.
pub const DEFAULT_NEGATIVE_ANSWERS: u64 = 10_000;
/// Greatest time to connect, TLS included, by default.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Greatest time for one call, its retries included, by default.
pub const DEFAULT_TOTAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Greatest size of an answer, in bytes, by default.
pub const DEFAULT_BODY_LIMIT: usize = 64 * 1024;

/// How old an active answer may be when a request arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AnswerFreshness {
    /// At most this old.
    AtMost(Duration),
    /// As old as the token's `exp` lets it live: a revocation is then noticed by an event only.
    UntilExpiry,
}

impl AnswerFreshness {
    /// As a greatest age; [`Duration::MAX`] for [`UntilExpiry`](Self::UntilExpiry).
    pub const fn greatest_age(self) -> Duration {
        match self {
            Self::AtMost(age) => age,
            Self::UntilExpiry => Duration::MAX,
        }
    }
}

/// How many answers are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Cache {
    /// None: every token is asked for each time. Callers who ask at the same time still share one question.
    Off,
    /// So many. The two budgets are apart, so that junk can't drive out what is live.
    Bounded {
        /// Tokens that are, or were, active; [`DEFAULT_ACTIVE_ANSWERS`].
        active: u64,
        /// Tokens that never were; [`DEFAULT_NEGATIVE_ANSWERS`].
        negative: u64,
    },
}

impl Default for Cache {
    fn default() -> Self {
        Self::Bounded { active: DEFAULT_ACTIVE_ANSWERS, negative: DEFAULT_NEGATIVE_ANSWERS }
    }
}

/// How one endpoint is asked, and how its answers are kept. Start from [`new`](Self::new) and change fields.
#[derive(Clone)]
#[non_exhaustive]
pub struct IntrospectionConfig {
    /// How this service authenticates.
    pub client_auth: ClientAuth,
    /// Greatest age of an active answer, judged against the arrival of a request, which can only demand less;
    /// [`DEFAULT_FRESHNESS`].
    pub freshness: AnswerFreshness,
    /// Greatest age of an inactive answer, and of a refusal to answer for one token; [`DEFAULT_NEGATIVE_TTL`], at most
    /// [`MAX_NEGATIVE_TTL`]. It may exceed `freshness`, and holds also for requests that demand live knowledge:
    /// freshness bounds what an acceptance rests on, and a dead token must not cost a call each time it is shown.
    pub negative_ttl: Duration,
    /// Greatest age of an active answer that is kept for when the server can't be asked, of use to a hybrid verifier
    /// that allows stale answers; zero, the default, if none is. More than `freshness` otherwise.
    pub stale_allowance: Duration,
    /// Greatest age of an active answer that names no `exp`, where the token, verified locally, names none either;
    /// [`DEFAULT_WITHOUT_EXPIRY`].
    pub without_expiry: Duration,
    /// How many answers are kept.
    pub cache: Cache,
    /// The bounds of one call; `total` covers its retries. [`DEFAULT_CONNECT_TIMEOUT`], [`DEFAULT_TOTAL_TIMEOUT`],
    /// [`DEFAULT_BODY_LIMIT`].
    pub limits: Limits,
    /// Concurrency, waiting, retries and circuit breaker.
    pub upstream: UpstreamConfig,
    /// Demands answers that the issuer has signed (RFC 9701); by default answers are plain JSON.
    pub signed_answers: Option<SignedAnswers>,
    /// Whether `token_type_hint=access_token` is sent (RFC 7662 §2.1); yes by default.
    pub token_type_hint: bool,
    /// Further form parameters, such as Hydra's `scope`. Answers are kept under them.
    pub parameters: Vec<(String, String)>,
    /// Further headers. Their values are treated as secrets.
    pub headers: Vec<(String, String)>,
}

impl IntrospectionConfig {
    /// All defaults.
    pub fn new(client_auth: ClientAuth) -> Self {
        Self {
            client_auth,
            freshness: AnswerFreshness::AtMost(DEFAULT_FRESHNESS),
            negative_ttl: DEFAULT_NEGATIVE_TTL,
            stale_allowance: Duration::ZERO,
            without_expiry: DEFAULT_WITHOUT_EXPIRY,
            cache: Cache::default(),
            limits: Limits {
                connect: DEFAULT_CONNECT_TIMEOUT,
                total: DEFAULT_TOTAL_TIMEOUT,
                body: DEFAULT_BODY_LIMIT,
            },
            upstream: UpstreamConfig::default(),
            signed_answers: None,
            token_type_hint: true,
            parameters: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// [`BuildError`], for the first that don't.
    pub fn validate(&self) -> Result<(), BuildError> {
        let freshness = self.freshness.greatest_age();
        if self.negative_ttl > MAX_NEGATIVE_TTL {
            return Err(BuildError::NegativeTtlTooLong { negative_ttl: self.negative_ttl });
        }
        if !self.stale_allowance.is_zero() && self.stale_allowance <= freshness {
            return Err(BuildError::StaleNotOverFreshness {
                stale_allowance: self.stale_allowance,
                freshness,
            });
        }
        if self.limits.connect > self.limits.total {
            return Err(BuildError::ConnectOverTotal {
                connect: self.limits.connect,
                total: self.limits.total,
            });
        }
        let zero = if self.limits.connect.is_zero() {
            Some("connect_timeout")
        } else if self.limits.body == 0 {
            Some("body_limit")
        } else if matches!(self.cache, Cache::Bounded { active: 0, .. }) {
            Some("cache.active")
        } else {
            None
        };
        if let Some(field) = zero {
            return Err(BuildError::Zero { field });
        }
        self.upstream.validate().map_err(BuildError::Upstream)
    }

    pub(crate) const fn retention(&self) -> Retention {
        Retention {
            freshness: self.freshness.greatest_age(),
            stale_allowance: self.stale_allowance,
            without_expiry: self.without_expiry,
            negative: self.negative_ttl,
        }
    }
}

impl fmt::Debug for IntrospectionConfig {
    /// Of parameters and headers the names: a value may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| -> Vec<String> {
            pairs.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("IntrospectionConfig")
            .field("client_auth", &self.client_auth)
            .field("freshness", &self.freshness)
            .field("negative_ttl", &self.negative_ttl)
            .field("stale_allowance", &self.stale_allowance)
            .field("without_expiry", &self.without_expiry)
            .field("cache", &self.cache)
            .field("limits", &self.limits)
            .field("upstream", &self.upstream)
            .field("signed_answers", &self.signed_answers)
            .field("token_type_hint", &self.token_type_hint)
            .field("parameters", &names(&self.parameters))
            .field("headers", &names(&self.headers))
            .finish()
    }
}

/// Why an introspector can't be built.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The credentials can't be used.
    Secret(SecretError),
    /// The upstream's settings contradict each other.
    Upstream(InvalidUpstreamConfig),
    /// The endpoint is no address that a request can be sent to.
    Endpoint,
    /// A further parameter bears a name that is ours.
    ReservedParameter {
        /// Its name.
        name: String,
    },
    /// A further parameter of the grant bears a name that is ours.
    ReservedGrantParameter {
        /// Its name.
        name: String,
    },
    /// A further header bears a name that is ours.
    ReservedHeader {
        /// Its name.
        name: String,
    },
    /// A further header can't be sent.
    InvalidHeader {
        /// Its name.
        name: String,
    },
    /// Signed answers can't be demanded with an HMAC algorithm: keys are the issuer's, and published.
    SymmetricAnswers {
        /// What was asked for.
        algorithm: Algorithm,
    },
    /// Signed answers are for somebody, and neither an audience nor a client identifier says who we are.
    NoAnswerAudience,
    /// More clock difference is to be forgiven to signed answers than
    /// [`MAX_LEEWAY`].
    AnswerLeewayTooLong {
        /// What was asked for.
        leeway: Duration,
    },
    /// `negative_ttl` is over [`MAX_NEGATIVE_TTL`].
    NegativeTtlTooLong {
        /// What was asked for.
        negative_ttl: Duration,
    },
    /// Stale answers are allowed up to an age at which the server is not even asked.
    StaleNotOverFreshness {
        /// What was asked for.
        stale_allowance: Duration,
        /// The freshness it has to exceed.
        freshness: Duration,
    },
    /// More time to connect than for the whole call.
    ConnectOverTotal {
        /// Time to connect.
        connect: Duration,
        /// Time for the whole call.
        total: Duration,
    },
    /// A limit of zero lets nothing through.
    Zero {
        /// The setting.
        field: &'static str,
    },
}

impl From<SecretError> for BuildError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(error) => error.fmt(f),
            Self::Upstream(error) => write!(f, "upstream: {error}"),
            Self::Endpoint => f.write_str("endpoint: no request can be sent to this address"),
            Self::ReservedParameter { name } => {
                write!(f, "parameters: {name:?} is empty, or a parameter of the introspection request itself")
            }
            Self::ReservedGrantParameter { name } => write!(
                f,
                "client_credentials.parameters: {name:?} is empty, or a parameter of the token request itself"
            ),
            Self::ReservedHeader { name } => {
                write!(f, "headers: {name:?} is set by the introspection request itself")
            }
            Self::InvalidHeader { name } => {
                write!(f, "headers: {name:?} is no header name, or its value can't be sent")
            }
            Self::SymmetricAnswers { algorithm } => write!(
                f,
                "signed_answers.algorithm: {algorithm} is for shared secrets, and answers are checked with the issuer's published keys"
            ),
            Self::NoAnswerAudience => f.write_str(
                "signed_answers.audience: is needed, since no client_id says who we are: an answer that is for nobody could be anybody's",
            ),
            Self::AnswerLeewayTooLong { leeway } => {
                write!(f, "signed_answers.leeway: {leeway:?} is over the greatest allowed, {MAX_LEEWAY:?}")
            }
            Self::NegativeTtlTooLong { negative_ttl } => write!(
                f,
                "negative_ttl: {negative_ttl:?} is over the greatest allowed, {MAX_NEGATIVE_TTL:?}: an inactive token may be active again"
            ),
            Self::StaleNotOverFreshness { stale_allowance, freshness } if *freshness == Duration::MAX => {
                write!(
                    f,
                    "stale_allowance: {stale_allowance:?} means nothing where freshness is the token's own life"
                )
            }
            Self::StaleNotOverFreshness { stale_allowance, freshness } => write!(
                f,
                "stale_allowance: {stale_allowance:?} has to exceed freshness, which is {freshness:?}: a younger answer isn't stale"
            ),
            Self::ConnectOverTotal { connect, total } => {
                write!(f, "connect_timeout: {connect:?} is over total_timeout, which is {total:?}")
            }
            Self::Zero { field } => write!(f, "{field}: must be more than zero"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Secret(error) => Some(error),
            Self::Upstream(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
