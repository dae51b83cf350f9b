#!/usr/bin/env python3
"""codex's real sandbox in real containers: Docker's default profile refuses it, ours lets it work.

    sudo tests/agents/sandbox.py      root, docker.io; installs codex from npm into a folder that it removes

Everything as production has it: uid 10001, no capabilities, no new privileges, read-only root. The verdict is that of
`skill-init agents sandbox`. Ends with "N passed, N failed, N skipped".
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/container"), str(ROOT / "tests/agents")]

from suite import base, engine as engines, host  # noqa: E402
from world import binary  # noqa: E402

PROFILE = ROOT / "image/seccomp/skill-runner.json"
STRICT = ["--user", "10001:10001", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only",
          "--tmpfs", "/tmp"]
# name, docker options, is codex confined?
CASES = [
    ("Docker's default profile", [], False),
    ("the project's profile", ["--security-opt", f"seccomp={PROFILE}"], True),
    ("unconfined", ["--security-opt", "seccomp=unconfined"], True),
]


def without(name: str, folder: pathlib.Path) -> pathlib.Path:
    """The profile without one of the calls: each is needed."""
    profile = json.loads(PROFILE.read_text())
    for rule in profile["syscalls"]:
        if rule["action"] == "SCMP_ACT_ALLOW":
            rule["names"] = [n for n in rule["names"] if n != name]
    path = folder / f"without-{name}.json"
    path.write_text(json.dumps(profile))
    return path


def main() -> int:
    missing = [word for word in ("dockerd", "npm") if not shutil.which(word)]
    if missing:
        print(f"skipped: needs {missing}", file=sys.stderr)
        print("0 passed, 0 failed, 1 skipped")
        return 0
    folder = pathlib.Path(tempfile.mkdtemp(prefix="skill-init-sandbox-", dir="/var/tmp"))
    engine = engines.Engine("agents-engine")
    passed = failed = 0
    try:
        engine.start()
        image = base.ensure(engine)
        cache = folder / "cache"
        # SKILL_INIT_BIN is the suite's own; init knows no such setting and says so.
        env = {name: value for name, value in os.environ.items() if name != "SKILL_INIT_BIN"}
        subprocess.run([binary(), "agents", "ensure", "codex"], check=True, env={
            **env, "SKILL_RUNNER_RUNTIME_MODE": "container",
            "SKILL_RUNNER_AGENT_CACHE_DIR": str(cache), "SKILL_RUNNER_DATA_DIR": str(folder / "data")})
        subprocess.run(["chown", "-R", "10001:10001", folder], check=True)
        folder.chmod(0o755)
        cases = list(CASES)
        cases += [(f"the project's profile without {name}", ["--security-opt", f"seccomp={without(name, folder)}"], False)
                  for name in ("unshare", "mount", "umount2", "pivot_root", "clone3")]
        for name, options, confined in cases:
            ran = engine.docker(
                "run", "--rm", "--network", "none", *STRICT, *options, "-v", f"{cache}:/opt/cache/skill-runner",
                "-v", f"{binary()}:/usr/local/bin/skill-init:ro", "--tmpfs", "/data:uid=10001",
                "-e", "SKILL_RUNNER_RUNTIME_MODE=container", "--entrypoint", "/usr/local/bin/skill-init",
                image, "agents", "sandbox", "--fresh", "--json", check=False, timeout=120)
            try:
                verdict = json.loads(ran.out)["engines"]["codex"]
                good = verdict["confined"] is confined
                words = f"confined={verdict['confined']} flags={' '.join(verdict['flags'])}: {verdict['evidence']}"
            except (ValueError, KeyError):
                # Without clone3 nothing starts a thread: no verdict is the verdict.
                good, words = not confined, f"no verdict, exit {ran.code}: {ran.err.strip()[-200:]}"
            passed, failed = passed + good, failed + (not good)
            print(f"{'passed' if good else 'failed'}  {name}: {words}", flush=True)
    finally:
        engine.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
