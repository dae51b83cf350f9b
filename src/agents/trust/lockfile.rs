//! The lock of a CLI that uses npm's `proper-lockfile` (gemini does): it makes a folder `FILE.lock`, calls it stale 10 s after its last
//! touch, and removes it when done.
//!
//! Ours carries the sticky bit, which no other writer sets: whoever holds our own lock and finds one knows that its
//! maker is dead, and need not wait.
//!
//! The old start left an empty regular *file* of that name behind (its flock), which such a CLI takes for a
//! lock that is held for ever; it goes.

use super::TrustError;
use crate::sys::{
    fs::{Dir, FsError, Kind, Lock, Meta},
    utc::Utc,
};
use nix::errno::Errno;
use std::{
    ffi::{OsStr, OsString},
    thread,
    time::{Duration, Instant},
};

/// Mode of a lock folder of ours.
const OURS: u32 = 0o1700;
const STALE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// The held lock; the folder goes when this is dropped, if it is still the same one.
#[derive(Debug)]
pub(super) struct Lockfile<'a> {
    dir: &'a Dir,
    name: OsString,
    id: Option<(u64, u64)>,
}

impl Drop for Lockfile<'_> {
    fn drop(&mut self) {
        if let Ok(Some(meta)) = self.dir.stat(&self.name)
            && Some(meta.id) == self.id
        {
            // Left behind it is stale in ten seconds.
            let _ = self.dir.remove_dir(&self.name);
        }
    }
}

impl<'a> Lockfile<'a> {
    /// Takes it; the caller holds our own lock.
    pub(super) fn take(dir: &'a Dir, file: &OsStr, patience: Duration) -> Result<Self, TrustError> {
        let name = name(file);
        let start = Instant::now();
        loop {
            match dir.make_dir(&name, OURS) {
                Ok(()) => {
                    let id = dir.stat(&name)?.map(|meta| meta.id);
                    return Ok(Self { dir, name, id });
                }
                Err(error) if error.errno() == Some(Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
            match dir.stat(&name)? {
                Some(meta) if is_stale(meta) && remove(dir, &name, meta) => continue,
                None => continue,
                Some(_) if start.elapsed() < patience => thread::sleep(PAUSE),
                Some(_) => {
                    let waited_ms = start.elapsed().as_millis();
                    return Err(FsError::Locked { path: dir.child(&name), waited_ms }.into());
                }
            }
        }
    }
}

/// The name of a file's lock.
pub(super) fn name(file: &OsStr) -> OsString {
    let mut name = file.to_owned();
    name.push(".lock");
    name
}

/// Left behind by one of us, or not touched for ten seconds of wall-clock time (proper-lockfile's own rule).
fn is_stale(meta: Meta) -> bool {
    if meta.kind == Kind::Dir && meta.mode & 0o1000 != 0 {
        return true;
    }
    let now_ns = i128::from(Utc::now().0) * 1_000_000;
    now_ns - meta.mtime_ns > i128::try_from(STALE.as_nanos()).unwrap_or(i128::MAX)
}

fn remove(dir: &Dir, name: &OsString, meta: Meta) -> bool {
    match meta.kind {
        Kind::Dir => dir.remove_dir(name).is_ok(),
        // Empty, and nobody holds the old start's flock on it.
        Kind::File if meta.size == 0 => {
            Lock::take(dir, name, Duration::ZERO).is_ok_and(|_held| dir.remove_file(name).is_ok())
        }
        _ => false,
    }
}
