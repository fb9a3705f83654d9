//! The matrix: how tokens differ from library to library, and what has to be made of each.

use serde_json::{Map, Value, json};

use crate::scenario::Verdict;
use crate::server::{AUDIENCE, OTHER_AUDIENCE};

/// The issuer that they all name.
pub(super) const ISSUER: &str = "https://issuer.example.com";

/// What scopes look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ScopeForm {
    /// `"scope": "read write"` (RFC 8693 §4.2).
    ScopeText,
    /// `"scp": ["read", "write"]`.
    ScpList,
    /// `"scp": "read write"`.
    ScpText,
    /// `"scope": ["read", "write"]`.
    ScopeList,
}

/// One way to write a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cell {
    /// `typ` of the header.
    pub(super) typ: Option<&'static str>,
    /// Whether the audience is a list.
    pub(super) audience_list: bool,
    /// The scopes.
    pub(super) scopes: ScopeForm,
    /// Whether the header names the key.
    pub(super) kid: bool,
    /// Whether the issuer is named.
    pub(super) iss: bool,
}

/// All of them.
pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for typ in [None, Some("JWT"), Some("at+jwt"), Some("application/at+jwt")] {
        for scopes in [ScopeForm::ScopeText, ScopeForm::ScpList, ScopeForm::ScpText, ScopeForm::ScopeList] {
            for switches in 0..8_u8 {
                let [audience_list, kid, iss] = [1, 2, 4].map(|bit| switches & bit != 0);
                cells.push(Cell { typ, audience_list, scopes, kid, iss });
            }
        }
    }
    cells
}

impl Cell {
    /// The header besides `alg`.
    pub(super) fn header(&self, kid: &str) -> Map<String, Value> {
        let typ = self.typ.map(|typ| ("typ".to_owned(), json!(typ)));
        let kid = self.kid.then(|| ("kid".to_owned(), json!(kid)));
        typ.into_iter().chain(kid).collect()
    }

    /// The claims of a token that is issued at this second.
    pub(super) fn claims(&self, now: i64) -> Map<String, Value> {
        let audience = if self.audience_list { json!([OTHER_AUDIENCE, AUDIENCE]) } else { json!(AUDIENCE) };
        let (scopes, value) = match self.scopes {
            ScopeForm::ScopeText => ("scope", json!("read write")),
            ScopeForm::ScpList => ("scp", json!(["read", "write"])),
            ScopeForm::ScpText => ("scp", json!("read write")),
            ScopeForm::ScopeList => ("scope", json!(["read", "write"])),
        };
        let mut claims = Map::from_iter([
            ("sub".to_owned(), json!("alice")),
            ("client_id".to_owned(), json!("app")),
            ("jti".to_owned(), json!("one-of-many")),
            ("iat".to_owned(), json!(now)),
            ("exp".to_owned(), json!(now + 600)),
            ("aud".to_owned(), audience),
            (scopes.to_owned(), value),
        ]);
        if self.iss {
            claims.insert("iss".to_owned(), json!(ISSUER));
        }
        claims
    }

    /// What a configuration has to say of it.
    pub(super) fn expected(&self, by: Reading) -> Verdict {
        let typed = self.typ.is_some_and(|typ| typ.ends_with("at+jwt"));
        match by {
            // RFC 9068 §4: the type has to be there, and says what it says.
            Reading::Rfc9068 if !typed => Verdict::Rejected("wrong_type"),
            Reading::Rfc9068 | Reading::Generic if !self.iss => Verdict::Rejected("missing_claim"),
            // RFC 9068 §2.2.3: scopes are one text in `scope`, so `scp` is anybody's, and a list is malformed.
            Reading::Rfc9068 => match self.scopes {
                ScopeForm::ScopeText => Verdict::Verified,
                ScopeForm::ScopeList => Verdict::Rejected("malformed_claims"),
                ScopeForm::ScpList | ScopeForm::ScpText => Verdict::Rejected("insufficient_scope"),
            },
            _ => Verdict::Verified,
        }
    }
}

/// How a configuration reads tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reading {
    /// Profile `at+jwt`.
    Rfc9068,
    /// Profile `generic`.
    Generic,
    /// Profile `generic`, and the issuer may be missing.
    Unnamed,
}

impl Reading {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Rfc9068, Self::Generic, Self::Unnamed];

    /// The lines of the configuration.
    pub(super) const fn lines(self) -> &'static str {
        match self {
            Self::Rfc9068 => "profile = \"at+jwt\"",
            Self::Generic => "profile = \"generic\"",
            Self::Unnamed => "profile = \"generic\"\ndanger_accept_missing_issuer = true",
        }
    }

    /// Its name in reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rfc9068 => "profile at+jwt",
            Self::Generic => "profile generic",
            Self::Unnamed => "profile generic, iss may be missing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_there_twice() {
        let cells = cells();
        assert_eq!(cells.len(), 4 * 4 * 8);
        for (at, cell) in cells.iter().enumerate() {
            assert!(!cells[..at].contains(cell), "{cell:?}");
        }
    }

    #[test]
    fn every_reading_accepts_some_and_the_strict_one_refuses_for_four_reasons() {
        for by in Reading::ALL {
            assert!(cells().iter().any(|cell| cell.expected(by) == Verdict::Verified), "{by:?}");
        }
        let mut codes: Vec<String> =
            cells().iter().map(|cell| cell.expected(Reading::Rfc9068).to_string()).collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), 5, "{codes:?}");
    }
}
