//! The cases. Each starts a fresh init, makes something happen, and waits for what must follow.

use crate::rig::{End, Init, Mode, Outcome, Run, SIGNALS, Setup, state_of};
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
    ($( $name:literal => $function:ident, )+) => {
        pub const ALL: &[Case] = &[ $( Case { name: $name, run: $function }, )+ ];
    };
}

cases! {
    "exit status comes through" => exit_statuses,
    "death by each signal gives 128+n, real-time signals too" => deaths,
    "a missing program is 127" => missing,
    "a bare name that is not in PATH is 127" => missing_in_path,
    "a missing interpreter is 127" => missing_interpreter,
    "a file without execute permission is 126" => not_executable,
    "a folder is 126" => folder,
    "a damaged or foreign binary is 126" => foreign_binary,
    "a script without #! runs under sh" => script_without_interpreter,
    "a bare name is found in PATH" => found_in_path,
    "every signal that has a handler reaches the command" => forwarding,
    "real-time signals reach the command" => forwarding_real_time,
    "fault signals sent from outside reach the command" => forwarding_faults,
    "the command's whole group gets the signal" => group_forwarding,
    "the command leads a group of its own" => own_group,
    "a signal that is pending at start is not lost" => pending_at_start,
    "signals that arrive while the init is stopped are not lost" => while_stopped,
    "a command that takes its time over TERM is waited for" => slow_stop,
    "the signal mask reaches the command as it was" => mask,
    "ignored signals reach the command as they were" => ignored,
    "nothing is blocked or ignored that was not before" => clean_signals,
    "an ignored SIGCHLD does not lose the exit status" => ignored_child_signal,
    "closed standard streams are no obstacle and stay closed" => closed_streams,
    "open descriptors reach the command" => descriptors,
    "megabytes of environment and arguments arrive unchanged" => huge,
    "folder, umask and environment are untouched" => surroundings,
    "adopted orphans are reaped, five hundred at once" => orphans,
    "an orphan that dies by a real-time signal is reaped and changes nothing" => real_time_orphan,
    "the command's status survives a crowd of dying orphans" => crowd,
    "with a terminal the command is in the foreground" => foreground,
    "with a terminal the command reads the keyboard" => keyboard,
    "Ctrl-C reaches the command" => interrupt,
    "Ctrl-Z does not hang a container" => keyboard_stop_as_pid1,
    "as a shell's job it stops with its command and resumes with it" => shell_job,
    "a stop signal sent to the init stops the command, CONT resumes it" => stop_and_continue,
    "what the command leaves behind gets TERM" => leftovers,
    "what left the command's session gets TERM too" => escaped_leftovers,
}

fn passed(outcome: Outcome) -> Verdict {
    outcome.map(|()| None)
}

fn exit_statuses(context: &Context<'_>) -> Verdict {
    let sample = [0, 1, 2, 7, 42, 64, 77, 100, 125, 126, 127, 128, 130, 137, 143, 200, 254, 255];
    let all: Vec<i32> = (0..=255).collect();
    for code in if context.full { &all[..] } else { &sample[..] } {
        context
            .shell(&format!("exit {code}"), &Setup::default())?
            .ends_with(*code)
            .map_err(|error| format!("exit {code}: {error}"))?;
    }
    Ok(None)
}

/// Signals that do nothing to a process without a handler, or only stop it.
const HARMLESS: [i32; 8] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGURG,
    libc::SIGWINCH,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
];
const FAULTS: [i32; 7] =
    [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];
const STOPS: [i32; 4] = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

fn deaths(context: &Context<'_>) -> Verdict {
    for signal in SIGNALS.filter(|signal| !HARMLESS.contains(signal)) {
        context
            .plain(&["die", &signal.to_string()])?
            .ends_with(128 + signal)
            .map_err(|error| format!("signal {signal}: {error}"))?;
    }
    Ok(None)
}

fn missing(context: &Context<'_>) -> Verdict {
    passed(context.start(&["/no/such/program"], &Setup::default())?.ends_with(127))
}

fn missing_in_path(context: &Context<'_>) -> Verdict {
    passed(context.start(&["no-such-program-anywhere"], &Setup::default())?.ends_with(127))
}

fn missing_interpreter(context: &Context<'_>) -> Verdict {
    let script = context.file("orphaned", b"#!/no/such/interpreter\n", 0o755)?;
    passed(context.start(&[&script], &Setup::default())?.ends_with(127))
}

fn not_executable(context: &Context<'_>) -> Verdict {
    let file = context.file("plain", b"#!/bin/sh\n", 0o644)?;
    passed(context.start(&[&file], &Setup::default())?.ends_with(126))
}

