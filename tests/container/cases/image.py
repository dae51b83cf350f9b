"""The image itself: what is in it, what is not, who it runs as."""

import functools
import hashlib
import http.server
import json
import pathlib
import threading

from suite import host
from suite.cases import case, check, same

ENGINES = ("codex", "gemini", "iflow", "opencode")


def config(world):
    """The image's configuration."""
    return json.loads(world.engine.docker("image", "inspect", "-f", "{{json .Config}}", world.image).out)


@case("image: entry point, user, ports, stop signal, health check, labels as documented")
def facts(world):
    """The contract's fields."""
    shown = config(world)
    same("entry point", shown["Entrypoint"], ["/sbin/skill-init", "entrypoint"])
    same("user", shown["User"], "10001:10001")
    same("working directory", shown["WorkingDir"], "/app")
    same("ports", sorted(shown["ExposedPorts"]), ["7681/tcp", "8000/tcp", "8079/tcp"])
    same("stop signal", shown["StopSignal"], "SIGTERM")
    same("health check", shown["Healthcheck"]["Test"], ["CMD", "/sbin/skill-init", "health", "--hold", "10s"])
    same("licence label", shown["Labels"]["org.opencontainers.image.licenses"], "MIT OR Apache-2.0")
    return "entrypoint /sbin/skill-init entrypoint, 10001:10001, 8000 7681 8079, SIGTERM"


@case("image: the environment of the contract")
def environment(world):
    """Names and values that existing images have."""
    env = dict(pair.split("=", 1) for pair in config(world)["Env"])
    cache = "/opt/cache/skill-runner"
    wanted = {
        "PYTHONUNBUFFERED": "1", "SKILL_RUNNER_RUNTIME_MODE": "container", "SKILL_RUNNER_DATA_DIR": "/data",
        "SKILL_RUNNER_AGENT_CACHE_DIR": cache, "SKILL_RUNNER_AGENT_HOME": f"{cache}/agent-home",
        "SKILL_RUNNER_NPM_PREFIX": f"{cache}/npm", "NPM_CONFIG_PREFIX": f"{cache}/npm",
        "UV_CACHE_DIR": f"{cache}/uv_cache", "UV_PROJECT_ENVIRONMENT": f"{cache}/uv_venv",
        "PATH": f"/opt/venv/bin:{cache}/npm/bin:/usr/local/bin:/usr/bin:/bin",
    }
    for name, value in wanted.items():
        same(name, env.get(name), value)
    check("UI_BASIC_AUTH_PASSWORD" not in env, "a credential is baked into the image")
    return f"{len(wanted)} variables"


@case("image: the old manager's call answers")
def old_manager(world):
    """`python3 /app/scripts/agent_manager.py` with the old arguments, for cron jobs and documents."""
    shown = world.run("--entrypoint", "python3", world.image, "/app/scripts/agent_manager.py", "--check").out
    for engine in ENGINES:
        check(engine in shown, f"{engine} is in the check: {shown}")
    return "agent_manager.py --check lists the four engines"


@case("image: runtime tools are there, agent CLIs are not")
def tools(world):
    """Each tool runs; no engine's command is on PATH."""
    script = ("set -e; python3 --version; node --version; npm --version; git --version; rg --version | head -1; "
              "fd --version; fzf --version; sqlite3 --version | cut -c1-6; ps --version; curl --version | head -1; "
              "uv --version; bwrap --version; ttyd --version; skill-init --version; "
              f"for e in {' '.join(ENGINES)} claude; do ! command -v $e || exit 9; done; id -u")
    shown = world.run("--entrypoint", "sh", world.image, "-c", script).out.splitlines()
    check(shown[0].startswith("Python 3.11."), f"Python 3.11: {shown[0]}")
    check(shown[1].startswith("v24."), f"Node 24: {shown[1]}")
    check(any(line.startswith("ttyd version 1.7.7") for line in shown), f"ttyd 1.7.7: {shown}")
    same("uid", shown[-1], "10001")
    return f"{shown[0]}, node {shown[1]}, ttyd 1.7.7, no agent CLI"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_):
        """Nothing."""


@case("image: ttyd is downloaded for amd64 and for arm64, and only what has the checksum gets in")
def ttyd_by_checksum(world):
    """From a mirror (TTYD_URL) that serves other bytes: refused; with their checksum: taken. No third architecture."""
    mirror = pathlib.Path(world.folder("mirror"))
    (mirror / "1.7.7").mkdir()
    sums = {}
    for arch, asset in (("amd64", "ttyd.x86_64"), ("arm64", "ttyd.aarch64")):
        content = f"stands in for {asset}\n".encode()
        (mirror / "1.7.7" / asset).write_bytes(content)
        sums[arch] = hashlib.sha256(content).hexdigest()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(mirror)))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def build(arch, *arguments):
        words = [word for argument in (f"TARGETARCH={arch}", f"TTYD_URL=http://127.0.0.1:{server.server_port}", *arguments)
                 for word in ("--build-arg", argument)]
        context = host.CACHE / "context"
        return world.engine.docker("build", "--network", "host", "-f", context / "image/Dockerfile", "--target", "ttyd-download",
                                   "-t", "ttyd-of-the-suite", *words, context, check=False, timeout=600)

    try:
        for arch, digest in sums.items():
            refused = build(arch)
            check(refused.code != 0 and "did NOT match" in refused.err, f"{arch}: other bytes got in: {refused.err[-500:]}")
            taken = build(arch, f"TTYD_SHA256_{arch.upper()}={digest}")
            same(f"{arch}: exit with the right checksum ({taken.err[-300:]})", taken.code, 0)
        other = build("riscv64")
        check(other.code != 0 and "no ttyd for 'riscv64'" in other.err, f"riscv64: {other.err[-500:]}")
    finally:
        server.shutdown()
        server.server_close()
        world.engine.docker("rmi", "ttyd-of-the-suite", check=False)
    return "amd64 and arm64: wrong bytes refused, right ones taken; riscv64 refused with the reason"


@case("image: the pre-made folders belong to 10001, and group 0 has the same rights")
def folders(world):
    """For the default user and for an arbitrary uid in group 0."""
    paths = ["/app", "/app/skills", "/data", "/opt/config", "/opt/cache", "/opt/cache/skill-runner"]
    shown = world.run("--entrypoint", "stat", world.image, "-c", "%u:%g %a", *paths).out.split("\n")[:-1]
    same("owner and mode", set(shown), {"10001:0 2775"})
    return "10001:0 2775: " + " ".join(paths)
