//! What only system calls tell, as one value: asked of this kernel, or recorded beside a captured tree.
//!
//! A captured root holds files; the answers of the kernel that it came from lie in `calls.json` at its top
//! (`skill-init probe --calls` writes them), so that a test sees that machine and not the one it runs on.
#![forbid(unsafe_code)]

use super::{kernel, read};
use crate::{
    layout::Root,
    sys::{affinity, landlock, limits, namespaces, volume},
};
use serde::{Deserialize, Serialize};

/// Where a captured root keeps the answers.
pub const RECORDED: &str = "/calls.json";

/// Answers of the kernel; `None`: not asked, or refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Calls {
    /// `uname -r`.
    pub release: Option<String>,
    /// `uname -m`.
    pub machine: Option<String>,
    /// This process.
    pub pid: Option<u32>,
    /// Real user id.
    pub uid: Option<u32>,
    /// Real group id.
    pub gid: Option<u32>,
    /// Active CPUs in the affinity mask.
    pub affinity: Option<u32>,
    /// RLIMIT_NOFILE.
    pub nofile: Option<SoftHard>,
    /// RLIMIT_NPROC.
    pub nproc: Option<SoftHard>,
    /// landlock_create_ruleset(NULL, 0, VERSION): version, or errno; `None` also where the child that asked was killed.
    pub landlock_abi: Option<Abi>,
    /// A child that confined itself.
    pub landlock_child: Option<Trial>,
    /// A child that made a user namespace.
    pub userns_child: Option<Trial>,
}

/// Soft and hard resource limit; `None`: unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoftHard {
    /// Soft.
    pub soft: Option<u64>,
    /// Hard.
    pub hard: Option<u64>,
}

/// Landlock's version query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Abi {
    /// The version.
    Version(u32),
    /// errno.
    Errno(i32),
}

/// How a throwaway child fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// It did what was hoped for.
    Works,
    /// The restriction had no effect.
    NoEffect,
    /// A system call was refused.
    Failed {
        /// Which.
        step: String,
        /// errno.
        errno: i32,
    },
    /// The child was killed before it could answer.
    Killed {
        /// Signal, 0 where not known.
        signal: i32,
    },
    /// No child could be made.
    NotRun {
        /// errno of fork(2) or pipe(2).
        errno: i32,
    },
}

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything that a start needs.
    Start,
    /// The start's, and a child that makes namespaces (for `probe`, `doctor` and the sandbox verdicts).
    Full,
}

/// Questions on their way: the child that tries Landlock works while the start reads its settings.
#[derive(Debug)]
pub struct Asking(std::io::Result<landlock::Asking>);

impl Asking {
    /// Makes that child by fork(2), while there is little memory to copy the tables of. It is reaped by pid, at the end or
    /// where this value is dropped: before anything else reaps.
    pub fn start() -> Self {
        Self(landlock::Asking::start())
    }

    /// The same, unless the root is a captured one: its kernel has answered already.
    pub fn start_under(root: &Root) -> Option<Self> {
        (*root == Root::real()).then(Self::start)
    }
}

impl Calls {
    /// Asks this kernel; `Full` makes one more throwaway child.
    pub fn ask(asking: Asking, depth: Depth) -> Self {
        let (uid, gid) = volume::ids();
        let (release, machine) = kernel::ask_uname().map_or((None, None), |(r, m)| (Some(r), Some(m)));
        let soft_hard = |limit: std::io::Result<limits::SoftHard>| {
            limit.ok().map(|limits::SoftHard { soft, hard }| SoftHard { soft, hard })
        };
        let (landlock_abi, landlock_child) = landlock(asking);
        Self {
            release,
            machine,
            pid: Some(std::process::id()),
            uid: Some(uid),
            gid: Some(gid),
            affinity: affinity::cpus().ok(),
            nofile: soft_hard(limits::nofile()),
            nproc: soft_hard(limits::nproc()),
            landlock_abi,
            landlock_child: Some(landlock_child),
            userns_child: (depth == Depth::Full).then(unshare),
        }
    }

    /// The answers recorded in a captured root; none where there is no such file.
    pub fn recorded(root: &Root) -> Self {
        read::text(root, RECORDED).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }
}

fn landlock(asking: Asking) -> (Option<Abi>, Trial) {
    let answer = match asking.0 {
        Ok(child) => child.finish(),
        Err(error) => return (None, Trial::NotRun { errno: error.raw_os_error().unwrap_or_default() }),
    };
    let abi = answer.abi.map(|abi| match abi {
        Ok(version) => Abi::Version(version),
        Err(errno) => Abi::Errno(errno),
    });
    let trial = match answer.child {
        landlock::Confined::Refused => Trial::Works,
        landlock::Confined::NotRefused => Trial::NoEffect,
        landlock::Confined::Failed { step, errno } => Trial::Failed { step: step.to_owned(), errno },
        landlock::Confined::Killed { signal } => Trial::Killed { signal },
    };
    (abi, trial)
}

fn unshare() -> Trial {
    match namespaces::unshare_a_child() {
        Ok(namespaces::Unshared::Works) => Trial::Works,
        Ok(namespaces::Unshared::Failed { step, errno }) => Trial::Failed { step: step.to_owned(), errno },
        Ok(namespaces::Unshared::Killed { signal }) => Trial::Killed { signal },
        Err(error) => Trial::NotRun { errno: error.raw_os_error().unwrap_or_default() },
    }
}

/// `EPERM`, or `errno 999`.
pub fn errno_name(errno: i32) -> String {
    let known = nix::errno::Errno::from_raw(errno);
    if known == nix::errno::Errno::UnknownErrno { format!("errno {errno}") } else { format!("{known:?}") }
}
