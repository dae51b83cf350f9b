//! tini's command line (0.19), under the names `tini`, `tini-static` and `docker-init`.
//!
//! Builds of tini differ in where options end: with glibc's getopt operands and options may be mixed up to
//! `--` (`tini PROGRAM -- ARGS`), with musl's they end at the program. Both are honoured where they succeed: a `--`
//! behind the program has glibc's meaning if all words before it are tini's options or operands; otherwise options end at
//! the program, so that `tini ls -l` runs `ls -l`.

use super::{
    getopt::{Grammar, Item, scan},
    options::{Env, Leftovers, Options, Parsed, Stream, Target, Verbosity},
};
use crate::{exit::Exit, sys::start::Argv};
use std::{ffi::CStr, fmt::Write};

const GRAMMAR: Grammar = Grammar { flags: b"hvwgls", values: b"pe", long: &[] };

/// Signal names that `-p` takes, as tini has them.
const SIGNALS: &[(&str, i32)] = &[
    ("SIGHUP", libc::SIGHUP),
    ("SIGINT", libc::SIGINT),
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGILL", libc::SIGILL),
    ("SIGTRAP", libc::SIGTRAP),
    ("SIGABRT", libc::SIGABRT),
    ("SIGBUS", libc::SIGBUS),
    ("SIGFPE", libc::SIGFPE),
    ("SIGKILL", libc::SIGKILL),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGSEGV", libc::SIGSEGV),
    ("SIGUSR2", libc::SIGUSR2),
    ("SIGPIPE", libc::SIGPIPE),
    ("SIGALRM", libc::SIGALRM),
    ("SIGTERM", libc::SIGTERM),
    ("SIGCHLD", libc::SIGCHLD),
    ("SIGCONT", libc::SIGCONT),
    ("SIGSTOP", libc::SIGSTOP),
    ("SIGTSTP", libc::SIGTSTP),
    ("SIGTTIN", libc::SIGTTIN),
    ("SIGTTOU", libc::SIGTTOU),
    ("SIGURG", libc::SIGURG),
    ("SIGXCPU", libc::SIGXCPU),
    ("SIGXFSZ", libc::SIGXFSZ),
    ("SIGVTALRM", libc::SIGVTALRM),
    ("SIGPROF", libc::SIGPROF),
    ("SIGWINCH", libc::SIGWINCH),
    ("SIGSYS", libc::SIGSYS),
];

pub(super) fn parse(argv: Argv, env: Env) -> Parsed {
    let words: Vec<&'static CStr> = argv.iter().skip(1).collect();
    // dockerd reads this line of `docker-init --version` and insists on its first two words.
    let version = concat!("tini version 0.19.0 (skill-init ", env!("CARGO_PKG_VERSION"), ")\n");
    if let [only] = words.as_slice()
        && *only == c"--version"
    {
        return Parsed::Say(Stream::Out, version.to_owned(), Exit::OK);
    }
    let (items, command) = split(argv, &words, env(c"POSIXLY_CORRECT").is_some());

    let mut options = Options::new("tini");
    options.target = Target::Process;
    options.leftovers = Leftovers::Leave;
    options.subreaper = env(c"TINI_SUBREAPER").is_some();
    options.warn_without_subreaper = true;
    if env(c"TINI_KILL_PROCESS_GROUP").is_some() {
        options.target = Target::Group;
    }
    let mut verbosity = match env(c"TINI_VERBOSITY") {
        Some(text) => text.to_str().ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0),
        None => 1u32,
    };
    for item in items {
        match item {
            Item::Option(b'h', _) => return Parsed::Say(Stream::Out, help(), Exit::OK),
            Item::Option(b'l', _) => {
                return Parsed::Say(Stream::Out, "skill-init is under MIT or Apache-2.0.\n".to_owned(), Exit::OK);
            }
            Item::Option(b's', _) => options.subreaper = true,
            Item::Option(b'v', _) => verbosity = verbosity.saturating_add(1),
            Item::Option(b'w', _) => options.warn_on_reap = true,
            Item::Option(b'g', _) => options.target = Target::Group,
            Item::Option(b'e', Some(value)) => match text(value).parse() {
                Ok(code) => options.expected.add(code),
                Err(_) => return wrong(&format!("-e takes an exit code from 0 to 255, not {:?}", text(value))),
            },
            Item::Option(b'p', Some(value)) => match SIGNALS.iter().find(|(name, _)| *name == text(value)) {
                Some((_, signal)) => options.parent_death_signal = Some(*signal),
                None => return wrong(&format!("-p takes a signal's name such as SIGKILL, not {:?}", text(value))),
            },
            Item::Option(letter, _) | Item::MissingValue(letter) => {
                return usage(&format!("option -{} needs a value", char::from(letter)));
            }
            Item::Unknown(name) => return usage(&format!("there is no option -{}", text(name))),
        }
    }
    options.verbosity = match verbosity {
        0 => Verbosity::Fatal,
        1 => Verbosity::Warn,
        2 => Verbosity::Info,
        _ => Verbosity::Debug,
    };
    if command.is_empty() {
        return usage("no program to run");
    }
    Parsed::Run(Box::new(options), command)
}

