//! The host's own numbers: `/proc/meminfo`, `/proc/loadavg`, `/proc/sys/kernel`.
//!
//! Inside a container these show the host (unless lxcfs), so they are the outermost limit. Parsed field by field and
//! not by procfs-core's `Meminfo`, which wants every field (gVisor has few) and panics on a field name that ends inside
//! a character.
#![forbid(unsafe_code)]

use super::{Bound, Reading, cgroup, read, usage::Used};
use crate::layout::Root;
use serde::Serialize;

/// `/proc/meminfo`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Meminfo {
    /// Usable memory.
    pub total: Option<u64>,
    /// What can be had without swapping; before 3.14 the sum of free, buffers and cached.
    pub available: Option<u64>,
    /// Swap.
    pub swap_total: Option<u64>,
}

/// Parses `/proc/meminfo` (proc_meminfo(5)); every field may be missing.
pub fn meminfo(text: &str) -> Meminfo {
    let field = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        // The unit is always kB (KiB); the kernel never changed it.
        rest.trim().trim_end_matches("kB").trim_end().parse::<u64>().ok()?.checked_mul(1024)
    };
    let sum = || {
        let rest = field("Buffers").unwrap_or(0).saturating_add(field("Cached").unwrap_or(0));
        Some(field("MemFree")?.saturating_add(rest))
    };
    Meminfo { total: field("MemTotal"), available: field("MemAvailable").or_else(sum), swap_total: field("SwapTotal") }
}

/// All tasks of the host, from the fourth word of `/proc/loadavg` (`2/1234`).
pub fn loadavg_tasks(text: &str) -> Option<u64> {
    text.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// `kernel.threads-max` and `kernel.pid_max`, in tasks.
pub fn task_limits(root: &Root) -> [Bound<u64>; 2] {
    ["/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max"].map(|path| {
        let reading = match read::text(root, path) {
            Ok(text) => cgroup::limit(&text),
            Err(error) => Reading::unknown(error.to_string()),
        };
        Bound::new(reading, path)
    })
}

/// The host's memory in use.
pub(super) fn memory_used(root: &Root) -> Option<Used> {
    const PATH: &str = "/proc/meminfo";
    let info = meminfo(&read::text(root, PATH).ok()?);
    let total = info.total?;
    Some(Used { used: total.saturating_sub(info.available?), limit: Some(total), from: PATH.to_owned() })
}

/// Tasks that the host has.
pub(super) fn tasks_in_use(root: &Root) -> Option<u64> {
    loadavg_tasks(&read::text(root, "/proc/loadavg").ok()?)
}

/// The same with their limit.
pub(super) fn tasks_used(root: &Root) -> Option<Used> {
    let used = tasks_in_use(root)?;
    let limit = Bound::tightest(task_limits(root))?;
    Some(Used { used, limit: limit.value().copied(), from: limit.from })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn meminfo_is_in_bytes_and_old_kernels_have_an_estimate() {
        let info = meminfo("MemTotal:       1024 kB\nMemFree: 10 kB\nMemAvailable:    512 kB\nSwapTotal: 0 kB\n");
        assert_eq!(info, Meminfo { total: Some(1 << 20), available: Some(512 << 10), swap_total: Some(0) });
        let old = meminfo("MemTotal: 1024 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 1 kB\n");
        assert_eq!(old.available, Some(16 << 10));
        assert_eq!(meminfo("MemTotal: 99999999999999999999 kB\nMemFreé 5"), Meminfo::default());
    }

    #[test]
    fn loadavg_counts_the_tasks_of_the_host() {
        assert_eq!(loadavg_tasks("0.45 0.31 0.19 2/234 5678\n"), Some(234));
        assert_eq!(loadavg_tasks("0.45"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_them_fail(text in "(?s).{0,200}") {
            let _ = (meminfo(&text), loadavg_tasks(&text), meminfo(&format!("MemTotal:{text}")));
        }
        #[test]
        fn huge_numbers_do_not_overflow(n in any::<u128>()) {
            let _ = meminfo(&format!("MemTotal: {n} kB\nMemFree: {n} kB\nBuffers: {n}\nCached: {n} kB"));
        }
    }
}
