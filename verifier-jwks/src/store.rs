//! The keys of one issuer as they are held: an immutable snapshot behind an atomic pointer, replaced by one fetch at a
//! time. What is decided in [`crate::refresh`] is carried out here.

mod flight;
mod readiness;
mod reading;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_channel::oneshot;
use verifier_core::algorithm::Algorithm;
use verifier_core::error::{Rejection, Unavailable, UnavailableReason, VerifyError};
use verifier_core::key::{KeySet, Selection, VerificationKey};
use verifier_core::runtime::Env;
use verifier_core::time::{Instant, Now};
use verifier_core::token::Digest;
use verifier_core::trusted_keys::{Lookup, TrustedKeys};
use verifier_core::verifier::Asked;

pub(crate) use self::flight::Flight;
pub(crate) use self::reading::Reading;
use crate::config::{ConfigError, RefreshConfig};
use crate::events;
use crate::refresh::{Decision, Knowledge, RefreshState, Trigger, Wanted};
use crate::source::{ETag, KeySource};

/// How often one caller waits for a fetch: for the one that is under way, for one of his own, and once more where a
/// task was lost.
pub(crate) const MAX_ROUNDS: usize = 3;

/// The keys of one issuer. Clones share them.
#[derive(Clone)]
pub struct KeyStore {
    shared: Arc<Shared>,
}

struct Shared {
    source: Arc<dyn KeySource>,
    env: Env,
    reading: Reading,
    config: RefreshConfig,
    snapshot: ArcSwapOption<Snapshot>,
    /// Whether the last fetch failed.
    failing: AtomicBool,
    /// Nobody need look whether a fetch is due before this, in nanoseconds on the monotonic clock.
    quiet_until: AtomicU64,
    tower: Mutex<Tower>,
}

/// The keys as one fetch brought them.
struct Snapshot {
    keys: Arc<KeySet>,
    /// When that fetch was sent; `None` for keys that never change.
    fetched_at: Option<Now>,
    max_age: Duration,
    refresh_age: Duration,
    usable_for: Duration,
}

/// What changes with each fetch, behind a lock that no hit takes.
struct Tower {
    refresh: RefreshState,
    etag: Option<ETag>,
    /// Of the attempt under way: dropping it wakes those who wait.
    landing: Option<(oneshot::Sender<()>, Flight)>,
    /// Of the attempt under way: dropping it ends the task.
    alive: Option<oneshot::Sender<()>>,
    flood_noted: Option<Instant>,
}

/// How the held keys may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// As they are. `None`: they never change.
    Usable { fetched_at: Option<Now> },
    /// After a fetch has been tried.
    Overdue { fetched_at: Option<Now> },
    /// No more: too old.
    Stale,
    /// There are none.
    NotLoaded,
}

/// Whether a caller has time to wait for a fetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Patience {
    Waits,
    Over,
}

/// What a look for a key finds.
pub(crate) enum Look {
    Found {
        key: Arc<VerificationKey>,
        fetched_at: Option<Now>,
    },
    Refused(VerifyError),
    /// Look again when this has landed.
    Wait(Flight),
}

impl KeyStore {
    /// A store of what `source` brings. Nothing is fetched yet; keys that never change are read at once.
    ///
    /// # Errors
    /// [`ConfigError::KeySet`], [`ConfigError::Key`] for keys that never change and can't be read.
    pub(crate) fn new(
        source: Arc<dyn KeySource>,
        reading: Reading,
        config: RefreshConfig,
        env: Env,
    ) -> Result<Self, ConfigError> {
        let fixed = source.fixed().map(|fetched| reading.read_fixed(fetched)).transpose()?;
        let snapshot = fixed.map(|keys| {
            Arc::new(Snapshot {
                keys: Arc::new(keys),
                fetched_at: None,
                max_age: Duration::MAX,
                refresh_age: Duration::MAX,
                usable_for: Duration::MAX,
            })
        });
        // The task bounds itself by `total`; one that is away for longer has been lost with its runtime.
        let overdue = config.total.saturating_mul(2).saturating_add(Duration::from_secs(1));
        Ok(Self {
            shared: Arc::new(Shared {
                source,
                env,
                reading,
                config,
                snapshot: ArcSwapOption::from(snapshot),
                failing: AtomicBool::new(false),
                quiet_until: AtomicU64::new(0),
                tower: Mutex::new(Tower {
                    refresh: RefreshState::new(config, overdue),
                    etag: None,
                    landing: None,
                    alive: None,
                    flood_noted: None,
                }),
            }),
        })
    }

