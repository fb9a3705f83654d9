//! Whose fault it is, first; then the cause. [`Rejection`] is the token's fault (400, 401, 403), [`Unavailable`] is
//! ours or the authorization server's (503). Every cause is `Copy` and holds no text that came from outside.

use std::fmt;
use std::time::Duration;

macro_rules! causes {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl $name {
            /// Every cause, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable code: a metric label, a key of the documentation. Never changes once released.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}

causes! {
    /// Why a request is turned away: something is wrong with its token, and asking again won't help.
    pub enum Rejection {
        /// No credentials were sent (RFC 6750 §3.1: a challenge without an error code).
        NoCredentials = "no_credentials",
        /// The `Authorization` value is malformed, or there are several of them (RFC 6750 §3.1, 400).
        MalformedRequest = "malformed_request",
        /// The token is longer than the configured limit.
        TokenTooLarge = "token_too_large",
        /// The token is empty or holds characters that are no b64token (RFC 6750 §2.1).
        MalformedToken = "malformed_token",
        /// The token is opaque where only a JWT is accepted.
        NotAJwt = "not_a_jwt",
        /// The token is a JWE; encrypted tokens are not supported.
        EncryptedToken = "encrypted_token",
        /// A segment of the JWT is not canonical base64url: another alphabet, padding, or unused bits set (RFC 7515 §2).
        NotCanonical = "not_canonical",
        /// The JOSE header is not what RFC 7515 §4 demands, or holds a parameter that is not supported.
        MalformedHeader = "malformed_header",
        /// The header's `alg` is `none`, unknown, or not on the issuer's allow-list (RFC 8725 §3.1).
        AlgorithmNotAllowed = "algorithm_not_allowed",
        /// No key of the issuer has this `kid`, or none fits a token without one.
        UnknownKey = "unknown_key",
        /// Several keys fit, and trial verification is not done.
        AmbiguousKey = "ambiguous_key",
        /// The key with this `kid` is for another algorithm.
        KeyMismatch = "key_mismatch",
        /// The signature does not verify.
        BadSignature = "bad_signature",
        /// The payload is no claims set, or a registered claim has the wrong type.
        MalformedClaims = "malformed_claims",
        /// A claim that the profile or the policy requires is absent.
        MissingClaim = "missing_claim",
        /// No issuer of this name is configured, or the token names none.
        UnknownIssuer = "unknown_issuer",
        /// `iss` is not the configured issuer, byte for byte (RFC 9068 §4).
        WrongIssuer = "wrong_issuer",
        /// The header's `typ` is not one that the profile accepts (RFC 9068 §4, RFC 8725 §3.11).
        WrongType = "wrong_type",
        /// The token bears the marks of another kind of token: ID, refresh, logout token and the like.
        NotAnAccessToken = "not_an_access_token",
        /// The token bears none of the marks by which the profile knows an access token.
        NoAccessTokenMark = "no_access_token_mark",
        /// The audience is absent or is somebody else (RFC 7519 §4.1.3).
        WrongAudience = "wrong_audience",
        /// The time of `exp` is reached (RFC 7519 §4.1.4).
        Expired = "expired",
        /// The time of `nbf` is not reached (RFC 7519 §4.1.5).
        NotYetValid = "not_yet_valid",
        /// `iat` lies in the future, or after `exp`.
        IssuedInFuture = "issued_in_future",
        /// The token is older than the policy allows.
        TooOld = "too_old",
        /// `exp - iat` is greater than the policy allows.
        LifetimeTooLong = "lifetime_too_long",
        /// The authorization server says that the token is not active (RFC 7662 §2.2).
        Inactive = "inactive",
        /// A revocation event covers the token.
        Revoked = "revoked",
        /// Token and introspection answer speak of different tokens.
        IdentityMismatch = "identity_mismatch",
        /// The token is bound to a key or certificate, and the request brings no proof that is supported.
        SenderUnproven = "sender_unproven",
        /// The proof of possession does not match the token's `cnf`.
        SenderMismatch = "sender_mismatch",
        /// The token is good and lacks a scope (403).
        InsufficientScope = "insufficient_scope",
    }
}

impl Rejection {
    /// The HTTP status of RFC 6750 §3.1: 400, 401 or 403.
    pub const fn status(self) -> u16 {
        match self {
            Self::MalformedRequest => 400,
            Self::InsufficientScope => 403,
            _ => 401,
        }
    }

    /// The `error` of the challenge (RFC 6750 §3.1); `None` if there were no credentials.
    pub const fn oauth_error(self) -> Option<&'static str> {
        match self {
            Self::NoCredentials => None,
            Self::MalformedRequest => Some("invalid_request"),
            Self::InsufficientScope => Some("insufficient_scope"),
            _ => Some("invalid_token"),
        }
    }
}

causes! {
    /// Why no verdict could be given.
    pub enum UnavailableReason {
        /// No connection to the server.
        ConnectFailed = "connect_failed",
        /// TLS with the server failed.
        TlsFailed = "tls_failed",
        /// The server did not answer in time.
        TimedOut = "timed_out",
        /// The server answered with a 5xx status.
        ServerError = "server_error",
        /// The server answered 429.
        RateLimited = "rate_limited",
        /// What the server sent is not the answer that the protocol defines, or is too large.
        UnreadableAnswer = "unreadable_answer",
        /// The server sent plain JSON where only a signed answer counts (RFC 9701).
        AnswerNotSigned = "answer_not_signed",
        /// The server encrypts its answers (RFC 9701 §6), which is not supported.
        AnswerEncrypted = "answer_encrypted",
        /// The answer is a JWT, and not one that this issuer signed for us: signature, algorithm, type, issuer, audience
        /// or time of signing (RFC 9701 §5).
        AnswerNotTrusted = "answer_not_trusted",
        /// The server answered with a redirect, which is never followed.
        Redirected = "redirected",
        /// The server does not accept our credentials: our configuration, never the token's fault.
        CredentialsRefused = "credentials_refused",
        /// The server refuses to answer for this very token (400, 413): nothing is known of it, and nothing is wrong
        /// with the server.
        RefusedByServer = "refused_by_server",
        /// The configuration and the server contradict each other, in the issuer's name for instance.
        Misconfigured = "misconfigured",
        /// The circuit breaker is open: the server failed of late, and isn't asked.
        BreakerOpen = "breaker_open",
        /// Our own limit on concurrent calls shed this one.
        Shed = "shed",
        /// The request's deadline is over.
        DeadlineExceeded = "deadline_exceeded",
        /// No key set has been loaded yet.
        KeysNotLoaded = "keys_not_loaded",
        /// The key set is older than it may be, and can't be refreshed.
        KeysStale = "keys_stale",
        /// The key is not held, and the last attempt to refresh the key set failed: it can't be said to be unknown.
        KeysUnconfirmed = "keys_unconfirmed",
        /// The revocation status can't be had.
        StatusUnknown = "status_unknown",
        /// A freshness was demanded of a verifier that has no knowledge of revocations.
        NoRevocationSource = "no_revocation_source",
        /// The revocation knowledge behind the verdict is older than was demanded.
        TooStale = "too_stale",
        /// There is no async runtime to ask on.
        NoRuntime = "no_runtime",
        /// The task that asked ended without an answer.
        Crashed = "crashed",
    }
}

/// No verdict: we could not ask, or could not decide. Says nothing about the token. HTTP 503.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Unavailable {
    reason: UnavailableReason,
    retry_after: Option<Duration>,
}

