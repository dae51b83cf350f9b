"""The real codex from npm with its model server (workers/model.py), and a stand-in where many runs at once are wanted."""

import json

from . import host
from .cases import Skip
from .shell import run, say

PACKAGE = "@openai/codex"
PORT = 18080
# Waits until it is let go, leaves an artifact and the result.
STAND_IN = r"""#!/bin/sh
[ "$1" = --version ] && echo codex-cli 0.169.0 && exit
[ "$1" = exec ] || exit 1
say() { printf '{"type":"item.completed","item":{"id":"%s","type":"agent_message","text":"%s"}}\n' "$1" "$2"; }
printf '%s\n' '{"type":"thread.started","thread_id":"t-1"}'
while [ ! -e GATE ]; do sleep 0.1; done
printf 'Good morning, Ada!\n' > artifacts/greeting.txt
say 1 '{\"greeting\": \"Good morning, Ada!\", \"file\": \"artifacts/greeting.txt\", \"__SKILL_DONE__\": true}'
printf '%s\n' '{"type":"turn.completed"}'
"""


def stand_in(gate):
    """The stand-in, held until the file `gate` is there."""
    return STAND_IN.replace("GATE", gate)


def prefix():
    """An npm prefix with a codex that answers; a case without one is skipped, and counted."""
    folder = host.CACHE / "npm-codex"
    program = folder / "bin/codex"

    def answers():
        return program.exists() and run([program, "--version"], check=False, timeout=120).code == 0

    if not answers():
        host.need(["npm"])
        done = run(["npm", "install", "-g", "--no-audit", "--no-fund", "--fetch-retries=1", "--prefix", folder, PACKAGE],
                   check=False, timeout=900)
        if not answers():
            raise Skip(f"the real codex could not be had: npm install {PACKAGE}: {(done.err or done.out)[-300:]}")
    version = json.loads((folder / "lib/node_modules" / PACKAGE / "package.json").read_text(encoding="utf-8"))["version"]
    say(f"codex {version} from npm")
    return folder, version


def config(before=""):
    """config.toml: what was there, and the model server as the provider."""
    top = 'model = "fake"\nmodel_provider = "fake"\n'
    table = f'[model_providers.fake]\nname = "fake"\nbase_url = "http://127.0.0.1:{PORT}/v1"\nwire_api = "responses"\n'
    return f"{top}{before}\n{table}"
