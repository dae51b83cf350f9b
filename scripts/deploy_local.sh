#!/bin/sh
# Run everything on this machine, without a container and without root, with the old defaults: run data in the source
# tree, CLIs and their home below SKILL_RUNNER_LOCAL_ROOT (~/.local/share/skill-runner). Ctrl-C stops it.
#
#   deploy_local.sh [ARGUMENTS OF skill-init local]
#
# PORT is the API's port (8000). Everything else: docs/environment.md.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
need() {
    command -v "$1" >/dev/null || { echo "$1 is missing: $2" >&2; exit 1; }
}
need node "https://nodejs.org"
need npm "it comes with node"
command -v ttyd >/dev/null || echo "ttyd is missing: no web terminal (https://github.com/tsl0922/ttyd)" >&2

local_root=${SKILL_RUNNER_LOCAL_ROOT:-$HOME/.local/share/skill-runner}
export SKILL_RUNNER_LOCAL_ROOT="$local_root" SKILL_RUNNER_RUNTIME_MODE=local
export SKILL_RUNNER_DATA_DIR="${SKILL_RUNNER_DATA_DIR:-$root/data}"
export SKILL_RUNNER_AGENT_CACHE_DIR="${SKILL_RUNNER_AGENT_CACHE_DIR:-$local_root/agent-cache}"
mkdir -p "$SKILL_RUNNER_DATA_DIR" "$SKILL_RUNNER_AGENT_CACHE_DIR"

if command -v skill-init >/dev/null; then
    exec skill-init local "$@"
fi
exec "$root/scripts/start.sh" "$@"
