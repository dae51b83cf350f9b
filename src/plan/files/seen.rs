//! What was seen on the volumes. Gathered by `apply::observe`, written by hand in tests.

use super::credentials::Source;
use crate::{
    agents::credentials::State,
    sys::fs::{FsError, Kind, Meta},
};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// What stands at a path. Its `Debug` shows no content: it may be a credential.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Seen {
    /// Nothing.
    #[default]
    Missing,
    /// A folder.
    Folder(Meta),
    /// A regular file with its content.
    File(Meta, Vec<u8>),
    /// A link, FIFO, socket or device.
    Other(Meta),
    /// It could not be looked at, or is too large.
    Failed(FsError),
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("Missing"),
            Self::Folder(meta) => f.debug_tuple("Folder").field(meta).finish(),
            Self::File(meta, bytes) => f.debug_tuple("File").field(meta).field(&bytes.len()).finish(),
            Self::Other(meta) => f.debug_tuple("Other").field(meta).finish(),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

/// Everything that the plan looks at.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Effective user id.
    pub uid: u32,
    /// By absolute path; what is not in it was not there.
    pub paths: BTreeMap<PathBuf, Seen>,
    /// The name under which the CLIs know the runs folder; `None`: it has no name that they could read.
    pub runs_key: Option<String>,
    /// Content of assets that replace a default, by path below the application folder.
    pub assets: BTreeMap<PathBuf, Vec<u8>>,
    /// Temporary files (and lock files of the old start) that nobody uses.
    pub left_over: Vec<PathBuf>,
    /// Credential sources, by path below the import folder; only those that are there.
    pub sources: BTreeMap<PathBuf, Source>,
    /// What is remembered of earlier imports.
    pub import_state: State,
}

impl Observed {
    /// What stands at a path.
    pub fn at(&self, path: &Path) -> &Seen {
        const NOTHING: &Seen = &Seen::Missing;
        self.paths.get(path).unwrap_or(NOTHING)
    }
}

impl Seen {
    /// The content of a regular file.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::File(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Why nothing can be written there, and what to do; `None`: a regular file, or nothing.
    pub fn blocks_file(&self, path: &Path) -> Option<String> {
        let shown = path.display();
        match self {
            Self::Missing | Self::File(..) => None,
            Self::Folder(_) => {
                Some(format!("a folder stands where a file belongs; move it away: mv {shown} {shown}.old"))
            }
            Self::Other(meta) if meta.kind == Kind::Link => {
                Some("it is a symbolic link, which is left alone; put a regular file there".to_owned())
            }
            Self::Other(_) => Some(format!("a FIFO, socket or device stands there; remove it: rm {shown}")),
            Self::Failed(error) => Some(format!("failed to {error}")),
        }
    }
}
