//! Memory, CPU, tasks and descriptors: the cgroups' limits and the host's, and the tightest of both.
#![forbid(unsafe_code)]

use super::{
    Bound, Reading,
    calls::{Calls, SoftHard},
    cgroup::{self, Limits},
    host, read,
};
use crate::layout::Root;
use serde::Serialize;

/// Memory, all in bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Memory {
    /// Where the OOM killer strikes: the tightest cgroup limit, or the host's memory.
    pub limit: Bound<u64>,
    /// From here on allocations are throttled (`memory.high`).
    pub high: Bound<u64>,
    /// Free now, at the tightest place; page cache that is easily reclaimed counts as free.
    pub available: Bound<u64>,
    /// Swap that may be used.
    pub swap: Bound<u64>,
    /// The host's memory.
    pub host_total: Bound<u64>,
    /// What can be had of the host's memory without swapping.
    pub host_available: Bound<u64>,
}

/// CPUs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cpu {
    /// How many can be used at once: the least of the others, a quota rounded up, never 0.
    pub effective: Bound<u32>,
    /// Bandwidth in CPUs, such as 0.5. Weights and shares are not limits and are not read.
    pub quota: Bound<f64>,
    /// CPUs of the cpuset.
    pub cpuset: Bound<u32>,
    /// Active CPUs of the affinity mask.
    pub affinity: Bound<u32>,
    /// CPUs that are online.
    pub online: Bound<u32>,
}

/// Tasks: processes, threads and zombies all count.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tasks {
    /// The tightest of the cgroup and the host; RLIMIT_NPROC, which root ignores, is not counted in.
    pub limit: Bound<u64>,
    /// Tasks that may still be made below it.
    pub available: Bound<u64>,
    /// `pids.max` of the tightest level.
    pub cgroup: Bound<u64>,
    /// RLIMIT_NPROC, soft: per real user id, across containers without user namespaces.
    pub nproc_soft: Bound<u64>,
    /// RLIMIT_NPROC, hard.
    pub nproc_hard: Bound<u64>,
    /// Tasks that the host may still make.
    pub host_available: Bound<u64>,
    /// `kernel.threads-max`.
    pub threads_max: Bound<u64>,
    /// `kernel.pid_max`.
    pub pid_max: Bound<u64>,
}

/// Open files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Descriptors {
    /// RLIMIT_NOFILE, soft: per process.
    pub soft: Bound<u64>,
    /// RLIMIT_NOFILE, hard: the soft one may be raised to it.
    pub hard: Bound<u64>,
    /// `fs.nr_open`: the most that the hard limit may be.
    pub nr_open: Bound<u64>,
    /// `fs.file-max`: the host's open files in all.
    pub file_max: Bound<u64>,
}

/// Memory from the cgroups and `/proc/meminfo`.
pub(super) fn memory(root: &Root, limits: &Limits) -> Memory {
    const PATH: &str = "/proc/meminfo";
    let info = read::text(root, PATH).map(|text| host::meminfo(&text));
    let of_host = |field: fn(&host::Meminfo) -> Option<u64>, name: &str| {
        let reading = match &info {
            Ok(info) => field(info).map_or_else(|| Reading::unknown(format!("{PATH} has no {name}")), Reading::Value),
            Err(error) => Reading::unknown(error.to_string()),
        };
        Bound::new(reading, PATH)
    };
    let host_total = of_host(|info| info.total, "MemTotal");
    let host_available = of_host(|info| info.available, "MemAvailable");
    let host_swap = of_host(|info| info.swap_total, "SwapTotal");
    Memory {
        limit: either(&limits.memory, &host_total),
        high: limits.memory_high.clone(),
        available: either(&limits.memory_available, &host_available),
        swap: either(&limits.swap, &host_swap),
        host_total,
        host_available,
    }
}

