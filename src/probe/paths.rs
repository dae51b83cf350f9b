//! The layout's paths: there, writable, on which file system, with how much room, whose.
#![forbid(unsafe_code)]

use super::calls::errno_name;
use crate::{layout::Layout, sys::volume};
use serde::Serialize;
use std::path::Path;

/// One path of the layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathFact {
    /// What it is for: `data`, `cache`, ...
    pub name: &'static str,
    /// The path.
    pub path: String,
    /// It exists.
    pub exists: bool,
    /// The path itself, or the nearest folder above it that exists: what the rest of this fact is about.
    pub looked_at: String,
    /// It can be written, or (where it does not exist) made.
    pub writable: bool,
    /// Why not: the errno's name, `read-only file system`, `not a folder`.
    pub why_not: Option<String>,
    /// File system: `ext4`, `overlay`, `tmpfs`, ...; a number where the name is not known.
    pub fs_type: Option<String>,
    /// Bytes free for unprivileged users.
    pub free_bytes: Option<u64>,
    /// Inodes free; `None` also where the file system has no fixed number of them.
    pub free_inodes: Option<u64>,
    /// Owner as `uid:gid`.
    pub owner: Option<String>,
    /// Permission bits in octal.
    pub mode: Option<String>,
}

/// Every folder that is written, then those that are only read.
pub fn look(layout: &Layout) -> Vec<PathFact> {
    [
        ("data", &layout.data),
        ("cache", &layout.cache),
        ("agent_home", &layout.agent_home),
        ("npm_prefix", &layout.npm_prefix),
        ("uv_cache", &layout.uv_cache),
        ("uv_venv", &layout.uv_venv),
        ("app", &layout.app),
        ("skills", &layout.skills),
        ("import", &layout.import),
    ]
    .into_iter()
    .map(|(name, path)| path_fact(name, path))
    .collect()
}

/// One path.
pub fn path_fact(name: &'static str, path: &Path) -> PathFact {
    let mut exists = true;
    let mut failure = None;
    for place in path.ancestors() {
        match volume::volume(place) {
            Ok(found) => return fact(name, path, place, exists, &found),
            Err(error) => {
                // Not there: the folder above decides. Anything else (EACCES, ELOOP, ESTALE) is the answer itself.
                failure = error.raw_os_error();
                exists = false;
                if !matches!(failure, Some(libc::ENOENT | libc::ENOTDIR)) {
                    break;
                }
            }
        }
    }
    PathFact {
        name,
        path: path.display().to_string(),
        exists: false,
        looked_at: path.display().to_string(),
        writable: false,
        why_not: failure.map(errno_name),
        fs_type: None,
        free_bytes: None,
        free_inodes: None,
        owner: None,
        mode: None,
    }
}

fn fact(name: &'static str, path: &Path, place: &Path, exists: bool, found: &volume::Volume) -> PathFact {
    let why_not = if !found.is_dir {
        Some(format!("{} is not a folder", place.display()))
    } else if found.read_only {
        Some("read-only file system".to_owned())
    } else {
        volume::writable(place, true).err().map(errno_name)
    };
    PathFact {
        name,
        path: path.display().to_string(),
        exists,
        looked_at: place.display().to_string(),
        writable: why_not.is_none(),
        why_not,
        fs_type: Some(fs_name(found.magic)),
        free_bytes: Some(found.free_bytes),
        free_inodes: (found.total_inodes > 0).then_some(found.free_inodes),
        owner: Some(format!("{}:{}", found.uid, found.gid)),
        mode: Some(format!("{:04o}", found.mode)),
    }
}

/// Names of the magic numbers of statfs(2) that containers meet; others in hexadecimal.
pub fn fs_name(magic: i64) -> String {
    let known = match magic & 0xffff_ffff {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x794c_7630 => "overlay",
        0x0102_1994 => "tmpfs",
        0x8584_58f6 => "ramfs",
        0x6969 => "nfs",
        0xff53_4d42 => "cifs",
        0xfe53_4d42 => "smb2",
        0x6573_5546 => "fuse",
        0x0102_1997 => "9p",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0x7371_7368 => "squashfs",
        0xe0f5_e1e2 => "erofs",
        0x00c3_6400 => "ceph",
        0x9fa0 => "proc",
        0x6265_6572 => "sysfs",
        0xf15f => "ecryptfs",
        0x6a65_6a63 => "virtiofs",
        0x4d44 => "vfat",
        _ => return format!("{:#x}", magic & 0xffff_ffff),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_judged_by_the_nearest_one_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let found = path_fact("data", &dir.path().join("a/b/c"));
        assert!(!found.exists && found.writable, "{found:?}");
        assert_eq!(found.looked_at, dir.path().display().to_string());
    }

    #[test]
    fn a_file_where_a_folder_is_wanted_is_not_writable() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let found = path_fact("data", &dir.path().join("file/below"));
        assert!(!found.writable && found.why_not.unwrap().contains("not a folder"));
    }

    #[test]
    fn a_read_only_file_system_is_named() {
        let found = path_fact("data", Path::new("/proc/sys/kernel/nothing-here"));
        assert!(!found.writable, "{found:?}");
        assert_eq!(found.fs_type.as_deref(), Some("proc"));
    }
}
