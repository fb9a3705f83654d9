//! The forged tokens and the published keys before the readers that they are made for: what the server issues is
//! accepted by the pure path of `verifier-core`, and what the catalogue forges is refused for the reason it is forged for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;

use verifier_core::algorithm::{Algorithm as CoreAlgorithm, AlgorithmSet};
use verifier_core::error::Rejection;
use verifier_core::jwk::KeyRules;
use verifier_core::jwt::{UnverifiedJwt, ValidationError};
use verifier_core::key::VerificationKey;
use verifier_core::policy::{IssuerRules, ValidationPolicy};
use verifier_core::profile::TokenProfile;
use verifier_core::signature::AwsLc;
use verifier_core::token::AccessToken;
use verifier_testkit::forge::catalogue::{self, Forged};
use verifier_testkit::{
    Algorithm, AuthorizationServer, DEFAULT_AUDIENCE, Profile, SigningKey, TokenForge, TokenRequest,
};

/// The pure path, with the one key of this algorithm.
fn verdict(
    server: &AuthorizationServer,
    key: &SigningKey,
    profile: TokenProfile,
    token: &str,
) -> Result<(), Rejection> {
    let algorithm = CoreAlgorithm::from_name(key.algorithm().name()).unwrap();
    let rules = KeyRules::new(AlgorithmSet::of(&[algorithm]));
    let pem = key.public_pem();
    let held = VerificationKey::from_pem(pem.as_bytes(), algorithm, Some(key.kid()), &rules, &AwsLc).unwrap();
    let issuer = IssuerRules::new(server.issuer(), profile).unwrap();
    let policy = ValidationPolicy::for_audience(DEFAULT_AUDIENCE).build().unwrap();

    let token = AccessToken::new(token, 16 * 1024)?;
    let jwt = UnverifiedJwt::parse(&token)?;
    jwt.algorithm(rules.algorithms)?;
    if jwt.header().kid() != Some(key.kid()) {
        return Err(Rejection::UnknownKey);
    }
    let authentic = jwt.check_signature(&Arc::new(held))?;
    match authentic.validate(&issuer, &policy, server.clock().now().wall) {
        Ok(_) => Ok(()),
        Err(ValidationError::Rejected(rejection)) => Err(rejection),
        Err(_) => Err(Rejection::Expired),
    }
}

#[test]
fn what_the_server_issues_is_accepted() {
    let server = AuthorizationServer::start().unwrap();
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_hmac()) {
        let issued = server.issue(TokenRequest::new().subject("alice").algorithm(algorithm));
        let key = server.key(issued.kid.as_deref().unwrap()).unwrap();
        assert_eq!(verdict(&server, &key, TokenProfile::at_jwt(), &issued.token), Ok(()), "{algorithm}");
    }
    for (profile, theirs) in [
        (Profile::AtJwt, TokenProfile::at_jwt()),
        (Profile::Generic, TokenProfile::generic()),
        (Profile::Keycloak, TokenProfile::keycloak()),
        (Profile::Hydra, TokenProfile::hydra()),
    ] {
        for request in [TokenRequest::new(), TokenRequest::new().subject("alice").scope("read").role("admin")]
        {
            let issued = server.issue(request.profile(profile));
            let verdict = verdict(&server, &server.signing_key(), theirs.clone(), &issued.token);
            assert_eq!(verdict, Ok(()), "{profile:?}");
        }
    }
}

#[test]
fn what_the_catalogue_forges_is_refused_for_its_reason() {
    use Rejection as R;
    let server = AuthorizationServer::start().unwrap();
    for algorithm in [Algorithm::ES256, Algorithm::RS256, Algorithm::Ed25519] {
        let kid = server.add_key(algorithm);
        let key = server.key(&kid).unwrap();
        let good: TokenForge = server.forge(TokenRequest::new().subject("alice").signed_by(key.clone()));
        let judge = |token: &str| verdict(&server, &key, TokenProfile::at_jwt(), token);
        assert_eq!(judge(&good.sign(&key)), Ok(()));

        let groups: [(Vec<Forged>, &[Rejection]); 12] = [
            (catalogue::unsigned(&good, &key), &[R::AlgorithmNotAllowed, R::MalformedToken]),
            (catalogue::algorithm_misnamed(&good, &key), &[R::AlgorithmNotAllowed, R::MalformedHeader]),
            (catalogue::public_key_as_secret(&good, &key), &[R::AlgorithmNotAllowed]),
            (
                catalogue::own_key_in_header(&good, "http://127.0.0.1:1/"),
                &[R::BadSignature, R::UnknownKey, R::AlgorithmNotAllowed],
            ),
            (catalogue::odd_kids(&good, &key), &[R::UnknownKey, R::MalformedHeader]),
            (catalogue::critical(&good, &key), &[R::MalformedHeader]),
            (catalogue::duplicate_members(&good, &key), &[R::MalformedHeader, R::MalformedClaims]),
            (
                catalogue::not_an_object(&good, &key),
                &[R::MalformedHeader, R::MalformedClaims, R::NotAJwt, R::MalformedToken],
            ),
            (catalogue::odd_dates(&good, &key), &[R::MalformedClaims]),
            (catalogue::spellings(&good, &key), &[R::NotCanonical, R::MalformedToken, R::NotAJwt]),
            (catalogue::shapes(&good, &key), &[R::NotAJwt, R::MalformedToken, R::EncryptedToken]),
            (catalogue::signatures(&good, &key), &[R::BadSignature, R::MalformedToken]),
        ];
        for (group, reasons) in groups {
            for forged in group {
                let verdict = judge(&forged.token);
                assert!(
                    verdict.is_err_and(|reason| reasons.contains(&reason)),
                    "{algorithm}, {}: {verdict:?}",
                    forged.name
                );
            }
        }
        let flood: Vec<String> = catalogue::unknown_kids(&good).take(50).collect();
        assert!(flood.iter().all(|token| judge(token) == Err(R::UnknownKey)));
    }
}
