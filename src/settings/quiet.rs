//! Files read by a reload, which nobody timed: a save may be under way at that very moment.
//!
//! Many editors and `>` empty a file before they write it, or take it away and put a new one in its place. What stands
//! there in between parses (an empty file is a configuration without services), so a reload that takes it stops everything.
//!
//! A file is *restless* if it changed less than `REST` ago; one that is empty or missing, less than `PATIENCE` ago. Nothing
//! waits here: whoever reads asks afterwards whether anything was restless, and reads again a moment later.

use super::files::{FileProblem, Files, SystemFiles};
use std::{
    cell::Cell,
    path::Path,
    time::{Duration, SystemTime},
};

/// A file with something in it is whole if nobody has written to it for so long.
const REST: Duration = Duration::from_millis(50);

/// For how long after its last change an empty or missing file is mistrusted, and for how long it is worth to read again.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The files of a system, with a note whether one of those that were read is being written.
#[derive(Debug)]
pub struct QuietFiles {
    files: SystemFiles,
    restless: Cell<bool>,
}

impl QuietFiles {
    /// These files, none read yet.
    pub const fn new(files: SystemFiles) -> Self {
        Self { files, restless: Cell::new(false) }
    }

    /// Something that was read may be half of what it will be.
    pub const fn restless(&self) -> bool {
        self.restless.get()
    }
}

impl Files for QuietFiles {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileProblem> {
        let answer = self.files.read(path, limit);
        // The time after the bytes: a change in between costs another look, the other order would miss it.
        let ago = self.files.changed(path).map(|changed| apart(changed, SystemTime::now()));
        if ago.is_some_and(|ago| ago < rest(&answer)) {
            self.restless.set(true);
        }
        answer
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        self.files.mode(path)
    }
}

/// For how long what was read must have been unchanged.
fn rest(answer: &Result<Vec<u8>, FileProblem>) -> Duration {
    match answer {
        Ok(bytes) if !bytes.is_empty() => REST,
        Ok(_) | Err(FileProblem::Missing) => PATIENCE,
        Err(_) => Duration::ZERO,
    }
}

/// Either way: the clock of a network disk may be ahead.
fn apart(a: SystemTime, b: SystemTime) -> Duration {
    b.duration_since(a).unwrap_or_else(|ahead| ahead.duration())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_empty_or_missing_is_mistrusted_for_longer() {
        assert_eq!(rest(&Ok(b"x".to_vec())), REST);
        assert_eq!(rest(&Ok(Vec::new())), PATIENCE);
        assert_eq!(rest(&Err(FileProblem::Missing)), PATIENCE);
        assert_eq!(rest(&Err(FileProblem::Denied)), Duration::ZERO);
        let now = SystemTime::now();
        assert_eq!(apart(now + REST, now), REST);
        assert_eq!(apart(now, now + REST), REST);
    }

    #[test]
    fn what_lay_there_for_long_rests_and_what_is_missing_from_an_old_folder_too() {
        // Nobody writes to these.
        for path in ["/proc/self/exe", "/usr/lib/no-such-file"] {
            let files = QuietFiles::new(SystemFiles::at("/"));
            let _ = files.read(Path::new(path), 1 << 30);
            assert!(!files.restless(), "{path}");
        }
    }

    #[test]
    fn a_change_is_seen_whatever_date_the_file_was_given() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let files = SystemFiles::at(dir.path());
        fs::write(&path, "").unwrap();
        let made = files.changed(Path::new("/f")).unwrap();
        // As `cp -p` does.
        fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(files.changed(Path::new("/f")).unwrap() >= made);
        fs::remove_file(&path).unwrap();
        assert!(files.changed(Path::new("/f")).unwrap() >= made, "the folder's change stands for the missing file's");
        assert_eq!(files.changed(Path::new("/none/none")), None);
    }
}
