//! One introspection endpoint, asked on behalf of many: looks among the kept answers, shares one question between all
//! who ask for the same token, and keeps what comes back. `Introspector` is both what [`IntrospectionVerifier`] stands
//! on and a [`RevocationChecker`].
//!
//! [`IntrospectionVerifier`]: crate::IntrospectionVerifier
//! [`RevocationChecker`]: verifier_core::revocation::RevocationChecker

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use verifier_core::error::{Rejection, Unavailable, UnavailableReason};
use verifier_core::evidence::Strategy;
use verifier_core::health::{Health, HealthNote};
use verifier_core::identity::Identity;
use verifier_core::policy::IssuerRules;
use verifier_core::revocation::RevocationLog;
use verifier_core::runtime::Env;
use verifier_core::single_flight::{FlightEnd, SingleFlight};
use verifier_core::time::{Instant, Now};
use verifier_core::token::{AccessToken, Digest, OwnedToken, Shape};
use verifier_core::transport::{HttpTransport, Limits};
use verifier_core::upstream::{Priority, Upstream};
use verifier_core::verifier::Asked;

use crate::answers::{Answers, Key, Record, Status};
use crate::client_auth::{Credentials, Surroundings};
use crate::config::{BuildError, IntrospectionConfig};
use crate::events::Events;
use crate::place::{EndpointSource, Place, Wanted};
use crate::request::RequestForm;
use crate::retention::{Retention, is_fresh, wants_refresh};
use crate::signed::{self, SignedReader};

/// How often a caller asks anew because what came was overtaken by a revocation event, or too old for him.
const ROUNDS: u32 = 4;
/// On top of what a flight may take by its limits, before it is taken for lost.
const OVERDUE_MARGIN: Duration = Duration::from_secs(30);

/// One introspection endpoint. Clones share everything.
#[derive(Clone)]
pub struct Introspector(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) rules: IssuerRules,
    pub(crate) place: Place,
    pub(crate) form: RequestForm,
    pub(crate) credentials: Credentials,
    /// Present if only signed answers count.
    pub(crate) signed: Option<SignedReader>,
    pub(crate) transport: Arc<dyn HttpTransport>,
    pub(crate) env: Env,
    pub(crate) limits: Limits,
    pub(crate) retention: Retention,
    pub(crate) upstream: Upstream,
    pub(crate) answers: Arc<Answers>,
    pub(crate) events: Events,
    flights: SingleFlight<Key, Result<Arc<Record>, Unavailable>>,
    scope: Digest,
}

/// Builds an [`Introspector`].
#[derive(Debug)]
#[must_use]
pub struct IntrospectorBuilder {
    rules: IssuerRules,
    endpoint: EndpointSource,
    config: IntrospectionConfig,
    transport: Arc<dyn HttpTransport>,
    env: Env,
    answers: Option<Arc<Answers>>,
    log: Option<Arc<RevocationLog>>,
}

impl IntrospectorBuilder {
    /// Judges kept answers by the revocation events of this log, the one that events of this issuer are written to.
    pub fn log(mut self, log: Arc<RevocationLog>) -> Self {
        self.log = Some(log);
        self
    }

    /// Keeps answers here, where those of a predecessor may be found. Brings its own log, which wins over
    /// [`log`](Self::log); the configured sizes don't apply.
    pub fn answers(mut self, answers: Arc<Answers>) -> Self {
        self.answers = Some(answers);
        self
    }

