#!/bin/sh
# The suite of the agent CLIs: real npm, a registry of its own on loopback, kills at every moment, full
# disks; with --real also the real packages. Ends with "N passed, N failed, N skipped".
#
#   tests/agents/run.sh                    what needs no network
#   tests/agents/run.sh --real             also real codex, gemini and opencode from npm
#   tests/agents/run.sh --write            and put the outcomes into docs/agents.md
#   tests/agents/run.sh --only full        cases whose name holds a word
#
# SKILL_INIT_BIN names the binary (target/quick, target/debug otherwise). AGENTS_PATIENCE is how many seconds one command may
# take (3600), SKILL_INIT_CHECK_TIMEOUT how long init waits for one --version (180s here), AGENTS_ROUNDS the starts per row
# of the readiness table (11). No case claims anything about a time: a slow machine gives the same answers later.
exec python3 "$(dirname "$0")/run.py" "$@"