/// The options, and the command without them.
fn split(argv: Argv, words: &[&'static CStr], strict: bool) -> (Vec<Item>, Argv) {
    let (items, used) = scan(&GRAMMAR, words);
    let ended = used > 0 && words.get(used - 1).is_some_and(|word| *word == c"--");
    let plain = (items.clone(), argv.tail(used + 1));
    if strict || ended || !words.iter().skip(used).any(|word| *word == c"--") {
        return plain;
    }
    // glibc's order: operands are kept in place, options between them are read, `--` ends both.
    let (mut items, mut operands, mut at) = (items, Vec::new(), used);
    while let Some(word) = words.get(at) {
        if *word == c"--" {
            operands.extend(words.iter().skip(at + 1));
            break;
        }
        let (more, used) = scan(&GRAMMAR, words.get(at..).unwrap_or_default());
        if more.iter().any(|item| !matches!(item, Item::Option(..))) {
            return plain;
        }
        items.extend(more);
        at += used;
        if used > 0 && words.get(at - 1).is_some_and(|word| *word == c"--") {
            operands.extend(words.iter().skip(at));
            break;
        }
        if let Some(operand) = words.get(at).filter(|word| **word != c"--") {
            operands.push(*operand);
            at += 1;
        }
    }
    (items, Argv::leak(&operands))
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn wrong(what: &str) -> Parsed {
    Parsed::mistake(format!("tini: {what}\n"), Exit::FAILURE)
}

fn usage(what: &str) -> Parsed {
    Parsed::mistake(format!("tini: {what}\n{}", help()), Exit::FAILURE)
}

fn help() -> String {
    let mut help = String::from("Usage: tini [OPTIONS] PROGRAM -- [ARGS] | --version\n\n");
    for (option, meaning) in [
        ("-e CODE", "exit with 0 where the program exits with CODE (0-255); may be repeated"),
        ("-g", "forward signals to the program's process group (TINI_KILL_PROCESS_GROUP)"),
        ("-p SIGNAL", "get this signal when the parent dies, e.g. SIGKILL"),
        ("-s", "adopt orphans although not PID 1 (TINI_SUBREAPER)"),
        ("-v", "say more; repeat for more (TINI_VERBOSITY, default 1)"),
        ("-w", "a warning for every orphan reaped"),
        ("-h, -l", "this help, the licence"),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(help, "  {option:<10} {meaning}");
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&'static CStr]) -> (Options, Vec<&'static CStr>) {
        match parse(Argv::leak(words), |_| None) {
            Parsed::Run(options, command) => (*options, command.iter().collect()),
            Parsed::Say(_, text, _) => panic!("{text}"),
        }
    }

    #[test]
    fn options_end_at_two_dashes_or_at_the_program() {
        let (options, words) = command(&[c"tini", c"-g", c"-e", c"143", c"--", c"sh", c"-c", c"x"]);
        assert_eq!((options.target, words), (Target::Group, vec![c"sh", c"-c", c"x"]));
        let (options, words) = command(&[c"docker-init", c"ls", c"-g"]);
        assert_eq!((options.target, words), (Target::Process, vec![c"ls", c"-g"]));
    }

    #[test]
    fn two_dashes_behind_the_program_let_options_stand_before_them() {
        let (options, words) = command(&[c"tini", c"sh", c"-gv", c"--", c"-c", c"x"]);
        assert_eq!((options.target, options.verbosity), (Target::Group, Verbosity::Info));
        assert_eq!(words, vec![c"sh", c"-c", c"x"]);
        let (_, words) = command(&[c"tini", c"npm", c"--silent", c"run", c"--", c"-x"]);
        assert_eq!(words, vec![c"npm", c"--silent", c"run", c"--", c"-x"]);
    }

    #[test]
    fn mistakes_exit_with_one() {
        for words in [
            &[c"tini", c"-e", c"256", c"true"][..],
            &[c"tini", c"-p", c"KILL", c"true"],
            &[c"tini", c"-Z", c"true"],
            &[c"tini", c"-e"],
            &[c"tini"],
        ] {
            assert!(
                matches!(parse(Argv::leak(words), |_| None), Parsed::Say(Stream::Err, _, Exit::FAILURE)),
                "{words:?}"
            );
        }
    }
}
