//! Models of an engine: the greatest pinned snapshot not newer than the CLI, or what the CLI itself said last,
//! where its row of the table has arguments that print them.
//!
//! Snapshots are `models_<version>.json` in `<data>/engine_catalog/models/<engine>`, where clients add them, and in
//! the image's own `server/assets/models/<engine>`. No request ever waits for a CLI: it is asked in the background.

use super::Engines;
use crate::{
    error::{ApiError, ApiResult},
    files,
    http::extract::Fields,
    state::App,
    time::{now_ms, rfc3339},
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skill_init::agents::catalogue::Version;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::{io::AsyncReadExt, process::Command};

/// How old a CLI's list may be before it is asked again.
const PROBE_AGE: Duration = Duration::from_secs(3600);
/// Most bytes of its answer that are read.
const PROBE_MAX: u64 = 1 << 20;
/// Deadline of its answer.
const PROBE_DEADLINE: Duration = Duration::from_secs(20);

/// A model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// Its id, as `--model` takes it.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Going away.
    #[serde(default)]
    pub deprecated: bool,
    /// Anything.
    #[serde(default)]
    pub notes: Option<String>,
    /// Levels of effort.
    #[serde(default)]
    pub supported_effort: Option<Vec<String>>,
    /// Of a CLI's own list: the provider.
    #[serde(default)]
    pub provider: Option<String>,
    /// Of a CLI's own list: the model at the provider.
    #[serde(default)]
    pub model: Option<String>,
}

/// `POST /v1/engines/{e}/models/snapshots`.
#[derive(Debug, Deserialize)]
pub struct NewSnapshot {
    /// The models.
    pub models: Vec<Fields<Model>>,
}

#[derive(Debug, Default, Deserialize)]
struct File {
    #[serde(default)]
    models: Vec<Model>,
}

struct Snapshot {
    version: String,
    path: PathBuf,
}

impl Engines {
    fn snapshot_folders(&self, engine: &str) -> [PathBuf; 2] {
        [self.catalog().join("models").join(engine), self.layout().app.join("server/assets/models").join(engine)]
    }

    fn catalog(&self) -> PathBuf {
        self.layout().data.join("engine_catalog")
    }

    fn probe_cache(&self, engine: &str) -> PathBuf {
        self.catalog().join(format!("{engine}_models_cache.json"))
    }
}

/// Every snapshot of these folders, oldest first; the first folder's count more. Blocking.
fn snapshots(folders: &[PathBuf]) -> Vec<Snapshot> {
    let mut out: Vec<(Version, Snapshot)> = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(text) = name.strip_prefix("models_").and_then(|rest| rest.strip_suffix(".json")) else { continue };
            let Some(version) = Version::find(text) else { continue };
            if !out.iter().any(|(known, _)| *known == version) {
                out.push((version, Snapshot { version: text.to_owned(), path: entry.path() }));
            }
        }
    }
    out.sort_by_key(|(version, _)| *version);
    out.into_iter().map(|(_, snapshot)| snapshot).collect()
}

