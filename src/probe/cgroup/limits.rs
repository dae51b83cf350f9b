//! The limits themselves: at every visible level, then the tightest, with the file that it came from.
//!
//! A file that is missing at a level means no limit there (the root has none, a leaf without the controller
//! inherits); a file that is there and cannot be understood makes that level unknown, never zero.
#![forbid(unsafe_code)]

use super::{
    hierarchy::{Cgroups, Hierarchy, Version},
    parse,
};
use crate::{
    layout::Root,
    probe::{Bound, Reading, read},
};
use serde::Serialize;

/// What the cgroups of this process allow, host limits not counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limits {
    /// Memory in bytes: the OOM killer's limit (`memory.max`, v1 `memory.limit_in_bytes`).
    pub memory: Bound<u64>,
    /// Memory in bytes from which allocations are throttled (`memory.high`); v2 only.
    pub memory_high: Bound<u64>,
    /// Bytes still free below the tighter of the two at the tightest level; page cache that is easily
    /// reclaimed (`inactive_file`) counts as free.
    pub memory_available: Bound<u64>,
    /// Swap in bytes (`memory.swap.max`, v1 `memory.memsw.limit_in_bytes` less the memory limit).
    pub swap: Bound<u64>,
    /// CPU bandwidth in CPUs (`cpu.max`, v1 `cpu.cfs_quota_us / cpu.cfs_period_us`).
    pub cpu: Bound<f64>,
    /// CPUs in the cpuset (`cpuset.cpus.effective`, v1 `cpuset.effective_cpus`).
    pub cpuset: Bound<u32>,
    /// Tasks: processes, their threads and zombies (`pids.max`).
    pub pids: Bound<u64>,
    /// Tasks that may still be made at the tightest level.
    pub pids_available: Bound<u64>,
}

/// Memory of one level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LevelMemory {
    /// The tighter of hard and high limit, in bytes, and its file.
    pub limit: Bound<u64>,
    /// Bytes used, easily reclaimed page cache left out; `None`: not readable.
    pub used: Option<u64>,
}

impl Limits {
    /// Reads every level of every controller: about ten small files per level.
    pub fn read(root: &Root, cgroups: &Cgroups) -> Self {
        let memory = cgroups.memory.as_ref();
        let pids = level_pids(root, cgroups.pids.as_ref());
        let levels = memory_limits(root, memory);
        let of_memory = |bounds| tightest_of("memory", memory.is_some(), bounds);
        Self {
            memory: of_memory(levels.iter().map(|level| level.hard.clone()).collect()),
            memory_high: of_memory(levels.iter().map(|level| level.high.clone()).collect()),
            memory_available: of_memory(
                levels
                    .iter()
                    .map(|level| {
                        let LevelMemory { limit, used } = level.with_use(root);
                        let used = used.unwrap_or_default();
                        Bound::new(limit.reading.map(|limit| limit.saturating_sub(used)), limit.from)
                    })
                    .collect(),
            ),
            swap: tightest(memory, "memory", |h, dir| swap(root, h, dir)),
            cpu: tightest(cgroups.cpu.as_ref(), "cpu", |h, dir| cpu(root, h, dir)),
            cpuset: cpuset(root, cgroups.cpuset.as_ref()),
            pids: tightest_of("pids", cgroups.pids.is_some(), pids.iter().map(|(limit, _)| limit.clone()).collect()),
            pids_available: tightest_of(
                "pids",
                cgroups.pids.is_some(),
                pids.into_iter()
                    .map(|(limit, used)| {
                        let used = used.unwrap_or_default();
                        Bound::new(limit.reading.map(|limit| limit.saturating_sub(used)), limit.from)
                    })
                    .collect(),
            ),
        }
    }

    /// Only [`Self::memory`].
    pub fn memory(root: &Root, cgroups: &Cgroups) -> Bound<u64> {
        tightest(cgroups.memory.as_ref(), "memory", |hierarchy, dir| memory_limit(root, hierarchy, dir))
    }
}

/// Both limits of one level.
struct MemoryLimits<'a> {
    hierarchy: &'a Hierarchy,
    dir: &'a str,
    hard: Bound<u64>,
    high: Bound<u64>,
}

impl MemoryLimits<'_> {
    fn with_use(&self, root: &Root) -> LevelMemory {
        let Self { hierarchy, dir, .. } = self;
        let (current, inactive) = match hierarchy.version {
            Version::V1 => ("memory.usage_in_bytes", "total_inactive_file"),
            Version::V2 => ("memory.current", "inactive_file"),
        };
        let limits = [self.hard.clone(), self.high.clone()];
        let limit = Bound::tightest(limits).unwrap_or_else(|| Bound::new(Reading::Unlimited, *dir));
        // memory.stat is the dearest of these files: read only where there is a limit to compare with.
        let used = limit.value().and_then(|_| number(root, &format!("{dir}/{current}"))).map(|used| {
            let stat = read::text(root, &format!("{dir}/memory.stat")).unwrap_or_default();
            used.saturating_sub(parse::field(&stat, inactive).unwrap_or_default())
        });
        LevelMemory { limit, used }
    }
}

/// Limits of every level, leaf first.
fn memory_limits<'a>(root: &Root, hierarchy: Option<&'a Hierarchy>) -> Vec<MemoryLimits<'a>> {
    let level = |hierarchy: &'a Hierarchy, dir: &'a String| MemoryLimits {
        hierarchy,
        dir,
        hard: memory_limit(root, hierarchy, dir),
        high: memory_high(root, hierarchy, dir),
    };
    hierarchy.into_iter().flat_map(|h| h.levels.iter().map(move |dir| level(h, dir))).collect()
}

