"""Time to ready, with and without the CLIs: the same start, interleaved, with everything that can be slow about them."""

import ctypes
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import time

from registry import Registry
from world import PATIENCE, Failed, Skipped, World, binary, claim

# Wall time of one --version on two idle cores; iflow's is gemini's, whose fork it is. They burn it.
MEASURED = {"codex": ("codex-cli 0.169.0", 0.07), "gemini": ("0.61.0", 1.39), "iflow": ("0.5.0", 1.39),
            "opencode": ("1.18.33", 0.70)}
STUB = """#!/usr/bin/env python3
import time
end = time.process_time() + {seconds}
while time.process_time() < end:
    pass
print("{line}")
"""
ROUNDS = int(os.environ.get("AGENTS_ROUNDS", "11"))
TIMES: list[tuple[str, list[float], str]] = []


def stubs(w: World) -> None:
    (w.prefix / "bin").mkdir(parents=True, exist_ok=True)
    for name, (line, seconds) in MEASURED.items():
        path = w.prefix / "bin" / name
        path.write_text(STUB.format(line=line, seconds=seconds))
        path.chmod(0o755)


def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def alone() -> None:
    """In the child: no network but loopback, as `docker run --network none` gives it."""
    clone_newnet, siocsifflags, iff_up = 0x40000000, 0x8914, 1
    if ctypes.CDLL(None, use_errno=True).unshare(clone_newnet):
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, siocsifflags, struct.pack("16sh", b"lo", iff_up))


def start(w: World, ensure: str, network: bool) -> tuple[subprocess.Popen, float]:
    """A whole start with the embedded worker and the gateway; seconds until it says that it is ready."""
    env = w.env | {
        "SKILL_INIT_ENSURE": ensure, "PORT": str(port()), "SKILL_INIT_HTTP_ADDR": f"127.0.0.1:{port()}",
        "SKILL_INIT_API_HOST": "127.0.0.1", "SKILL_INIT_TTYD": "off", "SKILL_INIT_LOG_FORMAT": "json",
    }
    begin = time.monotonic()
    process = subprocess.Popen([binary(), "local", "--dir", str(w.dir / "local")], env=env, text=True, cwd=w.dir,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
                               preexec_fn=None if network else alone)
    seen = []
    for line in process.stderr:
        seen.append(line)
        if '"message":"ready"' in line:
            return process, time.monotonic() - begin
    raise Failed("never ready:\n" + "".join(seen[-20:]))


def stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    process.stderr.read()
    process.wait(timeout=PATIENCE)


def status_says(w: World, process: subprocess.Popen, present: set[str]) -> None:
    """The start's own service has written what is there, and why the rest is not."""
    report = w.dir / "data/agent_bootstrap_report.json"
    while not report.exists():
        claim(process.poll() is None, "init ended")
        time.sleep(0.05)
    status = w.status()
    claim({name for name, entry in status.items() if entry["present"]} == present, status)
    engines = json.loads(report.read_text())["engines"]
    for name in set(engines) - present:
        claim(engines[name]["stderr_summary"], f"{name}: no reason")


def variants(registry: Registry, real: pathlib.Path | None) -> list[tuple[str, dict]]:
    all_four = set(MEASURED)
    found = [
        ("no CLI, SKILL_INIT_ENSURE=off", {"ensure": "off"}),
        ("four stubs that burn the CPU time of the real --version", {"stubs": True, "present": all_four}),
        ("nothing installed, a registry that never answers", {"registry": registry.url}),
    ]
    if os.geteuid() == 0:
        found.append(("nothing installed, no network at all", {"network": False, "present": set()}))
    if real:
        found.append(("real codex, gemini and opencode", {"real": real, "present": {"codex", "gemini", "opencode"}}))
    return found


def measure(registry: Registry, real: pathlib.Path | None) -> None:
    if not pathlib.Path(binary()).with_name("skill-api").exists():
        raise Skipped("needs skill-api beside skill-init: cargo build --profile quick --bins -p skill-init -p skill-api")
    registry.trouble = {"": "black-hole"}
    times: dict[str, list[float]] = {}
    try:
        for n in range(ROUNDS):
            for name, how in variants(registry, real):
                w = World(how.get("registry", "https://registry.invalid/"))
                try:
                    if how.get("stubs"):
                        stubs(w)
                    if how.get("real"):
                        shutil.copytree(how["real"], w.prefix, symlinks=True, copy_function=os.link)
                    process, took = start(w, how.get("ensure", "background"), how.get("network", True))
                    times.setdefault(name, []).append(took)
                    # What the status says is looked at once: no engine has to end for the time.
                    if "present" in how and n == 0:
                        status_says(w, process, how["present"])
                    stop(process)
                finally:
                    w.close()
    finally:
        registry.trouble = {}
    base = statistics.median(next(iter(times.values())))
    for name, values in times.items():
        middle = statistics.median(values)
        TIMES.append((name, values, "" if middle == base else f"{(middle - base) * 1000:+.0f} ms"))


def readiness(registry: Registry) -> None:
    """time to ready with no CLI, four slow ones, a registry that never answers and no network; the status tells"""
    measure(registry, None)


def readiness_with_real_clis(registry: Registry) -> None:
    """the same with the real codex, gemini and opencode in the prefix"""
    w = World(None)
    try:
        w.init("ensure")
        measure(registry, w.prefix)
    finally:
        w.close()


def table() -> str:
    lines = ["| what is there at the start | time to ready, median | least to greatest | beside the first |", "|---|--:|--:|--:|"]
    for name, values, beside in TIMES:
        low, high = min(values) * 1000, max(values) * 1000
        lines.append(f"| {name} | {statistics.median(values) * 1000:.0f} ms | {low:.0f} to {high:.0f} ms | {beside} |")
    build = pathlib.Path(binary()).parent.name
    return "\n".join(lines) + (f"\n\n{ROUNDS} starts each, in turns, of the {build} build, embedded worker and gateway included; "
                              f"{os.cpu_count()} CPUs, load {os.getloadavg()[1]:.0f} from other work.\n")
