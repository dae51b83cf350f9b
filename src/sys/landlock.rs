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

/// The ABI version that the kernel offers to this process, or errno.
///
/// No descriptor, no side effect. ENOSYS: built without or hidden; EOPNOTSUPP: not enabled at boot; EPERM: seccomp.
pub fn abi() -> Result<u32, i32> {
    // SAFETY: with this flag the kernel reads no memory; landlock_create_ruleset(2).
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<RulesetAttr>(), 0_usize, CREATE_RULESET_VERSION)
    };
    if version < 0 { Err(errno()) } else { Ok(u32::try_from(version).unwrap_or_default()) }
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

/// Makes a child, has it give up reading directories, and looks whether it is refused one. About 0.2 ms.
pub fn confine_a_child() -> io::Result<Confined> {
    // SAFETY: `body` makes raw system calls only.
    let answer = unsafe { throwaway::run(body)? };
    let killed = Confined::Killed { signal: answer.signal() };
    let Some((step, errno)) = answer.steps.last().copied() else { return Ok(killed) };
    let failed = |step| Confined::Failed { step, errno };
    Ok(match (step, errno) {
        (OPEN_BEFORE, _) if errno != 0 => failed("open / before"),
        (NO_NEW_PRIVS, _) if errno != 0 => failed("prctl(PR_SET_NO_NEW_PRIVS)"),
        (CREATE, _) if errno != 0 => failed("landlock_create_ruleset"),
        (RESTRICT, _) if errno != 0 => failed("landlock_restrict_self"),
        (OPEN_AFTER, libc::EACCES) => Confined::Refused,
        (OPEN_AFTER, 0) => Confined::NotRefused,
        (OPEN_AFTER, _) => failed("open / after"),
        _ => killed,
    })
}

const OPEN_BEFORE: u8 = 1;
const NO_NEW_PRIVS: u8 = 2;
const CREATE: u8 = 3;
const RESTRICT: u8 = 4;
const OPEN_AFTER: u8 = 5;

/// Runs in the child.
unsafe fn body(report: &Report) {
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
        match abi() {
            Ok(version) => {
                assert!(version >= 1);
                assert_eq!(confine_a_child().unwrap(), Confined::Refused);
            }
            Err(errno) => {
                assert_eq!(confine_a_child().unwrap(), Confined::Failed { step: "landlock_create_ruleset", errno });
            }
        }
        // This process is not confined by it.
        assert!(std::fs::read_dir("/").is_ok());
    }
}
