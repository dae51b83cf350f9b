//! Advisory locks (flock(2)) with a deadline, in a folder of their own.

use super::{Dir, FsError};
use crate::sys::flock::Locked;
use nix::{
    errno::Errno,
    fcntl::{OFlag, openat},
    sys::stat::Mode,
};
use std::{
    ffi::OsStr,
    thread,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(5);

/// A held lock; released when dropped, or when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: Locked,
}

impl Lock {
    /// Takes the lock file `name` in `dir` (made where missing), waiting at most `patience`.
    ///
    /// The file stays: removing it would let two processes hold two locks of one name.
    pub fn take(dir: &Dir, name: impl AsRef<OsStr>, patience: Duration) -> Result<Self, FsError> {
        let path = dir.child(name.as_ref());
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let mut file = openat(dir.fd(), name.as_ref(), flags, Mode::from_bits_truncate(0o600))
            .map_err(|errno| FsError::sys("open the lock", &path, errno))?;
        let start = Instant::now();
        loop {
            match Locked::take(file) {
                Ok(file) => return Ok(Self { _file: file }),
                Err((again, Errno::EWOULDBLOCK)) if start.elapsed() < patience => {
                    file = again;
                    thread::sleep(PAUSE);
                }
                Err((_, Errno::EWOULDBLOCK)) => {
                    return Err(FsError::Locked { path, waited_ms: start.elapsed().as_millis() });
                }
                Err((_, errno)) => return Err(FsError::sys("lock", path, errno)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_until_it_is_dropped() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let held = Lock::take(&dir, "x.lock", Duration::ZERO).unwrap();
        assert!(matches!(Lock::take(&dir, "x.lock", Duration::ZERO), Err(FsError::Locked { .. })));
        drop(held);
        Lock::take(&dir, "x.lock", Duration::ZERO).unwrap();
    }
}
