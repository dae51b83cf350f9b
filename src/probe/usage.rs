//! What is used of the limits right now: for the supervisor's slow tick, for health, for naming an OOM kill.
//!
//! [`UsagePaths::find`] once (it walks the mounts), then [`UsagePaths::read`] as often as needed: a handful of small
//! reads. Limits are read again each time, because they move (a pod is resized in place). Ancestors and the host count:
//! what is nearest to its limit is reported, with its file.
#![forbid(unsafe_code)]

use super::{
    Bound,
    cgroup::{Cgroups, Limits, Version, level_memory, level_pids},
    host,
    pressure::{self, Pressure},
    read,
};
use crate::layout::Root;
use serde::Serialize;
use std::path::PathBuf;

/// Has the host's counter of OOM kills (since 4.13).
const HOST_COUNTERS: &str = "/proc/vmstat";

/// Where the live numbers are.
#[derive(Debug, Clone)]
pub struct UsagePaths {
    root: Root,
    cgroups: Cgroups,
    oom: String,
    pids_events: Option<String>,
    own_pressure: Option<String>,
    host_pressure: Option<String>,
}

/// Used of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Used {
    /// Bytes, or tasks.
    pub used: u64,
    /// The limit in the same unit; `None`: unlimited.
    pub limit: Option<u64>,
    /// The file of the limit (of several levels: of the one that is nearest to full).
    pub from: String,
}

impl Used {
    /// Percent of the limit, rounded down; `None` where there is no limit. May exceed 100.
    pub fn percent(&self) -> Option<u64> {
        self.limit.map(|limit| self.used.saturating_mul(100) / limit.max(1))
    }
}

/// One reading of everything.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Usage {
    /// Tasks: processes, threads and zombies.
    pub pids: Option<Used>,
    /// Memory in bytes, without page cache that is easily reclaimed (so that a warm cache is no alarm).
    pub memory: Option<Used>,
    /// Processes ended by the OOM killer since the cgroup was made (the host's counter where there is no cgroup); it
    /// only grows: compare with the last reading to say why a child died.
    pub oom_kills: Option<u64>,
    /// Forks refused by `pids.max` since the cgroup was made.
    pub pids_denied: Option<u64>,
    /// Memory pressure of the cgroup, else of the system.
    pub memory_pressure: Option<Pressure>,
    /// That is the cgroup's own: neighbours on the host have no part in it.
    pub pressure_is_own: bool,
}

impl UsagePaths {
    /// Finds the files; never fails, what is missing gives `None` later.
    pub fn find(root: &Root) -> Self {
        Self::of(root, Cgroups::find(root))
    }

    /// The same with cgroups that are already known.
    pub fn of(root: &Root, cgroups: Cgroups) -> Self {
        let existing = |path: String| read::exists(root, &path).then_some(path);
        let oom = cgroups.memory.as_ref().and_then(|memory| {
            let file = match memory.version {
                Version::V1 => "memory.oom_control",
                Version::V2 => "memory.events",
            };
            existing(format!("{}/{file}", memory.leaf()))
        });
        Self {
            oom: oom.unwrap_or_else(|| HOST_COUNTERS.to_owned()),
            pids_events: cgroups.pids.as_ref().and_then(|pids| existing(format!("{}/pids.events", pids.leaf()))),
            own_pressure: cgroups
                .unified
                .as_ref()
                .and_then(|unified| existing(format!("{}/memory.pressure", unified.leaf()))),
            host_pressure: existing("/proc/pressure/memory".to_owned()),
            root: root.clone(),
            cgroups,
        }
    }

    /// v2's `memory.events`, which can be watched by inotify(7); the other sources of the counter cannot.
    pub fn oom_events(&self) -> Option<PathBuf> {
        self.oom.ends_with("/memory.events").then(|| self.root.join(&self.oom))
    }

    /// The counter is the host's: there is no cgroup of ours that counts.
    pub fn oom_is_the_hosts(&self) -> bool {
        self.oom == HOST_COUNTERS
    }

    /// Files that may take a pressure trigger, the nearest to us first.
    pub fn pressure_files(&self) -> Vec<PathBuf> {
        self.own_pressure.iter().chain(&self.host_pressure).map(|path| self.root.join(path)).collect()
    }

    /// Everything, now.
    pub fn read(&self) -> Usage {
        let pressure_of = |path: &Option<String>| path.as_ref().and_then(|path| pressure::read(&self.root, path));
        let own_pressure = pressure_of(&self.own_pressure);
        Usage {
            pids: self.pids(),
            memory: self.memory(),
            oom_kills: self.oom_kills(),
            pids_denied: self.pids_events.as_ref().and_then(|path| self.counter(path, "max")),
            memory_pressure: own_pressure.or_else(|| pressure_of(&self.host_pressure)),
            pressure_is_own: own_pressure.is_some(),
        }
    }

    /// The OOM killer's limit: the tightest of every visible level, in bytes; without one, unlimited.
    pub fn memory_limit(&self) -> Bound<u64> {
        Limits::memory(&self.root, &self.cgroups)
    }