impl Unavailable {
    /// For this reason, with no word on when to come back.
    pub const fn new(reason: UnavailableReason) -> Self {
        Self { reason, retry_after: None }
    }

    /// The same, with the time after which asking again makes sense.
    #[must_use]
    pub const fn retry_in(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    /// Why.
    pub const fn reason(self) -> UnavailableReason {
        self.reason
    }

    /// The reason's stable code.
    pub const fn code(self) -> &'static str {
        self.reason.code()
    }

    /// How long to wait before asking again, where that is known. Always `None` for what isn't retryable.
    pub const fn retry_after(self) -> Option<Duration> {
        if self.is_retryable() { self.retry_after } else { None }
    }

    /// Whether the same request may succeed later without a change of token or configuration.
    pub const fn is_retryable(self) -> bool {
        !matches!(
            self.reason,
            UnavailableReason::RefusedByServer
                | UnavailableReason::CredentialsRefused
                | UnavailableReason::AnswerNotSigned
                | UnavailableReason::AnswerEncrypted
                | UnavailableReason::Redirected
                | UnavailableReason::Misconfigured
                | UnavailableReason::NoRevocationSource
        )
    }

    /// Whether the server is to blame: what breaker, backoff, readiness and `when_unknown` count. An answer that
    /// refuses one token, our own shedding or our own configuration never are.
    pub const fn is_server_failure(self) -> bool {
        matches!(
            self.reason,
            UnavailableReason::ConnectFailed
                | UnavailableReason::TlsFailed
                | UnavailableReason::TimedOut
                | UnavailableReason::ServerError
                | UnavailableReason::RateLimited
                | UnavailableReason::UnreadableAnswer
                | UnavailableReason::BreakerOpen
        )
    }
}

