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
    collections::{HashMap, HashSet},
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

/// Which of these have to be ended, with the reason. `pressed`: pids or memory are near their limit.
pub fn due<'a>(live: &'a [Live], rules: Rules, pressed: bool, ended_service: Option<&str>) -> Vec<(&'a Live, String)> {
    if !rules.end {
        return Vec::new();
    }
    live.iter()
        .filter_map(|orphan| {
            let age = Duration::from_millis(orphan.shown.age_ms);
            let reason = if ended_service.is_some() && orphan.shown.from.as_deref() == ended_service {
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
pub fn find(root: &Root, scan: &Scan, own_pid: i32, known: &HashSet<i32>) -> Vec<Live> {
    let mut orphans: Vec<&Process> = scan
        .processes
        .iter()
        .filter(|p| p.ppid == own_pid && p.pid != own_pid && p.state != 'Z' && !known.contains(&p.pid))
        .collect();
    orphans.sort_by_key(|p| p.start_ticks);
    orphans.into_iter().take(MOST).map(|process| describe(root, process)).collect()
}

/// Every descendant of `ancestor` (itself left out), plus every orphan of `own_pid` that came from `service`.
pub fn escapees(root: &Root, own_pid: i32, ancestor: Option<i32>, service: Option<&str>) -> Vec<Process> {
    let scan = processes::scan(root);
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in &scan.processes {
        children.entry(process.ppid).or_default().push(process);
    }
    let mut found: Vec<Process> = Vec::new();
    let mut queue: Vec<&Process> = Vec::new();
    queue.extend(ancestor.and_then(|pid| children.get(&pid)).into_iter().flatten());
    if let Some(service) = service {
        let ours = children.get(&own_pid).into_iter().flatten();
        queue.extend(ours.filter(|p| Some(p.pid) != ancestor && origin(root, p.pid).as_deref() == Some(service)));
    }
    let mut seen = HashSet::new();
    while let Some(process) = queue.pop() {
        if process.pid != own_pid && seen.insert(process.pid) {
            found.push(process.clone());
            queue.extend(children.get(&process.pid).into_iter().flatten());
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
    let age = uptime(root).saturating_sub(Duration::from_secs_f64(process.start_ticks as f64 / 100.0));
    Live {
        shown: Orphan {
            pid: process.pid,
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            rss: process.rss_pages.saturating_mul(4096),
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

fn uptime(root: &Root) -> Duration {
    let text = std::fs::read_to_string(root.join("/proc/uptime")).unwrap_or_default();
    let seconds = text.split_ascii_whitespace().next().and_then(|s| s.parse::<f64>().ok()).unwrap_or_default();
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
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
        assert!(due(&[orphan(5, 9999, "api")], rules, true, Some("api")).is_empty());
    }

    #[test]
    fn age_pressure_and_the_end_of_the_service_each_end_an_orphan() {
        let rules = Rules { end: true, age: Duration::from_secs(60) };
        let live = [orphan(5, 61, "x"), orphan(6, 1, "api")];
        let pids = |due: Vec<(&Live, String)>| due.iter().map(|(o, _)| o.shown.pid).collect::<Vec<_>>();
        assert_eq!(pids(due(&live, rules, false, None)), [5]);
        assert_eq!(pids(due(&live, rules, false, Some("api"))), [5, 6]);
        assert_eq!(pids(due(&live, rules, true, None)), [5, 6]);
    }
}
