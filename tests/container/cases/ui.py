"""The pages in a real browser and the real codex: upload, browse, run, watch live, the terminal; with auth off and on."""

import json
import shutil
import tempfile

from suite import codex, host, pages, product
from suite.browser import SCREEN, Browser
from suite.cases import case, check, same
from suite.shell import wait_for

GATE = "/tmp/go"
QUIET = ("-e", "SKILL_INIT_ENSURE=off")
SECCOMP = ("--security-opt", f"seccomp={host.REPO}/image/seccomp/skill-runner.json")
HOME = "/opt/cache/skill-runner/agent-home/.codex"
AUTH = ("-e", "UI_BASIC_AUTH_ENABLED=true", "-e", "UI_BASIC_AUTH_USERNAME=admin", "-e", "UI_BASIC_AUTH_PASSWORD=pass:word")


def walk(world, options, credentials=None):
    """The whole way in a container whose skills folder can be written."""
    prefix, version = codex.prefix()
    # No mount: the image's own folder for skills, on a volume.
    with world.start(*QUIET, *SECCOMP, "-v", f"{world.volume()}:/app/skills", "-v", f"{prefix}:/opt/npm:ro", *options, skills=False,
                     workers=True) as box:
        box.ready()
        sandbox = real_codex(box, version)
        folder = tempfile.mkdtemp(dir=world.scratch.name)
        archive = pages.package(folder, product.SKILLS / "hello", "greeter")
        with Browser(box.inspect(".State.Pid")) as chromium:
            visitor = pages.Walk(chromium, "http://127.0.0.1:8000", "http://127.0.0.1:7681", credentials)
            evidence = visitor.whole(archive, lambda: box.sh(f"touch {GATE}"), SCREEN)
        shutil.rmtree(folder)
        load = json.loads(box.http("/v1/management/concurrency")[1])
        same("what binds", load["binds"], box.status()["concurrency"]["binds"])
        check(load["advice"], f"nothing to change is named: {load}")
        return f"codex {version} ({sandbox}); {evidence}", box.http("/ui")[0]


def real_codex(box, version):
    """The package in the managed prefix, the model server in the container, init's own check and verdict; the verdict."""
    box.exec("sh", "-ec", "mkdir -p $NPM_CONFIG_PREFIX/bin $NPM_CONFIG_PREFIX/lib/node_modules/@openai && "
             "cp -a /opt/npm/lib/node_modules/@openai/codex $NPM_CONFIG_PREFIX/lib/node_modules/@openai/ && "
             "cp -a /opt/npm/bin/codex $NPM_CONFIG_PREFIX/bin/", timeout=300)
    before = box.sh(f"cat {HOME}/config.toml")
    box.exec("sh", "-c", f"printf '%s' \"$1\" > {HOME}/config.toml", "sh", codex.config(before + "\n"))
    box.engine.docker("exec", "-d", box.name, "python3", "/workers/model.py", str(codex.PORT), GATE)
    wait_for("the model server", lambda: box.http("/", codex.PORT)[0] == 501)
    box.exec("/sbin/skill-init", "agents", "check", check=False, timeout=300)
    box.exec("/sbin/skill-init", "agents", "sandbox", check=False, timeout=300)
    engine = json.loads(box.http("/v1/management/engines/codex")[1])
    same("codex in the container", engine["cli_version"], version)
    check(engine["sandbox_status"] != "unknown", f"no verdict: {engine}")
    return f"sandbox {engine['sandbox_status']}: {' '.join(engine['sandbox']['flags'])}"


@case("ui: a browser uploads a skill, browses it, runs it by the real codex, watches it live and opens the terminal", limit=900)
def whole(world):
    """Auth off."""
    evidence, status = walk(world, ())
    same("without credentials", status, 200)
    return evidence


@case("ui: the same with auth on; without credentials there is nothing", limit=900)
def protected(world):
    """Auth on."""
    evidence, status = walk(world, AUTH, "admin:pass%3Aword")
    same("without credentials", status, 401)
    check("terminal" in evidence, evidence)
    return evidence
