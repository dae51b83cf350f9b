//! Look, plan, carry out, report: the whole of `apply`, and its two parts that stand alone.

use super::{
    carry_out::carry_out,
    observe::observe,
    report::{Outcome, Report, StepReport, Summary},
};
use crate::{
    agents::catalogue::{Catalogue, CatalogueError},
    layout::Layout,
    plan::{
        self,
        files::{FilesPlan, Need, Note, What, Wishes},
    },
    settings::{Settings, keys},
    sys::{
        fs::{Dir, Expect, FsError, NewFile, Owner, replace},
        utc::Utc,
        volume,
    },
};
use nix::errno::Errno;
use serde::Deserialize;
use std::{path::PathBuf, time::Instant};

/// What a start wants of the volumes: owned, so that it can be kept for a reload.
#[derive(Debug, Clone)]
pub struct Wanted {
    layout: Layout,
    catalogue: Catalogue,
    extra: Vec<String>,
    trust: bool,
    import: bool,
    force: bool,
    owner: Option<Owner>,
}

impl Wanted {
    /// From the settings. An engine table that cannot be used is a mistake in the configuration.
    pub fn new(settings: &Settings, layout: &Layout) -> Result<Self, CatalogueError> {
        let named = [settings.get_opt(&keys::ENGINES), settings.get_opt(&keys::BOOTSTRAP_ENGINES)];
        Ok(Self {
            layout: layout.clone(),
            catalogue: Catalogue::of(settings)?.0,
            extra: named.into_iter().flatten().flatten().collect(),
            trust: settings.get(&keys::TRUST),
            import: settings.get(&keys::IMPORT),
            force: false,
            owner: owner(settings).filter(|_| nix::unistd::geteuid().is_root()),
        })
    }

    /// The engine table.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Import from this folder, also where the settings say not to.
    #[must_use]
    pub fn import_from(mut self, folder: Option<PathBuf>, force: bool) -> Self {
        if let Some(folder) = folder {
            self.layout.import = folder;
        }
        self.import = true;
        self.force = force;
        self
    }

    fn wishes(&self) -> Wishes<'_> {
        Wishes {
            layout: &self.layout,
            catalogue: &self.catalogue,
            extra_engines: &self.extra,
            trust: self.trust,
            import: self.import,
            force_import: self.force,
            owner: self.owner,
        }
    }
}

/// `SKILL_INIT_USER`; the settings have made sure that it is numbers. A user alone is its own group.
fn owner(settings: &Settings) -> Option<Owner> {
    let text = settings.get_opt(&keys::USER)?;
    let (uid, gid) = text.split_once(':').unwrap_or((&text, &text));
    Some(Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
}

/// What a start would change, and why. Writes nothing.
pub fn preview(wanted: &Wanted) -> FilesPlan {
    let wishes = wanted.wishes();
    plan::files::plan(&wishes, &observe(&wishes))
}

/// The preparation of a start. Writes the report where anything changed, or is not as it shall be.
pub fn prepare(wanted: &Wanted) -> Report {
    let report = go(wanted, plan::files::plan, unwritable);
    let same = || last_report(wanted).is_some_and(|last| last.summary.outcome == "ok" && last.notes == report.notes);
    if report.summary.steps_total > 0 || !same() { write_report(wanted, report) } else { report }
}

/// Imports credentials and nothing else.
pub fn import(wanted: &Wanted) -> Report {
    go(wanted, plan::files::plan_import, |_, _| None)
}

/// A prepared volume may be mounted read-only or belong to somebody else: nothing is to be made, and the worker could
/// write nothing.
fn unwritable(layout: &Layout, steps: &[StepReport]) -> Option<StepReport> {
    if steps.iter().any(|step| step.need == Need::Required && step.outcome != Outcome::Done) {
        return None;
    }
    let (path, errno) = [layout.data.clone(), layout.runs()].into_iter().find_map(|path| {
        let errno = volume::writable(&path, true).err()?;
        Some((path, errno))
    })?;
    let error = FsError::sys("write in", path.clone(), Errno::from_raw(errno));
    Some(StepReport {
        what: What::Folder,
        path,
        action: "look at".to_owned(),
        reason: "runs and the worker's database are written there".to_owned(),
        need: Need::Required,
        outcome: Outcome::Failed,
        detail: Some(format!("failed to {error}")),
        mend: super::mend::mend(&error),
        micros: 0,
    })
}

fn go(
    wanted: &Wanted,
    plan: fn(&Wishes<'_>, &plan::files::Observed) -> FilesPlan,
    after: fn(&Layout, &[StepReport]) -> Option<StepReport>,
) -> Report {
    let start = Instant::now();
    let wishes = wanted.wishes();
    let plan = plan(&wishes, &observe(&wishes));
    let mut steps = carry_out(&wishes, &plan);
    steps.extend(after(&wanted.layout, &steps));
    Report::new(Utc::now().rfc3339(), start.elapsed().as_secs_f64() * 1000.0, steps, plan.notes)
}

/// The part of an earlier report that tells whether it still holds.
#[derive(Deserialize)]
struct Last {
    summary: Summary,
    notes: Vec<Note>,
}

fn last_report(wanted: &Wanted) -> Option<Last> {
    let dir = Dir::open(&wanted.layout.data).ok()?;
    let (bytes, _) = dir.read(wanted.layout.bootstrap_report().file_name()?, 8 << 20).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A report that cannot be written is a note of the report that is returned.
fn write_report(wanted: &Wanted, mut report: Report) -> Report {
    let path = wanted.layout.bootstrap_report();
    let mut bytes = serde_json::to_vec_pretty(&report).unwrap_or_default();
    bytes.push(b'\n');
    let new = NewFile { bytes: &bytes, mode: Some(0o644), owner: wanted.owner, expect: Expect::Anything };
    let written =
        Dir::open(&wanted.layout.data).and_then(|dir| replace(&dir, path.file_name().unwrap_or_default(), &new));
    if let Err(error) = written
        && report.fatal().is_none()
    {
        let help = super::mend::mend(&error).map_or_else(String::new, |command| format!("; {command}"));
        report.notes.push(Note { path, message: format!("failed to {error}{help}") });
    }
    report
}
