//! What an error of reqwest means. Only kinds are looked at; no text, no address of it goes on.

use std::error::Error;
use std::io;

use verifier_core::transport::TransportError;

/// Judges an error that came before the head of a response. `pooled`: the connection was taken from the pool.
pub(crate) fn before_head(error: &reqwest::Error, pooled: bool) -> TransportError {
    if error.is_timeout() {
        return TransportError::TimedOut;
    }
    if error.is_builder() {
        return TransportError::Unsendable;
    }
    if error.is_connect() {
        return if sources(error).any(is_of_tls) { TransportError::Tls } else { TransportError::Connect };
    }
    if sources(error).any(|e| e.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_user)) {
        return TransportError::Unsendable;
    }
    if sources(error).any(is_refusal) || (pooled && sources(error).any(is_close)) {
        return TransportError::ConnectionReused;
    }
    TransportError::Broken
}

/// Judges an error in the middle of a body.
pub(crate) fn in_body(error: &reqwest::Error) -> TransportError {
    if error.is_timeout() { TransportError::TimedOut } else { TransportError::Broken }
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&e: &&'a (dyn Error + 'static)| {
        // The `source` of an I/O error is that of the error inside it: the one inside would be stepped over.
        match e.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => Some(inside),
            None => e.source(),
        }
    })
}

/// The TLS library reports what the peer did wrong as invalid data, and a peer that left as an early end; opening a TCP
/// connection or resolving a name ends in neither.
fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|e| matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof))
}

/// HTTP/2: the server says that it did not look at the request (RFC 9113 §8.7).
fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<h2::Error>().is_some_and(|e| {
        e.is_remote()
            && ((e.is_go_away() && e.reason() == Some(h2::Reason::NO_ERROR))
                || (e.is_reset() && e.reason() == Some(h2::Reason::REFUSED_STREAM)))
    })
}

/// The connection is gone, and nothing but that was wrong.
fn is_close(error: &(dyn Error + 'static)) -> bool {
    if let Some(e) = error.downcast_ref::<hyper::Error>() {
        return e.is_incomplete_message() || e.is_canceled() || e.is_closed();
    }
    error.downcast_ref::<io::Error>().is_some_and(|e| {
        matches!(
            e.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::NotConnected
                | io::ErrorKind::UnexpectedEof
        )
    })
}
