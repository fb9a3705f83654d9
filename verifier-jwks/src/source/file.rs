//! Keys in a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderValue;
use std::io::Read as _;
use verifier_core::error::{Unavailable, UnavailableReason};
use verifier_core::token::Digest;

use super::{ETag, Fetched, KeyFormat, KeySource};

/// Greatest size of a key file, in bytes.
const MAX_LEN: u64 = 512 * 1024;

/// Keys in a file. It is read as often as a key set may be fetched at all, and once more for an unknown `kid`: what is
/// changed in it holds within a minute, without a restart. A file that is missing or unreadable leaves the keys that
/// were read before.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    format: KeyFormat,
    /// The digest of what was read last, and a number that changes with it.
    last: std::sync::Mutex<(Option<Digest>, u64)>,
}

impl FileSource {
    /// The file at `path`, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>, format: KeyFormat) -> Self {
        Self { path: path.into(), format, last: std::sync::Mutex::default() }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Small and local: read in place.
    fn read(&self) -> Result<Bytes, Unavailable> {
        let misconfigured = |_| Unavailable::new(UnavailableReason::Misconfigured);
        let file = std::fs::File::open(&self.path).map_err(misconfigured)?;
        let mut bytes = Vec::new();
        file.take(MAX_LEN + 1).read_to_end(&mut bytes).map_err(misconfigured)?;
        if u64::try_from(bytes.len()).is_ok_and(|len| len <= MAX_LEN) {
            Ok(bytes.into())
        } else {
            Err(UnavailableReason::UnreadableAnswer.into())
        }
    }

    /// A validator that names this content: the content itself is compared, since times of change are coarse.
    fn etag_of(&self, bytes: &[u8]) -> Option<ETag> {
        let digest = Digest::of_parts(&[b"key file", bytes]);
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.0 != Some(digest) {
            *last = (Some(digest), last.1.wrapping_add(1));
        }
        HeaderValue::from_str(&format!("\"{}\"", last.1)).ok().map(ETag::new)
    }
}

#[async_trait]
impl KeySource for FileSource {
    /// # Errors
    /// [`UnavailableReason::Misconfigured`] if the file can't be read, [`UnavailableReason::UnreadableAnswer`] if it is
    /// larger than 512 KiB.
    async fn fetch(&self, known: Option<&ETag>) -> Result<Fetched, Unavailable> {
        let bytes = self.read()?;
        let etag = self.etag_of(&bytes);
        // As often as is allowed.
        let max_age = Some(Duration::ZERO);
        if known.is_some() && known == etag.as_ref() {
            return Ok(Fetched::NotModified { max_age });
        }
        Ok(Fetched::Document { bytes, format: self.format.clone(), etag, max_age })
    }

    fn is_remote(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_changed() {
        futures::executor::block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("keys.json");
            let source = FileSource::new(&path, KeyFormat::JwkSet);
            assert_eq!(source.fetch(None).await.unwrap_err().reason(), UnavailableReason::Misconfigured);

            std::fs::write(&path, "{}").unwrap();
            let Ok(Fetched::Document { etag: Some(first), .. }) = source.fetch(None).await else { panic!() };
            assert!(matches!(source.fetch(Some(&first)).await, Ok(Fetched::NotModified { .. })));

            // the same length, within the same tick of the file system's clock
            std::fs::write(&path, "[]").unwrap();
            let Ok(Fetched::Document { etag: Some(second), bytes, .. }) = source.fetch(Some(&first)).await
            else {
                panic!()
            };
            assert_eq!(&*bytes, b"[]");
            assert!(first != second);
            assert!(matches!(source.fetch(Some(&second)).await, Ok(Fetched::NotModified { .. })));

            std::fs::write(&path, vec![b' '; 600 * 1024]).unwrap();
            assert_eq!(source.fetch(None).await.unwrap_err().reason(), UnavailableReason::UnreadableAnswer);
        });
    }
}
