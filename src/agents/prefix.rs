//! The generations of a CLI inside an ordinary npm prefix.
//!
//! ```text
//! PREFIX/bin/codex -> ../lib/node_modules/@openai/codex/bin/codex.js      npm's own link, unchanged
//! PREFIX/lib/node_modules/@openai/codex -> ../../../.skill-init/codex/3-0.169.0/lib/node_modules/@openai/codex
//! PREFIX/.skill-init/codex/3-0.169.0/    a whole npm prefix: one generation, never changed again
//! PREFIX/.skill-init/codex/previous -> 2-0.164.0
//! PREFIX/.skill-init/staging/            where npm works; PREFIX/.skill-init/trash/ is being deleted
//! ```
//!
//! A switch replaces one symbolic link by rename(2): every start of the CLI sees the old generation or the
//! new one, and one that is under way stays in the folder that it began in, because node and the kernel
//! resolve the link once. npm itself takes such a link for a linked package: `npm install -g`, `update`,
//! `uninstall`, `ls` and `outdated` work as ever (install puts a plain folder in the link's place, which is
//! adopted before the next upgrade).

use super::catalogue::Engine;
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, RenameFlags, renameat2},
};
use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// What failed at which path.
#[derive(Debug, thiserror::Error)]
#[error("{what} {path}: {source}")]
pub struct PrefixError {
    /// What was tried: `cannot rename`, `cannot link`.
    pub what: &'static str,
    /// Where.
    pub path: PathBuf,
    /// errno.
    pub source: io::Error,
}

type Result<T> = std::result::Result<T, PrefixError>;

fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrefixError {
    let path = path.to_owned();
    move |source| PrefixError { what, path, source }
}

/// A complete, proven copy of a CLI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// `PREFIX/.skill-init/ENGINE/N-VERSION`: a whole npm prefix.
    pub dir: PathBuf,
    /// Its number; later ones are greater.
    pub number: u32,
    /// The version in its name.
    pub version: String,
}

/// What lies at the package's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Current {
    /// Nothing.
    Absent,
    /// A link to this generation.
    Generation(Generation),
    /// A plain folder: somebody's `npm install -g`.
    Plain,
    /// A link to somewhere else: somebody's `npm link`, or one that leads nowhere.
    Foreign,
}

/// What a package.json says about the commands of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Version.
    pub version: String,
    /// Command name and file below the package.
    pub bins: Vec<(String, PathBuf)>,
}

impl Manifest {
    /// Reads `PACKAGE/package.json`; `None` where it is missing or not one.
    pub fn read(package: &Path) -> Option<Self> {
        let text = fs::read_to_string(package.join("package.json")).ok()?;
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        let name = json.get("name")?.as_str()?;
        let file = |path: &str| PathBuf::from(path.strip_prefix("./").unwrap_or(path));
        let bins = match json.get("bin")? {
            serde_json::Value::String(path) => vec![(name.rsplit('/').next()?.to_owned(), file(path))],
            serde_json::Value::Object(map) => {
                map.iter().filter_map(|(name, path)| Some((name.clone(), file(path.as_str()?)))).collect()
            }
            _ => return None,
        };
        Some(Self { version: json.get("version")?.as_str()?.to_owned(), bins })
    }
    /// The file of one command.
    pub fn bin(&self, name: &str) -> Option<&Path> {
        self.bins.iter().find(|(known, _)| known == name).map(|(_, path)| path.as_path())
    }
}

/// One engine's place in a prefix. Whatever changes something needs the prefix's lock.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The npm prefix.
    pub prefix: &'a Path,
    /// The engine.
    pub engine: &'a Engine,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// `PREFIX/.skill-init`.
pub fn store(prefix: &Path) -> PathBuf {
    prefix.join(".skill-init")
}

/// The lock file of a prefix.
pub fn lock_file(prefix: &Path) -> PathBuf {
    store(prefix).join("lock")
}

