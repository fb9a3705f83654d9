//! Keyed hashes of tokens and identities.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use siphasher::sip128::{Hasher128, SipHasher13};
use zeroize::Zeroizing;

/// 128 bits of SipHash-1-3 under a random secret of this process: stands for a token or an identity in memory, means
/// nothing anywhere else, and is never sent or stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 16]);

impl Digest {
    /// The digest of a token's text.
    pub(super) fn of_token(text: &str) -> Self {
        Self(SipHasher13::new_with_key(&secret().token).hash(text.as_bytes()).as_bytes())
    }

    /// The digest of a sequence of parts. Each part's length goes in first, so that two sequences that read alike when
    /// joined differ; and the key is another than that of tokens, so that none of these equals a token's digest.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = SipHasher13::new_with_key(&secret().parts);
        for part in parts {
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part);
        }
        Self(hasher.finish128().as_bytes())
    }

    /// The same bits, in the room of a SHA-256.
    pub(crate) const fn widened(self) -> [u8; 32] {
        let mut wide = [0; 32];
        let (low, _) = wide.split_at_mut(16);
        low.copy_from_slice(&self.0);
        wide
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

struct Secret {
    token: Zeroizing<[u8; 16]>,
    parts: Zeroizing<[u8; 16]>,
}

fn secret() -> &'static Secret {
    static SECRET: OnceLock<Secret> = OnceLock::new();
    SECRET.get_or_init(|| Secret { token: random(), parts: random() })
}

fn random() -> Zeroizing<[u8; 16]> {
    let mut key = Zeroizing::new([0; 16]);
    if getrandom::fill(key.as_mut()).is_err() {
        // The standard library's hash seed: it has its own ways to randomness, and we may not panic.
        for (half, index) in key.chunks_exact_mut(8).zip(0_u8..) {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u8(index);
            half.copy_from_slice(&hasher.finish().to_le_bytes());
        }
    }
    key
}
