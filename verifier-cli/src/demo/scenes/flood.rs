//! Ten thousand forged tokens, each under a key id that nobody has, while the server rotates its keys without having
//! published them before. The clock moves on a second with each wave: a flood that lasts for the better part of a
//! minute, played faster.

use std::time::Duration;

use verifier::jwks::config::DEFAULT_COOLDOWN;
use verifier_testkit::TokenRequest;
use verifier_testkit::forge::catalogue;

use super::USUAL_FRESHNESS;
use crate::demo::figures::{Calls, Flood, VERIFIED, Verdicts};
use crate::demo::stage::{Company, Stage, together};
use crate::output::End;

const WAVES: usize = 50;
const ATTACKERS: usize = 8;
const TOKENS_EACH: usize = 25;
const WAVE_TIME: Duration = Duration::from_secs(1);
/// Before these waves a key is rotated in.
const ROTATE_BEFORE: [usize; 3] = [5, 16, 40];
/// Waves after the flood's last token in which a rotated token may still be picked up, so that its wait is known.
const GRACE_WAVES: usize = 60;

pub(in crate::demo) async fn play(company: &Company) -> Result<Flood, End> {
    let stage = company.stage(USUAL_FRESHNESS)?;
    stage.ready().await?;
    let known = stage.token();
    stage.verify(&known).await.map_err(|error| End::failed(format!("a good token: {error}")))?;
    let mut forged = catalogue::unknown_kids(&stage.server().forge(TokenRequest::new()));

    stage.server().reset_counts();
    let began = stage.now();
    let (mut verdicts, mut good, mut waiting) =
        (Verdicts::default(), Verdicts::default(), Waiting::default());
    for wave in 0..WAVES {
        stage.leap(WAVE_TIME);
        if ROTATE_BEFORE.contains(&wave) {
            stage.server().rotate();
            waiting.add(&stage);
        }
        let attackers = (0..ATTACKERS).map(|_| {
            let tokens: Vec<String> = forged.by_ref().take(TOKENS_EACH).collect();
            let stage = stage.clone();
            async move { stage.verify_all(&tokens).await }
        });
        let attackers: Vec<_> = attackers.collect();
        for part in together(attackers).await? {
            verdicts.merge(&part);
        }
        waiting.look(&stage).await;
        good.note(stage.code(&known).await);
    }
    let lasted = stage.now().since(began);
    let calls = Calls::from(stage.server().counts());
    for _ in 0..GRACE_WAVES {
        if waiting.tokens.is_empty() {
            break;
        }
        stage.leap(WAVE_TIME);
        waiting.look(&stage).await;
    }

    let cooldowns = lasted.as_secs_f64() / DEFAULT_COOLDOWN.as_secs_f64();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small number above zero
    let cooldowns_begun = cooldowns.ceil() as u64;
    Ok(Flood {
        tokens: verdicts.total(),
        verdicts,
        calls,
        lasted_s: lasted.as_secs_f64(),
        cooldown_s: DEFAULT_COOLDOWN.as_secs_f64(),
        allowed_fetches: cooldowns_begun + 1,
        good_tokens: good.total(),
        good_tokens_lost: good.lost(),
        rotations: ROTATE_BEFORE.len() as u64,
        rotations_picked_up: waiting.picked_up,
        longest_wait_s: waiting.longest.as_secs_f64(),
    })
}

/// Good tokens under new keys that were not verified yet.
#[derive(Default)]
struct Waiting {
    tokens: Vec<(String, verifier::core::time::Now)>,
    picked_up: u64,
    longest: Duration,
}

impl Waiting {
    fn add(&mut self, stage: &Stage) {
        self.tokens.push((stage.token(), stage.now()));
    }

    async fn look(&mut self, stage: &Stage) {
        for (token, since) in std::mem::take(&mut self.tokens) {
            let picked_up = stage.code(&token).await == VERIFIED;
            self.longest = self.longest.max(stage.now().since(since));
            if picked_up {
                self.picked_up += 1;
            } else {
                self.tokens.push((token, since));
            }
        }
    }
}
