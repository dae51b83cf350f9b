//! The loop: one child that matters, every other one only reaped.
//!
//! States: *running* (the command lives) and *ended* (its status is known, some of its descendants live). A
//! deadline exists only where one was asked for; past it everybody who is left is killed, once.

use super::{
    leftovers::{self, Sweep},
    message,
    options::{Leftovers, OnStopSignal, Options, Target, Terminal, Verbosity},
    program::{self, Failure, Surroundings},
};
use crate::{
    exit::Exit,
    sys::{
        signals::{self, Mask},
        spawn::FileAction,
        start::{self, Argv},
        terminal,
        wait::{self, Event, ExitStatus},
    },
};

/// SIGRTMIN+3: systemd's "halt", some images' STOPSIGNAL.
const SIGRTMIN_3: i32 = 37;
/// The whole stop where the platform's grace is not known: below Docker's 10 s.
const ASSUMED_STOP_GRACE_MS: u64 = 8000;
/// How long killed processes may take to vanish where the kernel does not do it for us.
const KILL_MS: u64 = 1000;

/// Starts `command` and stays until it, and what `options` says of its descendants, has ended.
pub(super) fn run(options: &Options, command: Argv) -> Exit {
    // First of all: from here on nothing is lost, it waits.
    let inherited = signals::block_all();
    if signals::is_ignored(libc::SIGCHLD) {
        signals::set_default(libc::SIGCHLD);
    }
    if let Some(signal) = options.parent_death_signal
        && !start::set_parent_death_signal(signal)
    {
        complain(options, "failed to set the parent-death signal");
        return Exit::FAILURE;
    }
    if start::pid() != 1 {
        if options.subreaper {
            if !start::become_subreaper() {
                complain(options, "orphans cannot be adopted: PR_SET_CHILD_SUBREAPER needs Linux 3.4");
            }
        } else if options.warn_without_subreaper && options.verbosity >= Verbosity::Warn {
            complain(options, "not PID 1 and no subreaper, so orphans are not reaped: give -s or TINI_SUBREAPER");
        }
    }
    match start_command(options, command, &inherited) {
        Ok(mut init) => {
            if options.chdir_root {
                start::chdir_root();
            }
            start::forget_startup_pages();
            init.supervise()
        }
        Err(failure) => {
            complain(options, &failure.text);
            failure.exit
        }
    }
}

fn complain(options: &Options, text: &str) {
    message::err(&format!("{}: {text}\n", options.name));
}

fn start_command<'a>(options: &'a Options, command: Argv, inherited: &Mask) -> Result<Init<'a>, Failure> {
    let mut terminal = None;
    let mut skip_once = 0;
    let mut files = Vec::new();
    match options.terminal {
        Terminal::Share => {}
        Terminal::HandOver => {
            // Only what is ours to give: a background job must not grab the terminal.
            terminal = (0..3).find(|fd| terminal::foreground(*fd) == Some(terminal::own_group()));
            files.extend(terminal.map(FileAction::Foreground));
        }
        Terminal::NewSession => {
            if terminal::detach(0) && terminal::session_of(0) == Some(start::pid()) {
                // Detaching as the session's leader sends both to our group: they are nobody's message.
                skip_once = bit(libc::SIGHUP) | bit(libc::SIGCONT);
            }
            if terminal::is_terminal(0) {
                // A session leader without a controlling terminal gets the one that it opens.
                let path = c"/proc/self/fd/0".to_owned();
                files.push(FileAction::Open { fd: SPARE_FD, path, flags: libc::O_RDWR, mode: 0 });
                files.push(FileAction::Close(SPARE_FD));
            }
        }
    }
    let around = Surroundings { group: options.group, mask: inherited, files: &files };
    let started = match program::start(command, around) {
        // The terminal may have changed hands meanwhile, or /proc may be missing: the command matters more.
        Err(_) if !files.is_empty() => {
            terminal = None;
            program::start(command, Surroundings { files: &[], ..around })
        }
        started => started,
    };
    started.map(|child| {
        let init = Init {
            options,
            child,
            terminal,
            skip_once,
            status: None,
            deadline: None,
            stop_asked: None,
            sweeping: false,
        };
        init.say(Verbosity::Info, || format!("started process {child}"));
        init
    })
}

