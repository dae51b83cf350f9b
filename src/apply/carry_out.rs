//! Carries out the steps, one after the other; a failed one never stops the next.

use super::{
    mend::mend,
    report::{Outcome, StepReport},
};
use crate::{
    agents::{
        credentials::State,
        trust::{self, MAX_CONFIG, Store, TrustError},
    },
    plan::files::{Action, Config, ConfigDecision, FilesPlan, Import, Need, Remember, Step, Wishes, decide_config},
    sys::{
        fs::{
            ChownReport, Dir, Expect, FsError, NewFile, Owner, chown_tree, keep_aside, remove_unused, replace,
            write_beside,
        },
        utc::Utc,
    },
};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// More entries than any volume of this program holds: a bound, not a limit.
const MAX_ENTRIES: u64 = 5_000_000;
/// A start waits this long for another process that edits the same trust file.
const PATIENCE: Duration = Duration::from_secs(2);
const ROUNDS: usize = 8;

/// Carries out a plan; the result has one entry per step, in their order.
pub fn carry_out(wishes: &Wishes<'_>, plan: &FilesPlan) -> Vec<StepReport> {
    let mut done: Vec<StepReport> = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let start = Instant::now();
        let (outcome, detail, help) = match blocked(step, &done) {
            Some(folder) => (Outcome::Skipped, Some(format!("{} could not be made", folder.display())), None),
            None => match one(wishes, step, &done) {
                Ok(detail) => (Outcome::Done, detail, None),
                Err(failure) => (Outcome::Failed, Some(failure.words), failure.mend),
            },
        };
        done.push(StepReport {
            what: step.what,
            path: step.path.clone(),
            action: step.action.words(),
            reason: step.reason.clone(),
            need: step.need,
            outcome,
            detail,
            mend: help,
            micros: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
    }
    done
}

/// The folder without which this best-effort step cannot be done: its own failure is said once.
fn blocked(step: &Step, done: &[StepReport]) -> Option<PathBuf> {
    let failed = |report: &&StepReport| {
        report.outcome == Outcome::Failed
            && report.what == crate::plan::files::What::Folder
            && step.path != report.path
            && step.path.starts_with(&report.path)
    };
    done.iter().find(failed).filter(|_| step.need == Need::BestEffort).map(|report| report.path.clone())
}

struct Failure {
    words: String,
    mend: Option<String>,
}

impl From<FsError> for Failure {
    fn from(error: FsError) -> Self {
        Self { words: format!("failed to {error}"), mend: mend(&error) }
    }
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        match error {
            TrustError::Fs(error) => error.into(),
            other => Self { words: other.to_string(), mend: None },
        }
    }
}

/// One step; the detail is worth a line of the report.
fn one(wishes: &Wishes<'_>, step: &Step, done: &[StepReport]) -> Result<Option<String>, Failure> {
    let owner = wishes.owner;
    let path = &step.path;
    match &step.action {
        Action::Chown { uid, gid } => {
            let report = chown_tree(&Dir::open(path)?, Owner { uid: *uid, gid: *gid }, MAX_ENTRIES)?;
            let ChownReport { changed, right, failed, first_failure } = report;
            match first_failure {
                Some(error) => {
                    let failure = Failure::from(error);
                    Err(Failure { words: format!("{} ({failed} of its entries)", failure.words), ..failure })
                }
                None => Ok(Some(format!("{changed} changed, {right} were right"))),
            }
        }
        Action::MakeFolder { mode } => {
            match within_home(wishes, path) {
                Some((home, below)) => home?.create_sub(below, *mode, owner)?,
                None => Dir::create(path, *mode, owner)?,
            };
            Ok(None)
        }
        Action::SetMode { mode } => {
            let (dir, name) = parent(wishes, path)?;
            match dir.sub(Path::new(name)) {
                Ok(folder) => folder.set_mode(*mode)?,
                Err(_) => dir.set_file_mode(name, *mode)?,
            }
            Ok(None)
        }
        Action::RemoveLeftOver => {
            let (dir, name) = parent(wishes, path)?;
            let gone = remove_unused(&dir, name)?;
            Ok((!gone).then(|| "somebody uses it again".to_owned()))
        }
        Action::WriteConfig(config) => {
            let (dir, name) = parent(wishes, path)?;
            write_config(&dir, name, config, owner)
        }
        Action::Trust(how, request) => {
            let mut store = Store::of(wishes.layout);
            (store.patience, store.owner) = (PATIENCE, owner);
            let outcome = store.edit(how, request)?;
            Ok(match outcome {
                trust::Outcome::Unchanged => Some("somebody else did it meanwhile".to_owned()),
                trust::Outcome::Changed { kept } => kept.map(|kept| kept_as(&kept)),
            })
        }
        Action::Import(import) => {
            let (dir, name) = parent(wishes, path)?;
            write_credential(&dir, name, import, owner)
        }
        Action::Remember(remember) => {
            let failed = |path: &Path| done.iter().any(|step| step.path == path && step.outcome != Outcome::Done);
            write_state(path, remember, &failed, owner)?;
            Ok(None)
        }
    }
}

