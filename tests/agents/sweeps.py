"""kill -9 at every moment: of init, of npm, of both, of a container; of init at each change that it makes."""

import os
import pathlib
import re
import shutil
import subprocess
import time

from cases import NEW, OLD, outcome, world
from registry import Registry
from world import PATIENCE, Skipped, Witness, World, claim, kill

VICTIMS = ("init", "npm", "both")


def after_kill(w: World, what: str, moment: str, old: bool) -> None:
    """What must hold after a kill: the old CLI, now; any CLI, after the next ensure; nothing left behind."""
    if old:
        claim(w.answer() in (OLD, NEW), f"{what} at {moment}: {w.answer()}")
    mended = w.init("ensure", "codex", ok=None)
    claim(mended.returncode == 0 and w.answer() in (OLD, NEW),
          f"{what} at {moment}: ensure did not mend it: {w.answer()}\n{mended.stderr}")
    claim(not w.leftovers(), f"{what} at {moment}: left behind: {w.leftovers()}")


def sweep(registry: Registry, old: bool, moments: int) -> None:
    """Kills at `moments` moments, spread evenly over the command; init, npm and both take turns."""
    verb = "upgrade" if old else "ensure"
    w = world(registry, old)
    start = time.monotonic()
    w.init(verb, "codex")
    span = time.monotonic() - start
    w.close()
    answered = calls = 0
    hits: dict[str, int] = {}
    for n in range(moments):
        hit = None
        while hit is None:
            w = world(registry, old)
            try:
                delay = span * (n + 0.5) / moments
                with Witness(w, {OLD, NEW}) as witness:
                    start = time.monotonic()
                    process = w.start(verb, "codex")
                    time.sleep(delay)
                    hit = kill(w, process, VICTIMS[n % len(VICTIMS)])
                    process.communicate(timeout=PATIENCE)
                if hit is None:
                    # The machine is faster than it was: the moments move together, and this one comes again.
                    span = min(span * 0.9, time.monotonic() - start)
                if old:
                    claim(not witness.bad, f"{hit} killed at {delay:.2f} s: {witness.bad[:3]}")
                    answered += witness.calls - len(witness.bad)
                    calls += witness.calls
                after_kill(w, f"{verb}, {hit} killed", f"{delay:.2f} s", old)
            finally:
                w.close()
        hits[hit] = hits.get(hit, 0) + 1
    words = ", ".join(f"{name} {count}" for name, count in sorted(hits.items()))
    outcome(f"kill -9 at {moments} moments of an {'upgrade' if old else 'install'} of {span:.1f} s ({words})",
            f"{answered} of {calls} calls answered" if old else "nothing to answer yet",
            f"mended by the next ensure, {moments} of {moments}")


def kill_sweep_of_an_upgrade(registry: Registry) -> None:
    """kill -9 of init, of npm, of both in turn at 48 moments of an upgrade: the old CLI answers, ensure mends"""
    sweep(registry, True, 48)


def kill_sweep_of_an_install(registry: Registry) -> None:
    """kill -9 of init, of npm, of both in turn at 48 moments of an install: the next ensure mends"""
    sweep(registry, False, 48)


CALLS = "rename,renameat,renameat2,symlink,symlinkat,mkdir,mkdirat"


def kill_at_every_change(_: Registry) -> None:
    """kill -9 at every folder, link and rename that init makes in the prefix during an upgrade, the switch included"""
    if not shutil.which("strace"):
        raise Skipped("needs strace to kill at an exact system call")
    registry = Registry(["1.0.0", "2.0.0"], megabytes=1)
    log = pathlib.Path("/var/tmp") / f"skill-init-strace-{os.getpid()}"

    def attempt(*inject: str) -> tuple[World, Witness, subprocess.Popen, str]:
        w = world(registry, old=True)
        with Witness(w, {OLD, NEW}) as witness:
            wrap = ("strace", "-qq", "-o", str(log), "-e", f"trace={CALLS}", *inject)
            process = w.start("upgrade", "codex", wrap=wrap)
            _, err = process.communicate(timeout=PATIENCE)
        return w, witness, process, err

    w, _, process, err = attempt()
    w.close()
    if process.returncode:
        raise Skipped(f"strace does not work here: {err.strip()[-200:]}")
    # strace counts each system call's name for itself.
    seen: dict[str, int] = {}
    moments = []
    for line in log.read_text().splitlines():
        name = line.split("(")[0]
        seen[name] = seen.get(name, 0) + 1
        if f"{w.prefix}/" in line:
            moments.append((name, seen[name], re.sub(r"skill-init-agents-\w+", "W", line)[:150]))
    claim(any(name.startswith("rename") and "previous" in line for name, _, line in moments), "no switch was seen")
    answered = 0
    for name, nth, line in moments:
        w, witness, process, err = attempt("-e", f"inject={name}:signal=SIGKILL:when={nth}")
        try:
            claim(process.returncode != 0, f"the kill at {line} did not come: {err}")
            claim(not witness.bad, f"{line}: {witness.bad[:3]}")
            answered += witness.calls
            after_kill(w, "upgrade, init killed", line, True)
        finally:
            w.close()
    registry.close()
    log.unlink(missing_ok=True)
    outcome(f"kill -9 at each of the {len(moments)} changes that init makes in the prefix during an upgrade",
            f"{answered} of {answered} calls answered", f"mended by the next ensure, {len(moments)} of {len(moments)}")


def npm_by_hand_killed(registry: Registry) -> None:
    """a documented npm install -g that is killed: the next ensure brings the CLI back, also without a network"""
    w = world(registry, old=True)
    start = time.monotonic()
    subprocess.run([*w.npm("install"), "@openai/codex"], env=w.env, check=True, capture_output=True)
    span = time.monotonic() - start
    w.close()
    lost = 0
    for n in range(8):
        w = world(registry, old=True)
        try:
            process = subprocess.Popen([*w.npm("install"), "@openai/codex"], env=w.env, cwd=w.dir,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            time.sleep(span * (n + 0.5) / 8)
            os.killpg(process.pid, 9)
            process.wait()
            lost += w.answer() not in (OLD, NEW)
            w.env["npm_config_registry"] = "http://127.0.0.1:9/"
            after_kill(w, "npm install -g by hand, killed", f"{span * (n + 0.5) / 8:.2f} s", False)
        finally:
            w.close()
    outcome("kill -9 of somebody's npm install -g at 8 moments", f"the CLI was lost {lost} times (npm's way)",
            "mended by the next ensure without a network, 8 of 8")


ALL = [kill_sweep_of_an_install, kill_sweep_of_an_upgrade, kill_at_every_change, npm_by_hand_killed]
