//! The gate: what a token is, decided by its text alone and the same for every strategy. A text that some server would
//! read as a JWT either is one to the letter or is refused here, so that no respelling of a token finds a way around
//! what is known of it. All else is opaque, and only its issuer can say what it means.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use serde::de::IgnoredAny;
use std::borrow::Cow;

use super::AccessToken;
use crate::error::Rejection;
use crate::header::JoseHeader;

/// What kind of token a text is.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// A compact JWS with a header that passed the strict reader. Nothing is said of its signature.
    Jwt(CompactJwt),
    /// Anything else that is a b64token, dots included.
    Opaque,
}

/// The parts of a token in compact serialization (RFC 7515 §7.1), as places in its text.
#[derive(Clone, PartialEq)]
pub struct CompactJwt {
    header: JoseHeader,
    header_end: usize,
    payload_end: usize,
    signature: Vec<u8>,
}

impl Shape {
    pub(super) fn of(text: &str) -> Result<Self, Rejection> {
        match split(text)? {
            Segments::Three { header, payload, signature } => {
                let Some(decoded) = decode_leniently(header) else { return Ok(Self::Opaque) };
                let parsed = JoseHeader::parse(&decoded);
                if parsed.is_err() && !is_object(&decoded) {
                    return Ok(Self::Opaque);
                }
                if ![header, payload, signature].into_iter().all(is_canonical) {
                    return Err(Rejection::NotCanonical);
                }
                let jose = parsed?;
                if payload.is_empty() || signature.is_empty() {
                    return Err(Rejection::MalformedToken);
                }
                Ok(Self::Jwt(CompactJwt {
                    header: jose,
                    header_end: header.len(),
                    payload_end: header.len() + 1 + payload.len(),
                    signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| Rejection::NotCanonical)?,
                }))
            }
            Segments::Five { header } if decode_leniently(header).is_some_and(|d| is_object(&d)) => {
                Err(Rejection::EncryptedToken)
            }
            _ => Ok(Self::Opaque),
        }
    }
}

impl CompactJwt {
    /// The JOSE header: not authenticated.
    pub const fn header(&self) -> &JoseHeader {
        &self.header
    }

    /// What the signature covers: header and payload as received, in ASCII (RFC 7515 §5.2). `token` must be the one
    /// whose shape this is.
    pub fn signing_input<'t>(&self, token: &AccessToken<'t>) -> &'t [u8] {
        token.as_str().as_bytes().get(..self.payload_end).unwrap_or_default()
    }

    /// The payload segment, canonical base64url and not yet decoded.
    pub fn payload_segment<'t>(&self, token: &AccessToken<'t>) -> &'t str {
        token.as_str().get(self.header_end + 1..self.payload_end).unwrap_or_default()
    }

    /// The signature, decoded.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl std::fmt::Debug for CompactJwt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompactJwt").field("header", &self.header).finish_non_exhaustive()
    }
}

enum Segments<'t> {
    Three { header: &'t str, payload: &'t str, signature: &'t str },
    Five { header: &'t str },
    Other,
}

/// One scan of the whole text for the b64token grammar, before anything is decoded; then at most five segments.
fn split(text: &str) -> Result<Segments<'_>, Rejection> {
    let bare = text.trim_end_matches('=');
    if bare.is_empty() {
        return Err(Rejection::MalformedToken);
    }
    let mut dots = 0_usize;
    for byte in bare.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'+' | b'/' => {}
            b'.' => dots += 1,
            _ => return Err(Rejection::MalformedToken),
        }
    }
    if dots != 2 && dots != 4 {
        return Ok(Segments::Other);
    }
    let mut segments = text.split('.');
    Ok(match (dots, segments.next(), segments.next(), segments.next()) {
        (2, Some(header), Some(payload), Some(signature)) => Segments::Three { header, payload, signature },
        (4, Some(header), ..) => Segments::Five { header },
        _ => Segments::Other,
    })
}

/// Unpadded base64url as RFC 7515 §2 demands, decided without decoding: the alphabet, a possible length, and no unused
/// bit set in the last character. The empty segment is canonical.
pub(super) fn is_canonical(segment: &str) -> bool {
    let unused = match segment.len() % 4 {
        1 => return false,
        2 => 0b1111,
        3 => 0b11,
        _ => 0,
    };
    segment.bytes().all(|byte| sextet(byte).is_some())
        && segment.bytes().next_back().and_then(sextet).is_none_or(|last| last & unused == 0)
}

const fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    })
}

/// Decodes what some decoder or other would accept: either alphabet, unused bits set. (Padding inside a token is no
/// b64token.)
fn decode_leniently(segment: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let segment = if segment.contains(['+', '/']) {
        Cow::Owned(segment.replace('+', "-").replace('/', "_"))
    } else {
        Cow::Borrowed(segment)
    };
    LENIENT.decode(segment.as_bytes()).ok()
}

/// Whether some reader would take this for a JSON object, however odd. The recursion is `serde_json`'s skipping of
/// values, which keeps no stack.
fn is_object(decoded: &[u8]) -> bool {
    let text = decoded.strip_prefix(b"\xef\xbb\xbf").unwrap_or(decoded);
    text.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}
