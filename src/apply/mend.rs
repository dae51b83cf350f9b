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
            missing(path).unwrap_or_else(|| existing(path).0).display()
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
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    if let Some(folder) = missing(path) {
        return format!(
            "as root: install -d -o {uid} -g {gid} {0} (or a volume there: docker run -v NAME:{0}, in Kubernetes a volumeMount of {0} with securityContext.fsGroup: {gid})",
            folder.display()
        );
    }
    let (folder, owner) = existing(path);
    let of =
        owner.map_or_else(String::new, |(uid, gid, mode)| format!("{} is {uid}:{gid} {mode:04o}; ", folder.display()));
    format!(
        "{of}as root: chown -R {uid}:{gid} {0} (Kubernetes: securityContext.fsGroup: {gid}; Docker: start as root with SKILL_INIT_USER={uid}:{gid} once)",
        folder.display()
    )
}

/// The folder to make where the nearest one that exists is the system's own: nobody gives the root, or `/opt`, to the agents'
/// user, or mounts over them. `None`: it may be given.
fn missing(path: &Path) -> Option<PathBuf> {
    let (folder, _) = existing(path);
    let device = |path: &Path| std::fs::metadata(path).ok().map(|meta| meta.dev());
    let system = folder.parent().is_none_or(|above| above.parent().is_none() && device(above) == device(&folder));
    // The first part that is not there.
    let first = path.ancestors().take_while(|part| **part != folder).last()?;
    (system && std::fs::symlink_metadata(first).is_err()).then(|| first.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_give_away_the_root_or_to_mount_over_it() {
        let gone = Path::new("/no-such-volume/runs");
        for words in
            [denied(gone), mend(&FsError::Sys { op: "create", path: gone.to_owned(), errno: Errno::EROFS }).unwrap()]
        {
            assert!(words.contains(" /no-such-volume ") || words.contains("NAME:/no-such-volume,"), "{words}");
            assert!(!words.contains("chown") && !words.contains("NAME:/,"), "{words}");
        }
        // A volume, and a folder that is there: they are given to whoever uses them.
        assert!(denied(Path::new("/proc/no-such/file")).contains("chown -R"));
        assert!(denied(Path::new("/tmp")).contains("/tmp (Kubernetes"));
    }
}
