//! The price of freshness: what a stream of requests costs the server, and how late a revocation shows.

mod draw;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use hdrhistogram::Histogram;
use verifier::Strategy;
use verifier::core::time::Instant;

use self::draw::{Random, Zipf, predicted};
use crate::clock;
use crate::judge::Judge;
use crate::run::Place;
use crate::scenario::{Change, Demand, Verdict};
use crate::scenarios::others::usual;
use crate::server::{Deed, Format, Issued, Need, Order, Trouble, failed};
use crate::stage::{Check, Stage};

/// The scenario's id.
pub(crate) const ID: &str = "price-of-freshness";

/// The scenario's title.
pub(crate) const TITLE: &str = "1,000 live tokens under load, revocations sprinkled in";

/// How many tokens live.
const TOKENS: usize = 1000;

/// How long each measurement goes on.
const RUN: Duration = Duration::from_secs(8);

/// How many requests are under way at most, and the least time from one to the next of the same worker: 400 a second.
const WORKERS: u64 = 8;
const PACE: Duration = Duration::from_millis(20);

/// The pause between two revocations.
const BETWEEN_REVOCATIONS: Duration = Duration::from_millis(150);

/// What is measured.
const FRESHNESSES: [(Duration, &[Change]); 3] = [
    (Duration::ZERO, &[Change::set("issuer.revocation", "freshness", "\"0s\"")]),
    (Duration::from_secs(1), &[Change::set("issuer.revocation", "freshness", "\"1s\"")]),
    (Duration::from_secs(30), &[Change::set("issuer.revocation", "freshness", "\"30s\"")]),
];

/// One measurement.
#[derive(Clone, Debug)]
pub(crate) struct Price {
    /// Whose.
    pub(crate) strategy: Strategy,
    /// The sort of token.
    pub(crate) sort: String,
    /// The freshness.
    pub(crate) freshness: Duration,
    /// How long it took.
    pub(crate) run: Duration,
    /// How many requests came.
    pub(crate) requests: u64,
    /// How many different tokens they brought.
    pub(crate) in_use: usize,
    /// How many calls the server got.
    pub(crate) calls: u64,
    /// How many the guide allows.
    pub(crate) predicted: u64,
    /// The latency that half of the requests keep.
    pub(crate) median: Duration,
    /// The latency that 99 of 100 keep.
    pub(crate) p99: Duration,
    /// How many tokens were revoked.
    pub(crate) revocations: usize,
    /// The longest time from a confirmed revocation until the arrival of a request that was accepted nevertheless.
    pub(crate) latest: Duration,
    /// How many requests with revoked tokens arrived later than the freshness after the confirmed revocation, and how
    /// many of these were rejected, accepted. `None`: the freshness outlasts the run, in which none can.
    pub(crate) late: Option<Late>,
    /// How many requests with tokens that nobody had revoked weren't accepted.
    pub(crate) lost: u64,
}

/// Requests with revoked tokens that arrived later than the freshness after the confirmed revocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Late {
    /// All of them.
    pub(crate) requests: u64,
    /// Those that were rejected.
    pub(crate) rejected: u64,
    /// Those that were accepted.
    pub(crate) accepted: u64,
}

impl Late {
    const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            rejected: self.rejected + other.rejected,
            accepted: self.accepted + other.accepted,
        }
    }

    /// Whether revocations showed in time: that nobody came late shows nothing.
    const fn fine(self) -> bool {
        self.requests > 0 && self.rejected == self.requests
    }
}

/// One live token. The instants are nanoseconds of the monotonic clock; 0: not yet.
struct Live {
    issued: Issued,
    withdrawing: AtomicU64,
    withdrawn: AtomicU64,
    requests: AtomicU64,
}

/// What one worker saw.
struct Seen {
    latencies: Histogram<u64>,
    requests: u64,
    latest: Duration,
    late: Late,
    lost: u64,
}

/// The tokens to measure with. To issue them takes seconds, in which others can wait.
pub(crate) struct Tokens(Vec<Arc<Live>>);

/// Issues them.
///
/// # Errors
/// The server's.
pub(crate) async fn tokens(place: &Place) -> Result<Tokens, Trouble> {
    let stage = place.stage().await?;
    let (_, order) = ordered(&stage)?;
    let mut tokens = Vec::new();
    issue(&stage, &order, &mut tokens).await?;
    Ok(Tokens(tokens))
}

