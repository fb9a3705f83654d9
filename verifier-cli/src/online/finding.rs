//! What was found: a stable name, how bad it is, what it means and what to do.

use std::fmt;
use std::io::Write;

use serde::Serialize;

use crate::output::{End, Exit, shown, shown_json};

/// How much of a text of somebody else's is shown.
const LONGEST_FOREIGN: usize = 200;

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+) => {
        /// What can be found.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub(crate) enum Id { $($(#[doc = $doc])+ $variant,)+ }

        impl Id {
            /// Every one of them.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name.
            pub(crate) const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

names! {
    /// A warning of the offline check.
    ConfigWarning = "config_warning",
    /// The issuer's metadata are there.
    MetadataFound = "metadata_found",
    /// They are not.
    MetadataMissing = "metadata_missing",
    /// The server calls itself otherwise than the configuration does.
    IssuerMismatch = "issuer_mismatch",
    /// Nobody answers.
    Unreachable = "unreachable",
    /// TLS failed.
    TlsFailed = "tls_failed",
    /// No answer in time.
    TimedOut = "timed_out",
    /// A redirect, which is never followed.
    Redirected = "redirected",
    /// 5xx or 429.
    ServerError = "server_error",
    /// Not the answer that the protocol defines.
    UnreadableAnswer = "unreadable_answer",
    /// Something was not asked, because of what was found before.
    NotAsked = "not_asked",
    /// The time of the whole check was over.
    OutOfTime = "out_of_time",
    /// Plain http is in use.
    PlainHttp = "plain_http",
    /// The clocks go together.
    ClockAgrees = "clock_agrees",
    /// They don't.
    ClockDiffers = "clock_differs",
    /// The server doesn't tell its time.
    ClockUnknown = "clock_unknown",
    /// There are usable keys.
    KeysUsable = "keys_usable",
    /// There is none.
    NoUsableKey = "no_usable_key",
    /// A published key is not used.
    KeySkipped = "key_skipped",
    /// Keys may be cached for longer than they should be trusted.
    CacheOutlivesRotation = "cache_outlives_rotation",
    /// How long keys may be cached is sensible.
    CacheSensible = "cache_sensible",
    /// The introspection endpoint takes our credentials.
    CredentialsAccepted = "credentials_accepted",
    /// It doesn't.
    CredentialsRefused = "credentials_refused",
    /// There is no introspection endpoint where we look for it.
    IntrospectionMissing = "introspection_missing",
    /// The endpoint calls a made-up token active.
    EverythingActive = "everything_active",
    /// The endpoint refuses to answer for a made-up opaque token.
    OpaqueNotIntrospectable = "opaque_not_introspectable",
    /// Its answers are not signed as it is demanded.
    AnswersNotSigned = "answers_not_signed",
    /// The endpoint answers for JWTs.
    JwtIntrospectable = "jwt_introspectable",
    /// It refuses to.
    JwtNotIntrospectable = "jwt_not_introspectable",
    /// What this server allows, and what is configured.
    Strategies = "strategies",
    /// The configured strategy is none that this server allows.
    StrategyNotPossible = "strategy_not_possible",
    /// A strategy accepts the token.
    TokenVerified = "token_verified",
    /// A strategy rejects it.
    TokenRejected = "token_rejected",
    /// A strategy can't judge it.
    TokenUnavailable = "token_unavailable",
    /// `iss` is not the configured issuer.
    TokenIssuerDiffers = "token_issuer_differs",
    /// No configured audience is in the token.
    TokenAudienceDiffers = "token_audience_differs",
    /// `typ` is none that the profile accepts.
    TokenTypeDiffers = "token_type_differs",
    /// `alg` is not allowed.
    TokenAlgorithmNotAllowed = "token_algorithm_not_allowed",
    /// Valid here, inactive there, and our client is not in `aud`.
    AudienceLacksCaller = "audience_lacks_caller",
    /// Valid here, inactive there, for another reason.
    InactiveThoughValid = "inactive_though_valid",
    /// The token lives for no longer than local checks alone can bear.
    LifetimeFitsJwks = "lifetime_fits_jwks",
    /// It lives longer.
    LifetimeTooLong = "lifetime_too_long",
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Ok,
    Warning,
    Problem,
}

impl Severity {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        }
    }
}

/// One finding. No text in it is a token's or a secret's; what a server wrote has gone through [`foreign`].
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    #[serde(serialize_with = "code")]
    id: Id,
    severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<&'static str>,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    means: Option<String>,
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

fn code<S: serde::Serializer>(id: &Id, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.code())
}

