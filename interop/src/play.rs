//! Plays one scenario on one stage.

use std::time::Duration;

use futures_util::future::join_all;
use verifier::Strategy;
use verifier::core::time::Instant;

use crate::clock;
use crate::judge::Judge;
use crate::scenario::{
    Act, Calls, Course, FRESHNESS, STRATEGIES, Scenario, Step, VERIFIED, Verdict, Want, When,
};
use crate::server::{Issued, Product, Sort, Trouble, cant_do, failed};
use crate::stage::{Check, Stage};
use crate::twist::Twist;

/// The greatest time for one scenario with one token.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is asked while a change is awaited.
const PACE: Duration = Duration::from_millis(40);

/// What became of a scenario at a server.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The scenario's id.
    pub(crate) scenario: &'static str,
    /// Its title.
    pub(crate) title: &'static str,
    /// The comparisons made.
    pub(crate) checks: Vec<Check>,
    /// What couldn't be played, with the reason.
    pub(crate) not_here: Vec<String>,
    /// What should have worked and didn't.
    pub(crate) broken: Vec<String>,
    /// How long it took, with the tokens one after another.
    pub(crate) took: Duration,
}

impl Outcome {
    pub(crate) const fn new(scenario: &'static str, title: &'static str) -> Self {
        Self {
            scenario,
            title,
            checks: Vec::new(),
            not_here: Vec::new(),
            broken: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// With what another piece of the same scenario brought.
    pub(crate) fn add(&mut self, other: Self) {
        self.checks.extend(other.checks);
        self.not_here.extend(other.not_here);
        self.broken.extend(other.broken);
        self.took += other.took;
    }

    fn trouble(&mut self, trouble: Trouble, of: &str) {
        let told = |text: String| if of.is_empty() { text } else { format!("{of}: {text}") };
        match trouble {
            Trouble::CantDo(reason) => self.not_here.push(told(reason)),
            Trouble::Failed(what) => self.broken.push(told(what)),
        }
    }

    /// Takes in what came of it.
    pub(crate) fn take(&mut self, played: Result<Vec<Check>, Trouble>, of: &str) {
        match played {
            Ok(checks) => self.checks.extend(checks),
            Err(trouble) => self.trouble(trouble, of),
        }
    }
}

/// What is played at a stretch: a scenario with one sort of token, or one of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// The scenario.
    pub(crate) scenario: &'static Scenario,
    /// With this sort; none for a scenario of its own.
    pub(crate) sort: Option<Sort>,
    /// Whether nothing else may be played meanwhile.
    pub(crate) alone: bool,
}

impl Piece {
    /// All that a scenario is played in at this server.
    ///
    /// # Errors
    /// Why it isn't played.
    pub(crate) fn all(product: &dyn Product, scenario: &'static Scenario) -> Result<Vec<Self>, &'static str> {
        let sorts = scenario.playable(product)?;
        let piece = |sort| Self { scenario, sort, alone: scenario.disturbs(product, sort.as_ref()) };
        Ok(match scenario.course {
            Course::Own(_) => vec![piece(None)],
            Course::Steps(_) => sorts.into_iter().map(|sort| piece(Some(sort))).collect(),
        })
    }

    /// Plays it, and puts the server right again where others would notice what was done to it.
    pub(crate) async fn play(self, stage: &Stage<'_>) -> Outcome {
        let begun = clock::instant();
        let mut outcome = Outcome::new(self.scenario.id, self.scenario.title);
        match (self.scenario.course, self.sort) {
            (Course::Own(own), _) => {
                let played = patiently(own(stage)).await;
                outcome.take(played, "");
            }
            (Course::Steps(steps), Some(sort)) => {
                let mut checks = Vec::new();
                let played = patiently(play_steps(stage, self.scenario, steps, &sort, &mut checks)).await;
                outcome.checks = checks;
                if let Err(trouble) = played {
                    outcome.trouble(trouble, &sort.to_string());
                }
            }
            (Course::Steps(_), None) => outcome.broken.push("no token to play it with".to_owned()),
        }
        if self.alone {
            restore(stage, &mut outcome).await;
        }
        outcome.took = clock::instant().since(begun);
        outcome
    }
}

async fn restore(stage: &Stage<'_>, outcome: &mut Outcome) {
    if let Err(trouble) = stage.server.restore().await {
        outcome.trouble(trouble, "putting the server right again");
    }
}

async fn patiently<T>(playing: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::time::timeout(PATIENCE, playing).await.unwrap_or_else(|_| Err(failed("it took too long")))
}

async fn play_steps(
    stage: &Stage<'_>,
    scenario: &Scenario,
    steps: &'static [Step],
    sort: &Sort,
    checks: &mut Vec<Check>,
) -> Result<(), Trouble> {
    let order = scenario.order(*sort);
    let mut issued = stage.issue(&order).await?;
    let mut older: Option<Issued> = None;
    let judges = judges(stage, scenario, sort).await?;
    let mut before: [Want; 3] = [VERIFIED; 3];
    for step in steps {
        match step.act {
            Act::Nothing => {}
            Act::Server(deed) => stage.act(deed, &mut issued).await?,
            Act::UntilExpired => until_expired(&issued).await,
            Act::NewToken => older = Some(std::mem::replace(&mut issued, stage.issue(&order).await?)),
            Act::OldToken => {
                let old = older.take().ok_or_else(|| failed("there is no token from before"))?;
                older = Some(std::mem::replace(&mut issued, old));
            }
        }
        let confirmed = clock::instant();
        let Some(token) = scenario.twist.of(&issued.token) else {
            // Chance alone may leave a token without the characters that have another spelling.
            return match scenario.twist {
                Twist::OtherAlphabet => cant_do("this token has no such other form"),
                twist => Err(failed(format_args!("a token without the form {twist:?}"))),
            };
        };
        let wants = STRATEGIES.map(|strategy| expected(stage.product, scenario, step, strategy, sort));
        let judged = judges.iter().zip(wants).zip(before).map(|((judge, want), before)| {
            let token = token.as_str();
            async move {
                let calls = judge.introspections();
                let mut check = judged(judge, scenario, step, token, before, want.0, confirmed).await?;
                check.because = want.1;
                if step.calls == Calls::None && judge.introspections() != calls {
                    check.passed = false;
                    check.got = format!("{}, and a call to the server", check.got);
                }
                Some(check)
            }
        });
        let named = format!("{sort}, {}", step.name);
        checks.extend(join_all(judged).await.into_iter().flatten().map(|mut check| {
            check.what.clone_from(&named);
            check.of = Some((*sort, step.name));
            check
        }));
        before = wants.map(|(want, _)| want);
    }
    Ok(())
}

/// Verifiers of the three strategies, with their keys loaded.
async fn judges(stage: &Stage<'_>, scenario: &Scenario, sort: &Sort) -> Result<Vec<Judge>, Trouble> {
    let mut judges = Vec::new();
    for strategy in STRATEGIES {
        let judge = stage.judge_of(strategy, sort, scenario.changes)?;
        // Where that fails, the verdicts tell.
        let _ = judge.verifier.ready(Duration::from_secs(5)).await;
        judges.push(judge);
    }
    Ok(judges)
}

/// What has to be said, and why it isn't what the table says, if it isn't.
pub(crate) fn expected(
    product: &dyn Product,
    scenario: &Scenario,
    step: &Step,
    strategy: Strategy,
    sort: &Sort,
) -> (Want, Option<&'static str>) {
    product.overrides().iter().find(|own| own.fits(scenario.id, step.name, strategy, sort)).map_or_else(
        || (step.expected.want(strategy, scenario.format(sort)), None),
        |own| (own.want, Some(own.because)),
    )
}

async fn judged(
    judge: &Judge,
    scenario: &Scenario,
    step: &Step,
    token: &str,
    before: Want,
    want: Want,
    confirmed: Instant,
) -> Option<Check> {
    if matches!(want, Want::NotAsked(_)) {
        return None;
    }
    let check = |verdict| Check::verdict(judge.strategy, "", want, verdict);
    let mut first_change = None;
    loop {
        let arrival = clock::instant();
        let since = arrival.since(confirmed);
        let verdict = judge.say(token, scenario.demand).await;
        let changed = want.allows(verdict);
        let unchanged = goes_on(before, verdict);
        if changed && (!unchanged || want != before) && first_change.is_none() {
            first_change = Some(since);
        }
        let (over, waits) = match step.when {
            When::Now => (true, false),
            When::AfterFreshness => (since > FRESHNESS, true),
            When::Within(bound) => (changed || since > bound, true),
        };
        // What is neither the old verdict nor the new one is a failure at any time.
        if over || !(changed || unchanged) {
            let check = check(verdict);
            return Some(match first_change {
                Some(took) if waits && check.passed && want != before => check.took(took),
                _ => check,
            });
        }
        // Once it is known, it must stay known.
        if first_change.is_some() && !changed {
            return Some(check(verdict));
        }
        clock::pause(PACE).await;
    }
}

/// Whether a verdict may still be as it was before the act.
fn goes_on(before: Want, verdict: Verdict) -> bool {
    let was_unavailable = match before {
        Want::Exactly(verdict) => matches!(verdict, Verdict::Unavailable(_)),
        Want::OneOf(verdicts, _) => verdicts.iter().any(|verdict| matches!(verdict, Verdict::Unavailable(_))),
        Want::NotAsked(_) => true,
    };
    before.allows(verdict) || was_unavailable && matches!(verdict, Verdict::Unavailable(_))
}

/// Waits until a token's life is over, by what the token endpoint said of it.
async fn until_expired(issued: &Issued) {
    // The second of `exp` itself, and one for servers that still say active in it.
    let life = issued.expires_in.unwrap_or(Duration::from_secs(5));
    clock::pause(life + Duration::from_millis(1200)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{rejected, unavailable};

    #[test]
    fn until_a_change_shows_the_old_verdict_goes_on_and_no_other() {
        assert!(goes_on(VERIFIED, Verdict::Verified));
        assert!(!goes_on(VERIFIED, Verdict::Rejected("inactive")));
        assert!(!goes_on(VERIFIED, Verdict::Unavailable("timed_out")));
        assert!(!goes_on(rejected("inactive"), Verdict::Verified));
    }

    #[test]
    fn an_outage_may_look_different_from_one_call_to_the_next() {
        assert!(goes_on(unavailable("timed_out"), Verdict::Unavailable("breaker_open")));
        assert!(!goes_on(unavailable("timed_out"), Verdict::Rejected("inactive")));
    }
}
