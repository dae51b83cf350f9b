//! The files that a request has waited for: a job's input, a temporary skill's package. With them it becomes a run.
//!
//! A place in the queue is held before the first entry is unpacked, and each archive is unpacked beside its place, so that what
//! is refused leaves the request as it was: the client may send another one.

use super::{
    Options,
    archive::{self, Bounds},
    create::{Created, check_skill, object},
    schema,
    submit::Start,
};
use crate::{
    admission::Place,
    engines::Engines,
    error::{ApiError, ApiResult},
    files,
    http::upload::unfinished,
    packages::{Package, top_folder},
    skills::Skill,
    state::App,
    store::{Kind, Request},
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

impl App {
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
        let (app, bounds) = (Arc::clone(self), Bounds::for_upload(self.config.temp_package_max));
        let skill =
            tokio::task::spawn_blocking(move || install_temp(&folder, &package, bounds, &app.engines)).await??;
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

    async fn open_request(&self, kind: Kind, request_id: &str) -> ApiResult<Request> {
        self.accepting()?;
        let request = self.store.request(request_id).await?.filter(|request| request.kind == kind);
        let request = request.ok_or_else(|| ApiError::not_found(format!("Request '{request_id}' not found")))?;
        if request.run_id.is_some() {
            return Err(ApiError::conflict("the request has been started already"));
        }
        Ok(request)
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
}

/// Unpacks and checks a temporary skill. Blocking.
fn install_temp(folder: &Path, package: &Path, bounds: Bounds, engines: &Engines) -> ApiResult<Skill> {
    let (incoming, target) = (unfinished(folder), folder.join("skill"));
    let result = (|| {
        archive::unpack(package, &incoming, bounds).map_err(archive::ArchiveError::into_api)?;
        let top = top_folder(&incoming).map_err(ApiError::bad_request)?;
        Package::check(&top, engines).map_err(|problems| ApiError::bad_request(problems.join("; ")))?;
        let (skill, _) =
            Skill::read(&top, engines.names()).map_err(|problem| ApiError::bad_request(problem.to_string()))?;
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
