//! The registry: one line of truth per setting.
//!
//! Feeds the parser, `skill-init config`, docs/environment.md, the man page and the suggestions for
//! unknown keys. Names that existed before skill-init keep their name and meaning.

use super::registry::{Key, Kind, Spec};
use crate::settings::Secret;
use std::{marker::PhantomData, path::PathBuf, time::Duration};

macro_rules! registry {
    ($( $group:literal { $( $name:ident: $ty:ty = $env:literal, $key:literal, $kind:expr, $default:expr, $unit:literal, $help:literal; )+ } )+) => {
        $($(
            #[doc = $help]
            pub static $name: Key<$ty> = Key {
                spec: &Spec { env: $env, key: $key, kind: $kind, default: $default, unit: $unit, group: $group, help: $help },
                kind: PhantomData,
            };
        )+)+
        /// Every entry, in the order of the documentation.
        pub static ALL: &[&Spec] = &[ $($( $name.spec, )+)+ ];
    };
}

const POSITIVE: Kind = Kind::Int { min: 1, max: 1_000_000 };
const COUNT: Kind = Kind::Int { min: 0, max: 1_000_000_000 };
const PORT: Kind = Kind::Int { min: 1, max: 65535 };
const PERCENT: Kind = Kind::Int { min: 1, max: 100 };

