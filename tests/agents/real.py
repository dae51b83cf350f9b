"""The same with the real packages from npm."""

import re
import time

from cases import outcome
from registry import Registry
from world import PATIENCE, Witness, World, claim, kill

# An older release of each; the newest comes by upgrade.
OLDER = {"codex": "0.164.0", "gemini": "0.60.0", "opencode": "1.18.30"}


def real_clis_end_to_end(_: Registry) -> None:
    """real codex, gemini, opencode: older release, check, upgrade to the newest, roll back, all while they are called"""
    w = World(None)
    try:
        for engine, old in OLDER.items():
            w.init("upgrade", f"{engine}@{old}")
            before = w.answer(engine)
            claim(old in before, before)
            w.init("check", ok=None)
            claim(w.status()[engine] == {"present": True, "version": before}, w.status())
            start = time.monotonic()
            good: set[str] = {before}
            with Witness(w, good, engine) as witness:
                w.init("upgrade", engine)
                took = time.monotonic() - start
                after = w.answer(engine)
                w.init("rollback", engine)
            claim(re.search(r"\d+\.\d+\.\d+", after) and after != before, f"{engine}: {before} -> {after}")
            bad = [answer for answer in witness.bad if answer != after]
            claim(not bad, f"{engine}: {len(bad)} of {witness.calls} calls failed: {bad[:3]}")
            claim(w.answer(engine) == before, w.answer(engine))
            outcome(f"real {engine}: {before} to {after} ({took:.0f} s) and back",
                    f"{witness.calls} of {witness.calls} calls answered", "as asked")
        w.init("check")
        claim(all(w.status()[e]["present"] for e in OLDER), w.status())
        claim(not w.leftovers(), w.leftovers())
    finally:
        w.close()


def real_ensure_from_nothing(_: Registry) -> None:
    """ensure with the real registry into an empty prefix: three run, iflow is unavailable, exit code 0"""
    w = World(None)
    try:
        start = time.monotonic()
        done = w.init("ensure")
        claim("iflow: unavailable" in done.stderr, done.stderr)
        present = {name for name, entry in w.status().items() if entry["present"]}
        claim(present == {"codex", "gemini", "opencode"}, w.status())
        outcome(f"real ensure of all four into an empty prefix ({time.monotonic() - start:.0f} s)",
                "iflow: unavailable", "codex, gemini and opencode run")
    finally:
        w.close()


def real_codex_killed(_: Registry) -> None:
    """kill -9 of init and npm at 6 moments of a real codex upgrade: the old one answers, ensure tidies up"""
    w = World(None)
    try:
        w.init("upgrade", "codex@0.164.0")
        start = time.monotonic()
        w.init("upgrade", "codex")
        span = time.monotonic() - start
        w.init("rollback", "codex")
        old = w.answer()
        calls = 0
        for n in range(6):
            with Witness(w, {old}) as witness:
                process = w.start("upgrade", "codex")
                time.sleep(span * (n + 0.5) / 7)
                kill(w, process, "both")
                process.communicate(timeout=PATIENCE)
            claim(not witness.bad, f"at {span * (n + 0.5) / 7:.1f} s: {witness.bad[:3]}")
            calls += witness.calls
            w.init("ensure", "codex")
            claim("codex-cli" in w.answer(), w.answer())
            claim(not w.leftovers(), w.leftovers())
        outcome(f"real codex, kill -9 of init and npm at 6 moments of an upgrade of {span:.0f} s",
                f"{calls} of {calls} calls answered", "tidied up by the next ensure, 6 of 6")
    finally:
        w.close()


ALL = [real_ensure_from_nothing, real_clis_end_to_end, real_codex_killed]
