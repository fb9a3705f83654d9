//! What the strategies promise, held against what was measured.

use super::figures::{Promise, StrategyFigures};

pub(super) fn judge(strategies: &[StrategyFigures]) -> Vec<Promise> {
    let mut promises = Vec::new();
    for figures in strategies {
        let mut promise = |name, kept, promise: String, figure: String| {
            promises.push(Promise { name, strategy: figures.strategy, kept, promise, figure });
        };
        stampede(figures, &mut promise);
        rotation(figures, &mut promise);
        flood(figures, &mut promise);
        revocation(figures, &mut promise);
        outage(figures, &mut promise);
    }
    promises
}

/// Name, kept, promise, figure.
type Note<'n> = &'n mut dyn FnMut(&'static str, bool, String, String);

fn looks_at_keys(figures: &StrategyFigures) -> bool {
    figures.strategy != "introspection"
}

fn asks(figures: &StrategyFigures) -> bool {
    figures.strategy != "jwks"
}

fn stampede(figures: &StrategyFigures, note: Note<'_>) {
    let it = &figures.stampede;
    let (keys, status) = (u64::from(looks_at_keys(figures)), u64::from(asks(figures)));
    let mut expected = Vec::new();
    expected.extend((keys > 0).then_some("1 key-set fetch"));
    expected.extend((status > 0).then_some("1 introspection call"));
    note(
        "stampede",
        it.calls.introspection == status && it.calls.jwks == keys && it.verified == it.callers,
        format!("{} callers on one new token cost {}", it.callers, expected.join(" and ")),
        format!(
            "{} key-set fetches, {} introspection calls, {} verified",
            it.calls.jwks, it.calls.introspection, it.verified
        ),
    );
}

fn rotation(figures: &StrategyFigures, note: Note<'_>) {
    let it = &figures.rotation;
    note(
        "rotation",
        it.lost == 0 && it.requests > 0,
        "key rotations, published before use, lose no request".to_owned(),
        format!("{} of {} lost in {} rotations", it.lost, it.requests, it.rotations),
    );
}

fn flood(figures: &StrategyFigures, note: Note<'_>) {
    let it = &figures.flood;
    if looks_at_keys(figures) {
        note(
            "flood",
            it.calls.jwks <= it.allowed_fetches,
            format!("{} unknown kids cost one key-set fetch a cooldown and a spare one at most", it.tokens),
            format!(
                "{} fetches, {} allowed in {:.0} s with a cooldown of {:.0} s",
                it.calls.jwks, it.allowed_fetches, it.lasted_s, it.cooldown_s
            ),
        );
        note(
            "flood_rotation",
            it.rotations_picked_up == it.rotations && it.longest_wait_s <= it.cooldown_s,
            "under the flood, a new key is picked up within a cooldown".to_owned(),
            format!(
                "{} of {} keys, longest wait {:.1} s",
                it.rotations_picked_up, it.rotations, it.longest_wait_s
            ),
        );
    }
    note(
        "flood_bystanders",
        it.good_tokens_lost == 0 && it.verdicts.verified() == 0,
        "the flood harms no good token, and no forged one passes".to_owned(),
        format!(
            "{} of {} good ones lost, {} forged ones verified",
            it.good_tokens_lost,
            it.good_tokens,
            it.verdicts.verified()
        ),
    );
}

fn revocation(figures: &StrategyFigures, note: Note<'_>) {
    let it = &figures.revocation;
    // jwks promises nothing here, and the table says so.
    if let Some(freshness) = it.freshness_s {
        note(
            "revocation",
            it.noticed == it.tokens && it.accepted_for_s <= freshness,
            format!("no token is accepted {freshness} s (the freshness) after it was revoked"),
            format!(
                "{} of {} noticed; last acceptance {:.2} s after",
                it.noticed, it.tokens, it.accepted_for_s
            ),
        );
    }
}

fn outage(figures: &StrategyFigures, note: Note<'_>) {
    let it = &figures.outage;
    let rejected: u64 = it.phases().iter().map(|phase| phase.rejected()).sum();
    if asks(figures) {
        let used_up = &it.freshness_used_up;
        note(
            "outage",
            rejected == 0
                && used_up.unavailable() == it.tokens
                && it.unseen.unavailable() == it.unseen.total(),
            "an outage gives unavailable, never rejected, once the freshness is used up".to_owned(),
            format!("{} of {} unavailable, {rejected} rejected", used_up.unavailable(), used_up.total()),
        );
    } else {
        let used_up = &it.freshness_used_up;
        note(
            "outage",
            rejected == 0 && used_up.verified() == it.tokens,
            "an outage stops nothing while the keys are usable, and is never called the token's fault"
                .to_owned(),
            format!("{} of {} verified, {rejected} rejected", used_up.verified(), used_up.total()),
        );
    }
    note(
        "recovery",
        it.recovered.verified() == it.tokens,
        "when the server is back, so are the verdicts".to_owned(),
        format!("{} of {} verified", it.recovered.verified(), it.recovered.total()),
    );
}

#[cfg(test)]
pub(super) mod tests;
