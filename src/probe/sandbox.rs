//! Verdicts on Landlock and user namespaces: what the kernel says, and why it is believed or not. Pure.
#![forbid(unsafe_code)]

use super::{
    Reading,
    calls::{Abi, Calls, Trial, errno_name},
    kernel::{Kernel, Release},
    read,
};
use crate::layout::Root;
use serde::Serialize;

/// Landlock came with this release.
pub const LANDLOCK_SINCE: Release = Release { major: 5, minor: 13, patch: 0 };

/// Whether Landlock can be relied on here, and the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Landlock {
    /// Kernel new enough, an ABI offered, and a confined child was refused.
    pub usable: bool,
    /// In words: what decided.
    pub reason: String,
    /// The ABI version.
    pub abi: Reading<u32>,
    /// Name of the errno that the version query gave instead: `ENOSYS`, `EOPNOTSUPP`, `EPERM`, ...
    pub abi_errno: Option<String>,
    /// The child that confined itself; `None`: not tried.
    pub child: Option<Trial>,
}

/// `kernel >= 5.13` and the kernel's own answer and a child that was refused.
pub fn landlock(kernel: &Kernel, abi: Option<Abi>, child: Option<&Trial>) -> Landlock {
    let (usable, reason) = decide(kernel, abi, child);
    Landlock {
        usable,
        reason,
        abi: match abi {
            Some(Abi::Version(version)) => Reading::Value(version),
            Some(Abi::Errno(errno)) => Reading::unknown(errno_name(errno)),
            None => Reading::unknown("not asked"),
        },
        abi_errno: match abi {
            Some(Abi::Errno(errno)) => Some(errno_name(errno)),
            Some(Abi::Version(_)) | None => None,
        },
        child: child.cloned(),
    }
}

fn decide(kernel: &Kernel, abi: Option<Abi>, child: Option<&Trial>) -> (bool, String) {
    // A release that cannot be read leaves the decision to the other two, which are the stronger evidence.
    if let Reading::Value(version) = kernel.version
        && version < LANDLOCK_SINCE
    {
        return (false, format!("kernel {version} is older than 5.13, the first with Landlock"));
    }
    let version = match abi {
        None => {
            let why = match child {
                Some(Trial::Killed { signal }) => {
                    format!(
                        "the child that asked the kernel was killed by signal {signal}: a seccomp profile kills for it"
                    )
                }
                Some(Trial::NotRun { errno }) => {
                    format!("no child could be made to ask the kernel: {}", errno_name(*errno))
                }
                _ => "the kernel was not asked".to_owned(),
            };
            return (false, why);
        }
        Some(Abi::Errno(errno)) => return (false, why_no_abi(errno)),
        Some(Abi::Version(0)) => return (false, "the kernel offers ABI version 0".to_owned()),
        Some(Abi::Version(version)) => version,
    };
    match child {
        Some(Trial::Works) => (true, format!("ABI {version}; a confined child was refused what it gave up")),
        Some(Trial::NoEffect) => {
            (false, format!("ABI {version} is offered, but a confined child could still read what it gave up"))
        }
        Some(Trial::Failed { step, errno }) => {
            (false, format!("ABI {version} is offered, but {step} failed in a child: {}", errno_name(*errno)))
        }
        Some(Trial::Killed { signal }) => (
            false,
            format!("ABI {version} is offered, but the child that confined itself was killed by signal {signal}"),
        ),
        Some(Trial::NotRun { errno }) => {
            (false, format!("ABI {version} is offered, but no child could be made to try it: {}", errno_name(*errno)))
        }
        None => (false, format!("ABI {version} is offered, but it was not tried")),
    }
}

fn why_no_abi(errno: i32) -> String {
    let name = errno_name(errno);
    match errno {
        libc::ENOSYS => {
            format!("{name}: the kernel is built without Landlock, or hides it (gVisor, an old seccomp profile)")
        }
        libc::EOPNOTSUPP => {
            format!("{name}: built in, but not enabled at boot; add landlock to the kernel's lsm= list")
        }
        libc::EPERM => format!("{name}: a seccomp profile refuses it; update the container engine or its profile"),
        _ => format!("landlock_create_ruleset(2): {name}"),
    }
}

/// Whether a program without privileges can make the namespaces of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserNamespaces {
    /// A child made user and mount namespaces, mounted and changed its root; unknown where it was not tried.
    pub usable: Reading<bool>,
    /// In words: what decided.
    pub reason: String,
    /// `user.max_user_namespaces`, per user; 0 turns them off.
    pub max: Reading<u64>,
    /// Debian's `kernel.unprivileged_userns_clone`; `None`: this kernel has no such switch.
    pub unprivileged_clone: Option<bool>,
    /// Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`; `None`: no such switch.
    pub apparmor_restricts: Option<bool>,
}

