//! Between generations: one link, one rename.
//!
//! Nothing here may leave an instant in which the command is missing; `tests/agents` kills at every call.

use super::{Current, Generation, Manifest, Place, Result, at, package_in, tree};
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, RenameFlags, renameat2},
};
use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

impl Place<'_> {
    /// Makes a generation of a plain folder at the package's place and puts a link there instead, so that the
    /// next switch is one rename. The folder's files are shared by hard links: a start that is under way finds
    /// the same bytes at both paths. `None`: there is no plain folder.
    pub fn adopt(&self) -> Result<Option<Generation>> {
        if self.current() != Current::Plain {
            return Ok(None);
        }
        let Some(manifest) = Manifest::read(&self.package()) else { return Ok(None) };
        let staging = self.staging()?;
        let copy = package_in(&staging, self.engine);
        if let Some(parent) = copy.parent() {
            fs::create_dir_all(parent).map_err(at("cannot make", parent))?;
        }
        tree::link(&self.package(), &copy)?;
        let generation = self.promote(&staging, &manifest.version)?;
        self.point(&generation)?;
        Ok(Some(generation))
    }

    /// Makes this generation the current one; the one before becomes `previous`.
    pub fn switch(&self, to: &Generation) -> Result<()> {
        let manifest = Manifest::read(&to.package(self.engine))
            .ok_or_else(|| at("no package.json in", &to.dir)(io::Error::from(io::ErrorKind::NotFound)))?;
        self.keep_old_paths(to, &manifest)?;
        if let Current::Generation(now) = self.current()
            && now.number != to.number
        {
            self.note(&now)?;
        }
        self.point(to)?;
        self.link_commands(&manifest)
    }

    /// Takes a switch back: `to` is the current one again, and `previous` what it was then.
    pub fn switch_back(&self, to: &Generation, noted: Option<&Generation>) -> Result<()> {
        self.switch(to)?;
        noted.map_or(Ok(()), |noted| self.note(noted))
    }

    fn note(&self, previous: &Generation) -> Result<()> {
        let name = previous.dir.file_name().map_or(previous.dir.as_path(), Path::new);
        self.replace_link(name, &self.home().join("previous"))
    }

    /// Points the package's place at a generation, in one rename.
    fn point(&self, to: &Generation) -> Result<()> {
        let package = self.package();
        let ups = "../".repeat(1 + self.engine.package.split('/').count());
        let below = to.package(self.engine);
        let below = below.strip_prefix(self.prefix).unwrap_or(&below);
        self.replace_link(&Path::new(&ups).join(below), &package)
    }

    /// Puts a link at a place where nothing, a link or a folder is, without an instant in between.
    fn replace_link(&self, text: &Path, place: &Path) -> Result<()> {
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(at("cannot make", parent))?;
        }
        let new = self.fresh("trash")?;
        symlink(text, &new).map_err(at("cannot link", &new))?;
        if fs::symlink_metadata(place).is_ok_and(|meta| meta.is_dir()) {
            match renameat2(AT_FDCWD, &new, AT_FDCWD, place, RenameFlags::RENAME_EXCHANGE) {
                Ok(()) => {}
                // A file system without exchange (NFS, 9p): two renames, with a short gap.
                Err(Errno::EINVAL | Errno::ENOSYS | Errno::EXDEV | Errno::EOPNOTSUPP) => {
                    let aside = self.fresh("trash")?;
                    fs::rename(place, &aside).map_err(at("cannot rename", place))?;
                    fs::rename(&new, place).map_err(at("cannot rename", &new))?;
                    tree::remove(&aside)?;
                }
                Err(errno) => return Err(at("cannot exchange", place)(errno.into())),
            }
            tree::remove(&new)?;
        } else {
            fs::rename(&new, place).map_err(at("cannot rename", &new))?;
        }
        if let Some(parent) = place.parent() {
            tree::sync_dir(parent);
        }
        Ok(())
    }

    /// npm's links in `bin`, for every command of the package.
    fn link_commands(&self, manifest: &Manifest) -> Result<()> {
        let bin = self.prefix.join("bin");
        for (name, file) in &manifest.bins {
            let link = bin.join(name);
            let text = Path::new("../lib/node_modules").join(&self.engine.package).join(file);
            match fs::symlink_metadata(&link) {
                Ok(meta) if !meta.is_symlink() => {
                    let source = io::Error::from(io::ErrorKind::AlreadyExists);
                    return Err(at("not a link of npm's, remove it first:", &link)(source));
                }
                Ok(_) if fs::read_link(&link).is_ok_and(|now| now == text) => {}
                _ => self.replace_link(&text, &link)?,
            }
        }
        for (link, _) in self.own_links() {
            if !link.exists() {
                tree::remove(&link)?;
            }
        }
        Ok(())
    }

    /// Where a command moved inside the package (`bin/opencode` became `bin/opencode.exe`), the old path
    /// stays good in the new generation: between the switch of the package and that of the command's link
    /// somebody may call it.
    fn keep_old_paths(&self, to: &Generation, manifest: &Manifest) -> Result<()> {
        for (link, file) in self.own_links() {
            let name = link.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let old = to.package(self.engine).join(&file);
            if let Some(new) = manifest.bin(name).filter(|_| fs::symlink_metadata(&old).is_err()) {
                let ups = "../".repeat(file.components().count().saturating_sub(1));
                if let Some(parent) = old.parent() {
                    fs::create_dir_all(parent).map_err(at("cannot make", parent))?;
                }
                symlink(Path::new(&ups).join(new), &old).map_err(at("cannot link", &old))?;
            }
        }
        Ok(())
    }

    /// The links in `bin` that lead into this package, with the file they name.
    fn own_links(&self) -> Vec<(PathBuf, PathBuf)> {
        let into = Path::new("../lib/node_modules").join(&self.engine.package);
        fs::read_dir(self.prefix.join("bin"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let text = fs::read_link(entry.path()).ok()?;
                Some((entry.path(), text.strip_prefix(&into).ok()?.to_owned()))
            })
            .collect()
    }
}
