//! Writes that leave the old content or the new, whatever happens in between.
//!
//! A temporary file in the same folder, never wider than its final mode, is written, synced and renamed;
//! then the folder is synced. While it is being written it is flock(2)ed, so that a start after a crash can
//! tell a left-over from a file that another process writes right now.

use super::{Dir, FsError, Meta, Owner, read};
use crate::sys::flock::Locked;
use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat, renameat2},
    sys::stat::{Mode, fchmod, fstat},
    unistd::{UnlinkatFlags, fchown, fsync, linkat, unlinkat, write},
};
use std::{
    ffi::{OsStr, OsString},
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

/// Marks a temporary file's name, between the target's and this process's.
pub(super) const MARK: &str = ".skill-init-";
/// Its end.
pub(super) const END: &str = ".tmp";
/// Names that are tried before giving up: only left-overs of this very process id can be in the way.
const ATTEMPTS: u32 = 64;
/// Nothing that is compared before it is replaced is larger.
const MAX_COMPARED: u64 = 64 << 20;

/// What the destination must be at the moment of the switch.
#[derive(Debug, Clone, Copy)]
pub enum Expect<'a> {
    /// Whatever regular file, or nothing.
    Anything,
    /// Nothing: an existing file is never replaced.
    Absent,
    /// These very bytes; otherwise [`FsError::Changed`] and the other writer's content stays.
    Bytes(&'a [u8]),
}

/// A file to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewFile<'a> {
    /// Content.
    pub bytes: &'a [u8],
    /// Permission bits; `None`: those of the file that is replaced, 0600 where there is none.
    pub mode: Option<u32>,
    /// Owner; `None`: that of the file that is replaced, as far as this process may set it.
    pub owner: Option<Owner>,
    /// What must stand there now.
    pub expect: Expect<'a>,
}

/// Writes a file by its path; an existing regular file is replaced.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FsError> {
    let name = path.file_name().ok_or_else(|| FsError::sys("write", path, Errno::EISDIR))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let new = NewFile { bytes, mode: Some(mode), owner: None, expect: Expect::Anything };
    replace(&Dir::open(parent)?, name, &new)
}

/// Writes the entry `name` of `dir`. Links, folders and devices in its place are refused.
pub fn replace(dir: &Dir, name: impl AsRef<OsStr>, new: &NewFile<'_>) -> Result<(), FsError> {
    let name = name.as_ref();
    let path = dir.child(name);
    let old = dir.stat(name)?;
    if let Some(meta) = old {
        read::regular(&path, meta)?;
        if matches!(new.expect, Expect::Absent) {
            return Err(FsError::Changed { path });
        }
    }
    let temp = Temp::create(dir, name, new.mode.or(old.map(|meta| meta.mode & 0o777)).unwrap_or(0o600))?;
    temp.fill(new, old)?;
    temp.switch(&path, new)?;
    dir.sync()
}

