//! What programs print and packages carry: npm, `--version`, `package.json`; and a status file that agents may replace.

use crate::{scratch, text};
use skill_init::{
    agents::{
        catalogue::{Catalogue, Version},
        install::Wanted,
        npm, prefix, sandbox,
    },
    layout::{Layout, Mode},
    settings::{Environment, Settings},
};
use std::{fs, path::Component};

/// npm's stderr.
pub(crate) fn npm(bytes: &[u8]) {
    let words = npm::words(&text(bytes));
    assert!(words.len() <= 12 && words.iter().all(|line| line.chars().count() <= 240));
}

/// A CLI's answer, and `ENGINE@VERSION` of the command line.
pub(crate) fn version(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(version) = Version::find(&text) {
        assert_eq!(Version::find(&version.to_string()), Some(version));
    }
    let catalogue = Catalogue::built_in();
    if let Ok(Wanted { version: Some(version), .. }) = Wanted::parse(&text, &catalogue) {
        assert!(!version.contains(|c: char| c.is_whitespace() || c == '/' || c == '@'), "{version:?}");
    }
}

/// A package's manifest, in a prefix that agents can write to.
pub(crate) fn package_json(bytes: &[u8]) {
    let dir = scratch();
    fs::write(dir.path().join("package.json"), bytes).unwrap();
    let _ = prefix::Manifest::read(dir.path());
}

/// `agent_sandbox.json`, in a folder that agents can write to.
pub(crate) fn sandbox_status(bytes: &[u8]) {
    let dir = scratch();
    let env = [("SKILL_RUNNER_DATA_DIR".to_owned(), dir.path().display().to_string())].into();
    let settings = Settings::load(&Environment(env)).unwrap();
    let layout = Layout::new(&settings, Mode::Container);
    assert!(layout.sandbox_status().components().all(|part| part != Component::ParentDir));
    fs::write(layout.sandbox_status(), bytes).unwrap();
    let _ = sandbox::read(&layout);
    let table = Catalogue::built_in();
    let _ = sandbox::full_auto_at_start(&layout, table.landlock_engine().unwrap());
}
