//! Who holds the pids and the memory: a bounded walk over `/proc`.
//!
//! For naming the top owners when a budget runs short and for knowing adopted orphans. With `hidepid` or inside another
//! user's view processes may be missing; a process may end between two reads: both are passed over.
#![forbid(unsafe_code)]

use super::read;
use crate::layout::Root;
use serde::Serialize;
use std::{collections::HashMap, fs};

/// Directory entries of `/proc` that are looked at in one walk.
pub const MAX_SCANNED: usize = 32_768;

/// One process, from `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Process id in our PID namespace.
    pub pid: i32,
    /// Parent; 0 when it lies outside our namespace.
    pub ppid: i32,
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub sid: i32,
    /// Command name, at most 15 bytes; control characters are replaced.
    pub comm: String,
    /// State letter: `R`, `S`, `D`, `Z`, `T`, ...
    pub state: char,
    /// Threads; each counts against the pids limit. A zombie has 1.
    pub threads: u64,
    /// Resident memory in pages; shared pages count in every process that maps them.
    pub rss_pages: u64,
    /// Start, in clock ticks (`_SC_CLK_TCK`, 100 per second on Linux) since boot.
    pub start_ticks: u64,
}

impl Process {
    /// Has ended and waits to be reaped.
    pub const fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }
    /// Resident memory in bytes. Pages are 4 KiB on most machines, 16 or 64 KiB on some arm64 kernels.
    pub fn rss(&self) -> u64 {
        let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
        self.rss_pages.saturating_mul(size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096))
    }
}

/// Result of a walk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Scan {
    /// In the order of `/proc`, which is by pid.
    pub processes: Vec<Process>,
    /// There were more than `MAX_SCANNED`.
    pub truncated: bool,
}

/// What the owners are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Threads (pids).
    Threads,
    /// Resident memory.
    Memory,
}

/// Who holds a budget: a process, alone or with everything below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The process.
    pub process: &'a Process,
    /// What it started holds most of it.
    pub with_below: bool,
}

impl By {
    const fn of(self, process: &Process) -> u64 {
        match self {
            Self::Threads => process.threads,
            Self::Memory => process.rss_pages,
        }
    }
}

impl Scan {
    /// The greatest processes first; equal ones by pid.
    pub fn top(&self, by: By, count: usize) -> Vec<&Process> {
        let mut all: Vec<&Process> = self.processes.iter().collect();
        all.sort_by(|a, b| by.of(b).cmp(&by.of(a)).then(a.pid.cmp(&b.pid)));
        all.truncate(count);
        all
    }

    /// The greatest owners first: the init alone, each of its children with everything below, other trees likewise. Forty
    /// small processes of one shell are that shell's. Where one branch holds more than half, it is named instead. An init that
    /// is not PID 1 sees all of its host: only what is below it counts.
    pub fn owners(&self, init: i32, by: By, count: usize) -> Vec<Owner<'_>> {
        let at: HashMap<i32, usize> = self.processes.iter().enumerate().map(|(i, p)| (p.pid, i)).collect();
        let parent = |p: &Process| at.get(&p.ppid).copied().filter(|_| p.ppid != init && p.pid != init);
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); self.processes.len()];
        let mut order: Vec<usize> = Vec::new();
        for (i, process) in self.processes.iter().enumerate() {
            match parent(process).and_then(|parent| below.get_mut(parent)) {
                Some(children) => children.push(i),
                None if init == 1 || process.ppid == init || process.pid == init => order.push(i),
                None => {}
            }
        }
        let roots = order.clone();
        // Parents before children. What a pid that was used again has tied into a ring is never reached.
        let mut next = 0;
        while let Some(i) = order.get(next) {
            order.extend(below.get(*i).into_iter().flatten());
            next += 1;
        }
        let own = |i: usize| self.processes.get(i).map_or(0, |p| by.of(p));
        let mut sums = vec![0_u64; self.processes.len()];
        for i in order.iter().rev() {
            let under: u64 = below.get(*i).into_iter().flatten().filter_map(|child| sums.get(*child)).sum();
            if let Some(sum) = sums.get_mut(*i) {
                *sum = under.saturating_add(own(*i));
            }
        }
        let sum = |i: usize| sums.get(i).copied().unwrap_or_default();
        let mut owners: Vec<(u64, Owner<'_>)> = Vec::new();
        for mut head in roots {
            let whole = sum(head);
            while let Some(heavy) = below.get(head).into_iter().flatten().find(|child| sum(**child) > whole / 2) {
                head = *heavy;
            }
            let with_below = own(head) < sum(head).div_ceil(2);
            owners.extend(self.processes.get(head).map(|process| (whole, Owner { process, with_below })));
        }
        owners.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.process.pid.cmp(&b.1.process.pid)));
        owners.into_iter().take(count).map(|(_, owner)| owner).collect()
    }

    /// Processes that have ended and were not reaped.
    pub fn zombies(&self) -> usize {
        self.processes.iter().filter(|p| p.is_zombie()).count()
    }
    /// Those who do not reap, with how many zombies each has; the worst first.
    pub fn negligent(&self, count: usize) -> Vec<(&Process, usize)> {
        let mut parents: HashMap<i32, usize> = HashMap::new();
        for zombie in self.processes.iter().filter(|p| p.is_zombie()) {
            *parents.entry(zombie.ppid).or_default() += 1;
        }
        let mut known: Vec<(&Process, usize)> =
            self.processes.iter().filter_map(|p| Some((p, *parents.get(&p.pid)?))).collect();
        known.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.pid.cmp(&b.0.pid)));
        known.truncate(count);
        known
    }
    /// Is this very process still there, and no zombie?
    pub fn lives(&self, pid: i32, start_ticks: u64) -> bool {
        self.processes.iter().any(|p| p.pid == pid && p.start_ticks == start_ticks && !p.is_zombie())
    }
}