    /// Only the OOM counter: cheap enough for every death of a child by SIGKILL.
    pub fn oom_kills(&self) -> Option<u64> {
        self.counter(&self.oom, "oom_kill")
    }

    fn counter(&self, path: &str, name: &str) -> Option<u64> {
        super::cgroup::field(&read::text(&self.root, path).ok()?, name)
    }

    fn memory(&self) -> Option<Used> {
        let levels = level_memory(&self.root, self.cgroups.memory.as_ref());
        let levels = levels.into_iter().filter_map(|level| {
            let limit = level.limit.value().copied();
            Some(Used { used: level.used?, limit, from: level.limit.from })
        });
        nearest_to_full(levels.chain(host::memory_used(&self.root)))
    }

    fn pids(&self) -> Option<Used> {
        let levels = level_pids(&self.root, self.cgroups.pids.as_ref());
        let levels = levels
            .into_iter()
            .filter_map(|(limit, used)| Some(Used { used: used?, limit: limit.value().copied(), from: limit.from }));
        nearest_to_full(levels.chain(host::tasks_used(&self.root)))
    }
}

/// The one with the greatest share used; a limit beats none, the first beats an equal.
fn nearest_to_full(all: impl Iterator<Item = Used>) -> Option<Used> {
    let share = |used: &Used| used.limit.map_or(-1.0, |limit| used.used as f64 / limit.max(1) as f64);
    all.reduce(|best, next| if share(&next) > share(&best) { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::{super::Reading, *};
    use std::fs;

    fn used(used: u64, limit: Option<u64>, from: &str) -> Used {
        Used { used, limit, from: from.to_owned() }
    }

    #[test]
    fn what_is_nearest_to_its_limit_is_reported() {
        let found = nearest_to_full(
            [
                used(900, None, "unlimited"),
                used(10, Some(100), "leaf"),
                used(50, Some(60), "parent"),
                used(1, Some(2), "host"),
            ]
            .into_iter(),
        );
        assert_eq!(found.map(|u| (u.from.clone(), u.percent())), Some(("parent".to_owned(), Some(83))));
        assert_eq!(nearest_to_full(std::iter::empty()), None);
        assert_eq!(used(5, Some(0), "zero").percent(), Some(500));
    }

    #[test]
    fn a_v2_tree_gives_usage_without_page_cache_and_its_counters() {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/self/cgroup", "0::/\n"),
            ("proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/memory.max", "1000\n"),
            ("sys/fs/cgroup/memory.high", "max\n"),
            ("sys/fs/cgroup/memory.current", "900\n"),
            ("sys/fs/cgroup/memory.stat", "anon 1\ninactive_file 400\n"),
            ("sys/fs/cgroup/memory.events", "low 0\noom 3\noom_kill 2\n"),
            ("sys/fs/cgroup/pids.max", "20\n"),
            ("sys/fs/cgroup/pids.current", "15\n"),
            ("sys/fs/cgroup/pids.events", "max 4\n"),
            ("sys/fs/cgroup/memory.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=9\n"),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let paths = UsagePaths::find(&Root::at(dir.path()));
        let usage = paths.read();
        assert_eq!(usage.memory, Some(used(500, Some(1000), "/sys/fs/cgroup/memory.max")));
        assert_eq!(usage.pids, Some(used(15, Some(20), "/sys/fs/cgroup/pids.max")));
        assert_eq!((usage.oom_kills, usage.pids_denied), (Some(2), Some(4)));
        assert_eq!(usage.memory_pressure.map(|p| p.some.total_us), Some(9));
        assert!(usage.pressure_is_own);
        assert_eq!(paths.oom_events(), Some(dir.path().join("sys/fs/cgroup/memory.events")));
        assert_eq!(paths.pressure_files(), [dir.path().join("sys/fs/cgroup/memory.pressure")]);
        assert!(!paths.oom_is_the_hosts());
        assert_eq!(paths.memory_limit(), Bound::new(Reading::Value(1000), "/sys/fs/cgroup/memory.max"));
        // The limit moves: the next reading sees it.
        fs::write(dir.path().join("sys/fs/cgroup/pids.max"), "30\n").unwrap();
        assert_eq!(paths.read().pids.and_then(|u| u.limit), Some(30));
    }

    #[test]
    fn without_any_file_nothing_is_claimed() {
        let dir = tempfile::tempdir().unwrap();
        let usage = UsagePaths::find(&Root::at(dir.path())).read();
        assert_eq!(
            usage,
            Usage {
                pids: None,
                memory: None,
                oom_kills: None,
                pids_denied: None,
                memory_pressure: None,
                pressure_is_own: false
            }
        );
    }

    #[test]
    fn this_machine_has_memory_and_tasks_in_use() {
        let usage = UsagePaths::find(&Root::real()).read();
        assert!(usage.memory.unwrap().used > 0);
        assert!(usage.pids.unwrap().used > 0);
    }
}
