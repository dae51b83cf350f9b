//! A run, from its slot to its end.
//!
//! Slot, row, preparation (skill copy, prompt, configuration), trust, engine, trust removed, result. Every exit of this
//! file settles the run; a panic in it does too, and gives the slot back.

use super::{
    RunFolder,
    cancel::Stay,
    closing::Closing,
    prepare::Prepared,
    recorder::{Input, Recorder},
    settled::SettledRun,
};
use crate::{
    admission::Place,
    engines::{
        command::{self, Fill},
        process::{self, Launch},
    },
    events::{Draft, kind},
    state::App,
    store::{Run, RunStatus},
    time::{now_ms, rfc3339},
};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// How long a database that refused a run's start or end is left alone.
pub(super) const STORE_AGAIN: Duration = Duration::from_secs(1);

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
            // A database that refuses (a full volume) is asked again: nobody else would ever start what is queued.
            loop {
                match app.store.start_run(&run.run_id).await {
                    Ok(true) => break,
                    Ok(false) => return,
                    Err(error) => tracing::error!(run = %run.run_id, %error, "a run cannot be started yet"),
                }
                tokio::select! {
                    () = tokio::time::sleep(STORE_AGAIN) => {}
                    _ = asked.wait_for(Option::is_some) => return,
                }
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
        let folder = prepared.folder.clone();
        let opened = tokio::task::spawn_blocking(move || recorder.logs(&folder).map(|logs| (logs, recorder))).await;
        let (logs, recorder) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return (SettledRun::failed("RUN_FOLDER_UNUSABLE", error.to_string()), None),
            Err(error) => return (SettledRun::failed("INTERNAL_ERROR", error.to_string()), None),
        };
        let output = Arc::clone(&engine.output);
        let recording = tokio::task::spawn_blocking(move || recorder.record(logs, output, receiver));
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
            Err(error) if error.raw_os_error() == Some(nix::libc::E2BIG) => {
                let message = format!(
                    "the prompt has {} bytes, more than a program may be given as an argument: let long input come as a file",
                    prepared.prompt.len()
                );
                return (SettledRun::failed("PROMPT_INVALID", message), Some(recording.recorder));
            }
            Err(error) => {
                let message = format!("{}: {error}", launch.program.display());
                return (SettledRun::failed("ENGINE_NOT_STARTED", message), Some(recording.recorder));
            }
        };
        let logins = self.engines.logins();
        let closing = Closing { run: run.clone(), launch, ended, warnings, started, logins };
        match tokio::task::spawn_blocking(move || closing.close(&prepared, recording)).await {
            Ok((settled, recorder)) => (settled, Some(recorder)),
            Err(error) => (SettledRun::failed("INTERNAL_ERROR", error.to_string()), None),
        }
    }
}
