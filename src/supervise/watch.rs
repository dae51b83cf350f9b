//! The slow tick: budgets of pids and memory, live orphans, limits that move. Runs on the worker thread.

use super::{
    health::human,
    orphans::{self, Rules},
};
use crate::{
    control::protocol::{Gauge, Orphan},
    layout::Root,
    probe::{
        Facts,
        processes::{self, By, Scan},
        usage::{Usage, UsagePaths, Used},
    },
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// What is looked at, and which thresholds count.
#[derive(Debug, Clone)]
pub struct Watch {
    /// How often; zero: never.
    pub every: Duration,
    /// Files of the cgroup.
    pub paths: Arc<UsagePaths>,
    /// The facts of the start, to see limits move.
    pub facts: Arc<Facts>,
    /// Rules for live orphans.
    pub orphans: Rules,
    /// Percent of a limit from which a warning is given.
    pub warn: u64,
    /// Percent of a limit from which the container is not ready.
    pub unready: u64,
}

/// The limits that concurrency depends on; they move when a pod is resized in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pids: Option<u64>,
    memory: Option<u64>,
    cpus: Option<u32>,
}

/// What the loop knows when it asks for a look.
#[derive(Debug, Clone)]
pub struct Question {
    /// The init's pid.
    pub own_pid: i32,
    /// Every child of ours that is no orphan.
    pub known: HashSet<i32>,
    /// When that was so, as `processes::ticks_now` counts.
    pub as_of: u64,
    /// Services whose main process has ended since the last look, and when.
    pub ended: BTreeMap<String, u64>,
}

/// One look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// Pids used against their limit.
    pub pids: Gauge,
    /// Memory used against its limit, bytes.
    pub memory: Gauge,
    /// The cgroup's OOM kill counter.
    pub oom_kills: Option<u64>,
    /// Zombies of any parent in the process table.
    pub zombies: u64,
    /// Live orphans, the oldest first.
    pub live: Vec<Orphan>,
    /// Orphans that were ended by rule in this look, with the rule.
    pub ended: Vec<(Orphan, String)>,
    /// Budgets above the warning threshold, with their top owners.
    pub warnings: Vec<String>,
    /// Budgets above the unready threshold.
    pub pressure: Option<String>,
    /// The limits themselves, to see them move; `None` before the first look.
    pub limits: Option<Limits>,
}

impl Watch {
    /// The OOM counter alone: one small file of the cgroup file system.
    pub fn oom_kills(&self) -> Option<u64> {
        self.paths.oom_kills()
    }

    /// Looks, and ends what the rules say.
    pub fn look(&self, root: &Root, asked: &Question) -> Observation {
        let usage = self.paths.read();
        let scan = processes::scan(root);
        let (warnings, pressure) = self.judge(&usage, &scan);
        let live = orphans::find(root, &scan, asked.own_pid, &asked.known, asked.as_of);
        let mut ended = Vec::new();
        for (orphan, reason) in orphans::due(&live, self.orphans, pressure.is_some(), &asked.ended) {
            if orphans::signal(root, orphan.shown.pid, orphan.start_ticks, libc::SIGKILL) {
                ended.push((orphan.shown.clone(), reason));
            }
        }
        Observation {
            limits: Some(Limits {
                pids: limit(usage.pids.as_ref()),
                memory: limit(usage.memory.as_ref()),
                cpus: self.facts.under_todays_limits(root).cpu.effective.reading.value().copied(),
            }),
            pids: gauge(usage.pids),
            memory: gauge(usage.memory),
            oom_kills: usage.oom_kills,
            zombies: u64::try_from(scan.zombies()).unwrap_or(u64::MAX),
            live: live.into_iter().map(|orphan| orphan.shown).collect(),
            ended,
            warnings,
            pressure,
        }
    }

    fn judge(&self, usage: &Usage, scan: &Scan) -> (Vec<String>, Option<String>) {
        let (mut warnings, mut pressing) = (Vec::new(), Vec::new());
        for (name, used, by) in [("pids", &usage.pids, By::Threads), ("memory", &usage.memory, By::Memory)] {
            let Some(percent) = used.as_ref().and_then(Used::percent).filter(|percent| *percent >= self.warn) else {
                continue;
            };
            let owners: Vec<String> = scan.top(by, 3).iter().map(|p| format!("{} (pid {})", p.comm, p.pid)).collect();
            // Tens only: a budget that hovers must not be a new warning at each look.
            let line = format!("{name} at {}0 % of the limit; most of it: {}", percent / 10, owners.join(", "));
            if percent >= self.unready {
                pressing.push(line.clone());
            }
            warnings.push(line);
        }
        (warnings, (!pressing.is_empty()).then(|| pressing.join("; ")))
    }
}

fn limit(used: Option<&Used>) -> Option<u64> {
    used.and_then(|used| used.limit)
}

fn gauge(used: Option<Used>) -> Gauge {
    used.map_or_else(Gauge::default, |used| Gauge { used: Some(used.used), limit: used.limit })
}

impl Watch {
    /// One line for the log at the start.
    pub fn describe(&self) -> String {
        format!("every {}, warning at {} %, not ready at {} %", human(self.every), self.warn, self.unready)
    }
}
