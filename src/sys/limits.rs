//! Resource limits (getrlimit(2), setrlimit(2)).

use nix::sys::resource::{Resource, getrlimit};
use std::io;

/// Every limit's name, lower case without `RLIMIT_`, and its number.
pub const NAMES: &[(&str, u32)] = &[
    ("as", libc::RLIMIT_AS),
    ("core", libc::RLIMIT_CORE),
    ("cpu", libc::RLIMIT_CPU),
    ("data", libc::RLIMIT_DATA),
    ("fsize", libc::RLIMIT_FSIZE),
    ("locks", libc::RLIMIT_LOCKS),
    ("memlock", libc::RLIMIT_MEMLOCK),
    ("msgqueue", libc::RLIMIT_MSGQUEUE),
    ("nice", libc::RLIMIT_NICE),
    ("nofile", libc::RLIMIT_NOFILE),
    ("nproc", libc::RLIMIT_NPROC),
    ("rss", libc::RLIMIT_RSS),
    ("rtprio", libc::RLIMIT_RTPRIO),
    ("rttime", libc::RLIMIT_RTTIME),
    ("sigpending", libc::RLIMIT_SIGPENDING),
    ("stack", libc::RLIMIT_STACK),
];

/// Sets a limit of this process; `None` is unlimited. The soft one is cut to the hard one.
pub fn set(name: &str, soft: Option<u64>, hard: Option<u64>) -> io::Result<()> {
    let Some((_, resource)) = NAMES.iter().find(|(known, _)| *known == name) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such resource limit"));
    };
    let hard = hard.unwrap_or(libc::RLIM_INFINITY);
    let limit = libc::rlimit { rlim_cur: soft.unwrap_or(libc::RLIM_INFINITY).min(hard), rlim_max: hard };
    // SAFETY: `limit` outlives the call; setrlimit(2).
    if unsafe { libc::setrlimit(*resource, &raw const limit) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Soft and hard limit; `None`: unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftHard {
    /// Soft limit.
    pub soft: Option<u64>,
    /// Hard limit.
    pub hard: Option<u64>,
}

/// RLIMIT_NOFILE of this process: getrlimit(2).
pub fn nofile() -> io::Result<SoftHard> {
    get(Resource::RLIMIT_NOFILE)
}

/// RLIMIT_NPROC of this process: getrlimit(2).
pub fn nproc() -> io::Result<SoftHard> {
    get(Resource::RLIMIT_NPROC)
}

fn get(resource: Resource) -> io::Result<SoftHard> {
    let (soft, hard) = getrlimit(resource)?;
    let finite = |limit| (limit != libc::RLIM_INFINITY).then_some(limit);
    Ok(SoftHard { soft: finite(soft), hard: finite(hard) })
}