    /// The introspector. Asks nothing and starts nothing; reads secret files.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<Introspector, BuildError> {
        let Self { rules, endpoint, config, transport, env, answers, log } = self;
        config.validate()?;
        let form = RequestForm::new(config.token_type_hint, &config.parameters, &config.headers)?
            .for_signed_answers(config.signed_answers.is_some());
        let signed = config
            .signed_answers
            .clone()
            .map(|wanted| SignedReader::new(wanted, config.client_auth.client_id(), &rules))
            .transpose()?;
        let upstream = Upstream::new(env.clone(), config.upstream).map_err(BuildError::Upstream)?;
        // Waiting for a slot, finding the address, one call, and the same for a token: a flight that takes longer has
        // lost its runtime.
        let overdue = config
            .upstream
            .max_wait
            .saturating_add(config.limits.total.saturating_mul(8))
            .saturating_add(OVERDUE_MARGIN);
        let place_name = match &endpoint {
            EndpointSource::Fixed(endpoint) => endpoint.as_str().to_owned(),
            EndpointSource::Discovered { discovery, .. } => format!("discovered from {}", discovery.issuer()),
        };
        let by_tls = config.client_auth.is_by_tls();
        let wanted = if by_tls { Wanted::MtlsIntrospection } else { Wanted::Introspection };
        let place = Place::new(endpoint, wanted, &env, overdue)?;
        let retention = config.retention();
        let around = Surroundings {
            issuer: Arc::clone(rules.issuer()),
            transport: Arc::clone(&transport),
            env: env.clone(),
            limits: config.limits,
            upstream: upstream.clone(),
            overdue,
        };
        let credentials = Credentials::load(config.client_auth, around)?;
        let answers =
            answers.unwrap_or_else(|| Arc::new(Answers::new(config.cache, log.unwrap_or_default())));
        let scope = scope(&rules, &place_name, &credentials, &form, signed.as_ref());
        Ok(Introspector(Arc::new(Inner {
            rules,
            place,
            form,
            credentials,
            signed,
            transport,
            flights: SingleFlight::new(env.clone(), overdue),
            env,
            limits: config.limits,
            retention,
            upstream,
            answers,
            events: Events::default(),
            scope,
        })))
    }
}

/// Whatever an answer, or its reading, depends on beside the token.
fn scope(
    rules: &IssuerRules,
    place: &str,
    credentials: &Credentials,
    form: &RequestForm,
    signed: Option<&SignedReader>,
) -> Digest {
    let (method, who) = credentials.scope();
    // What is read from an answer depends on issuer names and profile; their debug form is whole.
    let rules = format!("{rules:?}");
    let parts: Vec<&[u8]> = [rules.as_bytes(), place.as_bytes(), method.as_bytes(), &who]
        .into_iter()
        .chain(form.scope())
        .chain(signed.into_iter().flat_map(SignedReader::scope))
        .collect();
    Digest::of_parts(&parts)
}

impl Introspector {
    /// An endpoint of the issuer of `rules`, asked through `transport` by tasks of `env`.
    pub fn builder(
        rules: IssuerRules,
        endpoint: EndpointSource,
        config: IntrospectionConfig,
        transport: Arc<dyn HttpTransport>,
        env: Env,
    ) -> IntrospectorBuilder {
        IntrospectorBuilder { rules, endpoint, config, transport, env, answers: None, log: None }
    }

    /// The issuer's name.
    pub fn issuer(&self) -> &Arc<str> {
        self.0.rules.issuer()
    }

    /// The kept answers: to be handed to a successor.
    pub fn answers(&self) -> &Arc<Answers> {
        &self.0.answers
    }

    /// The log of revocation events that kept answers are judged by.
    pub fn log(&self) -> &Arc<RevocationLog> {
        self.0.answers.log()
    }

    /// Greatest age of an active answer, as configured; [`Duration::MAX`] for as long as the token lives.
    pub fn freshness(&self) -> Duration {
        self.0.retention.freshness
    }

    /// Questions in the air, or waiting behind one.
    pub fn in_flight(&self) -> usize {
        self.0.flights.len()
    }

