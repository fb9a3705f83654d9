//! Signed answers (RFC 9701) over loopback: the right one, and everything that may come in its place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use support::{ASKED, Desk, our_auth, rejected, secs, transport, unavailable};
use verifier_core::algorithm::{Algorithm as Known, AlgorithmSet};
use verifier_core::error::{Rejection, Unavailable, UnavailableReason as U, VerifyError};
use verifier_core::freshness::Freshness;
use verifier_core::health::HealthNote;
use verifier_core::jwk::KeyRules;
use verifier_core::key::{KeySet, Selection};
use verifier_core::signature::AwsLc;
use verifier_core::time::{Clock as _, Instant, Now};
use verifier_core::token::AccessToken;
use verifier_core::trusted_keys::{Lookup, TrustedKeys};
use verifier_core::upstream::BreakerHealth;
use verifier_core::verifier::Asked;
use verifier_introspect::{BuildError, ClientAuth, IntrospectionConfig, SignedAnswers};
use verifier_testkit::clients::RESOURCE_SERVER;
use verifier_testkit::server::AnswerFlaw as Flaw;
use verifier_testkit::{Algorithm, Answer, AuthorizationServer, Builder, Fault, TokenRequest};

/// The keys that a server publishes, as a test has read them; or why there are none.
#[derive(Debug)]
struct Published {
    held: Mutex<Result<KeySet, Unavailable>>,
    asked: AtomicUsize,
}

impl Published {
    fn none() -> Arc<Self> {
        Arc::new(Self { held: Mutex::new(Err(U::KeysNotLoaded.into())), asked: AtomicUsize::new(0) })
    }

    fn read(&self, server: &AuthorizationServer) {
        let rules = KeyRules::new(AlgorithmSet::ASYMMETRIC);
        let keys = KeySet::from_jwks(server.jwks().to_string().as_bytes(), &rules, 10, &AwsLc).unwrap();
        *self.held.lock().unwrap() = Ok(keys);
    }

    fn lose(&self, why: U) {
        *self.held.lock().unwrap() = Err(why.into());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl TrustedKeys for Published {
    fn key<'a>(
        &'a self,
        kid: Option<&str>,
        algorithm: Known,
        _: Now,
        deadline: Option<Instant>,
    ) -> Asked<'a, Lookup> {
        assert!(deadline.is_some(), "the call's time bounds the wait for its key");
        self.asked.fetch_add(1, Ordering::Relaxed);
        Asked::Ready(match &*self.held.lock().unwrap() {
            Err(why) => Lookup::Unavailable(*why),
            Ok(keys) => match keys.select(kid, algorithm) {
                Selection::Found(key) => Lookup::Found(Arc::clone(key)),
                Selection::Unknown => Lookup::Rejected(Rejection::UnknownKey),
                Selection::Mismatch => Lookup::Rejected(Rejection::KeyMismatch),
                Selection::Ambiguous => Lookup::Rejected(Rejection::AmbiguousKey),
            },
        })
    }
}

/// A desk that demands signed answers of ES256 from a server that signs.
fn desk() -> (Desk, Arc<Published>) {
    desk_of(|server| server.signs_answers(Algorithm::ES256), our_auth(), |_| {})
}

fn desk_of(
    server: impl FnOnce(Builder) -> Builder,
    auth: ClientAuth,
    change: impl FnOnce(&mut SignedAnswers),
) -> (Desk, Arc<Published>) {
    let keys = Published::none();
    let mut signed = SignedAnswers::new(Arc::clone(&keys) as _);
    signed.algorithm = Known::Es256;
    signed.leeway = secs(5);
    change(&mut signed);
    let settings = |config: &mut IntrospectionConfig| {
        config.signed_answers = Some(signed);
        config.upstream.retries = 0; // nobody moves the clock on while a call rests
        config.limits.body = 1024 * 1024;
    };
    let desk = Desk::of(server, auth, settings, |_| Arc::new(transport()));
    keys.read(&desk.server);
    (desk, keys)
}

