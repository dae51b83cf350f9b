#!/usr/bin/env python3
"""The walk through the pages without a container, and the pictures of docs/ui.md.

    sudo tests/ui/pictures.py [--auth] [--into docs] [--bin target/debug]

Starts `skill-init local` under a fresh folder on ports of its own, with the real codex from npm and a model server on
loopback, walks through the pages as tests/container/cases/ui.py does, and leaves a picture of each. Needs chromium, npm and
ttyd (SKILL_RUNNER_TTYD_PATH or PATH); root, because the browser enters a network namespace as it does for a container. With pngquant and optipng the
pictures are made small.
"""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests/container"))

from suite import codex, pages  # noqa: E402
from suite.browser import SCREEN, Browser  # noqa: E402
from suite.shell import say, wait_for  # noqa: E402

API, HEALTH, TTYD = 18310, 18311, 18312
LOCAL = {"SKILL_RUNNER_RUNTIME_MODE": "local"}
KEPT = ("skills-wide", "skill-wide", "run-wide", "run-live-wide-dark", "engines-wide", "runs-phone", "run-phone")


def answers(port, path):
    """Is there a 200?"""
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).status == 200
    except OSError:
        return False


def keep(into, everything):
    """What puts a picture into a folder."""
    def put(name, data):
        if everything or name in KEPT:
            path = into / f"ui-{name}.png"
            path.write_bytes(data)
            small(path)
            say(f"{path}: {path.stat().st_size // 1024} KiB")
    return put


def small(path):
    """Fewer colours and a tighter PNG, where the programs are there."""
    for command in (["pngquant", "--force", "--skip-if-larger", "--output", str(path), "96", str(path)],
                    ["optipng", "-quiet", "-o2", str(path)]):
        if shutil.which(command[0]):
            subprocess.run(command, check=False, timeout=120)


def main():
    """Start, walk, stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=pathlib.Path, default=REPO / "docs")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "target/debug")
    parser.add_argument("--auth", action="store_true", help="with Basic Auth on; makes no pictures")
    parser.add_argument("--all", action="store_true", help="keep every picture, not only those of docs/ui.md")
    arguments = parser.parse_args()
    # Not below the temporary folder, where codex makes no helper links and its sandbox does not start.
    root = pathlib.Path(tempfile.mkdtemp(prefix="skill-init-ui.", dir="/var/tmp"))
    gate = root / "go"
    arguments.into.mkdir(parents=True, exist_ok=True)
    shutil.copytree(REPO / "examples/skills", root / "skills")
    home = root / "agent-cache/agent-home/.codex"
    home.mkdir(parents=True)
    (home / "config.toml").write_text(codex.config(), encoding="utf-8")
    (root / "agent-cache/npm").symlink_to(codex.prefix()[0])
    env = {"PATH": f"{arguments.bin}:{os.environ['PATH']}", "HOME": str(root), "PORT": str(API), "SKILL_INIT_ENSURE": "off",
           "SKILL_INIT_HTTP_ADDR": f"127.0.0.1:{HEALTH}", "UI_SHELL_TTYD_PORT": str(TTYD), "SKILL_INIT_API_HOST": "127.0.0.1",
           "UI_SHELL_TTYD_BIND_HOST": "127.0.0.1", "SKILL_RUNNER_SKILLS_DIR": str(root / "skills")}
    ttyd = os.environ.get("SKILL_RUNNER_TTYD_PATH") or shutil.which("ttyd") or "/opt/ttyd/bin/ttyd"
    if not os.access(ttyd, os.X_OK):
        raise SystemExit("no ttyd here: set SKILL_RUNNER_TTYD_PATH, or tests/container/run.py makes one")
    env["SKILL_RUNNER_TTYD_PATH"] = ttyd
    if arguments.auth:
        env |= {"UI_BASIC_AUTH_ENABLED": "true", "UI_BASIC_AUTH_USERNAME": "admin", "UI_BASIC_AUTH_PASSWORD": "pass:word"}
    model = subprocess.Popen([sys.executable, REPO / "tests/container/workers/model.py", str(codex.PORT), gate])
    log = open(root / "log", "wb")
    init = subprocess.Popen([arguments.bin / "skill-init", "local", "--dir", root], env=env, stdout=log, stderr=log,
                            stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for("readiness", lambda: init.poll() is None and answers(HEALTH, "/readyz"), 90)
        # Versions and sandbox verdicts, which a start without ensure does not ask for.
        for question in ("check", "sandbox"):
            subprocess.run([arguments.bin / "skill-init", "agents", question], env=env | LOCAL | {"SKILL_RUNNER_LOCAL_ROOT": str(root)},
                           check=True, timeout=300, stdout=log, stderr=log)
        with Browser(os.getpid()) as chromium:
            walk = pages.Walk(chromium, f"http://127.0.0.1:{API}", f"http://127.0.0.1:{TTYD}",
                              "admin:pass%3Aword" if arguments.auth else None, None if arguments.auth else keep(arguments.into, arguments.all))
            archive = pages.package(root, REPO / "examples/skills/hello", "greeter")
            print(walk.whole(archive, gate.touch, SCREEN))
    except BaseException:
        say((root / "log").read_text(encoding="utf-8", errors="replace")[-3000:])
        raise
    finally:
        init.send_signal(signal.SIGTERM)
        init.wait(30)
        model.terminate()
        model.wait(30)
        log.close()
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