impl Finding {
    pub(crate) fn new(id: Id, severity: Severity, found: impl Into<String>) -> Self {
        Self {
            id,
            severity,
            issuer: None,
            strategy: None,
            found: found.into(),
            expected: None,
            means: None,
            remedy: None,
        }
    }

    pub(crate) fn ok(id: Id, found: impl Into<String>) -> Self {
        Self::new(id, Severity::Ok, found)
    }

    pub(crate) fn warning(id: Id, found: impl Into<String>) -> Self {
        Self::new(id, Severity::Warning, found)
    }

    pub(crate) fn problem(id: Id, found: impl Into<String>) -> Self {
        Self::new(id, Severity::Problem, found)
    }

    /// Of this issuer.
    pub(crate) fn of(mut self, issuer: &str) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Of this strategy.
    pub(crate) const fn by(mut self, strategy: &'static str) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// What should be there instead.
    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(crate) fn means(mut self, means: impl Into<String>) -> Self {
        self.means = Some(means.into());
        self
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(crate) const fn id(&self) -> Id {
        self.id
    }

    pub(crate) const fn severity(&self) -> Severity {
        self.severity
    }

    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// How a command ends that found nothing worse: a server that couldn't be asked is no verdict on the configuration.
    pub(crate) const fn exit(&self) -> Exit {
        match (self.severity, self.id) {
            (Severity::Ok | Severity::Warning, _) => Exit::Good,
            (
                Severity::Problem,
                Id::Unreachable | Id::TlsFailed | Id::TimedOut | Id::ServerError | Id::OutOfTime,
            ) => Exit::Unavailable,
            (Severity::Problem, _) => Exit::Bad,
        }
    }

    /// For people.
    pub(crate) fn write(&self, out: &mut impl Write) -> Result<(), End> {
        let strategy = self.strategy.map(|name| format!("{name}: ")).unwrap_or_default();
        writeln!(out, "  {:<8} {}: {strategy}{}", self.severity.name(), self.id.code(), shown(&self.found))?;
        let lines = [("expected", &self.expected), ("means", &self.means), ("do", &self.remedy)];
        for (name, text) in lines {
            if let Some(text) = text {
                writeln!(out, "           {name}: {}", shown(text))?;
            }
        }
        Ok(())
    }

    /// For machines: one line.
    pub(crate) fn write_json(&self, out: &mut impl Write) -> Result<(), End> {
        let text = serde_json::to_string(self).map_err(|_| End::failed("a finding could not be written"))?;
        Ok(writeln!(out, "{}", shown_json(&text))?)
    }
}

/// A text of somebody else's, in quotes: cut, and with nothing in it that moves the cursor.
pub(crate) fn foreign(text: &str) -> String {
    let mut beginning: String = text.chars().take(LONGEST_FOREIGN).collect();
    if beginning.len() < text.len() {
        beginning.push_str("...");
    }
    format!("\"{}\"", shown(&beginning))
}

/// Several of them, as many as fit a line.
pub(crate) fn foreign_list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    const MOST: usize = 8;
    let mut texts = texts.into_iter();
    let mut parts: Vec<String> = texts.by_ref().take(MOST).map(|text| foreign(text.as_ref())).collect();
    let more = texts.count();
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_wrote_is_cut_and_harmless() {
        let text = foreign(&format!("a\u{1b}[2J\u{202e}{}", "x".repeat(10_000)));
        assert!(text.starts_with("\"a\\u{1b}[2J\\u{202e}xx") && text.ends_with("...\""), "{text}");
        assert!(text.len() < 300 && text.chars().all(|c| !c.is_control()));
        assert_eq!(foreign_list(Vec::<String>::new()), "nothing");
        assert!(foreign_list(vec!["x"; 100]).ends_with("and 92 more"));
    }

    #[test]
    fn the_guide_knows_every_name() {
        let guide = include_str!("../../../docs/guide.md");
        let unknown: Vec<_> =
            Id::ALL.iter().map(|id| id.code()).filter(|code| !guide.contains(&format!("`{code}`"))).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<_> = Id::ALL.iter().map(|id| id.code()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Id::ALL.len());
    }

    #[test]
    fn only_problems_change_the_exit_and_an_unasked_server_is_no_verdict() {
        for id in Id::ALL {
            assert_eq!(Finding::warning(*id, "").exit(), Exit::Good);
        }
        assert_eq!(Finding::problem(Id::Unreachable, "").exit(), Exit::Unavailable);
        assert_eq!(Finding::problem(Id::IssuerMismatch, "").exit(), Exit::Bad);
    }
}
