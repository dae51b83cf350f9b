//! What interrupted commands leave behind, ours and npm's: recognised, brought back, or deleted.

use super::{Current, Generation, Manifest, Place, Result, at, package_in, store, tree};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Deletes what interrupted commands left: staging folders and half-deleted trash. Needs the lock.
pub fn sweep(prefix: &Path) -> Result<u32> {
    let mut swept = 0;
    for dir in [store(prefix).join("staging"), store(prefix).join("trash")] {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            tree::remove(&entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}

impl Place<'_> {
    /// Deletes every generation that is neither current nor previous (nor the only one left).
    pub fn collect(&self) -> Result<()> {
        let current = self.current();
        let previous = self.previous();
        for generation in self.generations() {
            let kept = matches!(&current, Current::Generation(c) if c.number == generation.number)
                || previous.as_ref().is_some_and(|p| p.number == generation.number);
            if !kept {
                self.discard(&generation.dir)?;
            }
        }
        Ok(())
    }

    /// Deletes a folder of the store: out of sight by one rename first, so that no half of it is ever found.
    pub fn discard(&self, dir: &Path) -> Result<()> {
        let trash = self.fresh("trash")?;
        fs::rename(dir, &trash).map_err(at("cannot rename", dir))?;
        tree::remove(&trash)
    }

    /// Folders that an interrupted npm left aside: `.codex-XXXXXXXX` beside the package.
    pub fn retired(&self) -> Vec<PathBuf> {
        let package = self.package();
        let (Some(parent), Some(name)) = (package.parent(), package.file_name().and_then(|n| n.to_str())) else {
            return Vec::new();
        };
        leftovers(parent, name)
    }

    /// Links that an interrupted npm left aside: `.codex-XXXXXXXX` in `bin`.
    pub fn retired_links(&self) -> Vec<PathBuf> {
        leftovers(&self.prefix.join("bin"), &self.engine.binary)
    }

    /// Makes a generation of a folder that npm left aside. `None`: it is not a package.
    pub fn rescue(&self, retired: &Path) -> Result<Option<Generation>> {
        let Some(manifest) = Manifest::read(retired) else { return Ok(None) };
        let staging = self.staging()?;
        let copy = package_in(&staging, self.engine);
        if let Some(parent) = copy.parent() {
            fs::create_dir_all(parent).map_err(at("cannot make", parent))?;
        }
        tree::link(retired, &copy)?;
        self.promote(&staging, &manifest.version).map(Some)
    }
}

/// `.NAME-XXXXXXXX`: npm's name for what it moved aside (eight letters or digits).
fn leftovers(parent: &Path, name: &str) -> Vec<PathBuf> {
    let start = format!(".{name}-");
    fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            entry.file_name().to_str().and_then(|n| n.strip_prefix(&start)).is_some_and(|rest| {
                rest.len() == 8 && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
            })
        })
        .map(|entry| entry.path())
        .collect()
}