/// Walks `/proc`: one small read per process, about 10 microseconds each.
pub fn scan(root: &Root) -> Scan {
    let mut found = Scan::default();
    let Ok(entries) = fs::read_dir(root.join("/proc")) else { return found };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for (seen, pid) in pids.enumerate() {
        if seen >= MAX_SCANNED {
            found.truncated = true;
            break;
        }
        let stat = read::text(root, &format!("/proc/{pid}/stat"));
        found.processes.extend(stat.ok().and_then(|text| stat_line(&text)));
    }
    found
}

/// Now, as `Process::start_ticks` counts: ticks since boot, suspended time included (clock_gettime(2), CLOCK_BOOTTIME).
///
/// Not `/proc/uptime`: container runtimes put their own file over it (lxcfs), `stat` stays the kernel's.
pub fn ticks_now() -> u64 {
    // Linux shows USER_HZ, which is 100 on every architecture.
    const TICK_NS: u64 = 10_000_000;
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_or(0, |now| {
        let (seconds, nanoseconds) = (now.tv_sec().unsigned_abs(), now.tv_nsec().unsigned_abs());
        seconds * (1_000_000_000 / TICK_NS) + nanoseconds / TICK_NS
    })
}

/// One process by its pid; `None` when it has gone.
pub fn one(root: &Root, pid: i32) -> Option<Process> {
    stat_line(&read::text(root, &format!("/proc/{pid}/stat")).ok()?)
}