    /// How the held keys may be used by a request that arrived at `arrival`. Loads atomics and no more, unless a fetch
    /// is due: then one caller starts its task, and waits for nothing.
    pub(crate) fn standing(&self, arrival: Now) -> Standing {
        self.shared.standing(arrival)
    }

    /// The key for a token with this `kid` and algorithm. Without patience, keys that should be fetched again serve on:
    /// there is no time to try it.
    pub(crate) fn look_up(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        arrival: Now,
        patience: Patience,
    ) -> Look {
        self.shared.look_up(kid, algorithm, arrival, patience)
    }

    /// Waits for a fetch, at most until the deadline.
    ///
    /// # Errors
    /// [`UnavailableReason::DeadlineExceeded`].
    pub(crate) async fn landed(&self, flight: Flight, deadline: Option<Instant>) -> Result<(), Unavailable> {
        flight.landed(&self.shared.env, deadline).await
    }
}

impl TrustedKeys for KeyStore {
    fn key<'a>(
        &'a self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: Now,
        deadline: Option<Instant>,
    ) -> Asked<'a, Lookup> {
        let flight = match lookup(self.look_up(kid, algorithm, now, Patience::Waits)) {
            Ok(lookup) => return Asked::Ready(lookup),
            Err(flight) => flight,
        };
        let kid: Option<Box<str>> = kid.map(Into::into);
        Asked::Pending(Box::pin(async move {
            let mut flight = flight;
            for _ in 0..MAX_ROUNDS {
                let landed = flight.landed(&self.shared.env, deadline).await;
                let patience = if landed.is_ok() { Patience::Waits } else { Patience::Over };
                match (lookup(self.look_up(kid.as_deref(), algorithm, now, patience)), landed) {
                    (Ok(lookup), _) => return lookup,
                    (Err(_), Err(over)) => return Lookup::Unavailable(over),
                    (Err(next), Ok(())) => flight = next,
                }
            }
            Lookup::Unavailable(UnavailableReason::KeysUnconfirmed.into())
        }))
    }
}

fn lookup(look: Look) -> Result<Lookup, Flight> {
    match look {
        Look::Found { key, .. } => Ok(Lookup::Found(key)),
        Look::Refused(VerifyError::Rejected(rejection)) => Ok(Lookup::Rejected(rejection)),
        Look::Refused(VerifyError::Unavailable(why)) => Ok(Lookup::Unavailable(why)),
        Look::Refused(_) => Ok(Lookup::Unavailable(UnavailableReason::KeysUnconfirmed.into())),
        Look::Wait(flight) => Err(flight),
    }
}

/// What comes of a look at the refresh state.
enum Reply {
    Wait(Flight),
    Rest { knowledge: Knowledge, last_error: Option<Unavailable> },
}

impl Shared {
    fn standing(self: &Arc<Self>, arrival: Now) -> Standing {
        self.standing_of(self.snapshot.load().as_ref(), arrival)
    }