fn folder(context: &Context<'_>) -> Verdict {
    passed(context.start(&["/tmp"], &Setup::default())?.ends_with(126))
}

fn foreign_binary(context: &Context<'_>) -> Verdict {
    // The header of an ELF file for machine 0xffff, and nothing behind it.
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xff\xff\x01\0\0\0".to_vec();
    elf.resize(200, 0);
    let file = context.file("foreign", &elf, 0o755)?;
    passed(context.start(&[&file], &Setup::default())?.ends_with(126))
}

fn script_without_interpreter(context: &Context<'_>) -> Verdict {
    let script = context.file("bare-script", b"echo \"$0 $1 $2\"; exit 4\n", 0o755)?;
    let mut run = context.start(&[&script, "a b", "c"], &Setup::default())?;
    run.expect(&format!("{script} a b c"))?;
    passed(run.ends_with(4))
}

fn found_in_path(context: &Context<'_>) -> Verdict {
    context.file("found", b"#!/bin/sh\nexit 5\n", 0o755)?;
    let path = format!("/no/such/folder:{}:/usr/bin:/bin", context.folder.display());
    let setup = Setup { env: Some(vec![("PATH".into(), path)]), ..Setup::default() };
    passed(context.start(&["found"], &setup)?.ends_with(5))
}

fn forward_each(context: &Context<'_>, signals: impl Iterator<Item = i32>) -> Verdict {
    let mut lost = Vec::new();
    for signal in signals {
        let mut run = context.plain(&["signals"])?;
        run.expect("ready")?;
        run.send(signal)?;
        if run.expect(&format!("got {signal}")).is_err() {
            lost.push(signal);
        }
    }
    if lost.is_empty() { Ok(None) } else { Err(format!("lost: {lost:?}")) }
}

fn forwarding(context: &Context<'_>) -> Verdict {
    let rest = |signal: &i32| {
        !FAULTS.contains(signal) && !STOPS.contains(signal) && ![libc::SIGKILL, libc::SIGCHLD].contains(signal)
    };
    forward_each(context, (1..32).filter(rest))
}

fn forwarding_real_time(context: &Context<'_>) -> Verdict {
    forward_each(context, 32..=64)
}

fn forwarding_faults(context: &Context<'_>) -> Verdict {
    forward_each(context, FAULTS.into_iter())
}

fn group_forwarding(context: &Context<'_>) -> Verdict {
    let mut run = context.plain(&["group"])?;
    // One says "ready" for itself, whoever is second.
    run.expect("ready")?;
    run.expect("ready")?;
    run.send(libc::SIGUSR1)?;
    let mut got = [run.line()?, run.line()?];
    got.sort();
    if got == ["first got 10", "second got 10"] { Ok(None) } else { Err(format!("reported {got:?}")) }
}

fn own_group(context: &Context<'_>) -> Verdict {
    let line = context.plain(&["identity"])?.line()?;
    if line.starts_with("leader=true own-group=true") { Ok(None) } else { Err(line) }
}

fn pending_at_start(context: &Context<'_>) -> Verdict {
    let setup = Setup { blocked: vec![libc::SIGTERM], pending: Some(libc::SIGTERM), ..Setup::default() };
    let mut run = context.helper(&["pending", "15"], &setup)?;
    match run.line() {
        Ok(line) if line == "got 15" => Ok(None),
        // An init that empties the mask lets the command die of it: not lost either.
        _ => passed(run.ends_with(143)),
    }
}

fn while_stopped(context: &Context<'_>) -> Verdict {
    let mut run = context.plain(&["signals"])?;
    run.expect("ready")?;
    run.send(libc::SIGSTOP)?;
    run.stops()?;
    let sent = [libc::SIGHUP, libc::SIGINT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGTERM];
    for signal in sent {
        run.send(signal)?;
    }
    run.send(libc::SIGCONT)?;
    let mut left: Vec<String> = sent.iter().map(|signal| format!("got {signal}")).collect();
    while !left.is_empty() {
        let line = run.line().map_err(|error| format!("missing {left:?}: {error}"))?;
        left.retain(|wanted| *wanted != line);
    }
    Ok(None)
}

fn slow_stop(context: &Context<'_>) -> Verdict {
    let mut run = context.plain(&["stubborn", "3"])?;
    run.expect("ready")?;
    run.send(libc::SIGTERM)?;
    run.expect("leaving")?;
    passed(run.ends_with(3))
}

