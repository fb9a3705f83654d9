//! One HTTP exchange, as the engine needs it: bounded in time and size, never redirected, its failures told apart by
//! whose fault they are.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

/// The bounds of one exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Greatest time to connect, TLS included.
    pub connect: Duration,
    /// Greatest time for the whole exchange, the last byte of the body included.
    pub total: Duration,
    /// Greatest size of the response body, in bytes, after any content decoding.
    pub body: usize,
}

/// Why an exchange brought no response. Carries no address, no header and no text of the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection: refused, unreachable, or the name did not resolve.
    Connect,
    /// The TLS handshake failed, the certificate was not accepted, for instance.
    Tls,
    /// The time of [`Limits`] was over.
    TimedOut,
    /// A connection taken from the pool was closed before the first byte of a response: the request wasn't read.
    ConnectionReused,
    /// The connection broke in the middle of the response, or what came was no HTTP.
    Broken,
    /// The body is larger than [`Limits::body`].
    BodyTooLarge,
    /// The request couldn't be formed or sent at all: our fault.
    Unsendable,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connection failed",
            Self::Tls => "TLS failed",
            Self::TimedOut => "timed out",
            Self::ConnectionReused => "a pooled connection was closed",
            Self::Broken => "connection broke",
            Self::BodyTooLarge => "response body too large",
            Self::Unsendable => "request could not be sent",
        })
    }
}

impl std::error::Error for TransportError {}

/// Sends one request. Follows no redirect, retries nothing, takes no proxy from the process environment.
#[async_trait]
pub trait HttpTransport: fmt::Debug + Send + Sync + 'static {
    /// The response, whatever its status, with its whole body. An error's (400 and above) may be left out where it is
    /// larger than [`Limits::body`]: its status says enough.
    ///
    /// # Errors
    /// [`TransportError`], when there is no whole response inside `limits`.
    async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, TransportError>;
}
