//! A second copy under a name that was free: what was there before is never overwritten.
//!
//! For what cannot be parsed (kept under `NAME.corrupt-DATE`) and for what comes beside a file that is not ours to replace. The
//! first name itself stays in place, so that it can then be replaced in one step.

use super::{
    Dir, FsError, Owner,
    atomic::{Expect, NewFile, replace},
    read,
};
use nix::{errno::Errno, fcntl::AtFlags, unistd::linkat};
use std::{ffi::OsStr, path::PathBuf};

/// Keeps the content of `name` under a second name that was free, `NAME` + `suffix`, same mode and owner; gives
/// that name. `name` itself stays in place, so that it can then be replaced in one step.
pub fn keep_aside(dir: &Dir, name: impl AsRef<OsStr>, suffix: &str) -> Result<PathBuf, FsError> {
    let name = name.as_ref();
    if let Some(meta) = dir.stat(name)? {
        read::regular(&dir.child(name), meta)?;
    }
    append_free(name, suffix, |free| {
        match linkat(dir.fd(), name, dir.fd(), free, AtFlags::empty()) {
            Ok(()) => return Ok(Some(dir.child(free))),
            Err(Errno::EEXIST) => return Ok(None),
            Err(Errno::ENOENT) => return Err(FsError::sys("keep", dir.child(name), Errno::ENOENT)),
            // No hard links here (or not of another's file, protected_hardlinks in proc(5)): a copy.
            Err(_) => {}
        }
        let (bytes, meta) = dir.read(name, 1 << 30)?;
        let owner = Some(Owner { uid: meta.uid, gid: meta.gid });
        let copy = NewFile { bytes: &bytes, mode: Some(meta.mode & 0o777), owner, expect: Expect::Absent };
        let done = match replace(dir, free, &copy) {
            // Another's file, copied by who may not give files away: the mode is kept, the content is safe.
            Err(FsError::Sys { errno: Errno::EPERM, op: "chown", .. }) => {
                replace(dir, free, &NewFile { owner: None, ..copy })
            }
            done => done,
        };
        match done {
            Ok(()) => Ok(Some(dir.child(free))),
            Err(FsError::Changed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    })
}

/// Tries `NAME` + `suffix`, then with `-1`, `-2`, ... until `take` gives a result.
fn append_free<T>(
    name: &OsStr,
    suffix: &str,
    mut take: impl FnMut(&OsStr) -> Result<Option<T>, FsError>,
) -> Result<T, FsError> {
    for number in 0..1000u32 {
        let mut free = name.to_owned();
        free.push(suffix);
        if number > 0 {
            free.push(format!("-{number}"));
        }
        if let Some(done) = take(&free)? {
            return Ok(done);
        }
    }
    Err(FsError::sys("find a free name beside", PathBuf::from(name), Errno::EEXIST))
}

/// Writes a new file, 0600, under the first free name of `NAME` + `suffix`, `-1`, `-2`, ...; gives that name.
pub fn write_beside(
    dir: &Dir,
    name: impl AsRef<OsStr>,
    suffix: &str,
    bytes: &[u8],
    owner: Option<Owner>,
) -> Result<PathBuf, FsError> {
    append_free(name.as_ref(), suffix, |free| {
        match replace(dir, free, &NewFile { bytes, mode: Some(0o600), owner, expect: Expect::Absent }) {
            Ok(()) => Ok(Some(dir.child(free))),
            Err(FsError::Changed { .. } | FsError::Link { .. } | FsError::Kind { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::atomic::tests::{dir, plain},
        *,
    };

    #[test]
    fn content_kept_aside_never_overwrites_what_was_kept_before() {
        let (temp, dir) = dir();
        std::fs::write(temp.path().join("a"), "first").unwrap();
        assert_eq!(keep_aside(&dir, "a", ".corrupt-1").unwrap(), temp.path().join("a.corrupt-1"));
        replace(&dir, "a", &plain(b"second")).unwrap();
        assert_eq!(keep_aside(&dir, "a", ".corrupt-1").unwrap(), temp.path().join("a.corrupt-1-1"));
        assert_eq!(std::fs::read(temp.path().join("a.corrupt-1")).unwrap(), b"first");
        assert_eq!(std::fs::read(temp.path().join("a.corrupt-1-1")).unwrap(), b"second");
    }
}
