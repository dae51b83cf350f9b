//! Signals: forwarded, pending, while the init is stopped; masks and dispositions as they were.

use super::{Context, Verdict, equal, passed};
use crate::rig::{Outcome, Setup};
use std::{fs, time::Instant};

/// Signals that do nothing to a process without a handler, or only stop it.
pub(super) const HARMLESS: [i32; 8] = [
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

pub(super) fn forwarding(context: &Context<'_>) -> Verdict {
    let rest = |signal: &i32| {
        !FAULTS.contains(signal) && !STOPS.contains(signal) && ![libc::SIGKILL, libc::SIGCHLD].contains(signal)
    };
    forward_each(context, (1..32).filter(rest))
}

pub(super) fn forwarding_real_time(context: &Context<'_>) -> Verdict {
    forward_each(context, 32..=64)
}

pub(super) fn forwarding_faults(context: &Context<'_>) -> Verdict {
    forward_each(context, FAULTS.into_iter())
}

pub(super) fn group_forwarding(context: &Context<'_>) -> Verdict {
    let mut run = context.plain(&["group"])?;
    // One says "ready" for itself, whoever is second.
    run.expect("ready")?;
    run.expect("ready")?;
    run.send(libc::SIGUSR1)?;
    let mut got = [run.line()?, run.line()?];
    got.sort();
    if got == ["first got 10", "second got 10"] { Ok(None) } else { Err(format!("reported {got:?}")) }
}

pub(super) fn own_group(context: &Context<'_>) -> Verdict {
    let line = context.plain(&["identity"])?.line()?;
    if line.starts_with("leader=true own-group=true") { Ok(None) } else { Err(line) }
}

pub(super) fn pending_at_start(context: &Context<'_>) -> Verdict {
    let setup = Setup { blocked: vec![libc::SIGTERM], pending: Some(libc::SIGTERM), ..Setup::default() };
    let mut run = context.helper(&["pending", "15"], &setup)?;
    match run.line() {
        Ok(line) if line == "got 15" => Ok(None),
        // An init that empties the mask lets the command die of it: not lost either.
        _ => passed(run.ends_with(143)),
    }
}

/// At the first moment at which the init is seen to hold a signal, before its command runs or while it begins.
pub(super) fn during_start(context: &Context<'_>) -> Verdict {
    for _ in 0..if context.full { 50 } else { 10 } {
        let mut run = context.plain(&["signals"])?;
        let until = Instant::now() + run.patience;
        let held = || {
            let status = fs::read_to_string(format!("/proc/{}/status", run.pid)).unwrap_or_default();
            let sets = ["SigBlk:", "SigCgt:"].map(|name| signal_set(&status, name).unwrap_or(0));
            // What waits in sigtimedwait(2) shows its signals as unblocked; by then it has its command.
            (sets[0] | sets[1]) & (1 << (libc::SIGTERM - 1)) != 0 || !run.children().is_empty()
        };
        while !held() {
            if Instant::now() > until {
                return Err("SIGTERM is never blocked or caught".to_owned());
            }
        }
        run.send(libc::SIGTERM)?;
        loop {
            match run.line().as_deref() {
                Ok("ready") => {}
                Ok("got 15") => break,
                Ok(other) => return Err(format!("reported {other:?}")),
                // It came to a command that had not blocked it yet, and ended it.
                Err(_) => {
                    run.ends_with(143)?;
                    break;
                }
            }
        }
    }
    Ok(None)
}

pub(super) fn while_stopped(context: &Context<'_>) -> Verdict {
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

pub(super) fn slow_stop(context: &Context<'_>) -> Verdict {
    let mut run = context.plain(&["stubborn", "3"])?;
    run.expect("ready")?;
    run.send(libc::SIGTERM)?;
    run.expect("leaving")?;
    passed(run.ends_with(3))
}

/// A set of signals in the text of a `/proc/PID/status`.
fn signal_set(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

/// `SigBlk` and `SigIgn` of the command.
fn signal_sets(context: &Context<'_>, setup: &Setup) -> Outcome<(u64, u64)> {
    let text = context.start(&["/bin/cat", "/proc/self/status"], setup)?.rest()?;
    let field = |name: &str| signal_set(&text, name).ok_or(format!("no {name} in {text:?}"));
    Ok((field("SigBlk:")?, field("SigIgn:")?))
}

fn bits(signals: &[i32]) -> u64 {
    signals.iter().map(|signal| 1u64 << (signal - 1)).sum()
}

pub(super) fn mask(context: &Context<'_>) -> Verdict {
    let blocked = vec![libc::SIGHUP, libc::SIGUSR1, libc::SIGTTOU, 40];
    let setup = Setup { blocked: blocked.clone(), ..Setup::default() };
    equal(signal_sets(context, &setup)?, (bits(&blocked), 0))
}

pub(super) fn ignored(context: &Context<'_>) -> Verdict {
    let ignored = vec![libc::SIGHUP, libc::SIGPIPE, libc::SIGTTIN, libc::SIGUSR2, 50];
    let setup = Setup { ignored: ignored.clone(), ..Setup::default() };
    equal(signal_sets(context, &setup)?, (0, bits(&ignored)))
}

pub(super) fn clean_signals(context: &Context<'_>) -> Verdict {
    equal(signal_sets(context, &Setup::default())?, (0, 0))
}

pub(super) fn ignored_child_signal(context: &Context<'_>) -> Verdict {
    let setup = Setup { ignored: vec![libc::SIGCHLD], ..Setup::default() };
    passed(context.shell("exit 7", &setup)?.ends_with(7))
}
