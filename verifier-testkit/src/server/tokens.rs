//! The tokens that were issued, and what has become of them.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::issue::Edits;
use crate::kind::Kind;
use crate::profile::{Grant, Profile};

#[derive(Default)]
pub(super) struct Tokens {
    issued: HashMap<String, Record>,
    /// Answers by script, by token.
    pub(super) scripted: HashMap<String, Answer>,
    /// Whether the store can't be read.
    pub(super) lost: bool,
}

pub(super) struct Record {
    pub(super) grant: Grant,
    pub(super) profile: Profile,
    pub(super) kind: Kind,
    /// The key id of the key that signed a JWT.
    pub(super) signed_by: Option<String>,
    answer: Edits,
    revoked: bool,
    /// Whether the token endpoint gave it.
    pub(super) granted: bool,
}

impl Tokens {
    pub(super) fn add(&mut self, token: String, record: Record) {
        self.issued.insert(token, record);
    }

    /// Notes that the token endpoint gave it.
    pub(super) fn granted(&mut self, token: &str) {
        if let Some(record) = self.issued.get_mut(token) {
            record.granted = true;
        }
    }

    /// Every token as it was issued.
    pub(super) fn spelled(&self) -> impl Iterator<Item = &str> {
        self.issued.keys().map(String::as_str)
    }

    /// Revokes what `covers` says; whether there was anything.
    pub(super) fn revoke(&mut self, covers: impl Fn(&str, &Grant) -> bool) -> bool {
        let mut found = false;
        for (_, record) in self.issued.iter_mut().filter(|(token, record)| covers(token, &record.grant)) {
            record.revoked = true;
            found = true;
        }
        found
    }

    /// The record of a token that is neither unknown, revoked nor out of its time.
    pub(super) fn live(&self, token: &str, unix_seconds: i64) -> Option<&Record> {
        let in_time = |grant: &Grant| {
            unix_seconds < grant.expires_at && grant.not_before.is_none_or(|start| start <= unix_seconds)
        };
        self.issued.get(token).filter(|record| !self.lost && !record.revoked && in_time(&record.grant))
    }
}

impl Record {
    pub(super) const fn new(
        grant: Grant,
        profile: Profile,
        kind: Kind,
        signed_by: Option<String>,
        answer: Edits,
    ) -> Self {
        Self { grant, profile, kind, signed_by, answer, revoked: false, granted: false }
    }

    /// Changes an answer as the token's request said.
    pub(super) fn edit(&self, answer: &mut Map<String, Value>) {
        self.answer.apply(answer);
    }
}
