//! The authorization server goes away for hours, and comes back.

use std::time::Duration;

use super::USUAL_FRESHNESS;
use crate::demo::figures::{Outage, Verdicts};
use crate::demo::stage::Company;
use crate::output::End;

const TOKENS: usize = 20;
/// So long that no token expires meanwhile: what is refused is refused for the outage.
const LIFETIME: Duration = Duration::from_secs(6 * 3_600);
/// Longer than any key set is used that can't be refreshed.
const HOURS: Duration = Duration::from_secs(2 * 3_600);
/// Longer than anybody rests after failures.
const REST: Duration = Duration::from_secs(600);

pub(in crate::demo) async fn play(company: &Company) -> Result<Outage, End> {
    let stage = company.stage(USUAL_FRESHNESS)?;
    let tokens: Vec<String> = std::iter::repeat_with(|| stage.token_for(LIFETIME)).take(TOKENS).collect();
    if stage.verify_all(&tokens).await.lost() > 0 {
        return Err(End::failed("a good token was not verified"));
    }
    let unseen_token = stage.token_for(LIFETIME);

    stage.server().refuse_connections();
    let fresh = stage.verify_all(&tokens).await;
    stage.leap(USUAL_FRESHNESS);
    let freshness_used_up = stage.verify_all(&tokens).await;
    let mut unseen = Verdicts::default();
    unseen.note(stage.code(&unseen_token).await);
    stage.leap(HOURS);
    let hours_later = stage.verify_all(&tokens).await;

    stage.server().accept_connections()?;
    stage.leap(REST);
    let recovered = stage.verify_all(&tokens).await;
    Ok(Outage { tokens: TOKENS as u64, fresh, unseen, freshness_used_up, hours_later, recovered })
}
