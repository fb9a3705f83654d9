//! How long a verification takes: the first of all, one of a new token, one of a known token.

use verifier::core::time::{Clock as _, SystemClock};

use super::USUAL_FRESHNESS;
use crate::demo::figures::{Calls, Latency, Speed, Stopwatch, VERIFIED};
use crate::demo::stage::{Company, Stage};
use crate::output::End;

const TOKENS: usize = 300;
const WARM_ROUNDS: usize = 20;

pub(in crate::demo) async fn play(company: &Company) -> Result<Speed, End> {
    let stage = company.stage(USUAL_FRESHNESS)?;
    let first = measure(&stage, &[stage.token()], 1).await?;

    let tokens: Vec<String> = std::iter::repeat_with(|| stage.token()).take(TOKENS).collect();
    stage.server().reset_counts();
    let cold = measure(&stage, &tokens, 1).await?;
    let cold_calls = Calls::from(stage.server().counts());

    stage.server().reset_counts();
    let warm = measure(&stage, &tokens, WARM_ROUNDS).await?;
    let warm_calls = Calls::from(stage.server().counts());
    Ok(Speed { first_us: first.p50_us, cold, warm, cold_calls, warm_calls })
}

/// One after the other: latency, not throughput.
async fn measure(stage: &Stage, tokens: &[String], rounds: usize) -> Result<Latency, End> {
    let mut watch = Stopwatch::new().map_err(|error| End::failed(error.to_string()))?;
    for token in std::iter::repeat_n(tokens, rounds).flatten() {
        let before = SystemClock.now().monotonic;
        let code = stage.code(token).await;
        watch.record(SystemClock.now().monotonic.since(before));
        if code != VERIFIED {
            return Err(End::failed(format!("a good token was not verified: {code}")));
        }
    }
    Ok(watch.latency())
}
