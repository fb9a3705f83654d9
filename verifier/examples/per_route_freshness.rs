//! Each route says how old the knowledge behind an acceptance may be: reading rests on what is kept, paying asks now.
//!
//! Run with `cargo run -p verifier --example per_route_freshness`.
#![allow(clippy::print_stdout)] // what an example is for

use std::error::Error;

use verifier::{Freshness, VerifiedToken, Verifier, VerifierConfig, VerifyError};
use verifier_testkit::{AuthorizationServer, RESOURCE_SERVER_SECRET, TokenRequest};

async fn read_orders(verifier: &Verifier, token: &str) -> Result<VerifiedToken, VerifyError> {
    verifier.verify(token).await
}

async fn pay(verifier: &Verifier, token: &str) -> Result<VerifiedToken, VerifyError> {
    verifier.request(token).freshness(Freshness::LIVE).verify().await
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let server = AuthorizationServer::start()?;
    let secret = tempfile::NamedTempFile::new()?;
    std::fs::write(secret.path(), RESOURCE_SERVER_SECRET)?;
    let toml = format!(
        "[[issuer]]\nissuer = {:?}\nstrategy = 'hybrid'\nprofile = 'at+jwt'\naudience = 'https://api.example.com'\n\
         [issuer.introspection]\nclient_id = 'api'\nclient_secret = {{ file = {:?} }}\n\
         [issuer.revocation]\nfreshness = '60s'",
        server.issuer(),
        secret.path()
    );
    let verifier = VerifierConfig::from_toml(&toml)?.build()?;
    let token = server.issue(TokenRequest::new().subject("alice")).token;

    println!("read: known {:?} ago", read_orders(&verifier, &token).await?.revocation_age());
    println!("pay:  known {:?} ago", pay(&verifier, &token).await?.revocation_age());
    server.revoke(&token);
    println!("read, revoked just now: accepted for {:?} at most", "60s");
    read_orders(&verifier, &token).await?;
    match pay(&verifier, &token).await {
        Err(error) => println!("pay, revoked just now: {} {}", error.status(), error.code()),
        Ok(_) => return Err("a revoked token has paid".into()),
    }
    Ok(())
}
