"""What must hold. A case is a function; its first line of documentation is its sentence."""

import os
import pathlib
import re
import shutil
import subprocess
import time

from registry import Registry
from world import PATIENCE, Skipped, Witness, World, binary, claim, npm_groups

OLD, NEW = "codex-cli 1.0.0", "codex-cli 2.0.0"
OUTCOMES: list[tuple[str, str, str]] = []


def outcome(what: str, meanwhile: str, after: str) -> None:
    OUTCOMES.append((what, meanwhile, after))


# A world with the old version in it, by registry: made once, copied ever after.
TEMPLATES: dict[str, World] = {}


def world(registry: Registry, old: bool = False, where: str | None = None) -> World:
    made = World(registry.url, where)
    if old:
        if registry.url not in TEMPLATES:
            template = TEMPLATES[registry.url] = World(registry.url)
            template.init("upgrade", "codex@1.0.0")
        for folder in ("cache", "data"):
            shutil.copytree(TEMPLATES[registry.url].dir / folder, made.dir / folder, symlinks=True)
        claim(made.answer() == OLD, f"the old version is not there: {made.answer()}")
    return made


def close() -> None:
    while TEMPLATES:
        TEMPLATES.popitem()[1].close()


def ensure_makes_an_empty_prefix_work(registry: Registry) -> None:
    """ensure fills an empty prefix, says so in the status file, and does nothing the second time"""
    w = world(registry)
    try:
        claim(w.init("check", ok=None).returncode == 1, "check does not say that codex is missing")
        w.init("ensure", "codex")
        claim(w.answer() == NEW, w.answer())
        claim(w.status()["codex"] == {"present": True, "version": NEW}, w.status())
        before = sorted(str(p) for p in w.prefix.rglob("*"))
        again = w.init("ensure", "codex")
        claim("already there" in again.stderr, again.stderr)
        claim(before == sorted(str(p) for p in w.prefix.rglob("*")), "the second ensure changed the prefix")
        claim(not w.leftovers(), w.leftovers())
    finally:
        w.close()


def the_old_cli_answers_throughout(registry: Registry) -> None:
    """upgrade, roll back, upgrade again: a loop that calls the CLI gets an answer every time"""
    w = world(registry, old=True)
    try:
        with Witness(w, {OLD, NEW}) as witness:
            for _ in range(3):
                w.init("upgrade", "codex")
                claim(w.answer() == NEW, w.answer())
                w.init("rollback", "codex")
                claim(w.answer() == OLD, w.answer())
        claim(not witness.bad, f"{len(witness.bad)} of {witness.calls} calls failed: {witness.bad[:3]}")
        claim(witness.seen == {OLD, NEW}, f"only {witness.seen} was seen")
        outcome("3 upgrades and 3 rollbacks", f"{witness.calls} of {witness.calls} calls answered", "as asked")
    finally:
        w.close()


def npm_install_stays_good(registry: Registry) -> None:
    """npm install -g into the managed prefix works, is picked up, is adopted by upgrade and can be gone back to"""
    w = world(registry)
    try:
        subprocess.run([*w.npm("install"), "@openai/codex@1.0.0"], env=w.env, check=True, capture_output=True)
        w.init("check", ok=None)
        claim(w.status()["codex"] == {"present": True, "version": OLD}, w.status())
        with Witness(w, {OLD, NEW}) as witness:
            w.init("upgrade", "codex")
        claim(not witness.bad, f"{witness.bad[:3]}")
        claim(w.answer() == NEW, w.answer())
        w.init("rollback", "codex")
        claim(w.answer() == OLD, w.answer())
        subprocess.run([*w.npm("install"), "@openai/codex"], env=w.env, check=True, capture_output=True)
        claim(w.answer() == NEW, w.answer())
        w.init("rollback", "codex")
        claim(w.answer() == OLD, w.answer())
        listed = subprocess.run(w.npm("ls"), env=w.env, check=True, capture_output=True, text=True).stdout
        claim("@openai/codex@1.0.0" in listed, listed)
        subprocess.run([*w.npm("uninstall"), "@openai/codex"], env=w.env, check=True, capture_output=True)
        claim(not (w.prefix / "bin/codex").exists(), "npm uninstall left the command")
        w.init("ensure", "codex")
        claim(w.answer() in (OLD, NEW), w.answer())
        outcome("npm install -g, ls, uninstall by hand", "as ever", "picked up, adopted, can be rolled back")
    finally:
        w.close()


def two_at_once_wait_for_each_other(registry: Registry) -> None:
    """two ensures at once: one installs, the other waits and finds it done"""
    w = world(registry)
    try:
        both = [w.start("ensure", "codex") for _ in range(2)]
        words = [p.communicate(timeout=PATIENCE)[1] for p in both]
        claim([p.returncode for p in both] == [0, 0], words)
        claim(sum("installed in" in word for word in words) == 1, words)
        claim(w.answer() == NEW, w.answer())
    finally:
        w.close()


