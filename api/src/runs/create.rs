//! From a client's wish to a request, after everything that can be wrong with it has been said and before anything is written.
//!
//! A job whose skill requires files, and every temporary skill, then waits for its upload (`upload`); what has all that it
//! needs becomes a run (`submit`).

use super::{Options, schema, submit::Start};
use crate::{
    error::{ApiError, ApiResult},
    skills::{Mode, Skill},
    state::App,
    store::{Kind, Request, RunStatus},
    time::now_ms,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// A wish; `S` is its skill.
#[derive(Debug, Deserialize)]
pub struct NewRun<S> {
    /// The skill.
    pub skill_id: S,
    /// The engine.
    #[serde(default = "default_engine")]
    pub engine: String,
    /// Inline input.
    #[serde(default)]
    pub input: Value,
    /// Parameters.
    #[serde(default)]
    pub parameter: Value,
    /// The model.
    #[serde(default)]
    pub model: Option<String>,
    /// Runtime options.
    #[serde(default)]
    pub runtime_options: Value,
}

/// `POST /v1/jobs`: of an installed skill.
pub type NewJob = NewRun<String>;

/// `POST /v1/temp-skill-runs`: the skill comes with the upload; a name given here means nothing.
pub type NewTemp = NewRun<Option<IgnoredAny>>;

/// The engine of a request that names none: the contract's word, whatever the table holds.
pub const DEFAULT_ENGINE: &str = "codex";

fn default_engine() -> String {
    DEFAULT_ENGINE.to_owned()
}

/// What the client learns.
#[derive(Debug, Clone, Serialize)]
pub struct Created {
    /// Its handle on everything that follows.
    pub request_id: String,
    /// The result was there already.
    pub cache_hit: bool,
    /// `null`: an upload is awaited.
    pub status: Option<RunStatus>,
}

impl App {
    /// Makes a job: started at once, or waiting for the files that its skill requires.
    pub async fn create_job(self: &Arc<Self>, job: NewJob) -> ApiResult<Created> {
        self.make_job(job, false).await
    }

    /// The same for a client that has files, also where its skill requires none: it starts with the upload.
    pub async fn create_job_for_upload(self: &Arc<Self>, job: NewJob) -> ApiResult<Created> {
        self.make_job(job, true).await
    }

    async fn make_job(self: &Arc<Self>, job: NewJob, wait: bool) -> ApiResult<Created> {
        self.accepting()?;
        let skill = self
            .skills
            .skill(&job.skill_id)
            .await
            .ok_or_else(|| ApiError::not_found(format!("Skill '{}' not found", job.skill_id)))?;
        let options = self.check_request(&job.engine, job.model.as_deref(), &job.runtime_options).await?;
        check_skill(&skill, &job.engine, &options)?;
        let skill_id = job.skill_id.clone();
        let request = request(Kind::Job, skill_id, job)?;
        if self.check_values(&skill, &request).await? && !wait {
            let start = Start { input: request.input.clone(), request, skill, options, uploads: None };
            return self.submit(start, None).await;
        }
        self.wait_for_upload(request).await
    }

    /// Kept until its files come; whether the queue has room is asked again then.
    async fn wait_for_upload(&self, request: Request) -> ApiResult<Created> {
        let created = Created { request_id: request.request_id.clone(), cache_hit: false, status: None };
        self.write_request(&request).await?;
        self.store.put_request(request, None).await?;
        Ok(created)
    }

    /// Makes a temporary skill's request; its package comes with the upload.
    pub async fn create_temp(self: &Arc<Self>, temp: NewTemp) -> ApiResult<Created> {
        self.accepting()?;
        self.check_request(&temp.engine, temp.model.as_deref(), &temp.runtime_options).await?;
        let request = request(Kind::Temp, String::new(), temp)?;
        self.wait_for_upload(request).await
    }

    pub(super) fn accepting(&self) -> ApiResult<()> {
        if self.stop.is_set() { Err(ApiError::stopping()) } else { Ok(()) }
    }

    async fn check_request(&self, engine: &str, model: Option<&str>, options: &Value) -> ApiResult<Options> {
        if self.engines.get(engine).is_none() {
            let message = format!("engine '{engine}' is unknown; known are {}", self.engines.names().join(", "));
            return Err(ApiError::coded("SKILL_ENGINE_UNSUPPORTED", message));
        }
        if model.is_some_and(|model| model.is_empty() || model.starts_with('-') || model.len() > 256) {
            return Err(ApiError::bad_request("model is not a model's name"));
        }
        let options = Options::parse(options)?;
        let verdict = self.engines.verdict(engine).await;
        if !verdict.usable {
            let message = format!("SKILL_INIT_SANDBOX=require and {engine} cannot be confined: {}", verdict.evidence);
            return Err(ApiError::coded("ENGINE_SANDBOX_UNAVAILABLE", message));
        }
        Ok(options)
    }

    /// Parameters and inline input against the schemas; `true`: no file is required.
    pub(super) async fn check_values(&self, skill: &Arc<Skill>, request: &Request) -> ApiResult<bool> {
        let (skill, input, parameter) = (Arc::clone(skill), request.input.clone(), request.parameter.clone());
        tokio::task::spawn_blocking(move || {
            let broken = |what: &str, errors: Vec<String>| match errors.is_empty() {
                true => Ok(()),
                false => Err(ApiError::bad_request(format!("{what} validation failed: {}", errors.join("; ")))),
            };
            let schema_of = |which: &Option<String>| {
                skill.schema(which.as_ref()).map_err(|problem| ApiError::bad_request(problem.to_string()))
            };
            if let Some(schema) = schema_of(&skill.schemas.parameter)? {
                broken("parameter", schema::errors(&schema, &parameter))?;
            }
            match schema_of(&skill.schemas.input)? {
                Some(schema) => {
                    broken("input", schema::errors(&schema::inline_part(&schema), &input))?;
                    Ok(schema::required_file_keys(&schema).is_empty())
                }
                None => Ok(true),
            }
        })
        .await?
    }
}

/// The request of a wish, under a new name.
fn request<S>(kind: Kind, skill_id: String, wish: NewRun<S>) -> ApiResult<Request> {
    Ok(Request {
        request_id: Uuid::new_v4().to_string(),
        kind,
        skill_id,
        engine: wish.engine,
        model: wish.model,
        input: Value::Object(object(wish.input, "input")?),
        parameter: Value::Object(object(wish.parameter, "parameter")?),
        options: if wish.runtime_options.is_null() { json!({}) } else { wish.runtime_options },
        run_id: None,
        created_at: now_ms(),
    })
}

pub(super) fn check_skill(skill: &Skill, engine: &str, options: &Options) -> ApiResult<()> {
    if !skill.effective_engines.iter().any(|known| known == engine) {
        let message = format!(
            "Skill '{}' does not support engine '{engine}'; it supports {}",
            skill.id,
            skill.effective_engines.join(", ")
        );
        return Err(ApiError::coded("SKILL_ENGINE_UNSUPPORTED", message));
    }
    if !skill.execution_modes.contains(&options.mode) {
        let message = format!("Skill '{}' does not support the execution mode {:?}", skill.id, options.mode);
        return Err(ApiError::coded("SKILL_EXECUTION_MODE_UNSUPPORTED", message));
    }
    if options.mode == Mode::Interactive {
        return Err(ApiError::not_implemented("execution_mode=interactive"));
    }
    Ok(())
}

pub(super) fn object(value: Value, what: &str) -> ApiResult<Map<String, Value>> {
    match value {
        Value::Null => Ok(Map::new()),
        Value::Object(map) => Ok(map),
        _ => Err(ApiError::bad_request(format!("{what} is not an object"))),
    }
}
