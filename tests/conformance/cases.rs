//! The cases. Each starts a fresh init, makes something happen, and waits for what must follow.

mod signals;
mod starts;
mod surroundings;
mod terminal;

use crate::rig::{Init, Mode, Outcome, Run, Setup};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

/// What a case is given.
pub struct Context<'a> {
    pub init: &'a Init,
    pub mode: Mode,
    /// This very program, for its second life as the command.
    pub own: &'a str,
    /// A folder for the case's files.
    pub folder: PathBuf,
    /// Every value instead of a sample.
    pub full: bool,
}

impl Context<'_> {
    fn start(&self, command: &[&str], setup: &Setup) -> Outcome<Run> {
        Run::start(self.init, self.mode, command, setup)
    }
    fn helper(&self, words: &[&str], setup: &Setup) -> Outcome<Run> {
        let mut command = vec![self.own, "command"];
        command.extend(words);
        self.start(&command, setup)
    }
    fn plain(&self, words: &[&str]) -> Outcome<Run> {
        self.helper(words, &Setup::default())
    }
    fn shell(&self, script: &str, setup: &Setup) -> Outcome<Run> {
        self.start(&["/bin/sh", "-c", script], setup)
    }
    fn file(&self, name: &str, content: &[u8], mode: u32) -> Outcome<String> {
        let path = self.folder.join(name);
        fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .map_err(|error| error.to_string())?;
        Ok(path.to_string_lossy().into_owned())
    }
}

/// `Ok(None)`: passed; `Ok(Some(why))`: cannot be run here.
pub type Verdict = Outcome<Option<&'static str>>;

/// A name that is a sentence, and the case.
pub struct Case {
    pub name: &'static str,
    pub run: fn(&Context<'_>) -> Verdict,
}

macro_rules! cases {
    ($( $name:literal => $function:path, )+) => {
        pub const ALL: &[Case] = &[ $( Case { name: $name, run: $function }, )+ ];
    };
}

cases! {
    "exit status comes through" => starts::exit_statuses,
    "death by each signal gives 128+n, real-time signals too" => starts::deaths,
    "a missing program is 127" => starts::missing,
    "a bare name that is not in PATH is 127" => starts::missing_in_path,
    "a missing interpreter is 127" => starts::missing_interpreter,
    "a file without execute permission is 126" => starts::not_executable,
    "a folder is 126" => starts::folder,
    "a damaged or foreign binary is 126" => starts::foreign_binary,
    "a script without #! runs under sh" => starts::script_without_interpreter,
    "a bare name is found in PATH" => starts::found_in_path,
    "every signal that has a handler reaches the command" => signals::forwarding,
    "real-time signals reach the command" => signals::forwarding_real_time,
    "fault signals sent from outside reach the command" => signals::forwarding_faults,
    "the command's whole group gets the signal" => signals::group_forwarding,
    "the command leads a group of its own" => signals::own_group,
    "a signal that is pending at start is not lost" => signals::pending_at_start,
    "a signal that comes during the start is not lost" => signals::during_start,
    "signals that arrive while the init is stopped are not lost" => signals::while_stopped,
    "a command that takes its time over TERM is waited for" => signals::slow_stop,
    "the signal mask reaches the command as it was" => signals::mask,
    "ignored signals reach the command as they were" => signals::ignored,
    "nothing is blocked or ignored that was not before" => signals::clean_signals,
    "an ignored SIGCHLD does not lose the exit status" => signals::ignored_child_signal,
    "closed standard streams are no obstacle and stay closed" => surroundings::closed_streams,
    "open descriptors reach the command" => surroundings::descriptors,
    "megabytes of environment and arguments arrive unchanged" => surroundings::huge,
    "folder, umask and environment are untouched" => surroundings::surroundings,
    "adopted orphans are reaped, five hundred at once" => surroundings::orphans,
    "an orphan that dies by a real-time signal is reaped and changes nothing" => surroundings::real_time_orphan,
    "the command's status survives a crowd of dying orphans" => surroundings::crowd,
    "with a terminal the command is in the foreground" => terminal::foreground,
    "with a terminal the command reads the keyboard" => terminal::keyboard,
    "Ctrl-C reaches the command" => terminal::interrupt,
    "Ctrl-Z does not hang a container" => terminal::keyboard_stop_as_pid1,
    "as a shell's job it stops with its command and resumes with it" => terminal::shell_job,
    "a stop signal sent to the init stops the command, CONT resumes it" => terminal::stop_and_continue,
    "what the command leaves behind gets TERM" => surroundings::leftovers,
    "what left the command's session gets TERM too" => surroundings::escaped_leftovers,
}

fn passed(outcome: Outcome) -> Verdict {
    outcome.map(|()| None)
}

fn equal<T: PartialEq + std::fmt::Debug>(got: T, wanted: T) -> Verdict {
    if got == wanted { Ok(None) } else { Err(format!("{got:x?}, wanted {wanted:x?}")) }
}
