//! Signed answers (RFC 9701): the answer stands in a JWT that the issuer has signed for us. What arrives is either that,
//! with all its marks, or no answer at all; a plain one in its place is a downgrade and says nothing.
//!
//! A signature dates the answer, too. Plain answers are dated by their question, on the word of TLS that nobody has kept
//! them for us; here the server's `iat` has to agree, so that an old answer, replayed by whoever sits between, is not
//! taken for news. Clocks differ, and most count in seconds: up to the leeway, and one second at least, the server's
//! clock may be behind ours. Within that an old answer can't be told from a new one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use verifier_core::algorithm::Algorithm;
use verifier_core::error::{Rejection, Unavailable, UnavailableReason};
use verifier_core::json::{Json, Object};
use verifier_core::jwt::{AuthenticJwt, UnverifiedJwt};
use verifier_core::policy::{DEFAULT_LEEWAY, IssuerRules, MAX_LEEWAY};
use verifier_core::time::{Clock, Instant, Now, WallTime};
use verifier_core::token::{AccessToken, MAX_TOKEN_LEN};
use verifier_core::trusted_keys::{Lookup, TrustedKeys};

use crate::config::BuildError;
use crate::response::{self, Reading};

/// What is asked for, and what comes (RFC 9701 §4, §5).
pub const MEDIA_TYPE: &str = "application/token-introspection+jwt";
/// The `typ` of the JWT; it may bear `application/` in front (RFC 9701 §5, RFC 7515 §4.1.9).
pub(crate) const TYPE: &str = "token-introspection+jwt";
/// What most clocks count in, NumericDates being whole seconds.
const TICK: Duration = Duration::from_secs(1);
/// 9999-12-31T23:59:59Z, in seconds.
const LATEST: f64 = 253_402_300_799.0;

/// How answers have to be signed. Start from [`new`](Self::new) and change fields. Encrypted answers are not supported;
/// an answer is of 64 KiB at most.
#[derive(Clone)]
#[non_exhaustive]
pub struct SignedAnswers {
    /// The one algorithm, that is registered for us at the server as `introspection_signed_response_alg`; RS256 unless
    /// something else was registered (RFC 9701 §6). No HMAC.
    pub algorithm: Algorithm,
    /// Who we are in `aud`; by default our client identifier.
    pub audience: Option<String>,
    /// Clock difference that is forgiven to `iat`, `exp` and `nbf` of the signed answer, not to those of the token: 30 s,
    /// at most 5 min. An answer that was signed for so long before it was asked for counts as new.
    pub leeway: Duration,
    /// The keys of the issuer. That they are there is no part of [`Introspector::ready`](crate::Introspector::ready).
    pub keys: Arc<dyn TrustedKeys>,
}

impl SignedAnswers {
    /// Signed with RS256 by one of these keys, for our client identifier.
    pub fn new(keys: Arc<dyn TrustedKeys>) -> Self {
        Self { algorithm: Algorithm::Rs256, audience: None, leeway: DEFAULT_LEEWAY, keys }
    }
}

impl fmt::Debug for SignedAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedAnswers")
            .field("algorithm", &self.algorithm)
            .field("audience", &self.audience)
            .field("leeway", &self.leeway)
            .finish_non_exhaustive()
    }
}

/// Reads signed answers of one issuer to us.
pub(crate) struct SignedReader {
    issuer: Arc<str>,
    algorithm: Algorithm,
    audience: Box<str>,
    leeway: Duration,
    keys: Arc<dyn TrustedKeys>,
}

impl SignedReader {
    /// # Errors
    /// [`BuildError::SymmetricAnswers`], [`BuildError::NoAnswerAudience`], [`BuildError::AnswerLeewayTooLong`].
    pub(crate) fn new(
        wanted: SignedAnswers,
        client_id: Option<&str>,
        rules: &IssuerRules,
    ) -> Result<Self, BuildError> {
        let SignedAnswers { algorithm, audience, leeway, keys } = wanted;
        if algorithm.is_symmetric() {
            return Err(BuildError::SymmetricAnswers { algorithm });
        }
        if leeway > MAX_LEEWAY {
            return Err(BuildError::AnswerLeewayTooLong { leeway });
        }
        let audience = audience.as_deref().or(client_id).filter(|audience| !audience.is_empty());
        let audience = audience.ok_or(BuildError::NoAnswerAudience)?.into();
        Ok(Self { issuer: Arc::clone(rules.issuer()), algorithm, audience, leeway, keys })
    }

