//! One history: generated from a seed, lived through by real verifiers, judged by what an observer outside knows.

use std::fmt::Write as _;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::BoxFuture;
use verifier_core::claims::VerifiedToken;
use verifier_core::endpoint::{Endpoint, Schemes};
use verifier_core::error::{Rejection, UnavailableReason, VerifyError};
use verifier_core::evidence::{RevocationBasis, Strategy};
use verifier_core::freshness::Freshness;
use verifier_core::policy::{IssuerRules, Role, ValidationPolicy};
use verifier_core::profile::TokenProfile;
use verifier_core::revocation::{RevocationChecker, RevocationEvent, RevocationList};
use verifier_core::runtime::Env;
use verifier_core::time::{Clock, Now, WallTime};
use verifier_core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};
use verifier_core::transport::Limits;
use verifier_core::verifier::{ClaimsFrom, TokenVerifier, VerifyRequest};
use verifier_hybrid::{
    CheckWhen, HybridConfig, HybridVerifier, ListedVerifier, Opaque, Revocations, WhenUnknown,
};
use verifier_introspect::{
    AnswerFreshness, Cache, ClientAuth, EndpointSource, IntrospectionConfig, IntrospectionVerifier,
    Introspector,
};
use verifier_jwks::{JwksVerifier, UrlSource};

use super::Rng;
use super::clock::{START, SimClock};
use super::doubles::{Deaf, Flaw, Heard, Hoarder, NaiveChecker, Said, Witness};
use super::runtime::{Flag, Handle, SimRuntime};
use super::server::{Network, SimServer, Trouble};
use super::tokens::{ISSUER, Seals, Token};

/// The freshnesses of histories, in milliseconds: from none, over less than a flight takes, to far beyond.
const FRESHNESSES: [u64; 8] = [0, 1, 20, 200, 2_000, 10_000, 45_000, 90_000];
const MOST_STEPS: usize = 70;
const TOKENS: usize = 5;

/// How one history is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    pub strategy: Strategy,
    pub freshness: Option<Duration>,
    pub stale: Option<Duration>,
    pub claims: ClaimsFrom,
    pub exempt: Option<Duration>,
    pub leeway: Duration,
    pub slim: bool,
    pub caching: bool,
    pub negative_ttl: Duration,
    /// Whether the machine may sleep. If so its wall clock is never set back: both at once no clock can see.
    pub sleeps: bool,
    pub checker: Checker,
}

/// Whom a hybrid verifier asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checker {
    /// The real one. It heeds the freshness itself, and so would hide that the hybrid verifier doesn't.
    Introspector,
    /// One that tells whatever it holds, however old: what it says has to be judged by who asks.
    Hoarder,
    /// A simple one, wrong in this way.
    Naive(Flaw),
}

/// A way of breaking the contract.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Breach {
    ForgedAccepted,
    ExpiredAccepted,
    /// Nothing is known of a token that had to be checked.
    Unchecked,
    NotExempt,
    /// The evidence itself says that it is too old.
    TooOld,
    /// The promise itself: revoked before arrival - freshness.
    RevokedBefore,
    /// The evidence claims younger knowledge than there is.
    FalselyDated,
    /// The evidence is not what the checker said.
    FalseEvidence,
    /// Stale where that isn't allowed, or where no server failed.
    StaleNotAllowed,
    StaleThoughInactive,
    AcceptedAfterEvent,
    GoodRejected,
    WaitsForEver,
    UnknownBasis,
}

