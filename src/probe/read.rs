//! The only place of this room that opens files: bounded, never blocking, always under a root.
//!
//! A file in `/proc` or `/sys` may be replaced by anything in a container (a FIFO, a bind mount of a huge
//! file), so the size is bounded, the open does not block and bytes that are not UTF-8 are replaced.
#![forbid(unsafe_code)]

use crate::layout::Root;
use std::{fs::File, io::Read, os::unix::fs::OpenOptionsExt};

/// Most bytes of one file that are read.
pub const MAX_BYTES: u64 = 1 << 20;

/// Why a file gave no text. The message starts with the path on the system (without the root's prefix).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// ENOENT or ENOTDIR.
    #[error("{path}: not there")]
    Missing {
        /// Absolute path on the system.
        path: String,
    },
    /// Any other errno.
    #[error("{path}: {message}")]
    Unreadable {
        /// Absolute path on the system.
        path: String,
        /// The kernel's words.
        message: String,
        /// errno, 0 where there is none.
        errno: i32,
    },
    /// More than [`MAX_BYTES`].
    #[error("{path}: larger than {MAX_BYTES} bytes")]
    TooLarge {
        /// Absolute path on the system.
        path: String,
    },
}

impl ReadError {
    /// The file does not exist (as opposed to: cannot be read).
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// Room for what nearly every file of the system holds.
const USUAL_BYTES: usize = 4096;

/// The text of a file of the system.
pub fn text(root: &Root, path: &str) -> Result<String, ReadError> {
    // Files of /proc and /sys have no size: without room for all of it, reading begins with 32 bytes and doubles.
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    open(root, path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| error(path, &e))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ReadError::TooLarge { path: path.to_owned() });
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// Does this path exist (links followed)?
pub fn exists(root: &Root, path: &str) -> bool {
    root.join(path).exists()
}

fn open(root: &Root, path: &str) -> Result<File, ReadError> {
    // O_NONBLOCK: the open of a FIFO without a writer would wait for ever.
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(root.join(path)).map_err(|e| error(path, &e))
}

fn error(path: &str, error: &std::io::Error) -> ReadError {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => ReadError::Missing { path: path.to_owned() },
        errno => ReadError::Unreadable {
            path: path.to_owned(),
            message: error.to_string(),
            errno: errno.unwrap_or_default(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_huge_directory_and_binary_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        std::fs::write(dir.path().join("huge"), vec![b'1'; MAX_BYTES as usize + 1]).unwrap();
        std::fs::write(dir.path().join("binary"), [0xff, b'5']).unwrap();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        assert!(text(&root, "/none").unwrap_err().is_missing());
        assert!(text(&root, "/binary/under-a-file").unwrap_err().is_missing());
        assert_eq!(text(&root, "/huge"), Err(ReadError::TooLarge { path: "/huge".to_owned() }));
        assert_eq!(text(&root, "/binary").unwrap(), "\u{fffd}5");
        assert!(matches!(text(&root, "/dir"), Err(ReadError::Unreadable { errno: libc::EISDIR, .. })));
    }

    #[test]
    fn a_fifo_without_a_writer_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(text(&Root::at(dir.path()), "/fifo").unwrap(), "");
    }
}