    /// Resolves once the address of the endpoint is known: at once, with nothing asked, where the configuration names
    /// it. Whether the server takes our credentials shows only when it is asked about a token.
    ///
    /// # Errors
    /// Why the issuer's metadata can't be had, or that they name no acceptable endpoint (`Misconfigured`);
    /// `DeadlineExceeded`.
    pub fn ready(&self, deadline: Option<Instant>) -> Asked<'_, Result<(), Unavailable>> {
        if self.0.place.known().is_some() {
            return Asked::Ready(Ok(()));
        }
        Asked::Pending(Box::pin(async move {
            self.before(deadline, Box::pin(self.0.place.find())).await?.map(drop).map_err(|shared| shared.why)
        }))
    }

    /// What is to be seen from outside. Refused credentials are a note and leave the state ready: a firewall that turns
    /// one odd token away must not take the service down.
    pub fn health(&self, _now: Now) -> Health {
        let mut health = Health::new(Some(self.issuer().as_ref().into()), Strategy::Introspection);
        let upstream = self.0.upstream.health();
        if self.0.place.known().is_none() {
            let why = upstream.last_failure.map(|(_, why)| why);
            health.ready = Err(why.unwrap_or(UnavailableReason::StatusUnknown.into()));
        }
        health.upstream = Some(upstream);
        health.notes = self.0.events.notes();
        let refused = HealthNote::CredentialsRefused;
        if self.0.credentials.are_refused() && !health.notes.contains(&refused) {
            health.notes.push(refused);
        }
        health
    }

    /// Under what an answer for this token is kept.
    fn key(&self, token: &AccessToken<'_>) -> Key {
        Key { token: token.digest(), scope: self.0.scope }
    }

    /// What is held for a token, without asking. Nudges a background question where one is due.
    pub(crate) fn look(
        &self,
        token: &AccessToken<'_>,
        arrival: Now,
        freshness: Duration,
        verified: Option<&Verified>,
    ) -> Look {
        let key = self.key(token);
        let mut known = false;
        if let Some(record) = self.0.answers.latest(&key, arrival) {
            match &record.status {
                Status::Active(_) => {
                    known = true;
                    // What an event may have ended is known no more, whatever its age.
                    if !record.is_touched(self.log(), verified.map(|it| &it.who), key.token)
                        && is_fresh(record.as_of, arrival, freshness)
                    {
                        self.nudge(token, &record, arrival, freshness, verified);
                        return Look::Answer(record);
                    }
                }
                Status::Lapsed => known = record.is_kept(arrival),
                Status::Inactive | Status::Unacceptable(_) => {
                    if record.is_kept(arrival) {
                        return Look::Answer(record);
                    }
                }
                Status::Refused(_) => {}
            }
        }
        match self.0.answers.refusal(&key, arrival).map(|record| record.status.clone()) {
            Some(Status::Refused(why)) => Look::Refused { why },
            _ => Look::Ask { known },
        }
    }

    /// Beyond 80 % of the age at which it can be used, an answer is asked for again while it still serves.
    fn nudge(
        &self,
        token: &AccessToken<'_>,
        record: &Record,
        arrival: Now,
        freshness: Duration,
        verified: Option<&Verified>,
    ) {
        let usable_for = self.0.retention.usable_for(freshness, record.expires_at());
        if !wants_refresh(record.as_of, arrival, usable_for)
            || !record.claim_nudge(arrival.monotonic, usable_for / 10)
        {
            return;
        }
        let question = Question {
            key: self.key(token),
            token: token.to_owned_token(),
            arrival,
            freshness,
            verified: verified.copied(),
            priority: Priority::Known,
        };
        let newer = record.as_of.monotonic.plus(Duration::from_nanos(1));
        drop(self.board(&Arc::new(question), newer)); // it lands without us
    }

    /// The answer to a question that nothing held answers.
    pub(crate) async fn ask(
        &self,
        question: Question,
        deadline: Option<Instant>,
    ) -> Result<Arc<Record>, Unavailable> {
        let question = Arc::new(question);
        let mut not_before = question.arrival.monotonic.minus(question.freshness);
        let mut end = Unavailable::new(UnavailableReason::StatusUnknown);
        for _ in 0..ROUNDS {
            if deadline.is_some_and(|deadline| deadline <= self.0.env.clock.now().monotonic) {
                return Err(UnavailableReason::DeadlineExceeded.into());
            }
            let landed = match self.before(deadline, self.board(&question, not_before)).await? {
                Ok(landed) => landed?,
                Err(lost @ FlightEnd::Lost) => {
                    end = lost.into(); // with its runtime; the next one may find another
                    continue;
                }
                Err(failed) => return Err(failed.into()),
            };
            if !matches!(landed.status, Status::Active(_)) {
                return Ok(landed);
            }
            // Whatever happened while we waited counts, too.
            if landed.is_touched(self.log(), question.who(), question.key.token) {
                not_before = self.0.env.clock.now().monotonic;
            } else if is_fresh(landed.as_of, question.arrival, question.freshness) {
                return Ok(landed);
            }
            end = UnavailableReason::StatusUnknown.into();
        }
        Err(end)
    }

    fn board(
        &self,
        question: &Arc<Question>,
        not_before: Instant,
    ) -> verifier_core::single_flight::Ticket<Result<Arc<Record>, Unavailable>> {
        let inner = Arc::clone(&self.0);
        let question = Arc::clone(question);
        self.0.flights.fly(question.key, not_before, move |departure| {
            Box::pin(async move { inner.fly(&question, not_before, &departure).await })
        })
    }

    /// What comes before the deadline.
    async fn before<F: Future + Unpin>(
        &self,
        deadline: Option<Instant>,
        answer: F,
    ) -> Result<F::Output, Unavailable> {
        let Some(deadline) = deadline else { return Ok(answer.await) };
        let left = deadline.since(self.0.env.clock.now().monotonic);
        if left.is_zero() {
            return Err(UnavailableReason::DeadlineExceeded.into());
        }
        match select(answer, self.0.env.runtime.sleep(left)?).await {
            Either::Left((answer, _)) => Ok(answer),
            Either::Right(_) => Err(UnavailableReason::DeadlineExceeded.into()),
        }
    }

    /// A question on behalf of a request, for the one who is about to ask it.
    ///
    /// # Errors
    /// The gate's [`Rejection`]: what no server is to see.
    pub(crate) fn question(
        &self,
        token: &AccessToken<'_>,
        arrival: Now,
        freshness: Duration,
        verified: Option<Verified>,
        known: bool,
    ) -> Result<Question, Rejection> {
        // RFC 9701 §8.1: what was said of a token is no token, whatever some server may make of it.
        if matches!(token.shape()?, Shape::Jwt(jwt) if jwt.header().is_type(signed::TYPE)) {
            return Err(Rejection::WrongType);
        }
        let priority = if known || verified.is_some() { Priority::Known } else { Priority::Unknown };
        let (key, token) = (self.key(token), token.to_owned_token());
        Ok(Question { key, token, arrival, freshness, verified, priority })
    }
}

/// What is held for a token.
#[derive(Debug)]
pub(crate) enum Look {
    /// An answer that will do.
    Answer(Arc<Record>),
    /// The server refused to answer for it a short while ago, or said of it what can't be read.
    Refused { why: Unavailable },
    /// Nothing that will do. `known`: it was active when last asked.
    Ask { known: bool },
}

/// One token to ask about, with the demand of the first who asked.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) key: Key,
    pub(crate) token: OwnedToken,
    pub(crate) arrival: Now,
    pub(crate) freshness: Duration,
    /// What is known of the token, if it was verified locally.
    pub(crate) verified: Option<Verified>,
    pub(crate) priority: Priority,
}

impl Question {
    /// The token's identity, if it was verified locally.
    pub(crate) fn who(&self) -> Option<&Identity> {
        self.verified.as_ref().map(|verified| &verified.who)
    }
}

/// What was found by verifying a token locally.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verified {
    pub(crate) who: Identity,
    /// `exp`, in seconds since the epoch.
    pub(crate) expires_at: Option<i64>,
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspector")
            .field("issuer", self.issuer())
            .field("place", &self.0.place)
            .finish_non_exhaustive()
    }
}
