//! The switch: an order on disk, and carrying it out as often as it takes. Blocking.
//!
//! | moment | place | staged | kept | next |
//! | --- | --- | --- | --- | --- |
//! | ordered | old | new | - | exchange the two, one rename |
//! | exchanged | new | old | - | staged becomes kept |
//! | done | new | - | old | |
//!
//! Where the file system cannot exchange (a layer of an image, NFS): `kept` is made whole as a copy, the old one is
//! removed, the new one renamed. There the skill is missing for that moment; the order on disk is what brings it back.

use super::version;
use crate::files;
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, RenameFlags, renameat2},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Where packages are unpacked, below the skills folder: the same file system, so that a rename is enough.
pub(super) const STAGING: &str = ".staging";
const ORDER: &str = "order.json";

/// A new skill, or a higher version of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// Nothing valid was there.
    Install,
    /// A lower version was.
    Update,
}

impl Action {
    /// `install` or `update`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Update => "update",
        }
    }
}

/// What will be done, whatever happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// The skill.
    pub(super) skill_id: String,
    /// Its new version.
    pub(super) version: String,
    /// What it is.
    pub(super) action: Action,
    /// Where the old folder goes, relative to the skills folder.
    keep: Option<PathBuf>,
    /// The inode of the new folder: which of two folders it is, also after a crash.
    inode: u64,
}

/// A package's staging folder, `skills/.staging/<request>`.
#[derive(Debug, Clone)]
pub(super) struct Staging {
    skills: PathBuf,
    folder: PathBuf,
}

impl Staging {
    /// Of a request.
    pub(super) fn new(skills: &Path, request_id: &str) -> Self {
        Self { skills: skills.to_owned(), folder: skills.join(STAGING).join(request_id) }
    }

    /// Where the archive is unpacked.
    pub(super) fn unpacked(&self) -> PathBuf {
        self.folder.join("unpacked")
    }

    fn staged(&self, id: &str) -> PathBuf {
        self.unpacked().join(id)
    }