/// `SigBlk` and `SigIgn` of the command.
fn signal_sets(context: &Context<'_>, setup: &Setup) -> Outcome<(u64, u64)> {
    let text = context.start(&["/bin/cat", "/proc/self/status"], setup)?.rest()?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
            .ok_or(format!("no {name} in {text:?}"))
    };
    Ok((field("SigBlk:")?, field("SigIgn:")?))
}

fn bits(signals: &[i32]) -> u64 {
    signals.iter().map(|signal| 1u64 << (signal - 1)).sum()
}

fn equal<T: PartialEq + std::fmt::Debug>(got: T, wanted: T) -> Verdict {
    if got == wanted { Ok(None) } else { Err(format!("{got:x?}, wanted {wanted:x?}")) }
}

fn mask(context: &Context<'_>) -> Verdict {
    let blocked = vec![libc::SIGHUP, libc::SIGUSR1, libc::SIGTTOU, 40];
    let setup = Setup { blocked: blocked.clone(), ..Setup::default() };
    equal(signal_sets(context, &setup)?, (bits(&blocked), 0))
}

fn ignored(context: &Context<'_>) -> Verdict {
    let ignored = vec![libc::SIGHUP, libc::SIGPIPE, libc::SIGTTIN, libc::SIGUSR2, 50];
    let setup = Setup { ignored: ignored.clone(), ..Setup::default() };
    equal(signal_sets(context, &setup)?, (0, bits(&ignored)))
}

fn clean_signals(context: &Context<'_>) -> Verdict {
    equal(signal_sets(context, &Setup::default())?, (0, 0))
}

fn ignored_child_signal(context: &Context<'_>) -> Verdict {
    let setup = Setup { ignored: vec![libc::SIGCHLD], ..Setup::default() };
    passed(context.shell("exit 7", &setup)?.ends_with(7))
}

fn closed_streams(context: &Context<'_>) -> Verdict {
    for (closed, script) in [
        (vec![0], "readlink /proc/self/fd/0 && exit 8; exit 7"),
        (vec![2], "readlink /proc/$$/fd/2 && exit 8; exit 7"),
        (vec![0, 1, 2], "exit 7"),
    ] {
        context
            .shell(script, &Setup { closed: closed.clone(), ..Setup::default() })?
            .ends_with(7)
            .map_err(|error| format!("closed {closed:?}: {error}"))?;
    }
    Ok(None)
}

fn descriptors(context: &Context<'_>) -> Verdict {
    let setup = Setup { extra_fd: Some(7), ..Setup::default() };
    let text = context.start(&["/bin/ls", "/proc/self/fd"], &setup)?.rest()?;
    // ls itself opens 3 for the folder.
    equal(text.split_whitespace().collect::<Vec<_>>(), vec!["0", "1", "2", "3", "7"])
}

fn huge(context: &Context<'_>) -> Verdict {
    let env: Vec<(String, String)> = (0..12).map(|n| (format!("BIG_{n}"), "e".repeat(100_000))).collect();
    let argument = "a".repeat(400);
    let mut words = vec!["sums"];
    words.extend(std::iter::repeat_n(argument.as_str(), 800));
    let setup = Setup { env: Some(env), ..Setup::default() };
    let through = context.helper(&words, &setup)?.line()?;
    let direct = Init {
        name: "direct",
        program: context.own.into(),
        argv0: context.own.into(),
        patience: context.init.patience,
        words: &["command"],
        subreaper_words: &[],
    };
    equal(through, Run::start(&direct, Mode::Subreaper, &words, &setup)?.line()?)
}

fn surroundings(context: &Context<'_>) -> Verdict {
    let env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("A".to_owned(), "1".to_owned())];
    let setup = Setup { env: Some(env), cwd: Some("/usr"), ..Setup::default() };
    let text = context.start(&["/bin/sh", "-c", "umask; pwd; tr '\\0' '\\n' </proc/$$/environ"], &setup)?.rest()?;
    let mut umask = String::new();
    if let Some(line) =
        fs::read_to_string("/proc/self/status").unwrap_or_default().lines().find(|l| l.starts_with("Umask:"))
    {
        umask = line.trim_start_matches("Umask:").trim().to_owned();
    }
    equal(text, format!("{umask}\n/usr\nPATH=/usr/bin:/bin\nA=1\n"))
}

fn orphans(context: &Context<'_>) -> Verdict {
    let mut run = context.plain(&["orphans", "500"])?;
    run.expect("ready")?;
    run.until_children("only the command should be left", |children| children.len() == 1)?;
    run.send(libc::SIGTERM)?;
    passed(run.ends_with(7))
}

