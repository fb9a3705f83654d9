#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::claims::AnswerError;
use crate::evidence::{StatusSource, Strategy};
use crate::fixtures::{AUDIENCE, Claims, answered, generic};
use crate::time::WallTime;

fn arrival() -> Now {
    Now::new(WallTime::from_unix_seconds(1_800_000_000), Instant::from_nanos(1_000_000_000_000))
}

const SECOND: Duration = Duration::from_secs(1);

fn judged(revocation: RevocationBasis) -> Judged {
    let evidence = Evidence { revocation, ..Evidence::new(Strategy::Custom) };
    Judged::new(Arc::new(generic(&Claims::new()).unwrap()), evidence)
}

fn finish(
    judged: Judged,
    freshness: Freshness,
    presentation: Presentation,
) -> Result<VerifiedToken, VerifyError> {
    let token = AccessToken::new("t", 10).unwrap();
    let request =
        VerifyRequest::new(&token, arrival()).with_freshness(freshness).with_presentation(presentation);
    judged.finish(&request)
}

fn bound(cnf: &str) -> Arc<Facts> {
    Arc::new(generic(&Claims::new().with("cnf", cnf)).unwrap())
}

fn answer(more: &str) -> Result<Arc<Facts>, AnswerError> {
    answered(&format!(r#"{{"active":true,"aud":{AUDIENCE:?},"client_id":"app"{more}}}"#)).map(Arc::new)
}

fn unchecked(facts: Arc<Facts>) -> Judged {
    Judged::new(facts, Evidence::new(Strategy::Custom))
}

fn thumbprint(byte: u8) -> String {
    URL_SAFE_NO_PAD.encode([byte; 32])
}

fn certificate(byte: u8) -> Presentation {
    Presentation::BEARER.with_certificate([byte; 32])
}

fn verdict(judged: Judged, presentation: Presentation) -> Option<VerifyError> {
    finish(judged, Freshness::CONFIGURED, presentation).err()
}

fn rejected(rejection: Rejection) -> Option<VerifyError> {
    Some(VerifyError::Rejected(rejection))
}

#[test]
fn every_demand_is_compared_with_every_kind_of_evidence() {
    let source = StatusSource::Introspection;
    let active = |age: Duration| RevocationBasis::Active { as_of: arrival().minus(age), source };
    let stale = |age: Duration| RevocationBasis::Stale { as_of: arrival().minus(age), source };
    let later = RevocationBasis::Active { as_of: arrival().plus(SECOND), source };
    let nanosecond = Duration::from_nanos(1);
    let demands = [
        Freshness::CONFIGURED,
        Freshness::LIVE,
        Freshness::at_most(30 * SECOND),
        Freshness::at_most(Duration::MAX),
    ];
    let none = Some("no_revocation_source");
    let old = Some("too_stale");
    let table = [
        (RevocationBasis::NotChecked, [None, none, none, none]),
        (RevocationBasis::Exempt, [None, none, none, none]),
        (active(Duration::ZERO), [None, None, None, None]),
        (later, [None, None, None, None]),
        (active(nanosecond), [None, old, None, None]),
        (active(30 * SECOND), [None, old, None, None]),
        (active(30 * SECOND + nanosecond), [None, old, old, None]),
        (active(3_600 * SECOND), [None, old, old, None]),
        (stale(Duration::ZERO), [None, None, None, None]),
        (stale(30 * SECOND), [None, old, None, None]),
        (stale(31 * SECOND), [None, old, old, None]),
    ];
    for (basis, expected) in table {
        for (demand, expected) in demands.into_iter().zip(expected) {
            match finish(judged(basis), demand, Presentation::BEARER) {
                Ok(token) => {
                    assert_eq!(expected, None, "{demand:?} {basis:?}");
                    assert_eq!(token.evidence().revocation, basis);
                }
                Err(error) => assert_eq!(Some(error.code()), expected, "{demand:?} {basis:?}"),
            }
        }
    }
}

#[test]
fn a_sleep_or_a_clock_set_back_makes_no_status_fresh() {
    let source = StatusSource::Custom;
    let (wall, monotonic) = (arrival().wall, arrival().monotonic);
    for as_of in [
        // The machine slept for an hour since.
        Now::new(wall.minus(3_600 * SECOND), monotonic.minus(SECOND)),
        // The clock was set back by an hour since.
        Now::new(wall.plus(3_600 * SECOND), monotonic.minus(60 * SECOND)),
    ] {
        let verdict = finish(
            judged(RevocationBasis::Active { as_of, source }),
            Freshness::at_most(30 * SECOND),
            Presentation::BEARER,
        );
        assert_eq!(verdict.err().map(|error| error.code()), Some("too_stale"), "{as_of:?}");
    }
}

#[test]
fn the_age_is_told_as_of_arrival() {
    let source = StatusSource::Custom;
    let basis = RevocationBasis::Active { as_of: arrival().minus(7 * SECOND), source };
    let token = finish(judged(basis), Freshness::CONFIGURED, Presentation::BEARER).unwrap();
    assert_eq!(token.revocation_age(), Some(7 * SECOND));
    let token =
        finish(judged(RevocationBasis::NotChecked), Freshness::CONFIGURED, Presentation::BEARER).unwrap();
    assert_eq!(token.revocation_age(), None);
}

// M01, M02
#[test]
fn a_certificate_matches_is_another_or_is_absent() {
    let token = || unchecked(bound(&format!(r#"{{"x5t#S256":"{}"}}"#, thumbprint(7))));
    assert_eq!(verdict(token(), certificate(7)), None);
    assert_eq!(verdict(token(), certificate(8)), rejected(Rejection::SenderMismatch));
    assert_eq!(verdict(token(), Presentation::BEARER), rejected(Rejection::SenderUnproven));
    // A certificate that nobody asked for is no fault.
    assert_eq!(verdict(judged(RevocationBasis::NotChecked), certificate(7)), None);
}

// D13, L12
#[test]
fn what_can_not_be_checked_is_refused() {
    let good = thumbprint(7);
    for cnf in [
        "{}".to_owned(),
        format!(r#"{{"jkt":"{good}"}}"#),
        format!(r#"{{"jkt":"{good}","x5t#S256":"{good}"}}"#),
        format!(r#"{{"x5t#S256":"{good}","other":1}}"#),
        format!(r#"{{"x5t#S256":"{good}="}}"#),
        format!(r#"{{"x5t#s256":"{good}"}}"#),
        r#"{"jwk":{}}"#.into(),
    ] {
        for presented in [Presentation::BEARER, certificate(7), certificate(7).by(Scheme::Dpop)] {
            assert_eq!(
                verdict(unchecked(bound(&cnf)), presented),
                rejected(Rejection::SenderUnproven),
                "{cnf}"
            );
        }
    }
}

// L11
#[test]
fn the_dpop_scheme_is_for_tokens_bound_to_a_key() {
    let dpop = Presentation::BEARER.by(Scheme::Dpop);
    assert_eq!(verdict(judged(RevocationBasis::NotChecked), dpop), rejected(Rejection::SenderMismatch));
    // A token that is bound to a certificate is not, even with the right one.
    let token = || unchecked(bound(&format!(r#"{{"x5t#S256":"{}"}}"#, thumbprint(7))));
    assert_eq!(verdict(token(), certificate(7).by(Scheme::Dpop)), rejected(Rejection::SenderMismatch));
}

#[test]
fn a_binding_that_either_side_names_must_hold() {
    let slim = || Arc::new(generic(&Claims::new()).unwrap());
    let cnf = |byte| format!(r#"{{"x5t#S256":"{}"}}"#, thumbprint(byte));
    let both =
        |token: Arc<Facts>, answer: Arc<Facts>, claims| unchecked(token).with_answer(Some(answer), claims);
    for claims in [ClaimsFrom::Token, ClaimsFrom::Introspection] {
        let says = |byte| answer(&format!(r#","cnf":{}"#, cnf(byte))).unwrap();
        assert_eq!(verdict(both(slim(), answer("").unwrap(), claims), Presentation::BEARER), None);
        assert_eq!(
            verdict(both(slim(), says(7), claims), Presentation::BEARER),
            rejected(Rejection::SenderUnproven)
        );
        assert_eq!(verdict(both(slim(), says(7), claims), certificate(7)), None);
        assert_eq!(verdict(both(bound(&cnf(7)), answer("").unwrap(), claims), certificate(7)), None);
        assert_eq!(verdict(both(bound(&cnf(7)), says(7), claims), certificate(7)), None);
        for presented in [certificate(7), certificate(8)] {
            assert_eq!(
                verdict(both(bound(&cnf(7)), says(8), claims), presented),
                rejected(Rejection::SenderMismatch)
            );
        }
        let hidden = answer(r#","token_type":"DPoP""#).unwrap();
        assert_eq!(
            verdict(both(bound(&cnf(7)), hidden, claims), certificate(7)),
            rejected(Rejection::SenderUnproven)
        );
    }
}

#[test]
fn the_service_sees_the_side_that_it_chose() {
    let answer = answer(r#","scope":"fresh""#).unwrap();
    let seen = |claims, answer: Option<Arc<Facts>>| {
        let judged = judged(RevocationBasis::NotChecked).with_answer(answer, claims);
        let token = finish(judged, Freshness::CONFIGURED, Presentation::BEARER).unwrap();
        // The key id is the signed token's, whichever side is seen.
        assert_eq!(token.kid(), Some("k"));
        (token.has_scope("read"), token.has_scope("fresh"), token.other_facts().is_some())
    };
    assert_eq!(seen(ClaimsFrom::Token, Some(answer.clone())), (true, false, true));
    assert_eq!(seen(ClaimsFrom::Introspection, Some(answer)), (false, true, true));
    assert_eq!(seen(ClaimsFrom::Token, None), (true, false, false));
    assert_eq!(seen(ClaimsFrom::Introspection, None), (true, false, false));
}

#[test]
fn an_answer_is_awaited_whether_it_is_there_or_not() {
    use futures::executor::block_on;
    assert!(Asked::Ready(1).is_ready());
    assert_eq!(block_on(Asked::Ready(1).into_future()), 1);
    let pending = || Asked::Pending(Box::pin(async { 2 }));
    assert!(!pending().is_ready());
    assert_eq!(block_on(pending().into_future()), 2);
    assert_eq!(Asked::Ready(1).into_ready().ok(), Some(1));
    assert!(pending().into_ready().is_err());
    assert_eq!(format!("{:?} {:?}", Asked::Ready(1), pending()), "Ready(1) Pending(..)");
}

#[test]
fn debug_of_request_and_verdict_shows_no_token() {
    let token = AccessToken::new("canary-token", 100).unwrap();
    let shown = format!("{:?}", VerifyRequest::new(&token, arrival()));
    assert!(!shown.contains("canary"), "{shown}");
    let facts = Arc::new(generic(&Claims::new().with("email", "\"canary\"")).unwrap());
    assert!(!format!("{:?}", unchecked(facts)).contains("canary"));
}
