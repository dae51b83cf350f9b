//! Restart delays and the restart budget: pure arithmetic on time.

use crate::settings::service::{Backoff, RestartBudget};
use std::{collections::VecDeque, time::Duration};

/// Time since the supervisor's boot; time spent frozen does not count.
pub type Now = Duration;

/// What a service remembers of its restarts.
#[derive(Debug, Clone, Default)]
pub struct Restarts {
    /// Consecutive ends without a healthy spell between them.
    streak: u32,
    /// When each restart within the window was granted.
    granted: VecDeque<Now>,
    /// State of the jitter's generator.
    seed: u64,
}

impl Restarts {
    /// With a seed for the jitter.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// A healthy spell, or an operator's start: the next delay is the initial one again.
    pub fn forgive(&mut self) {
        self.streak = 0;
    }

    /// An operator's start clears the budget too.
    pub fn clear(&mut self) {
        self.streak = 0;
        self.granted.clear();
    }

    /// The delay of the next restart, or `None`: the budget is spent.
    pub fn next(&mut self, backoff: &Backoff, budget: &RestartBudget, now: Now) -> Option<Duration> {
        while self.granted.front().is_some_and(|at| now.saturating_sub(*at) >= budget.window) {
            self.granted.pop_front();
        }
        if self.granted.len() >= budget.restarts as usize {
            return None;
        }
        self.granted.push_back(now);
        let doubled = backoff.initial.saturating_mul(1_u32.checked_shl(self.streak).unwrap_or(u32::MAX));
        self.streak = self.streak.saturating_add(1).min(31);
        let full = doubled.min(backoff.max.max(backoff.initial));
        // The random share is taken off, so that the maximum stays one.
        Some(full.mul_f64(1.0 - backoff.jitter.clamp(0.0, 1.0) * self.random()))
    }

    /// splitmix64, as a number from 0.0 to 1.0.
    fn random(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn backoff() -> Backoff {
        Backoff { initial: ms(100), max: ms(1000), jitter: 0.0, reset_after: ms(5000) }
    }

    #[test]
    fn delays_double_up_to_the_maximum_and_start_again_after_a_healthy_spell() {
        let budget = RestartBudget { restarts: 100, window: ms(1_000_000) };
        let mut restarts = Restarts::new(1);
        let delays: Vec<_> = (0..6).map(|i| restarts.next(&backoff(), &budget, ms(i)).unwrap()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000].map(ms));
        restarts.forgive();
        assert_eq!(restarts.next(&backoff(), &budget, ms(9)), Some(ms(100)));
    }

    #[test]
    fn the_budget_counts_only_what_lies_within_its_window() {
        let budget = RestartBudget { restarts: 2, window: ms(1000) };
        let mut restarts = Restarts::new(1);
        assert!(restarts.next(&backoff(), &budget, ms(0)).is_some());
        assert!(restarts.next(&backoff(), &budget, ms(500)).is_some());
        assert_eq!(restarts.next(&backoff(), &budget, ms(999)), None);
        assert!(restarts.next(&backoff(), &budget, ms(1000)).is_some());
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let budget = RestartBudget { restarts: 10_000, window: ms(1) };
        let jittered = Backoff { jitter: 0.25, ..backoff() };
        let mut restarts = Restarts::new(42);
        for i in 0..1000 {
            restarts.forgive();
            let delay = restarts.next(&jittered, &budget, ms(10 * i)).unwrap();
            assert!(delay >= ms(75) && delay <= ms(100), "{delay:?}");
        }
    }
}
