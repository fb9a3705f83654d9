//! The rules, one function each.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use verifier_core::claims::VerifiedToken;
use verifier_core::error::{Rejection, UnavailableReason, VerifyError};
use verifier_core::evidence::RevocationBasis;
use verifier_core::freshness::Freshness;
use verifier_core::policy::ValidationPolicy;
use verifier_core::time::{Instant, Now};
use verifier_core::token::{AccessToken, MAX_TOKEN_LEN};
use verifier_core::verifier::{Asked, VerifyRequest};

use super::report::Report;
use super::{Kind, Subject};

/// What became of one token.
struct Outcome {
    verdict: Result<VerifiedToken, Failed>,
    arrival: Now,
    /// Whether the verdict was there at once.
    at_once: bool,
}

enum Failed {
    Refused(VerifyError),
    Panicked,
}

impl Outcome {
    const fn rejection(&self) -> Option<Rejection> {
        match &self.verdict {
            Err(Failed::Refused(VerifyError::Rejected(rejection))) => Some(*rejection),
            _ => None,
        }
    }

    const fn unavailable(&self) -> Option<UnavailableReason> {
        match &self.verdict {
            Err(Failed::Refused(VerifyError::Unavailable(unavailable))) => Some(unavailable.reason()),
            _ => None,
        }
    }

    const fn panicked(&self) -> bool {
        matches!(self.verdict, Err(Failed::Panicked))
    }

    const fn accepted(&self) -> bool {
        self.verdict.is_ok()
    }

