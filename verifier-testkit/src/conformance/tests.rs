//! A small honest verifier passes, and each way of breaking the contract is found under the rule that it breaks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use verifier_core::algorithm::{Algorithm as CoreAlgorithm, AlgorithmSet};
use verifier_core::claims::Facts;
use verifier_core::error::{Rejection, Unavailable, UnavailableReason, VerifyError};
use verifier_core::evidence::{Evidence, RevocationBasis, StatusSource, Strategy};
use verifier_core::health::Health;
use verifier_core::jwk::KeyRules;
use verifier_core::jwt::UnverifiedJwt;
use verifier_core::key::VerificationKey;
use verifier_core::policy::{IssuerRules, Role};
use verifier_core::profile::TokenProfile;
use verifier_core::signature::AwsLc;
use verifier_core::time::Instant;
use verifier_core::token::Digest;
use verifier_core::verifier::{Asked, Judged, Verdict, VerifyRequest};

use super::*;
use crate::clock::ManualClock;
use crate::doubles::FixedVerifier;
use crate::forge::TokenForge;
use crate::keys::{Algorithm, SigningKey};

const ISSUER: &str = "https://idp.example";
const AUDIENCE: &str = "https://api.example";

/// One way of breaking the contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    AcceptsExpired,
    SkipsTheSignature,
    AcceptsRevoked,
    CallsBadTokensUnavailable,
    PanicsOnText,
    RejectsTheSecondTime,
    ChangesItsReason,
    IgnoresThePolicyOfTheRequest,
    KeepsTheVerdictNotTheFacts,
    ClaimsKnowledgeItLacks,
    ClaimsOldKnowledge,
    ClaimsFutureKnowledge,
    AnswersDemandsFromMemory,
    ClaimsACacheForNewTokens,
    AsksAfterTheDeadline,
    SpoiltByDroppedCalls,
    FailsUnderLoad,
    NeverReady,
    PanicsOnHealth,
    ShowsTokens,
}

/// Checks signatures with one key, and knows of revocations if it is told to. Every verdict is pending for one poll, so
/// that callers can go away.
struct Small {
    fault: Fault,
    key: Arc<VerificationKey>,
    rules: IssuerRules,
    policy: ValidationPolicy,
    clock: ManualClock,
    revoked: Option<Arc<Mutex<Vec<Digest>>>>,
    asks: bool,
    facts: Mutex<HashMap<Digest, Arc<Facts>>>,
    verdicts: Mutex<HashMap<Digest, (Verdict, u64)>>,
    open: AtomicU64,
    seen: Mutex<Vec<String>>,
}

impl fmt::Debug for Small {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Small");
        if self.fault == Fault::ShowsTokens {
            shown.field("seen", &self.seen);
        }
        shown.finish()
    }
}

impl Small {
    fn read(&self, request: &VerifyRequest<'_>) -> Result<(Arc<Facts>, bool), VerifyError> {
        let digest = request.token.digest();
        if let Some(facts) = self.facts.lock().unwrap().get(&digest) {
            return Ok((facts.clone(), true));
        }
        let jwt = UnverifiedJwt::parse(request.token)?;
        let facts = match jwt.check_signature(&self.key) {
            Ok(authentic) => authentic.facts(&self.rules)?,
            Err(_) if self.fault == Fault::SkipsTheSignature => {
                Facts::from_answer(self.good_claims(), &self.rules).unwrap()
            }
            Err(rejection) => return Err(rejection.into()),
        };
        let facts = Arc::new(facts);
        self.facts.lock().unwrap().insert(digest, facts.clone());
        Ok((facts, false))
    }

    fn good_claims(&self) -> verifier_core::json::Object {
        let claims =
            json!({ "iss": ISSUER, "aud": AUDIENCE, "scope": "read", "client_id": "app" }).to_string();
        let limits = verifier_core::json::JsonLimits::CLAIMS;
        verifier_core::json::Object::parse(claims.as_bytes(), limits).unwrap()
    }

    fn verdict(&self, request: &VerifyRequest<'_>) -> Verdict {
        self.seen.lock().unwrap().push(request.token.as_str().to_owned());
        let digest = request.token.digest();
        let (facts, from_cache) = self.read(request)?;
        let policy = match self.fault {
            Fault::IgnoresThePolicyOfTheRequest => &self.policy,
            _ => request.policy.unwrap_or(&self.policy),
        };
        match policy.judge(&facts, request.arrival.wall, Role::Decides) {
            Err(Rejection::Expired) if self.fault == Fault::AcceptsExpired => {}
            verdict => verdict?,
        }
        let now = self.clock.now();
        let mut evidence = Evidence::new(Strategy::Custom);
        evidence.from_cache = from_cache || self.fault == Fault::ClaimsACacheForNewTokens;
        if let Some(revoked) = &self.revoked {
            if revoked.lock().unwrap().contains(&digest) && self.fault != Fault::AcceptsRevoked {
                return Err(Rejection::Revoked.into());
            }
            let as_of = match self.fault {
                Fault::ClaimsOldKnowledge => now.minus(Duration::from_secs(5)),
                Fault::ClaimsFutureKnowledge => now.plus(Duration::from_secs(5)),
                Fault::AnswersDemandsFromMemory if from_cache => now.minus(Duration::from_secs(5)),
                _ => now,
            };
            evidence.revocation = RevocationBasis::Active { as_of, source: StatusSource::Custom };
        } else if self.fault == Fault::ClaimsKnowledgeItLacks {
            evidence.revocation = RevocationBasis::Active { as_of: now, source: StatusSource::Custom };
        }
        Ok(Judged::new(facts, evidence))
    }

