//! dumb-init's command line (1.2.5): options end at the first operand.
//!
//! One wanted difference: a program that cannot be started gives 127 or 126, not 2.

use super::{
    getopt::{Grammar, Item, scan},
    options::{Env, Leftovers, OnStopSignal, Options, Parsed, Stream, Target, Terminal, Verbosity},
};
use crate::{
    exit::Exit,
    sys::{spawn::Group, start::Argv},
};
use std::ffi::CStr;

const GRAMMAR: Grammar = Grammar {
    flags: b"cvVh",
    values: b"r",
    long: &[("single-child", b'c'), ("rewrite", b'r'), ("verbose", b'v'), ("version", b'V'), ("help", b'h')],
};

const HELP: &str = "Usage: dumb-init [option] command [[arg] ...]

  -c, --single-child   signals go to the command alone, without a session of its own (DUMB_INIT_SETSID=0)
  -r, --rewrite s:r    forward signal s as signal r; r = 0 drops it; may be repeated
  -v, --verbose        say what happens (DUMB_INIT_DEBUG=1)
  -h, --help           this help
  -V, --version        the version
";

/// The highest signal that can be rewritten.
const HIGHEST: u8 = 31;

pub(super) fn parse(argv: Argv, env: Env) -> Parsed {
    let words: Vec<&'static CStr> = argv.iter().skip(1).collect();
    let (items, used) = scan(&GRAMMAR, &words);
    let mut session = env(c"DUMB_INIT_SETSID").is_none_or(|value| value != c"0");
    let mut verbose = env(c"DUMB_INIT_DEBUG").is_some_and(|value| value == c"1");
    let mut rewrites = Vec::new();
    for item in items {
        match item {
            Item::Option(b'h', _) => return Parsed::Say(Stream::Err, HELP.to_owned(), Exit::OK),
            Item::Option(b'V', _) => {
                let version = concat!("dumb-init v1.2.5 (skill-init ", env!("CARGO_PKG_VERSION"), ")\n");
                return Parsed::Say(Stream::Err, version.to_owned(), Exit::OK);
            }
            Item::Option(b'c', _) => session = false,
            Item::Option(b'v', _) => verbose = true,
            Item::Option(b'r', Some(value)) => match rewrite(value) {
                Some(pair) => rewrites.push(pair),
                None => {
                    return wrong(&format!(
                        "-r takes FROM:TO, FROM from 1 to {HIGHEST}, TO from 0 to {HIGHEST}, not {:?}",
                        String::from_utf8_lossy(value)
                    ));
                }
            },
            Item::Option(letter, _) | Item::MissingValue(letter) => {
                return wrong(&format!("option -{} needs a value", char::from(letter)));
            }
            Item::Unknown(name) => return wrong(&format!("there is no option {:?}", String::from_utf8_lossy(name))),
        }
    }
    let command = argv.tail(used + 1);
    if command.is_empty() {
        return Parsed::mistake(format!("dumb-init: no command to run\n{HELP}"), Exit::FAILURE);
    }

    let mut options = Options::new("dumb-init");
    options.subreaper = false;
    options.chdir_root = true;
    options.on_stop_signal = OnStopSignal::Suspend;
    options.verbosity = if verbose { Verbosity::Debug } else { Verbosity::Fatal };
    if session {
        options.group = Group::Session;
        options.terminal = Terminal::NewSession;
        options.leftovers = Leftovers::TermGroup;
        // A session leader's group is orphaned, and the kernel does not stop an orphaned group for these three.
        for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            options.rewrite(signal, libc::SIGSTOP as u8);
        }
    } else {
        options.target = Target::Process;
        options.group = Group::Inherit;
        options.terminal = Terminal::Share;
        options.leftovers = Leftovers::Leave;
    }
    for (from, to) in rewrites {
        options.rewrite(from, to);
    }
    Parsed::Run(Box::new(options), command)
}

/// `15:3`.
fn rewrite(text: &[u8]) -> Option<(i32, u8)> {
    let (from, to) = std::str::from_utf8(text).ok()?.split_once(':')?;
    let (from, to): (u8, u8) = (from.parse().ok()?, to.parse().ok()?);
    ((1..=HIGHEST).contains(&from) && to <= HIGHEST).then_some((i32::from(from), to))
}

fn wrong(what: &str) -> Parsed {
    Parsed::mistake(format!("dumb-init: {what}\n"), Exit::FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&'static CStr], env: Env) -> (Options, Vec<&'static CStr>) {
        match parse(Argv::leak(words), env) {
            Parsed::Run(options, command) => (*options, command.iter().collect()),
            Parsed::Say(_, text, _) => panic!("{text}"),
        }
    }

    #[test]
    fn a_session_of_its_own_is_the_default_and_stop_signals_become_stop() {
        let (options, words) = run(&[c"dumb-init", c"ls", c"-c", c"--", c"x"], |_| None);
        assert_eq!(words, vec![c"ls", c"-c", c"--", c"x"]);
        assert_eq!((options.group, options.target), (Group::Session, Target::Group));
        assert_eq!(options.forwarded_as(libc::SIGTSTP), Some(libc::SIGSTOP));
    }

    #[test]
    fn single_child_mode_comes_from_option_or_variable() {
        let zero: Env = |name| (name == c"DUMB_INIT_SETSID").then_some(c"0");
        for (options, _) in [run(&[c"dumb-init", c"-c", c"ls"], |_| None), run(&[c"dumb-init", c"ls"], zero)] {
            assert_eq!((options.group, options.target), (Group::Inherit, Target::Process));
            assert_eq!(options.forwarded_as(libc::SIGTSTP), Some(libc::SIGTSTP));
        }
    }

    #[test]
    fn rewrites_replace_drop_and_override() {
        let (options, _) = run(&[c"dumb-init", c"-r15:3", c"--rewrite", c"1:0", c"-r", c"20:20", c"ls"], |_| None);
        assert_eq!(options.forwarded_as(15), Some(3));
        assert_eq!(options.forwarded_as(1), None);
        assert_eq!(options.forwarded_as(20), Some(20));
        for bad in [c"15", c"0:1", c"32:1", c"1:32", c"a:b", c"1:2:3"] {
            let parsed = parse(Argv::leak(&[c"dumb-init", c"-r", bad, c"ls"]), |_| None);
            assert!(matches!(parsed, Parsed::Say(Stream::Err, _, Exit::FAILURE)), "{bad:?}");
        }
    }
}