#[tokio::test]
async fn a_signed_answer_is_an_answer() {
    let (desk, _) = desk();
    let issued = desk.issue();
    let verified = desk.verify(&issued.token).await.unwrap();
    assert_eq!(verified.subject(), Some("alice"));
    assert!(verified.has_scope("read"));
    assert_eq!(verified.revocation_age(), Some(secs(0)));
    let request = desk.server.last_introspection().unwrap();
    assert_eq!(request.header("accept"), Some("application/token-introspection+jwt"));
    // It is kept and dated as any other,
    desk.clock.advance(secs(40));
    assert_eq!(desk.held(&issued.token).unwrap().revocation_age(), Some(secs(40)));
    // and an inactive one is signed as well.
    assert_eq!(desk.verify("unknown").await.err(), Some(rejected(Rejection::Inactive)));
    assert!(desk.server.revoke(&issued.token));
    assert_eq!(
        desk.verify_within(&issued.token, Freshness::LIVE).await.err(),
        Some(rejected(Rejection::Inactive))
    );
}

#[tokio::test]
async fn the_registered_algorithm_is_rs256_unless_said_otherwise() {
    let (desk, keys) = desk_of(
        |server| server.algorithm(Algorithm::RS256).signs_answers(Algorithm::RS256),
        our_auth(),
        |signed| signed.algorithm = SignedAnswers::new(Arc::clone(&signed.keys)).algorithm,
    );
    let issued = desk.issue();
    assert!(desk.verify(&issued.token).await.is_ok());
    desk.server.spoil_signed_answers(Some(Flaw::Algorithm(Algorithm::PS256)));
    desk.server.add_key(Algorithm::PS256);
    keys.read(&desk.server);
    assert_eq!(desk.code(&desk.issue().token).await, "answer_not_trusted");
}

#[tokio::test]
async fn spellings_that_mean_the_same_pass() {
    let (desk, _) = desk();
    for flaw in [
        Flaw::MediaType("Application/Token-Introspection+JWT; charset=utf-8".into()),
        Flaw::Type(Some("application/token-introspection+jwt".into())),
        Flaw::Type(Some("Token-Introspection+JWT".into())),
        Flaw::Claims(json!({"aud": ["https://other.example", RESOURCE_SERVER]})),
        Flaw::Claims(json!({"exp": desk.clock.unix_seconds() + 60, "nbf": desk.clock.unix_seconds()})),
        Flaw::Claims(json!({"jti": "one", "sub": "nobody", "active": false})),
        Flaw::IssuedAgo(secs(5)),
        Flaw::IssuedIn(secs(5)),
    ] {
        let shown = format!("{flaw:?}");
        desk.server.spoil_signed_answers(Some(flaw));
        let verified = desk.verify(&desk.issue().token).await.unwrap_or_else(|why| panic!("{shown}: {why}"));
        assert_eq!(verified.subject(), Some("alice"), "{shown}");
    }
}

