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
        pressure::Pressure,
        processes::{self, By, Owner, Process, Scan},
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
    /// When a budget is worth a word, and when readiness.
    pub thresholds: Thresholds,
}

/// Percent of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// From here on a warning is given.
    pub warn: u64,
    /// From here on the container is not ready.
    pub unready: u64,
}

/// The limits that concurrency depends on; they move when a pod is resized in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pids: Option<u64>,
    memory: Option<u64>,
    memory_high: Option<u64>,
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
    /// The largest processes of the last look.
    pub largest: Vec<Large>,
}

/// One of the largest processes of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Large {
    /// Its pid.
    pub pid: i32,
    /// With the pid it names one process for ever.
    pub start_ticks: u64,
    /// Its command name.
    pub comm: String,
    /// Resident memory in bytes.
    pub rss: u64,
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
    /// The largest processes, the greatest first.
    pub largest: Vec<Large>,
    /// Those of the last look's largest that have gone since: after an OOM kill its victim is probably among them.
    pub vanished: Vec<Large>,
    /// Share of the last 10 s in which some task waited for memory, percent.
    pub memory_pressure: Option<u64>,
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

    /// The tightest of each, as the plan takes them; not those of the usage, which is of the level that is nearest to full.
    fn limits(&self, root: &Root) -> Limits {
        let today = self.facts.under_todays_limits(root);
        Limits {
            pids: today.tasks.limit.value().copied(),
            memory: today.memory.limit.value().copied(),
            memory_high: today.memory.high.value().copied(),
            cpus: today.cpu.effective.value().copied(),
        }
    }

    /// Looks, and ends what the rules say.
    pub fn look(&self, root: &Root, asked: &Question) -> Observation {
        let usage = self.paths.read();
        let scan = processes::scan(root);
        let worth_a_kill = limit(usage.memory.as_ref()).map_or(MIB_64, |limit| limit / 16);
        let (warnings, pressure) = self.thresholds.judge(&usage, &scan, asked.own_pid);
        let live = orphans::find(root, &scan, asked.own_pid, &asked.known, asked.as_of);
        let mut ended = Vec::new();
        for (orphan, reason) in orphans::due(&live, self.orphans, pressure.is_some(), &asked.ended) {
            if orphans::signal(root, orphan.shown.pid, orphan.start_ticks, libc::SIGKILL) {
                ended.push((orphan.shown.clone(), reason));
            }
        }
        Observation {
            limits: Some(self.limits(root)),
            pids: gauge(usage.pids),
            memory: gauge(usage.memory),
            oom_kills: usage.oom_kills,
            zombies: u64::try_from(scan.zombies()).unwrap_or(u64::MAX),
            memory_pressure: usage.memory_pressure.map(|pressure| waited(&pressure)),
            vanished: asked.largest.iter().filter(|p| !scan.lives(p.pid, p.start_ticks)).cloned().collect(),
            largest: largest(&scan, asked.own_pid, worth_a_kill),
            live: live.into_iter().map(|orphan| orphan.shown).collect(),
            ended,
            warnings,
            pressure,
        }
    }
}

impl Thresholds {
    fn judge(&self, usage: &Usage, scan: &Scan, own_pid: i32) -> (Vec<String>, Option<String>) {
        let (mut warnings, mut pressing) = (Vec::new(), Vec::new());
        for (name, used, by) in [("pids", &usage.pids, By::Threads), ("memory", &usage.memory, By::Memory)] {
            let Some(percent) = used.as_ref().and_then(Used::percent).filter(|percent| *percent >= self.warn) else {
                continue;
            };
            // Tens only: a budget that hovers must not be a new warning at each look.
            let line = format!("{name} at {}0 % of the limit; most of it: {}", percent / 10, owners(scan, own_pid, by));
            if percent >= self.unready {
                pressing.push(line.clone());
            }
            warnings.push(line);
        }
        if let Some(percent) = usage.memory_pressure.map(|p| waited(&p)).filter(|percent| *percent >= self.warn) {
            // The host's pressure may be the neighbours': worth a word, no reason to go out of service.
            let whose = if usage.pressure_is_own { "" } else { " on the host" };
            let line = format!(
                "memory pressure{whose}: tasks waited {}0 % of the last 10 s; most memory: {}",
                percent / 10,
                owners(scan, own_pid, By::Memory)
            );
            if percent >= self.unready && usage.pressure_is_own {
                pressing.push(line.clone());
            }
            warnings.push(line);
        }
        // They count as pids too, so readiness is that budget's matter.
        warnings.extend(zombies(scan, own_pid, usage.pids.as_ref().and_then(|used| used.limit)));
        (warnings, (!pressing.is_empty()).then(|| pressing.join("; ")))
    }
}

/// Percent of the last 10 s.
fn waited(pressure: &Pressure) -> u64 {
    // As a cast this saturates: no number is too large for it.
    pressure.some.avg10.max(0.0) as u64
}

/// The three greatest. No numbers: they would make each look's line a new one.
fn owners(scan: &Scan, own_pid: i32, by: By) -> String {
    let named = |owner: &Owner<'_>| {
        let all = if owner.with_below { " and what it started" } else { "" };
        format!("{} (pid {}){all}", owner.process.comm, owner.process.pid)
    };
    scan.owners(own_pid, by, 3).iter().map(named).collect::<Vec<_>>().join(", ")
}

const MIB_64: u64 = 64 << 20;

