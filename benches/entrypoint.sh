#!/bin/sh
# What an image without an init starts with: a shell entrypoint that takes the same steps as `skill-init entrypoint`,
# with the tools that an image has for them. Only the bench runs it, as the measure of what skill-init replaces.
#
#   WORKER="command" SKILL_RUNNER_DATA_DIR=DIR SKILL_RUNNER_AGENT_CACHE_DIR=DIR sh benches/entrypoint.sh
set -eu
data=$SKILL_RUNNER_DATA_DIR
home=$SKILL_RUNNER_AGENT_CACHE_DIR/agent-home
prefix=$SKILL_RUNNER_AGENT_CACHE_DIR/npm
export HOME="$home" NPM_CONFIG_PREFIX="$prefix" PATH="$prefix/bin:$PATH"

release=$(uname -r)
major=${release%%.*} rest=${release#*.}
minor=${rest%%[!0-9]*}
LANDLOCK_ENABLED=0
if [ "$major" -gt 5 ] || { [ "$major" -eq 5 ] && [ "$minor" -ge 13 ]; }; then LANDLOCK_ENABLED=1; fi
export LANDLOCK_ENABLED

mkdir -p "$data/runs" "$data/logs" "$prefix" "$home/.codex" "$home/.gemini" "$home/.iflow" "$home/.config/opencode" \
  "$home/.local/share/opencode"
[ -e "$home/.codex/config.toml" ] || echo 'cli_auth_credentials_store = "file"' >"$home/.codex/config.toml"
[ -e "$home/.gemini/settings.json" ] || echo '{"security":{"auth":{"selectedType":"oauth-personal"}}}' >"$home/.gemini/settings.json"
[ -e "$home/.iflow/settings.json" ] ||
  echo '{"selectedAuthType":"oauth-iflow","baseUrl":"https://apis.iflow.cn/v1"}' >"$home/.iflow/settings.json"
[ -e "$home/.config/opencode/opencode.json" ] ||
  echo '{"plugin":["opencode-antigravity-auth"]}' >"$home/.config/opencode/opencode.json"

# Credentials, trust, status: JSON and TOML are beyond a shell, so each step starts an interpreter.
HOME_DIR=$home python3 - <<'PY'
import os, pathlib, shutil
home, source = pathlib.Path(os.environ["HOME_DIR"]), pathlib.Path("/opt/config")
for engine, name, to in (("codex", "auth.json", ".codex"), ("gemini", "google_accounts.json", ".gemini"),
                         ("gemini", "oauth_creds.json", ".gemini"), ("iflow", "iflow_accounts.json", ".iflow"),
                         ("iflow", "oauth_creds.json", ".iflow"), ("opencode", "auth.json", ".local/share/opencode")):
    if (source / engine / name).is_file():
        shutil.copy(source / engine / name, home / to / name)
PY
HOME_DIR=$home RUNS=$data/runs python3 - <<'PY'
import json, os, pathlib, tomllib
home, runs = pathlib.Path(os.environ["HOME_DIR"]), os.environ["RUNS"]
folders = home / ".gemini/trustedFolders.json"
trusted = json.loads(folders.read_text()) if folders.exists() else {}
trusted[runs] = "TRUST_FOLDER"
folders.write_text(json.dumps(trusted))
config = home / ".codex/config.toml"
text = config.read_text()
if runs not in tomllib.loads(text).get("projects", {}):
    config.write_text(f'{text}\n[projects."{runs}"]\ntrust_level = "trusted"\n')
PY
DATA=$data python3 - <<'PY'
import json, os, pathlib, shutil
status = {name: {"present": shutil.which(name) is not None, "version": "missing"}
          for name in ("codex", "gemini", "iflow", "opencode")}
(pathlib.Path(os.environ["DATA"]) / "agent_status.json").write_text(json.dumps(status))
PY
# Unquoted: a command and its arguments.
# shellcheck disable=SC2086
exec $WORKER
