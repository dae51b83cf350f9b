//! Signal names to numbers and back: `TERM`, `SIGTERM`, `15`, `RTMIN+3` (signal(7)).
#![forbid(unsafe_code)]

use nix::sys::signal::Signal;
use std::str::FromStr;

/// The number of a signal, or what is wrong with the name. Case does not matter.
pub fn parse(text: &str) -> Result<i32, String> {
    let name = text.trim().to_ascii_uppercase();
    let short = name.strip_prefix("SIG").unwrap_or(&name);
    let (low, high) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    let offset = |rest: &str| if rest.is_empty() { Some(0) } else { rest.parse::<i32>().ok() };
    let number = if let Ok(number) = short.parse::<i32>() {
        Some(number)
    } else if let Some(rest) = short.strip_prefix("RTMIN") {
        offset(rest).and_then(|n| low.checked_add(n)).filter(|n| *n >= low)
    } else if let Some(rest) = short.strip_prefix("RTMAX") {
        offset(rest).and_then(|n| high.checked_add(n)).filter(|n| *n >= low)
    } else {
        Signal::from_str(&format!("SIG{short}")).ok().map(|signal| signal as i32)
    };
    // Between the two kinds are the C library's own (nptl(7)): they have no name, and nobody is stopped by one.
    number.filter(|n| (1..=31).contains(n) || (low..=high).contains(n)).ok_or_else(|| {
        format!("{} is not a signal; use a name such as TERM, INT, QUIT or RTMIN+3", super::mistake::shown(text))
    })
}

/// `SIGTERM`, `SIGRTMIN+3`, or `signal 33` for one without a name.
pub fn name(number: i32) -> String {
    if let Ok(signal) = Signal::try_from(number) {
        return signal.as_str().to_owned();
    }
    match number - libc::SIGRTMIN() {
        0 => "SIGRTMIN".to_owned(),
        n if n > 0 && number <= libc::SIGRTMAX() => format!("SIGRTMIN+{n}"),
        _ => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_survives_the_way_to_its_name_and_back() {
        for number in (1..=31).chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
            assert_eq!(parse(&name(number)), Ok(number), "{}", name(number));
            assert_eq!(parse(&number.to_string()), Ok(number));
        }
    }

    #[test]
    fn names_are_understood_with_and_without_sig_in_any_case() {
        for text in ["TERM", "SIGTERM", "sigterm", " term ", "15"] {
            assert_eq!(parse(text), Ok(15), "{text}");
        }
        for text in ["", "TERMINATE", "0", "-1", "65", "32", "33", "RTMIN-1", "RTMIN+99", "SIG", "RTMAX+1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
