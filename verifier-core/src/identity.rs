//! Who a token is: what revocation is keyed by, whatever its spelling.

use crate::token::Digest;

/// The authenticated identity of a token, as keyed hashes: computed once a token, compared as integers. A string is no
/// identity: one token can have several spellings, and they must not escape a revocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The issuer, as configured.
    pub issuer: Digest,
    /// (iss, jti).
    pub jwt_id: Option<Digest>,
    /// (iss, sub).
    pub subject: Option<Digest>,
    /// (iss, sid).
    pub session: Option<Digest>,
    /// (iss, client).
    pub client: Option<Digest>,
    /// `iat` in whole seconds, rounded down.
    pub issued_at: Option<i64>,
}

impl Identity {
    /// Hashes the members. Each is bound to the issuer and to its kind, so that equal texts of different issuers or
    /// claims never meet.
    pub fn new(
        issuer: &str,
        jwt_id: Option<&str>,
        subject: Option<&str>,
        session: Option<&str>,
        client: Option<&str>,
        issued_at: Option<i64>,
    ) -> Self {
        Self {
            issuer: Digest::of_parts(&[b"iss", issuer.as_bytes()]),
            jwt_id: jwt_id.map(|text| member(issuer, Member::JwtId, text)),
            subject: subject.map(|text| member(issuer, Member::Subject, text)),
            session: session.map(|text| member(issuer, Member::Session, text)),
            client: client.map(|text| member(issuer, Member::Client, text)),
            issued_at,
        }
    }

    /// Both views of one token as one: what either lacks is taken from the other, `issued_at` is the earlier.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        Self {
            issuer: self.issuer,
            jwt_id: self.jwt_id.or(other.jwt_id),
            subject: self.subject.or(other.subject),
            session: self.session.or(other.session),
            client: self.client.or(other.client),
            issued_at: match (self.issued_at, other.issued_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }

    /// Whether two views can be of one token: no member that both have differs.
    pub fn agrees_with(&self, other: &Self) -> bool {
        fn same(a: Option<Digest>, b: Option<Digest>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        self.issuer == other.issuer
            && same(self.jwt_id, other.jwt_id)
            && same(self.subject, other.subject)
            && same(self.client, other.client)
    }

    /// Whether two views have at least one of jti, sub and client in common, so that agreement means something.
    pub fn shares_member_with(&self, other: &Self) -> bool {
        fn both(a: Option<Digest>, b: Option<Digest>) -> bool {
            a.is_some() && a == b
        }
        both(self.jwt_id, other.jwt_id)
            || both(self.subject, other.subject)
            || both(self.client, other.client)
    }
}

/// Which claim a hash stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Member {
    /// `jti`
    JwtId,
    /// `sub`
    Subject,
    /// `sid`
    Session,
    /// `client_id`, `azp` and the like.
    Client,
}

/// The keyed hash of one claim of one issuer.
pub fn member(issuer: &str, which: Member, text: &str) -> Digest {
    let kind: &[u8] = match which {
        Member::JwtId => b"jti",
        Member::Subject => b"sub",
        Member::Session => b"sid",
        Member::Client => b"client",
    };
    Digest::of_parts(&[kind, issuer.as_bytes(), text.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_different_issuers_and_kinds_never_meet() {
        let a = Identity::new("https://a", Some("1"), Some("1"), Some("1"), Some("1"), None);
        let b = Identity::new("https://b", Some("1"), Some("1"), Some("1"), Some("1"), None);
        let all = [a.jwt_id, a.subject, a.session, a.client, b.jwt_id, b.subject, b.session, b.client];
        for (i, x) in all.iter().enumerate() {
            for (j, y) in all.iter().enumerate() {
                assert_eq!(i == j, x == y);
            }
        }
        // No delimiter tricks: the boundary between issuer and text is part of the hash.
        assert_ne!(member("ab", Member::JwtId, "c"), member("a", Member::JwtId, "bc"));
    }

    #[test]
    fn agreement_needs_no_contradiction_and_something_in_common() {
        let token = Identity::new("i", Some("1"), Some("alice"), None, Some("app"), Some(5));
        let answer = Identity::new("i", None, Some("alice"), None, Some("app"), Some(7));
        assert!(token.agrees_with(&answer) && token.shares_member_with(&answer));
        assert_eq!(token.merged(&answer).issued_at, Some(5));
        let other = Identity::new("i", None, Some("bob"), None, Some("app"), None);
        assert!(!token.agrees_with(&other));
        let silent = Identity::new("i", None, None, None, None, None);
        assert!(token.agrees_with(&silent) && !token.shares_member_with(&silent));
    }
}
