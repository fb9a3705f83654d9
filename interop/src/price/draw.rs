//! Who is asked for next, and what the guide predicts of it: pure.

use std::time::Duration;

/// Numbers that look random and are the same each time (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// In `[0, 1)`.
    #[allow(clippy::cast_precision_loss)] // 53 bits fit
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The law by which few tokens are in use often and many seldom: the one of rank `k` with weight `1 / k`.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    /// The weights summed up to each rank.
    sums: Vec<f64>,
}

impl Zipf {
    /// Over this many.
    #[allow(clippy::cast_precision_loss)] // small numbers
    pub(crate) fn new(count: usize) -> Self {
        let mut sum = 0.0;
        let sums = (1..=count)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        Self { sums }
    }

    /// One of them, from 0.
    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let at = random.unit() * self.sums.last().copied().unwrap_or_default();
        self.sums.partition_point(|sum| *sum <= at).min(self.sums.len().saturating_sub(1))
    }
}

/// The most calls that the guide's formula allows for a run of this length: a token in use is asked about once to begin
/// with, then once in `0.8 x freshness`, and never more often than it is requested. `requests` says how often each token
/// was.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small numbers
pub(crate) fn predicted(requests: &[u64], run: Duration, freshness: Duration) -> u64 {
    if freshness.is_zero() {
        return requests.iter().sum();
    }
    let renewals = (run.as_secs_f64() / (0.8 * freshness.as_secs_f64())).floor() as u64;
    requests.iter().map(|count| (*count).min(1 + renewals)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_drawn_as_often_as_its_weight_says() {
        let (zipf, mut random) = (Zipf::new(1000), Random::new(7));
        let mut drawn = vec![0_u32; 1000];
        for _ in 0..100_000 {
            drawn[zipf.draw(&mut random)] += 1;
        }
        // 1 / H(1000) = 0.1336, and half of that for the second.
        assert!((12_900..13_800).contains(&drawn[0]), "{}", drawn[0]);
        assert!((6_400..7_000).contains(&drawn[1]), "{}", drawn[1]);
        assert!(drawn.iter().filter(|count| **count > 0).count() > 990);
    }

    #[test]
    fn a_draw_is_always_one_of_them() {
        let mut random = Random::new(1);
        assert!((0..10_000).all(|_| Zipf::new(3).draw(&mut random) < 3));
        assert_eq!(Zipf::new(1).draw(&mut random), 0);
    }

    #[test]
    fn the_prediction_is_the_guides() {
        let second = Duration::from_secs;
        // Live: each request costs a call.
        assert_eq!(predicted(&[5, 0, 2], second(10), Duration::ZERO), 7);
        // Within one freshness: each token in use once.
        assert_eq!(predicted(&[5, 0, 2, 1], second(10), second(30)), 3);
        // 10 s / 0.8 s: 12 renewals after the first.
        assert_eq!(predicted(&[1000, 4], second(10), second(1)), 13 + 4);
    }
}
