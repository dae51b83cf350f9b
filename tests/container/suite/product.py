"""The product: static binaries, build context, image.

The binaries come from `cargo xtask dist` (or from the folder SKILL_INIT_TEST_BINARIES); the image is built from
image/Dockerfile by BuildKit with them and with ttyd in the build context, because no registry is needed for that. `from_source` leaves
the compiling to the Dockerfile, as `docker build` without arguments does.
"""

import os
import pathlib
import shutil

from . import base, host, rust, ttyd
from .machine import HERE
from .shell import CommandError, run, say, timed

TAG = "skill-runner:test"
PROGRAMS = ("skill-init", "skill-api")
SKILLS = host.REPO / "examples/skills"
WORKERS = host.REPO / "tests/container/workers"


def binaries():
    """A folder with static `skill-init` and `skill-api` of this machine."""
    given = os.environ.get("SKILL_INIT_TEST_BINARIES")
    if given:
        folder = pathlib.Path(given).resolve()
    else:
        timed("cargo xtask dist", lambda: run(["cargo", "xtask", "dist"], cwd=host.REPO, timeout=2400))
        folder = host.REPO / "target/dist"
    for name in PROGRAMS:
        if not os.access(folder / name, os.X_OK):
            raise CommandError(f"no executable {folder / name}")
    return folder


def context(from_source=False, machine=HERE, ready=None):
    """The build context: what .dockerignore lets through, and nothing of the work tree's rest."""
    folder = host.clean_dir(host.CACHE / machine.own("context"))
    if from_source:
        shown = run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=host.REPO).out
        for name in filter(None, shown.split("\0")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(host.REPO / name, folder / name, follow_symlinks=False)
    else:
        shutil.copytree(host.REPO / "image", folder / "image", ignore=shutil.ignore_patterns("ttyd"))
        shutil.copytree(host.REPO / "scripts", folder / "scripts")
        shutil.copy(host.REPO / ".dockerignore", folder)
    shutil.copytree(ttyd.ensure(machine), folder / "image/ttyd", symlinks=True)
    (folder / "target/dist").mkdir(parents=True)
    if not from_source:
        source = ready or binaries()
        for name in PROGRAMS:
            shutil.copy(source / name, folder / "target/dist")
    return folder


def build(engine, from_source=False, machine=HERE, ready=None):
    """Build the image, with the binaries of the folder `ready` where that is given; returns its tag."""
    chosen = base.ensure(engine, machine)
    folder = context(from_source, machine, ready)
    compiled = [] if from_source else ["BINARIES=prebuilt"]
    builder = [f"RUST_IMAGE={rust.ensure(engine)}"] if from_source else []
    arguments = [f"BASE_IMAGE={chosen}", "TTYD=context", "VERSION=test", *compiled, *builder]
    flags = [word for argument in arguments for word in ("--build-arg", argument)]
    timed("docker build", lambda: engine.docker(
        "build", "--platform", machine.platform, "--network", "host", "-f", folder / "image/Dockerfile", "-t", TAG, *flags, folder,
        timeout=2400))
    if from_source:
        _take_out(engine, folder / "target/dist")
    size = int(engine.docker("image", "inspect", "-f", "{{.Size}}", TAG).text)
    say(f"image: {size / 1e6:.0f} MB")
    return TAG


def _take_out(engine, into):
    """The binaries that the Dockerfile compiled, for the cases that use them outside the image."""
    name = engine.docker("create", TAG).text
    try:
        for program in PROGRAMS:
            engine.docker("cp", f"{name}:/usr/sbin/{program}", into)
    finally:
        engine.docker("rm", name)
