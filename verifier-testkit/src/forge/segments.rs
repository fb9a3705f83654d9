//! The segments of a compact token, one by one: bytes changed, text spelled otherwise.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::keys::base64url;

/// One of the three segments of a compact JWS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Segment {
    /// The JOSE header.
    Header,
    /// The payload.
    Payload,
    /// The signature.
    Signature,
}

impl Segment {
    /// All three, in their order.
    pub const ALL: [Self; 3] = [Self::Header, Self::Payload, Self::Signature];

    const fn index(self) -> usize {
        match self {
            Self::Header => 0,
            Self::Payload => 1,
            Self::Signature => 2,
        }
    }
}

/// Ways to write the same bytes. Only the first is base64url as RFC 7515 §2 has it.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Spelling {
    /// The right one.
    Canonical,
    /// With `=` at the end; one too many where none is missing.
    Padded,
    /// `+` and `/` in place of `-` and `_`.
    StandardAlphabet,
    /// With an unused bit of the last letter set.
    TrailingBits,
    /// With this text in the middle, which the lenient skip: a line break, a blank, a question mark.
    Inserted(String),
}

impl Spelling {
    /// `None` if these bytes can't be spelled so.
    fn of_bytes(&self, bytes: &[u8]) -> Option<String> {
        let right = base64url(bytes);
        let other = match self {
            Self::Canonical => return Some(right),
            Self::Padded => {
                let missing = (4 - right.len() % 4) % 4;
                format!("{right}{}", "=".repeat(missing.max(1)))
            }
            Self::StandardAlphabet => right.replace('-', "+").replace('_', "/"),
            Self::TrailingBits => with_trailing_bit(&right)?,
            Self::Inserted(text) => {
                let (before, after) = right.split_at_checked(right.len() / 2)?;
                format!("{before}{text}{after}")
            }
        };
        (other != right).then_some(other)
    }

    /// The text, made longer where it can't be spelled so.
    pub(super) fn of_text(&self, text: &[u8]) -> String {
        if let Some(spelled) = self.of_bytes(text) {
            return spelled;
        }
        let object = text.iter().rposition(|&byte| byte == b'}').is_some();
        let mut longer = match self {
            // Letters whose bits are all ones wherever they fall.
            Self::StandardAlphabet if object => super::appended(text, "_", "\"????~~~~\""),
            _ => text.to_vec(),
        };
        // Blanks after JSON mean nothing and move the end by six bits each.
        for _ in 0..3 {
            if let Some(spelled) = self.of_bytes(&longer) {
                return spelled;
            }
            longer.push(b' ');
        }
        base64url(text)
    }
}

fn with_trailing_bit(right: &str) -> Option<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if !matches!(right.len() % 4, 2 | 3) {
        return None;
    }
    let (before, last) = right.split_at_checked(right.len().checked_sub(1)?)?;
    let value = ALPHABET.iter().position(|letter| last.as_bytes() == [*letter])?;
    // The lowest bit of the last letter is unused in both lengths, and zero.
    let letter = ALPHABET.get(value | 1)?;
    Some(format!("{before}{}", char::from(*letter)))
}

/// The bytes of a segment; `None` if it isn't there or no base64url.
pub fn decoded(token: &str, segment: Segment) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(segment.index())?).ok()
}

/// The token with the bytes of one segment changed, and nothing signed anew; the same token if they can't be decoded.
#[must_use]
pub fn changed(token: &str, segment: Segment, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    match decoded(token, segment) {
        Some(bytes) => replaced(token, segment, &base64url(change(bytes))),
        None => token.to_owned(),
    }
}

/// The token with one bit of a segment's bytes flipped; bits count from the start and again from there past the end.
#[must_use]
pub fn bit_flipped(token: &str, segment: Segment, bit: usize) -> String {
    changed(token, segment, |mut bytes| {
        let place = (bit / 8).checked_rem(bytes.len()).unwrap_or_default();
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= 1 << (bit % 8);
        }
        bytes
    })
}

/// The token with a segment spelled otherwise; `None` where the segment can't be spelled so.
pub fn respell(token: &str, segment: Segment, spelling: &Spelling) -> Option<String> {
    let spelled = spelling.of_bytes(&decoded(token, segment)?)?;
    Some(replaced(token, segment, &spelled))
}

/// The token with this text in place of a segment.
#[must_use]
pub fn replaced(token: &str, segment: Segment, text: &str) -> String {
    let parts: Vec<&str> = token
        .split('.')
        .enumerate()
        .map(|(n, part)| if n == segment.index() { text } else { part })
        .collect();
    parts.join(".")
}