/// From the trial where there was one, else what `/proc/sys` says.
pub(super) fn user_namespaces(root: &Root, calls: &Calls) -> UserNamespaces {
    let switch =
        |path: &str| read::text(root, path).ok().and_then(|text| text.trim().parse::<u8>().ok()).map(|n| n != 0);
    let max =
        Reading::from(read::text(root, "/proc/sys/user/max_user_namespaces")).map(|text: String| text.trim().parse());
    let max = match max {
        Reading::Value(Ok(max)) => Reading::Value(max),
        Reading::Value(Err(_)) => Reading::unknown("/proc/sys/user/max_user_namespaces: not a number"),
        Reading::Unlimited => Reading::Unlimited,
        Reading::Unknown { reason } => Reading::Unknown { reason },
    };
    let unprivileged_clone = switch("/proc/sys/kernel/unprivileged_userns_clone");
    let apparmor_restricts = switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    let (usable, reason) = match &calls.userns_child {
        Some(Trial::Works) => (Reading::Value(true), "a child made its namespaces and changed its root".to_owned()),
        Some(Trial::Failed { step, errno }) => (Reading::Value(false), format!("{step}: {}", errno_name(*errno))),
        Some(Trial::NoEffect) => (Reading::Value(false), "no effect".to_owned()),
        Some(Trial::Killed { signal }) => (Reading::Value(false), format!("the child was killed by signal {signal}")),
        Some(Trial::NotRun { errno }) => {
            let why = format!("no child could be made: {}", errno_name(*errno));
            (Reading::unknown(why.clone()), why)
        }
        None if max == Reading::Value(0) => (Reading::Value(false), "user.max_user_namespaces is 0".to_owned()),
        None if unprivileged_clone == Some(false) => {
            (Reading::Value(false), "kernel.unprivileged_userns_clone is 0".to_owned())
        }
        None => (Reading::unknown("not tried"), "not tried: skill-init probe tries it".to_owned()),
    };
    UserNamespaces { usable, reason, max, unprivileged_clone, apparmor_restricts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(release: &str) -> Kernel {
        let version = super::super::kernel::parse_release(release);
        Kernel {
            release: Reading::Value(release.to_owned()),
            version: version.map_or_else(|| Reading::unknown("odd"), Reading::Value),
            machine: Reading::Value("x86_64".to_owned()),
        }
    }

    #[test]
    fn all_three_signals_are_needed() {
        let ok = landlock(&kernel("6.1+"), Some(Abi::Version(2)), Some(&Trial::Works));
        assert!(ok.usable, "{}", ok.reason);
        let old = landlock(&kernel("5.10.0-32"), Some(Abi::Version(1)), Some(&Trial::Works));
        assert!(!old.usable && old.reason.contains("5.13"));
        let untried = landlock(&kernel("6.1"), Some(Abi::Version(2)), None);
        assert!(!untried.usable);
        let empty = landlock(&kernel("6.1"), Some(Abi::Version(2)), Some(&Trial::NoEffect));
        assert!(!empty.usable);
    }

    #[test]
    fn every_errno_has_its_own_meaning() {
        let reason = |errno| {
            let verdict = landlock(&kernel("6.1"), Some(Abi::Errno(errno)), None);
            assert!(!verdict.usable);
            (verdict.abi_errno.unwrap_or_default(), verdict.reason)
        };
        assert!(reason(libc::ENOSYS).1.contains("built without"));
        assert!(reason(libc::EOPNOTSUPP).1.contains("lsm="));
        assert!(reason(libc::EPERM).1.contains("seccomp"));
        assert_eq!(reason(libc::EPERM).0, "EPERM");
        assert_eq!(reason(9999).0, "errno 9999");
    }

    #[test]
    fn a_profile_that_kills_is_named() {
        let verdict = landlock(&kernel("6.1"), None, Some(&Trial::Killed { signal: 31 }));
        assert!(!verdict.usable && verdict.reason.contains("signal 31"), "{}", verdict.reason);
    }

    #[test]
    fn an_unreadable_release_leaves_the_decision_to_the_kernel() {
        assert!(landlock(&kernel("odd"), Some(Abi::Version(7)), Some(&Trial::Works)).usable);
    }
}
