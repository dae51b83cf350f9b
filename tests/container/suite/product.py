"""The product: static binaries, build context, image.

The binaries come from `cargo xtask dist` (or from the folder SKILL_INIT_TEST_BINARIES); the image is built from
image/Dockerfile by BuildKit with them and with ttyd in the build context, because no registry is needed for that.
"""

import os
import pathlib
import shutil

from . import base, host, ttyd
from .shell import CommandError, run, say, timed

TAG = "skill-runner:test"
SKILLS = host.REPO / "examples/skills"
WORKERS = host.REPO / "tests/container/workers"


def binaries():
    """A folder with static `skill-init` and `skill-api`."""
    given = os.environ.get("SKILL_INIT_TEST_BINARIES")
    if given:
        folder = pathlib.Path(given).resolve()
    else:
        timed("cargo xtask dist", lambda: run(["cargo", "xtask", "dist"], cwd=host.REPO, timeout=2400))
        folder = host.REPO / "target/dist"
    for name in ("skill-init", "skill-api"):
        if not os.access(folder / name, os.X_OK):
            raise CommandError(f"no executable {folder / name}")
    return folder


def context():
    """The build context: what .dockerignore lets through, and nothing of the work tree's rest."""
    folder = host.clean_dir(host.CACHE / "context")
    shutil.copytree(host.REPO / "image", folder / "image", ignore=shutil.ignore_patterns("ttyd"))
    shutil.copytree(host.REPO / "scripts", folder / "scripts")
    shutil.copy(host.REPO / ".dockerignore", folder)
    shutil.copytree(ttyd.ensure(), folder / "image/ttyd", symlinks=True)
    (folder / "target/dist").mkdir(parents=True)
    source = binaries()
    for name in ("skill-init", "skill-api"):
        shutil.copy(source / name, folder / "target/dist")
    return folder


def build(engine):
    """Build the image; returns its tag."""
    chosen = base.ensure(engine)
    folder = context()
    timed("docker build", lambda: engine.docker(
        "build", "--network", "host", "-f", folder / "image/Dockerfile", "-t", TAG,
        "--build-arg", f"BASE_IMAGE={chosen}", "--build-arg", "BINARIES=prebuilt", "--build-arg", "TTYD=context",
        "--build-arg", "VERSION=test", folder, timeout=1800))
    size = int(engine.docker("image", "inspect", "-f", "{{.Size}}", TAG).text)
    say(f"image: {size / 1e6:.0f} MB")
    return TAG
