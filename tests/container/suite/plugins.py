"""docker compose and kubectl from a newer Debian's packages, unpacked into the cache; nothing is installed."""

import shutil

from . import host
from .shell import run, timed

SUITE = "trixie"
PACKAGES = ["docker-compose", "kubectl"]


def ensure():
    """The folder: `cli-plugins/docker-compose` and `kubectl` in it."""
    folder = host.CACHE / "plugins"
    if not (folder / "kubectl").exists():
        timed("compose and kubectl", lambda: _make(folder))
    return folder


def _make(folder):
    work = host.clean_dir(host.CACHE / "plugins-work")
    suite = host.ForeignSuite(SUITE)
    suite.download([suite.newest(name) for name in PACKAGES], work / "debs")
    for deb in (work / "debs").glob("*.deb"):
        run(["dpkg-deb", "-x", deb, work / "x"])
    (folder / "cli-plugins").mkdir(parents=True, exist_ok=True)
    shutil.copy(work / "x/usr/libexec/docker/cli-plugins/docker-compose", folder / "cli-plugins/")
    shutil.copy(work / "x/usr/bin/kubectl", folder / "kubectl")
    shutil.rmtree(work)


def compose(engine, *argv, files, project, timeout=300, check=True, env=None):
    """`docker compose` against the suite's engine."""
    plugin = ensure() / "cli-plugins/docker-compose"
    flags = [word for path in files for word in ("-f", path)]
    return run([plugin, "--ansi", "never", "-p", project, *flags, *argv], timeout=timeout, check=check,
               env={**engine.env, **(env or {})})


def kustomize(folder):
    """The manifests that `kubectl apply -k` would send."""
    return run([ensure() / "kubectl", "kustomize", folder]).out
