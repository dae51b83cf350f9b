//! A run, from its slot to its end.
//!
//! Slot, row, preparation (skill copy, prompt, configuration), trust, engine, trust removed, result. Every exit of this
//! file settles the run; a panic in it does too, and gives the slot back.

use super::{
    Options, RunFolder,
    cache_key::Key,
    cancel::Stay,
    outcome,
    output_schema::Contract,
    prompt,
    recorder::{Input, Recorder, Recording},
    skill_copy,
};
use crate::{
    admission::Place,
    engines::{
        command::{self, Fill},
        output::wants_login,
        process::{self, Ended, Launch, Reason},
        trust,
    },
    events::{Draft, kind},
    skills::Skill,
    state::App,
    store::{Kind, Request, Run, RunStatus},
    time::{now_ms, rfc3339},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Instant};
use tokio::sync::mpsc;

/// How a run ended, before it is written down.
#[derive(Debug, Clone)]
pub struct SettledRun {
    pub(super) status: RunStatus,
    data: Value,
    repair: outcome::RepairLevel,
    warnings: Vec<String>,
    validation: Vec<String>,
    pub(super) error: Option<Value>,
    pub(super) cache: Option<String>,
    pub(super) recovery: Option<(&'static str, &'static str)>,
}

impl SettledRun {
    /// Without a result, for this reason.
    pub(super) fn failed(code: &str, message: impl Into<String>) -> Self {
        Self {
            status: RunStatus::Failed,
            data: Value::Null,
            repair: outcome::RepairLevel::None,
            warnings: Vec::new(),
            validation: Vec::new(),
            error: Some(json!({"code": code, "message": message.into()})),
            cache: None,
            recovery: None,
        }
    }

    /// By a client.
    pub(super) fn canceled() -> Self {
        Self { status: RunStatus::Canceled, ..Self::failed("CANCELED_BY_USER", "canceled by a client") }
    }

    /// By a restart of the worker.
    pub(super) fn interrupted(reason: &'static str) -> Self {
        Self {
            recovery: Some(("failed_reconciled", reason)),
            ..Self::failed(
                "ORCHESTRATOR_RESTART_INTERRUPTED",
                "the worker stopped or was restarted while the run was under way",
            )
        }
    }

    /// As a row tells it.
    pub(super) fn of_row(run: &Run) -> Self {
        Self { status: run.status, error: run.error.clone(), ..Self::failed("", "") }
    }

    pub(super) fn warnings_json(&self) -> Value {
        json!(self.warnings)
    }

    /// result.json.
    pub(super) fn result(&self, folder: &RunFolder) -> Value {
        let status = if self.status == RunStatus::Succeeded { "success" } else { self.status.as_str() };
        json!({
            "status": status,
            "data": self.data,
            "artifacts": folder.artifact_names(),
            "repair_level": self.repair.as_str(),
            "validation_warnings": self.validation,
            "error": self.error,
            "pending_interaction": null,
        })
    }
}

/// What the preparation made.
struct Prepared {
    folder: RunFolder,
    /// Under which the result may be kept: of the skill that was copied, which may be newer than the one at creation.
    cache_key: Option<String>,
    contract: Contract,
    prompt: String,
    overrides: Vec<String>,
    options: Options,
    before: BTreeMap<String, (u64, i64)>,
}