/// The open agent home and the rest of the path, for what lies in it.
fn within_home<'a>(wishes: &Wishes<'_>, path: &'a Path) -> Option<(Result<Dir, FsError>, &'a Path)> {
    let below = path.strip_prefix(&wishes.layout.agent_home).ok().filter(|below| !below.as_os_str().is_empty())?;
    Some((Dir::create(&wishes.layout.agent_home, 0o700, wishes.owner), below))
}

/// The folder of a path and the name in it. Below the agent home no link is followed on the way.
fn parent<'a>(wishes: &Wishes<'_>, path: &'a Path) -> Result<(Dir, &'a OsStr), FsError> {
    let name = path.file_name().unwrap_or_default();
    let dir = match within_home(wishes, path) {
        Some((home, below)) => home?.create_sub(below.parent().unwrap_or(Path::new("")), 0o700, wishes.owner)?,
        None => Dir::open(path.parent().unwrap_or(Path::new("/")))?,
    };
    Ok((dir, name))
}

fn write_config(dir: &Dir, name: &OsStr, config: &Config, owner: Option<Owner>) -> Result<Option<String>, Failure> {
    for _ in 0..ROUNDS {
        let now = read(dir, name)?;
        let ConfigDecision::Write { text, unusable, .. } = decide_config(config, now.as_deref()) else {
            return Ok(Some("somebody else did it meanwhile".to_owned()));
        };
        let kept = match unusable {
            true => Some(keep_aside(dir, name, &format!(".corrupt-{}", Utc::now().compact()))?),
            false => None,
        };
        let expect = now.as_deref().map_or(Expect::Absent, Expect::Bytes);
        let owner = owner.filter(|_| now.is_none());
        match replace(dir, name, &NewFile { bytes: text.as_bytes(), mode: None, owner, expect }) {
            Ok(()) => return Ok(kept.map(|kept| kept_as(&kept))),
            Err(FsError::Changed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(FsError::Changed { path: dir.child(name) }.into())
}

fn write_credential(dir: &Dir, name: &OsStr, import: &Import, owner: Option<Owner>) -> Result<Option<String>, Failure> {
    let mut detail = None;
    let suffix = |kind: &str| format!("{kind}{}", Utc::now().compact());
    if let Some((kind, content)) = &import.beside {
        let kept = write_beside(dir, name, &suffix(kind), content.expose(), owner)?;
        detail = Some(format!("the source is kept as {}", kept.display()));
    }
    let Some(content) = &import.content else { return Ok(detail) };
    if let Some(kind) = import.keep {
        // A credential, whatever it is worth: nobody else reads it from here on.
        dir.set_file_mode(name, 0o600)?;
        detail = Some(kept_as(&keep_aside(dir, name, &suffix(kind))?));
    }
    let expect = import.expected.as_ref().map_or(Expect::Absent, |bytes| Expect::Bytes(bytes.expose()));
    let owner = owner.filter(|_| import.expected.is_none());
    replace(dir, name, &NewFile { bytes: content.expose(), mode: Some(0o600), owner, expect })?;
    Ok(detail)
}

fn write_state(
    path: &Path,
    remember: &Remember,
    failed: &dyn Fn(&Path) -> bool,
    owner: Option<Owner>,
) -> Result<(), FsError> {
    let dir = Dir::open(path.parent().unwrap_or(Path::new("/")))?;
    let name = path.file_name().unwrap_or_default();
    let now = read(&dir, name)?;
    let mut state = now.as_deref().map_or_else(|| remember.base.clone(), State::parse);
    for (destination, source, fingerprint) in &remember.updates {
        if !failed(destination) {
            state.files.insert(source.clone(), fingerprint.clone());
        }
    }
    let expect = Expect::Anything;
    replace(&dir, name, &NewFile { bytes: &state.to_bytes(), mode: Some(0o600), owner, expect })
}

fn read(dir: &Dir, name: &OsStr) -> Result<Option<Vec<u8>>, FsError> {
    match dir.read(name, MAX_CONFIG) {
        Ok((bytes, _)) => Ok(Some(bytes)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

fn kept_as(path: &Path) -> String {
    format!("the former content is kept as {}", path.display())
}