fn real_time_orphan(context: &Context<'_>) -> Verdict {
    let mut run = context.plain(&["rt-orphan"])?;
    run.expect("ready")?;
    run.until_children("only the command should be left", |children| children.len() == 1)?;
    run.send(libc::SIGTERM)?;
    passed(run.ends_with(7))
}

fn crowd(context: &Context<'_>) -> Verdict {
    for _ in 0..if context.full { 50 } else { 10 } {
        let script = "for i in 1 2 3 4 5 6 7 8 9 10; do (exit 1 & exit 2 & :) & done; exit 7";
        context.shell(script, &Setup::default())?.ends_with(7)?;
    }
    Ok(None)
}

fn terminal() -> Setup {
    Setup { terminal: true, ..Setup::default() }
}

fn foreground(context: &Context<'_>) -> Verdict {
    let line = context.helper(&["identity"], &terminal())?.line()?;
    if line.contains("foreground=true") { Ok(None) } else { Err(line) }
}

fn keyboard(context: &Context<'_>) -> Verdict {
    let mut run = context.helper(&["echo"], &terminal())?;
    run.expect("ready")?;
    run.type_in(b"hello\n")?;
    run.expect("hello")?;
    run.type_in(b"\x04")?;
    passed(run.ends_with(0))
}

fn interrupt(context: &Context<'_>) -> Verdict {
    let mut run = context.helper(&["echo"], &terminal())?;
    run.expect("ready")?;
    run.type_in(b"\x03")?;
    passed(run.ends_with(130))
}

fn keyboard_stop_as_pid1(context: &Context<'_>) -> Verdict {
    if !context.mode.is_pid1() {
        return Ok(Some("needs PID 1"));
    }
    let mut run = context.helper(&["echo"], &terminal())?;
    run.expect("ready")?;
    run.type_in(b"\x1a")?;
    run.type_in(b"still here\n")?;
    run.expect("still here")?;
    Ok(None)
}

fn shell_job(context: &Context<'_>) -> Verdict {
    let leader = Init {
        name: "job",
        program: context.own.into(),
        argv0: context.own.into(),
        words: &["command", "job"],
        patience: context.init.patience,
        subreaper_words: &[],
    };
    let program = context.init.program.to_string_lossy().into_owned();
    let mut words = vec![program.as_str(), context.init.argv0.as_str()];
    words.extend(context.init.subreaper_words.iter().chain(context.init.words));
    words.extend([context.own, "command", "echo"]);
    let mut run = Run::start(&leader, Mode::Subreaper, &words, &terminal())?;
    run.expect("ready")?;
    run.type_in(b"\x1a")?;
    run.expect("job stopped")?;
    run.type_in(b"hello again\n")?;
    run.expect("hello again")?;
    run.type_in(b"\x04")?;
    run.expect("job ended 0")?;
    passed(run.ends_with(0))
}

fn stop_and_continue(context: &Context<'_>) -> Verdict {
    // One process: a shell stopped amid vfork(2) would show as waiting for its child, not as stopped.
    let mut run = context.plain(&["pause"])?;
    run.expect("ready")?;
    run.send(libc::SIGTSTP)?;
    let command = run.children().first().map(|(pid, _)| *pid).ok_or("no child")?;
    run.until_children("the command should be stopped", |_| state_of(command) == Some('T'))?;
    if !context.mode.is_pid1() {
        // An init that stops with its command must be continued first; for another this does nothing.
        run.send(libc::SIGCONT)?;
    }
    run.send(libc::SIGCONT)?;
    run.until_children("the command should go on", |_| state_of(command).is_some_and(|state| state != 'T'))?;
    run.send(libc::SIGTERM)?;
    match run.end()? {
        End::Exit(143) => Ok(None),
        other => Err(format!("{other:?}")),
    }
}

fn leftovers(context: &Context<'_>) -> Verdict {
    leave_behind(context, "")
}

fn escaped_leftovers(context: &Context<'_>) -> Verdict {
    leave_behind(context, "setsid")
}

/// A background process says "bye" on TERM; the command waits until it is ready to, then exits.
fn leave_behind(context: &Context<'_>, how: &str) -> Verdict {
    let marker = context.folder.join(format!("ready-{}", if how.is_empty() { "group" } else { how }));
    let _ = fs::remove_file(&marker);
    let background = format!("trap \"echo bye; exit\" TERM; : > {}; while :; do sleep 0.01; done", marker.display());
    let script =
        format!("{how} sh -c '{background}' & while ! test -e {}; do sleep 0.01; done; exit 3", marker.display());
    let mut run = context.shell(&script, &Setup::default())?;
    run.expect("bye")?;
    passed(run.ends_with(3))
}
