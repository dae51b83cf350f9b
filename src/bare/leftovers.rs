//! Everybody who is left: signalling all descendants at once.
//!
//! PID 1 owns its whole namespace: kill(2) with -1 reaches everything in it. Elsewhere, in a pod that shares
//! its process namespace or on a host, only our own children may be meant; their descendants become our
//! children when they die, because this process is a subreaper.

use crate::sys::{signals, start};
use std::{collections::BTreeSet, fs};

/// Sends signals to what is left, each process once per signal where it is signalled by name.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    told: BTreeSet<i32>,
}

impl Sweep {
    /// Asks everybody to end: TERM, then CONT so that a stopped process can obey.
    pub(super) fn term(&mut self) {
        if start::pid() == 1 {
            if self.told.insert(-1) {
                let _ = signals::send(-1, libc::SIGTERM);
                let _ = signals::send(-1, libc::SIGCONT);
            }
            return;
        }
        for child in children() {
            if self.told.insert(child) {
                let _ = signals::send(child, libc::SIGTERM);
                let _ = signals::send(child, libc::SIGCONT);
            }
        }
    }
}

/// Sends `signal` to everybody who is left.
pub(super) fn signal_all(signal: i32) {
    if start::pid() == 1 {
        let _ = signals::send(-1, signal);
        return;
    }
    for child in children() {
        let _ = signals::send(child, signal);
    }
}

/// Our children's pids: from `children` (CONFIG_PROC_CHILDREN), else by the parent field of every `stat`.
fn children() -> Vec<i32> {
    let own = start::pid();
    match fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        Ok(list) => list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect(),
        Err(_) => {
            let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
            entries
                .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
                .filter(|pid| parent_of(*pid) == Some(own))
                .collect()
        }
    }
}

/// The fourth field of /proc/PID/stat; the second, the name, may hold anything but ends at the last `)`.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_field_is_found_behind_any_name() {
        let own = start::pid();
        assert_eq!(parent_of(own), Some(crate::sys::terminal::parent()));
        assert_eq!(parent_of(i32::MAX), None);
    }
}