impl App {
    /// Takes a queued run to its end, in a task of its own.
    pub(super) fn enqueue(self: &Arc<Self>, run: Run, place: Place) {
        let Some(stay) = self.live.enter(&run.run_id) else { return };
        let app = Arc::clone(self);
        // Its turn is this call's, not that of the task's first poll.
        let turn = place.slot();
        tokio::spawn(async move {
            let mut asked = stay.asked.clone();
            let slot = tokio::select! {
                slot = turn => slot,
                // Canceled: settled by who canceled it. Stopping: it stays queued for the next worker.
                _ = asked.wait_for(Option::is_some) => return,
            };
            match app.store.start_run(&run.run_id).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return tracing::error!(run = %run.run_id, %error, "a run cannot be started"),
            }
            let run = Run { status: RunStatus::Running, ..run };
            let (inner, id) = (Arc::clone(&app), run.clone());
            // Its own task, so that a panic ends the run and not the bookkeeping.
            if let Err(error) = tokio::spawn(async move { inner.execute(id, &stay).await }).await {
                tracing::error!(run = %run.run_id, %error, "a run broke");
                app.settle(
                    &run,
                    SettledRun::failed("INTERNAL_ERROR", "a fault of the worker; its log has the cause"),
                    None,
                )
                .await;
            }
            drop(slot);
        });
    }

    async fn execute(self: &Arc<Self>, run: Run, stay: &Stay) {
        let started = Instant::now();
        let folder = RunFolder::new(&self.config.runs_dir(), &run.run_id);
        let bell = self.events.open(&run.run_id);
        let recorder = {
            let (folder, run, timeout) = (folder.clone(), run.clone(), self.session_timeout());
            tokio::task::spawn_blocking(move || {
                crate::files::write_json(
                    &folder.audit_file("meta", 1, "json"),
                    &json!({
                        "run_id": run.run_id, "attempt_number": 1, "status": "running", "started_at": rfc3339(now_ms()),
                        "engine": run.engine, "model": run.model,
                    }),
                )?;
                folder.write_status(RunStatus::Running, &json!([]), None, timeout);
                let mut recorder = Recorder::open(&folder, &run.run_id, &run.engine, 1, bell)?;
                recorder.events(&[
                    Draft::state("queued", "running"),
                    Draft::new(
                        kind::STARTED,
                        json!({"skill_id": run.skill_id, "engine": run.engine, "model": run.model}),
                    ),
                ]);
                Ok::<_, std::io::Error>(recorder)
            })
            .await
        };
        let recorder = match recorder {
            Ok(Ok(recorder)) => recorder,
            Ok(Err(error)) => return self.give_up(&run, "RUN_FOLDER_UNUSABLE", error.to_string()).await,
            Err(error) => return self.give_up(&run, "INTERNAL_ERROR", error.to_string()).await,
        };
        let prepared = match self.prepare(&run, folder).await {
            Ok(prepared) => prepared,
            Err((code, message)) => {
                self.settle(&run, SettledRun::failed(code, message), Some(recorder)).await;
                return;
            }
        };
        let cache_key = prepared.cache_key.clone();
        let (mut settled, recorder) = self.run_engine(&run, prepared, recorder, stay, started).await;
        settled.cache = cache_key.filter(|_| settled.status == RunStatus::Succeeded);
        self.settle(&run, settled, recorder).await;
    }

    async fn give_up(&self, run: &Run, code: &str, message: String) {
        self.settle(run, SettledRun::failed(code, message), None).await;
    }

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

    async fn prepare(self: &Arc<Self>, run: &Run, folder: RunFolder) -> Result<Prepared, (&'static str, String)> {
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
            let overrides = crate::engines::write_configs(&run.engine, &skill.path, folder.path())
                .map_err(|error| ("ENGINE_CONFIG_INVALID", error.to_string()))?;
            // An edit by hand while it was copied: what was run is no version that anybody can name.
            let cache_key = before_copy.map(|before| Ok((key()? == before).then_some(before))).transpose()?.flatten();
            drop(held);
            let input: Value = std::fs::read(folder.path().join("input.json"))
                .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
                .map_err(io)?;
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

    async fn run_engine(
        self: &Arc<Self>,
        run: &Run,
        prepared: Prepared,
        mut recorder: Recorder,
        stay: &Stay,
        started: Instant,
    ) -> (SettledRun, Option<Recorder>) {
        let fail = |code: &str, message: String, recorder| (SettledRun::failed(code, message), Some(recorder));
        let Some(engine) = self.engines.get(&run.engine) else {
            return fail("ENGINE_UNKNOWN", format!("no engine is called '{}'", run.engine), recorder);
        };
        let verdict = self.engines.verdict(&run.engine).await;
        if !verdict.usable {
            let message = format!("SKILL_INIT_SANDBOX=require and the run cannot be confined: {}", verdict.evidence);
            return fail("ENGINE_SANDBOX_UNAVAILABLE", message, recorder);
        }
        let Some(program) = self.engines.program(engine) else {
            let message = engine.unavailable.clone().unwrap_or_else(|| {
                format!("{} is not installed: skill-init agents ensure {}", engine.binary, engine.name)
            });
            return fail("ENGINE_NOT_INSTALLED", message, recorder);
        };
        let mut warnings = Vec::new();
        if verdict.is_free() {
            let warning = format!("the engine runs unconfined: {}", verdict.evidence);
            tracing::warn!(run = %run.run_id, engine = %run.engine, flags = ?verdict.flags, %warning, "unconfined run");
            recorder.events(&[Draft::warning("UNCONFINED_RUN", warning.clone())]);
            warnings.push(format!("UNCONFINED_RUN: {warning}"));
        }
        let fill = Fill {
            sandbox: &verdict.flags,
            extra: &prepared.overrides,
            model: run.model.as_deref(),
            prompt: &prepared.prompt,
        };
        let launch = Launch {
            program,
            args: command::start(engine, fill),
            env: self.engines.environment(run, prepared.folder.path()),
            cwd: prepared.folder.path().to_owned(),
            deadline: prepared.options.hard_timeout.unwrap_or(self.config.engine_timeout),
            grace: self.config.kill_grace.min(self.config.stop_grace / 2),
        };
        if let Some(warning) = self.trust(run, &prepared.folder).await {
            recorder.events(&[Draft::warning("TRUST_NOT_REGISTERED", warning.clone())]);
            warnings.push(format!("TRUST_NOT_REGISTERED: {warning}"));
        }
        let (sender, receiver) = mpsc::channel::<Input>(64);
        let recording = {
            let (folder, format) = (prepared.folder.clone(), command::format(&run.engine));
            tokio::task::spawn_blocking(move || recorder.record(&folder, format, receiver))
        };
        let oom = self.engines.oom_watch().await;
        let ended = process::run(&launch, sender, stay.asked.clone(), &oom).await;
        drop(oom);
        self.untrust(&run.engine, prepared.folder.path()).await;
        let recording = match recording.await {
            Ok(Ok(recording)) => recording,
            Ok(Err(error)) => return (SettledRun::failed("RUN_FOLDER_UNUSABLE", error.to_string()), None),
            Err(error) => return (SettledRun::failed("INTERNAL_ERROR", error.to_string()), None),
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let message = format!("{}: {error}", launch.program.display());
                return (SettledRun::failed("ENGINE_NOT_STARTED", message), Some(recording.recorder));
            }
        };
        let closing = Closing { run: run.clone(), launch, ended, warnings, started };
        match tokio::task::spawn_blocking(move || closing.close(&prepared, recording)).await {
            Ok((settled, recorder)) => (settled, Some(recorder)),
            Err(error) => (SettledRun::failed("INTERNAL_ERROR", error.to_string()), None),
        }
    }

    /// Registers the run's folder; the warning where that failed.
    async fn trust(&self, run: &Run, folder: &RunFolder) -> Option<String> {
        let path = folder.path().display().to_string();
        // Remembered before it exists: a crash in between costs a removal of nothing.
        if let Err(error) = self.store.trust_there(&run.engine, &path, now_ms()).await {
            return Some(error.to_string());
        }
        let engine = self.engines.get(&run.engine)?.clone();
        let (layout, folder) = (self.engines.layout().clone(), folder.path().to_owned());
        match tokio::task::spawn_blocking(move || trust::register(&layout, &engine, &folder)).await {
            Ok(Ok(true)) => None,
            Ok(Ok(false)) => {
                // No trust store: nothing to remember.
                let _ = self.store.trust_gone(&run.engine, &path).await;
                None
            }
            Ok(Err(error)) => Some(error),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Removes the entry of a folder; what cannot be removed now is tried again by the upkeep.
    pub(super) async fn untrust(&self, engine: &str, folder: &std::path::Path) {
        let (layout, path) = (self.engines.layout().clone(), folder.to_owned());
        let known = self.engines.get(engine).cloned();
        let removal = move || known.map_or(Ok(()), |known| trust::remove(&layout, &known, &path));
        match tokio::task::spawn_blocking(removal).await {
            Ok(Ok(())) => {
                if let Err(error) = self.store.trust_gone(engine, &folder.display().to_string()).await {
                    tracing::warn!(%engine, %error, "a removed trust entry is still remembered");
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%engine, folder = %folder.display(), %error, "a trust entry stays; it is tried again later");
            }
            Err(error) => tracing::error!(%engine, %error, "trust removal broke"),
        }
    }
}

/// The cache's key for this request with the skill as it is now. Blocking.
fn request_key(skill: &Skill, request: &Request, folder: &RunFolder) -> std::io::Result<String> {
    let uploads = folder.uploads();
    Key { skill, request, uploads: uploads.is_dir().then_some(&uploads) }.hash()
}

/// What is known once the engine has ended. Blocking from here on.
struct Closing {
    run: Run,
    launch: Launch,
    ended: Ended,
    warnings: Vec<String>,
    started: Instant,
}

impl Closing {
    fn close(self, prepared: &Prepared, recording: Recording) -> (SettledRun, Recorder) {
        let folder = &prepared.folder;
        self.audit(prepared, &recording);
        let mut settled = match self.ended {
            Ended::Asked(Reason::Canceled) => SettledRun::canceled(),
            Ended::Asked(Reason::Stopping) => SettledRun::interrupted("worker_stopped"),
            Ended::TimedOut if login(&recording) => SettledRun::failed("AUTH_REQUIRED", self.login_words()),
            Ended::TimedOut => SettledRun::failed(
                "TIMEOUT",
                format!("the engine was ended after {} s", self.launch.deadline.as_secs()),
            ),
            Ended::Exited(0) => answer(prepared, &recording),
            Ended::OomKilled(kill) => {
                let advice = "give the container more memory or lower SKILL_RUNNER_MAX_CONCURRENT";
                SettledRun::failed("ENGINE_OUT_OF_MEMORY", words(format!("{kill}; {advice}"), &recording))
            }
            Ended::Exited(_) | Ended::Signaled(_) if login(&recording) => {
                SettledRun::failed("AUTH_REQUIRED", self.login_words())
            }
            Ended::Exited(code) => {
                SettledRun::failed("ENGINE_FAILED", words(format!("exit status {code}"), &recording))
            }
            Ended::Signaled(signal) => {
                let from = if signal == Signal::SIGKILL as i32 { "killed from outside by " } else { "" };
                SettledRun::failed("ENGINE_FAILED", words(format!("{from}signal {signal}"), &recording))
            }
        };
        settled.warnings.splice(0..0, self.warnings);
        let after = folder.snapshot();
        let written =
            folder.write_snapshot("after", 1, &after).and_then(|()| folder.write_diff(1, &prepared.before, &after));
        if let Err(error) = written {
            tracing::warn!(folder = %folder.path().display(), %error, "audit files cannot be written");
        }
        (settled, recording.recorder)
    }

    fn login_words(&self) -> String {
        format!("{} is not logged in, or its login has expired", self.run.engine)
    }

    fn audit(&self, prepared: &Prepared, recording: &Recording) {
        let folder = &prepared.folder;
        let (kind, code) = match self.ended {
            Ended::Exited(code) => ("exited", Some(code)),
            Ended::Signaled(signal) => ("signaled", Some(signal)),
            Ended::OomKilled(_) => ("oom_killed", Some(Signal::SIGKILL as i32)),
            Ended::TimedOut => ("timed_out", None),
            Ended::Asked(Reason::Canceled) => ("canceled", None),
            Ended::Asked(Reason::Stopping) => ("stopped", None),
        };
        let shown: Vec<&str> = self
            .launch
            .args
            .iter()
            .map(|arg| if *arg == prepared.prompt { "<prompt: stdin.1.log>" } else { arg.as_str() })
            .collect();
        let meta = json!({
            "run_id": self.run.run_id, "attempt_number": 1, "status": "ended",
            "engine": self.run.engine, "model": self.run.model,
            "program": self.launch.program, "args": shown,
            "environment": self.launch.env.keys().collect::<Vec<_>>(),
            "ended": kind, "code": code, "session": recording.spoken.session,
            "finished_at": rfc3339(now_ms()), "duration_ms": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        let metrics = json!({
            "stdout_bytes": recording.bytes.0, "stderr_bytes": recording.bytes.1,
            "messages": recording.spoken.messages.len(), "unparsed_lines": recording.spoken.unparsed,
        });
        let diagnostics = match recording.spoken.unparsed {
            0 => String::new(),
            n => format!("{}\n", json!({"code": "UNPARSED_LINES", "count": n, "ts": rfc3339(now_ms())})),
        };
        let written = crate::files::write_json(&folder.audit_file("meta", 1, "json"), &meta)
            .and_then(|()| crate::files::write_json(&folder.audit_file("protocol_metrics", 1, "json"), &metrics))
            .and_then(|()| {
                crate::files::write_atomic(&folder.audit_file("parser_diagnostics", 1, "jsonl"), diagnostics.as_bytes())
            });
        if let Err(error) = written {
            tracing::warn!(run = %self.run.run_id, %error, "audit files cannot be written");
        }
    }
}

fn login(recording: &Recording) -> bool {
    wants_login(&recording.tail) || recording.spoken.error.as_deref().is_some_and(wants_login)
}

fn words(how: String, recording: &Recording) -> String {
    let said = recording.spoken.error.clone().unwrap_or_else(|| {
        recording
            .tail
            .lines()
            .rev()
            .filter(|line| !line.trim().is_empty())
            .take(5)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join(" | ")
    });
    if said.is_empty() { how } else { format!("{how}: {said}") }
}

/// An engine that ended well: is its answer what was promised?
fn answer(prepared: &Prepared, recording: &Recording) -> SettledRun {
    let run = prepared.folder.path();
    let Some(read) = outcome::read(&recording.spoken.messages, &prepared.contract, run) else {
        if prepared.contract.schema.is_none() && !recording.spoken.messages.is_empty() {
            let text = recording.spoken.messages.last().cloned().unwrap_or_default();
            let broken = prepared.contract.broken(&json!({}), run);
            if broken.is_empty() {
                return succeeded(json!({"text": text}), outcome::RepairLevel::None);
            }
        }
        let message = words("the engine's answer holds no JSON object".to_owned(), recording);
        return SettledRun::failed("OUTPUT_MISSING", message);
    };
    if !read.broken.is_empty() {
        let failed = SettledRun::failed("OUTPUT_INVALID", read.broken.join("; "));
        return SettledRun { data: read.data, repair: read.repair, validation: read.broken, ..failed };
    }
    let mut settled = succeeded(read.data, read.repair);
    if read.repair != outcome::RepairLevel::None {
        settled.validation.push("OUTPUT_REPAIRED: the JSON object was found inside a longer message".to_owned());
    }
    settled
}

fn succeeded(data: Value, repair: outcome::RepairLevel) -> SettledRun {
    SettledRun {
        status: RunStatus::Succeeded,
        data,
        repair,
        warnings: Vec::new(),
        validation: Vec::new(),
        error: None,
        cache: None,
        recovery: None,
    }
}
