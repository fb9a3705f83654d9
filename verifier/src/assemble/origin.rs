//! What a section was made from beside its own text: the files that are read once, when it is built.

use std::path::{Path, PathBuf};

use verifier_core::token::Digest;

use crate::config::{IssuerConfig, SecretRef};

/// The files that a section is made from, and what stood in them: `None` for one that can't be read, or once only. Of the contents
/// only a digest is kept, since some of them are secret.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Files(Vec<(PathBuf, Option<Digest>)>);

impl IssuerConfig {
    /// Files that are read again when they change don't count: who holds them sees the change himself.
    pub(super) fn files(&self) -> Files {
        let keys = self
            .keys
            .iter()
            .flat_map(|keys| keys.secret.iter().chain(keys.secrets.iter().map(|one| &one.secret)));
        // Of the ways to authenticate, a certificate and its key are read once.
        let client = self.introspection.iter().filter(|section| section.client_certificate.is_some());
        let client = client.flat_map(|section| section.client_certificate.iter().chain(&section.client_key));
        let secrets = keys.chain(client).filter_map(|place| match place {
            SecretRef::File(path) => Some(path.as_path()),
            SecretRef::Env(_) => None,
        });
        let files = self.ca_file.as_deref().into_iter().chain(secrets);
        Files(files.map(|file| (file.to_owned(), digest(file))).collect())
    }
}

fn digest(file: &Path) -> Option<Digest> {
    // A pipe is read once, by whoever needs what it holds.
    std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    let bytes = zeroize::Zeroizing::new(std::fs::read(file).ok()?);
    Some(Digest::of_parts(&[&bytes]))
}
