//! Walks to a folder without following links that are not ours (openat2(2), and step by step where the
//! kernel lacks it or seccomp forbids it).
//!
//! Three rules, chosen by the caller:
//! - [`Links::Refuse`] below a folder that agents can write: no link at all.
//! - [`Links::Owned`] for the paths that an operator configured: a link is followed where root or this
//!   process owns it, so that an agent cannot lead a start that runs as root elsewhere.
//! - [`Links::Beneath`] for a mount (Kubernetes' secrets are links to `..data`): links are followed as long
//!   as they stay beneath the folder.

use super::{FsError, Kind, Meta, Owner, read};
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat},
    sys::stat::{Mode, fchmod, fstat, mkdirat},
    unistd::{Uid, UnlinkatFlags, fchown, fsync, unlinkat},
};
use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

/// An open folder and the path it was reached by (for messages).
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// Which links a walk follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    Refuse,
    Owned,
    Beneath,
}

/// What a walk makes of folders that are missing.
#[derive(Debug, Clone, Copy)]
struct Create {
    mode: u32,
    owner: Option<Owner>,
}

/// path_resolution(7) stops here too.
const MAX_LINKS: usize = 40;

impl Dir {
    /// Opens a folder that an operator named; links on the way must be owned by root or by this process.
    pub fn open(path: &Path) -> Result<Self, FsError> {
        Self::base(path, None)
    }

    /// Like [`Dir::open`]; makes what is missing, each new folder with `mode` and `owner`.
    pub fn create(path: &Path, mode: u32, owner: Option<Owner>) -> Result<Self, FsError> {
        Self::base(path, Some(Create { mode, owner }))
    }

    fn base(path: &Path, create: Option<Create>) -> Result<Self, FsError> {
        if let Ok(fd) = quick(nix::fcntl::AT_FDCWD, path, ResolveFlag::RESOLVE_NO_SYMLINKS) {
            return Ok(Self { fd, path: path.to_owned() });
        }
        let start = if path.is_absolute() { "/" } else { "." };
        let root = open(start, PATH_DIR, Mode::empty()).map_err(|errno| FsError::sys("open", start, errno))?;
        let fd = folder(walk(root, path, path, Links::Owned, create)?, path)?;
        Ok(Self { fd: readable(&fd).unwrap_or(fd), path: path.to_owned() })
    }

    /// Opens a folder beneath this one; no link is followed.
    pub fn sub(&self, path: impl AsRef<Path>) -> Result<Self, FsError> {
        self.beneath(path.as_ref(), None)
    }

    /// Like [`Dir::sub`]; makes what is missing, each new folder with `mode` and `owner`.
    pub fn create_sub(&self, path: impl AsRef<Path>, mode: u32, owner: Option<Owner>) -> Result<Self, FsError> {
        self.beneath(path.as_ref(), Some(Create { mode, owner }))
    }

    fn beneath(&self, path: &Path, create: Option<Create>) -> Result<Self, FsError> {
        let full = self.child(path);
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if let Ok(fd) = quick(self.fd(), path, ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH) {
            return Ok(Self { fd, path: full });
        }
        let fd = folder(walk(self.duplicate()?, path, &full, Links::Refuse, create)?, &full)?;
        Ok(Self { fd: readable(&fd).unwrap_or(fd), path: full })
    }

