"""What a container must have worked out for itself, computed again from what was set: an oracle that shares no code with the
product.

Concurrency comes from the options of `docker run` and this machine's own numbers; the Landlock verdict from the kernel's answer to
landlock_create_ruleset(2) inside the container. Memory in use moves between the start and the look, so that term is a range.
"""

import json
import math
import os
import pathlib
import re

from .cases import check, same
from .shell import run

MIB = 1 << 20
UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
ABI = ("import ctypes; libc = ctypes.CDLL(None, use_errno=True); abi = libc.syscall(444, None, 0, 1); "
       "print(abi if abi > 0 else -ctypes.get_errno())")


def given(box):
    """The options of `docker run` as {name: [values]}; `-e` as pairs under `env`."""
    options, words = {"env": {}}, iter(box.options)
    for word in words:
        if word == "-e":
            name, _, value = next(words).partition("=")
            options["env"][name] = value
        elif word.startswith("--"):
            name, joined, value = word[2:].partition("=")
            options.setdefault(name, []).append(value if joined else "")
            if not joined and name in ("memory", "cpus", "cpuset-cpus", "pids-limit", "ulimit"):
                options[name][-1] = next(words)
    return options


def _bytes(text):
    number, unit = re.fullmatch(r"(\d+)([bkmg]?)", text).groups()
    return int(number) * UNITS[unit]


def _range(text):
    """How many CPUs a list such as 0-2,5 names."""
    spans = [part.split("-") for part in text.split(",")]
    return sum(int(span[-1]) - int(span[0]) + 1 for span in spans)


def _memory_free(options):
    """MiB that were free at the start: at least, and at most."""
    fields = dict(line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
    host = int(fields["MemAvailable"].split()[0]) // 1024
    # Other programs of this machine come and go.
    low, high = host // 2, int(fields["MemTotal"].split()[0]) // 1024
    if "memory" in options:
        limit = _bytes(options["memory"][-1]) // MIB
        # A container that just started uses less than 200 MiB.
        low, high = min(low, limit - 200), min(high, limit)
    return low, high


def _descriptors(box):
    """The hard limit: init raises the soft one towards it."""
    limits = pathlib.Path(f"/proc/{box.inspect('.State.Pid')}/limits").read_text()
    hard = re.search(r"^Max open files\s+\S+\s+(\S+)", limits, re.M).group(1)
    return math.inf if hard == "unlimited" else int(hard)


def runs(box):
    """(least, most) concurrent runs that the options allow."""
    options = given(box)
    env = options["env"]

    def number(name, default):
        return float(env.get(name, default))

    def term(have, reserve, per_run):
        return max(1, math.floor(max(1, have - reserve) / per_run)) if have != math.inf else math.inf

    cpus = float(os.cpu_count())
    if "cpuset-cpus" in options:
        cpus = min(cpus, _range(options["cpuset-cpus"][-1]))
    if "cpus" in options:
        cpus = min(cpus, float(options["cpus"][-1]))
    tasks = [math.inf, math.inf]
    if "pids-limit" in options:
        limit = int(options["pids-limit"][-1])
        tasks = [limit - 16, limit]
    free = _memory_free(options)
    found = []
    for end in (0, 1):
        found.append(int(min(
            max(1, math.floor(cpus * number("SKILL_RUNNER_CPU_FACTOR", 0.75))),
            term(free[end], number("SKILL_RUNNER_MEM_RESERVE_MB", 1024), number("SKILL_RUNNER_ESTIMATED_MEM_PER_RUN_MB", 1024)),
            term(_descriptors(box), number("SKILL_RUNNER_FD_RESERVE", 256), number("SKILL_RUNNER_ESTIMATED_FD_PER_RUN", 64)),
            term(tasks[end], number("SKILL_RUNNER_PID_RESERVE", 128), number("SKILL_RUNNER_ESTIMATED_PID_PER_RUN", 64)),
            number("SKILL_RUNNER_MAX_CONCURRENT_HARD_CAP", 16))))
    return tuple(found)


def environ(box, pid):
    """The environment of a process in the container, read from outside: no right in the container is needed."""
    shown = run(["nsenter", "-m", "-p", "-t", box.inspect(".State.Pid"), "--", "cat", f"/proc/{pid}/environ"])
    return dict(pair.split("=", 1) for pair in shown.out.split("\0") if "=" in pair)


def agrees(box):
    """The container's own numbers are the computed ones, in its status, in its probe and in its worker's environment."""
    shown = box.status()
    least, most = runs(box)
    got = shown["concurrency"]["max_concurrent"]
    check(least <= got <= most, f"concurrent runs: got {got}, want {least} to {most} for {box.options}")
    api = next(s for s in shown["services"] if s["name"] == "api")
    handed = environ(box, api["pid"])
    same("SKILL_RUNNER_MAX_CONCURRENT of the worker", handed.get("SKILL_RUNNER_MAX_CONCURRENT"), str(got))
    abi = int(box.exec("python3", "-c", ABI).text)
    told = json.loads(box.exec("skill-init", "probe", "--json").out)["landlock"]
    same("Landlock usable", told["usable"], abi > 0)
    if abi > 0:
        same("Landlock ABI", told["abi"]["value"], abi)
    want = given(box)["env"].get("LANDLOCK_ENABLED", "1" if abi > 0 else "0")
    same("LANDLOCK_ENABLED of the worker", handed.get("LANDLOCK_ENABLED"), want)
    span = str(got) if least == most else f"{got} of {least} to {most}"
    return f"{span} runs ({shown['concurrency']['binds']} binds), Landlock ABI {abi} -> {handed['LANDLOCK_ENABLED']}"