    /// Whatever an answer depends on, for the scope under which it is kept: one that was accepted unsigned, or signed
    /// otherwise, is not found here.
    pub(crate) fn scope(&self) -> [&[u8]; 3] {
        [b"signed", self.algorithm.name().as_bytes(), self.audience.as_bytes()]
    }

    /// Reads the response to a question that was sent at `asked`. Keys are waited for until `deadline`.
    ///
    /// # Errors
    /// For any status but 200 those of [`response::read`], since errors are plain (RFC 7662 §2.3). Else
    /// [`Unavailable`], because: `AnswerNotSigned`, plain JSON; `AnswerEncrypted`; `AnswerNotTrusted`, not signed by this
    /// issuer, with this algorithm, for us, as an answer, by now; `TooStale`, signed before it was asked for;
    /// `UnreadableAnswer`, no JWT, or one without an answer (of one that is too large nothing is said here, as of any
    /// [`Reading::Oversized`]); `KeysNotLoaded`, `KeysStale`, `KeysUnconfirmed`.
    pub(crate) async fn read(
        &self,
        response: &Response<Bytes>,
        asked: Now,
        clock: &dyn Clock,
        deadline: Instant,
    ) -> Result<Reading, Unavailable> {
        if response.status() != StatusCode::OK {
            let now = clock.now().wall;
            return response::read(response.status(), response.headers(), response.body(), now);
        }
        let media_type = response::media_type(response.headers());
        match media_type.as_deref() {
            Some(MEDIA_TYPE) => {}
            // Whatever it holds: a member `jwt`, as some servers add, is no signed answer.
            Some(other) if other == "application/json" || other.ends_with("+json") => {
                return Err(UnavailableReason::AnswerNotSigned.into());
            }
            _ => return Err(UnavailableReason::UnreadableAnswer.into()),
        }
        let unreadable = || Unavailable::new(UnavailableReason::UnreadableAnswer);
        let text = std::str::from_utf8(response.body().trim_ascii_end()).map_err(|_| unreadable())?;
        let text = match AccessToken::new(text, MAX_TOKEN_LEN) {
            Ok(text) => text,
            // What a token's client can blow up is held against that token.
            Err(Rejection::TokenTooLarge) => return Ok(Reading::Oversized),
            Err(_) => return Err(unreadable()),
        };
        let jwt = UnverifiedJwt::parse(&text).map_err(malformed)?;
        let authentic = self.authentic(jwt, clock, deadline).await?;
        // The issuer speaks the protocol; the claims of this one token are deeper, or more, than is read.
        let Ok(claims) = authentic.claims_of_type(TYPE) else { return Ok(Reading::Oversized) };
        let answer = self.answer(&claims, asked.wall, clock.now().wall)?;
        response::reading(answer).ok_or_else(unreadable)
    }

    /// Type, algorithm and signature (RFC 8725 §3.1, §3.11).
    async fn authentic<'t>(
        &self,
        jwt: UnverifiedJwt<'t>,
        clock: &dyn Clock,
        deadline: Instant,
    ) -> Result<AuthenticJwt<'t>, Unavailable> {
        let untrusted = || Unavailable::new(UnavailableReason::AnswerNotTrusted);
        if !jwt.header().is_type(TYPE) || jwt.header().algorithm() != Some(self.algorithm) {
            return Err(untrusted());
        }
        let found = self.keys.key(jwt.header().kid(), self.algorithm, clock.now(), Some(deadline)).await;
        match found {
            Lookup::Found(key) => jwt.check_signature(&key).map_err(|_| untrusted()),
            // The issuer has no such key, and that is known recently enough.
            Lookup::Rejected(_) => Err(untrusted()),
            Lookup::Unavailable(why) => Err(of_keys(why)),
        }
    }

    /// RFC 9701 §5: `iss`, `aud` and `iat` are there, and the answer stands in `token_introspection`, nowhere else.
    fn answer(&self, claims: &Object, asked: WallTime, now: WallTime) -> Result<Object, Unavailable> {
        let untrusted = || Unavailable::new(UnavailableReason::AnswerNotTrusted);
        let is_issuer = claims.get("iss").and_then(Json::as_str) == Some(&*self.issuer);
        let is_ours = match claims.get("aud") {
            Some(Json::String(one)) => **one == *self.audience,
            Some(Json::Array(list)) => list.iter().any(|one| one.as_str() == Some(&*self.audience)),
            _ => false,
        };
        if !is_issuer || !is_ours {
            return Err(untrusted());
        }
        let times = Times::read(claims).ok_or_else(untrusted)?;
        times.judge(asked, now, self.leeway)?;
        let answer = claims.get("token_introspection").and_then(Json::as_object);
        answer.cloned().ok_or(UnavailableReason::UnreadableAnswer.into())
    }
}

