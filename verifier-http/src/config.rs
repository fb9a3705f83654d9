//! What a transport is made of, checked whole before one is built.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;
use reqwest::{Certificate, ClientBuilder, Proxy};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use url::Url;

use crate::client_certificate::{self, ClientCertificate, PemSource};
use crate::connect::ConnectLimit;
use crate::origin::{Detours, Origin};
use crate::transport::ReqwestTransport;

/// How long an unused connection is kept by default, in seconds. Shorter than most servers keep theirs, so that a
/// request seldom meets a connection that is just being closed.
pub const POOL_IDLE_SECONDS: u64 = 20;

/// How many unused connections a host are kept by default.
pub const POOL_IDLE_PER_HOST: usize = 64;

/// How often, in seconds, an HTTP/2 connection with requests on it is asked for a sign of life, and how long the answer
/// may take. One that is dead but not closed would swallow every request.
const HTTP2_PING_SECONDS: u64 = 5;

/// Whom to trust as the root of a server's certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Roots {
    /// The roots of the operating system, and those of `ca_file` and `ca_pem` in addition.
    #[default]
    System,
    /// The roots of `ca_file` and `ca_pem` alone.
    Given,
    /// Nobody: for plain `http` alone. Every `https` request fails with
    /// [`TransportError::Tls`](verifier_core::transport::TransportError::Tls).
    None,
}

/// What a [`ReqwestTransport`] is built from. [`build`](Self::build) checks it.
#[derive(Clone)]
pub struct TransportConfig {
    roots: Roots,
    ca_file: Option<PathBuf>,
    ca_pem: Vec<u8>,
    client_certificate: Option<ClientCertificate>,
    proxy: Option<String>,
    connect: Vec<(String, String)>,
    user_agent: String,
    pool_idle: Duration,
    pool_idle_per_host: usize,
}

impl TransportConfig {
    /// The roots of the system, no proxy, no detours.
    pub fn new() -> Self {
        Self {
            roots: Roots::default(),
            ca_file: None,
            ca_pem: Vec::new(),
            client_certificate: None,
            proxy: None,
            connect: Vec::new(),
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            pool_idle: Duration::from_secs(POOL_IDLE_SECONDS),
            pool_idle_per_host: POOL_IDLE_PER_HOST,
        }
    }

