//! Waits for one of: a key, the end of a child, a hang-up, the time limit. No polling, no sleeping.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    io::{self, Read},
    os::{fd::AsFd, unix::net::UnixStream},
    time::Instant,
};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Standard input has something to read, or has ended.
    Input,
    /// A child has ended (or several: signals coalesce).
    ChildEnded,
    /// SIGHUP, SIGTERM: the terminal went away or the container stops.
    HungUp,
    /// The deadline passed.
    TimeOver,
}

/// Self-pipes of the signals; they stay registered for the life of the process.
#[derive(Debug)]
pub(super) struct Watch {
    children: UnixStream,
    hang_up: UnixStream,
}

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        let pipe = |signals: &[i32]| {
            let (read, write) = UnixStream::pair()?;
            read.set_nonblocking(true)?;
            for signal in signals {
                signal_hook::low_level::pipe::register(*signal, write.try_clone()?)?;
            }
            io::Result::Ok(read)
        };
        // SIGINT and SIGQUIT reach us only from outside: the keys do not make them while the menu is in front.
        let hang_up = pipe(&[libc::SIGHUP, libc::SIGTERM, libc::SIGINT, libc::SIGQUIT])?;
        Ok(Self { children: pipe(&[libc::SIGCHLD])?, hang_up })
    }

    /// Waits until something happens; keys only where they are wanted.
    pub(super) fn wait(&self, deadline: Option<Instant>, keys: bool) -> Event {
        self.any(deadline, keys, true)
    }

    /// Waits for the end of a child or the deadline, whatever else happens.
    pub(super) fn wait_child(&self, deadline: Instant) -> Event {
        self.any(Some(deadline), false, false)
    }

    fn any(&self, deadline: Option<Instant>, keys: bool, hang_up: bool) -> Event {
        let stdin = io::stdin();
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Event::TimeOver;
            }
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                // Rounded up, and far deadlines in slices: poll(2) counts milliseconds in an int.
                PollTimeout::try_from(left.as_millis().saturating_add(1).min(3_600_000)).unwrap_or(PollTimeout::MAX)
            });
            let mut fds = vec![
                PollFd::new(self.hang_up.as_fd(), if hang_up { PollFlags::POLLIN } else { PollFlags::empty() }),
                PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
            ];
            if keys {
                fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
            }
            let _ = poll(&mut fds, timeout);
            let ready = |n: usize| fds.get(n).and_then(PollFd::any).unwrap_or(false);
            if ready(0) {
                // Not read: every later wait says so too.
                return Event::HungUp;
            }
            if ready(1) {
                let mut bytes = [0; 64];
                while (&self.children).read(&mut bytes).is_ok_and(|read| read == bytes.len()) {}
                return Event::ChildEnded;
            }
            if ready(2) {
                return Event::Input;
            }
        }
    }
}