    /// What can be compared: the whole verdict, without ages.
    fn code(&self) -> &'static str {
        match &self.verdict {
            Ok(_) => "verified",
            Err(Failed::Refused(error)) => error.code(),
            Err(Failed::Panicked) => "panicked",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What a call demands beyond the token.
#[derive(Clone, Copy, Default)]
struct Demand<'p> {
    freshness: Freshness,
    policy: Option<&'p ValidationPolicy>,
    deadline: Option<fn(Instant) -> Instant>,
}

/// One call, from the text to the last step.
async fn call(subject: &Subject, text: &str, demand: Demand<'_>) -> Outcome {
    let arrival = subject.now();
    let refused = |error| Outcome { verdict: Err(Failed::Refused(error)), arrival, at_once: true };
    let token = match AccessToken::new(text, MAX_TOKEN_LEN) {
        Ok(token) => token,
        Err(rejection) => return refused(rejection.into()),
    };
    let mut request = VerifyRequest::new(&token, arrival).with_freshness(demand.freshness);
    if let Some(policy) = demand.policy {
        request = request.with_policy(policy);
    }
    if let Some(deadline) = demand.deadline {
        request = request.with_deadline(deadline(arrival.monotonic));
    }
    let (verdict, at_once) =
        match std::panic::catch_unwind(AssertUnwindSafe(|| subject.verifier.verify(&request))) {
            Ok(Asked::Ready(verdict)) => (Ok(verdict), true),
            Ok(Asked::Pending(asked)) => (AssertUnwindSafe(asked).catch_unwind().await, false),
            Err(panic) => (Err::<_, Box<dyn Any + Send>>(panic), true),
        };
    let verdict = verdict
        .map_err(|_| Failed::Panicked)
        .and_then(|verdict| verdict.and_then(|judged| judged.finish(&request)).map_err(Failed::Refused));
    Outcome { verdict, arrival, at_once }
}

async fn plain(subject: &Subject, text: &str) -> Outcome {
    call(subject, text, Demand::default()).await
}

/// A good token is accepted, again and again, on evidence that can be true.
pub(super) async fn good_tokens(subject: &Subject, report: &mut Report) {
    let Some(text) = subject.mint(Kind::Good) else { return };
    for turn in 0..4 {
        let outcome = plain(subject, &text).await;
        report.check("a good token is accepted each time", outcome.accepted(), || {
            format!("turn {turn}: {outcome}")
        });
        let Ok(token) = &outcome.verdict else { continue };
        report.check("the issuer is the configured one", token.issuer() == subject.issuer, || {
            format!("{:?} in place of {:?}", token.issuer(), subject.issuer)
        });
        report.check(
            "the audience is among the claims",
            token.audience().any(|one| one == subject.audience),
            || "it is not".into(),
        );
        report.check("the scope is among the claims", token.has_scope(&subject.scope), || "it is not".into());
        let evidence = token.evidence();
        report.check("nothing new comes from a cache", turn > 0 || !evidence.from_cache, || {
            "the first verdict on a new token claims to".into()
        });
        evidence_is_true(subject, &outcome, token, turn == 0, report);
    }
}

fn evidence_is_true(
    subject: &Subject,
    outcome: &Outcome,
    token: &VerifiedToken,
    new: bool,
    report: &mut Report,
) {
    let basis = token.evidence().revocation;
    report.check(
        "evidence of revocation is had by those who see it",
        subject.sees_revocation == !matches!(basis, RevocationBasis::NotChecked | RevocationBasis::Exempt),
        || format!("the evidence says {}", basis.name()),
    );
    if let Some(as_of) = basis.as_of() {
        report.check(
            "no knowledge comes from the future",
            as_of.monotonic <= subject.now().monotonic,
            || "it was asked for after now".into(),
        );
        report.check(
            "nothing was known of a new token before it was asked for",
            !new || outcome.arrival.since(as_of).is_zero(),
            || format!("the status of a token never seen is {:?} old", outcome.arrival.since(as_of)),
        );
    }
}

/// A bad token is rejected, never "unavailable", and for the same reason each time.
pub(super) async fn bad_tokens(subject: &Subject, report: &mut Report) {
    for kind in [Kind::Expired, Kind::OtherAudience, Kind::OtherIssuer, Kind::Tampered, Kind::Revoked] {
        if kind == Kind::Revoked && !subject.sees_revocation {
            continue;
        }
        let Some(text) = subject.mint(kind) else { continue };
        let mut first = None;
        for turn in 0..3 {
            let outcome = plain(subject, &text).await;
            let rule = if outcome.accepted() {
                "a bad token is not accepted"
            } else {
                "a bad token is rejected, not unavailable"
            };
            report.check(rule, outcome.rejection().is_some(), || format!("{kind:?}, turn {turn}: {outcome}"));
            let first = *first.get_or_insert(outcome.code());
            report.check("the same token gets the same verdict", first == outcome.code(), || {
                format!("{kind:?}: {first}, then {outcome}")
            });
        }
    }
}

/// Whatever text comes: a rejection and no panic.
pub(super) async fn hostile_texts(subject: &Subject, report: &mut Report) {
    let Some(good) = subject.mint(Kind::Good) else { return };
    for (n, text) in texts(&good).iter().enumerate() {
        let outcome = plain(subject, text).await;
        report.check("no text makes a verifier panic", !outcome.panicked(), || format!("text {n}"));
        report.check(
            "a hostile text is rejected",
            outcome.rejection().is_some() || outcome.panicked(),
            || format!("text {n}: {outcome}"),
        );
    }
}

fn texts(good: &str) -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        ".",
        "..",
        "...",
        "....",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "a.b.c.d.e",
        "=",
        "a=",
        "====",
        "~",
        "e30.e30.e30",
        "e30.e30.",
        "..e30",
        "bnVsbA.bnVsbA.bnVsbA",
        "W10.W10.W10",
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJub25lIn0.e30.AA",
        "eyJhbGciOiJIUzI1NiJ9.e30.AA",
        "eyJhbGciOjF9.e30.AA",
        "\0",
        "\u{0}.\u{0}.\u{0}",
        "a b",
        "a\tb",
        "a\r\nb: c",
        "é",
        "\u{feff}",
        "\u{202e}",
        "a&token=b",
        "%00",
        "{}",
        "[]",
        "null",
        "true",
        "\"a\"",
        "{\"payload\":\"e30\",\"signature\":\"AA\",\"protected\":\"e30\"}",
        "Bearer a",
        "../../etc/passwd",
        "' OR 1=1 --",
        "<script>",
        "${jndi:ldap://x}",
    ]
    .into_iter()
    .map(Into::into)
    .collect();
    texts.push("a".repeat(MAX_TOKEN_LEN));
    texts.push("a".repeat(MAX_TOKEN_LEN + 1));
    texts.push(".".repeat(10_000));
    texts.push(format!("{}.e30.AA", "W".repeat(10_000)));
    // The good one, misspelled.
    texts.push(format!("{good}="));
    texts.push(format!("{good}."));
    texts.push(format!(".{good}"));
    texts.push(format!(" {good}"));
    texts.push(format!("{good}\n"));
    texts.push(format!("{good}{good}"));
    texts.push(format!("{good}.{good}"));
    let half: String = good.chars().take(good.chars().count() / 2).collect();
    texts.push(half);
    texts.push(good.chars().rev().collect());
    texts
}

