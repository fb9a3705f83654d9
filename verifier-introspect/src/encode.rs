//! Percent-encoding that every form decoder reads alike: the unreserved characters of RFC 3986 §2.3 stay, all else is
//! `%XX`. A space is never `+`, which not every server takes for one.

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `text`, encoded.
pub(crate) fn percent_encode(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            _ => {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                out.extend([b'%', digit(byte >> 4), digit(byte & 0xf)]);
            }
        }
    }
}

/// Greatest length of `text`, encoded: buffers that hold secrets are made large enough at once, because one that grows
/// leaves a copy behind.
pub(crate) const fn encoded_len(text: &str) -> usize {
    text.len().saturating_mul(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unreserved_stay() {
        let mut out = Vec::new();
        percent_encode("aZ09-._~ +/=&%\u{e9}\0:", &mut out);
        assert_eq!(out, b"aZ09-._~%20%2B%2F%3D%26%25%C3%A9%00%3A");
    }
}