def told(stderr: str, w: World) -> str:
    """What init said of the failure: its sentence and npm's first words."""
    lines = [re.sub(r"^skill-init: codex:\s+", "", line) for line in stderr.splitlines()]
    at = next((n for n, line in enumerate(lines) if line.startswith("failed")), 0)
    sentence = re.sub(r"^(failed, and not installed|failed, .* stays): ", "", lines[at])
    words = "; ".join([sentence, *lines[at + 1:at + 3]]).replace(str(w.dir), "")
    return re.sub(r"127\.0\.0\.1:\d+", "REGISTRY", words)[:230]


def broken_registry(registry: Registry, name: str, trouble: dict, env: dict, install_fails: bool = True) -> None:
    for old in (False, True):
        w = world(registry, old)
        try:
            w.env |= env
            shutil.rmtree(w.dir / "cache/npm-cache", ignore_errors=True)
            registry.trouble = dict(trouble)
            start = time.monotonic()
            with Witness(w, {OLD} if old else set()) as witness:
                tried = w.init("upgrade" if old else "ensure", "codex", ok=False)
            took = time.monotonic() - start
            registry.trouble = {}
            if old:
                claim(not witness.bad, f"the old CLI failed {len(witness.bad)} times: {witness.bad[:3]}")
                claim(w.answer() == OLD, w.answer())
            else:
                claim(w.status()["codex"] == {"present": False, "version": ""}, w.status())
            claim(not w.leftovers(), w.leftovers())
            w.init("upgrade", "codex")
            claim(w.answer() == NEW, w.answer())
            reason = told(tried.stderr, w)
            outcome(f"{name}, {'upgrade' if old else 'install'} ({took:.0f} s)",
                    "the old CLI answers" if old else f"absent: {reason}", "the next command installs it")
        finally:
            registry.trouble = {}
            w.close()


def platform_package_404(registry: Registry) -> None:
    """404 for the optional platform package: npm ends with 0, the stub is not let in"""
    broken_registry(registry, "404 for the platform package", {"codex-linux-x64/-/": 404}, {})


def platform_package_500(registry: Registry) -> None:
    """500 for the optional platform package: npm ends with 0, the stub is not let in"""
    broken_registry(registry, "500 for the platform package", {"codex-linux-x64/-/": 500}, {})


def wrong_hash(registry: Registry) -> None:
    """a platform package whose bytes do not have the published hash: the stub is not let in"""
    broken_registry(registry, "wrong hash", {"hash": "codex-linux-x64"}, {})


def package_404(registry: Registry) -> None:
    """404 for the package itself: told at once, with npm's own words"""
    broken_registry(registry, "404 for the package", {"codex": 404}, {})


def black_hole(registry: Registry) -> None:
    """a registry that accepts and never answers: given up at the deadline"""
    broken_registry(registry, "black hole, SKILL_INIT_NPM_TIMEOUT=15s", {"codex": "black-hole"},
                    {"SKILL_INIT_NPM_TIMEOUT": "15s"})


def no_network(_: Registry) -> None:
    """no network at all: told within seconds, the status says what is missing, exit code 1"""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Skipped("needs root and unshare(1)")
    w = World("https://registry.invalid/")
    try:
        start = time.monotonic()
        process = w.start("ensure", wrap=("unshare", "-n"))
        _, err = process.communicate(timeout=PATIENCE)
        took = time.monotonic() - start
        claim(process.returncode == 1, err)
        claim(all(not entry["present"] for entry in w.status().values()), w.status())
        claim("iflow: unavailable" in err and re.search(r"EAI_AGAIN|ENOTFOUND|ECONNREFUSED", err), err)
        outcome(f"no network, all four engines ({took:.0f} s)", "absent: npm's own words", "the next command installs it")
    finally:
        w.close()


