//! The `skill-api` program: settings, log, runtime, listener, serve.
#![forbid(unsafe_code)]

use skill_api::{
    config::Config,
    notify::Notify,
    server,
    state::{App, StartError},
};
use skill_init::{exit::Exit, settings::Environment};
use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

const USAGE: &str = "skill-api: the API worker; everything is set by the environment (skill-init config)\n\n\
                     Usage: skill-api [--version | --help]\n";

/// What was asked for instead of serving.
fn asked() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let answer = match arguments.as_slice() {
        [] => return None,
        [one] if one == "--version" || one == "-V" => format!("skill-api {}\n", env!("CARGO_PKG_VERSION")),
        [one] if one == "--help" || one == "-h" => USAGE.to_owned(),
        _ => {
            // Nobody reads it: the exit code says the same.
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            return Some(ExitCode::from(Exit::USAGE.0));
        }
    };
    let written = std::io::stdout().write_all(answer.as_bytes());
    Some(ExitCode::from(if written.is_ok() { Exit::OK.0 } else { Exit::FAILURE.0 }))
}

fn main() -> ExitCode {
    if let Some(exit) = asked() {
        return exit;
    }
    let env = Environment::of_process();
    log(&env);
    // The agents run as the same user: they must not read the password in our environment, nor trace us.
    if let Err(error) = skill_init::sys::process::hide() {
        tracing::warn!(%error, "processes of the same user can read the worker's environment");
    }
    let config = match Config::load(env) {
        Ok(config) => config,
        Err(exit) => return ExitCode::from(exit.0),
    };
    // Two workers: the machine's parallelism belongs to the agents. Blocking threads serve files and archives.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .thread_name("skill-api")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime cannot start: threads or descriptors are exhausted");
            return ExitCode::from(Exit::OS.0);
        }
    };
    let exit = match runtime.block_on(serve(config)) {
        Ok(()) => Exit::OK,
        Err(exit) => exit,
    };
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    ExitCode::from(exit.0)
}

async fn serve(config: Config) -> Result<(), Exit> {
    let os = |error: std::io::Error| {
        tracing::error!(%error, "signals cannot be handled");
        Exit::OS
    };
    // Before anything else, so that no early signal is lost.
    let mut term = signal(SignalKind::terminate()).map_err(os)?;
    let mut int = signal(SignalKind::interrupt()).map_err(os)?;
    let mut hup = signal(SignalKind::hangup()).map_err(os)?;
    let notify = Notify::from_env(&config.env);
    let address = format!("{}:{}", bracketed(&config.host), config.port);
    let listener = TcpListener::bind(&address).await.map_err(|error| {
        tracing::error!(%address, %error, "cannot listen; is another worker running? (PORT, SKILL_INIT_API_HOST)");
        Exit::UNAVAILABLE
    })?;
    let app = App::start(config).await.map_err(|error| {
        tracing::error!(%error, "the worker cannot start");
        if matches!(error, StartError::Auth(_)) { Exit::CONFIG } else { Exit::CANT_CREATE }
    })?;
    let signals = std::sync::Arc::clone(&app);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                _ = hup.recv() => signals.reload().await,
            }
        }
        signals.stop.set();
    });
    tracing::info!(%address, skills = %app.config.layout.skills.display(), "serving");
    server::run(app, listener, notify).await.map_err(|error| {
        tracing::error!(%error, "serving ended");
        Exit::SOFTWARE
    })
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

/// Text on a terminal, JSON elsewhere, in the init's own form; stderr.
fn log(env: &Environment) {
    let level = env.get("SKILL_INIT_LOG").or_else(|| env.get("LOG_LEVEL")).unwrap_or("info").to_ascii_lowercase();
    let filter =
        tracing_subscriber::EnvFilter::try_new(&level).unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let json = match env.get("SKILL_INIT_LOG_FORMAT") {
        Some("json") => true,
        Some("text") => false,
        _ => !std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).with_target(false);
    // A second initialisation cannot happen in this program.
    let _ = if json {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        builder.try_init()
    };
}