    /// Whom to trust. Default: [`Roots::System`].
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// A file of root certificates in PEM, read when the transport is built.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Root certificates in PEM, added to those given before.
    pub fn ca_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.ca_pem.extend_from_slice(pem.as_ref());
        self.ca_pem.push(b'\n');
        self
    }

    /// Shows this certificate to servers that ask for one (RFC 8705 §2): the chain, the client's own first, and the
    /// private key in PKCS#8, PKCS#1 or SEC 1, all in PEM. Both are read when the transport is built; a renewed
    /// certificate needs another transport. Other blocks, such as the key in the chain's file, are passed over.
    pub fn client_certificate(mut self, chain: PemSource, key: PemSource) -> Self {
        self.client_certificate = Some(ClientCertificate { chain, key });
        self
    }

    /// Sends all requests through this proxy, `http://` or `https://`, with `user:password@` if it wants them. Without
    /// this there is none: the variables of the environment are not looked at.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Sends the requests for the origin `from` (`https://idp.example.com`) to the origin `to` (`http://keycloak:8080`).
    ///
    /// The `Host` header stays that of `from`. They go there directly, past any proxy, and by HTTP/1.1 (HTTP/2 has no
    /// `Host` beside the address). If `to` is `https`, its certificate has to be valid for the host of `to`.
    pub fn connect(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.connect.push((from.into(), to.into()));
        self
    }

    /// The `User-Agent` header. Default: name and version of this crate.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// How long an unused connection is kept. Default: [`POOL_IDLE_SECONDS`].
    pub fn pool_idle(mut self, time: Duration) -> Self {
        self.pool_idle = time;
        self
    }

    /// How many unused connections a host are kept. Default: [`POOL_IDLE_PER_HOST`].
    pub fn pool_idle_per_host(mut self, connections: usize) -> Self {
        self.pool_idle_per_host = connections;
        self
    }

    /// Builds the transport. Reads `ca_file` and the system's roots, does no network I/O, needs no runtime.
    ///
    /// # Errors
    /// A [`BuildError`] that names the part at fault.
    pub fn build(self) -> Result<ReqwestTransport, BuildError> {
        let certificates = self.certificates()?;
        let identity = self.client_certificate.as_ref().map(client_certificate::load).transpose()?;
        let user_agent = HeaderValue::try_from(&self.user_agent).map_err(|_| BuildError::UserAgent)?;
        let detours = self.detours()?;
        let proxy = self.proxy.as_deref().map(parse_proxy).transpose()?;
        let proxied = proxy.is_some();

        let plain = |certificates: &[Certificate]| {
            let builder = ClientBuilder::new()
                .tls_backend_rustls()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
                .no_proxy()
                .user_agent(user_agent.clone())
                .pool_idle_timeout(self.pool_idle)
                .pool_max_idle_per_host(self.pool_idle_per_host)
                .http2_keep_alive_interval(Duration::from_secs(HTTP2_PING_SECONDS))
                .http2_keep_alive_timeout(Duration::from_secs(HTTP2_PING_SECONDS))
                .connector_layer(ConnectLimit);
            let builder = match &identity {
                Some(identity) => builder.identity(identity.clone()),
                None => builder,
            };
            match self.roots {
                Roots::System => builder.tls_certs_merge(certificates.iter().cloned()),
                Roots::Given | Roots::None => builder.tls_certs_only(certificates.iter().cloned()),
            }
        };
        // Whatever else a client is built from has been checked: what is left are the roots.
        let roots_at_fault = |_| {
            if certificates.is_empty() {
                BuildError::NoRoots
            } else {
                BuildError::BadCertificate(self.source())
            }
        };

        let mut usual = plain(&certificates);
        if let Some(proxy) = proxy {
            usual = usual.proxy(proxy);
        }
        let usual = usual.build().map_err(roots_at_fault)?;
        let direct = if detours.is_empty() {
            None
        } else {
            Some(plain(&certificates).http1_only().build().map_err(roots_at_fault)?)
        };
        Ok(ReqwestTransport::new(usual, direct, detours, self.roots, proxied))
    }

    fn certificates(&self) -> Result<Vec<Certificate>, BuildError> {
        let mut certificates = Vec::new();
        if let Some(path) = &self.ca_file {
            let pem = std::fs::read(path)
                .map_err(|e| BuildError::CaFileUnreadable { path: path.clone(), kind: e.kind() })?;
            read_pem(&pem, &CaSource::File(path.clone()), &mut certificates)?;
        }
        if !self.ca_pem.is_empty() {
            read_pem(&self.ca_pem, &CaSource::Pem, &mut certificates)?;
        }
        match (self.roots, certificates.is_empty()) {
            (Roots::None, false) => Err(BuildError::RootsUnused),
            (Roots::Given, true) => Err(BuildError::NoRoots),
            _ => Ok(certificates),
        }
    }

    fn source(&self) -> CaSource {
        self.ca_file.clone().map_or(CaSource::Pem, CaSource::File)
    }

    fn detours(&self) -> Result<Detours, BuildError> {
        let mut detours = Detours::default();
        for (from, to) in &self.connect {
            let origin = |text: &str| Origin::parse(text).ok_or(BuildError::NotAnOrigin);
            let from = origin(from)?;
            let shown = from.to_string();
            if !detours.add(from, origin(to)?) {
                return Err(BuildError::ConnectTwice { origin: shown });
            }
        }
        Ok(detours)
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows neither the proxy, which may hold a password, nor the certificates.
impl fmt::Debug for TransportConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportConfig")
            .field("roots", &self.roots)
            .field("ca_file", &self.ca_file)
            .field("ca_pem", &self.ca_pem.len())
            .field("client_certificate", &self.client_certificate)
            .field("proxy", &self.proxy.as_ref().map(|_| "[redacted]"))
            .field("connect", &self.connect)
            .field("user_agent", &self.user_agent)
            .field("pool_idle", &self.pool_idle)
            .field("pool_idle_per_host", &self.pool_idle_per_host)
            .finish()
    }
}

