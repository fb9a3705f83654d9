//! Knowledge of revocations: checkers that are asked, lists that are told, and the log by which kept answers learn of
//! events.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::claims::Facts;
use crate::error::{Rejection, Unavailable};
use crate::evidence::StatusSource;
use crate::identity::{Identity, Member, member};
use crate::time::Now;
use crate::token::Digest;
use crate::verifier::{Asked, VerifyRequest};

/// What a [`RevocationChecker`] is asked.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RevocationQuery<'q> {
    /// The request: token, arrival, deadline.
    pub request: &'q VerifyRequest<'q>,
    /// The authenticated identity of the token.
    pub who: &'q Identity,
    /// Greatest age of an answer that will do, judged against the arrival.
    pub freshness: Duration,
    /// `exp` of the token in seconds since the epoch: nothing need be kept for longer.
    pub expires_at: Option<i64>,
}

impl<'q> RevocationQuery<'q> {
    /// All parts given.
    pub const fn new(
        request: &'q VerifyRequest<'q>,
        who: &'q Identity,
        freshness: Duration,
        expires_at: Option<i64>,
    ) -> Self {
        Self { request, who, freshness, expires_at }
    }
}

/// Says whether an authenticated token is still in force.
pub trait RevocationChecker: fmt::Debug + Send + Sync + 'static {
    /// The token's status, asked for at or after arrival - freshness. A pending answer owns what it needs.
    ///
    /// # Errors
    /// [`CouldNotAsk`], with the last known status whatever its age, where one is known.
    fn status<'a>(&'a self, query: &RevocationQuery<'_>) -> Check<'a>;

    /// Who vouches for what this checker says.
    fn source(&self) -> StatusSource {
        StatusSource::Custom
    }
}

/// What a [`RevocationChecker`] answers.
pub type Check<'a> = Asked<'a, Result<RevocationStatus, CouldNotAsk>>;

/// The status of a token, dated by when the question was sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RevocationStatus {
    /// In force.
    Active {
        /// When the question was sent.
        as_of: Now,
        /// What the server said of the token, where it says more than "active".
        answer: Option<Arc<Facts>>,
    },
    /// Not in force.
    Inactive {
        /// When the question was sent.
        as_of: Now,
    },
    /// The server calls it active, but what it says of it can't be accepted: another kind of token, for instance.
    Unacceptable {
        /// When the question was sent.
        as_of: Now,
        /// What is wrong.
        why: Rejection,
    },
    /// This checker has nothing to say about this token.
    NoOpinion,
}

impl RevocationStatus {
    /// When the question was sent.
    pub const fn as_of(&self) -> Option<Now> {
        match self {
            Self::Active { as_of, .. } | Self::Inactive { as_of } | Self::Unacceptable { as_of, .. } => {
                Some(*as_of)
            }
            Self::NoOpinion => None,
        }
    }
}

/// No status as fresh as was asked for.
#[derive(Clone, Debug)]
pub struct CouldNotAsk {
    /// Why.
    pub why: Unavailable,
    /// What was known last, whatever its age: without it, "stale, but never if last known inactive" can't be decided.
    pub last: Option<RevocationStatus>,
}

/// A list of revocations held in this process: consulted before anybody is asked, and again after every await.
pub trait RevocationList: fmt::Debug + Send + Sync + 'static {
    /// The rule that covers this token, if any.
    fn revokes(&self, who: &Identity, token: Digest) -> Option<RevocationRule>;
}

/// Something that ended the life of tokens. Texts are as they stand in the tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationEvent {
    /// One token, by (iss, jti). `expires_at`: the token's `exp`, seconds since the epoch, if known.
    Token {
        /// `iss`
        issuer: String,
        /// `jti`
        jwt_id: String,
        /// `exp` of the token.
        expires_at: Option<i64>,
    },
    /// All tokens of a subject that were issued at or before an instant.
    Subject {
        /// `iss`
        issuer: String,
        /// `sub`
        subject: String,
        /// Seconds since the epoch, inclusive.
        issued_at_or_before: i64,
    },
    /// All tokens of a client that were issued at or before an instant.
    Client {
        /// `iss`
        issuer: String,
        /// `client_id` or what stands for it.
        client: String,
        /// Seconds since the epoch, inclusive.
        issued_at_or_before: i64,
    },
    /// All tokens of a session, by (iss, sid).
    Session {
        /// `iss`
        issuer: String,
        /// `sid`
        session: String,
    },
    /// One token by its text, for opaque tokens that carry no identity. Other spellings are not covered.
    Text {
        /// The digest of the token.
        token: Digest,
        /// `exp` of the token, if known.
        expires_at: Option<i64>,
    },
}

/// A [`RevocationEvent`] as hashes: what is kept and compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum RevocationRule {
    /// (iss, jti)
    JwtId(Digest),
    /// (iss, sub), issued at or before.
    Subject(Digest, i64),
    /// (iss, client), issued at or before.
    Client(Digest, i64),
    /// (iss, sid)
    Session(Digest),
    /// The token's own digest.
    Text(Digest),
}

impl From<&RevocationEvent> for RevocationRule {
    fn from(event: &RevocationEvent) -> Self {
        match event {
            RevocationEvent::Token { issuer, jwt_id, .. } => {
                Self::JwtId(member(issuer, Member::JwtId, jwt_id))
            }
            RevocationEvent::Subject { issuer, subject, issued_at_or_before } => {
                Self::Subject(member(issuer, Member::Subject, subject), *issued_at_or_before)
            }
            RevocationEvent::Client { issuer, client, issued_at_or_before } => {
                Self::Client(member(issuer, Member::Client, client), *issued_at_or_before)
            }
            RevocationEvent::Session { issuer, session } => {
                Self::Session(member(issuer, Member::Session, session))
            }
            RevocationEvent::Text { token, .. } => Self::Text(*token),
        }
    }
}

