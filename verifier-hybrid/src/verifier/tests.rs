use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::executor::block_on;
use verifier_core::evidence::StatusSource;
use verifier_core::freshness::Freshness;
use verifier_core::json::{JsonLimits, Object};
use verifier_core::policy::IssuerRules;
use verifier_core::profile::TokenProfile;
use verifier_core::revocation::{Check, RevocationEvent};
use verifier_core::runtime::{NoRuntime, Runtime};
use verifier_core::time::Clock;
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};

use super::*;
use crate::{CheckWhen, IdentityRule, Revocations, WhenUnknown};

const START: i64 = 1_800_000_000;
const TOKEN: &str = "some-token";

#[derive(Debug)]
struct Hands {
    wall: AtomicI64,
    monotonic: AtomicU64,
}

impl Clock for Hands {
    fn now(&self) -> Now {
        Now::new(
            WallTime::from_unix_seconds(self.wall.load(Ordering::Relaxed)),
            Instant::from_nanos(self.monotonic.load(Ordering::Relaxed) * 1_000_000_000),
        )
    }
}

impl Hands {
    fn advance(&self, seconds: u64) {
        self.wall.fetch_add(seconds as i64, Ordering::Relaxed);
        self.monotonic.fetch_add(seconds, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct NothingRuns;

impl Runtime for NothingRuns {
    fn try_spawn(&self, _: BoxFuture<'static, ()>) -> Result<(), NoRuntime> {
        Err(NoRuntime)
    }

    fn sleep(&self, _: Duration) -> Result<BoxFuture<'static, ()>, NoRuntime> {
        Err(NoRuntime)
    }
}

/// Gives its verdicts in turn, the last one for ever; counts.
#[derive(Debug)]
struct Local {
    verdict: Verdict,
    pending: bool,
    asked: AtomicUsize,
}

impl Local {
    fn says(verdict: Verdict) -> Arc<Self> {
        Arc::new(Self { verdict, pending: false, asked: AtomicUsize::new(0) })
    }

    fn says_later(verdict: Verdict) -> Arc<Self> {
        Arc::new(Self { verdict, pending: true, asked: AtomicUsize::new(0) })
    }
}

impl TokenVerifier for Local {
    fn verify<'a>(&'a self, _: &'a VerifyRequest<'a>) -> Asked<'a, Verdict> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let verdict = self.verdict.clone();
        if self.pending { Asked::Pending(Box::pin(async { verdict })) } else { Asked::Ready(verdict) }
    }

    fn ready<'a>(&'a self, _: Option<Instant>) -> Asked<'a, Result<(), Unavailable>> {
        Asked::Ready(Ok(()))
    }

    fn health(&self, _: Now) -> Health {
        Health::new(Some("i".into()), Strategy::Jwks)
    }
}

type Answer = Result<RevocationStatus, CouldNotAsk>;

enum Script {
    Now(Answer),
    Later(oneshot::Receiver<Answer>),
}

/// Answers by script, in order; fails the test when asked for more.
struct Scripted {
    script: Mutex<VecDeque<Script>>,
    asked: AtomicUsize,
    freshness: Mutex<Option<Duration>>,
    source: StatusSource,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    fn from(script: impl IntoIterator<Item = Script>, source: StatusSource) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script.into_iter().collect()),
            asked: AtomicUsize::new(0),
            freshness: Mutex::new(None),
            source,
        })
    }

    fn says(answer: Answer) -> Arc<Self> {
        Self::from([Script::Now(answer)], StatusSource::Introspection)
    }

    fn later() -> (Arc<Self>, oneshot::Sender<Answer>) {
        let (sender, receiver) = oneshot::channel();
        (Self::from([Script::Later(receiver)], StatusSource::Introspection), sender)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl RevocationChecker for Scripted {
    fn status<'a>(&'a self, query: &RevocationQuery<'_>) -> Check<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        *self.freshness.lock().unwrap() = Some(query.freshness);
        match self.script.lock().unwrap().pop_front().expect("the script is over") {
            Script::Now(answer) => Asked::Ready(answer),
            Script::Later(receiver) => Asked::Pending(Box::pin(async { receiver.await.unwrap() })),
        }
    }

    fn source(&self) -> StatusSource {
        self.source
    }
}

fn facts(json: &str) -> Arc<Facts> {
    let rules = IssuerRules::new("i", TokenProfile::generic()).unwrap();
    Arc::new(Facts::from_answer(Object::parse(json.as_bytes(), JsonLimits::CLAIMS).unwrap(), &rules).unwrap())
}

