//! The variables of the old container: each is a setting, with the name, the meaning and the default that it had.
#![allow(clippy::unwrap_used, reason = "tests fail by panic")]

/// Every variable that the old container's start and its worker read. They keep name and meaning.
const CONTRACT: &[&str] = &[
    "SKILL_RUNNER_RUNTIME_MODE",
    "SKILL_RUNNER_LOCAL_ROOT",
    "SKILL_RUNNER_DATA_DIR",
    "SKILL_RUNNER_AGENT_CACHE_DIR",
    "SKILL_RUNNER_AGENT_HOME",
    "SKILL_RUNNER_NPM_PREFIX",
    "NPM_CONFIG_PREFIX",
    "UV_CACHE_DIR",
    "UV_PROJECT_ENVIRONMENT",
    "PORT",
    "LANDLOCK_ENABLED",
    "SKILL_RUNNER_CPU_FACTOR",
    "SKILL_RUNNER_MEM_RESERVE_MB",
    "SKILL_RUNNER_ESTIMATED_MEM_PER_RUN_MB",
    "SKILL_RUNNER_FD_RESERVE",
    "SKILL_RUNNER_ESTIMATED_FD_PER_RUN",
    "SKILL_RUNNER_PID_RESERVE",
    "SKILL_RUNNER_ESTIMATED_PID_PER_RUN",
    "SKILL_RUNNER_MAX_CONCURRENT_HARD_CAP",
    "SKILL_RUNNER_MAX_QUEUE_SIZE",
    "SKILL_RUNNER_FALLBACK_MAX_CONCURRENT",
    "LOG_LEVEL",
    "LOG_FILE",
    "LOG_MAX_BYTES",
    "LOG_BACKUP_COUNT",
    "OPENCODE_MODELS_STARTUP_PROBE",
    "OPENCODE_MODELS_PROBE_TIMEOUT_SEC",
    "OPENCODE_MODELS_REFRESH_INTERVAL_MINUTES",
    "OPENCODE_MODELS_CACHE_PATH",
    "TEMP_SKILL_PACKAGE_MAX_BYTES",
    "TEMP_SKILL_CLEANUP_INTERVAL_HOURS",
    "TEMP_SKILL_ORPHAN_RETENTION_HOURS",
    "SKILL_RUNNER_ENGINE_HARD_TIMEOUT_SECONDS",
    "SKILL_RUNNER_SESSION_TIMEOUT_SEC",
    "ENGINE_AUTH_DEVICE_PROXY_ENABLED",
    "ENGINE_AUTH_DEVICE_PROXY_TTL_SECONDS",
    "ENGINE_AUTH_OAUTH_CALLBACK_BASE_URL",
    "UI_BASIC_AUTH_ENABLED",
    "UI_BASIC_AUTH_USERNAME",
    "UI_BASIC_AUTH_PASSWORD",
    "UI_SHELL_HARD_TTL_SECONDS",
    "UI_SHELL_TTYD_BIND_HOST",
    "UI_SHELL_TTYD_PORT",
    "SKILL_RUNNER_TTYD_PATH",
    "SKILL_RUNNER_UI_LEGACY_API_MODE",
    "SKILL_RUNNER_UI_LEGACY_API_SUNSET",
    "SKILL_RUNNER_UI_LEGACY_API_REPLACEMENT_DOC",
    "SKILL_RUNNER_GEMINI_OAUTH_CLIENT_ID",
    "SKILL_RUNNER_GEMINI_OAUTH_CLIENT_SECRET",
    "SKILL_RUNNER_OPENCODE_GOOGLE_OAUTH_CLIENT_ID",
    "SKILL_RUNNER_OPENCODE_GOOGLE_OAUTH_CLIENT_SECRET",
];

/// Those whose default decides what a container does; the rest are handed to the worker as they come.
const DEFAULTS: &[(&str, &str)] = &[
    ("PORT", "8000"),
    ("SKILL_RUNNER_CPU_FACTOR", "0.75"),
    ("SKILL_RUNNER_MEM_RESERVE_MB", "1024"),
    ("SKILL_RUNNER_ESTIMATED_MEM_PER_RUN_MB", "1024"),
    ("SKILL_RUNNER_FD_RESERVE", "256"),
    ("SKILL_RUNNER_ESTIMATED_FD_PER_RUN", "64"),
    ("SKILL_RUNNER_PID_RESERVE", "128"),
    ("SKILL_RUNNER_MAX_CONCURRENT_HARD_CAP", "16"),
    ("SKILL_RUNNER_MAX_QUEUE_SIZE", "128"),
    ("SKILL_RUNNER_FALLBACK_MAX_CONCURRENT", "2"),
    ("TEMP_SKILL_PACKAGE_MAX_BYTES", "20971520"),
    ("TEMP_SKILL_ORPHAN_RETENTION_HOURS", "24"),
    ("SKILL_RUNNER_ENGINE_HARD_TIMEOUT_SECONDS", "1200"),
    ("SKILL_RUNNER_SESSION_TIMEOUT_SEC", "1200"),
    ("UI_BASIC_AUTH_ENABLED", "false"),
    ("UI_SHELL_HARD_TTL_SECONDS", "1800"),
    ("UI_SHELL_TTYD_BIND_HOST", "0.0.0.0"),
    ("UI_SHELL_TTYD_PORT", "7681"),
];

#[test]
fn every_variable_of_the_old_container_is_a_setting_with_its_old_default() {
    let all = skill_init::settings::keys::ALL;
    let missing: Vec<&&str> = CONTRACT.iter().filter(|name| !all.iter().any(|spec| spec.env == **name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for (name, default) in DEFAULTS {
        let spec = all.iter().find(|spec| spec.env == *name).unwrap();
        assert_eq!(spec.default, Some(*default), "{name}");
    }
}
