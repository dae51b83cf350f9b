//! Where the limits of this process lie: per controller the version, the mount and every visible level.
//!
//! A `0::` line in `/proc/self/cgroup` does not say that v2 holds the controllers (hybrid systems have an empty v2),
//! so a controller belongs to v1 if a v1 line names it, and to v2 only if that hierarchy really shows it.
#![forbid(unsafe_code)]

use super::parse::{CgroupMount, Membership, memberships, mounts, relative};
use crate::{layout::Root, probe::read};
use serde::Serialize;

/// Levels that are followed upwards at most; deeper nesting is cut at the top.
const MAX_LEVELS: usize = 64;

/// The controllers whose limits matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Controller {
    /// Memory.
    Memory,
    /// CPU bandwidth.
    Cpu,
    /// CPU sets.
    Cpuset,
    /// Number of tasks.
    Pids,
}

impl Controller {
    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Cpuset => "cpuset",
            Self::Pids => "pids",
        }
    }
    /// A file that only this controller puts into a v2 cgroup, also below a parent without limits.
    const fn v2_file(self) -> &'static str {
        match self {
            Self::Memory => "memory.current",
            Self::Cpu => "cpu.max",
            Self::Cpuset => "cpuset.cpus.effective",
            Self::Pids => "pids.current",
        }
    }
}

/// Version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// One mount per controller.
    V1,
    /// The unified hierarchy.
    V2,
}

/// How the controllers that matter are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All on v1, no v2 hierarchy.
    V1,
    /// All on v2.
    V2,
    /// v1 controllers beside a v2 hierarchy.
    Hybrid,
    /// None found.
    None,
}

/// The levels of one controller, leaf first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hierarchy {
    /// Version.
    pub version: Version,
    /// Absolute directories from our own cgroup up to the root of the mount; never empty.
    pub levels: Vec<String>,
    /// The path in `/proc/self/cgroup` lies below the root of the mount, so that the first level is our own.
    pub exact: bool,
}

impl Hierarchy {
    /// Our own cgroup's directory (or, where it is not visible, the root of the mount).
    pub fn leaf(&self) -> &str {
        self.levels.first().map_or("", String::as_str)
    }
}

/// What is known of the cgroups of this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cgroups {
    /// How the controllers are spread.
    pub mode: Mode,
    /// Memory.
    pub memory: Option<Hierarchy>,
    /// CPU bandwidth.
    pub cpu: Option<Hierarchy>,
    /// CPU sets.
    pub cpuset: Option<Hierarchy>,
    /// Tasks.
    pub pids: Option<Hierarchy>,
    /// The v2 hierarchy, with or without controllers: pressure, freezing, killing.
    pub unified: Option<Hierarchy>,
}

impl Cgroups {
    /// Reads `/proc/self/cgroup` and `/proc/self/mountinfo`; what is missing there is looked for at `/sys/fs/cgroup`.
    pub fn find(root: &Root) -> Self {
        let lines = read::text(root, "/proc/self/cgroup").map(|t| memberships(&t)).unwrap_or_default();
        let mut mounts = read::text(root, "/proc/self/mountinfo").map(|t| mounts(&t)).unwrap_or_default();
        if mounts.is_empty() {
            mounts = conventional(root);
        }
        let unified = unified(root, &lines, &mounts);
        let of = |controller| v1(root, &lines, &mounts, controller).or_else(|| v2(root, unified.as_ref(), controller));
        let (memory, cpu) = (of(Controller::Memory), of(Controller::Cpu));
        let (cpuset, pids) = (of(Controller::Cpuset), of(Controller::Pids));
        let has =
            |version| [&memory, &cpu, &cpuset, &pids].iter().any(|h| h.as_ref().is_some_and(|h| h.version == version));
        let mode = match (has(Version::V1), has(Version::V2), unified.is_some()) {
            (true, true, _) | (true, false, true) => Mode::Hybrid,
            (true, false, false) => Mode::V1,
            (false, true, _) => Mode::V2,
            (false, false, _) => Mode::None,
        };
        Self { mode, memory, cpu, cpuset, pids, unified }
    }

    /// The hierarchy of a controller.
    pub const fn of(&self, controller: Controller) -> Option<&Hierarchy> {
        match controller {
            Controller::Memory => self.memory.as_ref(),
            Controller::Cpu => self.cpu.as_ref(),
            Controller::Cpuset => self.cpuset.as_ref(),
            Controller::Pids => self.pids.as_ref(),
        }
    }
}

/// The mounts by convention, for a `/proc` without mountinfo.
fn conventional(root: &Root) -> Vec<CgroupMount> {
    const BASE: &str = "/sys/fs/cgroup";
    let mount = |v2, controllers, mount_point| CgroupMount { v2, controllers, root: "/".to_owned(), mount_point };
    if read::exists(root, "/sys/fs/cgroup/cgroup.controllers") {
        return vec![mount(true, Vec::new(), BASE.to_owned())];
    }
    [Controller::Memory, Controller::Cpu, Controller::Cpuset, Controller::Pids]
        .into_iter()
        .map(|c| (c.name(), format!("{BASE}/{}", c.name())))
        .filter(|(_, dir)| read::exists(root, dir))
        .map(|(name, dir)| mount(false, vec![name.to_owned()], dir))
        .collect()
}

