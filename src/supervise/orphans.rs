//! Live orphans: what was re-parented to the init and still runs.
//!
//! They are found by one scan of `/proc` on the worker thread, known by age, memory, command and the service
//! they came from (the `SKILL_INIT_SERVICE` of their environment), and ended by rule: `rules` is pure.

use crate::{
    control::protocol::Orphan,
    layout::Root,
    probe::processes::{self, Process, Scan},
    sys,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

/// When a live orphan is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// `SKILL_INIT_ORPHANS=end`; false: they are only reported.
    pub end: bool,
    /// From this age on.
    pub age: Duration,
}

/// An orphan with what identifies it exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// As `status` shows it.
    pub shown: Orphan,
    /// Start time in clock ticks since boot: with the pid it names one process for ever.
    pub start_ticks: u64,
}

/// Which of these have to be ended, with the reason. `pressed`: pids or memory are near their limit; `ended`: services
/// whose main process has ended, and when (`processes::ticks_now`): what is younger belongs to its next process.
pub fn due<'a>(
    live: &'a [Live],
    rules: Rules,
    pressed: bool,
    ended: &BTreeMap<String, u64>,
) -> Vec<(&'a Live, String)> {
    if !rules.end {
        return Vec::new();
    }
    live.iter()
        .filter_map(|orphan| {
            let age = Duration::from_millis(orphan.shown.age_ms);
            let reason = if orphan
                .shown
                .from
                .as_ref()
                .and_then(|from| ended.get(from))
                .is_some_and(|at| orphan.start_ticks < *at)
            {
                "its service ended".to_owned()
            } else if age >= rules.age {
                format!("older than {}", super::health::human(rules.age))
            } else if pressed {
                "pids or memory are near their limit".to_owned()
            } else {
                return None;
            };
            Some((orphan, reason))
        })
        .collect()
}

/// Finds the children of `own_pid` that are not in `known`; the oldest first, at most `MOST`.
///
/// `known` was true at `as_of` (`processes::ticks_now`). What started since is left for the next look: it may be a
/// service that was started after `known` was written down, and a service is never taken for an orphan.
pub fn find(root: &Root, scan: &Scan, own_pid: i32, known: &HashSet<i32>, as_of: u64) -> Vec<Live> {
    let orphan = |p: &&Process| {
        p.ppid == own_pid && p.pid != own_pid && p.state != 'Z' && p.start_ticks < as_of && !known.contains(&p.pid)
    };
    let mut orphans: Vec<&Process> = scan.processes.iter().filter(orphan).collect();
    orphans.sort_by_key(|p| p.start_ticks);
    orphans.into_iter().take(MOST).map(|process| describe(root, process)).collect()
}

/// Every descendant of `ancestor`, itself left out. Reads `/proc/PID/stat` only, which never waits for a process.
pub fn descendants(root: &Root, ancestor: i32) -> Vec<Process> {
    below(&processes::scan(root), vec![ancestor]).into_iter().cloned().collect()
}

/// SIGKILL to every orphan of `own_pid` that came from `service` and started before `as_of`, and to all below it.
///
/// For the worker thread: reading a process's environment waits for its memory map, which a hung process may hold.
pub fn kill_escaped(root: &Root, own_pid: i32, service: &str, known: &HashSet<i32>, as_of: u64) {
    let scan = processes::scan(root);
    let escaped: Vec<&Process> = scan
        .processes
        .iter()
        .filter(|p| p.ppid == own_pid && p.start_ticks < as_of && !known.contains(&p.pid))
        .filter(|p| origin(root, p.pid).as_deref() == Some(service))
        .collect();
    let below = below(&scan, escaped.iter().map(|p| p.pid).collect());
    for process in escaped.into_iter().chain(below) {
        signal(root, process.pid, process.start_ticks, libc::SIGKILL);
    }
}

fn below(scan: &Scan, mut ancestors: Vec<i32>) -> Vec<&Process> {
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in &scan.processes {
        children.entry(process.ppid).or_default().push(process);
    }
    let mut found: Vec<&Process> = Vec::new();
    let mut seen: HashSet<i32> = ancestors.iter().copied().collect();
    while let Some(ancestor) = ancestors.pop() {
        for process in children.get(&ancestor).into_iter().flatten().filter(|p| seen.insert(p.pid)) {
            found.push(process);
            ancestors.push(process.pid);
        }
    }
    found
}

/// Signals exactly this process: not another one that got its pid meanwhile.
pub fn signal(root: &Root, pid: i32, start_ticks: u64, signal: i32) -> bool {
    sys::process::signal_if(pid, signal, || processes::one(root, pid).is_some_and(|p| p.start_ticks == start_ticks))
}

