"""The binaries on other kernels, in virtual machines: cgroup v2 limits, no Landlock (tests/vm has the scenarios)."""

import os
import re

from suite import host
from suite.cases import Skip, case, check
from suite.shell import CommandError, run, say

TOOLS = ("qemu-system-x86_64", "busybox", "cpio", "jq")
WHAT = {
    "5.10": "Linux 5.10, before Landlock",
    "6.1": "Linux 6.1, Landlock ABI 2",
    "6.1-lsm": "Linux 6.1 with Landlock switched off at boot",
    "6.12": "Linux 6.12",
    "7.x": "the newest Linux",
}


def machine(name):
    """Boot one and let tests/vm judge."""
    return judged("run.sh", TOOLS, name)


def judged(script, tools, argument):
    """A script of tests/vm: each of its lines is a check; `N passed, N failed, N skipped` is its last."""
    if os.uname().machine != "x86_64":
        raise Skip(f"the machines are x86-64, this one is {os.uname().machine}")
    try:
        host.need(tools)
    except CommandError as fault:
        raise Skip(f"no QEMU to be had from apt: {fault}") from fault
    binary = host.CACHE / "context/target/dist/skill-init"
    done = run([host.REPO / "tests/vm" / script, binary, argument], check=False, timeout=900,
               env={"VM_CACHE": str(host.CACHE / "vm"), "VM_LIMIT": "600"})
    counts = re.search(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", done.out, re.M)
    check(counts, f"tests/vm/{script} did not get to its end: {(done.err or done.out)[-500:]}")
    passed, failed, skipped = map(int, counts.groups())
    if failed:
        say(done.out + done.err)
    check(failed == 0 and done.code == 0, "; ".join(x for x in done.out.splitlines() if x.startswith("FAIL")))
    left_out = [line for line in done.err.splitlines() if line.startswith("SKIP")]
    if passed == 0:
        raise Skip("; ".join(left_out) or "nothing was checked")
    return f"{passed} checks" + (f"; {skipped} left out: {'; '.join(left_out)}" if skipped else "")


for _name, _what in WHAT.items():
    case(f"machine: {_what}: the whole start under cgroup v2 limits, alone and as PID 1 of a container, with the right verdicts",
         limit=900)(lambda _world, name=_name: machine(name))


@case("machine: eight power cuts in the middle of upgrades, imports, trust entries and runs take nothing that was acknowledged", limit=900)
def power_cuts(_world):
    return judged("power.sh", (*TOOLS, "mkfs.ext4"), "8")