impl Setup {
    fn generate(rng: &mut Rng, flaw: Option<Flaw>) -> Self {
        let (strategy, checker) = match (flaw, rng.below(5)) {
            (Some(flaw), _) => (Strategy::Hybrid, Checker::Naive(flaw)),
            (None, 0) => (Strategy::Jwks, Checker::Introspector),
            (None, 1) => (Strategy::Introspection, Checker::Introspector),
            (None, 2) => (Strategy::Hybrid, Checker::Hoarder),
            (None, _) => (Strategy::Hybrid, Checker::Introspector),
        };
        let freshness = (!rng.one_in(12)).then(|| Duration::from_millis(*rng.pick(&FRESHNESSES)));
        let stale = freshness
            .filter(|_| strategy == Strategy::Hybrid && rng.one_in(2))
            .map(|freshness| freshness + Duration::from_millis(*rng.pick(&FRESHNESSES) + 1));
        let claims = if strategy == Strategy::Hybrid && rng.one_in(3) {
            ClaimsFrom::Introspection
        } else {
            ClaimsFrom::Token
        };
        let exempt = (claims == ClaimsFrom::Token && rng.one_in(4)).then(|| Duration::from_secs(900));
        Self {
            strategy,
            freshness,
            stale,
            claims,
            exempt,
            leeway: Duration::from_secs(*rng.pick(&[0, 30])),
            slim: flaw.is_none() && rng.one_in(2),
            caching: !rng.one_in(8),
            negative_ttl: Duration::from_secs(*rng.pick(&[0, 10])),
            sleeps: rng.one_in(2),
            checker,
        }
    }

    const fn is_naive(&self) -> bool {
        matches!(self.checker, Checker::Naive(_))
    }

    fn is_listed_only(&self) -> bool {
        self.strategy == Strategy::Jwks
    }
}

struct Call {
    token: usize,
    arrival: Now,
    arrived: u64,
    demand: Option<Duration>,
    future: BoxFuture<'static, Result<VerifiedToken, VerifyError>>,
    flag: Arc<Flag>,
    /// How often it has been polled.
    polls: usize,
}

/// What came of a history.
#[derive(Debug, Default)]
pub struct Outcome {
    pub violations: Vec<(Breach, String)>,
    pub accepted_fresh: usize,
    pub accepted_stale: usize,
    pub accepted_exempt: usize,
    pub accepted_unchecked: usize,
    pub rejected: usize,
    pub unavailable: usize,
    /// Of these, by a hybrid verifier that was told something too old.
    pub too_stale: usize,
    pub trail: String,
}

struct World {
    setup: Setup,
    rng: Rng,
    clock: Arc<SimClock>,
    runtime: Arc<SimRuntime>,
    server: Arc<SimServer>,
    list: Arc<Revocations>,
    verifier: Arc<dyn TokenVerifier>,
    tokens: Vec<Token>,
    /// Events that were taken in, and when.
    events: Vec<(RevocationEvent, u64)>,
    /// What the checker said to whom.
    heard: Arc<Heard>,
    /// Whether the server has told an untruth.
    lied: bool,
    /// How far the wall clock is off, in microseconds, and the furthest that it ever was ahead.
    offset: i64,
    furthest: i64,
    calls: Vec<Call>,
    outcome: Outcome,
    traced: bool,
}

/// Lives through the history of a seed.
pub fn live(seed: u64, flaw: Option<Flaw>, traced: bool) -> Outcome {
    let mut rng = Rng::new(seed);
    let setup = Setup::generate(&mut rng, flaw);
    let mut world = World::build(setup, rng, traced);
    world.issue();
    let steps = 20 + world.rng.below(MOST_STEPS - 20);
    for _ in 0..steps {
        world.step();
    }
    world.settle();
    world.outcome
}

