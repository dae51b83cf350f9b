//! What a run needs before its engine starts: the skill's own copy, the engine's configuration, the prompt, a picture of the
//! folder as it was.
//!
//! While the skill is copied no package is put in its place, so that a run is of one version; an edit by hand meanwhile costs
//! only the place in the cache.

use super::{Options, RunFolder, cache_key::Key, output_schema::Contract, prompt, skill_copy};
use crate::{
    skills::Skill,
    state::App,
    store::{Kind, Request, Run},
};
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// What the preparation made.
pub(super) struct Prepared {
    pub(super) folder: RunFolder,
    /// Under which the result may be kept: of the skill that was copied, which may be newer than the one at creation.
    pub(super) cache_key: Option<String>,
    pub(super) contract: Contract,
    pub(super) prompt: String,
    pub(super) overrides: Vec<String>,
    pub(super) options: Options,
    pub(super) before: BTreeMap<String, (u64, i64)>,
}

impl App {
    /// The skill of a run: the registry's, or the one that came with the request.
    pub(super) async fn skill_of(&self, run: &Run) -> Result<Arc<Skill>, String> {
        match run.kind {
            Kind::Job => {
                self.skills.skill(&run.skill_id).await.ok_or_else(|| format!("the skill '{}' is gone", run.skill_id))
            }
            Kind::Temp => {
                let path = self.temp_skill(&run.request_id, &run.skill_id);
                let engines = self.engines.names().to_vec();
                tokio::task::spawn_blocking(move || Skill::read(&path, &engines))
                    .await
                    .map_err(|error| error.to_string())?
                    .map(|(skill, _)| Arc::new(skill))
                    .map_err(|problem| problem.to_string())
            }
        }
    }

    /// Where a temporary skill lies.
    pub(super) fn temp_skill(&self, request_id: &str, skill_id: &str) -> PathBuf {
        self.config.requests_dir().join(request_id).join("skill").join(skill_id)
    }

    pub(super) async fn prepare(
        self: &Arc<Self>,
        run: &Run,
        folder: RunFolder,
    ) -> Result<Prepared, (&'static str, String)> {
        let skill = self.skill_of(run).await.map_err(|message| ("SKILL_NOT_FOUND", message))?;
        let request = match self.store.request(&run.request_id).await {
            Ok(Some(request)) => request,
            Ok(None) => return Err(("REQUEST_NOT_FOUND", "the request of the run is gone".to_owned())),
            Err(error) => return Err(("INTERNAL_ERROR", error.to_string())),
        };
        let options = Options::parse(&request.options).map_err(|error| ("OPTIONS_INVALID", error.to_string()))?;
        let (app, run) = (Arc::clone(self), run.clone());
        tokio::task::spawn_blocking(move || {
            // From here to the end of the copy the skill is one version, whatever is being installed.
            let held = app.installs.hold();
            let (skill, _) = Skill::read(&skill.path, app.engines.names())
                .map_err(|problem| ("SKILL_INVALID", problem.to_string()))?;
            let contract = Contract::of(&skill).map_err(|message| ("SKILL_INVALID", message))?;
            let io = |error: std::io::Error| ("RUN_FOLDER_UNUSABLE", error.to_string());
            let key = || request_key(&skill, &request, &folder).map_err(io);
            let before_copy = run.cache_key.as_ref().map(|_| key()).transpose()?;
            let copy = skill_copy::copy(&skill, &contract, &folder, &run.engine).map_err(io)?;
            let overrides = match app.engines.get(&run.engine) {
                Some(engine) => crate::engines::write_configs(engine, &skill.path, folder.path())
                    .map_err(|error| ("ENGINE_CONFIG_INVALID", error.to_string()))?,
                // Said when it is to be launched.
                None => Vec::new(),
            };
            // An edit by hand while it was copied: what was run is no version that anybody can name.
            let cache_key = before_copy.map(|before| Ok((key()? == before).then_some(before))).transpose()?.flatten();
            drop(held);
            let input = folder.read_input().map_err(io)?;
            let part = |key: &str| input.get(key).cloned().unwrap_or_else(|| json!({}));
            let prompt = prompt::render(&skill, &run.engine, &part("input"), &part("parameter"), folder.path(), &copy)
                .map_err(|message| ("PROMPT_INVALID", message))?;
            crate::files::write_atomic(&folder.audit_file("stdin", 1, "log"), prompt.as_bytes()).map_err(io)?;
            let before = folder.snapshot();
            folder.write_snapshot("before", 1, &before).map_err(io)?;
            Ok(Prepared { folder, cache_key, contract, prompt, overrides, options, before })
        })
        .await
        .map_err(|error| ("INTERNAL_ERROR", error.to_string()))?
    }
}

/// The cache's key for this request with the skill as it is now. Blocking.
fn request_key(skill: &Skill, request: &Request, folder: &RunFolder) -> std::io::Result<String> {
    let uploads = folder.uploads();
    Key { skill, request, uploads: uploads.is_dir().then_some(&uploads) }.hash()
}