registry! {
    "Paths" {
        RUNTIME_MODE: String = "SKILL_RUNNER_RUNTIME_MODE", "paths.mode", Kind::OneOf(&["auto", "container", "local"]), Some("auto"), "", "container or local defaults; auto looks for container markers";
        LOCAL_ROOT: PathBuf = "SKILL_RUNNER_LOCAL_ROOT", "paths.local_root", Kind::Path, None, "", "local mode's folder (XDG_DATA_HOME/skill-runner, ~/.local/share/skill-runner)";
        DATA_DIR: PathBuf = "SKILL_RUNNER_DATA_DIR", "paths.data", Kind::Path, None, "", "run data: runs, requests, databases, status files (/data, local: DIR/data)";
        AGENT_CACHE_DIR: PathBuf = "SKILL_RUNNER_AGENT_CACHE_DIR", "paths.cache", Kind::Path, None, "", "cache volume's folder (/opt/cache/skill-runner, local: DIR/agent-cache)";
        AGENT_HOME: PathBuf = "SKILL_RUNNER_AGENT_HOME", "paths.agent_home", Kind::Path, None, "", "the isolated home of the agent CLIs (CACHE/agent-home)";
        NPM_PREFIX: PathBuf = "SKILL_RUNNER_NPM_PREFIX", "paths.npm_prefix", Kind::Path, None, "", "npm prefix of the managed agent CLIs (NPM_CONFIG_PREFIX, then CACHE/npm)";
        NPM_CONFIG_PREFIX: PathBuf = "NPM_CONFIG_PREFIX", "paths.npm_config_prefix", Kind::Path, None, "", "npm's own name for the prefix; used where SKILL_RUNNER_NPM_PREFIX is unset";
        UV_CACHE_DIR: PathBuf = "UV_CACHE_DIR", "paths.uv_cache", Kind::Path, None, "", "uv's cache (CACHE/uv_cache)";
        UV_PROJECT_ENVIRONMENT: PathBuf = "UV_PROJECT_ENVIRONMENT", "paths.uv_venv", Kind::Path, None, "", "uv's project environment (CACHE/uv_venv)";
        APP_DIR: PathBuf = "SKILL_INIT_APP_DIR", "paths.app", Kind::Path, None, "", "the application folder, the worker's working directory (/app, local: DIR)";
        SKILLS_DIR: PathBuf = "SKILL_RUNNER_SKILLS_DIR", "paths.skills", Kind::Path, None, "", "the skills registry (APP/skills)";
        IMPORT_DIR: PathBuf = "SKILL_INIT_IMPORT_DIR", "paths.import", Kind::Path, None, "", "where credentials are imported from (/opt/config, local: DIR/agent_config)";
        SOCKET: PathBuf = "SKILL_INIT_SOCKET", "paths.socket", Kind::Path, None, "", "the control socket (first writable of /run/skill-init, XDG_RUNTIME_DIR, /tmp/skill-init-UID; local: DIR/run)";
    }
    "Start" {
        USER: String = "SKILL_INIT_USER", "start.user", Kind::User, None, "", "uid[:gid] that every service runs as when started as root; unset: today's user";
        API: bool = "SKILL_INIT_API", "start.api", Kind::Bool, Some("true"), "", "supervise the API worker";
        API_COMMAND: String = "SKILL_INIT_API_COMMAND", "start.api_command", Kind::Command, None, "", "the worker's command line, split as a shell splits words (else the Python worker if present, else skill-api)";
        API_PORT: i64 = "PORT", "start.port", PORT, Some("8000"), "", "the API worker's port";
        API_HOST: String = "SKILL_INIT_API_HOST", "start.host", Kind::Host, Some("0.0.0.0"), "", "the address the API worker listens on";
        IMPORT: bool = "SKILL_INIT_IMPORT", "start.import", Kind::Bool, Some("true"), "", "import credentials from the import folder";
        TRUST: bool = "SKILL_INIT_TRUST", "start.trust", Kind::Bool, Some("true"), "", "trust the runs folder for the engines that keep a trust list";
        CONFIG: PathBuf = "SKILL_INIT_CONFIG", "start.config", Kind::Path, Some("/etc/skill-init/init.toml"), "", "the configuration file";
    }
    "Agents" {
        ENSURE: String = "SKILL_INIT_ENSURE", "agents.ensure", Kind::OneOf(&["background", "block", "off"]), Some("background"), "", "install missing agent CLIs: beside the services, before them, or not at all";
        ENGINES: Vec<String> = "SKILL_INIT_ENGINES", "agents.engines", Kind::List, Some("all"), "", "engines to ensure: all, none, or a list (SKILL_RUNNER_BOOTSTRAP_ENGINES is understood too)";
        BOOTSTRAP_ENGINES: Vec<String> = "SKILL_RUNNER_BOOTSTRAP_ENGINES", "agents.bootstrap_engines", Kind::List, None, "", "the later releases' name for SKILL_INIT_ENGINES";
        CATALOGUE: PathBuf = "SKILL_INIT_CATALOGUE", "agents.catalogue", Kind::Path, None, "", "a TOML file that adds to or overrides the built-in table of engines";
        SANDBOX: String = "SKILL_INIT_SANDBOX", "agents.sandbox", Kind::OneOf(&["auto", "require", "off"]), Some("auto"), "", "auto: confine where it works; require: an engine that cannot be confined is unusable; off: do not confine";
        CHECK_TIMEOUT: Duration = "SKILL_INIT_CHECK_TIMEOUT", "agents.check_timeout", Kind::Duration, Some("30s"), "", "deadline of one CLI's --version (gemini starts in 1 to 4 s on two idle cores)";
        NPM_TIMEOUT: Duration = "SKILL_INIT_NPM_TIMEOUT", "agents.npm_timeout", Kind::Duration, Some("10m"), "", "deadline of one npm install";
        LANDLOCK_ENABLED: bool = "LANDLOCK_ENABLED", "agents.landlock_enabled", Kind::Bool, None, "", "the operator's own verdict; set, it wins over the probe";
    }
    "Concurrency" {
        HARD_CAP: i64 = "SKILL_RUNNER_MAX_CONCURRENT_HARD_CAP", "concurrency.hard_cap", POSITIVE, Some("16"), "runs", "upper bound of concurrent runs";
        MAX_QUEUE_SIZE: i64 = "SKILL_RUNNER_MAX_QUEUE_SIZE", "concurrency.queue", POSITIVE, Some("128"), "runs", "queued runs before the API answers 429";
        CPU_FACTOR: f64 = "SKILL_RUNNER_CPU_FACTOR", "concurrency.cpu_factor", Kind::Float { min: 0.01, max: 64.0 }, Some("0.75"), "", "runs per CPU";
        MEM_RESERVE: i64 = "SKILL_RUNNER_MEM_RESERVE_MB", "concurrency.mem_reserve", COUNT, Some("1024"), "MiB", "memory kept free of runs";
        MEM_PER_RUN: i64 = "SKILL_RUNNER_ESTIMATED_MEM_PER_RUN_MB", "concurrency.mem_per_run", POSITIVE, Some("1024"), "MiB", "memory that one run takes";
        FD_RESERVE: i64 = "SKILL_RUNNER_FD_RESERVE", "concurrency.fd_reserve", COUNT, Some("256"), "descriptors", "descriptors kept free of runs";
        FD_PER_RUN: i64 = "SKILL_RUNNER_ESTIMATED_FD_PER_RUN", "concurrency.fd_per_run", POSITIVE, Some("64"), "descriptors", "descriptors the worker holds per run";
        PID_RESERVE: i64 = "SKILL_RUNNER_PID_RESERVE", "concurrency.pid_reserve", COUNT, Some("128"), "pids", "pids (threads) kept free of runs";
        PID_PER_RUN: i64 = "SKILL_RUNNER_ESTIMATED_PID_PER_RUN", "concurrency.pid_per_run", POSITIVE, Some("64"), "pids", "pids that one run takes; threads count, and a CLI alone has dozens";
        FALLBACK: i64 = "SKILL_RUNNER_FALLBACK_MAX_CONCURRENT", "concurrency.fallback", POSITIVE, Some("2"), "runs", "concurrent runs where nothing could be probed";
    }
    "UI and terminal" {
        AUTH_ENABLED: bool = "UI_BASIC_AUTH_ENABLED", "ui.auth", Kind::Bool, Some("false"), "", "Basic Auth for the UI, skill packages and the terminal";
        AUTH_USERNAME: String = "UI_BASIC_AUTH_USERNAME", "ui.username", Kind::Text, None, "", "the user name";
        AUTH_PASSWORD: Secret<String> = "UI_BASIC_AUTH_PASSWORD", "ui.password", Kind::Secret, None, "", "the password";
        AUTH_SCOPE: String = "UI_BASIC_AUTH_SCOPE", "ui.auth_scope", Kind::OneOf(&["documented", "all"]), Some("documented"), "", "what Basic Auth protects: the documented routes, or everything that can run or delete work";
        TTYD: String = "SKILL_INIT_TTYD", "ui.ttyd", Kind::OneOf(&["auto", "on", "off"]), Some("auto"), "", "the terminal; auto: on where ttyd is found and the worker does not start its own";
        TTYD_PATH: PathBuf = "SKILL_RUNNER_TTYD_PATH", "ui.ttyd_path", Kind::Path, None, "", "the ttyd program (else PATH)";
        TTYD_HOST: String = "UI_SHELL_TTYD_BIND_HOST", "ui.ttyd_host", Kind::Host, Some("0.0.0.0"), "", "the address the terminal is published on";
        TTYD_PORT: i64 = "UI_SHELL_TTYD_PORT", "ui.ttyd_port", PORT, Some("7681"), "", "the port the terminal is published on";
        TERMINAL_TTL: i64 = "UI_SHELL_HARD_TTL_SECONDS", "ui.terminal_ttl", Kind::Int { min: 60, max: 86400 }, Some("1800"), "s", "a terminal session's time limit";
        TERMINAL_KEEP: Duration = "SKILL_INIT_TERMINAL_KEEP", "ui.terminal_keep", Kind::Duration, Some("24h"), "", "how long the folder of an ended terminal session is kept, where the agent left files in it; 0: not at all";
        TERMINAL_ORIGINS: Vec<String> = "SKILL_INIT_TERMINAL_ORIGINS", "ui.terminal_origins", Kind::List, None, "", "further origins (scheme://host[:port]) whose pages may open the terminal, beside the one that it is published on";
    }
    "Supervision" {
        STOP_GRACE: Duration = "SKILL_INIT_STOP_GRACE", "supervise.stop_grace", Kind::Duration, Some("8s"), "", "the whole stop, from signal to exit; keep it below the platform's (Docker: 10 s)";
        DRAIN: Duration = "SKILL_INIT_DRAIN", "supervise.drain", Kind::Duration, Some("0s"), "", "between readiness going false and the first stop signal; inside the grace";
        ORPHANS: String = "SKILL_INIT_ORPHANS", "supervise.orphans", Kind::OneOf(&["report", "end"]), Some("report"), "", "live orphans: report them, or end them: by age, when their service ends, when pids or memory run short";
        ORPHAN_AGE: Duration = "SKILL_INIT_ORPHAN_AGE", "supervise.orphan_age", Kind::Duration, Some("10m"), "", "age from which a live orphan is ended (with ORPHANS=end)";
        TICK: Duration = "SKILL_INIT_TICK", "supervise.tick", Kind::Duration, Some("10s"), "", "the slow tick: budgets, orphans, limits that move; 0 switches it off";
        BUDGET_WARN: i64 = "SKILL_INIT_BUDGET_WARN", "supervise.budget_warn", PERCENT, Some("70"), "%", "pids or memory used, of their limits, from which a warning is given";
        BUDGET_UNREADY: i64 = "SKILL_INIT_BUDGET_UNREADY", "supervise.budget_unready", PERCENT, Some("95"), "%", "pids or memory used, of their limits, from which readiness is false";
        RESTART: String = "SKILL_INIT_RESTART", "supervise.restart", Kind::OneOf(&["always", "on-failure", "never"]), Some("always"), "", "restart policy of services whose own table does not say";
        BACKOFF: Duration = "SKILL_INIT_BACKOFF", "supervise.backoff", Kind::Duration, Some("500ms"), "", "first restart delay; doubles up to the maximum";
        BACKOFF_MAX: Duration = "SKILL_INIT_BACKOFF_MAX", "supervise.backoff_max", Kind::Duration, Some("30s"), "", "greatest restart delay";
        RESTART_BUDGET: i64 = "SKILL_INIT_RESTART_BUDGET", "supervise.restart_budget", Kind::Int { min: 0, max: 1_000_000 }, Some("10"), "restarts", "restarts within the window before a service is given up";
        RESTART_WINDOW: Duration = "SKILL_INIT_RESTART_WINDOW", "supervise.restart_window", Kind::Duration, Some("5m"), "", "the window of the restart budget";
        TERMINATION_LOG: PathBuf = "SKILL_INIT_TERMINATION_LOG", "supervise.termination_log", Kind::Path, Some("/dev/termination-log"), "", "where Kubernetes reads the reason of the exit; written only where it exists";
    }
    "Bare mode" {
        BARE_FORWARD: String = "SKILL_INIT_BARE_FORWARD", "bare.forward", Kind::OneOf(&["group", "process"]), Some("group"), "", "skill-init -- CMD: signals go to CMD's process group or to its process alone (environment only)";
        BARE_LEFTOVERS: String = "SKILL_INIT_BARE_LEFTOVERS", "bare.leftovers", Kind::OneOf(&["end", "wait", "leave"]), Some("end"), "", "skill-init -- CMD: descendants that outlive CMD are ended, waited for, or left (environment only)";
        BARE_LEFTOVER_GRACE: Duration = "SKILL_INIT_BARE_LEFTOVER_GRACE", "bare.leftover_grace", Kind::Duration, Some("2s"), "", "skill-init -- CMD: from TERM to KILL for descendants that outlive CMD (environment only)";
    }
    "Health and control" {
        GATEWAY: bool = "SKILL_INIT_GATEWAY", "http.gateway", Kind::Bool, Some("true"), "", "serve /livez, /readyz, /startupz and /metrics";
        HTTP_ADDR: String = "SKILL_INIT_HTTP_ADDR", "http.addr", Kind::Address, Some("0.0.0.0:8079"), "", "the gateway's address";
        CONTROL_FROM_INSIDE: bool = "SKILL_INIT_CONTROL_FROM_INSIDE", "http.control_from_inside", Kind::Bool, Some("false"), "", "let supervised processes (agents) start, stop, restart and reload through the control socket";
    }
    "Logging" {
        LOG: String = "SKILL_INIT_LOG", "log.level", Kind::OneOf(&["error", "warn", "info", "debug", "trace"]), Some("info"), "", "how much skill-init itself logs";
        LOG_FORMAT: String = "SKILL_INIT_LOG_FORMAT", "log.format", Kind::OneOf(&["auto", "text", "json"]), Some("auto"), "", "auto: text on a terminal, JSON elsewhere";
        LOG_PREFIX: bool = "SKILL_INIT_LOG_PREFIX", "log.prefix", Kind::Bool, Some("false"), "", "prefix each line of a service's output with its name";
    }
    "API worker" {
        ENGINE_HARD_TIMEOUT: i64 = "SKILL_RUNNER_ENGINE_HARD_TIMEOUT_SECONDS", "worker.engine_timeout", Kind::Int { min: 1, max: 604_800 }, Some("1200"), "s", "an engine's deadline per attempt";
        SESSION_TIMEOUT: i64 = "SKILL_RUNNER_SESSION_TIMEOUT_SEC", "worker.session_timeout", Kind::Int { min: 1, max: 604_800 }, Some("1200"), "s", "how long an interactive run waits for its user";
        TEMP_PACKAGE_MAX: i64 = "TEMP_SKILL_PACKAGE_MAX_BYTES", "worker.temp_package_max", Kind::Int { min: 1024, max: 4_294_967_296 }, Some("20971520"), "bytes", "largest uploaded temporary skill package, compressed";
        TEMP_RETENTION_HOURS: i64 = "TEMP_SKILL_ORPHAN_RETENTION_HOURS", "worker.temp_retention", Kind::Int { min: 1, max: 87_600 }, Some("24"), "h", "how long a temporary skill run that never started is kept";
        UPLOAD_MAX: i64 = "SKILL_API_UPLOAD_MAX_BYTES", "worker.upload_max", Kind::Int { min: 1024, max: 1_099_511_627_776 }, Some("104857600"), "bytes", "largest uploaded archive, compressed; unpacked it may be eight times as large";
        RUN_RETENTION: Duration = "SKILL_API_RUN_RETENTION", "worker.run_retention", Kind::Duration, Some("168h"), "", "how long a finished run is kept";
        ENGINE_ENV: Vec<String> = "SKILL_API_ENGINE_ENV", "worker.engine_env", Kind::List, Some(""), "", "more environment variables, by name, that reach the agent CLIs: a provider's API key for example";
        CLEANUP_INTERVAL: Duration = "SKILL_API_CLEANUP_INTERVAL", "worker.cleanup_interval", Kind::Duration, Some("1h"), "", "between two cleanups of old runs; the first one comes a minute after the start";
        LOG_LEVEL: String = "LOG_LEVEL", "worker.log_level", Kind::OneOf(&["critical", "error", "warning", "warn", "info", "debug", "trace", "notset"]), None, "", "the worker's log level (INFO)";
        LOG_FILE: PathBuf = "LOG_FILE", "worker.log_file", Kind::Path, None, "", "the worker's log file (DATA/logs/skill_runner.log)";
        LOG_MAX_BYTES: i64 = "LOG_MAX_BYTES", "worker.log_max_bytes", COUNT, None, "bytes", "size at which the worker's log file is rotated (5 MiB)";
        LOG_BACKUP_COUNT: i64 = "LOG_BACKUP_COUNT", "worker.log_backup_count", COUNT, None, "files", "rotated log files that the worker keeps (5)";
        TEMP_SKILL_CLEANUP: i64 = "TEMP_SKILL_CLEANUP_INTERVAL_HOURS", "worker.temp_skill_cleanup", POSITIVE, None, "h", "between two clean-ups of temporary skills (12)";
        DEVICE_PROXY: bool = "ENGINE_AUTH_DEVICE_PROXY_ENABLED", "worker.device_proxy", Kind::Bool, None, "", "device-code logins through the worker (true)";
        DEVICE_PROXY_TTL: i64 = "ENGINE_AUTH_DEVICE_PROXY_TTL_SECONDS", "worker.device_proxy_ttl", Kind::Int { min: 60, max: 86400 }, None, "s", "time limit of a device-code login (900)";
        OAUTH_CALLBACK: String = "ENGINE_AUTH_OAUTH_CALLBACK_BASE_URL", "worker.oauth_callback_base_url", Kind::Text, None, "", "public address of the worker for OAuth callbacks";
        LEGACY_API_MODE: String = "SKILL_RUNNER_UI_LEGACY_API_MODE", "worker.legacy_api_mode", Kind::OneOf(&["warn", "gone"]), None, "", "the old UI data routes: answer with a warning, or with 410 (warn)";
        LEGACY_API_SUNSET: String = "SKILL_RUNNER_UI_LEGACY_API_SUNSET", "worker.legacy_api_sunset", Kind::Text, None, "", "the date in the Sunset header of the old UI data routes";
        LEGACY_API_DOC: String = "SKILL_RUNNER_UI_LEGACY_API_REPLACEMENT_DOC", "worker.legacy_api_doc", Kind::Text, None, "", "the link that replaces the old UI data routes";
        GEMINI_CLIENT_ID: String = "SKILL_RUNNER_GEMINI_OAUTH_CLIENT_ID", "worker.gemini_client_id", Kind::Text, None, "", "OAuth client of gemini logins through the worker";
        GEMINI_CLIENT_SECRET: Secret<String> = "SKILL_RUNNER_GEMINI_OAUTH_CLIENT_SECRET", "worker.gemini_client_secret", Kind::Secret, None, "", "its secret";
        OPENCODE_CLIENT_ID: String = "SKILL_RUNNER_OPENCODE_GOOGLE_OAUTH_CLIENT_ID", "worker.opencode_client_id", Kind::Text, None, "", "OAuth client of opencode's Google logins through the worker";
        OPENCODE_CLIENT_SECRET: Secret<String> = "SKILL_RUNNER_OPENCODE_GOOGLE_OAUTH_CLIENT_SECRET", "worker.opencode_client_secret", Kind::Secret, None, "", "its secret";
        OPENCODE_STARTUP_PROBE: bool = "OPENCODE_MODELS_STARTUP_PROBE", "worker.opencode_startup_probe", Kind::Bool, None, "", "ask opencode for its models when the worker starts (true)";
        OPENCODE_PROBE_TIMEOUT: i64 = "OPENCODE_MODELS_PROBE_TIMEOUT_SEC", "worker.opencode_probe_timeout", POSITIVE, None, "s", "deadline of that question (20)";
        OPENCODE_REFRESH: i64 = "OPENCODE_MODELS_REFRESH_INTERVAL_MINUTES", "worker.opencode_refresh", POSITIVE, None, "min", "between two such questions (60)";
        OPENCODE_CACHE: PathBuf = "OPENCODE_MODELS_CACHE_PATH", "worker.opencode_cache", Kind::Path, None, "", "where the answer is kept (DATA/engine_catalog/opencode_models_cache.json)";
        PROCESS_SWEEP: i64 = "PROCESS_SWEEP_INTERVAL_SEC", "worker.process_sweep", POSITIVE, None, "s", "a later worker's own process sweep (15)";
        PROCESS_TERMINATE_GRACE: i64 = "PROCESS_TERMINATE_GRACE_SEC", "worker.process_terminate_grace", COUNT, None, "s", "a later worker's wait after SIGTERM (3)";
        PROCESS_KILL_GRACE: i64 = "PROCESS_KILL_GRACE_SEC", "worker.process_kill_grace", COUNT, None, "s", "a later worker's wait after SIGKILL (3)";
    }
}

/// Variables that skill-init itself gives to its children: known, and no settings.
pub const EXPORTED: &[&str] = &[
    "SKILL_INIT_NOTIFY_FD",
    "SKILL_INIT_SERVICE",
    "SKILL_RUNNER_MAX_CONCURRENT",
    "SKILL_RUNNER_UI_SHELL_SESSION_DIR",
    "SKILL_RUNNER_UI_SHELL_ALLOWED_WRITE_ROOTS",
];

/// The group of the settings that only the API worker reads: validated here and passed on to it.
pub const WORKER_GROUP: &str = "API worker";

/// Settings that are read before there is a configuration file, or that name it: not allowed in it.
pub fn is_environment_only(spec: &Spec) -> bool {
    spec.env == CONFIG.spec.env || spec.key.starts_with("bare.")
}