    /// Makes it; the error is for the operator.
    pub(super) fn create(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)
    }

    /// Throws it away, unless an order was begun that another start has to finish.
    pub(super) fn remove(&self) -> io::Result<()> {
        if let Some(order) = self.order()? {
            if self.begun(&order) {
                return Err(io::Error::other("its order was begun and could not be finished"));
            }
            // First: an order must never be found beside half a package.
            fs::remove_file(self.folder.join(ORDER))?;
        }
        files::remove_tree(&self.folder)
    }

    /// Something of the skills folder was changed, and something is still to be done.
    fn begun(&self, order: &Order) -> bool {
        let there = |path: &Path| fs::symlink_metadata(path).is_ok();
        let kept = order.keep.as_ref().is_some_and(|keep| there(&self.skills.join(keep)));
        there(&self.staged(&order.skill_id)) && (kept || order.is_new(&self.skills.join(&order.skill_id)))
    }

    /// The order that a crash left, if it got that far.
    pub(super) fn order(&self) -> io::Result<Option<Order>> {
        match files::read_small(&self.folder.join(ORDER)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Decides what happens to the folder that is there and writes the order down, after everything unpacked is on disk.
    pub(super) fn give_order(&self, id: &str, new: &str, old: Option<&str>) -> io::Result<Order> {
        let there = fs::symlink_metadata(self.skills.join(id)).is_ok();
        let keep = match (there, old) {
            (false, _) => None,
            (true, Some(old)) => Some(self.free(&Path::new(".archive").join(id).join(version::folder_name(old)))),
            (true, None) => Some(self.free(&Path::new(".invalid").join(id))),
        };
        let staged = fs::File::open(self.staged(id))?;
        nix::unistd::syncfs(&staged)?;
        let order = Order {
            skill_id: id.to_owned(),
            version: new.to_owned(),
            action: if old.is_some() { Action::Update } else { Action::Install },
            keep,
            inode: staged.metadata()?.ino(),
        };
        files::write_json(&self.folder.join(ORDER), &order)?;
        Ok(order)
    }

    /// `name`, else `name~2`, `name~3`: what was archived once is never overwritten.
    fn free(&self, name: &Path) -> PathBuf {
        let numbered = (2..).map(|n| PathBuf::from(format!("{}~{n}", name.display())));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        names.find(|name| fs::symlink_metadata(self.skills.join(name)).is_err()).unwrap_or_else(|| name.to_owned())
    }

    /// Carries an order out, from whatever moment it was left at. The order stays until the request is known to have
    /// succeeded: only then may the staging folder go.
    pub(super) fn carry_out(&self, order: &Order) -> io::Result<()> {
        let (place, staged) = (self.skills.join(&order.skill_id), self.staged(&order.skill_id));
        if fs::symlink_metadata(&staged).is_ok() {
            match &order.keep {
                None => fs::rename(&staged, &place)?,
                Some(keep) => self.replace(order, &place, &staged, &self.skills.join(keep))?,
            }
        }
        fs::File::open(&self.skills)?.sync_all()
    }

    fn replace(&self, order: &Order, place: &Path, staged: &Path, keep: &Path) -> io::Result<()> {
        if let Some(parent) = keep.parent() {
            fs::create_dir_all(parent)?;
        }
        // Whole, because it only ever gets this name by a rename: the way without an exchange was begun.
        if fs::symlink_metadata(keep).is_ok() {
            files::remove_tree(place)?;
            return fs::rename(staged, place);
        }
        if !order.is_new(place) {
            match renameat2(AT_FDCWD, staged, AT_FDCWD, place, RenameFlags::RENAME_EXCHANGE) {
                Ok(()) => {}
                Err(Errno::EINVAL | Errno::ENOSYS | Errno::EXDEV | Errno::EOPNOTSUPP) => {
                    let copy = self.folder.join("kept");
                    files::remove_tree(&copy)?;
                    files::copy_tree(place, &copy)?;
                    nix::unistd::syncfs(fs::File::open(&copy)?)?;
                    fs::rename(&copy, keep)?;
                    files::remove_tree(place)?;
                    return fs::rename(staged, place);
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        fs::rename(staged, keep)
    }
}

impl Order {
    /// Is the new folder the one at this place?
    fn is_new(&self, place: &Path) -> bool {
        fs::symlink_metadata(place).is_ok_and(|meta| meta.ino() == self.inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skill(at: &Path, version: &str) {
        fs::create_dir_all(at).unwrap();
        fs::write(at.join("version"), version).unwrap();
    }

    fn version_at(path: &Path) -> String {
        fs::read_to_string(path.join("version")).unwrap_or_else(|_| "-".to_owned())
    }

    /// A skills folder with version 1, an order for version 2, and the moment at which a worker died.
    fn left_at(moment: impl FnOnce(&Path, &Path, &Path)) -> (String, String, bool) {
        let dir = tempfile::tempdir().unwrap();
        let skills = dir.path();
        skill(&skills.join("demo"), "1");
        let staging = Staging::new(skills, "r");
        skill(&staging.staged("demo"), "2");
        let order = staging.give_order("demo", "2", Some("1")).unwrap();
        let keep = skills.join(".archive/demo/1");
        moment(&skills.join("demo"), &staging.staged("demo"), &keep);
        let found = staging.order().unwrap().unwrap();
        assert_eq!(found, order);
        staging.carry_out(&found).unwrap();
        // Once more, as after a crash before the request was told to have succeeded.
        staging.carry_out(&found).unwrap();
        (version_at(&skills.join("demo")), version_at(&keep), skills.join(".archive/demo/1~2").exists())
    }

    #[test]
    fn an_order_is_carried_out_from_every_moment_at_which_it_can_be_left() {
        let done = ("2".to_owned(), "1".to_owned(), false);
        let swap = |place: &Path, staged: &Path| {
            renameat2(AT_FDCWD, staged, AT_FDCWD, place, RenameFlags::RENAME_EXCHANGE).unwrap();
        };
        let kept = |keep: &Path| fs::create_dir_all(keep.parent().unwrap()).unwrap();
        assert_eq!(left_at(|_, _, _| {}), done, "just ordered");
        assert_eq!(left_at(|_, _, keep| kept(keep)), done, "the archive's folder is there");
        assert_eq!(left_at(|place, staged, _| swap(place, staged)), done, "exchanged");
        assert_eq!(
            left_at(|place, staged, keep| {
                swap(place, staged);
                kept(keep);
                fs::rename(staged, keep).unwrap();
            }),
            done,
            "archived"
        );
        // The way without an exchange.
        assert_eq!(left_at(|place, _, keep| files::copy_tree(place, keep).unwrap()), done, "copied");
        assert_eq!(
            left_at(|place, _, keep| {
                files::copy_tree(place, keep).unwrap();
                fs::remove_file(place.join("version")).unwrap();
            }),
            done,
            "half removed"
        );
        assert_eq!(
            left_at(|place, _, keep| {
                kept(keep);
                fs::rename(place, keep).unwrap();
            }),
            done,
            "removed"
        );
    }

    #[test]
    fn an_order_that_is_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::new(dir.path(), "r");
        staging.create().unwrap();
        nix::unistd::mkfifo(&staging.folder.join(ORDER), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(staging.order().unwrap_err().to_string(), "it is not a regular file");
    }

    #[test]
    fn what_was_archived_once_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        for round in 1..=2 {
            skill(&dir.path().join("demo"), &format!("old {round}"));
            let staging = Staging::new(dir.path(), "r");
            skill(&staging.staged("demo"), "2");
            let order = staging.give_order("demo", "2", Some("1")).unwrap();
            staging.carry_out(&order).unwrap();
            staging.remove().unwrap();
            files::remove_tree(&dir.path().join("demo")).unwrap();
        }
        assert_eq!(version_at(&dir.path().join(".archive/demo/1")), "old 1");
        assert_eq!(version_at(&dir.path().join(".archive/demo/1~2")), "old 2");
    }
}
