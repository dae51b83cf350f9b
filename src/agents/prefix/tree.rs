//! Trees of files: linked, deleted, and brought to the disk.

use super::{Result, at};
use std::{fs, io, os::unix::fs::symlink, path::Path};

/// A copy of a tree whose files are hard links; copied where they cannot be linked (EPERM of
/// protected_hardlinks, EXDEV, EMLINK).
pub(super) fn link(from: &Path, to: &Path) -> Result<()> {
    let meta = fs::metadata(from).map_err(at("cannot read", from))?;
    fs::create_dir(to).map_err(at("cannot make", to))?;
    for entry in fs::read_dir(from).map_err(at("cannot read", from))? {
        let entry = entry.map_err(at("cannot read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(at("cannot read", &source))?;
        if kind.is_dir() {
            link(&source, &target)?;
        } else if kind.is_symlink() {
            let text = fs::read_link(&source).map_err(at("cannot read", &source))?;
            symlink(text, &target).map_err(at("cannot link", &target))?;
        } else if fs::hard_link(&source, &target).is_err() {
            fs::copy(&source, &target).map_err(at("cannot copy", &source))?;
        }
    }
    fs::set_permissions(to, meta.permissions()).map_err(at("cannot set the mode of", to))
}

/// Everything written so far on this file system reaches the disk: syncfs(2). Power loss after the switch must
/// not find an empty generation behind the link; a disk that fails (told since Linux 5.8) must not get one.
pub(super) fn sync(path: &Path) -> Result<()> {
    let dir = fs::File::open(path).map_err(at("cannot open", path))?;
    nix::unistd::syncfs(&dir).map_err(|errno| at("cannot bring to the disk", path)(errno.into()))
}

pub(super) fn sync_dir(path: &Path) {
    if let Ok(dir) = fs::File::open(path) {
        // Some file systems refuse fsync of a folder; the rename itself is atomic all the same.
        let _ = dir.sync_all();
    }
}

pub(super) fn remove(path: &Path) -> Result<()> {
    let done = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("cannot remove", path)(error)),
        _ => Ok(()),
    }
}
