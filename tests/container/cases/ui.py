"""The pages in a real browser: upload, browse, run, watch live, the terminal; with auth off and on."""

import json
import shutil
import tempfile

from suite import pages, product
from suite.browser import SCREEN, Browser
from suite.cases import case, check, same

GATE = "/tmp/go"
QUIET = ("-e", "SKILL_INIT_ENSURE=off")
AUTH = ("-e", "UI_BASIC_AUTH_ENABLED=true", "-e", "UI_BASIC_AUTH_USERNAME=admin", "-e", "UI_BASIC_AUTH_PASSWORD=pass:word")


def walk(world, options, credentials=None):
    """The whole way in a container whose skills folder can be written."""
    # No mount: the image's own folder for skills, on a volume.
    with world.start(*QUIET, "-v", f"{world.volume()}:/app/skills", *options, skills=False) as box:
        box.ready()
        box.exec("sh", "-c", "mkdir -p $NPM_CONFIG_PREFIX/bin && printf '%s' \"$1\" > $NPM_CONFIG_PREFIX/bin/codex && "
                 "chmod +x $NPM_CONFIG_PREFIX/bin/codex", "sh", pages.agent(GATE))
        folder = tempfile.mkdtemp(dir=world.scratch.name)
        archive = pages.package(folder, product.SKILLS / "hello", "greeter")
        with Browser(box.inspect(".State.Pid")) as chromium:
            visitor = pages.Walk(chromium, "http://127.0.0.1:8000", "http://127.0.0.1:7681", credentials)
            evidence = visitor.whole(archive, lambda: box.sh(f"touch {GATE}"), SCREEN)
        shutil.rmtree(folder)
        load = json.loads(box.http("/v1/management/concurrency")[1])
        same("what binds", load["binds"], box.status()["concurrency"]["binds"])
        check(load["advice"], f"nothing to change is named: {load}")
        return evidence, box.http("/ui")[0]


@case("ui: a browser uploads a skill, browses it, runs it, watches it live and opens the terminal", limit=900)
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
