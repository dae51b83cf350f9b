"""The start: what a person gets from `docker run` with nothing but documented options."""

import json
import re
import time

from suite import expect
from suite.cases import case, check, same
from suite.shell import wait_for

HOME = "/opt/cache/skill-runner/agent-home"


@case("boot: docker run with the documented mounts serves the API, as PID 1 and as uid 10001")
def plain(world):
    """The README's container."""
    with world.start("-v", f"{world.volume()}:/opt/cache", "-v", f"{world.volume()}:/data") as box:
        box.ready()
        same("PID 1", box.sh("cat /proc/1/comm"), "skill-init")
        same("uid", box.sh("stat -c %u /proc/1"), "10001")
        status, body = box.http("/")
        same("GET / status", status, 200)
        status, body = box.http("/v1/skills")
        check(status == 200 and "hello" in body, f"GET /v1/skills: {status} {body[:200]}")
        shown = box.status()
        states = {s["name"]: s["state"] for s in shown["services"]}
        for name in ("api", "gateway", "ttyd"):
            same(f"service {name}", states.get(name), "ready")
        report = json.loads(box.sh("cat /data/bootstrap_report.json"))
        check(report, "the bootstrap report is empty")
        made = box.sh(f"cd {HOME} && cat .codex/config.toml && ls .gemini/trustedFolders.json .iflow/settings.json")
        check("/data/runs" in made, f"trust for codex: {made}")
        words = expect.agrees(box)
        phases = {p["name"]: p["microseconds"] for p in shown["phases"]}
        return f"ready, {words}, services {states}, phases in us {phases}"


@case("boot: a second start on the same volumes changes no file of the agents' home")
def again(world):
    """Idempotent."""
    cache, data = world.volume(), world.volume()
    look = f"cd {HOME} && find . -type f -name '*.[tj]*' -printf '%p %T@ %i\\n' | sort"
    with world.start("-e", "SKILL_INIT_ENSURE=off", "-v", f"{cache}:/opt/cache", "-v", f"{data}:/data") as box:
        box.ready()
        first = box.sh(look)
        check(first, "the first start made no file")
    with world.start("-e", "SKILL_INIT_ENSURE=off", "-v", f"{cache}:/opt/cache", "-v", f"{data}:/data") as box:
        box.ready()
        same("files, times and inodes", box.sh(look), first)
    return f"{len(first.splitlines())} files untouched"


@case("boot: docker run to healthy")
def healthy(world):
    """The figure is evidence; docs/performance.md has the benchmark."""
    start = time.monotonic()
    with world.start("--health-interval", "200ms", "-e", "SKILL_INIT_ENSURE=off") as box:
        wait_for("healthy", lambda: box.health() == "healthy", 60, every=0.02)
        took = time.monotonic() - start
        same("readiness", box.http("/readyz", 8079)[0], 200)
        return f"{took:.2f} s from `docker run` (client, runtime and health interval included)"


@case("boot: --init puts Docker's init in front; skill-init is not PID 1 and works the same")
def behind_another_init(world):
    """Sub-reaper."""
    with world.start("--init", "-e", "SKILL_INIT_ENSURE=off", workers=True) as box:
        box.ready()
        check(box.sh("cat /proc/1/comm") != "skill-init", "PID 1 is skill-init")
        check(box.status()["pid"] != 1, "it says that it is PID 1")
        made = box.exec("python3", "/workers/orphans.py", "50").text
        same("orphans made", made, "50")
        wait_for("no zombie", lambda: zombies(box) == 0)
        words = expect.agrees(box)
        same("exit", box.stop(), 0)
        return f"ready behind docker-init, {words}, no zombie left, exit 0"


@case("boot: --pid=container: shares another container's process namespace")
def shared_namespace(world):
    """As with shareProcessNamespace: never kills what is not its own."""
    with world.start(image=world.image, command=("sleep", "3600")) as other:
        with world.start(f"--pid=container:{other.name}", "-e", "SKILL_INIT_ENSURE=off", "-e",
                         "SKILL_INIT_SOCKET=/tmp/second.sock") as box:
            box.ready()
            own = box.status()["pid"]
            check(own > 1, f"pid {own}")
            words = expect.agrees(box)
            same("exit", box.stop(), 0)
            check(other.running(), "the other container was ended too")
            return f"pid {own}, {words}; the other container goes on"


def zombies(box):
    """Zombies in the container's process table."""
    return len(re.findall(r"^Z", box.sh("ps -eo stat="), re.M))
