//! The kernel's release: `6.18.44-fc-v782`, `6.1+`, `5.13-rc1`, `4.18.0-553.el8_10.x86_64`, `4.4.0` (gVisor).
#![forbid(unsafe_code)]

use super::{Reading, calls::Calls, read};
use crate::layout::Root;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The numbers of a release; compared as numbers, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Release {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number, 0 where there is none.
    pub patch: u32,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// `uname -r` as it is.
    pub release: Reading<String>,
    /// Its numbers.
    pub version: Reading<Release>,
    /// `uname -m`.
    pub machine: Reading<String>,
}

/// `uname(2)` through the `uname` crate: release and machine.
pub fn ask_uname() -> std::io::Result<(String, String)> {
    uname::uname().map(|info| (info.release, info.machine))
}

/// Reads the numbers that a release begins with. Whatever follows them is a vendor's business; a release candidate
/// counts as its release.
pub fn parse_release(text: &str) -> Option<Release> {
    let number = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        Some((digits.parse::<u32>().ok()?, rest.to_owned()))
    };
    let (major, rest) = number(text.trim())?;
    let (minor, rest) = number(rest.strip_prefix('.')?)?;
    let patch = rest.strip_prefix('.').and_then(number).map_or(0, |(patch, _)| patch);
    Some(Release { major, minor, patch })
}

/// From the call, else from `/proc/sys/kernel/osrelease`.
pub(super) fn kernel(root: &Root, calls: &Calls) -> Kernel {
    let release = match &calls.release {
        Some(release) => Reading::Value(release.clone()),
        None => Reading::from(read::text(root, "/proc/sys/kernel/osrelease").map(|t| t.trim().to_owned())),
    };
    let version = match &release {
        Reading::Value(text) => parse_release(text)
            .map_or_else(|| Reading::unknown(format!("\"{text}\" does not begin with two numbers")), Reading::Value),
        Reading::Unlimited => Reading::Unlimited,
        Reading::Unknown { reason } => Reading::unknown(reason.clone()),
    };
    let machine = calls.machine.clone().map_or_else(|| Reading::unknown("uname(2) was not asked"), Reading::Value);
    Kernel { release, version, machine }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn odd_releases_are_understood() {
        for (text, want) in [
            ("6.18.44-fc-v782", Some((6, 18, 44))),
            ("6.1+", Some((6, 1, 0))),
            ("5.13+", Some((5, 13, 0))),
            ("5.13-rc1", Some((5, 13, 0))),
            ("5.10.0-32-cloud-amd64\n", Some((5, 10, 0))),
            ("4.18.0-553.el8_10.x86_64", Some((4, 18, 0))),
            ("5.15.167.4-microsoft-standard-WSL2", Some((5, 15, 167))),
            ("6.6.", Some((6, 6, 0))),
            ("7.2.13", Some((7, 2, 13))),
            ("4.4.0", Some((4, 4, 0))),
            ("5", None),
            ("", None),
            ("v5.13", None),
            ("99999999999.1", None),
        ] {
            let want = want.map(|(major, minor, patch)| Release { major, minor, patch });
            assert_eq!(parse_release(text), want, "{text}");
        }
    }

    #[test]
    fn releases_compare_as_numbers() {
        assert!(parse_release("5.9") < parse_release("5.13"));
        assert!(parse_release("6.1+") > parse_release("5.13-rc1"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "(?s).{0,40}") {
            let _ = parse_release(&text);
        }
        #[test]
        fn the_numbers_come_back(a in 0..1000_u32, b in 0..1000_u32, tail in "([-+~_][ -~]{0,20})?") {
            prop_assert_eq!(parse_release(&format!("{a}.{b}{tail}")), Some(Release { major: a, minor: b, patch: 0 }));
        }
    }
}
