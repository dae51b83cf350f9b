"""A prefix, the init that works on it, and a witness that calls the CLI all the time."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


# How long a command may take before the suite gives it up, in seconds. Nothing is claimed of a time: a slow machine
# gives the same answers later.
PATIENCE = float(os.environ.get("AGENTS_PATIENCE", "3600"))
# What init waits for one --version here; the default is meant for a machine that does not run this suite.
CHECK_TIMEOUT = os.environ.get("SKILL_INIT_CHECK_TIMEOUT", "180s")


def binary() -> str:
    found = [os.environ.get("SKILL_INIT_BIN"), ROOT / "target/quick/skill-init", ROOT / "target/debug/skill-init"]
    for path in found:
        if path and pathlib.Path(path).exists():
            return str(path)
    raise SystemExit("no binary: cargo build, or set SKILL_INIT_BIN")


class Failed(Exception):
    """A case's claim does not hold."""


class Skipped(Exception):
    """A case cannot run here."""


def claim(truth: object, words: str) -> None:
    if not truth:
        raise Failed(words)


class World:
    def __init__(self, registry: str | None, where: str | None = None) -> None:
        # Not below /tmp: codex warns about a home there.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="skill-init-agents-", dir=where or "/var/tmp"))
        self.prefix = self.dir / "cache/npm"
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(self.dir / "home"),
            "SKILL_RUNNER_RUNTIME_MODE": "container",
            "SKILL_RUNNER_DATA_DIR": str(self.dir / "data"),
            "SKILL_RUNNER_AGENT_CACHE_DIR": str(self.dir / "cache"),
            "SKILL_INIT_CHECK_TIMEOUT": CHECK_TIMEOUT,
        }
        if registry:
            table = self.dir / "table.toml"
            table.write_text("[engine.codex]\ndisk_mib = 1\n")
            self.env |= {"npm_config_registry": registry, "SKILL_INIT_CATALOGUE": str(table)}
        else:
            # A real registry: what this machine needs to reach it.
            keep = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
            self.env |= {k: v for k, v in os.environ.items() if k in keep or k.lower().startswith("npm_config_")}

    def close(self) -> None:
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, *args: str, wrap: tuple[str, ...] = ()) -> subprocess.Popen:
        return subprocess.Popen(
            [*wrap, binary(), "agents", *args], env=self.env, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def init(self, *args: str, ok: bool | None = True) -> subprocess.CompletedProcess:
        process = self.start(*args)
        out, err = process.communicate(timeout=PATIENCE)
        if ok is not None:
            claim((process.returncode == 0) == ok, f"agents {' '.join(args)}: exit {process.returncode}\n{out}{err}")
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def npm(self, *args: str) -> list[str]:
        return ["npm", *args, "-g", "--prefix", str(self.prefix), "--no-audit", "--no-fund",
                "--cache", str(self.dir / "cache/npm-cache")]

    def ask(self, name: str = "codex") -> subprocess.CompletedProcess:
        home = self.dir / "home"
        home.mkdir(exist_ok=True)
        return subprocess.run([self.prefix / "bin" / name, "--version"], text=True, capture_output=True,
                              env=self.env, timeout=PATIENCE, check=False)

    def answer(self, name: str = "codex") -> str:
        try:
            asked = self.ask(name)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"no answer: {error}"
        return asked.stdout.strip() if asked.returncode == 0 else f"exit {asked.returncode}: {asked.stderr.strip()[-200:]}"

    def leftovers(self) -> list[str]:
        store = self.prefix / ".skill-init"
        found = [str(p) for d in ("staging", "trash") for p in (store / d).glob("*")]
        found += [str(p) for p in (self.prefix / "lib/node_modules").glob("**/.codex-*") if p.parent.name == "@openai"]
        found += [str(p) for p in (self.prefix / "bin").glob(".*")]
        return found

    def status(self) -> dict:
        return json.loads((self.dir / "data/agent_status.json").read_text())


class Witness:
    """Calls the CLI without a pause, from another thread, and keeps every answer that was not one."""

    def __init__(self, world: World, good: set[str], name: str = "codex") -> None:
        self.world, self.good, self.name = world, good, name
        self.calls, self.bad, self.seen = 0, [], set()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self) -> None:
        while not self.stop.is_set():
            answer = self.world.answer(self.name)
            self.calls += 1
            self.seen.add(answer)
            if answer not in self.good:
                self.bad.append(answer)
            # Room for the upgrade itself on a small machine.
            self.stop.wait(0.02)

    def __enter__(self) -> "Witness":
        self.thread.start()
        while self.calls == 0 and self.thread.is_alive():
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


def npm_groups(world: World) -> list[int]:
    """Process groups of every npm that works below this world's folder."""
    groups = set()
    for proc in pathlib.Path("/proc").iterdir():
        if proc.name.isdigit():
            try:
                cwd = os.readlink(proc / "cwd")
                line = (proc / "cmdline").read_bytes()
                if cwd.startswith(str(world.dir)) and b"npm" in line:
                    groups.add(os.getpgid(int(proc.name)))
            except OSError:
                pass
    return sorted(groups)


def kill(world: World, process: subprocess.Popen, what: str) -> str | None:
    """SIGKILL to init, to its npm, or to both at once (a container that is killed); what it hit.

    Where no npm is at work just then, init is killed instead; None: init had ended already."""
    if process.poll() is not None:
        return None
    groups = npm_groups(world) if what in ("npm", "both") else []
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass
    if what == "npm" and groups:
        return "npm"
    process.kill()
    return "init and npm" if groups else "init"
