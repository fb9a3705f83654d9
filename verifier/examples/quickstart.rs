//! The five lines that a service needs, with an authorization server on loopback in place of a real one.
//!
//! Run with `cargo run -p verifier --example quickstart`.
#![allow(clippy::print_stdout)] // what an example is for

use std::error::Error;

use verifier::VerifierConfig;
use verifier_testkit::{AuthorizationServer, TokenRequest};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let server = AuthorizationServer::start()?;
    let toml = format!(
        "[[issuer]]\nissuer = {:?}\nstrategy = 'jwks'\nprofile = 'at+jwt'\naudience = 'https://api.example.com'",
        server.issuer()
    );
    let token = server.issue(TokenRequest::new().subject("alice").scope("orders:read")).token;

    let verifier = VerifierConfig::from_toml(&toml)?.build()?; // once; asks nobody
    match verifier.verify(&token).await {
        Ok(token) => println!("{:?} may {:?}", token.subject(), token.scopes().collect::<Vec<_>>()),
        Err(error) => println!("{} {}", error.status(), error.code()),
    }

    let stranger = format!("{token}x");
    match verifier.verify(&stranger).await {
        Ok(_) => return Err("a changed token was accepted".into()),
        Err(error) => println!("{} {}", error.status(), error.code()),
    }
    Ok(())
}