/// A temporary file; removed when dropped, unless it became the destination.
pub(super) struct Temp<'a> {
    dir: &'a Dir,
    target: &'a OsStr,
    pub(super) name: OsString,
    file: Locked,
    present: std::cell::Cell<bool>,
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if self.present.get() {
            // A left-over is collected by the next start.
            let _ = unlinkat(self.dir.fd(), self.name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

impl<'a> Temp<'a> {
    pub(super) fn create(dir: &'a Dir, target: &'a OsStr, mode: u32) -> Result<Self, FsError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(mode);
        let mut last = Errno::EEXIST;
        for _ in 0..ATTEMPTS {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let mut name = OsString::from(".");
            name.push(target);
            name.push(format!("{MARK}{:x}-{number:x}{END}", std::process::id()));
            let file = match openat(dir.fd(), name.as_os_str(), flags, mode) {
                Ok(file) => file,
                Err(Errno::EEXIST | Errno::EINTR) => continue,
                Err(errno) => return Err(FsError::sys("create", dir.child(target), errno)),
            };
            let failed = |errno| {
                let _ = unlinkat(dir.fd(), name.as_os_str(), UnlinkatFlags::NoRemoveDir);
                FsError::sys("create", dir.child(target), errno)
            };
            let file = match Locked::take(file) {
                Ok(file) => file,
                // A collector looked at it in the moment before it was locked, and removes it.
                Err((_, Errno::EWOULDBLOCK)) => {
                    last = Errno::EWOULDBLOCK;
                    continue;
                }
                Err((_, errno)) => return Err(failed(errno)),
            };
            let meta = fstat(&*file).map(Meta::from).map_err(failed)?;
            if meta.links == 0 {
                continue;
            }
            // The umask may have narrowed it.
            if meta.mode != mode.bits() {
                fchmod(&*file, mode).map_err(failed)?;
            }
            return Ok(Self { dir, target, name, file, present: true.into() });
        }
        Err(FsError::sys("create", dir.child(target), last))
    }

    fn fill(&self, new: &NewFile<'_>, old: Option<Meta>) -> Result<(), FsError> {
        let path = || self.dir.child(self.target);
        let mut rest = new.bytes;
        while !rest.is_empty() {
            match write(&*self.file, rest) {
                Ok(0) => return Err(FsError::sys("write", path(), Errno::ENOSPC)),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(FsError::sys("write", path(), errno)),
            }
        }
        let mine = fstat(&*self.file).map(Meta::from).map_err(|errno| FsError::sys("look at", path(), errno))?;
        let kept = old.map(|meta| Owner { uid: meta.uid, gid: meta.gid });
        if let Some(owner) = new.owner.or(kept).filter(|owner| (owner.uid, owner.gid) != (mine.uid, mine.gid)) {
            match fchown(&*self.file, Some(owner.uid.into()), Some(owner.gid.into())) {
                Ok(()) => {}
                // Only root gives files away; who may write the folder may own the new file.
                Err(Errno::EPERM) if new.owner.is_none() => {}
                Err(errno) => return Err(FsError::sys("chown", path(), errno)),
            }
        }
        match fsync(&*self.file) {
            Ok(()) | Err(Errno::EINVAL | Errno::ENOTSUP) => Ok(()),
            Err(errno) => Err(FsError::sys("sync", path(), errno)),
        }
    }

    fn switch(&self, path: &Path, new: &NewFile<'_>) -> Result<(), FsError> {
        let failed = |errno| FsError::sys("rename", path, errno);
        let at = self.dir.fd();
        match new.expect {
            Expect::Anything => renameat(at, self.name.as_os_str(), at, self.target).map_err(failed)?,
            Expect::Absent => {
                match renameat2(at, self.name.as_os_str(), at, self.target, RenameFlags::RENAME_NOREPLACE) {
                    Ok(()) => {}
                    Err(Errno::EEXIST) => return Err(FsError::Changed { path: path.to_owned() }),
                    // Kernels and file systems without it: link(2) refuses to replace as well.
                    Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {
                        return match linkat(at, self.name.as_os_str(), at, self.target, AtFlags::empty()) {
                            Ok(()) => Ok(()),
                            Err(Errno::EEXIST) => Err(FsError::Changed { path: path.to_owned() }),
                            Err(errno) => Err(failed(errno)),
                        };
                    }
                    Err(errno) => return Err(failed(errno)),
                }
            }
            Expect::Bytes(expected) => return self.exchange(path, new.bytes, expected),
        }
        self.present.set(false);
        Ok(())
    }

    /// Swaps new and old, then looks at what was swapped out: a change that another process renamed into
    /// place after our last look is put back and not lost.
    fn exchange(&self, path: &Path, ours: &[u8], expected: &[u8]) -> Result<(), FsError> {
        let at = self.dir.fd();
        let changed = || FsError::Changed { path: path.to_owned() };
        let read = |name: &OsStr| self.dir.read(name, MAX_COMPARED).map(|(bytes, _)| bytes);
        let swap = || renameat2(at, self.name.as_os_str(), at, self.target, RenameFlags::RENAME_EXCHANGE);
        if !read(self.target).is_ok_and(|now| now == expected) {
            return Err(changed());
        }
        match swap() {
            Ok(()) => {}
            Err(Errno::ENOENT) => return Err(changed()),
            // Kernels and file systems without it.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {
                renameat(at, self.name.as_os_str(), at, self.target)
                    .map_err(|errno| FsError::sys("rename", path, errno))?;
                self.present.set(false);
                return Ok(());
            }
            Err(errno) => return Err(FsError::sys("rename", path, errno)),
        }
        let mut out = read(&self.name)?;
        if out == expected {
            return Ok(());
        }
        // What came out must go back in, unless something newer came meanwhile: then that.
        let mut put = ours.to_owned();
        for _ in 0..ATTEMPTS {
            swap().map_err(|errno| FsError::sys("rename", path, errno))?;
            let newer = read(&self.name)?;
            if newer == put {
                break;
            }
            put = std::mem::replace(&mut out, newer);
        }
        Err(changed())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    pub(in super::super) fn dir() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        (temp, dir)
    }
    pub(in super::super) fn plain(bytes: &[u8]) -> NewFile<'_> {
        NewFile { bytes, mode: None, owner: None, expect: Expect::Anything }
    }
    pub(in super::super) fn names(temp: &tempfile::TempDir) -> Vec<String> {
        let mut names: Vec<_> =
            temp.path().read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_is_private_and_a_replaced_one_keeps_its_mode() {
        let (temp, dir) = dir();
        replace(&dir, "a", &plain(b"1")).unwrap();
        let path = temp.path().join("a");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o664)).unwrap();
        replace(&dir, "a", &plain(b"2")).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o664);
        assert_eq!(std::fs::read(&path).unwrap(), b"2");
        assert_eq!(names(&temp), ["a"]);
    }

    #[test]
    fn a_link_in_place_of_the_file_is_refused_and_its_target_untouched() {
        let (temp, dir) = dir();
        std::fs::write(temp.path().join("target"), "old").unwrap();
        symlink("target", temp.path().join("a")).unwrap();
        assert_eq!(replace(&dir, "a", &plain(b"new")).unwrap_err(), FsError::Link { path: temp.path().join("a") });
        assert_eq!(std::fs::read(temp.path().join("target")).unwrap(), b"old");
    }

    #[test]
    fn a_change_by_another_writer_is_noticed_and_kept() {
        let (temp, dir) = dir();
        std::fs::write(temp.path().join("a"), "theirs").unwrap();
        let new = NewFile { expect: Expect::Bytes(b"read before"), ..plain(b"ours") };
        assert_eq!(replace(&dir, "a", &new).unwrap_err(), FsError::Changed { path: temp.path().join("a") });
        let new = NewFile { expect: Expect::Absent, ..plain(b"ours") };
        replace(&dir, "a", &new).unwrap_err();
        assert_eq!(std::fs::read(temp.path().join("a")).unwrap(), b"theirs");
        let new = NewFile { expect: Expect::Bytes(b"theirs"), ..plain(b"ours") };
        replace(&dir, "a", &new).unwrap();
        assert_eq!(std::fs::read(temp.path().join("a")).unwrap(), b"ours");
        assert_eq!(names(&temp), ["a"]);
    }

    #[test]
    fn a_folder_in_place_of_the_file_is_refused() {
        let (temp, dir) = dir();
        std::fs::create_dir(temp.path().join("a")).unwrap();
        let error = replace(&dir, "a", &plain(b"new")).unwrap_err();
        assert!(error.to_string().ends_with("it is a folder, not a regular file"), "{error}");
    }
}
