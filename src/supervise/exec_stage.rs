//! The hidden `exec-stage` subcommand: sets in the fresh child what posix_spawn cannot, then becomes the program.
//!
//! `skill-init exec-stage [--user UID[:GID]] [--limit NAME=SOFT:HARD]... [--oom N] -- PROGRAM ARG...`
//!
//! Every failure is a line on stderr and an exit code of the table; nothing is run half-prepared. The user
//! comes last, because limits and a lower oom score may need the privileges that it gives up.

use crate::{exit::Exit, sys};
use std::{
    ffi::{CString, OsString},
    io::Write,
    os::unix::ffi::OsStringExt,
};

/// Runs the stage; returns only on failure.
pub fn run(args: impl Iterator<Item = OsString>) -> Exit {
    match stage(args) {
        Ok(never) => never,
        Err(failure) => {
            let line = format!("skill-init: exec-stage: {}\n", failure.message);
            // Without a stderr the exit code tells.
            let _ = std::io::stderr().write_all(line.as_bytes());
            failure.exit
        }
    }
}

struct Failure {
    exit: Exit,
    message: String,
}

fn usage(message: impl Into<String>) -> Failure {
    Failure { exit: Exit::USAGE, message: message.into() }
}

fn refused(what: String) -> impl FnOnce(std::io::Error) -> Failure {
    move |error| Failure { exit: Exit::OS, message: format!("{what}: {error}") }
}

fn stage(mut args: impl Iterator<Item = OsString>) -> Result<Exit, Failure> {
    let mut user = None;
    loop {
        let option = args.next().ok_or_else(|| usage("no program"))?;
        let mut value = |name: &str| {
            args.next().and_then(|v| v.into_string().ok()).ok_or_else(|| usage(format!("{name} needs a value")))
        };
        match option.to_str() {
            Some("--") => break,
            Some("--user") => user = Some(parse_user(&value("--user")?)?),
            Some("--limit") => {
                let text = value("--limit")?;
                let (name, soft, hard) = parse_limit(&text)?;
                sys::limits::set(&name, soft, hard).map_err(refused(format!("limit {text}")))?;
            }
            Some("--oom") => {
                let score = value("--oom")?;
                std::fs::write("/proc/self/oom_score_adj", &score)
                    .map_err(refused(format!("oom_score_adj {score}")))?;
            }
            _ => return Err(usage(format!("unknown option {}", option.to_string_lossy()))),
        }
    }
    if let Some((uid, gid)) = user {
        sys::identity::become_user(uid, gid).map_err(refused(format!("become user {uid}:{gid}")))?;
    }
    let argv: Vec<CString> =
        args.map(|arg| CString::new(arg.into_vec())).collect::<Result<_, _>>().map_err(|_| usage("a NUL byte"))?;
    let program = argv.first().ok_or_else(|| usage("no program"))?;
    let error = sys::process::exec(program, &argv);
    let exit = if error.raw_os_error() == Some(libc::ENOENT) { Exit::NOT_FOUND } else { Exit::NOT_EXECUTABLE };
    Err(Failure { exit, message: format!("{}: {error}", program.to_string_lossy()) })
}

/// `UID[:GID]`, numbers, or names out of /etc/passwd and /etc/group (read as files: no NSS in a static binary).
fn parse_user(text: &str) -> Result<(u32, u32), Failure> {
    let (user, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
    let bad = || usage(format!("no such user: {text}"));
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let field = |line: &str, n: usize| line.split(':').nth(n).and_then(|f| f.parse::<u32>().ok());
    let entry = |wanted: &dyn Fn(&str) -> bool| passwd.lines().find(|line| wanted(line)).map(str::to_owned);
    let (uid, own_group) = match user.parse::<u32>() {
        Ok(uid) => (uid, entry(&|line| field(line, 2) == Some(uid)).and_then(|line| field(&line, 3))),
        Err(_) => {
            let line = entry(&|line| line.split(':').next() == Some(user)).ok_or_else(bad)?;
            (field(&line, 2).ok_or_else(bad)?, field(&line, 3))
        }
    };
    let gid = match group {
        None => own_group.unwrap_or(uid),
        Some(group) => match group.parse::<u32>() {
            Ok(gid) => gid,
            Err(_) => {
                let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
                groups.lines().find(|l| l.split(':').next() == Some(group)).and_then(|l| field(l, 2)).ok_or_else(bad)?
            }
        },
    };
    Ok((uid, gid))
}

fn parse_limit(text: &str) -> Result<(String, Option<u64>, Option<u64>), Failure> {
    let bad = || usage(format!("--limit NAME=SOFT:HARD, not {text}"));
    let (name, values) = text.split_once('=').ok_or_else(bad)?;
    let (soft, hard) = values.split_once(':').ok_or_else(bad)?;
    let number = |value: &str| match value {
        "unlimited" => Ok(None),
        _ => value.parse::<u64>().map(Some).map_err(|_| bad()),
    };
    Ok((name.to_owned(), number(soft)?, number(hard)?))
}
