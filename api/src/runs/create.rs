//! From a client's wish to a queued run.
//!
//! Order, so that a crash at any point leaves nothing half: a place in the queue (429 before anything is written), the
//! folder under a name of its own, one transaction with request and run, then the folder's final name. The next start
//! finishes or removes what lies in between.

use super::{
    Options, RunFolder, SettledRun,
    archive::{self, Bounds},
    cache_key::Key,
    schema,
};
use crate::{
    admission::Place,
    error::{ApiError, ApiResult},
    files,
    http::upload::unfinished,
    packages::{Package, top_folder},
    skills::{Mode, Skill},
    state::App,
    store::{Kind, Request, Run, RunStatus},
    time::now_ms,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

/// `POST /v1/jobs`.
#[derive(Debug, Deserialize)]
pub struct NewJob {
    /// An installed skill.
    pub skill_id: String,
    /// The engine.
    #[serde(default = "codex")]
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

/// `POST /v1/temp-skill-runs`.
#[derive(Debug, Deserialize)]
pub struct NewTemp {
    /// The engine.
    #[serde(default = "codex")]
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

fn codex() -> String {
    "codex".to_owned()
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

/// A request that is about to become a run.
struct Start {
    request: Request,
    skill: Arc<Skill>,
    options: Options,
    input: Value,
    uploads: Option<PathBuf>,
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
        let input = object(job.input, "input")?;
        let parameter = object(job.parameter, "parameter")?;
        let request = Request {
            request_id: Uuid::new_v4().to_string(),
            kind: Kind::Job,
            skill_id: job.skill_id,
            engine: job.engine,
            model: job.model,
            input: Value::Object(input),
            parameter: Value::Object(parameter),
            options: if job.runtime_options.is_null() { json!({}) } else { job.runtime_options },
            run_id: None,
            created_at: now_ms(),
        };
        if self.check_values(&skill, &request).await? && !wait {
            let start = Start { input: request.input.clone(), request, skill, options, uploads: None };
            return self.submit(start, None).await;
        }
        // Whether the queue has room is asked again when the upload comes.
        let created = Created { request_id: request.request_id.clone(), cache_hit: false, status: None };
        self.write_request(&request).await?;
        self.store.put_request(request, None).await?;
        Ok(created)
    }

    /// Makes a temporary skill's request; its package comes with the upload.
    pub async fn create_temp(self: &Arc<Self>, temp: NewTemp) -> ApiResult<Created> {
        self.accepting()?;
        self.check_request(&temp.engine, temp.model.as_deref(), &temp.runtime_options).await?;
        let request = Request {
            request_id: Uuid::new_v4().to_string(),
            kind: Kind::Temp,
            skill_id: String::new(),
            engine: temp.engine,
            model: temp.model,
            input: Value::Object(object(temp.input, "input")?),
            parameter: Value::Object(object(temp.parameter, "parameter")?),
            options: if temp.runtime_options.is_null() { json!({}) } else { temp.runtime_options },
            run_id: None,
            created_at: now_ms(),
        };
        let created = Created { request_id: request.request_id.clone(), cache_hit: false, status: None };
        self.write_request(&request).await?;
        self.store.put_request(request, None).await?;
        Ok(created)
    }

    /// 404, 409, 429 or 503 before an upload's first byte is read.
    pub async fn uploadable(&self, kind: Kind, request_id: &str) -> ApiResult<()> {
        self.open_request(kind, request_id).await?;
        // Only asked, not kept: a slow client must not hold a place while it sends.
        self.admission.admit().map(drop).map_err(|_| ApiError::queue_full())
    }

    /// The files of a job, as a zip that lies at `archive`; starts the job.
    pub async fn upload_job(self: &Arc<Self>, request_id: &str, archive: PathBuf) -> ApiResult<(Created, Vec<String>)> {
        let request = self.open_request(Kind::Job, request_id).await?;
        let skill = self
            .skills
            .skill(&request.skill_id)
            .await
            .ok_or_else(|| ApiError::not_found(format!("Skill '{}' not found", request.skill_id)))?;
        let options = Options::parse(&request.options)?;
        let place = self.admission.admit().map_err(|_| ApiError::queue_full())?;
        let (uploads, names) = self.unpack_uploads(request_id, archive).await?;
        let created = self.start_with_uploads(request, skill, options, uploads, place).await?;
        Ok((created, names))
    }

    /// A temporary skill's package, and its files where there are any; starts the run.
    pub async fn upload_temp(
        self: &Arc<Self>,
        request_id: &str,
        package: PathBuf,
        archive: Option<PathBuf>,
    ) -> ApiResult<(Created, Vec<String>)> {
        let mut request = self.open_request(Kind::Temp, request_id).await?;
        let options = Options::parse(&request.options)?;
        let place = self.admission.admit().map_err(|_| ApiError::queue_full())?;
        let folder = self.config.requests_dir().join(request_id);
        let (engines, bounds) = (self.engines.names().to_vec(), Bounds::for_upload(self.config.temp_package_max));
        let skill = tokio::task::spawn_blocking(move || install_temp(&folder, &package, bounds, &engines)).await??;
        check_skill(&skill, &request.engine, &options)?;
        request.skill_id.clone_from(&skill.id);
        let skill = Arc::new(skill);
        let needs_files = !self.check_values(&skill, &request).await?;
        let (uploads, names) = match archive {
            Some(archive) => self.unpack_uploads(request_id, archive).await?,
            None if needs_files => {
                return Err(ApiError::bad_request("the skill requires input files: send them as 'file'"));
            }
            None => {
                let start = Start { input: request.input.clone(), request, skill, options, uploads: None };
                return Ok((self.submit(start, Some(place)).await?, Vec::new()));
            }
        };
        Ok((self.start_with_uploads(request, skill, options, uploads, place).await?, names))
    }

    fn accepting(&self) -> ApiResult<()> {
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
    async fn check_values(&self, skill: &Arc<Skill>, request: &Request) -> ApiResult<bool> {
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

    async fn open_request(&self, kind: Kind, request_id: &str) -> ApiResult<Request> {
        self.accepting()?;
        let request = self.store.request(request_id).await?.filter(|request| request.kind == kind);
        let request = request.ok_or_else(|| ApiError::not_found(format!("Request '{request_id}' not found")))?;
        if request.run_id.is_some() {
            return Err(ApiError::conflict("the request has been started already"));
        }
        Ok(request)
    }

    async fn write_request(&self, request: &Request) -> ApiResult<()> {
        let folder = self.config.requests_dir().join(&request.request_id);
        let record = json!({
            "request_id": request.request_id, "skill_id": request.skill_id, "engine": request.engine,
            "model": request.model, "input": request.input, "parameter": request.parameter,
            "runtime_options": request.options, "created_at": crate::time::rfc3339(request.created_at),
        });
        self.store.folder_coming(&request.request_id).await?;
        tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder)?;
            files::write_json(&folder.join("request.json"), &record)
        })
        .await??;
        Ok(())
    }

    async fn unpack_uploads(&self, request_id: &str, archive: PathBuf) -> ApiResult<(PathBuf, Vec<String>)> {
        let folder = self.config.requests_dir().join(request_id);
        let bounds = Bounds::for_upload(self.config.upload_max);
        tokio::task::spawn_blocking(move || {
            let (incoming, uploads) = (unfinished(&folder), folder.join("uploads"));
            let names = archive::unpack(&archive, &incoming, bounds).map_err(|error| {
                let _ = files::remove_tree(&incoming);
                error.into_api()
            })?;
            files::remove_tree(&uploads)?;
            std::fs::rename(&incoming, &uploads)?;
            files::write_json(&folder.join("input_manifest.json"), &json!({"files": names}))?;
            Ok((uploads, names))
        })
        .await?
    }

    async fn start_with_uploads(
        self: &Arc<Self>,
        request: Request,
        skill: Arc<Skill>,
        options: Options,
        uploads: PathBuf,
        place: Place,
    ) -> ApiResult<Created> {
        let checked = {
            let (skill, uploads, input) = (Arc::clone(&skill), uploads.clone(), request.input.clone());
            tokio::task::spawn_blocking(move || {
                let mut input = object(input, "input")?;
                let schema = skill.schema(skill.schemas.input.as_ref());
                let schema = schema.map_err(|problem| ApiError::bad_request(problem.to_string()))?;
                let missing =
                    schema.map(|schema| schema::resolve_files(&schema, &mut input, &uploads)).unwrap_or_default();
                if missing.is_empty() {
                    return Ok(Value::Object(input));
                }
                // The client sends another archive.
                files::remove_tree(&uploads)?;
                Err(ApiError::bad_request(format!("required input files are missing: {}", missing.join(", "))))
            })
            .await?
        };
        self.submit(Start { input: checked?, request, skill, options, uploads: Some(uploads) }, Some(place)).await
    }

    /// The cache, else a place and a run.
    async fn submit(self: &Arc<Self>, start: Start, place: Option<Place>) -> ApiResult<Created> {
        let Start { mut request, skill, options, input, uploads } = start;
        let request_id = request.request_id.clone();
        let key = {
            let (skill, request, uploads) = (Arc::clone(&skill), request.clone(), uploads.clone());
            tokio::task::spawn_blocking(move || {
                Key { skill: &skill, request: &request, uploads: uploads.as_deref() }.hash()
            })
            .await??
        };
        let cache = options.mode == Mode::Auto && !options.no_cache;
        if cache
            && let Some(run) = self.store.cached(&key).await?
            && tokio::fs::try_exists(RunFolder::new(&self.config.runs_dir(), &run.run_id).result()).await?
        {
            request.run_id = Some(run.run_id);
            self.write_request(&request).await?;
            if !self.store.put_request(request, None).await? {
                return Err(ApiError::conflict("the request has been started already"));
            }
            return Ok(Created { request_id, cache_hit: true, status: Some(RunStatus::Succeeded) });
        }
        let place = match place {
            Some(place) => place,
            None => self.admission.admit().map_err(|_| ApiError::queue_full())?,
        };
        let run_id = Uuid::new_v4().to_string();
        let now = now_ms();
        let run = Run {
            run_id: run_id.clone(),
            request_id: request_id.clone(),
            kind: request.kind,
            skill_id: skill.id.clone(),
            engine: request.engine.clone(),
            model: request.model.clone(),
            status: RunStatus::Queued,
            created_at: now,
            updated_at: now,
            started_at: None,
            finished_at: None,
            warnings: json!([]),
            error: None,
            cache_key: cache.then_some(key),
            recovery_state: None,
            recovered_at: None,
            recovery_reason: None,
        };
        self.write_request(&request).await?;
        let record = json!({"skill_id": skill.id, "engine": request.engine, "model": request.model, "input": input,
            "parameter": request.parameter, "runtime_options": request.options, "request_id": request_id});
        let (runs, timeout) = (self.config.runs_dir(), self.session_timeout());
        let (id, from) = (run_id.clone(), uploads);
        tokio::task::spawn_blocking(move || {
            let folder = RunFolder::at(runs.join(format!("{NEW}{id}")));
            let made = folder
                .create(&record)
                .and_then(|()| from.map_or(Ok(()), |from| files::copy_tree(&from, &folder.uploads())));
            match made {
                Ok(()) => folder.write_status(RunStatus::Queued, &json!([]), None, timeout),
                // What cannot be removed either, the next start removes.
                Err(_) => drop(files::remove_tree(folder.path())),
            }
            made
        })
        .await??;
        request.run_id = Some(run_id.clone());
        self.events.open(&run_id);
        let stored = self.store.put_request(request, Some(run.clone())).await;
        if !matches!(stored, Ok(true)) {
            self.events.end(&run_id);
            let path = self.config.runs_dir().join(format!("{NEW}{run_id}"));
            let _ = tokio::task::spawn_blocking(move || files::remove_tree(&path)).await;
            stored?;
            return Err(ApiError::conflict("the request has been started already"));
        }
        let (runs, id) = (self.config.runs_dir(), run_id.clone());
        let named = tokio::task::spawn_blocking(move || {
            settle_name(&runs, &id).inspect_err(|_| drop(files::remove_tree(&runs.join(format!("{NEW}{id}")))))
        });
        if let Err(error) = named.await? {
            // Its row is there, and nobody would ever start it.
            let failed = SettledRun::failed("RUN_FOLDER_MISSING", format!("the run's folder cannot be made: {error}"));
            self.settle(&run, failed, None).await;
            return Err(error.into());
        }
        self.enqueue(run, place);
        Ok(Created { request_id, cache_hit: false, status: Some(RunStatus::Queued) })
    }
}

/// Prefix of a run folder before its row is there.
pub(super) const NEW: &str = ".new-";

/// Gives a run's folder its final name. Blocking.
pub(super) fn settle_name(runs: &Path, run_id: &str) -> std::io::Result<()> {
    std::fs::rename(runs.join(format!("{NEW}{run_id}")), runs.join(run_id))?;
    // For people; two runs that start at once may write it in either order.
    let _ = files::write_atomic(&runs.join("latest_run_id"), run_id.as_bytes());
    Ok(())
}

fn check_skill(skill: &Skill, engine: &str, options: &Options) -> ApiResult<()> {
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

fn object(value: Value, what: &str) -> ApiResult<Map<String, Value>> {
    match value {
        Value::Null => Ok(Map::new()),
        Value::Object(map) => Ok(map),
        _ => Err(ApiError::bad_request(format!("{what} is not an object"))),
    }
}

/// Unpacks and checks a temporary skill. Blocking.
fn install_temp(folder: &Path, package: &Path, bounds: Bounds, engines: &[String]) -> ApiResult<Skill> {
    let (incoming, target) = (unfinished(folder), folder.join("skill"));
    let result = (|| {
        archive::unpack(package, &incoming, bounds).map_err(archive::ArchiveError::into_api)?;
        let top = top_folder(&incoming).map_err(ApiError::bad_request)?;
        Package::check(&top, engines).map_err(|problems| ApiError::bad_request(problems.join("; ")))?;
        let (skill, _) = Skill::read(&top, engines).map_err(|problem| ApiError::bad_request(problem.to_string()))?;
        files::remove_tree(&target)?;
        std::fs::rename(&incoming, &target)?;
        let path = target.join(&skill.id);
        Ok(Skill { path, ..skill })
    })();
    if result.is_err() {
        let _ = files::remove_tree(&incoming);
    }
    result
}