    fn faulty(&self, request: &VerifyRequest<'_>) -> Verdict {
        let digest = request.token.digest();
        let verdict = match self.verdicts.lock().unwrap().get(&digest) {
            Some((kept, _)) if self.fault == Fault::KeepsTheVerdictNotTheFacts => return kept.clone(),
            _ => self.verdict(request),
        };
        let mut verdicts = self.verdicts.lock().unwrap();
        let (_, times) = verdicts
            .entry(digest)
            .and_modify(|(_, times)| *times += 1)
            .or_insert_with(|| (verdict.clone(), 0));
        match (self.fault, &verdict) {
            (Fault::RejectsTheSecondTime, Ok(_)) if *times > 0 => Err(Rejection::BadSignature.into()),
            (Fault::ChangesItsReason, Err(_)) if *times > 0 => Err(Rejection::UnknownKey.into()),
            (Fault::CallsBadTokensUnavailable, Err(VerifyError::Rejected(Rejection::BadSignature))) => {
                Err(UnavailableReason::KeysUnconfirmed.into())
            }
            _ => verdict,
        }
    }
}

impl TokenVerifier for Small {
    fn verify<'a>(&'a self, request: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        assert!(self.fault != Fault::PanicsOnText || !request.token.as_str().contains("${jndi"));
        if !self.asks {
            return Asked::Ready(self.faulty(request));
        }
        Asked::Pending(Box::pin(async move {
            let late = request.deadline.is_some_and(|deadline| deadline <= self.clock.now().monotonic);
            if late && self.fault != Fault::AsksAfterTheDeadline {
                return Err(UnavailableReason::DeadlineExceeded.into());
            }
            let open = self.open.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            let limit = match self.fault {
                // Whoever goes away never gives its place back.
                Fault::SpoiltByDroppedCalls => 2,
                Fault::FailsUnderLoad => 50,
                _ => u64::MAX,
            };
            self.open.fetch_sub(1, Ordering::SeqCst);
            if open > limit {
                return Err(UnavailableReason::Shed.into());
            }
            self.faulty(request)
        }))
    }

    fn ready<'a>(&'a self, _: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        Asked::Ready(match self.fault {
            Fault::NeverReady => Err(UnavailableReason::KeysNotLoaded.into()),
            _ => Ok(()),
        })
    }

    fn health(&self, _: Now) -> Health {
        assert!(self.fault != Fault::PanicsOnHealth);
        Health::new(Some(ISSUER.into()), Strategy::Custom)
    }
}

fn subject(fault: Fault, sees_revocation: bool, asks: bool) -> Subject {
    let clock = ManualClock::new();
    let signer = SigningKey::generate(Algorithm::EdDSA);
    let rules = KeyRules::new(AlgorithmSet::of(&[CoreAlgorithm::Ed25519]));
    let pem = signer.public_pem();
    let key =
        VerificationKey::from_pem(pem.as_bytes(), CoreAlgorithm::Ed25519, Some(signer.kid()), &rules, &AwsLc)
            .unwrap();
    let revoked = sees_revocation.then(|| Arc::new(Mutex::new(Vec::new())));
    let verifier = Arc::new(Small {
        fault,
        key: Arc::new(key),
        rules: IssuerRules::new(ISSUER, TokenProfile::generic()).unwrap(),
        policy: ValidationPolicy::for_audience(AUDIENCE).build().unwrap(),
        clock: clock.clone(),
        revoked: revoked.clone(),
        asks,
        facts: Mutex::default(),
        verdicts: Mutex::default(),
        open: AtomicU64::new(0),
        seen: Mutex::default(),
    });
    let serial = AtomicU64::new(0);
    let now = clock.unix_seconds();
    let mint = move |kind: Kind| {
        let exp = if kind == Kind::Expired { now - 60 } else { now + 600 };
        let issuer = if kind == Kind::OtherIssuer { "https://other.example" } else { ISSUER };
        let audience = if kind == Kind::OtherAudience { "https://other.example" } else { AUDIENCE };
        let claims = json!({
            "iss": issuer, "aud": audience, "exp": exp, "iat": now - 90, "sub": "alice", "scope": "read",
            "jti": serial.fetch_add(1, Ordering::SeqCst).to_string(),
        });
        let header = json!({ "alg": "EdDSA", "kid": signer.kid() }).to_string();
        let good = TokenForge::new(header, claims.to_string());
        let token = good.sign(&signer);
        match kind {
            Kind::Tampered => Some(good.claim("sub", "mallory").with_signature(&signer.sign(b"another"))),
            Kind::Revoked => {
                let digest = verifier_core::token::AccessToken::new(&token, 16_384).unwrap().digest();
                revoked.as_ref()?.lock().unwrap().push(digest);
                Some(token)
            }
            _ => Some(token),
        }
    };
    let subject = Subject::new(verifier, Arc::new(clock), mint).bearing(ISSUER, AUDIENCE, "read");
    if sees_revocation { subject.seeing_revocation() } else { subject }
}

