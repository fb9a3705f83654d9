//! The certificate by which a server knows us (RFC 8705 §2), checked before any request needs it.

use std::fmt;
use std::path::PathBuf;

use reqwest::{ClientBuilder, Identity};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject, SectionKind};
use verifier_core::secret::Secret;

use crate::config::BuildError;

/// Where PEM comes from. `Debug` shows no text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PemSource {
    /// A file, read when the transport is built.
    File(PathBuf),
    /// The text itself.
    Text(Secret),
}

/// A chain and its key.
#[derive(Clone)]
pub(crate) struct ClientCertificate {
    pub(crate) chain: PemSource,
    pub(crate) key: PemSource,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("chain", &self.chain).field("key", &self.key).finish()
    }
}

/// In reqwest's form.
pub(crate) fn load(own: &ClientCertificate) -> Result<Identity, BuildError> {
    let chain = read(&own.chain, "client_certificate")?;
    let key = read(&own.key, "client_key")?;
    let certificates = certificates(chain.expose())?;
    let key = private_key(key.expose())?;
    // One text of exactly these blocks: whatever else stood in the files is left out.
    let text = Secret::new(format!("{certificates}{}", key.expose()));
    let identity =
        Identity::from_pem(text.expose().as_bytes()).map_err(|_| BuildError::NoClientCertificate)?;
    // A client that trusts nobody is built of the same parts: if it can't be, they don't go together.
    let trial = ClientBuilder::new().tls_backend_rustls().no_proxy().tls_certs_only([]);
    trial.identity(identity.clone()).build().map_err(|_| BuildError::ClientKeyMismatch)?;
    Ok(identity)
}

fn read(source: &PemSource, part: &'static str) -> Result<Secret, BuildError> {
    match source {
        PemSource::Text(text) => Ok(text.clone()),
        PemSource::File(path) => std::fs::read_to_string(path)
            .map(Secret::new)
            .map_err(|e| BuildError::ClientFileUnreadable { part, path: path.clone(), kind: e.kind() }),
    }
}

fn certificates(text: &str) -> Result<String, BuildError> {
    let all: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(blocks(text, |label| label == "CERTIFICATE")),
        _ => Err(BuildError::NoClientCertificate),
    }
}

fn private_key(text: &str) -> Result<Secret, BuildError> {
    // The second form is that of RFC 1421.
    if text.contains("ENCRYPTED PRIVATE KEY") || text.contains("4,ENCRYPTED") {
        return Err(BuildError::ClientKeyEncrypted);
    }
    let mut keys = 0;
    for item in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        match item {
            Ok((SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, _)) => {
                keys += 1;
            }
            Ok(_) | Err(pem::Error::NoItemsFound) => {}
            Err(_) => return Err(BuildError::NoClientKey),
        }
    }
    if keys != 1 {
        return Err(BuildError::NoClientKey);
    }
    Ok(Secret::new(blocks(text, |label| label.ends_with("PRIVATE KEY"))))
}

/// The PEM blocks of these labels, whole.
fn blocks(text: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(text.len() + 1); // it doesn't grow: no copy of a key is left behind
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        let label = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
        inside |= label.is_some_and(&wanted);
        if inside {
            out.push_str(line);
            out.push('\n');
        }
        inside &= !line.starts_with("-----END ");
    }
    out
}