/// By the strategy that pays: hybrid with JWTs, or introspection where the server doesn't introspect them.
fn ordered(stage: &Stage<'_>) -> Result<(Strategy, Order), Trouble> {
    let jwts = stage.product.lacks(Need::JwtIntrospection).is_none();
    let (strategy, format) =
        if jwts { (Strategy::Hybrid, Format::Jwt) } else { (Strategy::Introspection, Format::Opaque) };
    Ok((strategy, usual(stage, format).ok_or_else(|| failed("no such token"))?))
}

/// Measures.
///
/// # Errors
/// The server's.
pub(crate) async fn measure(
    place: &Place,
    tokens: Result<Tokens, Trouble>,
) -> Result<(Vec<Check>, Vec<Price>), Trouble> {
    let stage = &place.stage().await?;
    let (strategy, order) = ordered(stage)?;
    let Tokens(mut tokens) = tokens?;
    let (mut checks, mut prices) = (Vec::new(), Vec::new());
    for (freshness, changes) in FRESHNESSES {
        // Those that were revoked are replaced.
        tokens.retain(|live: &Arc<Live>| live.withdrawing.load(Ordering::SeqCst) == 0);
        issue(stage, &order, &mut tokens).await?;
        for live in &tokens {
            live.requests.store(0, Ordering::SeqCst);
        }
        let judge = Arc::new(stage.judge_of(strategy, &order.sort, changes)?);
        judge.verifier.ready(Duration::from_secs(5)).await.map_err(|error| failed(error.code()))?;
        let price = under_load(stage, judge, &order, &tokens, freshness).await?;
        checks.extend(judged(&price));
        prices.push(price);
    }
    Ok((checks, prices))
}

async fn issue(stage: &Stage<'_>, order: &Order, tokens: &mut Vec<Arc<Live>>) -> Result<(), Trouble> {
    let missing = TOKENS.saturating_sub(tokens.len());
    let new: Vec<Arc<Live>> = stream::iter(0..missing)
        .map(|_| stage.server.issue_shared(order))
        .buffer_unordered(8)
        .map_ok(|issued| {
            Arc::new(Live {
                issued,
                withdrawing: AtomicU64::new(0),
                withdrawn: AtomicU64::new(0),
                requests: AtomicU64::new(0),
            })
        })
        .try_collect()
        .await?;
    // Among the others by chance of rank: what is new is neither the hottest nor the coldest.
    let middle = tokens.len() / 2;
    let rest = tokens.split_off(middle);
    tokens.extend(new);
    tokens.extend(rest);
    Ok(())
}

async fn under_load(
    stage: &Stage<'_>,
    judge: Arc<Judge>,
    order: &Order,
    tokens: &[Arc<Live>],
    freshness: Duration,
) -> Result<Price, Trouble> {
    let over = Arc::new(AtomicBool::new(false));
    let before = judge.introspections();
    let begun = clock::instant();
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        let work = Worker {
            judge: Arc::clone(&judge),
            tokens: tokens.to_vec(),
            over: Arc::clone(&over),
            freshness,
            random: Random::new(worker),
        };
        workers.push(tokio::spawn(work.work()));
    }
    let revocations = revoke(stage, tokens, begun).await;
    over.store(true, Ordering::SeqCst);
    let mut all = Seen::new()?;
    for worker in workers {
        all.add(&worker.await.map_err(failed)??)?;
    }
    let run = clock::instant().since(begun);
    let counts: Vec<u64> = tokens.iter().map(|live| live.requests.load(Ordering::SeqCst)).collect();
    Ok(Price {
        strategy: judge.strategy,
        sort: order.sort.to_string(),
        freshness,
        run,
        requests: all.requests,
        in_use: counts.iter().filter(|count| **count > 0).count(),
        calls: judge.introspections() - before,
        predicted: predicted(&counts, run, freshness),
        median: Duration::from_micros(all.latencies.value_at_quantile(0.5)),
        p99: Duration::from_micros(all.latencies.value_at_quantile(0.99)),
        revocations: revocations?,
        latest: all.latest,
        late: (freshness < RUN).then_some(all.late),
        lost: all.lost,
    })
}

