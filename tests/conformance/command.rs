//! The other side: what runs under the init, in the test binary's own second life.
//!
//! `conformance command NAME [ARG]` reports on standard output. It sets its parent-death signal, so that nothing
//! outlives a case.

use std::{
    ffi::CString,
    fs,
    io::{self, Write},
    ptr,
};

/// Runs the command of this name; its exit code.
pub fn run(name: &str, arguments: &[String]) -> i32 {
    // SAFETY: takes no pointer.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let number = arguments.first().and_then(|text| text.parse::<i32>().ok()).unwrap_or(0);
    match name {
        "exit" => number,
        "die" => die(number),
        "signals" => signals("got"),
        "group" => group(),
        "pending" => pending(number),
        "orphans" => orphans(number),
        "rt-orphan" => orphan_dies_by(libc::SIGRTMAX()),
        "stubborn" => stubborn(number),
        "identity" => identity(),
        "echo" => echo(),
        "pause" => {
            say("ready");
            // SAFETY: takes no pointer.
            unsafe { libc::pause() }
        }
        "job" => job(arguments),
        "sums" => sums(),
        other => {
            say(&format!("no command {other}"));
            98
        }
    }
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

fn all_blocked() -> u64 {
    let all = u64::MAX;
    // SAFETY: the kernel's mask is eight bytes.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, ptr::null::<u64>(), 8) };
    all
}

fn next_signal(all: &u64) -> i32 {
    loop {
        // SAFETY: the set outlives the call; the other pointers may be null.
        let signal = unsafe {
            libc::syscall(libc::SYS_rt_sigtimedwait, ptr::from_ref(all), ptr::null::<u8>(), ptr::null::<u8>(), 8)
        };
        if signal > 0 {
            return signal as i32;
        }
    }
}

/// Dies by this signal with its default disposition.
fn die(signal: i32) -> i32 {
    // SAFETY: takes no pointer but the empty mask.
    unsafe {
        let none = 0u64;
        crate::rig::set_disposition(signal, libc::SIG_DFL);
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, ptr::null::<u64>(), 8);
        libc::syscall(libc::SYS_kill, libc::getpid(), signal);
    }
    97
}

/// Reports every signal.
fn signals(verb: &str) -> i32 {
    let all = all_blocked();
    say("ready");
    loop {
        say(&format!("{verb} {}", next_signal(&all)));
    }
}

/// Two processes in one group, both reporting.
fn group() -> i32 {
    all_blocked();
    // SAFETY: one thread.
    if unsafe { libc::fork() } == 0 {
        // SAFETY: takes no pointer.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        return signals("second got");
    }
    signals("first got")
}

/// Reports a signal that is pending or comes, and dies by it where it is not blocked.
fn pending(signal: i32) -> i32 {
    let set = 1u64 << (signal - 1);
    say(&format!("got {}", next_signal(&set)));
    0
}

/// `count` orphans that end at once, by double fork; then waits for a signal.
fn orphans(count: i32) -> i32 {
    let all = all_blocked();
    for _ in 0..count {
        // SAFETY: one thread; the children only exit.
        unsafe {
            match libc::fork() {
                0 => {
                    if libc::fork() == 0 {
                        libc::_exit(1);
                    }
                    libc::_exit(0);
                }
                middle => libc::waitpid(middle, ptr::null_mut(), 0),
            };
        }
    }
    say("ready");
    loop {
        let signal = next_signal(&all);
        if signal != libc::SIGCHLD {
            return 7;
        }
    }
}

/// An orphan dies by a real-time signal while we live; then 7.
fn orphan_dies_by(signal: i32) -> i32 {
    // SAFETY: one thread; the orphan only dies. Its parent leaves first.
    unsafe {
        let middle = libc::fork();
        if middle == 0 {
            let parent = libc::getpid();
            if libc::fork() == 0 {
                while libc::getppid() == parent {}
                libc::_exit(die(signal));
            }
            libc::_exit(0);
        }
        libc::waitpid(middle, ptr::null_mut(), 0);
    }
    let all = all_blocked();
    say("ready");
    while next_signal(&all) == libc::SIGCHLD {}
    7
}

/// Takes its time over TERM: reports it and exits with this code.
fn stubborn(code: i32) -> i32 {
    let all = all_blocked();
    say("ready");
    while next_signal(&all) != libc::SIGTERM {}
    say("leaving");
    code
}

/// Who we are to the terminal and to job control.
fn identity() -> i32 {
    // SAFETY: none takes a pointer.
    let (pid, group, session, foreground) =
        unsafe { (libc::getpid(), libc::getpgrp(), libc::getsid(0), libc::tcgetpgrp(0)) };
    let parent_group = parent_group();
    say(&format!(
        "leader={} own-group={} foreground={} session={}",
        pid == group,
        Some(group) != parent_group,
        foreground == group,
        if session == pid { "own" } else { "shared" }
    ));
    0
}

fn parent_group() -> Option<i32> {
    // SAFETY: takes no pointer.
    let group = unsafe { libc::getpgid(libc::getppid()) };
    (group >= 0).then_some(group)
}

/// Repeats the lines of standard input; says when it was continued.
fn echo() -> i32 {
    say("ready");
    let mut line = String::new();
    loop {
        line.clear();
        match io::stdin().read_line(&mut line) {
            Ok(0) => return 0,
            Ok(_) => say(line.trim_end()),
            Err(error) => {
                say(&format!("read: {error}"));
                return 96;
            }
        }
    }
}

/// A shell with one job: starts PROGRAM as ARGV in the foreground, resumes it as often as it stops.
fn job(arguments: &[String]) -> i32 {
    let words: Vec<CString> = arguments.iter().filter_map(|word| CString::new(word.as_str()).ok()).collect();
    let argv: Vec<_> = words.iter().skip(1).map(|word| word.as_ptr()).chain([ptr::null()]).collect();
    // SAFETY: one thread; the child only makes system calls before its exec; the vector outlives it.
    unsafe {
        crate::rig::set_disposition(libc::SIGTTOU, libc::SIG_IGN);
        let job = libc::fork();
        if job == 0 {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::setpgid(0, 0);
            libc::tcsetpgrp(0, libc::getpgrp());
            crate::rig::set_disposition(libc::SIGTTOU, libc::SIG_DFL);
            libc::execv(words[0].as_ptr(), argv.as_ptr());
            libc::_exit(99);
        }
        loop {
            let mut raw = 0;
            if libc::waitpid(job, &raw mut raw, libc::WUNTRACED) != job {
                return 95;
            }
            libc::tcsetpgrp(0, libc::getpgrp());
            if !libc::WIFSTOPPED(raw) {
                say(&format!("job ended {}", libc::WEXITSTATUS(raw)));
                return 0;
            }
            say("job stopped");
            libc::tcsetpgrp(0, job);
            libc::kill(-job, libc::SIGCONT);
        }
    }
}

/// Number and length of arguments and environment, so that megabytes can be compared in a line.
fn sums() -> i32 {
    let sum = |path: &str| {
        let bytes = fs::read(path).unwrap_or_default();
        let hash = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        (bytes.iter().filter(|byte| **byte == 0).count(), bytes.len(), hash)
    };
    let (args, env) = (sum("/proc/self/cmdline"), sum("/proc/self/environ"));
    say(&format!("{} {} {:x} {} {} {:x}", args.0, args.1, args.2, env.0, env.1, env.2));
    0
}
