//! Tokens as an attacker makes them: any header, any payload, any spelling, any signature.

pub mod catalogue;
pub mod segments;

use serde_json::{Map, Value, json};

use crate::keys::{SigningKey, base64url};
pub use segments::{Segment, Spelling};

/// The raw material of one compact JWS (RFC 7515 §7.1). Nothing is checked: what isn't JSON, or says one algorithm and
/// is signed with another, is made as it is said.
///
/// Header and payload are kept as text. What changes them comes before the signature, so that a forged token can be
/// wrong in one respect only and rightly signed; [`segments`] changes tokens after they were signed.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenForge {
    header: Vec<u8>,
    payload: Vec<u8>,
    header_spelling: Spelling,
    payload_spelling: Spelling,
}

impl TokenForge {
    /// From both texts, which may be any bytes.
    pub fn new(header: impl Into<Vec<u8>>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            header: header.into(),
            payload: payload.into(),
            header_spelling: Spelling::Canonical,
            payload_spelling: Spelling::Canonical,
        }
    }

    /// From an existing token; `None` if it has no two segments of base64url.
    pub fn like(token: &str) -> Option<Self> {
        let header = segments::decoded(token, Segment::Header)?;
        let payload = segments::decoded(token, Segment::Payload)?;
        Some(Self::new(header, payload))
    }

    pub(crate) fn of_objects(header: &Map<String, Value>, claims: &Map<String, Value>) -> Self {
        Self::new(json!(header).to_string(), json!(claims).to_string())
    }

    /// Another header, as text.
    #[must_use]
    pub fn header_text(self, text: impl Into<Vec<u8>>) -> Self {
        Self { header: text.into(), ..self }
    }

    /// Another payload, as text.
    #[must_use]
    pub fn payload_text(self, text: impl Into<Vec<u8>>) -> Self {
        Self { payload: text.into(), ..self }
    }

    /// Appends a member to the header as text, one that is there already too: `("alg", "\"none\"")`.
    #[must_use]
    pub fn header_member(self, name: &str, raw: &str) -> Self {
        Self { header: appended(&self.header, name, raw), ..self }
    }

    /// Appends a claim as text, one that is there already too: `("exp", "1e400")`.
    #[must_use]
    pub fn claim_member(self, name: &str, raw: &str) -> Self {
        Self { payload: appended(&self.payload, name, raw), ..self }
    }

    /// Sets a header parameter. A header that is no JSON object becomes one with this member alone.
    #[must_use]
    pub fn header(self, name: &str, value: impl Into<Value>) -> Self {
        Self { header: edited(&self.header, |header| drop(header.insert(name.into(), value.into()))), ..self }
    }

    /// Sets a claim. A payload that is no JSON object becomes one with this member alone.
    #[must_use]
    pub fn claim(self, name: &str, value: impl Into<Value>) -> Self {
        Self {
            payload: edited(&self.payload, |claims| drop(claims.insert(name.into(), value.into()))),
            ..self
        }
    }

    /// Takes a header parameter away.
    #[must_use]
    pub fn without_header(self, name: &str) -> Self {
        Self { header: edited(&self.header, |header| drop(header.remove(name))), ..self }
    }

    /// Takes a claim away.
    #[must_use]
    pub fn without_claim(self, name: &str) -> Self {
        Self { payload: edited(&self.payload, |claims| drop(claims.remove(name))), ..self }
    }

    /// Takes a claim away and appends it as text: any JSON, or none, in place of the right value.
    #[must_use]
    pub fn claim_as(self, name: &str, raw: &str) -> Self {
        self.without_claim(name).claim_member(name, raw)
    }

    /// Takes a header parameter away and appends it as text: any JSON, or none, in place of the right value.
    #[must_use]
    pub fn header_as(self, name: &str, raw: &str) -> Self {
        self.without_header(name).header_member(name, raw)
    }

    /// Sets `alg` and `kid` to those of a key.
    #[must_use]
    pub fn for_key(self, key: &SigningKey) -> Self {
        self.header("alg", key.algorithm().name()).header("kid", key.kid())
    }

    /// Spells header or payload otherwise; the signature is over the text that is spelled so. Where the text as it is
    /// has only one spelling, it is made longer in a way that means nothing. For the signature: [`segments::respell`].
    #[must_use]
    pub fn spelled(mut self, segment: Segment, spelling: Spelling) -> Self {
        match segment {
            Segment::Header => self.header_spelling = spelling,
            Segment::Payload => self.payload_spelling = spelling,
            Segment::Signature => {}
        }
        self
    }

    /// The first two segments: what a signature is over (RFC 7515 §5.1).
    pub fn signing_input(&self) -> String {
        let header = self.header_spelling.of_text(&self.header);
        let payload = self.payload_spelling.of_text(&self.payload);
        format!("{header}.{payload}")
    }

    /// Signs with this key and its algorithm, whatever the header says.
    pub fn sign(&self, key: &SigningKey) -> String {
        self.sign_then(key, |signature| signature)
    }

    /// Signs, and lets the caller change the signature.
    pub fn sign_then(&self, key: &SigningKey, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
        let input = self.signing_input();
        let signature = change(key.sign(input.as_bytes()));
        format!("{input}.{}", base64url(signature))
    }

    /// With these bytes as the signature.
    pub fn with_signature(&self, signature: &[u8]) -> String {
        format!("{}.{}", self.signing_input(), base64url(signature))
    }

    /// With an empty signature, as RFC 7515 §A.5 has it.
    pub fn unsigned(&self) -> String {
        self.with_signature(&[])
    }

    /// Rightly signed, in the flattened JSON serialization (RFC 7515 §7.2.2).
    pub fn flattened_json(&self, key: &SigningKey) -> String {
        let (protected, payload, signature) = self.json_parts(key);
        json!({ "protected": protected, "payload": payload, "signature": signature }).to_string()
    }

    /// Rightly signed, in the general JSON serialization (RFC 7515 §7.2.1).
    pub fn general_json(&self, key: &SigningKey) -> String {
        let (protected, payload, signature) = self.json_parts(key);
        let signatures = json!([{ "protected": protected, "signature": signature }]);
        json!({ "payload": payload, "signatures": signatures }).to_string()
    }

    fn json_parts(&self, key: &SigningKey) -> (String, String, String) {
        let header = self.header_spelling.of_text(&self.header);
        let payload = self.payload_spelling.of_text(&self.payload);
        let signature = base64url(key.sign(format!("{header}.{payload}").as_bytes()));
        (header, payload, signature)
    }
}

impl std::fmt::Debug for TokenForge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenForge")
            .field("header", &String::from_utf8_lossy(&self.header))
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

fn edited(text: &[u8], edit: impl FnOnce(&mut Map<String, Value>)) -> Vec<u8> {
    let mut members = serde_json::from_slice::<Map<String, Value>>(text).unwrap_or_default();
    edit(&mut members);
    Value::Object(members).to_string().into_bytes()
}

/// The text with one more member before its last brace; a text without one becomes an object of this member.
fn appended(text: &[u8], name: &str, raw: &str) -> Vec<u8> {
    let name = Value::from(name);
    let before = text.iter().rposition(|&byte| byte == b'}').and_then(|end| text.get(..end)).unwrap_or(b"{");
    let empty = before.trim_ascii_end().ends_with(b"{");
    let comma = if empty { "" } else { "," };
    let mut longer = before.to_vec();
    longer.extend(format!("{comma}{name}:{raw}}}").into_bytes());
    longer
}

#[cfg(test)]
mod tests;
