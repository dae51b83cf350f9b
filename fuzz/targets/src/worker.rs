//! What the API worker reads: uploaded archives, event logs, engines' output, skills, run options.

use crate::{halves, scratch, text};
use skill_api::{
    engines::output::Reader,
    events,
    runs::{Options, archive},
    skills::Skill,
};
use skill_init::agents::catalogue::Catalogue;
use std::{
    fs,
    path::Path,
    sync::{Arc, LazyLock},
};

/// An uploaded archive.
pub(crate) fn zip(bytes: &[u8]) {
    const BOUNDS: archive::Bounds = archive::Bounds { entries: 64, bytes: 1 << 20, ratio: 200 };
    let dir = scratch();
    let (file, into) = (dir.path().join("upload"), dir.path().join("into"));
    fs::write(&file, bytes).unwrap();
    let unpacked = archive::unpack(&file, &into, BOUNDS);
    let mut beside: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    beside.sort();
    assert!(beside == ["into", "upload"] || beside == ["upload"], "files elsewhere: {beside:?}");
    // What tells that the bound was reached is at most one buffer beyond it.
    assert!(size(&into) <= BOUNDS.bytes + (64 << 10), "{} bytes came out", size(&into));
    for name in unpacked.unwrap_or_default() {
        assert!(fs::symlink_metadata(into.join(&name)).unwrap().is_file(), "{name:?}");
    }
}

fn size(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .map(|entry| {
            let (path, meta) = entry.map(|entry| (entry.path(), fs::symlink_metadata(entry.path()).unwrap())).unwrap();
            assert!(meta.is_dir() || meta.is_file(), "{path:?} is neither file nor folder");
            if meta.is_dir() { size(&path) } else { meta.len() }
        })
        .sum()
}

/// A byte for the length of the index, then the index and the log.
pub(crate) fn events(bytes: &[u8]) {
    let [length, rest @ ..] = bytes else { return };
    let (index, log) = rest.split_at(usize::from(*length).min(rest.len()));
    let dir = scratch();
    fs::write(dir.path().join("fcmp_events.1.idx"), index).unwrap();
    fs::write(dir.path().join("fcmp_events.1.jsonl"), log).unwrap();
    for (from, to, limit) in [(0, u64::MAX, 100), (1, 3, 1), (2, 2, 10), (u64::MAX, 0, u64::MAX)] {
        if let Ok(page) = events::page(dir.path(), from, to, limit) {
            assert!(page.lines.len() <= log.len() && page.count <= page.last_in_log);
        }
    }
    let _ = events::seq_at(dir.path(), 5);
    let lines = events::last_lines(&dir.path().join("fcmp_events.1.jsonl"), 3).unwrap();
    assert!(lines.len() <= 3);
}

/// A byte for the format, then what the engine printed.
pub(crate) fn engine_output(bytes: &[u8]) {
    const OUTPUTS: [&str; 5] = ["codex", "opencode", "gemini", "stream-json", "text"];
    let [format, rest @ ..] = bytes else { return };
    let name = OUTPUTS[usize::from(*format) % OUTPUTS.len()];
    static TABLE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);
    let mut reader = Reader::new(Arc::clone(&TABLE.outputs[name]));
    let mut said = 0;
    for line in text(rest).lines() {
        said += usize::from(reader.line(line).message.is_some());
    }
    let spoken = reader.finish();
    assert!(spoken.messages.len() >= said);
}

/// `SKILL.md`, zero byte, `runner.json`.
pub(crate) fn skill(bytes: &[u8]) {
    let (markdown, runner) = halves(bytes);
    let dir = scratch();
    let folder = dir.path().join("a-skill");
    fs::create_dir_all(folder.join("assets")).unwrap();
    fs::write(folder.join("SKILL.md"), markdown).unwrap();
    fs::write(folder.join("assets/runner.json"), runner).unwrap();
    if let Ok((skill, _)) = Skill::read(&folder, &["codex".to_owned(), "gemini".to_owned()]) {
        assert!(!skill.id.is_empty() && !skill.id.contains('/') && skill.id != "..");
    }
}

/// `runtime_options` of a request.
pub(crate) fn options(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice(bytes) {
        let _ = Options::parse(&value);
    }
}
