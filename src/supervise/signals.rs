//! Every catchable signal, as one stream.
//!
//! tokio's handlers share signal-hook's registry with the early flags of `main`, so nothing that arrives before
//! the loop runs is lost. A signal that is sent several times before the loop looks counts once (signal(7)).

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGRTMIN+3: systemd's "halt", a container's usual stop signal under systemd-like runtimes.
pub const SIGRTMIN_3: i32 = 37;

/// What a signal means to the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Children have ended.
    Reap,
    /// Stop in order; a second one stops now.
    Stop,
    /// Re-read configuration and credentials, replan.
    Reload,
    /// Passed on to the essential services.
    Forward,
    /// Nothing: terminal stop signals make no sense for an init.
    Ignore,
}

/// The meaning of a signal.
pub fn meaning(signal: i32) -> Meaning {
    match signal {
        libc::SIGCHLD => Meaning::Reap,
        libc::SIGTERM | libc::SIGINT | libc::SIGQUIT | SIGRTMIN_3 => Meaning::Stop,
        libc::SIGHUP => Meaning::Reload,
        libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU | libc::SIGPIPE => Meaning::Ignore,
        _ => Meaning::Forward,
    }
}

const CAUGHT: &[i32] = &[
    libc::SIGCHLD,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGWINCH,
    libc::SIGCONT,
    libc::SIGURG,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGPIPE,
    libc::SIGXCPU,
    libc::SIGXFSZ,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGSTKFLT,
];

/// The stream of signals.
#[derive(Debug)]
pub struct Signals {
    streams: Vec<(i32, Signal)>,
}

impl Signals {
    /// Registers a handler for each; inside a tokio runtime.
    pub fn register() -> io::Result<Self> {
        let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
        let mut streams = Vec::with_capacity(CAUGHT.len() + 32);
        for number in CAUGHT.iter().copied().chain(real_time) {
            match signal(SignalKind::from_raw(number)) {
                Ok(stream) => streams.push((number, stream)),
                // Some runtimes keep a few for themselves; what must be caught is checked below.
                Err(error) if meaning(number) == Meaning::Forward || meaning(number) == Meaning::Ignore => {
                    tracing::debug!(signal = number, %error, "signal cannot be caught");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self { streams })
    }

    /// The next signal's number.
    pub async fn next(&mut self) -> i32 {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<i32> {
        for (number, stream) in &mut self.streams {
            if stream.poll_recv(cx).is_ready() {
                return Poll::Ready(*number);
            }
        }
        Poll::Pending
    }
}
