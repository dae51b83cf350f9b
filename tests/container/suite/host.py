"""What the suite needs of the machine: root, Debian packages, the cache folder, the machine's own package mirror."""

import fcntl
import glob
import os
import pathlib
import shutil

from .machine import HERE
from .shell import CommandError, run, say, timed

REPO = pathlib.Path(__file__).resolve().parents[3]
CACHE = pathlib.Path(os.environ.get("SKILL_INIT_TEST_CACHE") or pathlib.Path.home() / ".cache/skill-init-tests")

# program -> Debian package
PROGRAMS = {
    "dockerd": "docker.io",
    "/usr/bin/docker": "docker.io",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "patchelf": "patchelf",
    "curl": "curl",
    "nsenter": "util-linux",
    "npm": "npm",
    "xz": "xz-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "jq": "jq",
    "mkfs.ext4": "e2fsprogs",
}

_updated = False


def lock():
    """One suite at a time per cache: returns the open lock file."""
    CACHE.mkdir(parents=True, exist_ok=True)
    handle = open(CACHE / "lock", "w", encoding="utf-8")
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def apt_install(packages):
    """Install Debian packages (root). The lists are refreshed once, when they are needed."""
    global _updated
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    options = ["-qq", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]
    if not _updated:
        timed("apt-get update", lambda: run(["apt-get", *options, "update"], timeout=600, env=env))
        _updated = True
    timed(f"apt-get install {' '.join(packages)}",
          lambda: run(["apt-get", *options, "install", "-y", "--no-install-recommends", *packages],
                      timeout=1800, env=env))


def need(programs):
    """Make sure that `programs` (keys of PROGRAMS) are there."""
    missing = sorted({PROGRAMS[p] for p in programs if not shutil.which(p)})
    if missing:
        apt_install(missing)


def codename():
    """The machine's Debian release."""
    with open("/etc/os-release", encoding="utf-8") as lines:
        values = dict(line.strip().split("=", 1) for line in lines if "=" in line)
    return values["VERSION_CODENAME"].strip('"')


def sources(suite):
    """`deb` lines for `suite`, from the machine's own apt configuration: no mirror is written down here."""
    targets = run(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)",
                   "Created-By: Packages"]).out.split("\n")
    rows = sorted({tuple(t.split()) for t in targets if len(t.split()) == 3})
    wanted = (suite, f"{suite}-updates", f"{suite}-security")
    lines = [f"deb {site} {release} {component}" for site, release, component in rows if release in wanted]
    if lines:
        return lines
    site = next((site for site, release, _ in rows if release == codename()), None)
    if site is None:
        raise CommandError("apt knows no mirror of this machine's own release: run apt-get update")
    # Every Debian archive carries the other suites too.
    return [f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {site} {suite} main"]


class ForeignSuite:
    """Packages of another Debian suite, downloaded with private lists: the machine's own stay as they are."""

    def __init__(self, suite, source=False, machine=HERE):
        self.suite = suite
        self.dir = CACHE / machine.own(f"apt-{suite}{'-src' if source else ''}")
        (self.dir / "lists/partial").mkdir(parents=True, exist_ok=True)
        (self.dir / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        lines = sources(suite)
        if source:
            lines = [line.replace("deb ", "deb-src ", 1) for line in lines]
        (self.dir / "sources.list").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.options = ["-qq",
                        "-o", f"Dir::Etc::SourceList={self.dir}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null",
                        "-o", "Dir::Etc::PreferencesParts=/dev/null", "-o", f"Dir::State::Lists={self.dir}/lists",
                        "-o", f"Dir::Cache={self.dir}/cache", "-o", "Acquire::Languages=none",
                        "-o", "APT::Sandbox::User=root", "-o", "DPkg::Lock::Timeout=300",
                        "-o", f"APT::Architecture={machine.debian}", "-o", f"APT::Architectures={machine.debian}"]
        run(["apt-get", *self.options, "update"], timeout=600)

    def download(self, packages, into):
        """Fetch the packages' .deb files into the folder `into`."""
        pathlib.Path(into).mkdir(parents=True, exist_ok=True)
        run(["apt-get", *self.options, "download", *packages], cwd=into, timeout=900)

    def source(self, package, into):
        """Fetch a source package's files into the folder `into`."""
        pathlib.Path(into).mkdir(parents=True, exist_ok=True)
        run(["apt-get", *self.options, "source", "--download-only", package], cwd=into, timeout=900)

    def newest(self, package):
        """`package=version`, the newest that this suite has."""
        rows = run(["apt-cache", *self.options[1:], "madison", package]).out.splitlines()
        return f"{package}={rows[0].split('|')[1].strip()}"


def python_with(package):
    """The folder of programs of a virtual environment that has this package of the Python registry; made once."""
    folder = CACHE / f"python-{package}"
    if not (folder / "complete").exists():
        if run(["python3", "-m", "venv", "--help"], check=False).code != 0:
            apt_install(["python3-venv"])
        run(["python3", "-m", "venv", "--clear", folder], timeout=300)
        timed(package, lambda: run([folder / "bin/pip", "install", "-q", package], timeout=600))
        (folder / "complete").touch()
    return folder / "bin"


def extra_authorities():
    """The machine's own certificate authorities: behind a TLS-inspecting proxy, builds need them too."""
    return sorted(glob.glob("/usr/local/share/ca-certificates/**/*.crt", recursive=True))


def require_root():
    """The suite runs its own engine: that takes root."""
    if os.geteuid() != 0:
        raise SystemExit("the container suite starts its own engine and needs root: run it with sudo")


def free_space(path):
    """GiB free where `path` lives."""
    return shutil.disk_usage(path).free / 2**30


def clean_dir(path):
    """An empty folder at `path`."""
    path = pathlib.Path(path)
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path


def announce():
    """Where things are kept."""
    say(f"cache: {CACHE} ({free_space(CACHE):.0f} GiB free)")
