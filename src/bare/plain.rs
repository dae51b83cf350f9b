//! `skill-init -- CMD [ARG...]`: no options, four variables.
//!
//! | variable | values | default |
//! | --- | --- | --- |
//! | `SKILL_INIT_BARE_FORWARD` | `group`, `process` | `group` |
//! | `SKILL_INIT_BARE_LEFTOVERS` | `end`, `wait`, `leave` | `end` |
//! | `SKILL_INIT_BARE_LEFTOVER_GRACE` | a duration | `2s` |
//! | `SKILL_INIT_STOP_GRACE` | a duration | none: the platform's own grace period is the deadline |
//!
//! An empty value counts as unset. A wrong one is named and nothing is started (exit 78).

use super::options::{Env, Leftovers, Options, Parsed, Target};
use crate::{exit::Exit, sys::start::Argv};
use std::ffi::CStr;

pub(super) fn parse(argv: Argv, env: Env) -> Parsed {
    let command = argv.tail(2);
    if command.is_empty() {
        return Parsed::mistake(
            "skill-init: no command after --: skill-init -- CMD [ARG...], or skill-init --help\n",
            Exit::USAGE,
        );
    }
    let mut options = Options::new("skill-init");
    let mut mistakes = String::new();
    let mut read = |name: &CStr, expected: &str, accept: &mut dyn FnMut(&[u8]) -> bool| {
        if let Some(value) = env(name).map(CStr::to_bytes).filter(|value| !value.is_empty())
            && !accept(value)
        {
            let (name, value) = (name.to_string_lossy(), String::from_utf8_lossy(value));
            mistakes.push_str(&format!("skill-init: {name}: {value:?} is not {expected}\n"));
        }
    };
    read(c"SKILL_INIT_BARE_FORWARD", "'group' or 'process'", &mut |value| {
        let target = match value {
            b"group" => Target::Group,
            b"process" => Target::Process,
            _ => return false,
        };
        options.target = target;
        true
    });
    let mut grace_ms = 2000;
    let duration = "a duration such as 500ms, 2s, 1m";
    read(c"SKILL_INIT_BARE_LEFTOVER_GRACE", duration, &mut |value| {
        milliseconds(value).map(|ms| grace_ms = ms).is_some()
    });
    options.leftovers = Leftovers::End(grace_ms);
    read(c"SKILL_INIT_BARE_LEFTOVERS", "'end', 'wait' or 'leave'", &mut |value| {
        options.leftovers = match value {
            b"end" => Leftovers::End(grace_ms),
            b"wait" => Leftovers::Wait,
            b"leave" => Leftovers::Leave,
            _ => return false,
        };
        true
    });
    read(c"SKILL_INIT_STOP_GRACE", duration, &mut |value| {
        milliseconds(value).map(|ms| options.stop_grace_ms = Some(ms)).is_some()
    });
    if mistakes.is_empty() { Parsed::Run(Box::new(options), command) } else { Parsed::mistake(mistakes, Exit::CONFIG) }
}

/// `500ms`, `2s`, `1m`, `1h`; a bare number is seconds.
fn milliseconds(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    let factor = match unit {
        b"ms" => 1,
        b"" | b"s" => 1000,
        b"m" => 60_000,
        b"h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bare::options::Stream;

    fn run(env: Env) -> Options {
        match parse(Argv::leak(&[c"skill-init", c"--", c"true"]), env) {
            Parsed::Run(options, command) => {
                assert_eq!(command.get(0), Some(c"true"));
                *options
            }
            Parsed::Say(_, text, _) => panic!("{text}"),
        }
    }

    #[test]
    fn without_variables_the_group_is_signalled_and_leftovers_are_ended() {
        let options = run(|_| None);
        assert_eq!((options.target, options.leftovers), (Target::Group, Leftovers::End(2000)));
        assert_eq!(options.stop_grace_ms, None);
    }

    #[test]
    fn variables_change_target_leftovers_and_deadline() {
        let options = run(|name| match name.to_bytes() {
            b"SKILL_INIT_BARE_FORWARD" => Some(c"process"),
            b"SKILL_INIT_BARE_LEFTOVER_GRACE" => Some(c"750ms"),
            b"SKILL_INIT_STOP_GRACE" => Some(c"1m"),
            _ => None,
        });
        assert_eq!((options.target, options.leftovers), (Target::Process, Leftovers::End(750)));
        assert_eq!(options.stop_grace_ms, Some(60_000));
    }

    #[test]
    fn every_wrong_value_is_named_and_nothing_runs() {
        let env: Env = |name| (name != c"SKILL_INIT_BARE_FORWARD").then_some(c"soon");
        match parse(Argv::leak(&[c"skill-init", c"--", c"true"]), env) {
            Parsed::Say(Stream::Err, text, Exit::CONFIG) => assert_eq!(text.lines().count(), 3, "{text}"),
            _ => panic!("accepted"),
        }
    }

    #[test]
    fn durations_have_units_and_do_not_overflow() {
        assert_eq!(milliseconds(b"0"), Some(0));
        assert_eq!(milliseconds(b"3s"), Some(3000));
        assert_eq!(milliseconds(b"s"), None);
        assert_eq!(milliseconds(b"-1s"), None);
        assert_eq!(milliseconds(b"18446744073709551615h"), None);
    }
}
