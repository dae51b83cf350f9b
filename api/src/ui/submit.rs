//! `POST /ui/skills/{id}/run`: a filled-in form becomes a job; a wrong one comes back with what is wrong with it.
//!
//! Files go to disk as they arrive and into the job as the documented archive whose names are the input's keys, so that a
//! run from a page is the same as one over the API. What was uploaded is removed whatever becomes of the job.

use super::{
    FORM_TEXT,
    form::{Form, Kind},
    skill,
    visit::Visit,
};
use crate::{
    error::{ApiError, ApiResult},
    http::{
        bodies::Part,
        form as multipart,
        upload::{self, Received},
    },
    runs::{NewJob, schema, sink::Sink},
    skills::Skill,
};
use axum::{
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs::File, io, path::PathBuf, sync::Arc};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// What came.
#[derive(Debug)]
struct Sent {
    text: BTreeMap<String, String>,
    files: Received,
    /// The input's key and the name in the archive.
    names: BTreeMap<String, String>,
    /// The memory that the text takes.
    part: Part,
}

/// The handler.
pub(super) async fn run(visit: Visit, Path(id): Path<String>, data: multipart::Form) -> ApiResult<Response> {
    let skill = skill::known(&visit, &id).await?;
    let mut form = Form::new(&visit, &skill).await?;
    let sent = receive(&visit, &form, data).await?;
    let keys: Vec<String> = sent.names.keys().cloned().collect();
    let (input, parameter) = form.take(sent.text.clone(), &keys);
    for field in &mut form.fields {
        field.error = field.error.take().map(|key| visit.text(&key).to_owned());
    }
    check(&skill, &mut form, &input, &parameter).await?;
    let timeout = if form.timeout.is_empty() { Ok(None) } else { form.timeout.parse::<u64>().map(Some) };
    let Ok(timeout) = timeout else {
        form.errors.push(visit.text("form.timeout").to_owned());
        return skill::show(&visit, &skill, &form, StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    if form.refused() {
        return skill::show(&visit, &skill, &form, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    let mut options = json!({"no_cache": form.no_cache});
    if let (Some(seconds), Some(map)) = (timeout, options.as_object_mut()) {
        map.insert("hard_timeout_seconds".to_owned(), seconds.into());
    }
    let job = NewJob {
        skill_id: skill.id.clone(),
        engine: form.engine.clone(),
        input,
        parameter,
        model: (!form.model.is_empty()).then(|| form.model.clone()),
        runtime_options: options,
    };
    match start(&visit, job, sent).await {
        Ok(request_id) => Ok(Redirect::to(&format!("/ui/runs/{request_id}")).into_response()),
        Err(error) if error.status.is_client_error() => {
            form.errors.push(super::errors::text(Some(&error.detail)));
            skill::show(&visit, &skill, &form, error.status).await
        }
        Err(error) => Err(error),
    }
}

async fn receive(visit: &Visit, form: &Form, mut data: multipart::Form) -> ApiResult<Sent> {
    let (folder, mut files_left) = (visit.app.config.requests_dir(), visit.app.config.upload_max);
    let mut text_left = FORM_TEXT;
    let mut sent =
        Sent { text: BTreeMap::new(), files: Received::default(), names: BTreeMap::new(), part: visit.app.room.part() };
    while let Some(mut field) = data.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        let Some(file_name) = field.file_name().map(str::to_owned) else {
            // Chunk by chunk: the form's limit is that of its files, which never are in memory.
            let mut text = Vec::new();
            while let Some(chunk) = field.chunk().await.map_err(upload::broken)? {
                text_left = text_left.checked_sub(chunk.len() as u64).ok_or_else(|| {
                    ApiError::too_large(format!("the form holds more than {FORM_TEXT} bytes of text"))
                })?;
                sent.part.grow(chunk.len())?;
                text.extend_from_slice(&chunk);
            }
            sent.text.insert(name, String::from_utf8_lossy(&text).into_owned());
            continue;
        };
        let wanted = form.fields.iter().find(|field| field.kind == Kind::File && field.name == name);
        // A field without a chosen file is sent with an empty name.
        let Some(wanted) = wanted.filter(|_| !file_name.is_empty()) else {
            multipart::skip(field).await?;
            continue;
        };
        files_left -= sent.files.take(field, &folder, files_left).await?;
        sent.names.insert(wanted.key.clone(), archive_name(&wanted.key, &file_name));
    }
    Ok(sent)
}

/// The key with the file's own ending, which tools go by.
fn archive_name(key: &str, file_name: &str) -> String {
    let ending = file_name.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
    let plain = !ending.is_empty() && ending.len() <= 16 && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { format!("{key}.{ending}") } else { key.to_owned() }
}

/// The schemas' own words at the fields that they are about.
async fn check(skill: &Arc<Skill>, form: &mut Form, input: &Value, parameter: &Value) -> ApiResult<()> {
    let (skill, input, parameter) = (Arc::clone(skill), input.clone(), parameter.clone());
    let found = tokio::task::spawn_blocking(move || {
        let schema_of = |which: &Option<String>| skill.schema(which.as_ref()).ok().flatten();
        let mut found = Vec::new();
        if let Some(schema) = schema_of(&skill.schemas.input) {
            found.extend(schema::findings(&schema::inline_part(&schema), &input).into_iter().map(|f| ("input", f)));
        }
        if let Some(schema) = schema_of(&skill.schemas.parameter) {
            found.extend(schema::findings(&schema, &parameter).into_iter().map(|f| ("parameter", f)));
        }
        found
    })
    .await?;
    for (group, (at, message)) in found {
        form.blame(group, &at, &message);
    }
    Ok(())
}

async fn start(visit: &Visit, job: NewJob, sent: Sent) -> ApiResult<String> {
    let app = &visit.app;
    if sent.names.is_empty() {
        return Ok(app.create_job(job).await?.request_id);
    }
    let created = app.create_job_for_upload(job).await?;
    let folder = app.config.requests_dir().join(&created.request_id);
    let archive = Archive(upload::unfinished(&folder));
    let (path, files, names) = (archive.0.clone(), sent.files, sent.names);
    tokio::task::spawn_blocking(move || {
        let mut zip = ZipWriter::new(Sink::new(File::create_new(&path)?));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
        for (key, name) in names {
            let Some(from) = files.get(&format!("input.{key}")) else { continue };
            zip.start_file(name, options).map_err(io::Error::other)?;
            io::copy(&mut File::open(from)?, &mut zip)?;
        }
        zip.finish().map_err(io::Error::other)?.finish()
    })
    .await??;
    let (created, _) = app.upload_job(&created.request_id, archive.0.clone()).await?;
    Ok(created.request_id)
}

/// An archive that goes when it has been unpacked, or could not be.
#[derive(Debug)]
struct Archive(PathBuf);

impl Drop for Archive {
    fn drop(&mut self) {
        // Gone already: as wanted.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::archive_name;

    #[test]
    fn a_file_keeps_a_plain_ending_and_nothing_else_of_its_name() {
        assert_eq!(archive_name("paper", "My Paper.PDF"), "paper.PDF");
        for odd in ["paper", "../../x", "a.", "a.p/df", "a.exé"] {
            assert_eq!(archive_name("paper", odd), "paper", "{odd}");
        }
    }
}