impl RevocationRule {
    /// The hash that the rule speaks of: what a list looks it up by.
    pub const fn key(&self) -> Digest {
        match *self {
            Self::JwtId(key)
            | Self::Subject(key, _)
            | Self::Client(key, _)
            | Self::Session(key)
            | Self::Text(key) => key,
        }
    }

    /// Whether the rule covers a token of this identity and text. A missing `iat` counts as issued before.
    pub fn covers(&self, who: &Identity, token: Digest) -> bool {
        let before = |limit: i64| who.issued_at.is_none_or(|iat| iat <= limit);
        match *self {
            Self::JwtId(id) => who.jwt_id == Some(id),
            Self::Subject(subject, limit) => who.subject == Some(subject) && before(limit),
            Self::Client(client, limit) => who.client == Some(client) && before(limit),
            Self::Session(session) => who.session == Some(session),
            Self::Text(text) => text == token,
        }
    }

    /// Whether the rule may concern an answer of this identity: a member that the answer lacks counts as a match.
    pub fn may_touch(&self, who: &Identity, token: Digest) -> bool {
        let before = |limit: i64| who.issued_at.is_none_or(|iat| iat <= limit);
        match *self {
            Self::JwtId(id) => who.jwt_id.is_none_or(|own| own == id),
            Self::Subject(subject, limit) => who.subject.is_none_or(|own| own == subject) && before(limit),
            Self::Client(client, limit) => who.client.is_none_or(|own| own == client) && before(limit),
            Self::Session(session) => who.session.is_none_or(|own| own == session),
            Self::Text(text) => text == token,
        }
    }
}

/// How many events a [`RevocationLog`] remembers.
pub const LOG_LENGTH: usize = 1_024;

/// The latest events of one issuer, numbered. Kept answers are marked "clear up to n"; a hit compares one number, and
/// only when it moved are the newer events looked through. Written after the list, so that whoever sees the number
/// finds the rule.
#[derive(Debug, Default)]
pub struct RevocationLog {
    sequence: AtomicU64,
    ring: RwLock<VecDeque<RevocationRule>>,
}

/// What the log says of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Touched {
    /// No event since concerns it: it is clear up to this number.
    Clear(u64),
    /// An event may concern it: it must be asked for again.
    Touched,
}

impl RevocationLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of the latest event.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// Adds an event. The rule must stand in the list already.
    pub fn append(&self, rule: RevocationRule) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        if ring.len() >= LOG_LENGTH {
            ring.pop_front();
        }
        ring.push_back(rule);
        self.sequence.fetch_add(1, Ordering::Release);
    }

    /// Whether an answer that was clear up to `since` still is. Events that have fallen out of the log count as
    /// touching.
    pub fn judge(&self, since: u64, who: &Identity, token: Digest) -> Touched {
        let latest = self.sequence();
        if latest == since {
            return Touched::Clear(since);
        }
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let latest = self.sequence();
        // A number that this log never gave is no reason for trust.
        match latest.checked_sub(since).map(usize::try_from) {
            Some(Ok(newer)) if newer <= ring.len() => {
                if ring.iter().rev().take(newer).any(|rule| rule.may_touch(who, token)) {
                    Touched::Touched
                } else {
                    Touched::Clear(latest)
                }
            }
            _ => Touched::Touched,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jti(text: &str) -> RevocationRule {
        RevocationRule::from(&RevocationEvent::Token {
            issuer: "i".into(),
            jwt_id: text.into(),
            expires_at: None,
        })
    }

    #[test]
    fn an_event_touches_its_own_answers_only() {
        let log = RevocationLog::new();
        let token = Digest::of_parts(&[b"t"]);
        let a = Identity::new("i", Some("a"), Some("s"), Some("x"), Some("c"), Some(1));
        let nameless = Identity::new("i", None, Some("s"), Some("x"), Some("c"), Some(1));
        let before = log.sequence();
        log.append(jti("b"));
        assert_eq!(log.judge(before, &a, token), Touched::Clear(1));
        assert_eq!(log.judge(before, &nameless, token), Touched::Touched);
        log.append(jti("a"));
        assert_eq!(log.judge(1, &a, token), Touched::Touched);
        assert_eq!(log.judge(2, &a, token), Touched::Clear(2));
    }

    #[test]
    fn what_fell_out_of_the_log_counts_as_touching() {
        let log = RevocationLog::new();
        let token = Digest::of_parts(&[b"t"]);
        let a = Identity::new("i", Some("a"), Some("s"), Some("x"), Some("c"), Some(1));
        for n in 0..=LOG_LENGTH {
            log.append(jti(&format!("other-{n}")));
        }
        assert_eq!(log.judge(0, &a, token), Touched::Touched);
        assert_eq!(log.judge(1, &a, token), Touched::Clear(LOG_LENGTH as u64 + 1));
    }

    #[test]
    fn issued_at_the_limit_or_at_no_known_time_is_covered() {
        let rule = RevocationRule::from(&RevocationEvent::Subject {
            issuer: "i".into(),
            subject: "s".into(),
            issued_at_or_before: 10,
        });
        let token = Digest::of_parts(&[b"t"]);
        let issued = |iat| Identity::new("i", None, Some("s"), None, None, iat);
        assert!(rule.covers(&issued(Some(10)), token));
        assert!(rule.covers(&issued(None), token));
        assert!(!rule.covers(&issued(Some(11)), token));
    }
}
