//! What does one verification cost, by strategy, warm and cold, beside the raw signature check and
//! `jsonwebtoken::decode` of the same token with the same key in the same run?
#![forbid(unsafe_code)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use jsonwebtoken::{DecodingKey, Validation, decode, jwk::Jwk};
use tokio::runtime::Runtime;
use verifier::core::algorithm::AlgorithmSet;
use verifier::core::jwk::KeyRules;
use verifier::core::key::{KeySet, Selection};
use verifier::core::signature::AwsLc;
use verifier::core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN, Shape};
use verifier::{Verifier, VerifierConfig};
use verifier_testkit::{Algorithm, AuthorizationServer, TokenRequest};

const AUDIENCE: &str = "https://api.example.com";

fn config(server: &AuthorizationServer, strategy: &str, cached: bool) -> Verifier {
    let issuer = server.issuer();
    let secret_file = secret();
    let keys = if strategy == "introspection" || cached { "" } else { "verified_tokens = false\n" };
    let introspection = if strategy == "jwks" {
        String::new()
    } else {
        format!(
            "[issuer.introspection]\nclient_id = \"api\"\nclient_secret = {{ file = {secret_file:?} }}\ncache = {cached}\n\
             [issuer.revocation]\nfreshness = \"1h\"\n"
        )
    };
    let text = format!(
        "[[issuer]]\nissuer = {issuer:?}\nstrategy = {strategy:?}\nprofile = \"at+jwt\"\naudience = {AUDIENCE:?}\n\
         {keys}{introspection}"
    );
    VerifierConfig::from_toml(&text).and_then(|config| config.build()).expect("a valid configuration")
}

/// The testkit's resource server has a fixed secret; configurations take secrets from files.
fn secret() -> String {
    let path = std::env::temp_dir().join("verifier-bench-secret");
    std::fs::write(&path, "api-secret").expect("the temporary folder can be written to");
    path.to_string_lossy().into_owned()
}

fn strategies(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let server = AuthorizationServer::builder()
            .algorithm(algorithm)
            .lifetime(Duration::from_secs(86_400))
            .start()
            .expect("loopback");
        let token =
            server.issue(TokenRequest::new().subject("alice").scope("orders:read orders:write")).token;
        let mut group = c.benchmark_group(algorithm.name());

        // The floor: the signature check alone, key prepared.
        let jwks = serde_json::to_vec(&server.jwks()).unwrap();
        let set = KeySet::from_jwks(&jwks, &KeyRules::new(AlgorithmSet::ASYMMETRIC), 100, &AwsLc).unwrap();
        let parsed = AccessToken::new(&token, DEFAULT_MAX_TOKEN_LEN).unwrap();
        let Ok(Shape::Jwt(jwt)) = parsed.shape() else { panic!("the testkit issues JWTs") };
        let Selection::Found(key) = set.select(jwt.header().kid(), jwt.header().algorithm().unwrap()) else {
            panic!("the testkit publishes its keys")
        };
        group.bench_function("raw signature check, prepared key", |b| {
            b.iter(|| assert!(key.check(black_box(jwt.signing_input(&parsed)), black_box(jwt.signature()))));
        });

        let jwk: Jwk = serde_json::from_value(server.jwks()["keys"][0].clone()).unwrap();
        let decoding = DecodingKey::from_jwk(&jwk).unwrap();
        let mut validation = Validation::new(algorithm.name().parse().unwrap());
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[server.issuer()]);
        validation.validate_nbf = true;
        group.bench_function("jsonwebtoken::decode", |b| {
            b.iter(|| decode::<serde_json::Value>(black_box(&token), &decoding, &validation).unwrap());
        });

        for (strategy, temperature, cached) in [
            ("jwks", "cold", false),
            ("jwks", "warm", true),
            ("introspection", "warm", true),
            ("hybrid", "warm", true),
        ] {
            let verifier = config(&server, strategy, cached);
            runtime.block_on(verifier.verify(&token)).expect("a good token");
            group.bench_function(BenchmarkId::new(strategy, temperature), |b| {
                b.to_async(&runtime).iter(|| async { verifier.verify(black_box(&token)).await.unwrap() });
            });
        }
        // Over loopback: what a call costs besides the way to a real server.
        for strategy in ["introspection", "hybrid"] {
            let verifier = config(&server, strategy, false);
            runtime.block_on(verifier.verify(&token)).expect("a good token");
            group.bench_function(BenchmarkId::new(strategy, "cold, one call over loopback"), |b| {
                b.to_async(&runtime).iter(|| async { verifier.verify(black_box(&token)).await.unwrap() });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = strategies
}
criterion_main!(benches);