    fn standing_of(self: &Arc<Self>, held: Option<&Arc<Snapshot>>, arrival: Now) -> Standing {
        let Some(snapshot) = held else { return Standing::NotLoaded };
        let Some(fetched_at) = snapshot.fetched_at else { return Standing::Usable { fetched_at: None } };
        let age = arrival.since(fetched_at);
        if age >= snapshot.usable_for {
            return Standing::Stale;
        }
        if age >= snapshot.refresh_age {
            if age >= snapshot.max_age && !self.failing.load(Ordering::Acquire) {
                return Standing::Overdue { fetched_at: Some(fetched_at) };
            }
            self.nudge(arrival.monotonic);
        }
        Standing::Usable { fetched_at: Some(fetched_at) }
    }

    /// Lets one caller look whether it is time to fetch ahead; the others pass.
    fn nudge(self: &Arc<Self>, now: Instant) {
        let quiet_until = self.quiet_until.load(Ordering::Relaxed);
        let busy = now.plus(self.config.total).nanos();
        if now.nanos() >= quiet_until
            && self
                .quiet_until
                .compare_exchange(quiet_until, busy, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            drop(self.decide(Trigger::Age));
        }
    }

    fn look_up(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
        arrival: Now,
        patience: Patience,
    ) -> Look {
        loop {
            let held = self.snapshot.load();
            // `None`: another set has landed since this one was looked at, so there is something new to see.
            if let Some(look) = self.look(held.as_ref(), kid, algorithm, arrival, patience) {
                return look;
            }
        }
    }

    /// What these keys say. Whatever they don't suffice for is decided on condition that they are held still: else a
    /// set that has just come would be taken for one that was looked through.
    fn look(
        self: &Arc<Self>,
        held: Option<&Arc<Snapshot>>,
        kid: Option<&str>,
        algorithm: Algorithm,
        arrival: Now,
        patience: Patience,
    ) -> Option<Look> {
        let unusable = match self.standing_of(held, arrival) {
            Standing::NotLoaded => Some(UnavailableReason::KeysNotLoaded),
            Standing::Stale => Some(UnavailableReason::KeysStale),
            Standing::Overdue { .. } if patience == Patience::Waits => {
                match self.decide_on(held, Trigger::FirstUse(Some(wanted(kid, algorithm))))? {
                    Reply::Wait(flight) => return Some(Look::Wait(flight)),
                    // It failed at this very moment: what is held serves on.
                    Reply::Rest { .. } => None,
                }
            }
            Standing::Overdue { .. } | Standing::Usable { .. } => None,
        };
        let (Some(snapshot), None) = (held, unusable) else {
            let reason = unusable.unwrap_or(UnavailableReason::KeysNotLoaded);
            return Some(match self.decide_on(held, Trigger::FirstUse(Some(wanted(kid, algorithm))))? {
                Reply::Wait(flight) => Look::Wait(flight),
                Reply::Rest { knowledge, last_error } => {
                    Look::Refused(unavailable(reason, knowledge, last_error).into())
                }
            });
        };
        Some(match snapshot.keys.select(kid, algorithm) {
            Selection::Found(key) => Look::Found { key: Arc::clone(key), fetched_at: snapshot.fetched_at },
            Selection::Mismatch => Look::Refused(Rejection::KeyMismatch.into()),
            Selection::Ambiguous => Look::Refused(Rejection::AmbiguousKey.into()),
            Selection::Unknown if snapshot.fetched_at.is_none() => {
                Look::Refused(Rejection::UnknownKey.into())
            }
            Selection::Unknown => match self.decide_on(held, Trigger::UnknownKid(wanted(kid, algorithm)))? {
                Reply::Wait(flight) => Look::Wait(flight),
                Reply::Rest { knowledge: Knowledge::Known, .. } => {
                    Look::Refused(Rejection::UnknownKey.into())
                }
                Reply::Rest { knowledge, last_error } => Look::Refused(
                    unavailable(UnavailableReason::KeysUnconfirmed, knowledge, last_error).into(),
                ),
            },
        })
    }