def full_disk(registry: Registry) -> None:
    """the volume fills up in the middle of an install: the old CLI answers, and room brings the new one"""
    if os.geteuid() != 0:
        raise Skipped("needs root to mount a small volume")
    for old in (False, True):
        mount = pathlib.Path(World(registry.url).dir) / "small"
        mount.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m", "none", mount],
                              capture_output=True, check=False)
        if done.returncode:
            raise Skipped("cannot mount a tmpfs here")
        try:
            w = world(registry, old, where=str(mount))
            shutil.rmtree(w.dir / "cache/npm-cache", ignore_errors=True)
            (w.dir / "table.toml").write_text("[engine.codex]\ndisk_mib = 0\n")
            filler = w.dir / "filler"
            # Past the check of the free space, somebody else takes the space while npm waits for the package.
            registry.asked.clear()
            registry.trouble = {"codex-linux-x64/-/": "hold"}
            process = w.start("upgrade" if old else "ensure", "codex")
            while not registry.asked.wait(0.1):
                claim(process.poll() is None, "it ended before it asked for the package")
            with filler.open("wb") as file:
                try:
                    stat = os.statvfs(mount)
                    file.write(b"x" * max(0, stat.f_bavail * stat.f_frsize - 3 * 1024 * 1024))
                except OSError:
                    pass
            registry.trouble = {}
            _, err = process.communicate(timeout=PATIENCE)
            claim(process.returncode == 1, f"exit {process.returncode}: {err}")
            if old:
                claim(w.answer() == OLD, w.answer())
            filler.unlink()
            w.init("upgrade", "codex")
            claim(w.answer() == NEW, w.answer())
            claim(not w.leftovers(), w.leftovers())
            outcome(f"disk full while npm unpacks, {'upgrade' if old else 'install'}",
                    "the old CLI answers" if old else "absent, with the reason", "the next command installs it")
        finally:
            registry.trouble = {}
            subprocess.run(["umount", "-l", mount], check=False)
            shutil.rmtree(mount.parent, ignore_errors=True)


def too_little_room(registry: Registry) -> None:
    """too little room is told before npm starts, with the numbers"""
    w = world(registry, old=True)
    try:
        (w.dir / "table.toml").write_text("[engine.codex]\ndisk_mib = 900000000\n")
        tried = w.init("upgrade", "codex", ok=False)
        claim("MiB are needed" in tried.stderr, tried.stderr)
        claim(w.answer() == OLD, w.answer())
        outcome("too little room", "told before npm starts", "the old CLI answers")
    finally:
        w.close()


def interrupted_first_npm_install(registry: Registry) -> None:
    """a plain folder that npm had moved aside is brought back when npm was killed and nothing else is kept"""
    w = world(registry)
    try:
        subprocess.run([*w.npm("install"), "@openai/codex@1.0.0"], env=w.env, check=True, capture_output=True)
        package = w.prefix / "lib/node_modules/@openai/codex"
        package.rename(package.with_name(".codex-Ab3dE5gH"))
        (w.prefix / "bin/codex").unlink()
        w.env["npm_config_registry"] = "http://127.0.0.1:9/"
        w.init("ensure", "codex")
        claim(w.answer() == OLD, w.answer())
        claim(not w.leftovers(), w.leftovers())
    finally:
        w.close()


def stop_in_the_middle(registry: Registry) -> None:
    """SIGTERM in the middle of an install ends npm too and leaves with 143"""
    w = world(registry)
    try:
        registry.trouble = {"codex-linux-x64/-/": "black-hole"}
        process = w.start("ensure", "codex")
        while not list((w.prefix / ".skill-init/staging").glob("*/lib/node_modules/@openai")) and process.poll() is None:
            time.sleep(0.02)
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE)
        claim(process.returncode == 143, f"exit {process.returncode}: {err}")
        registry.trouble = {}
        claim(not npm_groups(w), "npm outlived its init")
        claim(not w.leftovers(), w.leftovers())
        w.init("ensure", "codex")
        claim(w.answer() == NEW, w.answer())
    finally:
        registry.trouble = {}
        w.close()


def progress_on_a_terminal(registry: Registry) -> None:
    """on a terminal a line counts the seconds while npm works, and is gone afterwards; elsewhere there is none"""
    w = world(registry)
    try:
        registry.trouble = {"codex": "black-hole"}
        ours, theirs = os.openpty()
        process = subprocess.Popen([binary(), "agents", "ensure", "codex"], env=w.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=theirs, start_new_session=True)
        os.close(theirs)
        seen = b""
        while b"npm has been working for 2 s" not in seen:
            seen += os.read(ours, 4096)
        process.terminate()
        while True:
            try:
                seen += os.read(ours, 4096)
            except OSError:
                break
        claim(process.wait() == 143, seen.decode())
        claim(b"\r\x1b[K" in seen.rpartition(b"working for")[2], seen.decode())
        piped = w.init("ensure", "iflow", ok=None)
        claim("working" not in piped.stderr, piped.stderr)
        os.close(ours)
    finally:
        registry.trouble = {}
        w.close()


ALL = [
    ensure_makes_an_empty_prefix_work, the_old_cli_answers_throughout, npm_install_stays_good,
    two_at_once_wait_for_each_other, stop_in_the_middle, progress_on_a_terminal,
    interrupted_first_npm_install, package_404,
    platform_package_404, platform_package_500, wrong_hash, black_hole, no_network, too_little_room, full_disk,
]
