//! HTTP/1.1 as small as can be: what the server does is seen on the bare socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, dead_code)]

use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use verifier_testkit::clients::{RESOURCE_SERVER, RESOURCE_SERVER_SECRET};

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn active(&self) -> bool {
        assert_eq!(self.status, 200);
        self.json()["active"].as_bool().unwrap()
    }
}

/// A connection that is kept.
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(address).await.map(Self)
    }

    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Reply> {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.0.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
        self.reply().await
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut reply = Reply { status, headers, body: Vec::new() };
        if status == 304 {
            return Ok(reply);
        }
        let length = reply.header("content-length").map(|length| length.parse::<usize>().unwrap());
        match length {
            Some(length) => {
                let mut body = vec![0; length];
                self.0.read_exact(&mut body).await.map_err(|_| cut())?;
                reply.body = body;
            }
            // Endless: enough to see that it doesn't end.
            None => {
                let mut body = vec![0; 1 << 20];
                self.0.read_exact(&mut body).await?;
                reply.body = body;
            }
        }
        Ok(reply)
    }
}

pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    Connection::open(address).await?.ask(method, path(uri), headers, body).await
}

pub(crate) async fn get(address: SocketAddr, uri: &str) -> io::Result<Reply> {
    ask(address, "GET", uri, &[], "").await
}

pub(crate) async fn post(
    address: SocketAddr,
    uri: &str,
    auth: Option<&str>,
    form: &str,
) -> io::Result<Reply> {
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
    headers.extend(auth.map(|value| ("authorization", value)));
    ask(address, "POST", uri, &headers, form).await
}

pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

pub(crate) fn resource_server() -> String {
    basic(RESOURCE_SERVER, RESOURCE_SERVER_SECRET)
}

/// The path of an address, whatever host it names.
pub(crate) fn path(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.find('/').map_or("/", |start| &rest[start..])
}