impl fmt::Debug for SignedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedReader").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// When a statement was made, and for how long it is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Times {
    issued_at: WallTime,
    expires_at: Option<WallTime>,
    not_before: Option<WallTime>,
}

impl Times {
    /// `None` if `iat` is absent, or one of them is no NumericDate.
    fn read(claims: &Object) -> Option<Self> {
        let optional = |name| match claims.get(name) {
            None => Some(None),
            Some(value) => moment(value).map(Some),
        };
        Some(Self {
            issued_at: moment(claims.get("iat")?)?,
            expires_at: optional("exp")?,
            not_before: optional("nbf")?,
        })
    }

    /// Whether an answer of these times, to a question sent at `asked` and read at `now`, may be dated by its question.
    ///
    /// # Errors
    /// `TooStale`: it was signed longer before the question than clocks may differ, or its own time is over: it may be
    /// true, and is no news. `AnswerNotTrusted`: it is from the future.
    fn judge(&self, asked: WallTime, now: WallTime, leeway: Duration) -> Result<(), Unavailable> {
        let behind = leeway.max(TICK);
        if self.issued_at < asked.minus(behind) {
            return Err(UnavailableReason::TooStale.into());
        }
        if self.expires_at.is_some_and(|end| now >= end.plus(leeway)) {
            return Err(UnavailableReason::TooStale.into());
        }
        let begins = self.not_before.map_or(self.issued_at, |start| start.max(self.issued_at));
        if begins > now.plus(leeway) {
            return Err(UnavailableReason::AnswerNotTrusted.into());
        }
        Ok(())
    }
}

/// A NumericDate (RFC 7519 §2).
fn moment(value: &Json) -> Option<WallTime> {
    let seconds = value.as_number()?.as_f64();
    // The range is far inside that of an i64.
    #[allow(clippy::cast_possible_truncation)]
    let inside =
        (0.0..=LATEST).contains(&seconds).then_some(WallTime::from_unix_micros((seconds * 1e6) as i64));
    inside
}

/// What the gate has against a text, said of an answer.
fn malformed(why: Rejection) -> Unavailable {
    Unavailable::new(match why {
        Rejection::EncryptedToken => UnavailableReason::AnswerEncrypted,
        Rejection::AlgorithmNotAllowed => UnavailableReason::AnswerNotTrusted,
        _ => UnavailableReason::UnreadableAnswer,
    })
}

/// Why there is no key, in words that say nothing of the introspection endpoint: its breaker, its credentials and its
/// refusals have no part in it. The health of the key set knows more.
fn of_keys(why: Unavailable) -> Unavailable {
    let reason = match why.reason() {
        kept @ (UnavailableReason::KeysNotLoaded
        | UnavailableReason::KeysStale
        | UnavailableReason::KeysUnconfirmed
        | UnavailableReason::NoRuntime) => kept,
        UnavailableReason::DeadlineExceeded => UnavailableReason::KeysUnconfirmed,
        _ => UnavailableReason::KeysNotLoaded,
    };
    match why.retry_after() {
        Some(after) => Unavailable::new(reason).retry_in(after),
        None => Unavailable::new(reason),
    }
}

#[cfg(test)]
mod tests;