/// A demand on freshness is honoured, or it is said that it can't be.
pub(super) async fn freshness(subject: &Subject, report: &mut Report) {
    let demands = [
        Freshness::LIVE,
        Freshness::at_most(Duration::from_nanos(1)),
        Freshness::at_most(Duration::from_secs(3_600)),
    ];
    for demand in demands {
        for warm in [false, true] {
            let Some(text) = subject.mint(Kind::Good) else { return };
            if warm {
                let _ = plain(subject, &text).await;
            }
            let outcome = call(subject, &text, Demand { freshness: demand, ..Demand::default() }).await;
            let held = match &outcome.verdict {
                Ok(token) => {
                    let age = token.evidence().revocation_age(outcome.arrival);
                    subject.sees_revocation && age.is_some() && age <= demand.demanded()
                }
                Err(_) => {
                    !subject.sees_revocation
                        && outcome.unavailable() == Some(UnavailableReason::NoRevocationSource)
                }
            };
            report.check("a demand on freshness is honoured", held, || {
                format!("{demand:?}, {}: {outcome}", if warm { "known token" } else { "new token" })
            });
        }
    }
}

/// The policy of the request is judged at every call, whatever is kept from others.
pub(super) async fn policies(subject: &Subject, report: &mut Report) {
    const RULE: &str = "the policy of the request is judged at every call";
    let absent = format!("{}-that-nobody-has", subject.scope);
    let policies = [
        (
            ValidationPolicy::for_audience(format!("{}/other", subject.audience)).build(),
            Some(Rejection::WrongAudience),
        ),
        (subject.policy().require_scope(absent).build(), Some(Rejection::InsufficientScope)),
        (subject.policy().require_claim("a-claim-that-nobody-has").build(), Some(Rejection::MissingClaim)),
        (subject.policy().require_scope(&*subject.scope).build(), None),
        (ValidationPolicy::danger_accept_any_audience().build(), None),
    ];
    for (n, (policy, expected)) in policies.into_iter().enumerate() {
        let Ok(policy) = policy else {
            report.fail(RULE, format!("policy {n} can't be built from the subject's audience and scope"));
            continue;
        };
        // A new token first under the other policy, then under the verifier's own; and the other way round.
        for own_first in [false, true] {
            let Some(text) = subject.mint(Kind::Good) else { return };
            if own_first {
                let own = plain(subject, &text).await;
                report.check(RULE, own.accepted(), || format!("before policy {n}: {own}"));
            }
            let other = call(subject, &text, Demand { policy: Some(&policy), ..Demand::default() }).await;
            let held = if expected.is_none() { other.accepted() } else { other.rejection() == expected };
            report.check(RULE, held, || format!("policy {n}, own first: {own_first}: {other}"));
            let own = plain(subject, &text).await;
            report.check(RULE, own.accepted(), || format!("after policy {n}: {own}"));
        }
    }
    // A bad token stays bad under a policy that would take it.
    if let (Some(text), Ok(policy)) =
        (subject.mint(Kind::Tampered), ValidationPolicy::danger_accept_any_audience().build())
    {
        let outcome = call(subject, &text, Demand { policy: Some(&policy), ..Demand::default() }).await;
        report
            .check("no policy saves a tampered token", outcome.rejection().is_some(), || outcome.to_string());
    }
}

