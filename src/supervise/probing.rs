//! When a probe asks, and what its answers amount to: thresholds and the start period. Pure.

use super::schedule::Now;
use crate::settings::service::{Probe, ProbeKind};

/// Readiness or liveness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Which {
    /// May it get work?
    Readiness,
    /// Must it be restarted?
    Liveness,
}

/// What an answer changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The success threshold was reached.
    Up,
    /// The failure threshold was reached; the last failure's reason.
    Down(String),
    /// Neither.
    Undecided,
}

/// One probe of one running process.
#[derive(Debug, Clone)]
pub struct Probing {
    started: Now,
    next_at: Option<Now>,
    successes: u32,
    failures: u32,
    been_up: bool,
}

/// Until its first success a readiness probe asks at least this often: a start should not wait for the interval.
const EAGER: Now = Now::from_millis(100);

impl Probing {
    /// Begins when the process starts. A liveness probe waits for one interval first; a readiness probe asks at once.
    pub fn begin(probe: &Probe, which: Which, now: Now) -> Self {
        let next_at = match (&probe.kind, which) {
            // The service itself speaks up; nobody asks.
            (ProbeKind::NotifyFd { .. } | ProbeKind::SdNotify, _) => None,
            (_, Which::Readiness) => Some(now),
            (_, Which::Liveness) => Some(now + probe.interval),
        };
        Self { started: now, next_at, successes: 0, failures: 0, been_up: which == Which::Liveness }
    }

    /// When it wants to ask; `None` while an answer is awaited.
    pub fn next_at(&self) -> Option<Now> {
        self.next_at
    }

    /// The question went out.
    pub fn asked(&mut self) {
        self.next_at = None;
    }

    /// An answer came in; `Err(None)`: nobody could ask (no pids, no descriptors), which counts neither way.
    pub fn answered(&mut self, probe: &Probe, answer: Result<(), Option<String>>, now: Now) -> Verdict {
        self.been_up |= answer.is_ok();
        self.next_at = Some(now + if self.been_up { probe.interval } else { probe.interval.min(EAGER) });
        match answer {
            Ok(()) => {
                self.failures = 0;
                self.successes = self.successes.saturating_add(1);
                if self.successes >= probe.success_threshold.max(1) { Verdict::Up } else { Verdict::Undecided }
            }
            Err(None) => Verdict::Undecided,
            Err(Some(reason)) => {
                self.successes = 0;
                if now.saturating_sub(self.started) < probe.start_period {
                    return Verdict::Undecided;
                }
                self.failures = self.failures.saturating_add(1);
                if self.failures >= probe.failure_threshold.max(1) { Verdict::Down(reason) } else { Verdict::Undecided }
            }
        }
    }
}
