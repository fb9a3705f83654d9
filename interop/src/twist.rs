//! Texts that aren't quite the token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What is done to a token's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Twist {
    /// Nothing.
    None,
    /// A claim is changed: `"sub":"..."` gets another first character, or a member is added.
    Payload,
    /// Another character inside the signature, or inside an opaque token.
    Signature,
    /// `alg: none`, the same claims, no signature.
    Unsigned,
    /// A header that names a key which isn't there.
    UnknownKey,
    /// `e30.e30.e30`: a header without `alg`.
    EmptyParts,
    /// `=` at the end.
    Padded,
    /// The last character's unused bits set.
    UnusedBits,
    /// The alphabet with `+` and `/`.
    OtherAlphabet,
}

impl Twist {
    /// The twisted text; `None` if this token has no such other form.
    pub(crate) fn of(self, token: &str) -> Option<String> {
        match self {
            Self::None => Some(token.to_owned()),
            Self::EmptyParts => Some("e30.e30.e30".to_owned()),
            Self::Padded => Some(format!("{token}=")),
            Self::Signature => another_character(token, token.len().checked_sub(20)?),
            Self::Payload => {
                let (header, payload, signature) = parts(token)?;
                let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
                let claims = format!("{},\"admin\":true}}", claims.trim_end().strip_suffix('}')?);
                Some(format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims)))
            }
            Self::Unsigned => {
                let (_, payload, _) = parts(token)?;
                Some(format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#)))
            }
            Self::UnknownKey => with_kid(token, "made-up"),
            Self::UnusedBits => {
                parts(token)?;
                let (rest, last) = token.split_at_checked(token.len().checked_sub(1)?)?;
                const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
                let at = ALPHABET.iter().position(|c| Some(c) == last.as_bytes().first())?;
                let signature = token.rsplit('.').next()?;
                // Whole groups of four have no unused bits.
                if signature.len() % 4 == 0 {
                    return None;
                }
                Some(format!("{rest}{}", char::from(*ALPHABET.get(at + 1)?)))
            }
            Self::OtherAlphabet => {
                parts(token)?;
                let other = token.replace('-', "+").replace('_', "/");
                (other != token).then_some(other)
            }
        }
    }
}

/// The header of a JWT, believed by nobody.
pub(crate) fn header(token: &str) -> Option<serde_json::Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts(token)?.0).ok()?).ok()
}

/// The same token with another `kid` in its header.
pub(crate) fn with_kid(token: &str, kid: &str) -> Option<String> {
    let (_, payload, signature) = parts(token)?;
    let mut header = header(token)?;
    header.as_object_mut()?.insert("kid".to_owned(), kid.into());
    Some(format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(header.to_string())))
}

fn parts(token: &str) -> Option<(&str, &str, &str)> {
    let mut parts = token.split('.');
    let three = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(three)
}

fn another_character(token: &str, at: usize) -> Option<String> {
    let (before, rest) = token.split_at_checked(at)?;
    let mut rest = rest.chars();
    let with = if rest.next()? == 'A' { 'B' } else { 'A' };
    Some(format!("{before}{with}{}", rest.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str =
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl_3RoYXQ-aXMtbG9uZw";

    #[test]
    fn each_twist_changes_the_text() {
        for twist in [
            Twist::Payload,
            Twist::Signature,
            Twist::Unsigned,
            Twist::UnknownKey,
            Twist::EmptyParts,
            Twist::Padded,
            Twist::UnusedBits,
            Twist::OtherAlphabet,
        ] {
            let twisted = twist.of(TOKEN).unwrap_or_else(|| panic!("{twist:?}"));
            assert_ne!(twisted, TOKEN, "{twist:?}");
        }
        assert_eq!(Twist::None.of(TOKEN).unwrap(), TOKEN);
    }

    #[test]
    fn other_unused_bits_are_the_same_bytes_to_a_lenient_reader() {
        use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
        let lenient = GeneralPurpose::new(
            &base64::alphabet::URL_SAFE,
            GeneralPurposeConfig::new()
                .with_decode_allow_trailing_bits(true)
                .with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let bytes = |token: &str| lenient.decode(token.rsplit('.').next().unwrap()).unwrap();
        assert_eq!(bytes(TOKEN), bytes(&Twist::UnusedBits.of(TOKEN).unwrap()));
    }

    #[test]
    fn opaque_tokens_have_no_parts_to_twist() {
        assert_eq!(Twist::Payload.of("ory_at_abcdefghijklmnopqrstuvwxyz"), None);
        assert!(Twist::Signature.of("ory_at_abcdefghijklmnopqrstuvwxyz").is_some());
    }
}