/// Limit and use of every level, leaf first.
pub(crate) fn level_memory(root: &Root, hierarchy: Option<&Hierarchy>) -> Vec<LevelMemory> {
    memory_limits(root, hierarchy).iter().map(|level| level.with_use(root)).collect()
}

/// Limit and use of every level, leaf first.
pub(crate) fn level_pids(root: &Root, hierarchy: Option<&Hierarchy>) -> Vec<(Bound<u64>, Option<u64>)> {
    let Some(hierarchy) = hierarchy else { return Vec::new() };
    let level = |dir: &String| {
        (file(root, format!("{dir}/pids.max"), parse::limit), number(root, &format!("{dir}/pids.current")))
    };
    hierarchy.levels.iter().map(level).collect()
}

/// A file of one number.
pub(crate) fn number(root: &Root, path: &str) -> Option<u64> {
    read::text(root, path).ok()?.trim().parse().ok()
}

fn memory_limit(root: &Root, hierarchy: &Hierarchy, dir: &str) -> Bound<u64> {
    match hierarchy.version {
        Version::V2 => file(root, format!("{dir}/memory.max"), parse::limit),
        Version::V1 => {
            let own = file(root, format!("{dir}/memory.limit_in_bytes"), parse::limit);
            if dir != hierarchy.leaf() {
                return own;
            }
            // Already the minimum over all ancestors, those above the mount included.
            let inherited = file(root, format!("{dir}/memory.stat"), |stat| {
                parse::field(stat, "hierarchical_memory_limit")
                    .map_or(Reading::Unlimited, |limit| parse::limit(&limit.to_string()))
            });
            Bound::tightest([own, inherited]).unwrap_or_else(|| Bound::new(Reading::Unlimited, dir))
        }
    }
}

fn memory_high(root: &Root, hierarchy: &Hierarchy, dir: &str) -> Bound<u64> {
    match hierarchy.version {
        Version::V2 => file(root, format!("{dir}/memory.high"), parse::limit),
        Version::V1 => Bound::new(Reading::Unlimited, dir),
    }
}

fn swap(root: &Root, hierarchy: &Hierarchy, dir: &str) -> Bound<u64> {
    match hierarchy.version {
        Version::V2 => file(root, format!("{dir}/memory.swap.max"), parse::limit),
        Version::V1 => {
            let both = file(root, format!("{dir}/memory.memsw.limit_in_bytes"), parse::limit);
            let memory = || number(root, &format!("{dir}/memory.limit_in_bytes")).unwrap_or_default();
            Bound::new(both.reading.map(|both| both.saturating_sub(memory())), both.from)
        }
    }
}

fn cpu(root: &Root, hierarchy: &Hierarchy, dir: &str) -> Bound<f64> {
    match hierarchy.version {
        Version::V2 => file(root, format!("{dir}/cpu.max"), parse::cpu_max),
        Version::V1 => {
            let period = read::text(root, &format!("{dir}/cpu.cfs_period_us")).unwrap_or_default();
            file(root, format!("{dir}/cpu.cfs_quota_us"), |quota| parse::cpu_max(&format!("{quota} {period}")))
        }
    }
}

/// The leaf's effective set is already cut down by its ancestors; the first level that shows one counts.
fn cpuset(root: &Root, hierarchy: Option<&Hierarchy>) -> Bound<u32> {
    let Some(hierarchy) = hierarchy else { return none("cpuset") };
    let names: &[&str] = match hierarchy.version {
        Version::V1 => &["cpuset.effective_cpus", "cpuset.cpus"],
        Version::V2 => &["cpuset.cpus.effective"],
    };
    let paths = hierarchy.levels.iter().flat_map(|dir| names.iter().map(move |name| format!("{dir}/{name}")));
    let found = paths.map(|path| {
        file(root, path, |text| match parse::cpu_list(text) {
            Some(count) => Reading::Value(count),
            None => Reading::unknown(format!(
                "\"{}\" is not a list of CPUs",
                text.trim().chars().take(40).collect::<String>()
            )),
        })
    });
    let mut last = None;
    for bound in found {
        if bound.value().is_some() {
            return bound;
        }
        last = Bound::tightest(last.into_iter().chain([bound]));
    }
    last.unwrap_or_else(|| none("cpuset"))
}

fn file<T>(root: &Root, path: String, parse: impl FnOnce(&str) -> Reading<T>) -> Bound<T> {
    let reading = match read::text(root, &path) {
        Ok(text) => match parse(&text) {
            Reading::Unknown { reason } => Reading::unknown(format!("{path}: {reason}")),
            reading => reading,
        },
        Err(error) if error.is_missing() => Reading::Unlimited,
        Err(error) => Reading::unknown(error.to_string()),
    };
    Bound::new(reading, path)
}

fn tightest<T: PartialOrd>(
    hierarchy: Option<&Hierarchy>,
    controller: &str,
    level: impl Fn(&Hierarchy, &str) -> Bound<T>,
) -> Bound<T> {
    let bounds = hierarchy.into_iter().flat_map(|h| h.levels.iter().map(|dir| level(h, dir)).collect::<Vec<_>>());
    tightest_of(controller, hierarchy.is_some(), bounds.collect())
}

fn tightest_of<T: PartialOrd>(controller: &str, found: bool, bounds: Vec<Bound<T>>) -> Bound<T> {
    if found { Bound::tightest(bounds).unwrap_or_else(|| none(controller)) } else { none(controller) }
}

fn none<T>(controller: &str) -> Bound<T> {
    Bound::new(Reading::unknown(format!("no cgroup with the {controller} controller is visible")), "")
}
