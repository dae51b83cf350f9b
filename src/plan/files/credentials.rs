//! Which credentials are imported, by the three-way comparison of `agents::credentials`.

use super::{Action, FilesPlan, Import, Need, Observed, Remember, What, Wishes};
use crate::{
    agents::credentials::{Input, Side, Write, decide},
    settings::Secret,
    sys::fs::FsError,
};
use std::{collections::BTreeMap, path::PathBuf};

/// A credential source that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Its content.
    Content(Secret<Vec<u8>>),
    /// Why it was not read: a link out of the mount, a folder, too large, ...
    Refused(FsError),
}

const REPLACED: &str = ".replaced-";
const CORRUPT: &str = ".corrupt-";
const NOT_IMPORTED: &str = ".not-imported-";

pub(super) fn plan(wishes: &Wishes<'_>, seen: &Observed, plan: &mut FilesPlan) {
    if wishes.import {
        imports(wishes, seen, plan);
    }
    for (_, credential) in wishes.credentials() {
        let path = wishes.home(&credential.dest);
        if let super::Seen::File(meta, _) = seen.at(&path) {
            let written = plan.steps.iter().any(|step| {
                matches!(&step.action, Action::Import(import) if import.content.is_some()) && step.path == path
            });
            let wide = meta.mode & 0o177;
            if wide != 0 && !written && (seen.uid == 0 || meta.uid == seen.uid) {
                let reason = format!("it is a credential and its mode is {:04o}", meta.mode);
                plan.step(What::Mode, path, Action::SetMode { mode: 0o600 }, reason, Need::BestEffort);
            }
        }
    }
}

fn imports(wishes: &Wishes<'_>, seen: &Observed, plan: &mut FilesPlan) {
    let mut leaders: BTreeMap<&str, Side> = BTreeMap::new();
    let mut updates: Vec<(PathBuf, String, _)> = Vec::new();
    for (engine, credential) in wishes.credentials() {
        let Some(source) = seen.sources.get(&credential.source) else { continue };
        let from = wishes.layout.import.join(&credential.source);
        let bytes = match source {
            Source::Content(bytes) => bytes.expose(),
            Source::Refused(error) => {
                plan.note(from, format!("not imported: failed to {error}"));
                continue;
            }
        };
        let path = wishes.home(&credential.dest);
        let now = seen.at(&path);
        if let Some(why) = now.blocks_file(&path) {
            plan.note(path, format!("not imported: {why}"));
            continue;
        }
        let key = credential.source.to_string_lossy().into_owned();
        let follower = credential.shape.follows;
        let last = seen.import_state.files.get(&key);
        let input = Input {
            shape: &credential.shape,
            source: bytes,
            destination: now.bytes(),
            last,
            force: wishes.force_import,
            leader: if follower { leaders.get(engine).copied() } else { None },
        };
        let decision = match decide(&input) {
            Ok(decision) => decision,
            Err(bad) => {
                plan.note(from, format!("not imported: it {bad}"));
                continue;
            }
        };
        if let (Some(side), false) = (decision.side, follower) {
            leaders.insert(engine, side);
        }
        let import = |content: Option<Vec<u8>>, keep, beside| Import {
            source: key.clone(),
            expected: now.bytes().map(|bytes| Secret::new(bytes.to_vec())),
            content: content.map(Secret::new),
            keep,
            beside,
        };
        let import = match decision.write {
            Write::Nothing => None,
            Write::Fresh(content) | Write::Replace(content) => Some(import(Some(content), None, None)),
            Write::ReplaceKeeping(content) => Some(import(Some(content), Some(REPLACED), None)),
            Write::ReplaceCorrupt(content) => Some(import(Some(content), Some(CORRUPT), None)),
            Write::KeepSourceBeside => Some(import(None, None, Some((NOT_IMPORTED, Secret::new(bytes.clone()))))),
        };
        if let Some(import) = import {
            let action = Action::Import(Box::new(import));
            plan.step(What::Credential, path.clone(), action, decision.why, Need::BestEffort);
        }
        if last != Some(&decision.remember) {
            updates.push((path, key, decision.remember));
        }
    }
    if !updates.is_empty() {
        let remember = Remember { base: seen.import_state.clone(), updates };
        let action = Action::Remember(Box::new(remember));
        let reason = "so that the next start knows what was imported";
        plan.step(What::ImportState, wishes.layout.import_state(), action, reason, Need::BestEffort);
    }
}
