//! The only door from settings to the file system: bounded reads of the config file and of secret files.
//!
//! A pipe, device or folder in the place of a file is an answer, not a hang: the file is opened without
//! blocking and must be a regular one. Links are followed: Kubernetes mounts secrets as links.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// The file, or a folder on the way to it, is not for this user.
    #[error("permission denied: it must be readable for the user that skill-init runs as")]
    Denied,
    /// A folder, pipe, socket or device.
    #[error("it is not a regular file")]
    NotRegular,
    /// More bytes than allowed.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// Anything else, in the system's words.
    #[error("it cannot be read: {reason}")]
    Io {
        /// The system's words.
        reason: String,
    },
}

/// Reads whole files, at most `limit` bytes each.
pub trait Files {
    /// The file's bytes.
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileProblem>;
    /// `None` where unknown; else the permission bits of the file.
    fn mode(&self, path: &Path) -> Option<u32>;
}

/// The files of a system under a root (`/` for real).
#[derive(Debug, Clone)]
pub struct SystemFiles {
    root: PathBuf,
}

impl SystemFiles {
    /// Files under `root`; absolute paths are taken relative to it.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
    fn path(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// When the file last changed in any way (ctime: a copied date is no change's); where it is missing, its folder.
    pub(super) fn changed(&self, path: &Path) -> Option<SystemTime> {
        use std::os::unix::fs::MetadataExt;
        let path = self.path(path);
        let about = std::fs::metadata(&path).or_else(|_| std::fs::metadata(path.parent().unwrap_or(&path))).ok()?;
        let seconds = Duration::from_secs(u64::try_from(about.ctime()).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(seconds + Duration::from_nanos(u64::try_from(about.ctime_nsec()).ok()?))
    }
}

impl Files for SystemFiles {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileProblem> {
        let io = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => FileProblem::Missing,
            std::io::ErrorKind::PermissionDenied => FileProblem::Denied,
            _ => FileProblem::Io { reason: error.to_string() },
        };
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(self.path(path)).map_err(io)?;
        let about = file.metadata().map_err(io)?;
        if !about.is_file() {
            return Err(FileProblem::NotRegular);
        }
        // The size can be wrong (it grows, or lies in /proc), so the read is bounded as well.
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > limit { Err(FileProblem::TooLarge { limit }) } else { Ok(bytes) }
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(self.path(path)).ok().map(|about| about.permissions().mode() & 0o7777)
    }
}

/// No file exists.
#[derive(Debug, Clone, Copy)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &Path, _limit: u64) -> Result<Vec<u8>, FileProblem> {
        Err(FileProblem::Missing)
    }
    fn mode(&self, _path: &Path) -> Option<u32> {
        None
    }
}

/// Files as values, for tests and `--check` of a text.
#[derive(Debug, Clone, Default)]
pub struct MapFiles(pub BTreeMap<PathBuf, Vec<u8>>);

impl Files for MapFiles {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileProblem> {
        match self.0.get(path) {
            None => Err(FileProblem::Missing),
            Some(bytes) if bytes.len() as u64 > limit => Err(FileProblem::TooLarge { limit }),
            Some(bytes) => Ok(bytes.clone()),
        }
    }
    fn mode(&self, _path: &Path) -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_refused_and_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let files = SystemFiles::at(dir.path());
        assert_eq!(files.read(Path::new("/fifo"), 10), Err(FileProblem::NotRegular));
        assert_eq!(files.read(Path::new("/"), 10), Err(FileProblem::NotRegular));
        assert_eq!(files.read(Path::new("/none"), 10), Err(FileProblem::Missing));
    }

    #[test]
    fn a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), b"12345").unwrap();
        let files = SystemFiles::at(dir.path());
        assert_eq!(files.read(Path::new("/f"), 5).unwrap(), b"12345");
        assert_eq!(files.read(Path::new("/f"), 4), Err(FileProblem::TooLarge { limit: 4 }));
    }
}
