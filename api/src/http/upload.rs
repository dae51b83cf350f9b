//! Multipart uploads, streamed to disk within a limit; nothing larger than a chunk is ever in memory.

use super::form::{self, Form};
use crate::error::{ApiError, ApiResult};
use axum::{
    extract::{
        DefaultBodyLimit,
        multipart::{Field, MultipartError},
    },
    http::StatusCode,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tokio::io::AsyncWriteExt;

/// How the name of a file begins that is being received: what a killed worker leaves under it, the next one removes.
pub const UNFINISHED: &str = ".upload-";

/// Most bytes of a whole form with files of these limits: what surrounds them is small.
pub fn form_max(files: u64) -> DefaultBodyLimit {
    DefaultBodyLimit::max(usize::try_from(files.saturating_add(1 << 20)).unwrap_or(usize::MAX))
}

/// Why a form could not be read: its own form, its size, or a client that stopped sending.
pub fn broken(error: MultipartError) -> ApiError {
    match error.status() {
        status if status.is_server_error() => ApiError::cut_off(),
        // As any other body that is not of its form.
        StatusCode::BAD_REQUEST => ApiError::unprocessable(format!("the form cannot be read: {}", error.body_text())),
        status => ApiError::new(status, error.body_text()),
    }
}

/// A place for such a file.
pub fn unfinished(folder: &Path) -> PathBuf {
    folder.join(format!("{UNFINISHED}{}", uuid::Uuid::new_v4()))
}

/// Files of a form, by field name; removed from the disk when this is dropped.
#[derive(Debug, Default)]
pub struct Received(BTreeMap<String, PathBuf>);

impl Received {
    /// The file of a field.
    pub fn get(&self, field: &str) -> Option<&Path> {
        self.0.get(field).map(PathBuf::as_path)
    }
    /// Takes a field's file into a folder that exists; gives its size, which is at most `limit` bytes.
    pub async fn take(&mut self, field: Field<'_>, folder: &Path, limit: u64) -> ApiResult<u64> {
        let name = field.name().unwrap_or_default().to_owned();
        if self.0.contains_key(&name) {
            return Err(ApiError::unprocessable(format!("the form has '{name}' twice")));
        }
        let path = unfinished(folder);
        self.0.insert(name.clone(), path.clone());
        store(field, &name, &path, limit).await
    }
    /// The file of a field that must be there.
    pub fn need(&self, field: &str) -> ApiResult<&Path> {
        self.get(field).ok_or_else(|| ApiError::unprocessable(format!("the form has no file '{field}'")))
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        for path in self.0.values() {
            // Gone already: as wanted.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Takes the named fields of a form into `folder`; each has a limit in bytes. Other fields are ignored.
pub async fn receive(mut form: Form, folder: &Path, fields: &[(&str, u64)]) -> ApiResult<Received> {
    tokio::fs::create_dir_all(folder).await?;
    let mut out = Received::default();
    loop {
        let Some(field) = form.next_field().await? else { return Ok(out) };
        let name = field.name().unwrap_or_default().to_owned();
        match fields.iter().find(|(wanted, _)| *wanted == name) {
            Some((_, limit)) => {
                out.take(field, folder, *limit).await?;
            }
            None => form::skip(field).await?,
        }
    }
}

async fn store(mut field: Field<'_>, name: &str, path: &Path, limit: u64) -> ApiResult<u64> {
    let mut file = tokio::fs::File::create_new(path).await?;
    let mut size = 0u64;
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        size += chunk.len() as u64;
        if size > limit {
            return Err(ApiError::too_large(format!("'{name}' is larger than {limit} bytes")));
        }
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok(size)
}
