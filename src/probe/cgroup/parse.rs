//! The formats: `/proc/self/cgroup`, mountinfo lines, limit files, CPU lists. All pure, all total.
#![forbid(unsafe_code)]

use crate::probe::Reading;
use procfs_core::process::MountInfo;

/// A line of `/proc/self/cgroup` (cgroups(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// v1 controllers (`cpu`, `memory`, `name=systemd`, ...); empty for the v2 line `0::/path`.
    pub controllers: Vec<String>,
    /// Path relative to the root of the cgroup namespace; may begin with `/..` when that root is below us.
    pub path: String,
}

/// A cgroup file system in `/proc/self/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupMount {
    /// `cgroup2` rather than `cgroup`.
    pub v2: bool,
    /// v1 controllers of this mount (its super options); empty on v2.
    pub controllers: Vec<String>,
    /// The cgroup that is visible at the mount point (4th field).
    pub root: String,
    /// Where it is mounted.
    pub mount_point: String,
}

/// Every line that has the form `ID:CONTROLLERS:PATH`; others are passed over.
pub fn memberships(text: &str) -> Vec<Membership> {
    text.lines()
        .filter_map(|line| {
            let (id, rest) = line.split_once(':')?;
            id.parse::<u32>().ok()?;
            let (controllers, path) = rest.split_once(':')?;
            path.starts_with('/').then(|| Membership {
                controllers: controllers.split(',').filter(|c| !c.is_empty()).map(str::to_owned).collect(),
                // The kernel appends this to the path of a cgroup that was removed under its last process.
                path: path.strip_suffix(" (deleted)").unwrap_or(path).to_owned(),
            })
        })
        .collect()
}

/// Every cgroup mount; line by line, so that one strange line does not hide the others.
pub fn mounts(text: &str) -> Vec<CgroupMount> {
    text.lines()
        .filter(|line| line.contains(" - cgroup"))
        .filter_map(|line| {
            let mount = MountInfo::from_line(line).ok()?;
            let v2 = match mount.fs_type.as_str() {
                "cgroup" => false,
                "cgroup2" => true,
                _ => return None,
            };
            let mut controllers: Vec<String> = if v2 { Vec::new() } else { mount.super_options.into_keys().collect() };
            controllers.sort();
            Some(CgroupMount {
                v2,
                controllers,
                root: unescape(&mount.root),
                mount_point: unescape(mount.mount_point.to_str()?),
            })
        })
        .collect()
}

/// mountinfo writes space, tab, newline and backslash as `\ooo` (proc_pid_mountinfo(5)).
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        match after.get(..3).and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The part of a cgroup path below the root of a mount: `""` or `"/a/b"`.
///
/// `None` when the path does not lie below it (another container's mount, or a namespace root below us).
pub fn relative(path: &str, mount_root: &str) -> Option<String> {
    let rest = if mount_root == "/" { path } else { path.strip_prefix(mount_root)? };
    let rest = rest.trim_end_matches('/');
    if rest.split('/').any(|part| part == "..") || !(rest.is_empty() || rest.starts_with('/')) {
        return None;
    }
    Some(rest.to_owned())
}

/// Bytes and counts from here on are "no limit": v1 writes 2^63 rounded down to a page, of at most 64 KiB.
const NO_LIMIT: u64 = i64::MAX as u64 - 0xffff;

/// A limit file of one number: `max` (v2), `-1` and about 2^63 (v1) are unlimited.
pub fn limit(text: &str) -> Reading<u64> {
    match text.trim() {
        "max" | "-1" => Reading::Unlimited,
        "" => Reading::unknown("empty"),
        word => match word.parse::<u64>() {
            Ok(n) if n >= NO_LIMIT => Reading::Unlimited,
            Ok(n) => Reading::Value(n),
            // More digits than 64 bits hold: whatever it means, it does not bind.
            Err(e) if *e.kind() == std::num::IntErrorKind::PosOverflow => Reading::Unlimited,
            Err(_) => Reading::unknown(format!("\"{}\" is not a number", shorten(word))),
        },
    }
}

/// v2 `cpu.max`: `max 100000` or `50000 100000`, in CPUs (0.5). v1's two files are joined to the same form.
pub fn cpu_max(text: &str) -> Reading<f64> {
    let mut words = text.split_whitespace();
    let quota = limit(words.next().unwrap_or_default());
    // The period may be left out when writing, and then is 100 ms.
    let period = limit(words.next().unwrap_or("100000"));
    match (quota, period) {
        (Reading::Value(quota), Reading::Value(period)) if period > 0 => Reading::Value(quota as f64 / period as f64),
        (Reading::Unlimited, _) => Reading::Unlimited,
        (Reading::Unknown { reason }, _) => Reading::Unknown { reason },
        _ => Reading::unknown(format!("\"{}\" has no period", shorten(text.trim()))),
    }
}

