//! Looks at everything that the files part of the plan depends on. Reads only.

use crate::{
    agents::{
        credentials::{MAX_CREDENTIAL, State},
        trust,
    },
    plan::files::{Observed, Seen, Source, Wishes},
    settings::Secret,
    sys::fs::{Dir, FsError, Kind, is_unused, stale},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Gathers what `plan::files::plan` needs.
pub fn observe(wishes: &Wishes<'_>) -> Observed {
    let layout = wishes.layout;
    let mut seen = Observed { uid: nix::unistd::geteuid().as_raw(), ..Observed::default() };
    let runs = layout.runs();
    for path in [&layout.data, &runs, &layout.cache, &layout.app, &layout.npm_prefix, &layout.uv_cache, &layout.uv_venv]
    {
        folder(path, Dir::open(path), &mut seen, path == &layout.data || path == &layout.cache);
    }
    home(wishes, &mut seen);
    seen.runs_key = resolve(&layout.runs()).into_os_string().into_string().ok();
    if let Ok(app) = Dir::open(&layout.app) {
        for asset in wishes.engines().flat_map(|engine| &engine.configs).filter_map(|config| config.asset.as_ref()) {
            if let Ok((bytes, _)) = app.read_beneath(asset, trust::MAX_CONFIG) {
                seen.assets.insert(asset.clone(), bytes);
            }
        }
    }
    if wishes.import {
        seen.sources = sources(wishes);
        let state = layout.import_state();
        let dir = Dir::open(state.parent().unwrap_or(Path::new("/")));
        let bytes = dir.and_then(|dir| dir.read(state.file_name().unwrap_or_default(), trust::MAX_CONFIG));
        seen.import_state = bytes.map(|(bytes, _)| State::parse(&bytes)).unwrap_or_default();
    }
    seen
}

/// What the import folder holds of what the engine table names.
fn sources(wishes: &Wishes<'_>) -> BTreeMap<PathBuf, Source> {
    let mut found = BTreeMap::new();
    let Ok(import) = Dir::open(&wishes.layout.import) else { return found };
    for (_, credential) in wishes.credentials() {
        let source = match import.read_beneath(&credential.source, MAX_CREDENTIAL) {
            Ok((bytes, _)) => Source::Content(Secret::new(bytes)),
            Err(error) if error.is_missing() => continue,
            Err(error) => Source::Refused(error),
        };
        found.insert(credential.source.clone(), source);
    }
    found
}

fn home(wishes: &Wishes<'_>, seen: &mut Observed) {
    let path = &wishes.layout.agent_home;
    let Some(home) = folder(path, Dir::open(path), seen, true) else { return };
    // Each folder is opened once, its files are read through it.
    let mut dirs: BTreeMap<PathBuf, Option<Dir>> = BTreeMap::new();
    for part in wishes.engines().flat_map(|engine| &engine.dirs).flat_map(|dir| dir.ancestors()) {
        if !part.as_os_str().is_empty() && !dirs.contains_key(part) {
            let dir = folder(&path.join(part), home.sub(part), seen, true);
            dirs.insert(part.to_owned(), dir);
        }
    }
    dirs.insert(PathBuf::new(), Some(home));
    let configs =
        wishes.engines().flat_map(|engine| &engine.configs).map(|config| (config.path.clone(), trust::MAX_CONFIG));
    let trusted = wishes.engines().filter_map(|engine| Some((engine.trust.as_ref()?.file.clone(), trust::MAX_CONFIG)));
    let credentials = wishes.credentials().into_iter().map(|(_, credential)| (credential.dest.clone(), MAX_CREDENTIAL));
    for (file, max) in configs.chain(trusted).chain(credentials) {
        let full = path.join(&file);
        if seen.paths.contains_key(&full) {
            continue;
        }
        let parent = file.parent().unwrap_or(Path::new(""));
        if !dirs.contains_key(parent) {
            let opened = dirs.get(Path::new("")).and_then(Option::as_ref).and_then(|home| home.sub(parent).ok());
            dirs.insert(parent.to_owned(), opened);
        }
        let Some(dir) = dirs.get(parent).and_then(Option::as_ref) else { continue };
        let found = look(dir, file.file_name().unwrap_or_default(), max);
        seen.paths.insert(full, found);
    }
    // The old start's flock file of this name is a lock to the CLI that is never released.
    for how in wishes.engines().filter_map(|engine| engine.trust.as_ref()) {
        let Some(lock) = trust::lock_file(how) else { continue };
        if let Some(dir) = dirs.get(how.folder()).and_then(Option::as_ref) {
            let empty = matches!(dir.stat(&lock), Ok(Some(meta)) if meta.kind == Kind::File && meta.size == 0);
            let left_over = dir.child(&lock);
            if empty && is_unused(dir, &lock) && !seen.left_over.contains(&left_over) {
                seen.left_over.push(left_over);
            }
        }
    }
}

/// Notes what a folder is; gives it where it is one.
fn folder(path: &Path, opened: Result<Dir, FsError>, seen: &mut Observed, ours: bool) -> Option<Dir> {
    match opened.and_then(|dir| dir.meta().map(|meta| (dir, meta))) {
        Ok((dir, meta)) => {
            seen.paths.insert(path.to_owned(), Seen::Folder(meta));
            if ours {
                seen.left_over.extend(stale(&dir).unwrap_or_default().into_iter().map(|name| path.join(name)));
            }
            Some(dir)
        }
        Err(error) if error.is_missing() => None,
        Err(error) => {
            seen.paths.insert(path.to_owned(), Seen::Failed(error));
            None
        }
    }
}

fn look(dir: &Dir, name: &std::ffi::OsStr, max: u64) -> Seen {
    match dir.stat(name) {
        Ok(None) => Seen::Missing,
        Ok(Some(meta)) => match meta.kind {
            Kind::Dir => Seen::Folder(meta),
            Kind::Link | Kind::Special => Seen::Other(meta),
            Kind::File => match dir.read(name, max) {
                Ok((bytes, meta)) => Seen::File(meta, bytes),
                Err(error) if error.is_missing() => Seen::Missing,
                Err(error) => Seen::Failed(error),
            },
        },
        Err(error) => Seen::Failed(error),
    }
}

/// The resolved name of a path, of which the last parts may not exist yet.
fn resolve(path: &Path) -> PathBuf {
    for part in path.ancestors() {
        if let Ok(real) = std::fs::canonicalize(part) {
            return match path.strip_prefix(part) {
                Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
                _ => real,
            };
        }
    }
    path.to_owned()
}