/// H09, H10, R16: what comes in place of a signed answer, and what is said of it.
fn wrong_ones(desk: &Desk) -> Vec<(Flaw, U)> {
    let now = desk.clock.unix_seconds();
    let claims = |value| Flaw::Claims(value);
    vec![
        (Flaw::Plain, U::AnswerNotSigned),
        (Flaw::PlainWithJwt, U::AnswerNotSigned),
        (Flaw::MediaType("application/json".into()), U::AnswerNotSigned),
        (Flaw::MediaType("application/jwt".into()), U::UnreadableAnswer),
        (Flaw::MediaType("text/html".into()), U::UnreadableAnswer),
        (Flaw::Encrypted, U::AnswerEncrypted),
        (Flaw::Type(Some("JWT".into())), U::AnswerNotTrusted),
        (Flaw::Type(Some("at+jwt".into())), U::AnswerNotTrusted),
        (Flaw::Type(Some("token-introspection".into())), U::AnswerNotTrusted),
        (Flaw::Type(Some(String::new())), U::AnswerNotTrusted),
        (Flaw::Type(None), U::AnswerNotTrusted),
        (Flaw::Unsigned, U::AnswerNotTrusted),
        (Flaw::BadSignature, U::AnswerNotTrusted),
        (Flaw::ForeignKey, U::AnswerNotTrusted),
        (Flaw::UnknownKey, U::AnswerNotTrusted),
        (Flaw::Algorithm(Algorithm::ES384), U::AnswerNotTrusted),
        (Flaw::Algorithm(Algorithm::HS256), U::AnswerNotTrusted),
        (claims(json!({"iss": "https://evil.example"})), U::AnswerNotTrusted),
        (claims(json!({"iss": format!("{}/", desk.server.issuer())})), U::AnswerNotTrusted),
        (claims(json!({"iss": [desk.server.issuer()]})), U::AnswerNotTrusted),
        (claims(json!({"iss": null})), U::AnswerNotTrusted),
        (claims(json!({"aud": "app"})), U::AnswerNotTrusted),
        (claims(json!({"aud": ["app", format!("{RESOURCE_SERVER}/")]})), U::AnswerNotTrusted),
        (claims(json!({"aud": []})), U::AnswerNotTrusted),
        (claims(json!({"aud": {"api": true}})), U::AnswerNotTrusted),
        (claims(json!({"aud": null})), U::AnswerNotTrusted),
        (claims(json!({"iat": null})), U::AnswerNotTrusted),
        (claims(json!({"iat": now.to_string()})), U::AnswerNotTrusted),
        (claims(json!({"exp": "never"})), U::AnswerNotTrusted),
        (claims(json!({"nbf": now + 6})), U::AnswerNotTrusted),
        (Flaw::IssuedIn(secs(6)), U::AnswerNotTrusted),
        (Flaw::IssuedAgo(secs(6)), U::TooStale),
        (Flaw::IssuedAgo(secs(86_400)), U::TooStale),
        (claims(json!({"exp": now - 5})), U::TooStale),
        (Flaw::AnswerOutside, U::UnreadableAnswer),
        (Flaw::ActiveOutside, U::UnreadableAnswer),
        (claims(json!({"active": true, "token_introspection": null})), U::UnreadableAnswer),
        (claims(json!({"active": true, "token_introspection": true})), U::UnreadableAnswer),
        (claims(json!({"token_introspection": [true]})), U::UnreadableAnswer),
        (claims(json!({"token_introspection": [{"active": true}]})), U::UnreadableAnswer),
        (claims(json!({"token_introspection": {"active": "true"}})), U::UnreadableAnswer),
        (claims(json!({"token_introspection": {"active": 1}})), U::UnreadableAnswer),
        (Flaw::Text(String::new()), U::UnreadableAnswer),
        (Flaw::Text(r#"{"active":true}"#.into()), U::UnreadableAnswer),
        (Flaw::Text("opaque".into()), U::UnreadableAnswer),
        (Flaw::Text("e30.e30.AAAA".into()), U::UnreadableAnswer),
    ]
}

#[tokio::test]
async fn all_else_is_no_answer_and_not_kept() {
    let (desk, keys) = desk();
    desk.server.add_key(Algorithm::ES384); // H10: trusted for other things
    keys.read(&desk.server);
    for (n, (flaw, expected)) in wrong_ones(&desk).into_iter().enumerate() {
        let shown = format!("{flaw:?}");
        for token in [desk.issue().token, format!("unknown-{n}")] {
            desk.server.spoil_signed_answers(Some(flaw.clone()));
            let before = desk.calls();
            assert_eq!(desk.verify(&token).await.err(), Some(unavailable(expected)), "{shown}");
            assert_eq!(desk.calls(), before + 1, "{shown}: once, with no retry");
            assert_eq!(desk.verify(&token).await.err(), Some(unavailable(expected)), "{shown}");
            assert_eq!(desk.calls(), before + 2, "{shown}: not kept");
            desk.server.spoil_signed_answers(None);
            let right = desk.verify(&token).await;
            assert!(matches!(right, Ok(_) | Err(VerifyError::Rejected(Rejection::Inactive))), "{shown}");
        }
    }
}

/// As in a plain answer: the server has answered, and what it says of one token can't be read.
#[tokio::test]
async fn a_malformed_member_of_a_signed_answer_is_held_against_its_token_alone() {
    let (desk, _) = desk();
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    for members in [json!({"exp": "soon"}), json!({"ext": deep}), json!({"ext": "x".repeat(80_000)})] {
        let mut answer = members;
        answer["active"] = json!(true);
        desk.server.spoil_signed_answers(Some(Flaw::Claims(json!({ "token_introspection": answer }))));
        let token = desk.issue().token;
        let before = desk.calls();
        for _ in 0..2 {
            assert_eq!(desk.verify(&token).await.err(), Some(unavailable(U::UnreadableAnswer)));
            assert_eq!(desk.calls(), before + 1, "remembered for a moment");
        }
        desk.server.spoil_signed_answers(None);
        assert!(desk.verify(&desk.issue().token).await.is_ok());
        let upstream = desk.introspector.health(desk.clock.now()).upstream.unwrap();
        assert_eq!((upstream.breaker, upstream.consecutive_failures), (BreakerHealth::Closed, 0));
    }
}

#[tokio::test]
async fn what_is_wrong_by_its_header_costs_no_look_for_a_key() {
    let (desk, keys) = desk();
    for flaw in [
        Flaw::Plain,
        Flaw::Encrypted,
        Flaw::Unsigned,
        Flaw::Type(Some("JWT".into())),
        Flaw::Algorithm(Algorithm::ES384),
        Flaw::Algorithm(Algorithm::HS256),
    ] {
        let shown = format!("{flaw:?}");
        desk.server.spoil_signed_answers(Some(flaw));
        assert!(desk.verify(&desk.issue().token).await.is_err(), "{shown}");
        assert_eq!(keys.asked(), 0, "{shown}");
    }
    desk.server.spoil_signed_answers(None);
    assert!(desk.verify(&desk.issue().token).await.is_ok());
    assert_eq!(keys.asked(), 1);
}

#[tokio::test]
async fn answers_that_cannot_be_trusted_are_no_outage() {
    // A server that answers for some tokens from a cache, or for some in plain, answers.
    for flaw in [Flaw::Plain, Flaw::Encrypted, Flaw::BadSignature, Flaw::IssuedAgo(secs(60))] {
        let (desk, _) = desk();
        desk.server.spoil_signed_answers(Some(flaw));
        for n in 0..50 {
            assert!(desk.verify(&format!("junk-{n}")).await.is_err_and(|why| why.status() == 503));
        }
        desk.server.spoil_signed_answers(None);
        assert!(desk.verify(&desk.issue().token).await.is_ok());
        let health = desk.introspector.health(desk.clock.now());
        assert_eq!(health.upstream.unwrap().breaker, BreakerHealth::Closed);
        assert_eq!((health.ready, health.notes), (Ok(()), vec![]));
    }
}

#[tokio::test]
async fn an_old_answer_never_passes_for_a_new_one() {
    let (desk, _) = desk();
    let issued = desk.issue();
    assert!(desk.verify(&issued.token).await.is_ok());
    // Somebody in between has recorded the answer, the token is revoked, and the recording is played.
    let recorded = recorded(&desk, &issued.token).await;
    assert!(desk.server.revoke(&issued.token));
    desk.server.override_answer(ASKED, recorded);
    desk.clock.advance(secs(6));
    for _ in 0..2 {
        let verdict = desk.verify_within(&issued.token, Freshness::LIVE).await;
        assert_eq!(verdict.err(), Some(unavailable(U::TooStale)));
    }
    // What was known before it is as old as it was.
    assert_eq!(desk.held(&issued.token).unwrap().revocation_age(), Some(secs(6)));
    desk.server.clear_override(ASKED);
    let verdict = desk.verify_within(&issued.token, Freshness::LIVE).await;
    assert_eq!(verdict.err(), Some(rejected(Rejection::Inactive)));
}

/// The server's signed answer about a token, as somebody between sees it.
async fn recorded(desk: &Desk, token: &str) -> Answer {
    let form = format!("token={token}");
    let request = http::Request::post(desk.server.introspection_endpoint())
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/token-introspection+jwt")
        .header("authorization", "Basic YXBpOmFwaS1zZWNyZXQ=")
        .body(bytes::Bytes::from(form))
        .unwrap();
    let limits = verifier_core::transport::Limits { connect: secs(20), total: secs(20), body: 65_536 };
    let response =
        verifier_core::transport::HttpTransport::send(&transport(), request, limits).await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "application/token-introspection+jwt");
    Answer::new(200, response.into_body()).header("content-type", &kind)
}

#[tokio::test]
async fn a_late_background_question_leaves_what_is_known() {
    let (desk, _) = desk();
    let issued = desk.issue();
    assert!(desk.verify(&issued.token).await.is_ok());
    desk.clock.advance(secs(50));
    desk.server.spoil_signed_answers(Some(Flaw::IssuedAgo(secs(50))));
    assert!(desk.held(&issued.token).is_ok(), "and is asked about ahead of time");
    desk.landed().await;
    assert_eq!(desk.calls(), 2);
    assert_eq!(desk.held(&issued.token).unwrap().revocation_age(), Some(secs(50)), "not dated as new");
    desk.clock.advance(secs(11));
    assert_eq!(desk.verify(&issued.token).await.err(), Some(unavailable(U::TooStale)));
}

#[tokio::test]
async fn errors_are_plain_and_read_as_ever() {
    let (desk, _) = desk();
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_client"}"#, "credentials_refused"),
        (400, r#"{"error":"unsupported_token_type"}"#, "refused_by_server"),
        (401, "", "credentials_refused"),
        (403, "<html></html>", "credentials_refused"),
        (404, "", "misconfigured"),
        (406, "", "refused_by_server"),
        (500, r#"{"active":true}"#, "server_error"),
        (503, "", "server_error"),
    ] {
        desk.server.faults().next(ASKED, 9, Fault::Status(status, body.into()));
        assert_eq!(desk.code(&desk.issue().token).await, expected, "{status} {body}");
        desk.server.faults().clear(ASKED);
    }
}

#[tokio::test]
async fn without_the_issuers_keys_nothing_is_said_and_nothing_held_against_the_endpoint() {
    let (desk, keys) = desk();
    let issued = desk.issue();
    for (why, expected) in [
        (U::KeysNotLoaded, U::KeysNotLoaded),
        (U::KeysStale, U::KeysStale),
        (U::KeysUnconfirmed, U::KeysUnconfirmed),
        (U::NoRuntime, U::NoRuntime),
        // Of the address of the keys, not of this endpoint.
        (U::CredentialsRefused, U::KeysNotLoaded),
        (U::RefusedByServer, U::KeysNotLoaded),
        (U::Redirected, U::KeysNotLoaded),
        (U::ServerError, U::KeysNotLoaded),
        (U::DeadlineExceeded, U::KeysUnconfirmed),
    ] {
        keys.lose(why);
        for _ in 0..10 {
            assert_eq!(desk.verify(&issued.token).await.err(), Some(unavailable(expected)), "{why}");
        }
        let health = desk.introspector.health(desk.clock.now());
        assert_eq!(health.upstream.unwrap().breaker, BreakerHealth::Closed, "{why}");
        assert_eq!(health.notes, Vec::<HealthNote>::new(), "{why}");
    }
    keys.read(&desk.server);
    assert!(desk.verify(&issued.token).await.is_ok());
}

#[tokio::test]
async fn an_answer_kept_unsigned_does_not_serve_who_demands_a_signature() {
    let plain = Desk::of(
        |server| server.signs_answers(Algorithm::ES256),
        our_auth(),
        |_| {},
        |_| Arc::new(transport()),
    );
    let issued = plain.issue();
    assert!(plain.verify(&issued.token).await.is_ok());
    assert_eq!(plain.server.last_introspection().unwrap().header("accept"), Some("application/json"));
    let keys = Published::none();
    keys.read(&plain.server);
    let successor = |change: &dyn Fn(&mut SignedAnswers)| {
        let mut signed = SignedAnswers::new(Arc::clone(&keys) as _);
        signed.algorithm = Known::Es256;
        change(&mut signed);
        let mut config = IntrospectionConfig::new(our_auth());
        config.signed_answers = Some(signed);
        let introspector =
            support::introspector(&plain, config).answers(Arc::clone(plain.introspector.answers()));
        verifier_introspect::IntrospectionVerifier::new(introspector.build().unwrap(), support::policy())
    };
    let token = AccessToken::new(&issued.token, 16_384).unwrap();
    let request = verifier_core::verifier::VerifyRequest::new(&token, plain.clock.now());
    let ask = async |verifier: &verifier_introspect::IntrospectionVerifier| {
        let before = plain.calls();
        verifier_core::verifier::TokenVerifier::verify(verifier, &request)
            .await
            .map(drop)
            .map_err(VerifyError::code)
            .err();
        plain.calls() - before
    };
    let signed = successor(&|_| {});
    assert_eq!(ask(&signed).await, 1, "asked anew");
    assert_eq!(ask(&signed).await, 0, "and kept");
    assert_eq!(ask(&successor(&|signed| signed.audience = Some("other".into()))).await, 1);
    assert_eq!(ask(&successor(&|signed| signed.algorithm = Known::Es384)).await, 1);
    assert_eq!(ask(&signed).await, 0);
}

#[tokio::test]
async fn settings_that_cannot_hold_are_refused() {
    let clock = verifier_testkit::ManualClock::new();
    let env = verifier_testkit::TestRuntime::current(clock).unwrap().env();
    let build = |auth: ClientAuth, change: &dyn Fn(&mut SignedAnswers)| {
        let mut signed = SignedAnswers::new(Published::none() as _);
        change(&mut signed);
        let mut config = IntrospectionConfig::new(auth);
        config.signed_answers = Some(signed);
        support::introspector_of("https://idp.example", "https://idp.example/introspect", config, &env)
            .build()
            .err()
    };
    assert_eq!(build(our_auth(), &|_| {}), None);
    assert_eq!(build(ClientAuth::None, &|_| {}), Some(BuildError::NoAnswerAudience));
    assert_eq!(
        build(our_auth(), &|signed| signed.audience = Some(String::new())),
        Some(BuildError::NoAnswerAudience)
    );
    assert_eq!(build(ClientAuth::None, &|signed| signed.audience = Some("us".into())), None);
    let symmetric = build(our_auth(), &|signed| signed.algorithm = Known::Hs256).unwrap();
    assert_eq!(symmetric, BuildError::SymmetricAnswers { algorithm: Known::Hs256 });
    assert!(symmetric.to_string().starts_with("signed_answers.algorithm: HS256"), "{symmetric}");
    let leeway = Duration::from_secs(301);
    assert_eq!(
        build(our_auth(), &|signed| signed.leeway = leeway),
        Some(BuildError::AnswerLeewayTooLong { leeway })
    );
}

#[tokio::test]
async fn a_token_that_is_a_jwt_is_asked_about_just_the_same() {
    let (desk, _) = desk();
    let jwt = desk.server.issue(TokenRequest::new().subject("bob").jwt());
    assert_eq!(desk.verify(&jwt.token).await.unwrap().subject(), Some("bob"));
}

/// As in a plain answer: what a token's client, or its user, can write into it doesn't make an outage.
#[tokio::test]
async fn an_answer_that_is_too_much_is_held_against_its_token_alone() {
    let deep = (0..20).fold(json!(1), |inner, _| json!([inner]));
    let many: Vec<u32> = (0..3_000).collect();
    let long = "x".repeat(50_000);
    let longer = "x".repeat(200_000);
    for extra in [deep, json!(many), json!(long), json!(longer)] {
        let (desk, _) = desk();
        let answer = json!({"token_introspection": {"active": true, "ext": extra}});
        let size = answer.to_string().len();
        desk.server.spoil_signed_answers(Some(Flaw::Claims(answer)));
        for n in 0..20 {
            let token = format!("odd-{n}");
            for _ in 0..2 {
                assert_eq!(desk.verify(&token).await.err(), Some(unavailable(U::UnreadableAnswer)), "{size}");
            }
            assert_eq!(desk.calls(), n + 1, "{size}: remembered for a moment");
        }
        desk.server.spoil_signed_answers(None);
        assert!(desk.verify(&desk.issue().token).await.is_ok(), "{size}");
    }
}