fn read(path: &Path) -> Result<Vec<Model>, String> {
    let bytes = files::read_small(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice::<File>(&bytes)
        .map(|file| file.models)
        .map_err(|error| format!("{}: {error}", path.display()))
}

impl App {
    /// The models of an engine, as `GET /v1/engines/{e}/models` shows them.
    pub async fn models(self: &Arc<Self>, engine: &str) -> ApiResult<Value> {
        if self.engines.get(engine).is_some_and(|engine| engine.models.is_some()) {
            self.refresh_models(engine.to_owned());
        }
        let view = self.model_view(engine).await?;
        let field = |name: &str| view.get(name).cloned().unwrap_or_default();
        Ok(json!({
            "engine": engine, "cli_version_detected": field("cli_version_detected"),
            "snapshot_version_used": field("resolved_snapshot_version"), "source": field("source"),
            "fallback_reason": field("fallback_reason"), "models": field("models"),
        }))
    }

    /// The same with the files behind it, as `.../models/manifest` shows it.
    pub async fn model_view(&self, engine: &str) -> ApiResult<Value> {
        let Some(known) = self.engines.get(engine) else {
            return Err(ApiError::not_found(format!("Engine '{engine}' not found")));
        };
        let version = self.engines.status().await.version(engine);
        let cache = known.models.as_ref().map(|_| self.engines.probe_cache(engine));
        let (name, folders) = (engine.to_owned(), self.engines.snapshot_folders(engine));
        Ok(tokio::task::spawn_blocking(move || view(&name, version.as_deref(), &folders, cache.as_deref())).await?)
    }

    /// Pins the models for the CLI that is installed: 409 where they are pinned, or no version is known.
    pub async fn add_snapshot(&self, engine: &str, new: NewSnapshot) -> ApiResult<Value> {
        let Some(known) = self.engines.get(engine) else {
            return Err(ApiError::not_found(format!("Engine '{engine}' not found")));
        };
        if known.models.is_some() {
            return Err(ApiError::conflict(format!("{engine}'s models are probed, not pinned")));
        }
        let Some(version) = self.engines.status().await.version(engine) else {
            return Err(ApiError::conflict("CLI version not detected"));
        };
        let [folder, _] = self.engines.snapshot_folders(engine);
        tokio::task::spawn_blocking(move || {
            fs::create_dir_all(&folder)?;
            let path = folder.join(format!("models_{version}.json"));
            if path.exists() {
                return Err(ApiError::conflict(format!("Snapshot already exists for version {version}")));
            }
            let list =
                json!({"models": new.models.into_iter().map(|Fields(model)| model).collect::<Vec<_>>()}).to_string();
            // What is written is read again at every look at the engine.
            if list.len() as u64 > files::SMALL << 20 {
                return Err(ApiError::too_large(format!("a list of models has at most {} MiB", files::SMALL)));
            }
            files::write_atomic(&path, list.as_bytes())?;
            Ok(())
        })
        .await??;
        self.model_view(engine).await
    }

    /// Asks a CLI again where its list is old; nobody waits for it, and only one asks the same at a time.
    fn refresh_models(self: &Arc<Self>, engine: String) {
        let asked = self.probing_models.lock().ok().and_then(|mut all| {
            let lock = Arc::clone(all.entry(engine.clone()).or_default());
            lock.try_lock_owned().ok()
        });
        let Some(only) = asked else { return };
        let app = Arc::clone(self);
        tokio::spawn(async move {
            let cache = app.engines.probe_cache(&engine);
            let fresh = tokio::fs::metadata(&cache)
                .await
                .and_then(|meta| meta.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age < PROBE_AGE));
            if !fresh && let Err(error) = app.ask_for_models(&engine, &cache).await {
                tracing::warn!(%engine, %error, "the CLI's models are not known");
                // Not asked again by every request of the next minute.
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            drop(only);
        });
    }

    async fn ask_for_models(&self, name: &str, cache: &Path) -> Result<(), String> {
        let engine = self.engines.get(name).ok_or("not in the table of engines")?;
        let arguments = engine.models.as_ref().ok_or("its models are pinned")?;
        let command = || format!("{} {}", engine.binary, arguments.join(" "));
        let program = self.engines.program(engine).ok_or("not installed")?;
        let home = self.engines.layout().agent_home.clone();
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(self.engines.probe_environment(name))
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        // What it started holds the pipe open, and would outlive it.
        let end = || {
            if let Some(group) = group {
                // Nobody is left: as wanted.
                let _ = killpg(group, Signal::SIGKILL);
            }
        };
        let (from, mut said) = (child.stdout.take(), Vec::new());
        let answer = async {
            let read = async {
                match from {
                    Some(from) => from.take(PROBE_MAX).read_to_end(&mut said).await.map(drop),
                    None => Ok(()),
                }
            };
            let wait = async { child.wait().await.inspect(|_| end()) };
            tokio::try_join!(read, wait).map(|((), status)| status)
        };
        let answer = tokio::time::timeout(PROBE_DEADLINE, answer).await;
        let status = match answer {
            Ok(answer) => answer.map_err(|error| error.to_string())?,
            Err(_) => {
                end();
                return Err(format!("{} did not end in time", command()));
            }
        };
        let models: Vec<Model> = String::from_utf8_lossy(&said).lines().filter_map(of_line).collect();
        if models.is_empty() {
            return Err(format!("{} named none ({status})", command()));
        }
        let (cache, record) = (cache.to_owned(), json!({"updated_at": rfc3339(now_ms()), "models": models}));
        tokio::task::spawn_blocking(move || {
            if let Some(folder) = cache.parent() {
                fs::create_dir_all(folder)?;
            }
            files::write_json(&cache, &record)
        })
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
    }
}

/// `provider/model`.
fn of_line(line: &str) -> Option<Model> {
    let line = line.trim();
    let (provider, model) = line.split_once('/')?;
    let plain = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    (plain(provider) && plain(model)).then(|| Model {
        id: line.to_owned(),
        display_name: Some(line.to_owned()),
        deprecated: false,
        notes: None,
        supported_effort: None,
        provider: Some(provider.to_owned()),
        model: Some(model.to_owned()),
    })
}

/// Pure but for the files it reads.
fn view(engine: &str, version: Option<&str>, folders: &[PathBuf], cache: Option<&Path>) -> Value {
    if let Some(cache) = cache.filter(|cache| cache.exists()) {
        let (models, reason) = match read(cache) {
            Ok(models) => (models, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        return json!({
            "engine": engine, "cli_version_detected": version, "manifest": {"snapshots": []},
            "resolved_snapshot_version": null, "resolved_snapshot_file": null, "source": "runtime_probe_cache",
            "fallback_reason": reason, "models": models,
        });
    }
    let all = snapshots(folders);
    let detected = version.and_then(Version::find);
    let below = all.iter().rev().find(|s| Version::find(&s.version).zip(detected).is_some_and(|(s, d)| s <= d));
    let (used, mut reason) = match (below, detected) {
        (Some(snapshot), _) => (Some(snapshot), None),
        (None, Some(_)) => (all.first(), Some("no snapshot is as old as the CLI; the oldest is used")),
        (None, None) => (all.last(), Some("the CLI's version is not known; the newest snapshot is used")),
    };
    if all.is_empty() {
        reason = Some("no snapshot is pinned");
    }
    let (models, reason) = match used.map(|snapshot| read(&snapshot.path)) {
        Some(Ok(models)) => (models, reason.map(str::to_owned)),
        Some(Err(error)) => (Vec::new(), Some(error)),
        None => (Vec::new(), reason.map(str::to_owned)),
    };
    let listed: Vec<Value> = all.iter().map(|s| json!({"version": s.version, "file": s.path})).collect();
    json!({
        "engine": engine, "cli_version_detected": version, "manifest": {"snapshots": listed},
        "resolved_snapshot_version": used.map(|s| &s.version), "resolved_snapshot_file": used.map(|s| &s.path),
        "source": "pinned_snapshot", "fallback_reason": reason, "models": models,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_snapshot_not_newer_than_the_cli_is_used() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["0.9.0", "0.99.0", "0.100.0"] {
            let body = json!({"models": [{"id": version}]});
            fs::write(dir.path().join(format!("models_{version}.json")), body.to_string()).unwrap();
        }
        let used = |version: Option<&str>| {
            let view = view("codex", version, &[dir.path().to_owned()], None);
            (view["resolved_snapshot_version"].as_str().unwrap().to_owned(), view["fallback_reason"].is_null())
        };
        assert_eq!(used(Some("0.99.5")), ("0.99.0".to_owned(), true));
        assert_eq!(used(Some("1.0.0")), ("0.100.0".to_owned(), true));
        assert_eq!(used(Some("0.1.0")), ("0.9.0".to_owned(), false));
        assert_eq!(used(None), ("0.100.0".to_owned(), false));
    }

    #[test]
    fn a_clis_own_lines_are_provider_and_model() {
        let model = of_line("openrouter/google/gemini-3").unwrap();
        assert_eq!((model.provider.as_deref(), model.model.as_deref()), (Some("openrouter"), Some("google/gemini-3")));
        assert!(of_line("Database migration: 1/2 done").is_none());
        assert!(of_line("").is_none());
    }
}
