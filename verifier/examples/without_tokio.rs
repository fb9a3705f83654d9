//! A verifier in a program without an async runtime: cold calls run on one I/O thread of the verifier's own.
//!
//! Run with `cargo run -p verifier --example without_tokio`.
#![allow(clippy::print_stdout)] // what an example is for

use std::error::Error;
use std::time::Duration;

use verifier::VerifierConfig;
use verifier_testkit::{AuthorizationServer, TokenRequest};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let server = AuthorizationServer::start()?;
    let toml = format!(
        "[[issuer]]\nissuer = {:?}\nstrategy = 'jwks'\nprofile = 'at+jwt'\naudience = 'https://api.example.com'",
        server.issuer()
    );
    let verifier = VerifierConfig::from_toml(&toml)?.build()?;
    pollster::block_on(verifier.ready(Duration::from_secs(5)))?;

    let token = server.issue(TokenRequest::new().subject("alice")).token;
    let accepted = futures::executor::block_on(verifier.verify(&token))?;
    println!("{:?}, on {:?}", accepted.subject(), accepted.evidence());
    Ok(())
}
