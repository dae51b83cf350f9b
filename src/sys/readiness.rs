//! An owned descriptor in tokio's event loop, for what tokio has no type of its own: triggers and inotify.

use std::{io, os::fd::OwnedFd};
use tokio::io::{Interest, unix::AsyncFd};

/// Watches the descriptor; inside a tokio runtime. epoll(7), through `AsyncFd`.
pub fn watched(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open until it is dropped, and always is the same descriptor; epoll_ctl(2).
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}