fn token_facts() -> Arc<Facts> {
    facts(&format!(
        r#"{{"sub":"alice","client_id":"app","jti":"1","aud":"api","iat":{},"exp":{}}}"#,
        START - 10,
        START + 3_600
    ))
}

fn judged(facts: &Arc<Facts>) -> Verdict {
    Ok(Judged::new(Arc::clone(facts), Evidence::new(Strategy::Jwks)))
}

struct Bench {
    clock: Arc<Hands>,
    list: Arc<Revocations>,
    verifier: HybridVerifier,
    arrival: Now,
}

impl Bench {
    fn of(local: Arc<dyn TokenVerifier>, checkers: &[Arc<Scripted>], config: HybridConfig) -> Self {
        let clock = Arc::new(Hands { wall: AtomicI64::new(START), monotonic: AtomicU64::new(1_000) });
        let list = Arc::new(Revocations::new(Arc::clone(&clock) as Arc<dyn Clock>));
        let checkers = checkers.iter().map(|one| Arc::clone(one) as Arc<dyn RevocationChecker>).collect();
        let policy = ValidationPolicy::for_audience("api").leeway(Duration::ZERO).build().unwrap();
        let env = Env::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(NothingRuns));
        let verifier = HybridVerifier::builder(local, checkers, policy, env)
            .revocations(Arc::clone(&list) as Arc<dyn RevocationList>)
            .config(config)
            .build()
            .unwrap();
        Self { arrival: clock.now(), clock, list, verifier }
    }

    fn good(checkers: &[Arc<Scripted>]) -> Self {
        Self::of(Local::says(judged(&token_facts())), checkers, HybridConfig::default())
    }

    fn ask<R>(&self, freshness: Freshness, run: impl FnOnce(Asked<'_, Verdict>) -> R) -> R {
        self.ask_about(TOKEN, freshness, run)
    }

    fn ask_about<R>(&self, text: &str, freshness: Freshness, run: impl FnOnce(Asked<'_, Verdict>) -> R) -> R {
        let token = AccessToken::new(text, DEFAULT_MAX_TOKEN_LEN).unwrap();
        let request = VerifyRequest::new(&token, self.arrival).with_freshness(freshness);
        run(self.verifier.verify(&request))
    }

    fn verdict(&self) -> Verdict {
        self.ask(Freshness::CONFIGURED, |asked| block_on(asked.into_future()))
    }

    fn revoke(&self, event: &RevocationEvent) {
        self.list.ingest(event).unwrap();
    }
}

fn ago(seconds: u64) -> Now {
    Now::new(
        WallTime::from_unix_seconds(START).minus(Duration::from_secs(seconds)),
        Instant::from_nanos((1_000 - seconds) * 1_000_000_000),
    )
}

fn active(seconds: u64) -> Answer {
    Ok(RevocationStatus::Active { as_of: ago(seconds), answer: None })
}

fn active_with(json: &str) -> Answer {
    Ok(RevocationStatus::Active { as_of: ago(0), answer: Some(facts(json)) })
}

fn inactive() -> Answer {
    Ok(RevocationStatus::Inactive { as_of: ago(0) })
}

fn failed(reason: UnavailableReason, last: Option<RevocationStatus>) -> Answer {
    Err(CouldNotAsk { why: reason.into(), last })
}

#[track_caller]
fn assert_rejected(verdict: Verdict, expected: Rejection) {
    assert_eq!(verdict.unwrap_err(), VerifyError::from(expected));
}

#[track_caller]
fn assert_unavailable(verdict: Verdict, expected: UnavailableReason) {
    assert_eq!(verdict.unwrap_err(), VerifyError::from(expected));
}

fn session(id: &str) -> RevocationEvent {
    RevocationEvent::Session { issuer: "i".into(), session: id.into() }
}

fn jti(id: &str) -> RevocationEvent {
    RevocationEvent::Token { issuer: "i".into(), jwt_id: id.into(), expires_at: None }
}

#[test]
fn a_fresh_active_status_accepts_at_once_and_says_what_it_rests_on() {
    let checker = Scripted::says(active(45));
    let bench = Bench::good(&[Arc::clone(&checker)]);
    let verdict = bench.ask(Freshness::CONFIGURED, |asked| asked.into_ready().ok().unwrap()).unwrap();
    assert_eq!(verdict.evidence().strategy, Strategy::Hybrid);
    let source = StatusSource::Introspection;
    assert_eq!(verdict.evidence().revocation, RevocationBasis::Active { as_of: ago(45), source });
    assert_eq!(*checker.freshness.lock().unwrap(), Some(Duration::from_secs(60)));
}

#[test]
fn the_demand_of_a_request_reaches_the_checker() {
    let checker = Scripted::says(active(0));
    let bench = Bench::good(&[Arc::clone(&checker)]);
    bench.ask(Freshness::LIVE, |asked| block_on(asked.into_future())).unwrap();
    assert_eq!(*checker.freshness.lock().unwrap(), Some(Duration::ZERO));
}

#[test]
fn a_local_rejection_asks_nobody() {
    let checker = Scripted::says(active(0));
    for local in
        [Local::says(Err(Rejection::BadSignature.into())), Local::says_later(Err(Rejection::Expired.into()))]
    {
        let expected = local.verdict.as_ref().unwrap_err().code();
        let bench = Bench::of(local, &[Arc::clone(&checker)], HybridConfig::default());
        assert_eq!(bench.verdict().unwrap_err().code(), expected);
    }
    assert_eq!(checker.asked(), 0);
}

#[test]
fn a_listed_token_asks_nobody() {
    let checker = Scripted::says(active(0));
    let bench = Bench::good(&[Arc::clone(&checker)]);
    bench.revoke(&jti("1"));
    assert_rejected(bench.verdict(), Rejection::Revoked);
    assert_eq!(checker.asked(), 0);
}

#[test]
fn the_local_side_is_asked_once_whether_or_not_anybody_is_awaited() {
    for local in [Local::says(judged(&token_facts())), Local::says_later(judged(&token_facts()))] {
        let (checker, answer) = Scripted::later();
        let bench = Bench::of(Arc::clone(&local) as _, &[checker], HybridConfig::default());
        answer.send(active(0)).unwrap();
        bench.verdict().unwrap();
        assert_eq!(local.asked.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn an_event_during_the_wait_has_the_last_word() {
    let (checker, answer) = Scripted::later();
    let bench = Bench::good(&[checker]);
    bench.ask(Freshness::CONFIGURED, |asked| {
        let mut asked = asked.into_ready().err().unwrap();
        assert!((&mut asked).now_or_never().is_none());
        bench.revoke(&jti("1"));
        answer.send(active(0)).unwrap();
        assert_rejected(block_on(asked), Rejection::Revoked);
    });
}

#[test]
fn an_event_during_the_wait_for_the_local_side_is_heard_before_anybody_is_asked() {
    let checker = Scripted::says(active(0));
    let bench = Bench::of(
        Local::says_later(judged(&token_facts())),
        &[Arc::clone(&checker)],
        HybridConfig::default(),
    );
    bench.ask(Freshness::CONFIGURED, |asked| {
        bench.revoke(&jti("1"));
        assert_rejected(block_on(asked.into_future()), Rejection::Revoked);
    });
    assert_eq!(checker.asked(), 0);
}

#[test]
fn what_only_the_answer_knows_is_looked_up_as_well() {
    // The token has no sid; the server knows it. Both for an answer that is held and for one that is awaited.
    let knowing = r#"{"sub":"alice","sid":"s1"}"#;
    let bench = Bench::good(&[Scripted::says(active_with(knowing))]);
    bench.revoke(&session("s1"));
    assert_rejected(bench.verdict(), Rejection::Revoked);

    let (checker, answer) = Scripted::later();
    let bench = Bench::good(&[checker]);
    bench.revoke(&session("s1"));
    answer.send(active_with(knowing)).unwrap();
    assert_rejected(bench.verdict(), Rejection::Revoked);

    let bench = Bench::good(&[Scripted::says(active_with(knowing))]);
    bench.revoke(&session("s2"));
    bench.verdict().unwrap();
}

#[test]
fn an_answer_that_names_another_session_escapes_no_event() {
    let token = facts(r#"{"sub":"alice","sid":"s1","aud":"api"}"#);
    for sid in ["s1", "s2"] {
        let answer = active_with(r#"{"sub":"alice","sid":"s2"}"#);
        let bench =
            Bench::of(Local::says(judged(&token)), &[Scripted::says(answer)], HybridConfig::default());
        bench.revoke(&session(sid));
        assert_rejected(bench.verdict(), Rejection::Revoked);
    }
}

#[test]
fn a_rule_that_needs_both_views_is_found() {
    // The subject is known to the answer alone, the time of issue to the token alone.
    let token = facts(&format!(r#"{{"client_id":"app","iat":{START},"aud":"api"}}"#));
    let subject = |limit| RevocationEvent::Subject {
        issuer: "i".into(),
        subject: "alice".into(),
        issued_at_or_before: limit,
    };
    let answer = || Scripted::says(active_with(r#"{"client_id":"app","sub":"alice"}"#));
    let bench = Bench::of(Local::says(judged(&token)), &[answer()], HybridConfig::default());
    bench.revoke(&subject(START));
    assert_rejected(bench.verdict(), Rejection::Revoked);
}

#[test]
fn a_token_that_expires_during_the_wait_is_rejected_and_a_clock_set_back_revives_nothing() {
    for (seconds, set_back, good) in [(3_599, 0, true), (3_600, 0, false), (3_600, 7_200, false)] {
        let (checker, answer) = Scripted::later();
        let mut bench = Bench::good(&[checker]);
        if set_back > 0 {
            bench.clock.advance(seconds);
            bench.arrival = bench.clock.now();
        }
        bench.ask(Freshness::CONFIGURED, |asked| {
            if set_back == 0 {
                bench.clock.advance(seconds);
            } else {
                bench.clock.wall.fetch_sub(set_back, Ordering::Relaxed);
            }
            answer.send(Ok(RevocationStatus::Active { as_of: bench.arrival, answer: None })).unwrap();
            let verdict = block_on(asked.into_future());
            if good {
                verdict.unwrap();
            } else {
                assert_rejected(verdict, Rejection::Expired);
            }
        });
    }
}

#[test]
fn of_several_checkers_all_are_asked_and_one_no_is_enough() {
    let (slow, slow_answer) = Scripted::later();
    let (quick, quick_answer) = Scripted::later();
    let bench = Bench::good(&[Arc::clone(&slow), Arc::clone(&quick)]);
    bench.ask(Freshness::CONFIGURED, |asked| {
        assert_eq!((slow.asked(), quick.asked()), (1, 1), "both, before either has answered");
        quick_answer.send(inactive()).unwrap();
        assert_rejected(block_on(asked.into_future()), Rejection::Inactive);
    });
    drop(slow_answer);

    let refusing = failed(UnavailableReason::ServerError, None);
    let bench = Bench::good(&[Scripted::says(refusing.clone()), Scripted::says(inactive())]);
    assert_rejected(bench.verdict(), Rejection::Inactive);
    let bench = Bench::good(&[Scripted::says(active(0)), Scripted::says(refusing)]);
    assert_unavailable(bench.verdict(), UnavailableReason::ServerError);
    let nothing = || Scripted::says(Ok(RevocationStatus::NoOpinion));
    assert_unavailable(Bench::good(&[nothing(), nothing()]).verdict(), UnavailableReason::StatusUnknown);
}

#[test]
fn evidence_is_as_old_as_the_oldest_of_all() {
    let custom = Scripted::from([Script::Now(active(50))], StatusSource::Custom);
    let bench =
        Bench::good(&[Scripted::says(active(5)), custom, Scripted::says(Ok(RevocationStatus::NoOpinion))]);
    let verdict = bench.verdict().unwrap();
    let expected = RevocationBasis::Active { as_of: ago(50), source: StatusSource::Custom };
    assert_eq!(verdict.evidence().revocation, expected);
}

#[test]
fn a_status_older_than_was_asked_for_is_none() {
    assert_unavailable(Bench::good(&[Scripted::says(active(61))]).verdict(), UnavailableReason::TooStale);
}

#[test]
fn stale_is_accepted_only_where_configured_and_never_against_a_demand() {
    let last = |seconds| Some(RevocationStatus::Active { as_of: ago(seconds), answer: None });
    let stale = || {
        HybridConfig::default().with_when_unknown(WhenUnknown::AllowStale { up_to: Duration::from_secs(300) })
    };
    let bench =
        |config, answer| Bench::of(Local::says(judged(&token_facts())), &[Scripted::says(answer)], config);
    let outage = UnavailableReason::ConnectFailed;

    assert_unavailable(bench(HybridConfig::default(), failed(outage, last(70))).verdict(), outage);
    let verdict = bench(stale(), failed(outage, last(300))).verdict().unwrap();
    let source = StatusSource::Introspection;
    assert_eq!(verdict.evidence().revocation, RevocationBasis::Stale { as_of: ago(300), source });
    assert_unavailable(bench(stale(), failed(outage, last(301))).verdict(), outage);
    let inactive = Some(RevocationStatus::Inactive { as_of: ago(10) });
    assert_unavailable(bench(stale(), failed(outage, inactive)).verdict(), outage);
    let demanding = bench(stale(), failed(outage, last(70)));
    let verdict =
        demanding.ask(Freshness::at_most(Duration::from_secs(30)), |asked| block_on(asked.into_future()));
    assert_unavailable(verdict, outage);
}

#[test]
fn an_answer_about_another_token_is_rejected_and_reported() {
    let bench = Bench::good(&[Scripted::says(active_with(r#"{"sub":"bob"}"#))]);
    assert!(bench.verifier.health(bench.arrival).notes.is_empty());
    assert_rejected(bench.verdict(), Rejection::IdentityMismatch);
    assert_eq!(bench.verifier.health(bench.arrival).notes, [HealthNote::IdentityMismatch]);

    // Names nothing: a mismatch unless that was asked for.
    let bench = Bench::good(&[Scripted::says(active_with("{}"))]);
    assert_rejected(bench.verdict(), Rejection::IdentityMismatch);
    let lax = HybridConfig::default().with_identity(IdentityRule::DangerNoSharedMember);
    let answers = [active_with("{}"), active_with(r#"{"sub":"bob"}"#)];
    let [silent, other] = answers
        .map(|one| Bench::of(Local::says(judged(&token_facts())), &[Scripted::says(one)], lax.clone()));
    silent.verdict().unwrap();
    assert_rejected(other.verdict(), Rejection::IdentityMismatch);
}

#[test]
fn the_side_that_is_shown_has_to_satisfy_the_policy_and_the_other_must_not_contradict() {
    let shown = || HybridConfig::default().with_claims(ClaimsFrom::Introspection);
    let slim = facts(r#"{"client_id":"app","jti":"1"}"#);
    let bench = |config, answer| Bench::of(Local::says(judged(&slim)), &[Scripted::says(answer)], config);
    let whole = r#"{"client_id":"app","sub":"alice","aud":"api","scope":"read"}"#;
    let verdict = bench(shown(), active_with(whole)).verdict().unwrap();
    let token = AccessToken::new(TOKEN, 100).unwrap();
    let seen = verdict.finish(&VerifyRequest::new(&token, ago(0))).unwrap();
    assert_eq!(seen.subject(), Some("alice"));

    let elsewhere = r#"{"client_id":"app","aud":"elsewhere"}"#;
    assert_rejected(
        bench(shown(), active_with(r#"{"client_id":"app"}"#)).verdict(),
        Rejection::WrongAudience,
    );
    assert_rejected(bench(shown(), active_with(elsewhere)).verdict(), Rejection::WrongAudience);
    assert_rejected(
        bench(HybridConfig::default(), active_with(elsewhere)).verdict(),
        Rejection::WrongAudience,
    );
    bench(HybridConfig::default(), active_with(r#"{"client_id":"app"}"#)).verdict().unwrap();
    let over = format!(r#"{{"client_id":"app","exp":{START}}}"#);
    assert_rejected(bench(HybridConfig::default(), active_with(&over)).verdict(), Rejection::Expired);
    // Nobody tells the claims that are to be shown.
    assert_unavailable(bench(shown(), active(0)).verdict(), UnavailableReason::Misconfigured);
}

#[test]
fn of_several_answers_the_first_checkers_is_shown_whoever_is_quicker() {
    let (first, first_answer) = Scripted::later();
    let second =
        Scripted::says(active_with(r#"{"client_id":"app","aud":"api","sub":"alice","scope":"second"}"#));
    let config = HybridConfig::default().with_claims(ClaimsFrom::Introspection);
    let bench = Bench::of(Local::says(judged(&token_facts())), &[first, second], config);
    first_answer.send(active_with(r#"{"client_id":"app","aud":"api","scope":"first"}"#)).unwrap();
    assert!(bench.verdict().unwrap().answer().unwrap().has_scope("first"));
}

#[test]
fn a_short_lived_token_passes_unasked_unless_a_freshness_is_demanded() {
    let config = HybridConfig::default().with_check_when(CheckWhen::LifetimeOver(Duration::from_secs(300)));
    let short =
        facts(&format!(r#"{{"sub":"alice","jti":"1","aud":"api","iat":{START},"exp":{}}}"#, START + 300));
    let checker = Scripted::says(active(0));
    let bench = Bench::of(Local::says(judged(&short)), &[Arc::clone(&checker)], config);
    assert_eq!(bench.verdict().unwrap().evidence().revocation, RevocationBasis::Exempt);
    assert_eq!(checker.asked(), 0);
    bench.ask(Freshness::LIVE, |asked| block_on(asked.into_future())).unwrap();
    assert_eq!(checker.asked(), 1);
    // An event is heard all the same.
    bench.revoke(&jti("1"));
    assert_rejected(bench.verdict(), Rejection::Revoked);
}

/// A header of JWT shape, which no local verifier should call something else.
const JWT: &str = "eyJhbGciOiJFUzI1NiJ9.e30.AAAA";

fn opaque_judged(seconds: u64) -> Verdict {
    let mut evidence = Evidence::new(Strategy::Introspection);
    evidence.revocation =
        RevocationBasis::Active { as_of: ago(seconds), source: StatusSource::Introspection };
    Ok(Judged::new(token_facts(), evidence))
}

fn with_opaque(other: &Arc<Local>) -> Bench {
    let config = HybridConfig::default().with_opaque(Opaque::Introspect(Arc::clone(other) as _));
    Bench::of(
        Local::says(Err(Rejection::NotAJwt.into())),
        &[Scripted::from([], StatusSource::Custom)],
        config,
    )
}

#[test]
fn an_opaque_token_is_refused_or_handed_over_and_nothing_else_ever_is() {
    let local = || Local::says(Err(Rejection::NotAJwt.into()));
    let nobody = Scripted::from([], StatusSource::Custom);
    let bench = Bench::of(local(), &[nobody], HybridConfig::default());
    assert_rejected(bench.verdict(), Rejection::NotAJwt);

    for other in [Local::says(opaque_judged(60)), Local::says_later(opaque_judged(60))] {
        let bench = with_opaque(&other);
        assert_eq!(bench.verdict().unwrap().evidence().strategy, Strategy::Introspection);
        let jwt = bench.ask_about(JWT, Freshness::CONFIGURED, |asked| block_on(asked.into_future()));
        assert_rejected(jwt, Rejection::NotAJwt);
        assert_eq!(other.asked.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn the_promises_hold_for_opaque_tokens_too() {
    assert_unavailable(with_opaque(&Local::says(opaque_judged(61))).verdict(), UnavailableReason::TooStale);
    let knows_nothing = Local::says(judged(&token_facts()));
    assert_unavailable(with_opaque(&knows_nothing).verdict(), UnavailableReason::NoRevocationSource);

    for other in [Local::says(opaque_judged(0)), Local::says_later(opaque_judged(0))] {
        let bench = with_opaque(&other);
        bench.revoke(&jti("1"));
        assert_rejected(bench.verdict(), Rejection::Revoked);
        assert_eq!(other.asked.load(Ordering::Relaxed), 1, "who it is only its issuer can tell");
        let token = AccessToken::new(TOKEN, 100).unwrap().digest();
        bench.revoke(&RevocationEvent::Text { token, expires_at: None });
        assert_rejected(bench.verdict(), Rejection::Revoked);
        assert_eq!(other.asked.load(Ordering::Relaxed), 1, "its text is known");
    }
}

#[test]
fn readiness_is_the_local_sides_and_construction_asks_nobody() {
    let (checker, _answer) = Scripted::later();
    let bench = Bench::good(&[Arc::clone(&checker)]);
    assert_eq!(block_on(bench.verifier.ready(None).into_future()), Ok(()));
    assert_eq!(checker.asked(), 0);
    let health = bench.verifier.health(bench.arrival);
    assert_eq!((health.issuer.as_deref(), health.strategy), (Some("i"), Strategy::Hybrid));
    assert_eq!(health.parts.len(), 1);
}

#[test]
fn without_anybody_to_ask_there_is_no_verifier() {
    let clock: Arc<dyn Clock> = Arc::new(Hands { wall: AtomicI64::new(START), monotonic: AtomicU64::new(1) });
    let policy = ValidationPolicy::for_audience("api").build().unwrap();
    let local = Local::says(judged(&token_facts()));
    let built =
        HybridVerifier::builder(local, Vec::new(), policy, Env::new(clock, Arc::new(NothingRuns))).build();
    assert_eq!(built.unwrap_err(), ConfigError::NoChecker);
}
