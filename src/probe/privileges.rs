//! Who this process is and what it may do: `/proc/self/status` (proc_pid_status(5)).
#![forbid(unsafe_code)]

use super::{Reading, calls::Calls, read};
use crate::layout::Root;
use caps::Capability;
use serde::Serialize;

/// Seccomp mode (seccomp(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seccomp {
    /// No filter.
    Disabled,
    /// read, write, _exit and sigreturn only.
    Strict,
    /// One filter or more, as container engines set.
    Filter,
}

/// Identity and rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Privileges {
    /// Real user id.
    pub uid: Reading<u32>,
    /// Real group id.
    pub gid: Reading<u32>,
    /// Seccomp mode.
    pub seccomp: Reading<Seccomp>,
    /// execve(2) grants no new privileges (`allowPrivilegeEscalation: false`, `no-new-privileges`).
    pub no_new_privs: Reading<bool>,
    /// Effective capabilities by name.
    pub effective: Reading<Vec<String>>,
    /// Permitted capabilities by name.
    pub permitted: Reading<Vec<String>>,
    /// Bounding set by name: the most that a root child can get.
    pub bounding: Reading<Vec<String>>,
}

impl Privileges {
    /// Is this capability effective? Unknown counts as no.
    pub fn has(&self, capability: Capability) -> bool {
        self.effective.value().is_some_and(|names| names.contains(&capability.to_string()))
    }
}

/// Parses `/proc/self/status`; ids of the system call win where they are given.
pub(super) fn privileges(root: &Root, calls: &Calls) -> Privileges {
    let status = read::text(root, "/proc/self/status").map_err(|error| error.to_string());
    let field = |name: &str| -> Reading<String> {
        Reading::from(status.clone().and_then(|text| {
            line(&text, name).map(str::to_owned).ok_or_else(|| format!("/proc/self/status has no {name}"))
        }))
    };
    let id = |call: Option<u32>, name| match call {
        Some(id) => Reading::Value(id),
        None => then(field(name), |text| text.split_whitespace().next()?.parse().ok()),
    };
    let set = |name| then(field(name), |text| Some(names(u64::from_str_radix(text, 16).ok()?)));
    Privileges {
        uid: id(calls.uid, "Uid"),
        gid: id(calls.gid, "Gid"),
        seccomp: then(field("Seccomp"), |text| match text {
            "0" => Some(Seccomp::Disabled),
            "1" => Some(Seccomp::Strict),
            "2" => Some(Seccomp::Filter),
            _ => None,
        }),
        no_new_privs: then(field("NoNewPrivs"), |text| match text {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }),
        effective: set("CapEff"),
        permitted: set("CapPrm"),
        bounding: set("CapBnd"),
    }
}

/// The value of a `Name:\tvalue` line.
fn line<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn then<T>(text: Reading<String>, parse: impl Fn(&str) -> Option<T>) -> Reading<T> {
    match text {
        Reading::Value(text) => parse(&text).map_or_else(
            || Reading::unknown(format!("\"{}\" is not understood", text.chars().take(40).collect::<String>())),
            Reading::Value,
        ),
        Reading::Unlimited => Reading::Unlimited,
        Reading::Unknown { reason } => Reading::Unknown { reason },
    }
}

/// Names of a capability mask, in the kernel's order; a bit newer than the `caps` crate is `CAP_41`.
pub fn names(mask: u64) -> Vec<String> {
    let known = caps::all();
    (0..64_u8)
        .filter(|bit| mask & (1 << bit) != 0)
        .map(|bit| {
            known.iter().find(|cap| cap.index() == bit).map_or_else(|| format!("CAP_{bit}"), ToString::to_string)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_become_names() {
        assert_eq!(names(0), Vec::<String>::new());
        assert_eq!(names(1 | 1 << 21 | 1 << 63), ["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_63"]);
    }

    #[test]
    fn a_status_with_holes_gives_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        let status =
            "Name:\tx\nUid:\t12345\t0\t0\t0\nNoNewPrivs:\t1\nSeccomp:\t9\nCapEff:\t00000000a80425fb\nCapBnd:\tzz\n";
        std::fs::write(dir.path().join("proc/self/status"), status).unwrap();
        let found = privileges(&Root::at(dir.path()), &Calls::default());
        assert_eq!(found.uid, Reading::Value(12345));
        assert_eq!(found.no_new_privs, Reading::Value(true));
        assert!(matches!(found.seccomp, Reading::Unknown { .. }));
        assert!(matches!(found.gid, Reading::Unknown { .. }));
        assert!(matches!(found.bounding, Reading::Unknown { .. }));
        assert!(found.has(Capability::CAP_CHOWN) && !found.has(Capability::CAP_SYS_ADMIN));
    }
}