    /// Reads a regular file beneath this folder, at most `max` bytes, following only links that stay beneath.
    pub fn read_beneath(&self, path: &Path, max: u64) -> Result<(Vec<u8>, Meta), FsError> {
        let full = self.child(path);
        let pinned = match openat2(
            self.fd(),
            path,
            OpenHow::new()
                .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
                .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS),
        ) {
            Ok(pinned) => pinned,
            Err(Errno::ENOENT) => return Err(FsError::sys("open", full, Errno::ENOENT)),
            // The walk says which of the many reasons it is.
            Err(_) => walk(self.duplicate()?, path, &full, Links::Beneath, None)?,
        };
        let meta = fstat(&pinned).map(Meta::from).map_err(|errno| FsError::sys("look at", &full, errno))?;
        read::regular(&full, meta)?;
        // The descriptor is pinned: what is opened through it is what was looked at.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = open(&through(&pinned), flags, Mode::empty()).map_err(|errno| FsError::sys("open", &full, errno))?;
        read::read_file(&file, full, max)
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of an entry, for messages.
    pub fn child(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Changes the folder's permission bits.
    pub fn set_mode(&self, mode: u32) -> Result<(), FsError> {
        fchmod(self.fd(), Mode::from_bits_truncate(mode)).map_err(|errno| FsError::sys("chmod", self.path(), errno))
    }

    /// Changes the permission bits of the regular file `name`; a link is not followed.
    pub fn set_file_mode(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<(), FsError> {
        let path = self.child(name.as_ref());
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let failed = |errno| FsError::sys("chmod", &path, errno);
        let file = openat(self.fd(), name.as_ref(), flags, Mode::empty()).map_err(failed)?;
        read::regular(&path, fstat(&file).map(Meta::from).map_err(failed)?)?;
        fchmod(&file, Mode::from_bits_truncate(mode)).map_err(failed)
    }

    /// Makes the folder `name`; an error with `EEXIST` if anything stands there.
    pub fn make_dir(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<(), FsError> {
        mkdirat(self.fd(), name.as_ref(), Mode::from_bits_truncate(mode))
            .map_err(|errno| FsError::sys("create", self.child(name.as_ref()), errno))
    }

    /// Removes the empty folder `name`.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> Result<(), FsError> {
        unlinkat(self.fd(), name.as_ref(), UnlinkatFlags::RemoveDir)
            .map_err(|errno| FsError::sys("remove", self.child(name.as_ref()), errno))
    }

    /// Removes the entry `name`, which is no folder; a link goes, its target stays.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<(), FsError> {
        unlinkat(self.fd(), name.as_ref(), UnlinkatFlags::NoRemoveDir)
            .map_err(|errno| FsError::sys("remove", self.child(name.as_ref()), errno))
    }

    /// Makes names that were created, renamed or removed in it durable (fsync(2)).
    pub fn sync(&self) -> Result<(), FsError> {
        match fsync(self.fd()) {
            // A folder that may be searched but not read, and file systems without fsync for folders.
            Ok(()) | Err(Errno::EBADF | Errno::EINVAL | Errno::ENOTSUP) => Ok(()),
            Err(errno) => Err(FsError::sys("sync", self.path(), errno)),
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn duplicate(&self) -> Result<OwnedFd, FsError> {
        let failed = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or_default());
        self.fd.try_clone().map_err(|error| FsError::sys("open", self.path(), failed(error)))
    }
}

const PATH_DIR: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
const READ_DIR: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// One call for the ordinary case; any failure is looked into by [`walk`].
fn quick(at: impl AsFd, path: &Path, resolve: ResolveFlag) -> Result<OwnedFd, Errno> {
    openat2(at, path, OpenHow::new().flags(READ_DIR).resolve(resolve | ResolveFlag::RESOLVE_NO_MAGICLINKS))
}

/// The same folder with read permission, which fsync(2) and listing need.
fn readable(fd: &OwnedFd) -> Option<OwnedFd> {
    openat(fd, ".", READ_DIR, Mode::empty()).ok()
}

fn through(fd: &OwnedFd) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn folder(fd: OwnedFd, path: &Path) -> Result<OwnedFd, FsError> {
    let meta = fstat(&fd).map(Meta::from).map_err(|errno| FsError::sys("look at", path, errno))?;
    match meta.kind {
        Kind::Dir => Ok(fd),
        found => Err(FsError::Kind { path: path.to_owned(), found, wanted: Kind::Dir }),
    }
}

/// Resolves `path` from `root` one component at a time; `full` names it in messages.
///
/// The stack holds the folders from `root` to here, so `..` never asks the kernel (which would follow a
/// folder that was moved meanwhile).
fn walk(root: OwnedFd, path: &Path, full: &Path, links: Links, create: Option<Create>) -> Result<OwnedFd, FsError> {
    let mut todo: VecDeque<OsString> = parts(path);
    let mut stack: Vec<OwnedFd> = Vec::new();
    let mut here = root;
    let mut followed = 0;
    while let Some(name) = todo.pop_front() {
        if name == ".." {
            match stack.pop() {
                Some(parent) => here = parent,
                // The parent of `/` is `/`; above a folder that must not be left is an escape.
                None if links == Links::Owned => {}
                None => return Err(FsError::Escape { path: full.to_owned() }),
            }
            continue;
        }
        let next = step(&here, &name, full, create)?;
        let meta = fstat(&next).map(Meta::from).map_err(|errno| FsError::sys("look at", full, errno))?;
        match meta.kind {
            Kind::Link => {
                let trusted = meta.uid == 0 || meta.uid == Uid::effective().as_raw();
                if links == Links::Refuse || (links == Links::Owned && !trusted) {
                    return Err(FsError::Link { path: named(full, &todo) });
                }
                followed += 1;
                if followed > MAX_LINKS {
                    return Err(FsError::sys("open", full, Errno::ELOOP));
                }
                let target = readlinkat(&next, "").map_err(|errno| FsError::sys("read the link", full, errno))?;
                let target = PathBuf::from(target);
                if target.is_absolute() {
                    if links == Links::Beneath {
                        return Err(FsError::Escape { path: full.to_owned() });
                    }
                    stack.clear();
                    here = open("/", PATH_DIR, Mode::empty()).map_err(|errno| FsError::sys("open", "/", errno))?;
                }
                for part in parts(&target).into_iter().rev() {
                    todo.push_front(part);
                }
            }
            Kind::Dir => stack.push(std::mem::replace(&mut here, next)),
            _ if todo.is_empty() => return Ok(next),
            found => return Err(FsError::Kind { path: named(full, &todo), found, wanted: Kind::Dir }),
        }
    }
    Ok(here)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

/// `full` without the components that are still to do.
fn named(full: &Path, todo: &VecDeque<OsString>) -> PathBuf {
    full.ancestors().nth(todo.len()).unwrap_or(full).to_owned()
}

/// Pins one component, making it where it is missing and wanted.
fn step(at: &OwnedFd, name: &OsStr, full: &Path, create: Option<Create>) -> Result<OwnedFd, FsError> {
    let pin = || openat(at, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty());
    match (pin(), create) {
        (Ok(fd), _) => Ok(fd),
        (Err(Errno::ENOENT), Some(Create { mode, owner })) => {
            match mkdirat(at, name, Mode::from_bits_truncate(mode)) {
                // Somebody else made it meanwhile: fine, it is looked at like any other.
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(FsError::sys("create", full, errno)),
            }
            let made = pin().map_err(|errno| FsError::sys("open", full, errno))?;
            if let (Some(owner), Some(fd)) = (owner, readable(&made)) {
                fchown(&fd, Some(owner.uid.into()), Some(owner.gid.into()))
                    .map_err(|errno| FsError::sys("chown", full, errno))?;
            }
            Ok(made)
        }
        (Err(errno), _) => Err(FsError::sys("open", full, errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn dir() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        (temp, dir)
    }

    fn beneath_by_steps(dir: &Dir, path: &str) -> Result<OwnedFd, FsError> {
        walk(dir.duplicate().unwrap(), Path::new(path), &dir.child(path), Links::Beneath, None)
    }

    #[test]
    fn a_link_on_the_way_below_an_agents_folder_is_refused_and_named() {
        let (temp, dir) = dir();
        symlink("/etc", temp.path().join("x")).unwrap();
        let error = dir.create_sub("x/y", 0o700, None).unwrap_err();
        assert_eq!(error, FsError::Link { path: temp.path().join("x") });
        assert!(!Path::new("/etc/y").exists());
    }

    #[test]
    fn missing_folders_are_made_with_the_mode() {
        use std::os::unix::fs::PermissionsExt;
        let (temp, dir) = dir();
        dir.create_sub("a/b", 0o700, None).unwrap();
        assert_eq!(temp.path().join("a").metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(temp.path().join("a/b").metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    }

    #[test]
    fn links_within_the_mount_work_as_kubernetes_makes_them() {
        let (temp, dir) = dir();
        std::fs::create_dir_all(temp.path().join("codex/..2026")).unwrap();
        std::fs::write(temp.path().join("codex/..2026/auth.json"), "{}").unwrap();
        symlink("..2026", temp.path().join("codex/..data")).unwrap();
        symlink("..data/auth.json", temp.path().join("codex/auth.json")).unwrap();
        assert_eq!(dir.read_beneath(Path::new("codex/auth.json"), 10).unwrap().0, b"{}");
        beneath_by_steps(&dir, "codex/auth.json").unwrap();
    }

    #[test]
    fn links_out_of_the_mount_are_refused_by_both_ways() {
        let (temp, dir) = dir();
        std::fs::create_dir(temp.path().join("codex")).unwrap();
        symlink("/etc/hostname", temp.path().join("codex/absolute")).unwrap();
        symlink("../../../../../../../../etc/hostname", temp.path().join("codex/relative")).unwrap();
        symlink("loop", temp.path().join("codex/loop")).unwrap();
        for name in ["codex/absolute", "codex/relative", "codex/loop"] {
            dir.read_beneath(Path::new(name), 1000).unwrap_err();
            beneath_by_steps(&dir, name).unwrap_err();
        }
        assert_eq!(
            beneath_by_steps(&dir, "codex/absolute").unwrap_err(),
            FsError::Escape { path: temp.path().join("codex/absolute") }
        );
    }

    #[test]
    fn a_file_where_a_folder_is_wanted_is_said_so() {
        let (temp, dir) = dir();
        std::fs::write(temp.path().join("f"), "").unwrap();
        let error = dir.create_sub("f/g", 0o700, None).unwrap_err();
        assert_eq!(error, FsError::Kind { path: temp.path().join("f"), found: Kind::File, wanted: Kind::Dir });
    }

    #[test]
    fn a_link_of_ours_in_an_operators_path_is_followed() {
        let (temp, _dir) = dir();
        std::fs::create_dir(temp.path().join("real")).unwrap();
        symlink("real", temp.path().join("link")).unwrap();
        let dir = Dir::create(&temp.path().join("link/sub"), 0o755, None).unwrap();
        assert!(temp.path().join("real/sub").is_dir());
        assert_eq!(dir.names(10).unwrap(), Vec::<OsString>::new());
    }
}
