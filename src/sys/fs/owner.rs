//! Ownership of a whole volume, repaired without ever following a link.

use super::{Dir, FsError, Kind, Owner};
use nix::{
    errno::Errno,
    fcntl::AtFlags,
    unistd::{fchown, fchownat},
};
use std::path::PathBuf;

/// What [`chown_tree`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChownReport {
    /// Entries whose owner was changed.
    pub changed: u64,
    /// Entries that were right already.
    pub right: u64,
    /// Entries that could not be changed.
    pub failed: u64,
    /// The first failure.
    pub first_failure: Option<FsError>,
}

/// Gives everything below `top` to `owner`, and `top` itself last: its owner is the mark that the work is
/// complete, so that a start that was interrupted here goes on with the next one.
///
/// Stays on `top`'s file system, changes links themselves and never their targets (fchownat(2) with
/// `AT_SYMLINK_NOFOLLOW`), and stops with an error after `max` entries.
pub fn chown_tree(top: &Dir, owner: Owner, max: u64) -> Result<ChownReport, FsError> {
    let mut report = ChownReport::default();
    let device = top.meta()?.id.0;
    let (uid, gid) = (Some(owner.uid.into()), Some(owner.gid.into()));
    let mut seen = 0u64;
    // By path from the top and opened without links each time: a descriptor per level would be unbounded.
    let mut todo: Vec<PathBuf> = vec![PathBuf::new()];
    while let Some(path) = todo.pop() {
        let (folder, names) = match top.sub(&path).and_then(|dir| dir.names(usize::MAX).map(|names| (dir, names))) {
            Ok(found) => found,
            // Gone meanwhile: nothing to do there.
            Err(error) if error.is_missing() => continue,
            Err(error) => {
                report.fail(error);
                continue;
            }
        };
        for name in names {
            seen += 1;
            if seen > max {
                return Err(FsError::sys("chown all of", top.path(), Errno::E2BIG));
            }
            let meta = match folder.stat(&name) {
                Ok(Some(meta)) if meta.id.0 == device => meta,
                Ok(_) => continue,
                Err(error) => {
                    report.fail(error);
                    continue;
                }
            };
            if (meta.uid, meta.gid) == (owner.uid, owner.gid) {
                report.right += 1;
            } else {
                match fchownat(folder.fd(), name.as_os_str(), uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW) {
                    Ok(()) => report.changed += 1,
                    Err(Errno::ENOENT) => {}
                    Err(errno) => report.fail(FsError::sys("chown", folder.child(&name), errno)),
                }
            }
            if meta.kind == Kind::Dir {
                todo.push(path.join(&name));
            }
        }
    }
    if report.failed == 0 {
        match fchown(top.fd(), uid, gid) {
            Ok(()) => report.changed += 1,
            Err(errno) => report.fail(FsError::sys("chown", top.path(), errno)),
        }
    }
    Ok(report)
}

impl ChownReport {
    fn fail(&mut self, error: FsError) {
        self.failed += 1;
        self.first_failure.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn a_volume_is_given_away_with_its_links_but_not_their_targets() {
        if !nix::unistd::Uid::effective().is_root() {
            return crate::skips::skip("only root gives files away");
        }
        let temp = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::fs::create_dir_all(temp.path().join("a/b")).unwrap();
        std::fs::write(temp.path().join("a/b/f"), "").unwrap();
        symlink(outside.path(), temp.path().join("a/link")).unwrap();
        let owner = Owner { uid: 10001, gid: 10002 };
        let report = chown_tree(&Dir::open(temp.path()).unwrap(), owner, 100).unwrap();
        assert_eq!(report, ChownReport { changed: 5, ..ChownReport::default() });
        for path in ["", "a", "a/b", "a/b/f", "a/link"] {
            let meta = temp.path().join(path).symlink_metadata().unwrap();
            assert_eq!((meta.uid(), meta.gid()), (10001, 10002), "{path}");
        }
        assert_eq!(outside.path().metadata().unwrap().uid(), 0);
    }

    #[test]
    fn more_entries_than_the_bound_is_an_error_and_leaves_the_mark_unset() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("f"), "").unwrap();
        let before = temp.path().metadata().unwrap().uid();
        chown_tree(&Dir::open(temp.path()).unwrap(), Owner { uid: 10001, gid: 10001 }, 0).unwrap_err();
        assert_eq!(temp.path().metadata().unwrap().uid(), before);
    }
}