impl World {
    fn build(setup: Setup, mut rng: Rng, traced: bool) -> Self {
        let clock = Arc::new(SimClock::new());
        let runtime = SimRuntime::new(Arc::clone(&clock));
        let server = SimServer::new(Arc::clone(&clock), setup.slim);
        let env = Env::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(Handle(Arc::clone(&runtime))));
        let list = Arc::new(Revocations::new(Arc::clone(&clock) as Arc<dyn Clock>));
        let heard = Arc::new(Heard::default());
        let seed = rng.next();
        let verifier = build_verifier(&setup, &env, &clock, &server, &list, &heard, seed);
        let mut outcome = Outcome::default();
        if traced {
            let _ = writeln!(outcome.trail, "{setup:?}");
        }
        Self {
            setup,
            rng,
            clock,
            runtime,
            server,
            list,
            verifier,
            tokens: Vec::new(),
            events: Vec::new(),
            heard,
            lied: false,
            offset: 0,
            furthest: 0,
            calls: Vec::new(),
            outcome,
            traced,
        }
    }

    fn note(&mut self, text: impl FnOnce(&Self) -> String) {
        if self.traced {
            let line = text(self);
            let at = self.clock.tick();
            let _ = writeln!(self.outcome.trail, "{:>14.6} {line}", (at - 1_000_000_000_000) as f64 / 1e9);
        }
    }

    fn issue(&mut self) {
        for n in 0..TOKENS {
            // Ten minutes old, so that no clock step makes them come from the future.
            let issued = START - 600;
            let lifetime = *self.rng.pick(&[640, 700, 900, 86_400, 86_400]);
            let opaque = !self.setup.is_naive() && self.rng.one_in(5);
            let forged = self.rng.one_in(10);
            let names_all = self.setup.is_naive() || self.rng.one_in(2);
            let token = Token::new(n, issued, lifetime, opaque, forged, names_all);
            self.server.issue(token.clone());
            self.note(|_| {
                format!("issue {n}: opaque {opaque} forged {forged} names {names_all} for {lifetime} s")
            });
            self.tokens.push(token);
        }
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..22 => self.call(),
            22..50 => {
                self.progress();
            }
            50..57 => {
                let most = 4 << self.rng.below(4);
                self.drain(most);
            }
            57..59 => self.episode(),
            59..61 => self.overtaking(),
            61..74 => {
                let millis = 1_usize << self.rng.below(16);
                let millis = millis + self.rng.below(millis);
                self.advance(Duration::from_millis(millis as u64));
            }
            74..81 => self.revoke(),
            81..84 => self.ingest(),
            84..90 => self.disturb_clock(),
            90..97 => {
                let trouble =
                    if self.rng.one_in(2) { Trouble::Nothing } else { *self.rng.pick(&Trouble::ALL) };
                self.set_trouble(trouble);
            }
            97..99 => {
                if !self.calls.is_empty() {
                    let n = self.rng.below(self.calls.len());
                    drop(self.calls.swap_remove(n));
                }
            }
            _ => self.runtime.lose_one(&mut self.rng),
        }
    }

    /// Something that can go on does: the network, a task, or a caller.
    fn progress(&mut self) -> bool {
        match self.rng.below(3) {
            0 if self.server.go_on(&mut self.rng) => true,
            1 if self.runtime.run_one(&mut self.rng) => true,
            _ => {
                let ready: Vec<usize> =
                    (0..self.calls.len()).filter(|n| self.calls[*n].flag.is_raised()).collect();
                if ready.is_empty() {
                    return self.runtime.run_one(&mut self.rng) || self.server.go_on(&mut self.rng);
                }
                let n = *self.rng.pick(&ready);
                self.poll(n);
                true
            }
        }
    }

    /// As much as can go on without time passing, within a bound.
    fn drain(&mut self, most: usize) {
        for _ in 0..most {
            if !self.progress() {
                return;
            }
        }
    }

    /// What chance alone would hardly ever bring together: a token is verified, some time passes, trouble begins, and
    /// the same token comes again.
    fn episode(&mut self) {
        let token = self.rng.below(self.tokens.len());
        self.set_trouble(Trouble::Nothing);
        self.call_for(token);
        self.drain(40);
        let near = self.setup.freshness.unwrap_or_default().max(Duration::from_millis(1));
        let millis = near.as_millis() as usize;
        let passing = millis / 2 + self.rng.below(millis + 1);
        self.advance(Duration::from_millis(passing as u64));
        if self.rng.one_in(4) {
            self.revoke_at_the_server(token);
        }
        let trouble = if self.rng.one_in(2) { Trouble::Unreachable } else { *self.rng.pick(&Trouble::ALL) };
        self.set_trouble(trouble);
        self.call_for(token);
        self.drain(20);
        for _ in 0..self.rng.below(4) {
            if let Some(next) = self.runtime.next_timer() {
                self.advance(next);
                self.drain(20);
            }
        }
    }

    /// A token is asked about again while a question is in the air, and is revoked before or after that was answered;
    /// then the server fails, before or after the second question.
    fn overtaking(&mut self) {
        let token = self.rng.below(self.tokens.len());
        let near = self.setup.freshness.unwrap_or_default() + Duration::from_millis(1);
        self.set_trouble(Trouble::Nothing);
        if self.rng.one_in(2) {
            self.call_with(token, None);
            self.drain(40);
            self.advance(near);
        }
        // The one is tried again after a rest, the other isn't.
        let failing = *self.rng.pick(&[Trouble::Unreachable, Trouble::Fails500]);
        let before = self.rng.one_in(2);
        if before {
            self.revoke_at_the_server(token);
        }
        self.call_for(token);
        let few = self.rng.below(4);
        self.drain(few);
        if !before {
            self.revoke_at_the_server(token);
        }
        self.advance(near);
        self.call_with(token, None);
        if self.rng.one_in(2) {
            self.set_trouble(failing);
        }
        self.drain(40);
        if self.rng.one_in(2) {
            self.advance(near);
        }
        self.set_trouble(failing);
        self.call_with(token, None);
        self.drain(20);
    }

    fn revoke_at_the_server(&mut self, token: usize) {
        self.server.revoke(token);
        self.note(|_| format!("revoke {token}"));
    }

    fn set_trouble(&mut self, trouble: Trouble) {
        self.lied |= trouble.lies();
        self.note(|_| format!("trouble: {trouble:?}"));
        self.server.set_trouble(trouble);
    }

    fn advance(&mut self, d: Duration) {
        self.clock.advance(d);
        self.runtime.fire_timers();
        self.note(|_| format!("advance {d:?}"));
    }

    fn disturb_clock(&mut self) {
        if self.setup.sleeps && self.rng.one_in(2) {
            let slept = Duration::from_millis(1 << self.rng.below(17));
            self.clock.sleep(slept);
            self.note(|_| format!("the machine slept {slept:?}"));
            return;
        }
        let target = self.rng.below(200_000_000) as i64 - 100_000_000;
        let step = if self.setup.sleeps { (target - self.offset).max(0) } else { target - self.offset };
        self.offset += step;
        self.furthest = self.furthest.max(self.offset);
        self.clock.step_wall(step);
        self.note(|_| format!("the wall clock is set by {step} us"));
    }

    fn call(&mut self) {
        let token = self.rng.below(self.tokens.len());
        self.call_for(token);
    }

    fn call_for(&mut self, token: usize) {
        let demand = match self.rng.below(4) {
            0 => Some(Duration::ZERO),
            1 => Some(Duration::from_millis(*self.rng.pick(&FRESHNESSES))),
            _ => None,
        };
        self.call_with(token, demand);
    }

    fn call_with(&mut self, token: usize, demand: Option<Duration>) {
        let arrived = self.clock.tick();
        let arrival = self.clock.now();
        let deadline = self.rng.one_in(3).then(|| arrival.monotonic.plus(Duration::from_secs(5)));
        let verifier = Arc::clone(&self.verifier);
        let text = self.tokens[token].text.clone();
        let future: BoxFuture<'static, _> = Box::pin(async move {
            let token = AccessToken::new(&text, DEFAULT_MAX_TOKEN_LEN)?;
            let mut request = VerifyRequest::new(&token, arrival);
            if let Some(demand) = demand {
                request = request.with_freshness(Freshness::at_most(demand));
            }
            if let Some(deadline) = deadline {
                request = request.with_deadline(deadline);
            }
            let judged = verifier.verify(&request).await?;
            judged.finish(&request)
        });
        self.note(|_| format!("call for {token}, demanding {demand:?}"));
        self.calls.push(Call { token, arrival, arrived, demand, future, flag: Flag::raised(), polls: 0 });
        if !self.rng.one_in(5) {
            self.poll(self.calls.len() - 1);
        }
    }

    fn poll(&mut self, n: usize) {
        let call = &mut self.calls[n];
        call.flag.lower();
        call.polls += 1;
        let waker = Waker::from(Arc::clone(&call.flag));
        let polled = call.future.as_mut().poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(result) = polled {
            let call = self.calls.swap_remove(n);
            self.judge(&call, result);
        }
    }

    fn revoke(&mut self) {
        let token = self.rng.below(self.tokens.len());
        self.revoke_at_the_server(token);
        if self.rng.one_in(3) {
            self.ingest_about(token);
        }
    }

    fn ingest(&mut self) {
        let token = self.rng.below(self.tokens.len());
        self.ingest_about(token);
    }

    fn ingest_about(&mut self, n: usize) {
        let token = &self.tokens[n];
        let issuer = ISSUER.to_owned();
        let limit = token.issued_at + self.rng.below(3) as i64 - 1;
        let event = match self.rng.below(6) {
            0..2 => RevocationEvent::Token {
                issuer,
                jwt_id: token.jwt_id.clone(),
                expires_at: self.rng.one_in(2).then_some(token.expires_at),
            },
            2 => RevocationEvent::Subject {
                issuer,
                subject: token.subject.clone(),
                issued_at_or_before: limit,
            },
            3 => RevocationEvent::Session { issuer, session: token.session.clone() },
            4 if self.rng.one_in(8) => {
                RevocationEvent::Client { issuer, client: token.client.clone(), issued_at_or_before: limit }
            }
            _ => RevocationEvent::Text {
                token: AccessToken::new(&token.text, DEFAULT_MAX_TOKEN_LEN).unwrap().digest(),
                expires_at: Some(token.expires_at),
            },
        };
        self.list.ingest(&event).unwrap();
        let at = self.clock.tick();
        self.note(|_| format!("event {event:?}"));
        self.events.push((event, at));
    }

    /// The server recovers, everything that is under way comes to its end, and every caller gets his.
    fn settle(&mut self) {
        self.server.set_trouble(Trouble::Nothing);
        self.note(|_| "settling".to_owned());
        for token in 0..self.tokens.len() {
            if self.rng.one_in(2) && token != 0 {
                continue;
            }
            self.call();
        }
        for _ in 0..2_000 {
            if self.calls.is_empty() {
                return;
            }
            if !self.progress() {
                let next = self.runtime.next_timer().unwrap_or(Duration::from_secs(60));
                self.advance(next + Duration::from_millis(1));
            }
        }
        let left = self.calls.len();
        self.violate(Breach::WaitsForEver, format!("{left} callers wait for ever"));
    }

    fn violate(&mut self, breach: Breach, text: String) {
        self.note(|_| format!("VIOLATION: {breach:?}: {text}"));
        self.outcome.violations.push((breach, text));
    }

    fn judge(&mut self, call: &Call, result: Result<VerifiedToken, VerifyError>) {
        let ended = self.clock.tick();
        match result {
            Ok(verified) => {
                self.note(|_| {
                    format!("token {} accepted on {:?}", call.token, verified.evidence().revocation)
                });
                self.judge_acceptance(call, &verified, ended);
            }
            Err(VerifyError::Rejected(why)) => {
                self.note(|_| format!("token {} rejected: {why}", call.token));
                self.outcome.rejected += 1;
                self.judge_rejection(call, why);
            }
            Err(other) => {
                self.note(|_| format!("token {}: {other}", call.token));
                self.outcome.unavailable += 1;
                let told_too_old = self.setup.checker == Checker::Hoarder && call.demand.is_none();
                if told_too_old && other == UnavailableReason::TooStale.into() {
                    self.outcome.too_stale += 1;
                }
            }
        }
    }

    fn judge_acceptance(&mut self, call: &Call, verified: &VerifiedToken, ended: u64) {
        let token = self.tokens[call.token].clone();
        let setup = self.setup.clone();
        let who = call.token;
        if token.forged {
            self.violate(Breach::ForgedAccepted, format!("{who}: a forged token was accepted"));
        }
        let end = WallTime::from_unix_seconds(token.expires_at).plus(setup.leeway);
        // Who was awaited is judged by the later of both readings; who wasn't, by his arrival.
        let wall = self.clock.now().wall;
        let judged_at = if call.polls > 1 { call.arrival.wall.max(wall) } else { call.arrival.wall };
        if judged_at >= end {
            self.violate(Breach::ExpiredAccepted, format!("{who}: was expired"));
        }
        let basis = verified.evidence().revocation;
        self.judge_events(call, &token, verified, ended);

        let demanded = |limit: Duration| call.demand.map_or(limit, |demand| demand.min(limit));
        let fresh = demanded(setup.freshness.unwrap_or(Duration::MAX));
        match basis {
            RevocationBasis::NotChecked => {
                self.outcome.accepted_unchecked += 1;
                if !setup.is_listed_only() || call.demand.is_some() {
                    self.violate(Breach::Unchecked, format!("{who}: accepted without any knowledge"));
                }
            }
            RevocationBasis::Exempt => {
                self.outcome.accepted_exempt += 1;
                let lifetime = Duration::from_secs((token.expires_at - token.issued_at) as u64);
                if token.opaque || call.demand.is_some() || setup.exempt.is_none_or(|limit| lifetime > limit)
                {
                    self.violate(Breach::NotExempt, format!("{who}: was not to be exempt"));
                }
            }
            RevocationBasis::Active { as_of, .. } => {
                self.outcome.accepted_fresh += 1;
                self.judge_source(call, Basis::Fresh(as_of));
                self.judge_age(call, as_of, fresh, ended);
            }
            RevocationBasis::Stale { as_of, .. } => {
                self.outcome.accepted_stale += 1;
                match setup.stale {
                    Some(limit) => self.judge_age(call, as_of, demanded(limit), ended),
                    None => self.violate(Breach::StaleNotAllowed, format!("{who}: stale was not allowed")),
                }
                self.judge_source(call, Basis::Stale(as_of));
                let known = self.clock.true_time_of(as_of.monotonic);
                let later_no = self.server.evaluations().iter().any(|one| {
                    one.token == who
                        && !one.active
                        && one.consumed
                        && one.sent > known
                        && one.sent < call.arrived
                });
                if later_no {
                    self.violate(
                        Breach::StaleThoughInactive,
                        format!("{who}: stale, though last known inactive"),
                    );
                }
            }
            _ => self.violate(Breach::UnknownBasis, format!("{who}: an unknown basis")),
        }
    }

    /// Whether a hybrid's evidence is what its checker said to this very call; stale needs a server that failed.
    fn judge_source(&mut self, call: &Call, basis: Basis) {
        let token = &self.tokens[call.token];
        if self.setup.strategy != Strategy::Hybrid || token.opaque {
            return;
        }
        let digest = AccessToken::new(&token.text, DEFAULT_MAX_TOKEN_LEN).unwrap().digest();
        let said = self.heard.by(digest, call.arrival.monotonic);
        let who = call.token;
        match (basis, said) {
            (Basis::Fresh(as_of), Some(Said::Active(said))) if said == as_of => {}
            (Basis::Stale(as_of), Some(Said::CouldNotAsk(why, Some(said)))) if said == as_of => {
                if !is_servers_fault(why) {
                    self.violate(Breach::StaleNotAllowed, format!("{who}: stale, because of {why}"));
                }
            }
            _ => self.violate(Breach::FalseEvidence, format!("{who}: on {basis:?}, where was said {said:?}")),
        }
    }

    /// The promise itself, and whether the evidence is true.
    fn judge_age(&mut self, call: &Call, as_of: Now, limit: Duration, ended: u64) {
        let who = call.token;
        if call.arrival.since(as_of) > limit {
            self.violate(Breach::TooOld, format!("{who}: by its own evidence older than {limit:?}"));
        }
        let oldest = call.arrived.saturating_sub(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
        // Wall clocks count microseconds; only where a sleep has to be seen by them do they matter.
        let tolerance = if self.setup.sleeps { 10_000 } else { 0 };
        if self.server.revoked_at(who).is_some_and(|revoked| revoked + tolerance < oldest) {
            self.violate(Breach::RevokedBefore, format!("{who}: revoked before arrival - {limit:?}"));
        }
        let dated = self.clock.true_time_of(as_of.monotonic);
        // Without a signed token beside it, an answer is all that is known of whose token it is.
        let by_answer_alone = self.setup.strategy == Strategy::Introspection || self.tokens[who].opaque;
        let backed = self.server.evaluations().iter().any(|one| {
            one.token == who
                && one.active
                && (!one.of_another || by_answer_alone)
                && one.consumed
                && one.evaluated >= dated
                && one.evaluated <= ended
        });
        if !backed {
            self.violate(
                Breach::FalselyDated,
                format!("{who}: the evidence claims younger knowledge than there is"),
            );
        }
    }

    /// No acceptance ends after an event was taken in that covers the token: by what the verifier can see of it, or,
    /// where the server knew of the revocation by then, by what it is.
    fn judge_events(&mut self, call: &Call, token: &Token, verified: &VerifiedToken, ended: u64) {
        let asks = matches!(
            verified.evidence().revocation,
            RevocationBasis::Active { .. } | RevocationBasis::Stale { .. }
        );
        let in_token = !token.opaque && token.names_all && !(self.setup.strategy == Strategy::Introspection);
        let in_answer = asks && !self.setup.slim;
        let revoked = self.server.revoked_at(call.token);
        let digest = AccessToken::new(&token.text, DEFAULT_MAX_TOKEN_LEN).unwrap().digest();
        let mut missed = None;
        for (event, at) in &self.events {
            let (covers, visible) = match event {
                RevocationEvent::Token { jwt_id, .. } => (*jwt_id == token.jwt_id, in_token || in_answer),
                RevocationEvent::Session { session, .. } => {
                    (*session == token.session, in_token || in_answer)
                }
                RevocationEvent::Subject { subject, issued_at_or_before, .. } => (
                    *subject == token.subject && token.issued_at <= *issued_at_or_before,
                    in_token || in_answer,
                ),
                RevocationEvent::Client { client, issued_at_or_before, .. } => {
                    // An answer that was given for another token names another client.
                    let named = std::iter::once(verified.facts()).chain(verified.other_facts());
                    let visible = named.into_iter().any(|facts| facts.client_id() == Some(client));
                    (*client == token.client && token.issued_at <= *issued_at_or_before, visible)
                }
                RevocationEvent::Text { token: text, .. } => (*text == digest, true),
                _ => (false, false),
            };
            // Only who reads the log of events asks again because of one.
            let server_knew = asks
                && self.setup.checker != Checker::Hoarder
                && revoked.is_some_and(|revoked| revoked < *at);
            if covers && (visible || server_knew) && *at < ended {
                missed = Some(event.clone());
            }
        }
        if let Some(event) = missed {
            self.violate(Breach::AcceptedAfterEvent, format!("{}: accepted after {event:?}", call.token));
        }
    }

    /// "Bad token" is never said of a good one, whatever is wrong with the server or the clocks.
    fn judge_rejection(&mut self, call: &Call, why: Rejection) {
        let token = self.tokens[call.token].clone();
        let takes_opaque = self.setup.strategy != Strategy::Jwks && !self.setup.is_naive();
        let expected = if token.opaque && !takes_opaque {
            why == Rejection::NotAJwt
        } else {
            token.forged
                || self.lied
                || self.server.revoked_at(call.token).is_some()
                || self.events.iter().any(|_| why == Rejection::Revoked)
                || (why == Rejection::Expired || why == Rejection::Inactive) && self.may_be_over(&token)
        };
        if !expected {
            self.violate(Breach::GoodRejected, format!("{}: a good token was rejected: {why}", call.token));
        }
    }

    fn may_be_over(&self, token: &Token) -> bool {
        self.clock.true_seconds() + self.furthest / 1_000_000 + 1 >= token.expires_at
    }
}

