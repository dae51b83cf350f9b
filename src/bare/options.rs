//! What an init does, as a value: the personalities fill it in, the loop obeys it.

use crate::{
    exit::Exit,
    sys::{signals, spawn::Group, start::Argv, wait::ExitStatus},
};
use std::ffi::CStr;

/// Looks a variable of the environment up; a parameter, so that the parsers are pure.
pub(super) type Env = fn(&CStr) -> Option<&'static CStr>;

/// Who gets a forwarded signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The command's process alone.
    Process,
    /// The command's whole process group.
    Group,
}

/// What happens to descendants that outlive the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leftovers {
    /// Exit at once: the kernel kills them where this is PID 1, they live on where it is not.
    Leave,
    /// One TERM to the command's group, then exit at once.
    TermGroup,
    /// TERM to all of them, this many milliseconds, then KILL.
    End(u64),
    /// Exit when the last of them has ended by itself.
    Wait,
}

/// What the loop does when a stop signal of job control reaches the init itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnStopSignal {
    /// Forward it and go on; the command's own stop is what counts.
    Forward,
    /// Forward it, then stop as well.
    Suspend,
}

/// What the terminal is to the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terminal {
    /// The command's group becomes the foreground group, if the init's own group is.
    HandOver,
    /// The init gives its controlling terminal up and the command's new session takes it.
    NewSession,
    /// Left as it is.
    Share,
}

/// What is said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verbosity {
    /// Only why it cannot go on.
    Fatal,
    /// And what may be wrong.
    Warn,
    /// And what happens to the command.
    Info,
    /// And every signal and every reaped process.
    Debug,
}

/// Exit codes that count as success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Expected([u64; 4]);

impl Expected {
    pub(super) fn add(&mut self, code: u8) {
        if let Some(word) = self.0.get_mut(usize::from(code / 64)) {
            *word |= 1 << (code % 64);
        }
    }
    fn has(&self, code: u8) -> bool {
        self.0.get(usize::from(code / 64)).is_some_and(|word| word & (1 << (code % 64)) != 0)
    }
}

/// Everything that differs between the personalities and between their options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    /// How the init calls itself in messages.
    pub(super) name: &'static str,
    /// Who gets forwarded signals.
    pub(super) target: Target,
    /// The command's group or session.
    pub(super) group: Group,
    /// What the terminal is to the command.
    pub(super) terminal: Terminal,
    /// What a job-control stop signal does.
    pub(super) on_stop_signal: OnStopSignal,
    /// Signal `n` is forwarded as `rewrite[n]`; 0: dropped.
    pub(super) rewrite: [u8; signals::MAX as usize + 1],
    /// Adopt orphans although this is not PID 1.
    pub(super) subreaper: bool,
    /// Say so where orphans cannot be adopted.
    pub(super) warn_without_subreaper: bool,
    /// Move to `/` once the command runs.
    pub(super) chdir_root: bool,
    /// Descendants that outlive the command.
    pub(super) leftovers: Leftovers,
    /// From the first stop signal to the end, in milliseconds; then KILL. `None`: the platform's business.
    pub(super) stop_grace_ms: Option<u64>,
    /// Exit codes turned into 0.
    pub(super) expected: Expected,
    /// The init's own parent-death signal.
    pub(super) parent_death_signal: Option<i32>,
    /// How much is said.
    pub(super) verbosity: Verbosity,
    /// A warning for every orphan reaped.
    pub(super) warn_on_reap: bool,
}

impl Options {
    /// The plain init's: the command in its own group and in the foreground, everything adopted and ended in order.
    pub(super) fn new(name: &'static str) -> Self {
        let mut rewrite = [0; signals::MAX as usize + 1];
        for (slot, signal) in rewrite.iter_mut().zip(0u8..) {
            *slot = signal;
        }
        Self {
            name,
            target: Target::Group,
            group: Group::Own,
            terminal: Terminal::HandOver,
            on_stop_signal: OnStopSignal::Forward,
            rewrite,
            subreaper: true,
            warn_without_subreaper: false,
            chdir_root: false,
            leftovers: Leftovers::End(2000),
            stop_grace_ms: None,
            expected: Expected::default(),
            parent_death_signal: None,
            verbosity: Verbosity::Warn,
            warn_on_reap: false,
        }
    }

    /// Forwards `signal` as another one; `to` = 0 drops it.
    pub(super) fn rewrite(&mut self, signal: i32, to: u8) {
        if let Some(slot) = usize::try_from(signal).ok().and_then(|index| self.rewrite.get_mut(index)) {
            *slot = to;
        }
    }

    /// What `signal` is forwarded as; `None`: dropped.
    pub(super) fn forwarded_as(&self, signal: i32) -> Option<i32> {
        let to = usize::try_from(signal).ok().and_then(|index| self.rewrite.get(index)).copied().unwrap_or(0);
        (to != 0).then_some(i32::from(to))
    }

    /// The init's own exit status for the command's.
    pub(super) fn exit(&self, status: ExitStatus) -> Exit {
        let code = status.code();
        Exit(if self.expected.has(code) { 0 } else { code })
    }
}

/// Where a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What a command line turned out to be.
pub(super) enum Parsed {
    /// Run this command so.
    Run(Box<Options>, Argv),
    /// Say this and leave: help, version, a mistake.
    Say(Stream, String, Exit),
}

impl Parsed {
    pub(super) fn mistake(text: impl Into<String>, exit: Exit) -> Self {
        Self::Say(Stream::Err, text.into(), exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_forwarded_as_itself_unless_rewritten() {
        let mut options = Options::new("x");
        assert!((1..=64).all(|signal| options.forwarded_as(signal) == Some(signal)));
        options.rewrite(15, 3);
        options.rewrite(1, 0);
        assert_eq!((options.forwarded_as(15), options.forwarded_as(1)), (Some(3), None));
    }

    #[test]
    fn an_expected_code_becomes_zero_and_no_other_does() {
        let mut options = Options::new("x");
        options.expected.add(143);
        assert_eq!(options.exit(ExitStatus::Signaled { signal: 15, core: false }), Exit::OK);
        assert_eq!(options.exit(ExitStatus::Exited(142)), Exit(142));
        assert_eq!(options.exit(ExitStatus::Signaled { signal: 64, core: false }), Exit(192));
    }
}