    /// As [`Self::decide`], by one who looked at `seen`; `None` if that is held no more, and nothing was decided.
    fn decide_on(self: &Arc<Self>, seen: Option<&Arc<Snapshot>>, trigger: Trigger) -> Option<Reply> {
        let now = self.env.clock.now();
        let tower = self.tower();
        // A set is published under this lock alone.
        let same = self.snapshot.load().as_ref().map(Arc::as_ptr) == seen.map(Arc::as_ptr);
        same.then(|| self.decide_with(tower, trigger, now))
    }

    fn decide(self: &Arc<Self>, trigger: Trigger) -> Reply {
        let now = self.env.clock.now();
        let tower = self.tower();
        self.decide_with(tower, trigger, now)
    }

    fn decide_with(self: &Arc<Self>, mut tower: MutexGuard<'_, Tower>, trigger: Trigger, now: Now) -> Reply {
        match tower.refresh.decide(trigger, now) {
            Decision::Ask(attempt) => {
                let (sender, flight) = Flight::new();
                let replaced = tower.landing.replace((sender, flight.clone()));
                let (alive, gone) = oneshot::channel();
                let given_up = tower.alive.replace(alive);
                drop(tower);
                drop((replaced, given_up));
                flight::launch(self, attempt, gone);
                Reply::Wait(flight)
            }
            Decision::Join => match &tower.landing {
                Some((_, flight)) => Reply::Wait(flight.clone()),
                // Not reached: an attempt under way has a landing.
                None => Reply::Rest {
                    knowledge: Knowledge::Unconfirmed { retry_in: Duration::ZERO },
                    last_error: None,
                },
            },
            Decision::Rest(knowledge) => {
                let last_error = tower.refresh.last_error();
                let flooded =
                    matches!(trigger, Trigger::UnknownKid(_)) && tower.note_flood(now, &self.config);
                drop(tower);
                if flooded {
                    events::flooded();
                }
                Reply::Rest { knowledge, last_error }
            }
        }
    }

    fn tower(&self) -> MutexGuard<'_, Tower> {
        self.tower.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tower {
    /// Whether to tell of unknown `kid`s that are turned away: once a cooldown.
    fn note_flood(&mut self, now: Now, config: &RefreshConfig) -> bool {
        let due = self.flood_noted.is_none_or(|noted| now.monotonic.since(noted) >= config.cooldown);
        if due {
            self.flood_noted = Some(now.monotonic);
        }
        due
    }
}

impl Snapshot {
    fn age(&self, now: Now) -> Duration {
        self.fetched_at.map_or(Duration::ZERO, |fetched_at| now.since(fetched_at))
    }
}

/// Why there is no verdict, and when to come back. What time alone won't mend is said as such: no runtime, or a server
/// that contradicts the configuration.
fn unavailable(
    reason: UnavailableReason,
    knowledge: Knowledge,
    last_error: Option<Unavailable>,
) -> Unavailable {
    let told = last_error.filter(|why| {
        let loading = reason == UnavailableReason::KeysNotLoaded;
        why.reason() == UnavailableReason::NoRuntime || (loading && !why.is_retryable())
    });
    let why = told.unwrap_or(Unavailable::new(reason));
    match knowledge {
        Knowledge::Unconfirmed { retry_in } if !retry_in.is_zero() => why.retry_in(retry_in),
        _ => why,
    }
}

/// What a header asks for, hashed under this process's secret: a `kid`, or "the only key for this algorithm".
fn wanted(kid: Option<&str>, algorithm: Algorithm) -> Wanted {
    match kid.filter(|kid| !kid.is_empty()) {
        Some(kid) => Digest::of_parts(&[b"kid", kid.as_bytes()]),
        None => Digest::of_parts(&[b"no kid", algorithm.name().as_bytes()]),
    }
}

/// A number for jitter: not secret, different from call to call and from process to process.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.shared.snapshot.load().as_ref().map_or(0, |snapshot| snapshot.keys.len());
        f.debug_struct("KeyStore")
            .field("source", &self.shared.source)
            .field("keys", &held)
            .finish_non_exhaustive()
    }
}
