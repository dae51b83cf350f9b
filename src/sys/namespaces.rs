//! user_namespaces(7): may a program without privileges make its own sandbox here?
//!
//! The steps are those of bubblewrap, in a throwaway child: unshare alone proves nothing where the profile then refuses
//! mounting or pivot_root (measured: Docker's default profile with CAP_SYS_ADMIN added).

use super::throwaway::{self, Report};
use std::io;

/// How far the throwaway child came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unshared {
    /// New user and mount namespaces, a tmpfs mounted, the root changed.
    Works,
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

const UNSHARE: u8 = 1;
const PRIVATE: u8 = 2;
const MOUNT: u8 = 3;
const CHDIR: u8 = 4;
const PIVOT: u8 = 5;

/// Makes a child and has it try. About half a millisecond.
pub fn unshare_a_child() -> io::Result<Unshared> {
    // SAFETY: `body` makes raw system calls only.
    let answer = unsafe { throwaway::run(body)? };
    Ok(match answer.steps.last().copied() {
        Some((PIVOT, 0)) => Unshared::Works,
        None | Some((_, 0)) => Unshared::Killed { signal: answer.signal() },
        Some((step, errno)) => Unshared::Failed {
            step: match step {
                UNSHARE => "unshare(CLONE_NEWUSER|CLONE_NEWNS)",
                PRIVATE => "mount(/, MS_PRIVATE)",
                MOUNT => "mount(tmpfs)",
                CHDIR => "chdir",
                _ => "pivot_root",
            },
            errno,
        },
    })
}

/// Runs in the child; everything happens in namespaces that vanish with it.
unsafe fn body(report: &Report) {
    let null = std::ptr::null();
    let none = std::ptr::null();
    // The first folder that exists on every system; only this child ever sees the tmpfs there.
    let target = c"/proc".as_ptr();
    // SAFETY: each call gets C string literals or null; unshare(2), mount(2), chdir(2), pivot_root(2).
    let steps: [(u8, &dyn Fn() -> libc::c_long); 5] = unsafe {
        [
            (UNSHARE, &|| libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).into()),
            (PRIVATE, &|| libc::mount(null, c"/".as_ptr(), null, libc::MS_REC | libc::MS_PRIVATE, none).into()),
            (MOUNT, &|| libc::mount(c"tmpfs".as_ptr(), target, c"tmpfs".as_ptr(), 0, none).into()),
            (CHDIR, &|| libc::chdir(target).into()),
            (PIVOT, &|| libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr())),
        ]
    };
    for (step, call) in steps {
        let rc = call();
        // SAFETY: glibc's thread-local errno; errno(3).
        let errno = if rc < 0 { unsafe { *libc::__errno_location() } } else { 0 };
        report.step(step, errno);
        if errno != 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_one_of_the_known_ones_and_leaves_us_where_we_were() {
        let before = std::fs::read_link("/proc/self/ns/user").unwrap();
        let answer = unshare_a_child().unwrap();
        assert!(!matches!(answer, Unshared::Killed { .. }), "{answer:?}");
        assert_eq!(std::fs::read_link("/proc/self/ns/user").unwrap(), before);
        assert!(std::path::Path::new("/proc/self/stat").exists());
    }
}
