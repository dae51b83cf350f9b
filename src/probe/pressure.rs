//! Pressure stall information (PSI): `*.pressure` of the cgroup, `/proc/pressure/*` of the system.
//!
//! Source: the kernel's `accounting/psi.rst`. Absent before 4.20, on cgroup v1 and when booted with `psi=0` (then the
//! file may exist and its read give EOPNOTSUPP). Parsed here, not by procfs-core, whose `parse_pressure_record` panics on
//! a line that is only `some`.
#![forbid(unsafe_code)]

use crate::{layout::Root, probe::read};
use serde::Serialize;

/// Share of time, in percent, in which tasks waited for the resource.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stall {
    /// Over the last 10 s, percent.
    pub avg10: f32,
    /// Over the last 60 s, percent.
    pub avg60: f32,
    /// Over the last 300 s, percent.
    pub avg300: f32,
    /// Since boot (or the cgroup's creation), microseconds.
    pub total_us: u64,
}

/// Pressure on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pressure {
    /// At least one task waited.
    pub some: Stall,
    /// All tasks waited; absent for the system's CPU before 5.13.
    pub full: Option<Stall>,
}

/// Parses a pressure file; `None` for anything else.
pub fn parse(text: &str) -> Option<Pressure> {
    let stall = |kind: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
        let value = |name: &str| rest.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let share = |name| value(name)?.parse::<f32>().ok().filter(|share| share.is_finite());
        Some(Stall {
            avg10: share("avg10")?,
            avg60: share("avg60")?,
            avg300: share("avg300")?,
            total_us: value("total")?.parse().ok()?,
        })
    };
    Some(Pressure { some: stall("some")?, full: stall("full") })
}

/// Reads and parses one pressure file.
pub fn read(root: &Root, path: &str) -> Option<Pressure> {
    parse(&read::text(root, path).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_lines_are_read() {
        let text =
            "some avg10=1.25 avg60=0.50 avg300=0.00 total=391926\nfull avg10=0.10 avg60=0.00 avg300=0.00 total=7\n";
        let pressure = parse(text).unwrap();
        assert_eq!((pressure.some.avg10, pressure.some.total_us), (1.25, 391_926));
        assert_eq!(pressure.full.map(|f| f.total_us), Some(7));
    }

    #[test]
    fn old_kernels_have_no_full_line_for_the_cpu() {
        assert_eq!(parse("some avg10=0.00 avg60=0.00 avg300=0.00 total=3\n").unwrap().full, None);
    }

    #[test]
    fn half_lines_are_not_a_pressure() {
        for text in
            ["", "some", "some ", "full avg10=0 avg60=0 avg300=0 total=1", "some avg10=x avg60=0 avg300=0 total=1"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "(some|full)?[ -~\n]{0,100}") {
            let _ = parse(&text);
        }
    }
}