/// Parses `/proc/PID/stat`. The name may hold spaces and parentheses: it ends at the last `)`.
pub fn stat_line(text: &str) -> Option<Process> {
    let (pid, rest) = text.split_once(" (")?;
    let (comm, rest) = rest.rsplit_once(") ")?;
    let mut words = rest.split_ascii_whitespace();
    let state = words.next()?.chars().next()?;
    let ppid = words.next()?.parse().ok()?;
    let pgid = words.next()?.parse().ok()?;
    let sid = words.next()?.parse().ok()?;
    // Fields are numbered from 1 in the man page; `state` is 3, num_threads 20, starttime 22, rss 24.
    let mut words = words.skip(13);
    let threads = words.next()?.parse().ok()?;
    let start_ticks = words.nth(1)?.parse().ok()?;
    let rss_pages = words.nth(1)?.parse::<i64>().ok()?;
    Some(Process {
        pid: pid.parse().ok()?,
        ppid,
        pgid,
        sid,
        comm: comm.chars().map(|c| if c.is_control() { '?' } else { c }).collect(),
        state,
        threads,
        rss_pages: u64::try_from(rss_pages).unwrap_or_default(),
        start_ticks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = "77 (a) (b\n) S 1 70 60 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 9 0 12345 1000000 321 18446744073709551615 1 1 0 0\n";

    #[test]
    fn a_name_with_spaces_and_parentheses_is_kept_and_made_printable() {
        let process = stat_line(LINE).unwrap();
        assert_eq!((process.pid, process.ppid, process.pgid, process.sid), (77, 1, 70, 60));
        assert_eq!(process.comm, "a) (b?");
        assert_eq!((process.threads, process.start_ticks, process.rss_pages), (9, 12345, 321));
    }

    #[test]
    fn the_walk_finds_this_very_process_and_its_threads() {
        let scan = scan(&Root::real());
        let own = scan.processes.iter().find(|p| p.pid == std::process::id() as i32).unwrap();
        assert!(own.threads >= 1 && own.rss_pages > 0 && !own.is_zombie());
        assert_eq!(one(&Root::real(), own.pid).map(|p| p.start_ticks), Some(own.start_ticks));
        assert!(own.start_ticks <= ticks_now());
    }

    #[test]
    fn owners_are_ranked_and_zombies_counted() {
        let process =
            |pid, threads, rss_pages, state| Process { pid, threads, rss_pages, state, ..stat_line(LINE).unwrap() };
        let scan = Scan {
            processes: vec![process(1, 5, 1, 'S'), process(2, 9, 0, 'Z'), process(3, 5, 7, 'R')],
            truncated: false,
        };
        let pids = |by| scan.top(by, 2).iter().map(|p| p.pid).collect::<Vec<_>>();
        assert_eq!(pids(By::Threads), [2, 1]);
        assert_eq!(pids(By::Memory), [3, 1]);
        assert_eq!(scan.zombies(), 1);
        assert!(scan.lives(1, 12345) && !scan.lives(1, 12346) && !scan.lives(2, 12345));
    }

    #[test]
    fn an_owner_is_named_with_what_it_started_and_the_branch_that_holds_most_instead_of_its_root() {
        let process = |pid, ppid, threads| Process { pid, ppid, threads, ..stat_line(LINE).unwrap() };
        let mut processes = vec![
            process(1, 0, 3),
            // A shell with forty sleepers, below a service that holds little itself.
            process(5, 1, 1),
            process(6, 5, 1),
            // One with many threads, and a small child.
            process(7, 1, 20),
            process(8, 7, 1),
            // Came in from outside.
            process(9, 0, 2),
            // A ring.
            process(10, 11, 99),
            process(11, 10, 99),
        ];
        processes.extend((0..40).map(|n| process(100 + n, 6, 1)));
        let scan = Scan { processes, truncated: false };
        let named = |count| scan.owners(1, By::Threads, count).iter().map(|o| (o.process.pid, o.with_below)).collect();
        let owners: Vec<(i32, bool)> = named(9);
        assert_eq!(owners, [(6, true), (7, false), (1, false), (9, false)]);
        let owners: Vec<(i32, bool)> = named(2);
        assert_eq!(owners, [(6, true), (7, false)]);
        assert!(Scan::default().owners(1, By::Memory, 3).is_empty());
        let below_seven: Vec<i32> = scan.owners(7, By::Threads, 9).iter().map(|o| o.process.pid).collect();
        assert_eq!(below_seven, [7, 8]);
    }

    #[test]
    fn who_does_not_reap_is_named_the_worst_first() {
        let process = |pid, ppid, state| Process { pid, ppid, state, ..stat_line(LINE).unwrap() };
        let scan = Scan {
            processes: vec![
                process(1, 0, 'S'),
                process(2, 1, 'S'),
                process(3, 1, 'Z'),
                process(4, 2, 'Z'),
                process(5, 2, 'Z'),
                // Its parent is not to be seen.
                process(6, 99, 'Z'),
            ],
            truncated: false,
        };
        assert_eq!(scan.negligent(9).iter().map(|(p, n)| (p.pid, *n)).collect::<Vec<_>>(), [(2, 2), (1, 1)]);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_fail(text in "[ -~\n]{0,200}", tail in "[0-9 -]{0,120}") {
            let _ = stat_line(&text);
            let _ = stat_line(&format!("1 ({text}) S {tail}"));
        }
    }
}
