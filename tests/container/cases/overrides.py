"""`-e` for every documented variable, all at once: each reaches the settings, and the container still gets ready."""

import json
import pathlib

from suite.cases import case, check, same

# A value that is not the default, for the variables of docs/environment.md; one that is missing here is set to its default.
VALUES = {
    "SKILL_RUNNER_RUNTIME_MODE": "container", "SKILL_RUNNER_LOCAL_ROOT": "/tmp/local",
    "SKILL_RUNNER_DATA_DIR": "/opt/cache/other/data",
    "SKILL_RUNNER_AGENT_CACHE_DIR": "/opt/cache/other", "SKILL_RUNNER_AGENT_HOME": "/opt/cache/other/home",
    "SKILL_RUNNER_NPM_PREFIX": "/opt/cache/other/node", "NPM_CONFIG_PREFIX": "/opt/cache/other/node",
    "UV_CACHE_DIR": "/opt/cache/other/uv", "UV_PROJECT_ENVIRONMENT": "/opt/cache/other/venv",
    "SKILL_INIT_APP_DIR": "/app", "SKILL_RUNNER_SKILLS_DIR": "/app/skills", "SKILL_INIT_IMPORT_DIR": "/opt/config",
    "SKILL_INIT_SOCKET": "/tmp/control.sock", "SKILL_INIT_USER": "10001:0", "SKILL_INIT_API": "yes",
    "SKILL_INIT_API_COMMAND": "python3 -u /workers/runs.py", "PORT": "8123", "SKILL_INIT_API_HOST": "127.0.0.1",
    "SKILL_INIT_IMPORT": "no", "SKILL_INIT_TRUST": "off", "SKILL_INIT_CONFIG": "/etc/skill-init/other.toml",
    "SKILL_INIT_ENSURE": "off", "SKILL_INIT_ENGINES": "codex,opencode", "SKILL_RUNNER_BOOTSTRAP_ENGINES": "codex",
    "SKILL_INIT_CATALOGUE": "/etc/skill-init/engines.toml", "SKILL_INIT_SANDBOX": "off",
    "SKILL_INIT_CHECK_TIMEOUT": "7s", "SKILL_INIT_NPM_TIMEOUT": "3m", "LANDLOCK_ENABLED": "0",
    "SKILL_RUNNER_MAX_CONCURRENT_HARD_CAP": "3", "SKILL_RUNNER_MAX_QUEUE_SIZE": "17", "SKILL_RUNNER_CPU_FACTOR": "4.5",
    "SKILL_RUNNER_MEM_RESERVE_MB": "100", "SKILL_RUNNER_ESTIMATED_MEM_PER_RUN_MB": "200", "SKILL_RUNNER_FD_RESERVE": "10",
    "SKILL_RUNNER_ESTIMATED_FD_PER_RUN": "20", "SKILL_RUNNER_PID_RESERVE": "30", "SKILL_RUNNER_ESTIMATED_PID_PER_RUN": "40",
    "SKILL_RUNNER_FALLBACK_MAX_CONCURRENT": "5", "UI_BASIC_AUTH_ENABLED": "on", "UI_BASIC_AUTH_USERNAME": "somebody",
    "UI_BASIC_AUTH_PASSWORD": "some:thing", "UI_BASIC_AUTH_SCOPE": "all", "SKILL_INIT_TTYD": "on",
    "SKILL_RUNNER_TTYD_PATH": "/opt/ttyd/bin/ttyd", "UI_SHELL_TTYD_BIND_HOST": "127.0.0.1", "UI_SHELL_TTYD_PORT": "7999",
    "UI_SHELL_HARD_TTL_SECONDS": "61", "SKILL_INIT_TERMINAL_ORIGINS": "http://terminal.example",
    "SKILL_INIT_STOP_GRACE": "9s", "SKILL_INIT_DRAIN": "100ms", "SKILL_INIT_ORPHANS": "end", "SKILL_INIT_ORPHAN_AGE": "11m",
    "SKILL_INIT_TICK": "3s", "SKILL_INIT_BUDGET_WARN": "60", "SKILL_INIT_BUDGET_UNREADY": "96",
    "SKILL_INIT_RESTART": "on-failure", "SKILL_INIT_BACKOFF": "40ms", "SKILL_INIT_BACKOFF_MAX": "4s",
    "SKILL_INIT_RESTART_BUDGET": "7", "SKILL_INIT_RESTART_WINDOW": "70s", "SKILL_INIT_TERMINATION_LOG": "/tmp/reason",
    "SKILL_INIT_BARE_FORWARD": "process", "SKILL_INIT_BARE_LEFTOVERS": "wait", "SKILL_INIT_BARE_LEFTOVER_GRACE": "3s",
    "SKILL_INIT_GATEWAY": "1", "SKILL_INIT_HTTP_ADDR": "127.0.0.1:8079", "SKILL_INIT_CONTROL_FROM_INSIDE": "true",
    "SKILL_INIT_LOG": "debug", "SKILL_INIT_LOG_FORMAT": "json", "SKILL_INIT_LOG_PREFIX": "1",
    "SKILL_RUNNER_ENGINE_HARD_TIMEOUT_SECONDS": "100", "SKILL_RUNNER_SESSION_TIMEOUT_SEC": "101",
    "TEMP_SKILL_PACKAGE_MAX_BYTES": "2000000", "TEMP_SKILL_ORPHAN_RETENTION_HOURS": "5",
    "SKILL_INIT_TERMINAL_KEEP": "2", "SKILL_API_ENGINE_ENV": "HTTPS_PROXY",
    "SKILL_API_UPLOAD_MAX_BYTES": "3000000", "SKILL_API_RUN_RETENTION": "72h", "SKILL_API_CLEANUP_INTERVAL": "2h",
    "LOG_LEVEL": "warning", "LOG_FILE": "/tmp/worker.log", "LOG_MAX_BYTES": "100000", "LOG_BACKUP_COUNT": "2",
    "TEMP_SKILL_CLEANUP_INTERVAL_HOURS": "6", "ENGINE_AUTH_DEVICE_PROXY_ENABLED": "false",
    "ENGINE_AUTH_DEVICE_PROXY_TTL_SECONDS": "61", "ENGINE_AUTH_OAUTH_CALLBACK_BASE_URL": "http://127.0.0.1:1455",
    "SKILL_RUNNER_UI_LEGACY_API_MODE": "gone", "SKILL_RUNNER_UI_LEGACY_API_SUNSET": "2030-01-01",
    "SKILL_RUNNER_UI_LEGACY_API_REPLACEMENT_DOC": "docs/other.md", "SKILL_RUNNER_GEMINI_OAUTH_CLIENT_ID": "gid",
    "SKILL_RUNNER_GEMINI_OAUTH_CLIENT_SECRET": "gsecret", "SKILL_RUNNER_OPENCODE_GOOGLE_OAUTH_CLIENT_ID": "oid",
    "SKILL_RUNNER_OPENCODE_GOOGLE_OAUTH_CLIENT_SECRET": "osecret", "OPENCODE_MODELS_STARTUP_PROBE": "false",
    "OPENCODE_MODELS_PROBE_TIMEOUT_SEC": "21", "OPENCODE_MODELS_REFRESH_INTERVAL_MINUTES": "61",
    "OPENCODE_MODELS_CACHE_PATH": "/tmp/models.json", "PROCESS_SWEEP_INTERVAL_SEC": "16",
    "PROCESS_TERMINATE_GRACE_SEC": "4", "PROCESS_KILL_GRACE_SEC": "4",
}
# Read by others than the settings' loader, or excluded by another variable: shown, with another origin.
ELSEWHERE = {"SKILL_INIT_CONFIG", "SKILL_RUNNER_BOOTSTRAP_ENGINES", "NPM_CONFIG_PREFIX"}
# Files that must be there when they are named.
FILES = ("other.toml", "engines.toml")


