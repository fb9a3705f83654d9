//! The gate: any text is a JWT of strict form, an opaque token, or refused; never a panic, and what passed as a JWT
//! is canonical.
#![no_main]

use libfuzzer_sys::fuzz_target;
use verifier_core::jwt::UnverifiedJwt;
use verifier_core::token::{AccessToken, MAX_TOKEN_LEN, Shape};

fuzz_target!(|text: &str| {
    let Ok(token) = AccessToken::new(text, MAX_TOKEN_LEN) else { return };
    match token.shape() {
        Ok(Shape::Jwt(jwt)) => {
            // Canonical: nothing but the base64url alphabet and two dots.
            assert_eq!(text.bytes().filter(|byte| *byte == b'.').count(), 2);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
            assert!(text.as_bytes().starts_with(jwt.signing_input(&token)));
            assert!(!jwt.signature().is_empty());
            assert_ne!(jwt.header().algorithm_name().trim().to_ascii_lowercase(), "none");
            if let Ok(unverified) = UnverifiedJwt::parse(&token) {
                let _ = unverified.untrusted_issuer();
            }
        }
        Ok(Shape::Opaque) => assert!(UnverifiedJwt::parse(&token).is_err()),
        Err(rejection) => assert_eq!(rejection.status(), 401),
    }
    assert_eq!(format!("{token:?}"), "AccessToken([redacted])");
});
