//! The folder of a run: every path in it, and the small JSON files. Blocking where it touches the disk.

use crate::{
    files,
    store::RunStatus,
    time::{now_ms, rfc3339},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

/// An output stream of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A terminal's output (interactive runs).
    Pty,
}

impl Stream {
    /// As a client writes it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "stdout" => Some(Self::Stdout),
            "stderr" => Some(Self::Stderr),
            "pty" => Some(Self::Pty),
            _ => None,
        }
    }
    /// `stdout`, `stderr`, `pty`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Pty => "pty",
        }
    }
    const fn file(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Pty => "pty-output",
        }
    }
}

/// The end of both streams, as text.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Most of `input.json`, in MiB: a request has at most 8, and what is written of it at most four times that (`1e15` becomes
/// `1000000000000000.0`), with the paths of its uploads.
const INPUT_MAX: u64 = 64;

/// What only the worker writes to.
const OWN: [&str; 4] = ["result", "interactions", "bundle", ".audit"];

/// A run's folder.
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// `<data>/runs/<run_id>`.
    pub fn new(runs: &Path, run_id: &str) -> Self {
        Self(runs.join(run_id))
    }
    /// Any path.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }
    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }
    /// `.audit`.
    pub fn audit(&self) -> PathBuf {
        self.0.join(".audit")
    }
    /// A file of `.audit`, by the attempt's number: `("meta", 1, "json")` -> `.audit/meta.1.json`.
    pub fn audit_file(&self, stem: &str, attempt: u32, extension: &str) -> PathBuf {
        self.audit().join(format!("{stem}.{attempt}.{extension}"))
    }
    /// A stream's log.
    pub fn log(&self, stream: Stream, attempt: u32) -> PathBuf {
        self.audit_file(stream.file(), attempt, "log")
    }
    /// `artifacts`.
    pub fn artifacts(&self) -> PathBuf {
        self.0.join("artifacts")
    }
    /// `uploads`.
    pub fn uploads(&self) -> PathBuf {
        self.0.join("uploads")
    }
    /// `input.json`: input, parameters and options of the run. On one line, so that its size is in proportion to the request's.
    fn input(&self) -> PathBuf {
        self.0.join("input.json")
    }
    /// `result/result.json`.
    pub fn result(&self) -> PathBuf {
        self.0.join("result/result.json")
    }
    /// The bundle, or the debug bundle.
    pub fn bundle(&self, debug: bool) -> PathBuf {
        self.0.join("bundle").join(if debug { "run_bundle_debug.zip" } else { "run_bundle.zip" })
    }
    fn manifest(&self, debug: bool) -> PathBuf {
        self.0.join("bundle").join(if debug { "manifest_debug.json" } else { "manifest.json" })
    }

    /// Opens one of its files for a client, wherever links that the agent made lead: never outside the folder.
    pub fn open(&self, path: &Path) -> io::Result<fs::File> {
        let relative = path.strip_prefix(&self.0).unwrap_or(path);
        files::open_inside(&self.0, &relative.to_string_lossy())
    }

    /// The same for `artifacts/NAME`, whose links do not reach the rest of the run either.
    pub fn open_artifact(&self, name: &str) -> io::Result<fs::File> {
        if self.artifacts().is_symlink() {
            return Err(io::ErrorKind::NotFound.into());
        }
        files::open_inside(&self.artifacts(), name)
    }

    /// `result/result.json`, as it was written.
    pub fn read_result(&self) -> io::Result<Value> {
        Ok(serde_json::from_reader(io::BufReader::new(self.open(&self.result())?))?)
    }

    /// Makes the tree.
    pub fn create(&self, input: &Value) -> io::Result<()> {
        fs::create_dir_all(self.artifacts())?;
        for below in OWN {
            fs::create_dir_all(self.0.join(below))?;
        }
        files::write_atomic(&self.input(), &serde_json::to_vec(input)?)
    }

    /// What its engine is given, as [`Self::create`] was told it.
    pub fn read_input(&self) -> io::Result<Value> {
        let what = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.input().display()));
        files::read_bounded(&self.input(), INPUT_MAX)
            .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
            .map_err(what)
    }

    /// Makes the folders that the worker writes to folders again, once the engine has ended: an agent may have put a link in
    /// the place of one, and what is written through it would land outside the run. What cannot be mended fails the writes.
    pub fn reclaim(&self) {
        for below in OWN.map(|below| self.0.join(below)) {
            let mended = match fs::symlink_metadata(&below) {
                Ok(meta) if meta.is_dir() => continue,
                Ok(_) => fs::remove_file(&below).and_then(|()| fs::create_dir(&below)),
                // Not with the run's folder itself, where that has gone.
                Err(_) => fs::create_dir(&below),
            };
            match mended {
                Ok(()) => tracing::warn!(folder = %below.display(), "an engine had replaced this folder"),
                Err(error) => tracing::warn!(folder = %below.display(), %error, "a folder of a run is not there"),
            }
        }
    }

    /// `status.json`, for people and older tools; the database is the truth.
    pub fn write_status(&self, status: RunStatus, warnings: &Value, error: Option<&Value>, session_timeout: u64) {
        let written = files::write_json(
            &self.0.join("status.json"),
            &json!({
                "status": status,
                "updated_at": rfc3339(now_ms()),
                "error": error,
                "warnings": warnings,
                "effective_session_timeout_sec": session_timeout,
            }),
        );
        if let Err(error) = written {
            tracing::warn!(folder = %self.0.display(), %error, "status.json cannot be written");
        }
    }

    /// Files of `artifacts/`, as `artifacts/...`.
    pub fn artifact_names(&self) -> Vec<String> {
        if self.artifacts().is_symlink() {
            return Vec::new();
        }
        files::list_files(&self.artifacts()).into_iter().map(|name| format!("artifacts/{name}")).collect()
    }

    /// Builds both bundles.
    pub fn build_bundles(&self) -> Result<(), super::archive::ArchiveError> {
        let mut small = vec!["result/result.json".to_owned()];
        small.extend(self.artifact_names());
        let whole: Vec<String> =
            files::list_files(&self.0).into_iter().filter(|name| !name.starts_with("bundle/")).collect();
        super::archive::pack(&self.0, &small, &self.bundle(false), &self.manifest(false))?;
        super::archive::pack(&self.0, &whole, &self.bundle(true), &self.manifest(true))
    }

    /// The last `limit` bytes of each stream of the last attempt.
    pub fn logs(&self, limit: u64) -> Logs {
        let attempt = self.last_attempt();
        let tail = |stream| {
            let Ok(file) = self.open(&self.log(stream, attempt)) else { return String::new() };
            let size = file.metadata().map_or(0, |m| m.len());
            let from = size.saturating_sub(limit);
            String::from_utf8_lossy(&read_range(&file, from, size).unwrap_or_default()).into_owned()
        };
        Logs { stdout: tail(Stream::Stdout), stderr: tail(Stream::Stderr) }
    }

    /// Bytes `from..to` of a stream and its size now.
    pub fn log_range(&self, stream: Stream, attempt: Option<u32>, from: u64, to: u64) -> io::Result<(Vec<u8>, u64)> {
        let path = self.log(stream, attempt.unwrap_or_else(|| self.last_attempt()));
        let file = match self.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            Err(error) => return Err(error),
        };
        let size = file.metadata()?.len();
        Ok((read_range(&file, from.min(size), to.min(size))?, size))
    }

    /// The greatest attempt with a log; 1 where there is none.
    pub fn last_attempt(&self) -> u32 {
        (1..).take_while(|n| self.audit_file("meta", *n, "json").exists()).last().unwrap_or(1)
    }

    /// Size and change time of every file outside `.audit`, for the difference that a run made.
    pub fn snapshot(&self) -> BTreeMap<String, (u64, i64)> {
        files::list_files(&self.0)
            .into_iter()
            .filter(|name| !name.starts_with(".audit/") && !name.starts_with("bundle/"))
            .filter_map(|name| {
                let meta = fs::symlink_metadata(self.0.join(&name)).ok()?;
                Some((name, (meta.size(), meta.ctime() * 1_000_000_000 + meta.ctime_nsec())))
            })
            .collect()
    }

    /// Writes `fs-NAME.N.json` of a snapshot.
    pub fn write_snapshot(&self, name: &str, attempt: u32, snapshot: &BTreeMap<String, (u64, i64)>) -> io::Result<()> {
        let files: Vec<Value> = snapshot.iter().map(|(path, (size, _))| json!({"path": path, "size": size})).collect();
        files::write_json(&self.audit_file(&format!("fs-{name}"), attempt, "json"), &json!({"files": files}))
    }

    /// Writes `fs-diff.N.json`.
    pub fn write_diff(
        &self,
        attempt: u32,
        before: &BTreeMap<String, (u64, i64)>,
        after: &BTreeMap<String, (u64, i64)>,
    ) -> io::Result<()> {
        let created: Vec<&String> = after.keys().filter(|path| !before.contains_key(*path)).collect();
        let deleted: Vec<&String> = before.keys().filter(|path| !after.contains_key(*path)).collect();
        let modified: Vec<&String> = after
            .iter()
            .filter(|(path, stamp)| before.get(*path).is_some_and(|old| old != *stamp))
            .map(|x| x.0)
            .collect();
        files::write_json(
            &self.audit_file("fs-diff", attempt, "json"),
            &json!({"created": created, "modified": modified, "deleted": deleted}),
        )
    }
}

/// Reads at most 8 MiB of a range.
fn read_range(file: &fs::File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(to.saturating_sub(from).min(8 << 20)).unwrap_or(0);
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let n = file.read_at(bytes.get_mut(filled..).unwrap_or_default(), from + filled as u64)?;
        if n == 0 {
            break;
        }
        filled += n;
    }
    bytes.truncate(filled);
    Ok(bytes)
}