impl From<UnavailableReason> for Unavailable {
    fn from(reason: UnavailableReason) -> Self {
        Self::new(reason)
    }
}

impl From<crate::transport::TransportError> for Unavailable {
    fn from(error: crate::transport::TransportError) -> Self {
        use crate::transport::TransportError as E;
        Self::new(match error {
            E::Connect | E::ConnectionReused => UnavailableReason::ConnectFailed,
            E::Tls => UnavailableReason::TlsFailed,
            E::TimedOut => UnavailableReason::TimedOut,
            E::Broken | E::BodyTooLarge => UnavailableReason::UnreadableAnswer,
            E::Unsendable => UnavailableReason::Misconfigured,
        })
    }
}

impl From<crate::runtime::NoRuntime> for Unavailable {
    fn from(_: crate::runtime::NoRuntime) -> Self {
        Self::new(UnavailableReason::NoRuntime)
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no verdict: {}", self.reason)
    }
}

impl std::error::Error for Unavailable {}

/// The outcome of a verification that is no acceptance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum VerifyError {
    /// The token's fault: 400, 401 or 403.
    Rejected(Rejection),
    /// Ours: 503.
    Unavailable(Unavailable),
}

impl VerifyError {
    /// The stable code of the cause.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.code(),
            Self::Unavailable(unavailable) => unavailable.code(),
        }
    }

    /// The HTTP status: 400, 401, 403 or 503.
    pub const fn status(self) -> u16 {
        match self {
            Self::Rejected(rejection) => rejection.status(),
            Self::Unavailable(_) => 503,
        }
    }

    /// Whether the same request may succeed later. A rejection never is retryable.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Rejected(_) => false,
            Self::Unavailable(unavailable) => unavailable.is_retryable(),
        }
    }

    /// How long to wait before trying again, where that is known: the value for `Retry-After`.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Rejected(_) => None,
            Self::Unavailable(unavailable) => unavailable.retry_after(),
        }
    }

    /// The `WWW-Authenticate` challenge for the response; `None` for unavailable, which is no authentication failure.
    pub fn challenge(self) -> Option<crate::challenge::Challenge> {
        match self {
            Self::Rejected(rejection) => Some(crate::challenge::Challenge::for_rejection(rejection)),
            Self::Unavailable(_) => None,
        }
    }
}

impl From<Rejection> for VerifyError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<Unavailable> for VerifyError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<UnavailableReason> for VerifyError {
    fn from(reason: UnavailableReason) -> Self {
        Self::Unavailable(Unavailable::new(reason))
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => write!(f, "token rejected: {rejection}"),
            Self::Unavailable(unavailable) => unavailable.fmt(f),
        }
    }
}

impl std::error::Error for VerifyError {}

#[cfg(test)]
mod tests;
