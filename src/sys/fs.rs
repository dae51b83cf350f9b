//! Files, as hostile as they may be: walks that follow no link they should not, bounded reads of regular
//! files only, writes that leave the old content or the new, and locks.
//!
//! Everything works relative to an open [`Dir`], so what was checked is what is used: an agent process
//! that swaps a folder for a link between two calls changes nothing. No policy lives here.
#![forbid(unsafe_code)]

mod aside;
mod atomic;
mod leftover;
mod lock;
mod owner;
mod read;
mod walk;

pub use aside::{keep_aside, write_beside};
pub use atomic::{Expect, NewFile, replace, write_atomic};
pub use leftover::{is_unused, remove_unused, stale};
pub use lock::Lock;
pub use owner::{ChownReport, chown_tree};
pub use read::{Kind, Meta};
pub use walk::Dir;

use nix::errno::Errno;
use std::{
    io,
    path::{Path, PathBuf},
};

/// A user and group that own what is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What went wrong with a file, in words that fit after `failed to`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FsError {
    /// A system call failed.
    #[error("{op} {}: {}", path.display(), errno.desc())]
    Sys {
        /// What was tried: `create`, `write`, `rename`, ...
        op: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        errno: Errno,
    },
    /// A symbolic link stands where none is followed.
    #[error("use {}: it is a symbolic link, and links are not followed here", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// A link leads out of the folder it must stay in.
    #[error("use {}: its link leads out of the folder", path.display())]
    Escape {
        /// The link.
        path: PathBuf,
    },
    /// Something of another kind stands there.
    #[error("use {}: it is a {found}, not a {wanted}", path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: Kind,
        /// What was expected.
        wanted: Kind,
    },
    /// Larger than the caller reads.
    #[error("read {}: it is larger than {max} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        max: u64,
    },
    /// Another writer changed the file between the read and the write.
    #[error("replace {}: another process changed it meanwhile", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The lock stayed taken.
    #[error("lock {}: another process has held it for {waited_ms} ms", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long was waited, in milliseconds.
        waited_ms: u128,
    },
}

impl FsError {
    pub(crate) fn sys(op: &'static str, path: impl Into<PathBuf>, errno: Errno) -> Self {
        Self::Sys { op, path: path.into(), errno }
    }

    /// The errno, where a system call failed.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Sys { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// Nothing stands at the path.
    pub fn is_missing(&self) -> bool {
        self.errno() == Some(Errno::ENOENT)
    }

    /// The path that is meant.
    pub fn path(&self) -> &Path {
        match self {
            Self::Sys { path, .. }
            | Self::Link { path }
            | Self::Escape { path }
            | Self::Kind { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Changed { path }
            | Self::Locked { path, .. } => path,
        }
    }
}

impl From<FsError> for io::Error {
    fn from(error: FsError) -> Self {
        match error.errno() {
            Some(errno) => Self::new(Self::from(errno).kind(), error),
            None => Self::other(error),
        }
    }
}
