//! What a dead process left: temporary files of `atomic`, and lock files that nobody holds.
//!
//! Whoever uses such a file holds its flock(2), from the moment after its creation to its end: so a start after a crash can tell a
//! left-over from a file that another process writes right now.

use super::{
    Dir, FsError, Kind, Meta,
    atomic::{END, MARK},
};
use crate::sys::flock::Locked;
use nix::{
    fcntl::{OFlag, openat},
    sys::stat::Mode,
};
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

/// Names of temporary files that a dead process left in `dir`.
pub fn stale(dir: &Dir) -> Result<Vec<OsString>, FsError> {
    let names = dir.names(100_000)?;
    Ok(names.into_iter().filter(|name| is_temporary(name) && unused(dir, name).is_some()).collect())
}

/// Removes an empty lock file or a temporary file, unless somebody holds or writes it; was it removed?
pub fn remove_unused(dir: &Dir, name: impl AsRef<OsStr>) -> Result<bool, FsError> {
    let Some(_lock) = unused(dir, name.as_ref()) else { return Ok(false) };
    match dir.remove_file(name) {
        Ok(()) => Ok(true),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The lock on a regular file that nobody else has locked.
fn unused(dir: &Dir, name: &OsStr) -> Option<Locked> {
    if !matches!(dir.stat(name), Ok(Some(Meta { kind: Kind::File, .. }))) {
        return None;
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = openat(dir.fd(), name, flags, Mode::empty()).ok()?;
    Locked::take(file).ok()
}

/// Is `name` a regular file that nobody has locked?
pub fn is_unused(dir: &Dir, name: impl AsRef<OsStr>) -> bool {
    unused(dir, name.as_ref()).is_some()
}

/// Is it the name of one of our temporary files?
fn is_temporary(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    bytes.first() == Some(&b'.')
        && bytes.ends_with(END.as_bytes())
        && bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{
        super::atomic::{
            Temp,
            tests::{dir, names},
        },
        *,
    };

    #[test]
    fn left_over_temporary_files_go_and_those_being_written_stay() {
        let (temp, dir) = dir();
        std::fs::write(temp.path().join(".a.skill-init-1-0.tmp"), "").unwrap();
        std::fs::write(temp.path().join("other.tmp"), "").unwrap();
        let busy = Temp::create(&dir, OsStr::new("a"), 0o600).unwrap();
        assert_eq!(stale(&dir).unwrap(), [".a.skill-init-1-0.tmp"]);
        assert!(remove_unused(&dir, ".a.skill-init-1-0.tmp").unwrap());
        assert!(!remove_unused(&dir, &busy.name).unwrap());
        assert_eq!(names(&temp), [busy.name.to_str().unwrap(), "other.tmp"]);
        drop(busy);
        assert_eq!(names(&temp), ["other.tmp"]);
    }
}
