"""The same with the real packages from npm."""

import json
import pathlib
import re
import subprocess
import threading
import time

from cases import outcome
from registry import Registry
from world import PATIENCE, Skipped, Witness, World, binary, claim, kill

# An older release of each; the newest comes by upgrade.
OLDER = {"codex": "0.164.0", "gemini": "0.60.0", "opencode": "1.18.30"}
# Of the optional ones, a release whose parts a registry has that serves those of the newest only in part.
WHOLE = {"kilo": "7.0.33"}


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
        new = w.answer()
        w.init("rollback", "codex")
        old = w.answer()
        calls = 0
        hits: dict[str, int] = {}
        for n in range(6):
            # A kill that comes too late, behind the switch, is one more chance for the new version to answer: both are right.
            with Witness(w, {old, new}) as witness:
                process = w.start("upgrade", "codex")
                time.sleep(span * (n + 0.5) / 7)
                hit = kill(w, process, "both") or "nobody any more"
                process.communicate(timeout=PATIENCE)
            claim(not witness.bad, f"at {span * (n + 0.5) / 7:.1f} s: {witness.bad[:3]}")
            hits[hit] = hits.get(hit, 0) + 1
            calls += witness.calls
            w.init("ensure", "codex")
            claim(w.answer() in (old, new), w.answer())
            claim(not w.leftovers(), w.leftovers())
            if w.answer() == new:
                w.init("rollback", "codex")
        words = ", ".join(f"{name} {count}" for name, count in sorted(hits.items()))
        outcome(f"real codex, kill -9 of init and npm at 6 moments of an upgrade of {span:.0f} s ({words})",
                f"{calls} of {calls} calls answered", "tidied up by the next ensure, 6 of 6")
    finally:
        w.close()


def real_optional_engines(_: Registry) -> None:
    """the table's optional engines: installed where they are named, their version in the form that the table says"""
    w = World(None)
    try:
        unserved = []
        for engine in ("claude", "qwen", "kilo", "codebuddy"):
            w.env["SKILL_INIT_ENGINES"] = engine
            start = time.monotonic()
            done, verb = w.init("ensure", engine, ok=None), "ensure"
            if done.returncode and "ETARGET" in done.stderr and engine in WHOLE:
                # The package is there, a part of its newest release is not.
                done = w.init("upgrade", f"{engine}@{WHOLE[engine]}", ok=None)
                verb = f"upgrade to {WHOLE[engine]}, as a part of the newest release is not served"
            if done.returncode and re.search("E404|ETARGET", done.stderr):
                unserved.append(engine)
                continue
            entry = w.status()[engine]
            claim(done.returncode == 0 and entry["present"], done.stderr)
            outcome(f"real {engine}, optional: {verb} ({time.monotonic() - start:.0f} s)", "nothing to answer yet",
                    f"`{entry['version']}`")
        if unserved:
            raise Skipped(f"this registry does not serve {' and '.join(unserved)}; the others run")
    finally:
        w.close()


def trust_meanwhile(w: World, engine: str, writes: list[list[str | pathlib.Path]], env: dict[str, str]) -> int:
    """Runs the CLI's own writes one after the other while our trust entries come and go; how often they did."""
    folders = [w.dir / f"data/runs/r{n}" for n in range(12)]
    failed: list[str] = []

    def theirs() -> None:
        for arguments in writes:
            # gemini asks; codex does not listen.
            done = subprocess.run([w.prefix / "bin" / engine, *arguments], env=env, input="y\n", capture_output=True,
                                  text=True, check=False, cwd=w.dir / "work")
            if done.returncode:
                failed.append(done.stdout + done.stderr)

    def trust(action: str, folder: pathlib.Path) -> None:
        done = subprocess.run([binary(), "trust", action, engine, folder], env=w.env, capture_output=True, text=True,
                              check=False)
        if done.returncode:
            failed.append(done.stderr)

    (w.dir / "work").mkdir(exist_ok=True)
    thread = threading.Thread(target=theirs)
    thread.start()
    rounds = 0
    while thread.is_alive():
        folder = folders[rounds % len(folders)]
        folder.mkdir(parents=True, exist_ok=True)
        trust("add", folder)
        trust("remove", folder)
        rounds += 1
    thread.join()
    trust("add", folders[0])
    listed = subprocess.run([binary(), "trust", "list", engine, "--json"], env=w.env, capture_output=True, text=True,
                            check=True).stdout
    claim(str(folders[0].resolve()) in listed, listed)
    claim(not failed, failed[:3])
    return rounds


def real_codex_and_trust(_: Registry) -> None:
    """the real codex rewrites its config.toml while trust entries come and go: nothing of codex's is lost, both files load"""
    w = World(None)
    try:
        w.init("ensure", "codex")
        home = w.dir / "cache/agent-home"
        env = w.env | {"HOME": str(home), "CODEX_HOME": str(home / ".codex")}
        (home / ".codex").mkdir(parents=True, exist_ok=True)
        servers = [f"s{n}" for n in range(12)]
        rounds = trust_meanwhile(w, "codex", [["mcp", "add", name, "--", "/bin/true"] for name in servers], env)
        text = (home / ".codex/config.toml").read_text()
        lost = [name for name in servers if f"[mcp_servers.{name}]" not in text]
        claim(not lost, f"lost of codex's: {lost}\n{text}")
        loads = subprocess.run([w.prefix / "bin/codex", "features", "list"], env=env, capture_output=True, text=True,
                               check=False)
        claim(loads.returncode == 0, loads.stderr)
        outcome(f"real codex writes its config.toml {len(servers)} times during {rounds} trust add and remove",
                f"{len(servers)} of {len(servers)} writes of codex are there", "codex loads it; no call failed")
    finally:
        w.close()


def real_gemini_and_trust(_: Registry) -> None:
    """the real gemini trusts folders by itself while our entries come and go: none of gemini's is lost, the file loads"""
    w = World(None)
    try:
        w.init("ensure", "gemini")
        home = w.dir / "cache/agent-home"
        env = w.env | {"HOME": str(home)}
        # Installing an extension from an untrusted folder makes gemini ask, and with the answer trust that folder.
        sources = [w.dir / f"extensions/e{n}" for n in range(6)]
        for source in sources:
            source.mkdir(parents=True)
            manifest = {"name": f"demo-{source.name}", "version": "1.0.0"}
            (source / "gemini-extension.json").write_text(json.dumps(manifest))
        rounds = trust_meanwhile(w, "gemini", [["extensions", "install", s, "--consent"] for s in sources], env)
        trusted = json.loads((home / ".gemini/trustedFolders.json").read_text())
        lost = [str(source) for source in sources if trusted.get(str(source.resolve())) != "TRUST_FOLDER"]
        claim(not lost, f"lost of gemini's: {lost}\n{trusted}")
        # Every command of gemini's ends with 52 over a trust file that it cannot load, this one too.
        loads = subprocess.run([w.prefix / "bin/gemini", "--version"], env=env, capture_output=True, text=True,
                               check=False, cwd=w.dir / "work")
        claim(loads.returncode == 0, loads.stderr)
        outcome(f"real gemini writes its trustedFolders.json {len(sources)} times during {rounds} trust add and remove",
                f"{len(sources)} of {len(sources)} entries of gemini are there", "gemini loads it; no call failed")
    finally:
        w.close()


ALL = [real_ensure_from_nothing, real_clis_end_to_end, real_codex_killed, real_codex_and_trust,
       real_gemini_and_trust, real_optional_engines]