/// CPUs from quota, cpuset, affinity and the host.
pub(super) fn cpu(root: &Root, limits: &Limits, calls: &Calls) -> Cpu {
    let online = listed(root, "/sys/devices/system/cpu/online", cgroup::cpu_list);
    let online = if online.value().is_some() {
        online
    } else {
        listed(root, "/proc/cpuinfo", |text| {
            u32::try_from(text.lines().filter(|line| line.starts_with("processor")).count()).ok().filter(|n| *n > 0)
        })
    };
    let affinity = match calls.affinity {
        Some(count) => Bound::new(Reading::Value(count), "sched_getaffinity(2)"),
        // Possible CPUs, online or not; the least with `online` is right all the same.
        None => listed(root, "/proc/self/status", |text| {
            cgroup::cpu_list(text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
        }),
    };
    let quota = limits.cpu.clone();
    let whole = Bound::new(quota.reading.clone().map(whole_cpus), quota.from.clone());
    // Of equal ones the outermost is named: raising a quota above the machine would change nothing.
    let effective = Bound::tightest([online.clone(), affinity.clone(), limits.cpuset.clone(), whole])
        .map(|bound| Bound { reading: bound.reading.map(|count| count.max(1)), ..bound });
    Cpu {
        effective: effective.unwrap_or_else(|| online.clone()),
        quota,
        cpuset: limits.cpuset.clone(),
        affinity,
        online,
    }
}

/// A quota of 0.5 or 1.2 CPUs can use 1 or 2 at once.
fn whole_cpus(quota: f64) -> u32 {
    // `as` saturates; a quota is finite and not negative (cgroup::cpu_max).
    (quota.ceil() as u32).max(1)
}

/// Tasks from the cgroups, the resource limit and the host.
pub(super) fn tasks(root: &Root, limits: &Limits, own: &OwnLimits, calls: &Calls) -> Tasks {
    let [threads_max, pid_max] = host::task_limits(root);
    let host = either(&threads_max, &pid_max);
    let host_free = host::tasks_in_use(root).map_or_else(
        || host.clone(),
        |used| Bound::new(host.reading.clone().map(|limit| limit.saturating_sub(used)), host.from.clone()),
    );
    let (nproc_soft, nproc_hard) = soft_hard(own, "Max processes", calls.nproc);
    Tasks {
        limit: either(&limits.pids, &host),
        available: either(&limits.pids_available, &host_free),
        cgroup: limits.pids.clone(),
        nproc_soft,
        nproc_hard,
        host_available: host_free,
        threads_max,
        pid_max,
    }
}

/// Descriptors from the resource limit and the host.
pub(super) fn descriptors(root: &Root, own: &OwnLimits, calls: &Calls) -> Descriptors {
    let number = |path: &str| {
        let reading = match read::text(root, path) {
            Ok(text) => cgroup::limit(&text),
            Err(error) => Reading::unknown(error.to_string()),
        };
        Bound::new(reading, path)
    };
    let (soft, hard) = soft_hard(own, "Max open files", calls.nofile);
    Descriptors { soft, hard, nr_open: number("/proc/sys/fs/nr_open"), file_max: number("/proc/sys/fs/file-max") }
}

/// The tighter of a cgroup's bound and the host's; a cgroup that is not visible is no reason not to know the host's.
pub(super) fn either(inner: &Bound<u64>, outer: &Bound<u64>) -> Bound<u64> {
    match (&inner.reading, &outer.reading) {
        (Reading::Unknown { .. }, Reading::Value(_) | Reading::Unlimited) if inner.from.is_empty() => outer.clone(),
        _ => Bound::tightest([inner.clone(), outer.clone()]).unwrap_or_else(|| outer.clone()),
    }
}

fn listed(root: &Root, path: &str, parse: impl Fn(&str) -> Option<u32>) -> Bound<u32> {
    let reading = match read::text(root, path) {
        Ok(text) => parse(&text).map_or_else(|| Reading::unknown(format!("{path}: not understood")), Reading::Value),
        Err(error) => Reading::unknown(error.to_string()),
    };
    Bound::new(reading, path)
}

/// The text of `/proc/self/limits`.
pub(super) type OwnLimits = Result<String, read::ReadError>;

const OWN_LIMITS: &str = "/proc/self/limits";

pub(super) fn own_limits(root: &Root) -> OwnLimits {
    read::text(root, OWN_LIMITS)
}

/// `/proc/self/limits`, else the call. The file is tried first because a captured root has it.
fn soft_hard(text: &OwnLimits, name: &str, call: Option<SoftHard>) -> (Bound<u64>, Bound<u64>) {
    const PATH: &str = OWN_LIMITS;
    let found = text.as_ref().ok().and_then(|text| limit_line(text, name));
    if let Some((soft, hard)) = found {
        return (Bound::new(soft, PATH), Bound::new(hard, PATH));
    }
    let of = |limit: Option<u64>| limit.map_or(Reading::Unlimited, Reading::Value);
    if let Some(SoftHard { soft, hard }) = call {
        return (Bound::new(of(soft), "getrlimit(2)"), Bound::new(of(hard), "getrlimit(2)"));
    }
    let reason = match text {
        Ok(_) => format!("{PATH}: no line \"{name}\" that is understood"),
        Err(error) => error.to_string(),
    };
    (Bound::new(Reading::unknown(reason.clone()), PATH), Bound::new(Reading::unknown(reason), PATH))
}

/// `Max open files   1024   524288   files` of proc_pid_limits(5). Not procfs-core's parser: it wants all sixteen lines, and
/// its index arithmetic underflows on a short one.
pub fn limit_line(text: &str, name: &str) -> Option<(Reading<u64>, Reading<u64>)> {
    let mut words = text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace();
    let mut next = || match words.next()? {
        "unlimited" => Some(Reading::Unlimited),
        word => word.parse().ok().map(Reading::Value),
    };
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_lines_are_read_one_by_one() {
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax processes             unlimited            95000   processes\n\
                    Max open files            1024                 524288               files\nMax\n";
        assert_eq!(limit_line(text, "Max open files"), Some((Reading::Value(1024), Reading::Value(524_288))));
        assert_eq!(limit_line(text, "Max processes"), Some((Reading::Unlimited, Reading::Value(95_000))));
        assert_eq!(limit_line(text, "Max stack size"), None);
        assert_eq!(limit_line("Max open files x y", "Max open files"), None);
    }

    #[test]
    fn a_part_of_a_cpu_is_one_cpu() {
        for (quota, want) in [(0.0, 1), (0.01, 1), (0.5, 1), (1.0, 1), (1.01, 2), (f64::MAX, u32::MAX)] {
            assert_eq!(whole_cpus(quota), want, "{quota}");
        }
    }
}