/// Revokes tokens as they are used, the hot ones too, until the run is over.
async fn revoke(stage: &Stage<'_>, tokens: &[Arc<Live>], begun: Instant) -> Result<usize, Trouble> {
    let (zipf, mut random) = (Zipf::new(tokens.len()), Random::new(99));
    let mut count = 0;
    while clock::instant().since(begun) < RUN {
        clock::pause(BETWEEN_REVOCATIONS).await;
        let Some(live) = tokens.get(zipf.draw(&mut random)) else { continue };
        if live.withdrawing.load(Ordering::SeqCst) > 0 {
            continue;
        }
        live.withdrawing.store(clock::instant().nanos(), Ordering::SeqCst);
        stage.act(Deed::Revoke, &mut live.issued.clone()).await?;
        live.withdrawn.store(clock::instant().nanos(), Ordering::SeqCst);
        count += 1;
    }
    Ok(count)
}

struct Worker {
    judge: Arc<Judge>,
    tokens: Vec<Arc<Live>>,
    over: Arc<AtomicBool>,
    freshness: Duration,
    random: Random,
}

impl Worker {
    async fn work(mut self) -> Result<Seen, Trouble> {
        let zipf = Zipf::new(self.tokens.len());
        let mut seen = Seen::new()?;
        while !self.over.load(Ordering::SeqCst) {
            let Some(live) = self.tokens.get(zipf.draw(&mut self.random)) else { continue };
            live.requests.fetch_add(1, Ordering::SeqCst);
            let arrival = clock::instant();
            let verdict = self.judge.say(&live.issued.token, Demand::Configured).await;
            let took = clock::instant().since(arrival);
            seen.see(live, arrival, took, verdict, self.freshness)?;
            clock::pause(PACE.saturating_sub(took)).await;
        }
        Ok(seen)
    }
}

impl Seen {
    fn new() -> Result<Self, Trouble> {
        let latencies = Histogram::new(3).map_err(failed)?;
        Ok(Self { latencies, requests: 0, latest: Duration::ZERO, late: Late::default(), lost: 0 })
    }

    fn see(
        &mut self,
        live: &Live,
        arrival: Instant,
        took: Duration,
        verdict: Verdict,
        freshness: Duration,
    ) -> Result<(), Trouble> {
        self.requests += 1;
        self.latencies.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)).map_err(failed)?;
        let withdrawn = live.withdrawn.load(Ordering::SeqCst);
        let accepted = verdict == Verdict::Verified;
        if withdrawn > 0 {
            // What arrived before the revocation was confirmed has no age: `since` stops at zero.
            let after = arrival.since(Instant::from_nanos(withdrawn));
            if accepted {
                self.latest = self.latest.max(after);
            }
            if after > freshness {
                let rejected = u64::from(verdict == Verdict::Rejected("inactive"));
                self.late = self.late.plus(Late { requests: 1, rejected, accepted: u64::from(accepted) });
            }
        } else if !accepted {
            self.lost += u64::from(live.withdrawing.load(Ordering::SeqCst) == 0);
        }
        Ok(())
    }

    fn add(&mut self, other: &Self) -> Result<(), Trouble> {
        self.latencies.add(&other.latencies).map_err(failed)?;
        self.requests += other.requests;
        self.latest = self.latest.max(other.latest);
        self.late = self.late.plus(other.late);
        self.lost += other.lost;
        Ok(())
    }
}

fn judged(price: &Price) -> Vec<Check> {
    let strategy = Some(price.strategy);
    let named = |what: &str| format!("freshness {} s, {what}", price.freshness.as_secs());
    let late = price.late.map(|late| {
        Check::holds(
            strategy,
            named("arrived later than that after a confirmed revocation"),
            "some, and all of them rejected",
            late.fine(),
            format!("{} of {} rejected, {} accepted", late.rejected, late.requests, late.accepted),
        )
        .took(price.latest)
    });
    let others = [
        Check::holds(
            strategy,
            named("calls"),
            format!("at most {}, as the guide says", price.predicted),
            price.calls <= price.predicted && price.calls > 0,
            format!("{} for {} requests", price.calls, price.requests),
        ),
        Check::same(strategy, named("requests of good tokens that were lost"), "0", price.lost.to_string()),
        Check::holds(
            strategy,
            named("revocations"),
            "at least 10",
            price.revocations >= 10,
            price.revocations.to_string(),
        ),
    ];
    late.into_iter().chain(others).collect()
}