/// Deletes what interrupted commands left: staging folders and half-deleted trash. Needs the lock.
pub fn sweep(prefix: &Path) -> Result<u32> {
    let mut swept = 0;
    for dir in [store(prefix).join("staging"), store(prefix).join("trash")] {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            remove(&entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn remove(path: &Path) -> Result<()> {
    let done = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("cannot remove", path)(error)),
        _ => Ok(()),
    }
}

impl Generation {
    /// The package inside the generation.
    pub fn package(&self, engine: &Engine) -> PathBuf {
        package_in(&self.dir, engine)
    }
    /// The program of the engine inside the generation.
    pub fn program(&self, engine: &Engine) -> Option<PathBuf> {
        program_in(&self.dir, engine)
    }
}

/// `DIR/lib/node_modules/PACKAGE`.
pub fn package_in(dir: &Path, engine: &Engine) -> PathBuf {
    dir.join("lib/node_modules").join(&engine.package)
}

/// The engine's program in a prefix, by the package's own metadata.
pub fn program_in(dir: &Path, engine: &Engine) -> Option<PathBuf> {
    let package = package_in(dir, engine);
    Manifest::read(&package)?.bin(&engine.binary).map(|file| package.join(file))
}

impl Place<'_> {
    fn home(&self) -> PathBuf {
        store(self.prefix).join(&self.engine.name)
    }
    /// The package's place in the prefix.
    pub fn package(&self) -> PathBuf {
        package_in(self.prefix, self.engine)
    }
    fn fresh(&self, folder: &str) -> Result<PathBuf> {
        let parent = store(self.prefix).join(folder);
        fs::create_dir_all(&parent).map_err(at("cannot make", &parent))?;
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(parent.join(format!("{}-{}-{n}", self.engine.name, std::process::id())))
    }

    /// A new, empty staging prefix on the prefix's own volume.
    pub fn staging(&self) -> Result<PathBuf> {
        let dir = self.fresh("staging")?;
        let lib = dir.join("lib");
        fs::create_dir_all(&lib).map_err(at("cannot make", &lib))?;
        Ok(dir)
    }

    /// Every generation, newest first.
    pub fn generations(&self) -> Vec<Generation> {
        let mut all: Vec<Generation> = fs::read_dir(self.home())
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| generation(entry.path()))
            .collect();
        all.sort_by_key(|g| std::cmp::Reverse(g.number));
        all
    }

    /// What lies at the package's place.
    pub fn current(&self) -> Current {
        let path = self.package();
        match fs::symlink_metadata(&path) {
            Err(_) => Current::Absent,
            Ok(meta) if meta.is_dir() => Current::Plain,
            Ok(_) => {
                let resolved = path.canonicalize().ok();
                self.generations()
                    .into_iter()
                    .find(|g| resolved.is_some() && g.package(self.engine).canonicalize().ok() == resolved)
                    .map_or(Current::Foreign, Current::Generation)
            }
        }
    }

    /// The generation that a rollback goes to: the noted one, else the newest that is not the current one. One
    /// of another version is preferred: after somebody's `npm install -g` of a version that is also kept, going
    /// back to the same version would change nothing.
    pub fn previous(&self) -> Option<Generation> {
        let current = self.current();
        let version = Manifest::read(&self.package()).map(|manifest| manifest.version);
        let noted =
            fs::read_link(self.home().join("previous")).ok().and_then(|name| generation(self.home().join(name)));
        let others: Vec<Generation> = noted
            .filter(|g| g.dir.is_dir())
            .into_iter()
            .chain(self.generations())
            .filter(|g| !matches!(&current, Current::Generation(c) if c.number == g.number))
            .collect();
        let other_version = others.iter().find(|g| Some(&g.version) != version.as_ref());
        other_version.or(others.first()).cloned()
    }

    /// Makes a generation of a staging prefix that has proven itself.
    pub fn promote(&self, staging: &Path, version: &str) -> Result<Generation> {
        let home = self.home();
        fs::create_dir_all(&home).map_err(at("cannot make", &home))?;
        let number = self.generations().first().map_or(1, |g| g.number + 1);
        let dir = home.join(format!("{number}-{version}"));
        sync(staging);
        fs::rename(staging, &dir).map_err(at("cannot rename into", &dir))?;
        sync_dir(&home);
        Ok(Generation { dir, number, version: version.to_owned() })
    }

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
        link_tree(&self.package(), &copy)?;
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
            && let Some(name) = now.dir.file_name()
        {
            self.replace_link(Path::new(name), &self.home().join("previous"))?;
        }
        self.point(to)?;
        self.link_commands(&manifest)
    }

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
        remove(&trash)
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
        link_tree(retired, &copy)?;
        self.promote(&staging, &manifest.version).map(Some)
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
                    remove(&aside)?;
                }
                Err(errno) => return Err(at("cannot exchange", place)(errno.into())),
            }
            remove(&new)?;
        } else {
            fs::rename(&new, place).map_err(at("cannot rename", &new))?;
        }
        if let Some(parent) = place.parent() {
            sync_dir(parent);
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
                remove(&link)?;
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

fn generation(dir: PathBuf) -> Option<Generation> {
    let (number, version) = dir.file_name()?.to_str()?.split_once('-')?;
    let (number, version) = (number.parse().ok()?, version.to_owned());
    Some(Generation { dir, number, version })
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

/// A copy of a tree whose files are hard links; copied where they cannot be linked (EPERM of
/// protected_hardlinks, EXDEV, EMLINK).
fn link_tree(from: &Path, to: &Path) -> Result<()> {
    let meta = fs::metadata(from).map_err(at("cannot read", from))?;
    fs::create_dir(to).map_err(at("cannot make", to))?;
    for entry in fs::read_dir(from).map_err(at("cannot read", from))? {
        let entry = entry.map_err(at("cannot read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(at("cannot read", &source))?;
        if kind.is_dir() {
            link_tree(&source, &target)?;
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
/// not find an empty generation behind the link.
fn sync(path: &Path) {
    if let Ok(dir) = fs::File::open(path) {
        let _ = nix::unistd::syncfs(&dir);
    }
}

fn sync_dir(path: &Path) {
    if let Ok(dir) = fs::File::open(path) {
        // Some file systems refuse fsync of a folder; the rename itself is atomic all the same.
        let _ = dir.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::catalogue::Catalogue;

    fn package(dir: &Path, version: &str, file: &str) {
        let package = dir.join("lib/node_modules/@openai/codex");
        fs::create_dir_all(package.join("bin")).unwrap();
        fs::write(
            package.join("package.json"),
            format!(r#"{{"name":"@openai/codex","version":"{version}","bin":{{"codex":"{file}"}}}}"#),
        )
        .unwrap();
        fs::write(package.join(file), version).unwrap();
    }

    fn with(test: impl FnOnce(Place<'_>)) {
        let dir = tempfile::tempdir().unwrap();
        let table = Catalogue::built_in();
        test(Place { prefix: dir.path(), engine: table.get("codex").unwrap() });
    }

    fn install(place: Place<'_>, version: &str, file: &str) -> Generation {
        let staging = place.staging().unwrap();
        package(&staging, version, file);
        let generation = place.promote(&staging, version).unwrap();
        place.switch(&generation).unwrap();
        place.collect().unwrap();
        generation
    }

    fn answer(place: Place<'_>) -> String {
        fs::read_to_string(place.prefix.join("bin/codex")).unwrap()
    }

    #[test]
    fn a_switch_changes_what_the_command_is_and_the_one_before_stays() {
        with(|place| {
            install(place, "1.0.0", "bin/codex.js");
            assert_eq!(answer(place), "1.0.0");
            install(place, "2.0.0", "bin/codex.js");
            let third = install(place, "3.0.0", "bin/codex.js");
            assert_eq!(answer(place), "3.0.0");
            let versions: Vec<_> = place.generations().into_iter().map(|g| g.version).collect();
            assert_eq!(versions, ["3.0.0", "2.0.0"]);
            assert_eq!(place.current(), Current::Generation(third));
            place.switch(&place.previous().unwrap()).unwrap();
            assert_eq!((answer(place).as_str(), place.previous().unwrap().version.as_str()), ("2.0.0", "3.0.0"));
        });
    }

    #[test]
    fn a_plain_folder_of_npm_is_adopted_with_the_same_bytes() {
        with(|place| {
            package(place.prefix, "1.0.0", "bin/codex.js");
            fs::create_dir_all(place.prefix.join("bin")).unwrap();
            symlink("../lib/node_modules/@openai/codex/bin/codex.js", place.prefix.join("bin/codex")).unwrap();
            assert_eq!(place.current(), Current::Plain);
            let first = place.adopt().unwrap().unwrap();
            assert_eq!((answer(place).as_str(), place.current()), ("1.0.0", Current::Generation(first)));
            install(place, "2.0.0", "bin/codex.js");
            assert_eq!(place.previous().unwrap().version, "1.0.0");
        });
    }

    #[test]
    fn a_rollback_after_somebodys_install_goes_to_another_version() {
        with(|place| {
            let first = install(place, "1.0.0", "bin/codex.js");
            install(place, "2.0.0", "bin/codex.js");
            place.switch(&first).unwrap();
            // npm puts a plain folder in the link's place.
            fs::remove_file(place.package()).unwrap();
            package(place.prefix, "2.0.0", "bin/codex.js");
            place.collect().unwrap();
            place.adopt().unwrap().unwrap();
            assert_eq!(place.previous().unwrap().version, "1.0.0");
        });
    }

    #[test]
    fn a_command_that_moved_inside_the_package_is_found_by_its_old_path_too() {
        with(|place| {
            install(place, "1.0.0", "bin/codex");
            let second = install(place, "2.0.0", "codex.exe");
            let old = second.package(place.engine).join("bin/codex");
            assert_eq!((fs::read_to_string(old).unwrap().as_str(), answer(place).as_str()), ("2.0.0", "2.0.0"));
        });
    }

    #[test]
    fn a_file_of_somebody_else_in_bin_is_not_replaced() {
        with(|place| {
            fs::create_dir_all(place.prefix.join("bin")).unwrap();
            fs::write(place.prefix.join("bin/codex"), "mine").unwrap();
            let staging = place.staging().unwrap();
            package(&staging, "1.0.0", "bin/codex.js");
            let generation = place.promote(&staging, "1.0.0").unwrap();
            assert!(place.switch(&generation).unwrap_err().to_string().contains("remove it first"));
            assert_eq!(answer(place), "mine");
        });
    }

    #[test]
    fn what_npm_left_aside_is_recognised_and_nothing_else() {
        with(|place| {
            let scope = place.package().parent().unwrap().to_owned();
            for name in [".codex-aB3dE5gH", ".codex-short", "codex-aB3dE5gH", ".other-aB3dE5gH"] {
                fs::create_dir_all(scope.join(name)).unwrap();
            }
            assert_eq!(place.retired(), [scope.join(".codex-aB3dE5gH")]);
        });
    }
}
