"""arm64 programs on this machine: the kernel hands them to QEMU's user mode, in containers too."""

import contextlib
import os
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/container")]

from suite import host  # noqa: E402
from suite.machine import ARM64, HERE  # noqa: E402
from suite.shell import CommandError, run, say  # noqa: E402

PROGRAM = "qemu-aarch64-static"
# Debian's own line for the kernel. Its flag F opens the interpreter now, so that a container needs no file of it.
LINE = pathlib.Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
KERNEL = pathlib.Path("/proc/sys/fs/binfmt_misc")
ENTRY = KERNEL / "qemu-aarch64"


class Unavailable(Exception):
    """This kernel does not hand programs to QEMU; why."""


def ensure():
    """The interpreter, installed where it is missing and needed."""
    if HERE != ARM64 and not (shutil.which(PROGRAM) and LINE.exists()):
        host.apt_install(["qemu-user-static"])


@contextlib.contextmanager
def registered():
    """While this lasts, arm64 programs can be executed. What was not there before is undone at the end."""
    with contextlib.ExitStack() as undo:
        if HERE != ARM64:
            ensure()
            _mount(undo)
            _register(undo)
        yield


def _mount(undo):
    if (KERNEL / "register").exists():
        return
    try:
        run(["mount", "-t", "binfmt_misc", "binfmt_misc", KERNEL])
    except CommandError as fault:
        raise Unavailable(f"binfmt_misc cannot be mounted: {fault}") from fault
    undo.callback(run, ["umount", KERNEL])
    say("binfmt_misc mounted")


def _register(undo):
    if ENTRY.exists():
        flags = next(line for line in ENTRY.read_text().splitlines() if line.startswith("flags:"))
        if "F" not in flags:
            raise Unavailable(f"{ENTRY} is registered without the flag F ({flags}), so containers would need QEMU in them")
        return
    try:
        _write(KERNEL / "register", LINE.read_bytes())
    except OSError as fault:
        raise Unavailable(f"the kernel refuses {LINE}: {fault}") from fault
    undo.callback(_write, ENTRY, b"-1")
    say("QEMU registered for arm64 programs")


def _write(path, what):
    """One write(2): the kernel takes each as a whole order."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, what)
    finally:
        os.close(handle)