/// How many CPUs a list such as `0-3,8` names (cpuset(7)); overlaps count once.
///
/// `None` for anything else, an empty list included.
pub fn cpu_list(text: &str) -> Option<u32> {
    const MOST: u32 = 1 << 20;
    let mut ranges = text
        .trim()
        .split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse::<u32>().ok()?, last.trim().parse::<u32>().ok()?);
            (first <= last && last < MOST).then_some((first, last))
        })
        .collect::<Option<Vec<_>>>()?;
    ranges.sort_unstable();
    let (mut count, mut next) = (0, 0);
    for (first, last) in ranges {
        let first = first.max(next);
        if last >= first {
            count += last - first + 1;
            next = last + 1;
        }
    }
    Some(count)
}

/// The number of a `name value` line (`memory.events`, `memory.stat`, v1 `memory.oom_control`).
pub fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        (key == name).then(|| value.trim().parse().ok()).flatten()
    })
}

/// For messages: at most 40 characters of what was found.
fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hybrid_lines_give_v1_controllers_and_an_empty_v2_line() {
        let found =
            memberships("8:pids:/a\n1:name=systemd:/\n0::/b (deleted)\nnonsense\n4:cpu,cpuacct:relative\nx:y:/z\n");
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], Membership { controllers: vec!["pids".into()], path: "/a".into() });
        assert_eq!(found[2], Membership { controllers: vec![], path: "/b".into() });
    }

    #[test]
    fn mounts_keep_their_root_and_their_unescaped_mount_point() {
        let text = "35 31 0:32 /docker/x /sys/fs/cgroup/mem\\040ory ro,nosuid master:3 - cgroup cgroup rw,memory\n\
                    broken - cgroup line\n\
                    41 31 0:38 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n\
                    42 31 0:38 / /sys/fs/other rw - cgroupfs cgroup rw\n";
        let found = mounts(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].mount_point, "/sys/fs/cgroup/mem ory");
        assert!(!found[0].v2 && found[0].controllers.contains(&"memory".to_owned()));
        assert_eq!((found[1].v2, found[1].root.as_str()), (true, "/../.."));
    }

    #[test]
    fn paths_are_made_relative_to_the_root_of_the_mount() {
        for (path, root, want) in [
            ("/", "/", Some("")),
            ("/a/b", "/", Some("/a/b")),
            ("/docker/x", "/docker/x", Some("")),
            ("/docker/x/y", "/docker/x", Some("/y")),
            ("/docker/xy", "/docker/x", None),
            ("/docker/z", "/docker/x", None),
            ("/../..", "/", None),
            ("/../../a", "/../..", Some("/a")),
            ("/../..", "/../..", Some("")),
        ] {
            assert_eq!(relative(path, root).as_deref(), want, "{path} under {root}");
        }
    }

    #[test]
    fn every_spelling_of_no_limit_is_unlimited() {
        for text in [
            "max\n",
            "-1",
            "9223372036854771712",
            "9223372036854710272",
            "18446744073709551615",
            "99999999999999999999999",
        ] {
            assert_eq!(limit(text), Reading::Unlimited, "{text}");
        }
        assert_eq!(limit("67108864\n"), Reading::Value(67_108_864));
        assert_eq!(limit("0"), Reading::Value(0));
        assert!(matches!(limit(""), Reading::Unknown { .. }));
        assert!(matches!(limit("-2"), Reading::Unknown { .. }));
    }

    #[test]
    fn cpu_bandwidth_is_a_number_of_cpus() {
        assert_eq!(cpu_max("50000 100000\n"), Reading::Value(0.5));
        assert_eq!(cpu_max("150000"), Reading::Value(1.5));
        assert_eq!(cpu_max("max 100000"), Reading::Unlimited);
        assert_eq!(cpu_max("-1 100000"), Reading::Unlimited);
        assert!(matches!(cpu_max("5 0"), Reading::Unknown { .. }));
        assert!(matches!(cpu_max(""), Reading::Unknown { .. }));
    }

    #[test]
    fn cpu_lists_count_every_cpu_once() {
        for (text, want) in [
            ("0-3,8\n", Some(5)),
            ("0", Some(1)),
            ("0-3,2-5", Some(6)),
            ("5,1-7,3", Some(7)),
            ("", None),
            ("3-1", None),
            ("a", None),
            ("0-4294967295", None),
        ] {
            assert_eq!(cpu_list(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_fail(text in "(?s).{0,200}") {
            let _ = (memberships(&text), mounts(&text), limit(&text), cpu_max(&text), cpu_list(&text), field(&text, "a"));
        }

        #[test]
        fn garbage_around_a_cgroup_mark_does_not_fail(a in "[ -~]{0,60}", b in "[ -~]{0,40}") {
            let _ = mounts(&format!("{a} - cgroup{b}"));
            let _ = mounts(&format!("1 2 0:1 {a} {b} rw shared:1 - cgroup2 x rw"));
        }

        #[test]
        fn relative_never_leaves_the_mount(path in "(/[a.]{1,3}){0,5}", root in "(/[a.]{1,3}){0,3}") {
            let root = if root.is_empty() { "/".to_owned() } else { root };
            if let Some(found) = relative(&path, &root) {
                prop_assert!(found.is_empty() || found.starts_with('/'));
                prop_assert!(!found.split('/').any(|p| p == ".."));
            }
        }
    }
}