@case("overrides: every documented variable is taken from -e, and the container gets ready with all of them")
def everything(world):
    """The table above against `skill-init config --json`."""
    known = json.loads(world.run("--entrypoint", "skill-init", world.image, "config", "--json").out)["settings"]
    values = dict(VALUES)
    for name in set(known) - set(VALUES):
        default = known[name]["value"]
        values[name] = ",".join(default) if isinstance(default, list) else str(default).lower() if default is not None else ""
    flags = [word for name in known for word in ("-e", f"{name}={values[name]}")]
    folder = pathlib.Path(world.folder("etc"))
    folder.chmod(0o755)
    for name in FILES:
        (folder / name).write_text("# empty\n", encoding="utf-8")
    with world.start(*flags, "-v", f"{folder}:/etc/skill-init:ro", workers=True) as box:
        box.ready()
        shown = json.loads(box.exec("skill-init", "config", "--json").out)["settings"]
        wrong = {n: (e["value"], e["origin"]) for n, e in shown.items()
                 if n not in ELSEWHERE and values[n] and "env" not in e["origin"].lower()}
        same("variables whose origin is not the environment", wrong, {})
        leaked = [v for n, v in VALUES.items() if n.endswith(("SECRET", "PASSWORD")) and v in json.dumps(shown)]
        same("secrets shown", leaked, [])
        env = json.loads(box.http("/env", 8123)[1])
        same("HOME of the worker's children", env.get("HOME"), "/opt/cache/other/home")
        same("runs", box.status()["concurrency"]["max_concurrent"], 3)
        same("terminal without credentials", box.http("/", 7999)[0], 401)
        check(box.sh("ls -d /opt/cache/other/data/runs"), "the other data folder is not used")
        same("exit", box.stop(), 0)
        check("[api]" in box.logs() or "api" in box.logs(), "the log prefix")
        own = len(set(known) & set(VALUES))
        return f"{len(known)} variables, {own} of them with a value other than the default"
