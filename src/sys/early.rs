//! Signals that arrive before the supervisor's loop runs.
//!
//! The kernel drops a signal to PID 1 that has no handler, so a TERM in the first milliseconds would be lost.
//! `main` registers a flag per signal before it parses anything; the loop, once its own handlers stand,
//! reads [`pending`]. Both sides share signal-hook's registry: from the first moment on a signal sets the flag
//! *and* reaches every handler registered by then, so the loop registers and reads with signals blocked: each signal
//! then counts once, wherever it falls.

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

static FLAGS: OnceLock<Vec<(i32, Arc<AtomicBool>)>> = OnceLock::new();

/// SIGRTMIN+3, systemd's "halt" and a container's STOPSIGNAL.
const SIGRTMIN_3: i32 = 37;

/// Registers the flags. Signals that were ignored at exec (nohup) stay ignored, unless this is PID 1.
///
/// A mask inherited from the parent is cleared: behind it this process would be deaf, and what waits there is due now.
///
/// Only for processes that go on to supervise: any other command should die by the first Ctrl-C.
pub fn register() {
    FLAGS.get_or_init(|| {
        [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGRTMIN_3]
            .into_iter()
            .filter(|&signal| super::start::pid() == 1 || !super::signals::is_ignored(signal))
            .filter_map(|signal| {
                let flag = Arc::new(AtomicBool::new(false));
                signal_hook::flag::register(signal, Arc::clone(&flag)).ok().map(|_| (signal, flag))
            })
            .collect()
    });
    super::signals::unblock_all();
}

/// The signals that came since [`register`] (or since the last call), in the order of their numbers; clears them.
pub fn pending() -> Vec<i32> {
    let mut seen: Vec<i32> = FLAGS
        .get()
        .into_iter()
        .flatten()
        .filter(|(_, flag)| flag.swap(false, Ordering::SeqCst))
        .map(|(signal, _)| *signal)
        .collect();
    seen.sort_unstable();
    seen
}

/// A stop signal that came since [`register`], left in place for [`pending`]: the start looks between its steps.
pub fn stop_requested() -> Option<i32> {
    let flags = FLAGS.get()?;
    let stops = [SIGTERM, SIGINT, SIGQUIT, SIGRTMIN_3];
    flags.iter().find(|(signal, flag)| stops.contains(signal) && flag.load(Ordering::SeqCst)).map(|(signal, _)| *signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_before_the_loop_is_remembered_once() {
        register();
        // SAFETY: the flag handler is registered; raise(3) returns after it ran.
        unsafe { libc::raise(SIGUSR2) };
        assert_eq!(pending(), vec![SIGUSR2]);
        assert_eq!(pending(), Vec::<i32>::new());
    }
}
