"""What goes wrong in a container's life: OOM kills, fork bombs, dying workers, orphans."""

import json
import subprocess

from suite.cases import case, check, same
from suite.engine import CLIENT
from suite.shell import wait_for

from cases.boot import zombies

QUIET = ("-e", "SKILL_INIT_ENSURE=off")


@case("fault: a run that is OOM-killed is named as such, and the container stays up")
def oom(world):
    """The worker's child goes over the container's memory limit."""
    with world.worker("runs.py", *QUIET, "--memory", "200m", "--memory-swap", "200m") as box:
        box.ready()
        status, body = box.http("/eat")
        same("GET /eat", status, 200)
        same("how the run ended", body.strip(), "-9")
        count = wait_for("the OOM kill is counted", lambda: box.status()["oom_kills"])
        wait_for("the log names it", lambda: "oom" in box.logs().lower())
        check(box.running(), "the container ended")
        box.ready()
        line = next(x for x in box.logs().splitlines() if "oom" in x.lower())
        return f"oom_kills {count}; log: {line[:200]}"


@case("fault: a fork bomb under --pids-limit: init answers, says so, recovers")
def bomb(world):
    """The pid table is full; health needs no fork."""
    with world.start(*QUIET, "--pids-limit", "150", "-e", "SKILL_INIT_TICK=1s", workers=True) as box:
        box.ready()
        pids = {s["name"]: s["pid"] for s in box.status()["services"]}
        bomber = subprocess.Popen([CLIENT, "exec", "-i", box.name, "python3", "/workers/bomb.py"],
                                  env={**world.engine.env, "PATH": "/usr/bin:/bin"}, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        try:
            said = bomber.stdout.readline().strip()
            check(said.startswith("refused after"), said)
            body = wait_for("readiness is false", lambda: _unready(box))
            same("liveness", box.http("/livez", 8079)[0], 200)
            check("pid" in body.lower(), f"the reason names pids: {body}")
        finally:
            bomber.stdin.close()
            bomber.wait()
        box.ready()
        same("services", {s["name"]: s["pid"] for s in box.status()["services"]}, pids)
        wait_for("no zombie", lambda: zombies(box) == 0)
        return f"{said}; not ready: {' '.join(body.split())[:160]}; ready again, same pids"


def _unready(box):
    status, body = box.http("/readyz", 8079)
    return body if status == 503 else None


@case("fault: a worker that dies 100 times spends its budget; the container ends with its code")
def budget(world):
    """Back-off between the restarts, then 137."""
    with world.start(*QUIET, "-e", "SKILL_INIT_RESTART_BUDGET=100", "-e", "SKILL_INIT_BACKOFF=1ms",
                     "-e", "SKILL_INIT_BACKOFF_MAX=5ms", "-e", "SKILL_INIT_RESTART_WINDOW=10m",
                     "-e", "SKILL_INIT_API_COMMAND=sh -c 'echo born; kill -9 $$'") as box:
        same("exit", box.wait(120), 137)
        log = box.logs()
        born = sum(1 for line in log.splitlines() if line.strip() == "born")
        same("starts", born, 101)
        check("budget" in log, f"the log names the budget: {log[-500:]}")
        return "101 starts, exit 137"


@case("fault: a killed worker is back and ready, with the reason")
def killed(world):
    """SIGKILL from outside."""
    with world.start(*QUIET, "-e", "SKILL_INIT_BACKOFF=10ms") as box:
        box.ready()
        old = box.service("api")["pid"]
        box.exec("kill", "-9", str(old))
        new = wait_for("a new worker", lambda: _other(box, old))
        box.ready()
        reason = box.service("api")["last_reason"]
        same("restarts", box.service("api")["restarts"], 1)
        check(str(old) in box.logs() or "signal 9" in box.logs() or "SIGKILL" in box.logs(), "the log tells why")
        return f"pid {old} -> {new}, {reason}"


def _other(box, old):
    pid = box.service("api")["pid"]
    return pid if pid and pid != old else None


@case("fault: 1,000 orphans leave no zombie")
def orphans(world):
    """Double-forked through docker exec."""
    with world.start(*QUIET, workers=True) as box:
        box.ready()
        before = box.status()["orphans"]["reaped_total"]
        same("made", box.exec("python3", "/workers/orphans.py", "1000").text, "1000")
        seen = wait_for("they are reaped", lambda: _at_least(box, before + 1000))
        wait_for("no zombie", lambda: zombies(box) == 0)
        return f"{seen - before} reaped, 0 zombies"


def _at_least(box, wanted):
    seen = box.status()["orphans"]["reaped_total"]
    return seen if seen >= wanted else None


@case("health: HEALTHCHECK turns healthy, unhealthy, healthy")
def verdicts(world):
    """By stopping and starting the worker."""
    with world.start(*QUIET, "--health-interval", "500ms", "--health-retries", "1", "--health-start-period", "1s") as box:
        wait_for("healthy", lambda: box.health() == "healthy")
        box.exec("skill-init", "stop", "api")
        wait_for("unhealthy", lambda: box.health() == "unhealthy")
        said = json.loads(world.engine.docker("inspect", "-f", "{{json .State.Health.Log}}", box.name).out)[-1]
        check(said["ExitCode"] == 1, f"exit {said['ExitCode']}")
        box.exec("skill-init", "start", "api")
        wait_for("healthy again", lambda: box.health() == "healthy")
        return f"unhealthy said: {said['Output'].strip()[:160]}"
