//! The command that mends a refusal, for the one line that a person reads.

use crate::sys::fs::{FsError, Kind};
use nix::errno::Errno;
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What to do about an error; `None`: the error says it all.
pub(super) fn mend(error: &FsError) -> Option<String> {
    let path = error.path();
    match error {
        FsError::Sys { errno: Errno::EACCES | Errno::EPERM, .. } => Some(denied(path)),
        FsError::Sys { errno: Errno::EROFS, .. } => Some(format!(
            "mount a writable volume there: docker run -v NAME:{0}, or in Kubernetes a volumeMount of {0} without readOnly",
            existing(path).0.display()
        )),
        FsError::Sys { errno: Errno::ENOSPC | Errno::EDQUOT, .. } => {
            Some(format!("make room: df -h {0}; df -i {0}", existing(path).0.display()))
        }
        FsError::Link { .. } => Some(format!("put a folder or a file there: rm {}", path.display())),
        FsError::Kind { wanted: Kind::Dir, .. } => Some(format!("move it away: mv {0} {0}.old", path.display())),
        _ => None,
    }
}

fn denied(path: &Path) -> String {
    let (folder, owner) = existing(path);
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let of =
        owner.map_or_else(String::new, |(uid, gid, mode)| format!("{} is {uid}:{gid} {mode:04o}; ", folder.display()));
    format!(
        "{of}as root: chown -R {uid}:{gid} {0} (Kubernetes: securityContext.fsGroup: {gid}; Docker: start as root with SKILL_INIT_USER={uid}:{gid} once)",
        folder.display()
    )
}

/// The nearest folder that exists, with its owner and mode.
fn existing(path: &Path) -> (PathBuf, Option<(u32, u32, u32)>) {
    for part in path.ancestors() {
        if let Ok(meta) = std::fs::symlink_metadata(part)
            && meta.is_dir()
        {
            return (part.to_owned(), Some((meta.uid(), meta.gid(), meta.mode() & 0o7777)));
        }
    }
    (path.to_owned(), None)
}