fn read_pem(pem: &[u8], source: &CaSource, into: &mut Vec<Certificate>) -> Result<(), BuildError> {
    let before = into.len();
    for der in CertificateDer::pem_slice_iter(pem) {
        let der = der.map_err(|_| BuildError::BadCertificate(source.clone()))?;
        into.push(Certificate::from_der(&der).map_err(|_| BuildError::BadCertificate(source.clone()))?);
    }
    if into.len() == before { Err(BuildError::NoCertificate(source.clone())) } else { Ok(()) }
}

fn parse_proxy(text: &str) -> Result<Proxy, BuildError> {
    let url = Url::parse(text).map_err(|_| BuildError::Proxy)?;
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host() && matches!(url.path(), "" | "/");
    if !usable {
        return Err(BuildError::Proxy);
    }
    Proxy::all(url).map_err(|_| BuildError::Proxy)
}

/// Where root certificates came from.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CaSource {
    /// `ca_file`.
    File(PathBuf),
    /// `ca_pem`.
    Pem,
}

impl fmt::Display for CaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "ca_file ({})", Path::display(path)),
            Self::Pem => f.write_str("ca_pem"),
        }
    }
}

/// Why a transport can't be built. Names the key at fault, shows no URL.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// `ca_file` can't be read.
    CaFileUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// `ca_file` or `ca_pem` holds no certificate.
    NoCertificate(CaSource),
    /// A certificate in `ca_file` or `ca_pem` can't be used as a root.
    BadCertificate(CaSource),
    /// There is no root to trust: none on this system, or none given with [`Roots::Given`].
    NoRoots,
    /// Roots are given, and [`Roots::None`] says not to trust any.
    RootsUnused,
    /// The client's certificate or key can't be read.
    ClientFileUnreadable {
        /// The part at fault: `client_certificate` or `client_key`.
        part: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// There is no certificate where the client's chain should be.
    NoClientCertificate,
    /// There is not exactly one private key where the client's should be.
    NoClientKey,
    /// The client's key is encrypted.
    ClientKeyEncrypted,
    /// Certificate and key of the client don't belong together, or the key is of a kind that TLS doesn't take.
    ClientKeyMismatch,
    /// `proxy` is no `http` or `https` URL of a host and nothing more.
    Proxy,
    /// A side of `connect` is not an origin.
    NotAnOrigin,
    /// `connect` sends one origin to two places.
    ConnectTwice {
        /// The origin.
        origin: String,
    },
    /// `user_agent` can't stand in a header.
    UserAgent,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CaFileUnreadable { path, kind } => {
                write!(f, "ca_file ({}) can't be read: {kind}", path.display())
            }
            Self::NoCertificate(source) => write!(f, "{source} holds no PEM certificate"),
            Self::BadCertificate(source) => write!(f, "{source} holds a certificate that can't be used"),
            Self::NoRoots => f.write_str(
                "no root certificate to trust was found: install the system's CA certificates or name a file of them in ca_file",
            ),
            Self::RootsUnused => {
                f.write_str("ca_file or ca_pem is given, but roots = none says that nobody is trusted")
            }
            Self::ClientFileUnreadable { part, path, kind } => {
                write!(f, "{part} ({}) can't be read: {kind}", path.display())
            }
            Self::NoClientCertificate => f.write_str("client_certificate holds no PEM certificate that can be read"),
            Self::NoClientKey => f.write_str("client_key must hold exactly one PEM private key"),
            Self::ClientKeyEncrypted => {
                f.write_str("client_key is encrypted; decrypt it, and protect the file instead")
            }
            Self::ClientKeyMismatch => f.write_str(
                "client_key is not the key of client_certificate, or of a kind that TLS doesn't take",
            ),
            Self::Proxy => f.write_str("proxy must be an http or https URL of a host, like http://proxy:3128"),
            Self::NotAnOrigin => f.write_str(
                "connect must send an origin to an origin, like https://idp.example.com to http://keycloak:8080",
            ),
            Self::ConnectTwice { origin } => write!(f, "connect sends {origin} to two places"),
            Self::UserAgent => f.write_str("user_agent must be visible ASCII"),
        }
    }
}

impl std::error::Error for BuildError {}

#[cfg(test)]
mod tests;
