#!/usr/bin/env bash
# Build skill-init and its API worker and run them here, without root and without a container: everything they write is
# under one folder.
#
#   scripts/start.sh [ARGUMENTS OF skill-init local]
#
# The API is on http://127.0.0.1:8000, health on http://127.0.0.1:8079/readyz, and the terminal on
# http://127.0.0.1:7681 where ttyd is installed. Stop it with Ctrl-C. Needs Rust (https://rustup.rs) and a C compiler.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
command -v cargo >/dev/null || { echo "cargo is missing: install Rust, https://rustup.rs" >&2; exit 1; }
command -v cc >/dev/null || { echo "a C compiler is missing: apt-get install gcc libc6-dev" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-$root/target}
cargo build --locked --release --manifest-path "$root/Cargo.toml" -p skill-init -p skill-api --bins
export SKILL_RUNNER_SKILLS_DIR=${SKILL_RUNNER_SKILLS_DIR:-$root/examples/skills}
exec "$target/release/skill-init" local "$@"