/// What can be decided at once may be, past its deadline too; nobody is asked after it.
pub(super) async fn deadlines(subject: &Subject, report: &mut Report) {
    let Some(text) = subject.mint(Kind::Good) else { return };
    let passed: fn(Instant) -> Instant = |arrival| arrival.minus(Duration::from_nanos(1));
    let passed = call(subject, &text, Demand { deadline: Some(passed), ..Demand::default() }).await;
    let held = if passed.at_once && passed.accepted() {
        true
    } else {
        passed.unavailable() == Some(UnavailableReason::DeadlineExceeded)
    };
    report.check("nobody is asked after the deadline", held, || passed.to_string());
    // The one without time to wait has not spoilt it for others.
    let ample: fn(Instant) -> Instant = |arrival| arrival.plus(Duration::from_secs(60));
    let ample = call(subject, &text, Demand { deadline: Some(ample), ..Demand::default() }).await;
    report.check("an ample deadline changes nothing", ample.accepted(), || ample.to_string());
}

/// A caller that goes away leaves nothing behind that harms the next.
pub(super) async fn callers_that_go_away(subject: &Subject, report: &mut Report) {
    let Some(text) = subject.mint(Kind::Good) else { return };
    for _ in 0..3 {
        let _ = plain(subject, &text).now_or_never();
    }
    let outcome = plain(subject, &text).await;
    report.check("a caller that goes away harms nobody", outcome.accepted(), || outcome.to_string());
}

/// A hundred callers at once get the verdict that one gets.
pub(super) async fn many_at_once(subject: &Subject, report: &mut Report) {
    const CALLERS: usize = 100;
    let Some(good) = subject.mint(Kind::Good) else { return };
    let bad = subject.mint(Kind::Tampered);
    let texts = (0..CALLERS).map(|n| match &bad {
        Some(bad) if n % 4 == 3 => (bad, false),
        _ => (&good, true),
    });
    let outcomes =
        join_all(texts.map(|(text, accept)| async move { (plain(subject, text).await, accept) })).await;
    for (outcome, accept) in outcomes {
        let held = if accept { outcome.accepted() } else { outcome.rejection().is_some() };
        report.check("many callers get the verdict that one gets", held, || {
            format!("{outcome} for a {} token", if accept { "good" } else { "tampered" })
        });
    }
}

/// Readiness and health can be asked for, and show no token.
pub(super) async fn state(subject: &Subject, report: &mut Report) {
    let ready = match std::panic::catch_unwind(AssertUnwindSafe(|| subject.verifier.ready(None))) {
        Ok(asked) => AssertUnwindSafe(asked.into_future()).catch_unwind().await.ok(),
        Err(_) => None,
    };
    report.check("who accepts tokens is ready", ready == Some(Ok(())), || {
        ready.map_or_else(|| "panicked".into(), |ready| format!("{ready:?}"))
    });
    let health = std::panic::catch_unwind(AssertUnwindSafe(|| {
        format!("{:?}", subject.verifier.health(subject.now()))
    }));
    report.check("health can be asked for", health.is_ok(), || "panicked".into());

    let Some(text) = subject.mint(Kind::Good) else { return };
    let _ = plain(subject, &text).await;
    let shown = format!("{:?} {}", subject.verifier, health.unwrap_or_default());
    let payload = text.split('.').nth(1).filter(|payload| payload.len() > 16);
    let leaks = shown.contains(&text) || payload.is_some_and(|payload| shown.contains(payload));
    report.check("nothing that is shown holds a token", !leaks, || "Debug shows one".into());
}
