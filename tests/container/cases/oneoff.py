"""People in the container: one-off commands, exec, log-in shells, upgrades."""

import json

from suite.cases import Skip, case, check, same

QUIET = ("-e", "SKILL_INIT_ENSURE=off")
HOME = "/opt/cache/skill-runner/agent-home"
PACKAGE = "semver"  # small, without dependencies, brings a command


@case("one-off: run --rm api sh -lc \"npm install -g PACKAGE\" installs into the volume; the service finds it")
def install(world):
    """The documented way to add a CLI."""
    cache = world.volume()
    mount = ("-v", f"{cache}:/opt/cache")
    done = world.run(*QUIET, *mount, world.image, "sh", "-lc", f"npm install -g {PACKAGE}", network="host", check=False,
                     timeout=240)
    if done.code != 0 and any(word in done.err for word in ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT")):
        raise Skip(f"no npm registry from inside a container: {done.err[-200:]}")
    same(f"exit ({done.err[-400:]})", done.code, 0)
    with world.start(*QUIET, *mount) as box:
        box.ready()
        path = box.sh(f"command -v {PACKAGE}")
        same("where", path, f"/opt/cache/skill-runner/npm/bin/{PACKAGE}")
        same("in a log-in shell", box.exec("sh", "-lc", f"command -v {PACKAGE}").text, path)
        same("owner", box.sh(f"stat -L -c %u {path}"), "10001")
        return f"{path}, works: {box.sh(f'{PACKAGE} 1.2.3')}"


@case("exec: bash in the container has the agents' home, so that a CLI's login is found by the service")
def login(world):
    """`docker exec -it CONTAINER bash`, then `codex login`; here codex is a stand-in that writes its file."""
    script = "mkdir -p $HOME/.codex && echo '{\"tokens\":{}}' > $HOME/.codex/auth.json && echo $XDG_DATA_HOME"
    with world.start(*QUIET) as box:
        box.ready()
        box.sh("mkdir -p $NPM_CONFIG_PREFIX/bin && printf '#!/bin/sh\\n%s\\n' \"$1\" > $NPM_CONFIG_PREFIX/bin/codex && "
               "chmod +x $NPM_CONFIG_PREFIX/bin/codex".replace('"$1"', "'" + script.replace("'", "'\\''") + "'"))
        same("interactive bash", box.exec("bash", "-ic", "codex login").text.splitlines()[-1], f"{HOME}/.local/share")
        same("log-in sh", box.exec("sh", "-lc", "codex login").text.splitlines()[-1], f"{HOME}/.local/share")
        same("owner and place", box.sh(f"stat -c %u {HOME}/.codex/auth.json"), "10001")
        auth = json.loads(box.exec("skill-init", "agents", "auth", "--json", check=False).out or "{}")
        words = json.dumps(auth.get("codex", auth))[:160]
        return f"written to {HOME}/.codex as 10001; agents auth: {words}"


@case("exec: a one-off command has a terminal and its own exit status")
def foreground(world):
    """Prepare, then the command in the foreground."""
    done = world.run("-t", *QUIET, world.image, "sh", "-c", "tty && test -d /data/runs && id -u && exit 3", check=False)
    same("exit", done.code, 3)
    check("/dev/" in done.out and "10001" in done.out, done.out)
    return " ".join(done.out.split()[-2:]) + ", exit 3"


@case("exec: skill-init status, health, plan and config answer as any user of the container")
def questions(world):
    """As 10001, and as root."""
    with world.start(*QUIET) as box:
        box.ready()
        for user in (None, "0"):
            for words in (("status",), ("health",), ("plan", "--json"), ("config", "--json"), ("probe", "--json")):
                box.exec("skill-init", *words, user=user)
        table = box.exec("skill-init", "status").out
        check("api" in table and "gateway" in table, table)
        return " / ".join(table.splitlines()[:2])


@case("exec: the health probe's cost")
def probe_cost(world):
    """A hundred probes inside the container; the runtime's own set-up comes on top in Docker and Kubernetes."""
    script = ("import subprocess, time\nlooks = []\nfor _ in range(100):\n    t = time.monotonic()\n"
              "    subprocess.run(['/sbin/skill-init', 'health'], check=True, stdout=subprocess.DEVNULL)\n"
              "    looks.append(time.monotonic() - t)\nlooks.sort()\n"
              "print(f'median {looks[50] * 1000:.1f} ms, worst {looks[-1] * 1000:.1f} ms')")
    with world.start(*QUIET) as box:
        box.ready()
        return box.exec("python3", "-c", script).text
