//! Tokens are revoked at the server while a service goes on verifying them.

use std::time::Duration;

use verifier::core::time::Now;

use crate::demo::figures::{Revocation, VERIFIED, Verdicts};
use crate::demo::stage::{Company, Stage, pause};
use crate::output::End;

/// In real time, so short.
const FRESHNESS: Duration = Duration::from_secs(1);
const TOKENS: usize = 6;
/// From one revocation to the next: they fall on different ages of what is known.
const APART: Duration = Duration::from_millis(170);
/// From one look at all tokens to the next.
const EVERY: Duration = Duration::from_millis(5);
/// Who hasn't noticed after this time won't.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Steps by which the time until the tokens expire is passed over.
const STEP: Duration = Duration::from_secs(10);
/// More than tokens live.
const STEPS: usize = 60;

pub(in crate::demo) async fn play(company: &Company) -> Result<Revocation, End> {
    let stage = company.stage(FRESHNESS)?;
    let mut tokens: Vec<Watched> = (0..TOKENS).map(|_| Watched::new(stage.token())).collect();
    look(&stage, &mut tokens).await;
    if tokens.iter().any(|token| token.refused.is_some()) {
        return Err(End::failed("a good token was not verified"));
    }

    let began = stage.now();
    while stage.now().since(began) < APART * TOKENS as u32 + PATIENCE {
        let passed = stage.now().since(began);
        let due = tokens.iter_mut().enumerate().filter(|(n, _)| passed >= APART * *n as u32);
        for (_, token) in due.filter(|(_, token)| token.revoked.is_none()) {
            stage.server().revoke(&token.token);
            token.revoked = Some(stage.now());
        }
        look(&stage, &mut tokens).await;
        if tokens.iter().all(|token| token.refused.is_some()) {
            break;
        }
        pause(EVERY).await?;
    }
    let noticed = tokens.iter().filter(|token| token.refused.is_some()).count();
    let noticed_after_s = tokens
        .iter()
        .map(Watched::noticed_after)
        .try_fold(0.0, |longest: f64, d| d.map(|d| longest.max(d.as_secs_f64())));
    // Who can't see a revocation sees the end of the token's life at least.
    for _ in 0..STEPS {
        if tokens.iter().all(|token| token.refused.is_some()) {
            break;
        }
        stage.leap(STEP);
        look(&stage, &mut tokens).await;
    }

    let mut codes = Verdicts::default();
    tokens.iter().filter_map(|token| token.refused).for_each(|(code, _)| codes.note(code));
    let accepted_for = tokens.iter().filter_map(Watched::accepted_for).max().unwrap_or_default();
    Ok(Revocation {
        freshness_s: company.asks().then_some(FRESHNESS.as_secs_f64()),
        tokens: TOKENS as u64,
        noticed: noticed as u64,
        noticed_after_s,
        accepted_for_s: accepted_for.as_secs_f64(),
        codes,
        noticed_before_expiry: noticed == TOKENS,
    })
}

/// A token, and when what happened to it. Times of verdicts are those at which they were asked for.
struct Watched {
    token: String,
    revoked: Option<Now>,
    last_accepted: Option<Now>,
    refused: Option<(&'static str, Now)>,
}

impl Watched {
    const fn new(token: String) -> Self {
        Self { token, revoked: None, last_accepted: None, refused: None }
    }

    fn noticed_after(&self) -> Option<Duration> {
        Some(self.refused?.1.since(self.revoked?))
    }

    fn accepted_for(&self) -> Option<Duration> {
        Some(self.last_accepted?.since(self.revoked?))
    }
}

async fn look(stage: &Stage, tokens: &mut [Watched]) {
    for token in tokens.iter_mut().filter(|token| token.refused.is_none()) {
        let asked = stage.now();
        match stage.code(&token.token).await {
            VERIFIED => token.last_accepted = Some(asked),
            code => token.refused = Some((code, asked)),
        }
    }
}
