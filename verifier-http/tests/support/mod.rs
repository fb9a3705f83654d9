//! A server on loopback that says byte for byte what a test wants.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use verifier_core::transport::{HttpTransport, Limits, TransportError};
use verifier_http::{ReqwestTransport, Roots, TransportConfig};

pub const LIMITS: Limits =
    Limits { connect: Duration::from_secs(30), total: Duration::from_secs(60), body: 1 << 10 };

pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What to do after a request was read.
pub enum Step {
    /// Write these bytes and wait for the next request.
    Say(&'static [u8]),
    /// Write these bytes and close.
    SayAndClose(&'static [u8]),
    /// Close with the request unread, as a reset.
    Reset,
    /// Keep the connection open without a word until the client leaves.
    Hold,
    /// Write the first bytes, then the second over and over until the client leaves.
    Flood(&'static [u8], &'static [u8]),
}

pub struct Server {
    pub address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    connections: usize,
    requests: Vec<String>,
}

impl Server {
    /// Runs the steps of the n-th inner list on the n-th connection, one a request; then closes.
    pub fn start(script: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let ears = Arc::clone(&heard);
        std::thread::spawn(move || {
            for steps in script {
                let (stream, _) = listener.accept().unwrap();
                ears.lock().unwrap().connections += 1;
                let ears = Arc::clone(&ears);
                std::thread::spawn(move || serve(stream, steps, &ears));
            }
        });
        Self { address, heard }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.heard.lock().unwrap().connections
    }

    /// The heads and bodies received so far.
    pub fn requests(&self) -> Vec<String> {
        self.heard.lock().unwrap().requests.clone()
    }
}

fn serve(mut stream: TcpStream, steps: Vec<Step>, heard: &Mutex<Heard>) {
    for step in steps {
        if let Step::Reset = step {
            // Closed with a byte unread, the system resets the connection.
            let mut first = [0; 1];
            let _ = stream.peek(&mut first);
            return;
        }
        let Some(request) = read_request(&mut stream) else { return };
        heard.lock().unwrap().requests.push(request);
        match step {
            Step::Say(bytes) => stream.write_all(bytes).unwrap(),
            Step::SayAndClose(bytes) => return stream.write_all(bytes).unwrap(),
            Step::Hold => {
                let _ = stream.read(&mut [0; 1]);
                return;
            }
            Step::Flood(head, chunk) => {
                stream.write_all(head).unwrap();
                while stream.write_all(chunk).is_ok() {}
                return;
            }
            Step::Reset => return,
        }
    }
}

fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut more = [0; 4096];
        let n = stream.read(&mut more).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&more[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}

/// For plain http: reads no roots.
pub fn plain() -> TransportConfig {
    TransportConfig::new().roots(Roots::None)
}

pub fn transport() -> ReqwestTransport {
    plain().build().unwrap()
}

pub async fn get(transport: &ReqwestTransport, url: &str) -> Result<Response<Bytes>, TransportError> {
    get_within(transport, url, LIMITS).await
}

pub async fn get_within(
    transport: &ReqwestTransport,
    url: &str,
    limits: Limits,
) -> Result<Response<Bytes>, TransportError> {
    transport.send(Request::get(url).body(Bytes::new()).unwrap(), limits).await
}