const MOST: usize = 64;
const MAX_COMMAND: usize = 160;

fn describe(root: &Root, process: &Process) -> Live {
    Live {
        shown: Orphan {
            pid: process.pid,
            age_ms: processes::ticks_now().saturating_sub(process.start_ticks) * 10,
            rss: process.rss(),
            command: command(root, process),
            from: origin(root, process.pid),
        },
        start_ticks: process.start_ticks,
    }
}

fn command(root: &Root, process: &Process) -> String {
    let raw = bounded(root, process.pid, "cmdline", 4096);
    let words: Vec<String> = raw
        .split(|b| *b == 0)
        .filter(|w| !w.is_empty())
        .map(|w| String::from_utf8_lossy(w).chars().filter(|c| !c.is_control()).collect())
        .collect();
    // The arguments may hold a secret: the program and the number of its arguments are enough to know it by.
    match words.split_first() {
        None => format!("[{}]", process.comm),
        Some((program, arguments)) => {
            let script = arguments.first().filter(|a| a.starts_with('/')).map(|a| format!(" {a}")).unwrap_or_default();
            format!("{program}{script}").chars().take(MAX_COMMAND).collect()
        }
    }
}

/// The service in whose environment the process was started.
fn origin(root: &Root, pid: i32) -> Option<String> {
    let environ = bounded(root, pid, "environ", 256 * 1024);
    let marker = b"SKILL_INIT_SERVICE=";
    environ
        .split(|b| *b == 0)
        .find_map(|entry| entry.strip_prefix(marker))
        .map(|name| String::from_utf8_lossy(name).chars().filter(|c| !c.is_control()).take(64).collect())
}

fn bounded(root: &Root, pid: i32, file: &str, most: u64) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(root.join(format!("/proc/{pid}/{file}"))) {
        // Gone or forbidden: unknown.
        let _ = file.take(most).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orphan(pid: i32, age_s: u64, from: &str) -> Live {
        let shown = Orphan { pid, age_ms: age_s * 1000, from: Some(from.to_owned()), ..Orphan::default() };
        Live { shown, start_ticks: 1 }
    }

    #[test]
    fn nothing_is_ended_while_the_rule_is_report() {
        let rules = Rules { end: false, age: Duration::ZERO };
        assert!(due(&[orphan(5, 9999, "api")], rules, true, &BTreeMap::from([("api".to_owned(), 2)])).is_empty());
    }

    #[test]
    fn age_pressure_and_the_end_of_the_service_each_end_an_orphan() {
        let rules = Rules { end: true, age: Duration::from_secs(60) };
        let live = [orphan(5, 61, "x"), orphan(6, 1, "api")];
        let pids = |due: Vec<(&Live, String)>| due.iter().map(|(o, _)| o.shown.pid).collect::<Vec<_>>();
        let (none, api) = (BTreeMap::new(), BTreeMap::from([("api".to_owned(), 2), ("other".to_owned(), 2)]));
        assert_eq!(pids(due(&live, rules, false, &none)), [5]);
        assert_eq!(pids(due(&live, rules, false, &api)), [5, 6]);
        assert_eq!(pids(due(&live, rules, true, &none)), [5, 6]);
        // 6 started when the service's next process was there already.
        assert_eq!(pids(due(&live, rules, false, &BTreeMap::from([("api".to_owned(), 1)]))), [5]);
    }

    fn process(pid: i32, ppid: i32, start_ticks: u64) -> Process {
        let line = format!("{pid} (x) S {ppid} 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start_ticks} 0 1 0");
        processes::stat_line(&line).unwrap()
    }

    #[test]
    fn a_child_younger_than_the_list_of_known_ones_is_not_taken_for_an_orphan() {
        let dir = tempfile::tempdir().unwrap();
        let scan = Scan {
            processes: vec![process(5, 1, 100), process(6, 1, 200), process(7, 1, 50), process(8, 5, 60)],
            truncated: false,
        };
        // 7 is a service or an exec probe; 6 was started after that was written down.
        let found = find(&Root::at(dir.path()), &scan, 1, &HashSet::from([7]), 200);
        assert_eq!(found.iter().map(|o| o.shown.pid).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn all_below_an_ancestor_are_found_once_even_in_a_circle() {
        let scan = Scan {
            processes: vec![process(2, 1, 1), process(3, 2, 1), process(4, 3, 1), process(5, 9, 1), process(9, 5, 1)],
            truncated: false,
        };
        let pids = |of: Vec<i32>| below(&scan, of).iter().map(|p| p.pid).collect::<Vec<_>>();
        assert_eq!(pids(vec![2]), [3, 4]);
        assert_eq!(pids(vec![5]), [9]);
    }
}
