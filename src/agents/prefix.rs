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

mod leftovers;
mod switch;
mod tree;

pub use leftovers::sweep;

use super::catalogue::Engine;
use std::{
    fs,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// No `package.json` is longer.
const MANIFEST_BYTES: u64 = 4 << 20;

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
    /// Reads `PACKAGE/package.json`; `None` where it is missing, not one, or longer than any (agents can write there).
    pub fn read(package: &Path) -> Option<Self> {
        let mut text = String::new();
        let file =
            fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(package.join("package.json")).ok()?;
        file.take(MANIFEST_BYTES).read_to_string(&mut text).ok()?;
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

    /// The generation that `previous` names.
    pub fn noted(&self) -> Option<Generation> {
        let name = fs::read_link(self.home().join("previous")).ok()?;
        generation(self.home().join(name)).filter(|g| g.dir.is_dir())
    }

    /// The generation that a rollback goes to: the noted one, else the newest that is not the current one. One
    /// of another version is preferred: after somebody's `npm install -g` of a version that is also kept, going
    /// back to the same version would change nothing.
    pub fn previous(&self) -> Option<Generation> {
        let current = self.current();
        let version = Manifest::read(&self.package()).map(|manifest| manifest.version);
        let others: Vec<Generation> = self
            .noted()
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
        tree::sync(staging)?;
        fs::rename(staging, &dir).map_err(at("cannot rename into", &dir))?;
        tree::sync_dir(&home);
        Ok(Generation { dir, number, version: version.to_owned() })
    }
}

fn generation(dir: PathBuf) -> Option<Generation> {
    let (number, version) = dir.file_name()?.to_str()?.split_once('-')?;
    let (number, version) = (number.parse().ok()?, version.to_owned());
    Some(Generation { dir, number, version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::catalogue::Catalogue;
    use std::os::unix::fs::symlink;

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