#[tokio::test]
async fn an_honest_verifier_conforms() {
    for (sees_revocation, asks) in [(false, false), (false, true), (true, false), (true, true)] {
        let report = conformance(&subject(Fault::None, sees_revocation, asks)).await;
        report.assert_conforms();
        assert!(report.checks() > 200, "{}", report.checks());
    }
}

#[tokio::test]
async fn every_breach_is_found_under_its_rule() {
    use Fault as F;
    for (fault, sees_revocation, asks, rule) in [
        (F::AcceptsExpired, false, false, "a bad token is not accepted"),
        (F::SkipsTheSignature, false, false, "a bad token is not accepted"),
        (F::AcceptsRevoked, true, false, "a bad token is not accepted"),
        (F::CallsBadTokensUnavailable, false, false, "a bad token is rejected, not unavailable"),
        (F::PanicsOnText, false, false, "no text makes a verifier panic"),
        (F::RejectsTheSecondTime, false, false, "a good token is accepted each time"),
        (F::ChangesItsReason, false, false, "the same token gets the same verdict"),
        (F::IgnoresThePolicyOfTheRequest, false, false, "the policy of the request is judged at every call"),
        (F::KeepsTheVerdictNotTheFacts, false, false, "the policy of the request is judged at every call"),
        (F::ClaimsKnowledgeItLacks, false, false, "evidence of revocation is had by those who see it"),
        (F::ClaimsOldKnowledge, true, false, "nothing was known of a new token before it was asked for"),
        (F::ClaimsFutureKnowledge, true, false, "no knowledge comes from the future"),
        (F::AnswersDemandsFromMemory, true, false, "a demand on freshness is honoured"),
        (F::ClaimsACacheForNewTokens, false, false, "nothing new comes from a cache"),
        (F::AsksAfterTheDeadline, false, true, "nobody is asked after the deadline"),
        (F::SpoiltByDroppedCalls, false, true, "a caller that goes away harms nobody"),
        (F::FailsUnderLoad, false, true, "many callers get the verdict that one gets"),
        (F::NeverReady, false, false, "who accepts tokens is ready"),
        (F::PanicsOnHealth, false, false, "health can be asked for"),
        (F::ShowsTokens, false, false, "nothing that is shown holds a token"),
    ] {
        let report = conformance(&subject(fault, sees_revocation, asks)).await;
        assert!(report.breaks(rule), "{fault:?} {report}");
        assert!(!report.conforms());
    }
}

#[tokio::test]
async fn fixed_verdicts_do_not_conform() {
    for fixed in [
        FixedVerifier::rejecting(Rejection::BadSignature),
        FixedVerifier::unavailable(UnavailableReason::ConnectFailed),
    ] {
        let honest = subject(Fault::None, false, false);
        let fixed = Subject { verifier: Arc::new(fixed), ..honest };
        let report = conformance(&fixed).await;
        assert!(report.breaks("a good token is accepted each time"), "{report}");
    }
}

#[tokio::test]
async fn a_subject_without_tokens_does_not_conform() {
    let honest = subject(Fault::None, false, false);
    let empty = Subject::new(honest.verifier.clone(), honest.clock.clone(), |_| None);
    let report = conformance(&empty).await;
    assert!(!report.conforms() && report.breaks("a good token can be had"));
    assert!(!Report::default().conforms());
}

#[tokio::test]
async fn a_report_holds_no_token() {
    let minted = Arc::new(Mutex::new(Vec::new()));
    let honest = subject(Fault::SkipsTheSignature, false, false);
    let kept = minted.clone();
    let Subject { verifier, clock, issuer, audience, scope, mint, .. } = honest;
    let recording = Subject::new(verifier, clock, move |kind| {
        let token = mint(kind)?;
        kept.lock().unwrap().push(token.clone());
        Some(token)
    })
    .bearing(issuer, audience, scope);
    let report = conformance(&recording).await;
    let shown = format!("{report} {report:?} {recording:?}");
    assert!(!report.failures().is_empty());
    assert!(minted.lock().unwrap().iter().all(|token| !shown.contains(token)));
}