fn v1(root: &Root, lines: &[Membership], mounts: &[CgroupMount], controller: Controller) -> Option<Hierarchy> {
    let named = |list: &[String]| list.iter().any(|c| c == controller.name());
    let candidates = mounts.iter().filter(|m| !m.v2 && named(&m.controllers));
    let line = lines.iter().find(|line| named(&line.controllers));
    locate(root, line, candidates, Version::V1)
}

fn unified(root: &Root, lines: &[Membership], mounts: &[CgroupMount]) -> Option<Hierarchy> {
    let line = lines.iter().find(|line| line.controllers.is_empty());
    locate(root, line, mounts.iter().filter(|m| m.v2), Version::V2)
}

fn v2(root: &Root, unified: Option<&Hierarchy>, controller: Controller) -> Option<Hierarchy> {
    let unified = unified?;
    let listed = || {
        let top = unified.levels.last()?;
        let list = read::text(root, &format!("{top}/cgroup.controllers")).ok()?;
        Some(list.split_whitespace().any(|c| c == controller.name()))
    };
    let shown = unified.levels.iter().any(|level| read::exists(root, &format!("{level}/{}", controller.v2_file())));
    (shown || listed() == Some(true)).then(|| unified.clone())
}

/// Chooses among the mounts of one hierarchy the one that shows our own cgroup, with the most ancestors.
fn locate<'m>(
    root: &Root,
    line: Option<&Membership>,
    mounts: impl Iterator<Item = &'m CgroupMount>,
    version: Version,
) -> Option<Hierarchy> {
    let mut fallback = None;
    let mut best: Option<Hierarchy> = None;
    for mount in mounts {
        let top = mount.mount_point.trim_end_matches('/');
        let inside = line.and_then(|line| relative(&line.path, &mount.root));
        match inside {
            Some(inside) if read::exists(root, &format!("{top}{inside}")) => {
                let found = Hierarchy { version, levels: levels(top, &inside), exact: true };
                if best.as_ref().is_none_or(|best| found.levels.len() > best.levels.len()) {
                    best = Some(found);
                }
            }
            // Our own directory is not to be seen (another namespace's mount, a path with `/..`): what is
            // visible at the mount point is the next best.
            _ if fallback.is_none() && read::exists(root, &format!("{top}/")) => {
                fallback = Some(Hierarchy { version, levels: levels(top, ""), exact: false });
            }
            _ => {}
        }
    }
    best.or(fallback)
}

/// `top` + `/a/b` -> `top/a/b`, `top/a`, `top`.
fn levels(top: &str, inside: &str) -> Vec<String> {
    let mut path = inside;
    let mut found = Vec::new();
    while let Some((parent, _)) = path.rsplit_once('/') {
        found.push(format!("{top}{path}"));
        path = parent;
    }
    found.push(top.to_owned());
    if found.len() > MAX_LEVELS {
        // Keep our own and the top ones: pods set their limits above the container's.
        let drop = found.len() - MAX_LEVELS;
        found.drain(1..=drop);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::at(dir.path());
        (dir, root)
    }

    #[test]
    fn a_v2_line_without_controllers_is_not_v2() {
        let (_dir, root) = tree(&[
            ("proc/self/cgroup", "4:memory:/a\n0::/\n"),
            (
                "proc/self/mountinfo",
                "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            ),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "5"),
            ("sys/fs/cgroup/unified/cgroup.controllers", ""),
        ]);
        let found = Cgroups::find(&root);
        assert_eq!(found.mode, Mode::Hybrid);
        let memory = found.memory.unwrap();
        assert_eq!((memory.version, memory.exact), (Version::V1, true));
        assert_eq!(memory.levels, ["/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"]);
        assert_eq!(found.pids, None);
        assert!(found.unified.is_some());
    }

    #[test]
    fn a_path_outside_the_namespace_falls_back_to_the_mount_point() {
        let (_dir, root) = tree(&[
            ("proc/self/cgroup", "0::/../../other\n"),
            ("proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n"),
        ]);
        let found = Cgroups::find(&root);
        assert_eq!(found.mode, Mode::V2);
        assert_eq!(found.memory.as_ref().map(|h| (h.leaf(), h.exact)), Some(("/sys/fs/cgroup", false)));
        assert_eq!(found.cpuset, None, "cpuset is not in cgroup.controllers");
    }

    #[test]
    fn without_proc_the_usual_place_is_tried() {
        let (_dir, root) = tree(&[("sys/fs/cgroup/memory/memory.limit_in_bytes", "5")]);
        assert_eq!(Cgroups::find(&root).memory.map(|h| h.levels), Some(vec!["/sys/fs/cgroup/memory".to_owned()]));
        let (_dir, root) = tree(&[]);
        assert_eq!(Cgroups::find(&root).mode, Mode::None);
    }

    #[test]
    fn very_deep_nesting_keeps_the_leaf_and_the_top() {
        let found = levels("/top", &"/x".repeat(100));
        assert_eq!(found.len(), MAX_LEVELS);
        assert_eq!(found.first().map(String::len), Some(4 + 200));
        assert_eq!(found.last().map(String::as_str), Some("/top"));
    }
}