/// Those that hold at least this much: what is smaller was not worth the kernel's kill.
fn largest(scan: &Scan, own_pid: i32, least: u64) -> Vec<Large> {
    let large = |p: &&Process| Large { pid: p.pid, start_ticks: p.start_ticks, comm: p.comm.clone(), rss: p.rss() };
    scan.top(By::Memory, 8).iter().filter(|p| p.pid != own_pid && p.rss() >= least).map(large).collect()
}

/// A tenth of the pids limit lost to zombies, and at least fifty, is a fault of whoever does not reap them. Ours are as
/// good as reaped.
fn zombies(scan: &Scan, own_pid: i32, limit: Option<u64>) -> Option<String> {
    let zombies = scan.processes.iter().filter(|p| p.is_zombie() && p.ppid != own_pid).count();
    let zombies = u64::try_from(zombies).unwrap_or(u64::MAX);
    if zombies < limit.map_or(1000, |limit| limit / 10).max(50) {
        return None;
    }
    let who: Vec<String> = scan
        .negligent(3)
        .iter()
        .filter(|(p, _)| p.pid != own_pid)
        .map(|(p, _)| format!("{} (pid {})", p.comm, p.pid))
        .collect();
    // Round, like the percentages.
    let round = (0..19).flat_map(|n| [1, 2, 5].map(|m| m * 10_u64.pow(n))).take_while(|n| *n <= zombies).last();
    Some(format!("{} zombies or more; they are not reaped by {}", round.unwrap_or(zombies), who.join(", ")))
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
        format!(
            "every {}, warning at {} %, not ready at {} %",
            human(self.every),
            self.thresholds.warn,
            self.thresholds.unready
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { warn: 70, unready: 95 };

    fn usage(pids: u64, memory: u64, waited: f32, own: bool) -> Usage {
        let used = |used| Some(Used { used, limit: Some(100), from: "a file".to_owned() });
        let stall = format!("some avg10={waited} avg60=0 avg300=0 total=0");
        Usage {
            pids: used(pids),
            memory: used(memory),
            oom_kills: None,
            pids_denied: None,
            memory_pressure: crate::probe::pressure::parse(&stall),
            pressure_is_own: own,
        }
    }

    fn process(pid: i32, ppid: i32, comm: &str, state: char, threads: u64, pages: u64) -> Process {
        let line = format!("{pid} ({comm}) {state} {ppid} 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 77 0 {pages} 0");
        processes::stat_line(&line).unwrap()
    }

    fn scan(processes: Vec<Process>) -> Scan {
        Scan { processes, truncated: false }
    }

    #[test]
    fn a_budget_warns_and_then_presses_with_its_owners_named() {
        let scan = scan(vec![process(5, 1, "node", 'S', 40, 7), process(6, 1, "python", 'S', 3, 900)]);
        assert_eq!(THRESHOLDS.judge(&usage(69, 69, 69.0, true), &scan, 1), (vec![], None));
        let (warnings, pressure) = THRESHOLDS.judge(&usage(74, 96, 0.0, true), &scan, 1);
        assert_eq!(
            warnings,
            [
                "pids at 70 % of the limit; most of it: node (pid 5), python (pid 6)",
                "memory at 90 % of the limit; most of it: python (pid 6), node (pid 5)"
            ]
        );
        assert_eq!(pressure.as_ref(), warnings.get(1));
    }

    #[test]
    fn pressure_counts_as_a_budget_and_that_of_the_host_never_ends_readiness() {
        let scan = scan(vec![process(6, 1, "python", 'S', 3, 900)]);
        let (warnings, pressure) = THRESHOLDS.judge(&usage(1, 1, 97.3, true), &scan, 1);
        assert_eq!(warnings, ["memory pressure: tasks waited 90 % of the last 10 s; most memory: python (pid 6)"]);
        assert_eq!(pressure.as_ref(), warnings.first());
        let (warnings, pressure) = THRESHOLDS.judge(&usage(1, 1, 97.3, false), &scan, 1);
        assert!(warnings.concat().contains("on the host"), "{warnings:?}");
        assert_eq!(pressure, None);
    }

    #[test]
    fn zombies_in_numbers_are_a_warning_that_names_who_does_not_reap_and_does_not_flicker() {
        let with = |zombies: i32| {
            let mut all = vec![process(5, 1, "node", 'S', 1, 1)];
            all.extend((0..zombies).map(|n| process(100 + n, 5, "sh", 'Z', 1, 0)));
            scan(all)
        };
        assert_eq!(zombies(&with(49), 1, Some(100)), None);
        let said = zombies(&with(51), 1, Some(100));
        assert_eq!(said.as_deref(), Some("50 zombies or more; they are not reaped by node (pid 5)"));
        assert_eq!(zombies(&with(99), 1, Some(100)), said);
        assert_eq!(zombies(&with(99), 1, Some(1000)), None);
        assert_eq!(zombies(&with(999), 1, None), None);
        assert_eq!(zombies(&with(999), 5, Some(100)), None, "its own are reaped at once");
        assert!(zombies(&with(1000), 1, None).is_some());
    }

    #[test]
    fn the_largest_are_kept_to_know_later_who_has_gone() {
        let all = scan(vec![process(1, 0, "init", 'S', 1, 9), process(5, 1, "node", 'S', 1, 8)]);
        assert_eq!(largest(&all, 1, 8 * 1024).iter().map(|p| p.pid).collect::<Vec<_>>(), [5]);
        assert_eq!(largest(&all, 1, u64::MAX), []);
        assert!(all.lives(5, 77) && !scan(vec![]).lives(5, 77));
    }
}