/// A descriptor number in the child that nobody else uses before exec.
const SPARE_FD: i32 = 99;

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

struct Init<'a> {
    options: &'a Options,
    /// The command's pid, and its group's id where it has its own.
    child: i32,
    /// The descriptor of the terminal that was handed over.
    terminal: Option<i32>,
    /// Signals of which the next one is dropped, as bits.
    skip_once: u64,
    /// How the command ended.
    status: Option<ExitStatus>,
    /// When everybody who is left is killed; monotonic milliseconds.
    deadline: Option<u64>,
    /// When the first stop signal came.
    stop_asked: Option<u64>,
    /// The leftovers have been asked to end.
    sweeping: bool,
}

impl Init<'_> {
    fn supervise(&mut self) -> Exit {
        let mut sweep = Sweep::default();
        let mut killed = false;
        loop {
            match signals::wait(self.deadline.map(|deadline| deadline.saturating_sub(start::monotonic_ms()))) {
                Some(libc::SIGCHLD) => {
                    let alone = self.drain();
                    let Some(status) = self.status else {
                        if alone {
                            // Somebody else reaped it: a tracer, or a disposition changed behind our back.
                            complain(self.options, "the command vanished without an exit status");
                            return Exit::SOFTWARE;
                        }
                        continue;
                    };
                    if self.leave(alone, &mut sweep) {
                        return self.exit(status);
                    }
                }
                Some(signal) => self.forward(signal),
                None if killed => {
                    let stuck = ExitStatus::Signaled { signal: libc::SIGKILL, core: false };
                    return self.exit(self.status.unwrap_or(stuck));
                }
                None => {
                    self.say(Verbosity::Info, || "the deadline has passed: killing what is left".to_owned());
                    killed = true;
                    self.deadline = Some(start::monotonic_ms() + KILL_MS);
                    let _ = signals::send(-self.child, libc::SIGKILL);
                    leftovers::signal_all(libc::SIGKILL);
                    if let (Some(status), 1) = (self.status, start::pid()) {
                        return self.exit(status);
                    }
                }
            }
            if killed && start::pid() != 1 {
                // Children of the killed became ours.
                leftovers::signal_all(libc::SIGKILL);
            }
        }
    }

    /// Consumes every state change there is; true where no child is left at all.
    fn drain(&mut self) -> bool {
        loop {
            match wait::next_event() {
                Event::Ended(pid, status) if pid == self.child && self.status.is_none() => {
                    self.status = Some(status);
                    self.say(Verbosity::Info, || format!("the command ended: {status}"));
                }
                Event::Ended(pid, status) => {
                    if self.options.warn_on_reap {
                        self.say(Verbosity::Warn, || format!("reaped process {pid}: {status}"));
                    } else {
                        self.say(Verbosity::Debug, || format!("reaped process {pid}: {status}"));
                    }
                }
                Event::Stopped(pid, signal) if pid == self.child => self.stopped(signal),
                Event::Stopped(..) => {}
                Event::Quiet => return false,
                Event::NoChildren => return true,
            }
        }
    }

    /// The command has ended; `alone`: no child of ours is left. True where there is no reason to stay.
    fn leave(&mut self, alone: bool, sweep: &mut Sweep) -> bool {
        match self.options.leftovers {
            Leftovers::Leave => true,
            Leftovers::TermGroup => {
                // Also when alone: without adoption its members are nobody's children here.
                let _ = signals::send(-self.child, self.options.forwarded_as(libc::SIGTERM).unwrap_or(0));
                true
            }
            Leftovers::Wait | Leftovers::End(_) if alone => true,
            Leftovers::Wait => false,
            Leftovers::End(grace) => {
                if !self.sweeping {
                    self.sweeping = true;
                    // One deadline: what is left of the stop that was asked for, if any, bounds the leftovers too.
                    let stop = self.deadline.or(self.stop_asked.map(|at| at + ASSUMED_STOP_GRACE_MS));
                    self.deadline = Some(start::monotonic_ms().saturating_add(grace).min(stop.unwrap_or(u64::MAX)));
                }
                sweep.term();
                false
            }
        }
    }

    fn forward(&mut self, signal: i32) {
        if self.skip_once & bit(signal) != 0 {
            self.skip_once &= !bit(signal);
            return;
        }
        if matches!(signal, libc::SIGTERM | libc::SIGINT | libc::SIGQUIT | SIGRTMIN_3) && self.stop_asked.is_none() {
            let now = start::monotonic_ms();
            self.stop_asked = Some(now);
            if let Some(grace) = self.options.stop_grace_ms {
                self.deadline = Some(now.saturating_add(grace));
            }
        }
        let Some(outgoing) = self.options.forwarded_as(signal) else {
            self.say(Verbosity::Debug, || format!("dropped signal {signal}"));
            return;
        };
        if signal == libc::SIGCONT
            && let Some(fd) = self.terminal
            && terminal::foreground(fd) == Some(terminal::own_group())
        {
            terminal::set_foreground(fd, self.child);
        }
        if self.status.is_some() {
            leftovers::signal_all(outgoing);
        } else {
            self.deliver(outgoing);
            self.say(Verbosity::Debug, || format!("forwarded signal {signal} as {outgoing}"));
        }
        if self.options.on_stop_signal == OnStopSignal::Suspend
            && matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)
        {
            suspend();
        }
    }

    fn deliver(&self, signal: i32) {
        let sent = match self.options.target {
            // The command may have left its group; it is still the one that is meant.
            Target::Group => signals::send(-self.child, signal).or_else(|_| signals::send(self.child, signal)),
            Target::Process => signals::send(self.child, signal),
        };
        if let Err(error) = sent
            && error.raw_os_error() != Some(libc::ESRCH)
        {
            self.say(Verbosity::Warn, || format!("failed to forward signal {signal} to {}: {error}", self.child));
        }
    }

    /// The command was stopped. A shell above us must see its job stop; where there is none, nobody could ever resume it.
    fn stopped(&self, signal: i32) {
        let Some(fd) = self.terminal else { return };
        let parent = terminal::parent();
        // Parent 0 lives outside our pid namespace: docker exec.
        let orphaned = start::pid() == 1 || parent == 0 || terminal::session_of(parent) != terminal::session_of(0);
        if orphaned {
            // From the keyboard, that is: a stop that was sent through us is meant.
            if signal == libc::SIGTSTP && terminal::foreground(fd) == Some(self.child) {
                let _ = signals::send(-self.child, libc::SIGCONT);
            }
            return;
        }
        terminal::set_foreground(fd, terminal::own_group());
        // The rest of the job as the shell knows it, then this process, whose TSTP is blocked.
        let _ = signals::send(0, libc::SIGTSTP);
        suspend();
    }

    fn exit(&self, status: ExitStatus) -> Exit {
        if let Some(fd) = self.terminal
            && start::pid() != 1
        {
            terminal::set_foreground(fd, terminal::own_group());
        }
        self.options.exit(status)
    }

    fn say(&self, level: Verbosity, text: impl FnOnce() -> String) {
        if self.options.verbosity >= level {
            complain(self.options, &text());
        }
    }
}

/// Stops this process; it goes on when it is continued. PID 1 cannot be stopped from inside.
fn suspend() {
    let _ = signals::send(start::pid(), libc::SIGSTOP);
}