#[derive(Clone, Copy, Debug)]
enum Basis {
    Fresh(Now),
    Stale(Now),
}

/// Which failures the contract lets stale knowledge stand in for; written down once more, not taken from the code.
const fn is_servers_fault(why: UnavailableReason) -> bool {
    use UnavailableReason as U;
    matches!(
        why,
        U::ConnectFailed
            | U::TlsFailed
            | U::TimedOut
            | U::ServerError
            | U::RateLimited
            | U::UnreadableAnswer
            | U::BreakerOpen
    )
}

fn build_verifier(
    setup: &Setup,
    env: &Env,
    clock: &Arc<SimClock>,
    server: &Arc<SimServer>,
    list: &Arc<Revocations>,
    heard: &Arc<Heard>,
    seed: u64,
) -> Arc<dyn TokenVerifier> {
    let rules = IssuerRules::new(ISSUER, TokenProfile::generic()).unwrap();
    let policy = ValidationPolicy::for_audience("api").leeway(setup.leeway).build().unwrap();
    let network = Arc::new(Network(Arc::clone(server)));
    let endpoint = |path: &str| Endpoint::parse(&format!("{ISSUER}/{path}"), Schemes::Secure).unwrap();
    let as_list = || Arc::clone(list) as Arc<dyn RevocationList>;

    let seconds = Duration::from_secs;
    let limits = Limits { connect: seconds(2), total: seconds(5), body: 1 << 19 };
    let source = UrlSource::new(endpoint("jwks"), Arc::clone(&network) as _, limits);
    let role = match setup.claims {
        ClaimsFrom::Introspection => Role::Corroborates,
        _ => Role::Decides,
    };
    let local = JwksVerifier::builder(rules.clone(), policy.clone(), Arc::new(source), env.clone())
        .backend(Arc::new(Seals))
        .role(role)
        .build()
        .unwrap();
    if setup.strategy == Strategy::Jwks {
        return Arc::new(ListedVerifier::new(Arc::new(local), as_list()));
    }

    let mut config = IntrospectionConfig::new(ClientAuth::None);
    config.freshness = setup.freshness.map_or(AnswerFreshness::UntilExpiry, AnswerFreshness::AtMost);
    config.stale_allowance = setup.stale.unwrap_or_default();
    config.negative_ttl = setup.negative_ttl;
    if !setup.caching {
        config.cache = Cache::Off;
    }
    let endpoint = EndpointSource::Fixed(endpoint("introspect"));
    let introspector =
        Introspector::builder(rules.clone(), endpoint, config, Arc::clone(&network) as _, env.clone())
            .log(list.log(ISSUER))
            .build()
            .unwrap();
    let asking = IntrospectionVerifier::new(introspector.clone(), policy.clone()).with_revocations(as_list());
    if setup.strategy == Strategy::Introspection {
        return Arc::new(asking);
    }

    let mut config = HybridConfig::default().with_claims(setup.claims);
    config = match setup.freshness {
        Some(age) => config.with_freshness(age),
        None => config.fresh_until_expiry(),
    };
    if let Some(up_to) = setup.stale {
        config = config.with_when_unknown(WhenUnknown::AllowStale { up_to });
    }
    if let Some(threshold) = setup.exempt {
        config = config.with_check_when(CheckWhen::LifetimeOver(threshold));
    }
    let flaw = match setup.checker {
        Checker::Naive(flaw) => Some(flaw),
        _ => None,
    };
    let checker: Arc<dyn RevocationChecker> = match setup.checker {
        Checker::Introspector => Arc::new(introspector),
        Checker::Hoarder => {
            Arc::new(Hoarder::new(NaiveChecker::new(Arc::clone(clock), network, rules, Flaw::None), seed))
        }
        Checker::Naive(flaw) => Arc::new(NaiveChecker::new(Arc::clone(clock), network, rules, flaw)),
    };
    let checker: Arc<dyn RevocationChecker> = Arc::new(Witness::new(checker, Arc::clone(heard)));
    let local: Arc<dyn TokenVerifier> = if flaw.is_some() {
        Arc::new(ListedVerifier::new(Arc::new(local), as_list()))
    } else {
        config = config.with_opaque(Opaque::Introspect(Arc::new(asking)));
        Arc::new(local)
    };
    let hybrid = HybridVerifier::builder(local, vec![checker], policy, env.clone());
    let hybrid = if flaw == Some(Flaw::EventIgnoredAfterTheWait) {
        hybrid.revocations(Arc::new(Deaf))
    } else {
        hybrid.revocations(as_list())
    };
    Arc::new(hybrid.config(config).build().unwrap())
}
