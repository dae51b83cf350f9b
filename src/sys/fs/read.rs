//! What stands at a path (lstat, never a link's target) and bounded reads of regular files.

use super::{Dir, FsError};
use nix::{
    dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat},
    sys::stat::{FileStat, Mode, SFlag, fstat, fstatat},
    unistd::read,
};
use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
};

/// The kind of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Link,
    /// FIFO, socket or device.
    Special,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "regular file",
            Self::Dir => "folder",
            Self::Link => "symbolic link",
            Self::Special => "FIFO, socket or device",
        })
    }
}

/// lstat(2) of one entry, the part that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Its kind.
    pub kind: Kind,
    /// Permission bits, with set-uid, set-gid and sticky (0 to 0o7777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Device and inode number.
    pub id: (u64, u64),
    /// Number of hard links.
    pub links: u64,
    /// Time of the last change of content, in nanoseconds since 1970.
    pub mtime_ns: i128,
}

impl From<FileStat> for Meta {
    // The types of these fields differ between architectures.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "nlink_t is u32 on aarch64")]
    fn from(stat: FileStat) -> Self {
        let format = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
        Self {
            kind: match format {
                SFlag::S_IFREG => Kind::File,
                SFlag::S_IFDIR => Kind::Dir,
                SFlag::S_IFLNK => Kind::Link,
                _ => Kind::Special,
            },
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            id: (stat.st_dev, stat.st_ino),
            links: u64::from(stat.st_nlink),
            mtime_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        }
    }
}

impl Dir {
    /// What stands at `name`; `None`: nothing.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> Result<Option<Meta>, FsError> {
        let name = name.as_ref();
        match fstatat(self.fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(FsError::sys("look at", self.child(name), errno)),
        }
    }

    /// This folder itself.
    pub fn meta(&self) -> Result<Meta, FsError> {
        fstat(self.fd()).map(Meta::from).map_err(|errno| FsError::sys("look at", self.path(), errno))
    }

    /// The whole content of the regular file `name`, at most `max` bytes.
    ///
    /// Never follows a link, never blocks on a FIFO, never opens a device.
    pub fn read(&self, name: impl AsRef<OsStr>, max: u64) -> Result<(Vec<u8>, Meta), FsError> {
        let name = name.as_ref();
        let path = self.child(name);
        // Looked at before it is opened: opening a device can have effects of its own.
        match self.stat(name)? {
            None => return Err(FsError::sys("open", path, Errno::ENOENT)),
            Some(meta) => regular(&path, meta)?,
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = openat(self.fd(), name, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::ELOOP => FsError::Link { path: path.clone() },
            errno => FsError::sys("open", &path, errno),
        })?;
        read_file(&file, path, max)
    }

    /// The names in this folder, without `.` and `..`; at most `max` of them.
    pub fn names(&self, max: usize) -> Result<Vec<OsString>, FsError> {
        let failed = |errno| FsError::sys("list", self.path(), errno);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut folder = dir::Dir::openat(self.fd(), ".", flags, Mode::empty()).map_err(failed)?;
        let mut names = Vec::new();
        for entry in folder.iter() {
            let entry = entry.map_err(failed)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
            if names.len() >= max {
                break;
            }
        }
        Ok(names)
    }
}

/// An error unless `meta` is a regular file.
pub(super) fn regular(path: &std::path::Path, meta: Meta) -> Result<(), FsError> {
    match meta.kind {
        Kind::File => Ok(()),
        Kind::Link => Err(FsError::Link { path: path.to_owned() }),
        found => Err(FsError::Kind { path: path.to_owned(), found, wanted: Kind::File }),
    }
}

/// Reads an open file to its end, at most `max` bytes; an error if it is no regular file.
pub(super) fn read_file(file: &OwnedFd, path: std::path::PathBuf, max: u64) -> Result<(Vec<u8>, Meta), FsError> {
    let meta = fstat(file).map(Meta::from).map_err(|errno| FsError::sys("look at", &path, errno))?;
    regular(&path, meta)?;
    let limit = usize::try_from(max).unwrap_or(usize::MAX).saturating_add(1);
    if meta.size > max {
        return Err(FsError::TooLarge { path, max });
    }
    // One byte more than the size, so that the end is seen without a second growth.
    let mut bytes = Vec::new();
    let mut buffer = vec![0u8; usize::try_from(meta.size).unwrap_or(0).saturating_add(1).clamp(512, 65536)];
    loop {
        match read(file, &mut buffer) {
            Ok(0) => return Ok((bytes, meta)),
            Ok(count) => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(FsError::sys("read", path, errno)),
        }
        // A file that grows while it is read, or lies about its size.
        if bytes.len() >= limit {
            return Err(FsError::TooLarge { path, max });
        }
    }
}
