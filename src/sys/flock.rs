//! flock(2) on a descriptor that this process owns.
//!
//! The lock goes with the descriptor: nothing is unlocked by hand, so nothing can fail (or panic, as nix's
//! guard does) when it is dropped.

use nix::errno::Errno;
use std::os::fd::{AsRawFd, OwnedFd};

/// An open file with an exclusive lock on it, released when it is closed.
#[derive(Debug)]
pub struct Locked(OwnedFd);

impl Locked {
    /// Takes the lock without waiting; gives the file back with `EWOULDBLOCK` if another holds it.
    pub fn take(file: OwnedFd) -> Result<Self, (OwnedFd, Errno)> {
        loop {
            // SAFETY: flock(2) on a descriptor that we own.
            let result = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
            match Errno::result(result) {
                Ok(_) => return Ok(Self(file)),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err((file, errno)),
            }
        }
    }
}

impl std::ops::Deref for Locked {
    type Target = OwnedFd;
    fn deref(&self) -> &OwnedFd {
        &self.0
    }
}
