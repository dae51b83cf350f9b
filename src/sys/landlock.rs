//! landlock(7): the kernel's answer, and a child that restricts itself and must then be refused.
//!
//! The numbers are the kernel's ABI (`include/uapi/linux/landlock.h`); the `libc` crate has the system calls only.

use super::throwaway::{self, Report};
use std::{io, ptr};

const CREATE_RULESET_VERSION: libc::c_uint = 1;
/// LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR: both in ABI 1.
const READ: u64 = 1 << 2 | 1 << 3;

/// `struct landlock_ruleset_attr` as of ABI 1; later versions append fields, and the size says which one is meant.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
}

/// What the kernel offers and whether it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landlock {
    /// The ABI version, or the errno of landlock_create_ruleset(NULL, 0, VERSION). ENOSYS: built without or hidden;
    /// EOPNOTSUPP: not enabled at boot; EPERM: seccomp. `None`: the child that asked was killed.
    pub abi: Option<Result<u32, i32>>,
    /// How the child fared that confined itself.
    pub child: Confined,
}

/// What the throwaway child saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confined {
    /// It gave up reading directories and was refused (EACCES): Landlock works.
    Refused,
    /// It gave up reading directories and could still do it: an emulation that does nothing.
    NotRefused,
    /// A step failed.
    Failed {
        /// What it tried.
        step: &'static str,
        /// errno.
        errno: i32,
    },
    /// It was ended before it could answer (a seccomp profile that kills, the OOM killer, the deadline).
    Killed {
        /// The signal (31, SIGSYS: seccomp); 0: not known.
        signal: i32,
    },
}

/// A child on its way that asks for the ABI, gives up reading directories, and looks whether it is refused one.
///
/// The question too is asked in the child: a seccomp profile may kill for it.
#[derive(Debug)]
pub struct Asking(throwaway::Child);

impl Asking {
    /// Makes the child by fork(2).
    pub fn start() -> io::Result<Self> {
        // SAFETY: `body` makes raw system calls only.
        unsafe { throwaway::start(body) }.map(Self)
    }

    /// Its answer, and reaps it.
    pub fn finish(self) -> Landlock {
        let answer = self.0.finish();
        read(&answer.steps, answer.signal())
    }
}

/// The child's report as an answer.
fn read(steps: &[(u8, i32)], signal: i32) -> Landlock {
    let abi = steps.iter().find(|(step, _)| *step == ABI).map(|(_, value)| match value {
        version @ 0.. => Ok(version.unsigned_abs()),
        errno => Err(-errno),
    });
    let failed = |step, errno| Confined::Failed { step, errno };
    let child = match steps.last() {
        Some((ABI, errno @ ..0)) => failed("landlock_create_ruleset", -errno),
        Some((OPEN_BEFORE, errno @ 1..)) => failed("open / before", *errno),
        Some((NO_NEW_PRIVS, errno @ 1..)) => failed("prctl(PR_SET_NO_NEW_PRIVS)", *errno),
        Some((CREATE, errno @ 1..)) => failed("landlock_create_ruleset", *errno),
        Some((RESTRICT, errno @ 1..)) => failed("landlock_restrict_self", *errno),
        Some((OPEN_AFTER, libc::EACCES)) => Confined::Refused,
        Some((OPEN_AFTER, 0)) => Confined::NotRefused,
        Some((OPEN_AFTER, errno)) => failed("open / after", *errno),
        _ => Confined::Killed { signal },
    };
    Landlock { abi, child }
}

/// The version, or the errno as a negative number.
const ABI: u8 = 0;
const OPEN_BEFORE: u8 = 1;
const NO_NEW_PRIVS: u8 = 2;
const CREATE: u8 = 3;
const RESTRICT: u8 = 4;
const OPEN_AFTER: u8 = 5;

/// Runs in the child.
unsafe fn body(report: &Report) {
    // SAFETY: with this flag the kernel reads no memory; landlock_create_ruleset(2).
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<RulesetAttr>(), 0_usize, CREATE_RULESET_VERSION)
    };
    report.step(ABI, if version < 0 { -errno() } else { version as i32 });
    if version < 0 {
        return;
    }
    let open = || {
        // SAFETY: a C string literal; open(2).
        errno_of(unsafe { libc::open(c"/".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) }.into())
    };
    let before = open();
    report.step(OPEN_BEFORE, before);
    if before != 0 {
        return;
    }
    // SAFETY: no memory is passed; PR_SET_NO_NEW_PRIVS(2const).
    let privs = errno_of(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into());
    report.step(NO_NEW_PRIVS, privs);
    if privs != 0 {
        return;
    }
    let attr = RulesetAttr { handled_access_fs: READ };
    // SAFETY: `attr` outlives the call and its size is given; landlock_create_ruleset(2).
    let ruleset =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attr, size_of::<RulesetAttr>(), 0_u32) };
    report.step(CREATE, errno_of(ruleset));
    if ruleset < 0 {
        return;
    }
    // SAFETY: a descriptor and flags; landlock_restrict_self(2).
    let restricted = errno_of(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0_u32) });
    report.step(RESTRICT, restricted);
    if restricted == 0 {
        report.step(OPEN_AFTER, open());
    }
}

fn errno_of(rc: libc::c_long) -> i32 {
    if rc < 0 { errno() } else { 0 }
}

fn errno() -> i32 {
    // SAFETY: glibc's thread-local errno; errno(3).
    unsafe { *libc::__errno_location() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_kernel_has_it_a_confined_child_is_refused() {
        let answer = Asking::start().unwrap().finish();
        match answer.abi.unwrap() {
            Ok(version) => assert!(version >= 1 && answer.child == Confined::Refused, "{answer:?}"),
            Err(errno) => assert_eq!(answer.child, Confined::Failed { step: "landlock_create_ruleset", errno }),
        }
        // This process is not confined by it.
        assert!(std::fs::read_dir("/").is_ok());
    }

    #[test]
    fn every_report_of_the_child_has_its_answer() {
        let all =
            [(ABI, 7), (OPEN_BEFORE, 0), (NO_NEW_PRIVS, 0), (CREATE, 0), (RESTRICT, 0), (OPEN_AFTER, libc::EACCES)];
        assert_eq!(read(&all, 0), Landlock { abi: Some(Ok(7)), child: Confined::Refused });
        // Killed after any of its steps: what it said before stands.
        for upto in 1..all.len() {
            assert_eq!(read(&all[..upto], 31), Landlock { abi: Some(Ok(7)), child: Confined::Killed { signal: 31 } });
        }
        assert_eq!(read(&[], 31), Landlock { abi: None, child: Confined::Killed { signal: 31 } });
        let refused = Confined::Failed { step: "landlock_create_ruleset", errno: libc::EPERM };
        assert_eq!(read(&[(ABI, -libc::EPERM)], 0), Landlock { abi: Some(Err(libc::EPERM)), child: refused });
        let no_effect = [(ABI, 1), (OPEN_AFTER, 0)];
        assert_eq!(read(&no_effect, 0).child, Confined::NotRefused);
    }
}
