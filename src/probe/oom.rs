//! Who died of memory: the kernel's counter of OOM kills against the deaths that a parent sees. Pure.
//!
//! The counter and the death arrive in either order: a killed process with much memory takes its time to go. So a kill
//! that was counted can be claimed by a death by SIGKILL for a while. What nobody claims hit a process that the parent
//! does not watch (init: an agent's, an orphan; the worker: a tool of an agent), and is told of by itself.
#![forbid(unsafe_code)]

use std::{collections::VecDeque, time::Duration};

/// A moment, since any fixed one.
type Now = Duration;

/// How long a counted kill waits for the death of a child.
const CLAIMABLE: Duration = Duration::from_secs(10);
/// Counted kills that wait at once; more are nobody's.
const MOST: usize = 64;

/// The ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// The counter as it was last seen.
    seen: u64,
    /// Kills since the start.
    kills: u64,
    /// Of those: claimed by the death of a child.
    claimed: u64,
    /// Of those: told of by themselves.
    told: u64,
    /// When each kill was counted that nobody has claimed yet.
    open: VecDeque<Now>,
}

impl Ledger {
    /// Begins with the counter's value at the start: what was counted before is not ours.
    pub fn new(counter: u64) -> Self {
        Self { seen: counter, ..Self::default() }
    }

    /// Kills since the start.
    pub fn kills(&self) -> u64 {
        self.kills
    }

    /// The counter was read after a time in which nobody looked: how old the kills meanwhile are is not known, so no
    /// death claims them.
    pub fn skip(&mut self, counter: u64) {
        self.seen = self.seen.max(counter);
    }

    /// The counter was read.
    pub fn counted(&mut self, counter: u64, now: Now) {
        let new = counter.saturating_sub(self.seen);
        self.seen = self.seen.max(counter);
        self.kills = self.kills.saturating_add(new);
        self.open.extend((0..new).take(MOST).map(|_| now));
        while self.open.len() > MOST {
            self.open.pop_front();
        }
    }

    /// A child died by SIGKILL: was it one of the counted kills?
    pub fn claim(&mut self, now: Now) -> bool {
        while self.open.front().is_some_and(|at| now.saturating_sub(*at) > CLAIMABLE) {
            self.open.pop_front();
        }
        if self.open.pop_front().is_none() {
            return false;
        }
        self.claimed += 1;
        // It had been told of before its victim was known.
        self.told = self.told.min(self.kills.saturating_sub(self.claimed));
        true
    }

    /// Kills that nobody has claimed or been told of; they count as told from now on.
    pub fn untold(&mut self) -> u64 {
        let untold = self.kills.saturating_sub(self.claimed).saturating_sub(self.told);
        self.told += untold;
        untold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Now {
        Duration::from_secs(n)
    }

    #[test]
    fn a_death_claims_a_kill_whichever_is_seen_first_and_each_kill_once() {
        let mut ledger = Ledger::new(7);
        ledger.counted(7, s(1));
        assert!(!ledger.claim(s(1)), "what was counted before the start is nobody's");
        // The look comes first, the death later.
        ledger.counted(8, s(2));
        assert_eq!((ledger.untold(), ledger.kills()), (1, 1));
        assert!(ledger.claim(s(3)));
        assert!(!ledger.claim(s(3)), "one kill, one victim");
        // The death comes first: there is nothing more to tell.
        ledger.counted(9, s(4));
        assert!(ledger.claim(s(4)));
        assert_eq!((ledger.untold(), ledger.kills()), (0, 2));
    }

    #[test]
    fn of_two_kills_the_one_that_hit_no_child_is_told_once() {
        let mut ledger = Ledger::new(0);
        ledger.counted(2, s(0));
        assert!(ledger.claim(s(0)));
        assert_eq!((ledger.untold(), ledger.untold()), (1, 0));
        ledger.counted(3, s(1));
        assert_eq!(ledger.untold(), 1);
    }

    #[test]
    fn a_kill_that_nobody_claimed_is_forgotten_so_that_an_operators_kill_is_not_misnamed() {
        let mut ledger = Ledger::new(0);
        ledger.counted(1, s(0));
        assert!(!ledger.claim(s(11)));
        assert_eq!(ledger.kills(), 1);
    }

    #[test]
    fn what_was_killed_while_nobody_looked_is_claimed_by_no_death() {
        let mut ledger = Ledger::new(0);
        ledger.skip(3);
        ledger.counted(3, s(1));
        assert!(!ledger.claim(s(1)));
        ledger.counted(4, s(2));
        assert!(ledger.claim(s(2)));
    }

    #[test]
    fn a_counter_that_goes_back_or_leaps_does_no_harm() {
        let mut ledger = Ledger::new(5);
        ledger.counted(2, s(0));
        assert_eq!(ledger.kills(), 0);
        ledger.counted(u64::MAX, s(0));
        assert!(ledger.claim(s(0)));
        assert_eq!((ledger.kills(), ledger.untold()), (u64::MAX - 5, u64::MAX - 6));
    }
}
