"""The stop, the signals and the exit codes, as Docker sees them."""

import subprocess
import time

from suite.cases import case, check, same
from suite.shell import wait_for

QUIET = ("-e", "SKILL_INIT_ENSURE=off")


@case("stop: docker stop of an idle container")
def idle(world):
    """Exit 0, long before the grace."""
    with world.start(*QUIET) as box:
        box.ready()
        start = time.monotonic()
        same("exit", box.stop(), 0)
        return f"exit 0, {time.monotonic() - start:.2f} s with the client"


@case("stop: a worker that waits for an open connection does not outlive init's own grace")
def held(world):
    """What uvicorn does without a shutdown timeout."""
    with world.worker("hold.py", *QUIET, "-e", "SKILL_INIT_STOP_GRACE=3s") as box:
        box.ready()
        pid = box.inspect(".State.Pid")
        client = subprocess.Popen(["nsenter", "-n", "-t", str(pid), "--", "curl", "-sN", "http://127.0.0.1:8000/stream"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            wait_for("the stream is open", lambda: "stream open" in box.logs())
            code = box.stop(seconds=60)
        finally:
            client.kill()
            client.wait()
        check(code != 137, "Docker had to kill it")
        check("waiting for connections" in box.logs(), "the worker was not asked first")
        return f"exit {code}, by init's deadline, not Docker's"


@case("stop: a worker that ignores TERM, and its child in another session, are killed at the deadline")
def deaf(world):
    """Init leaves nobody and is not killed itself."""
    with world.worker("deaf.py", *QUIET, "-e", "SKILL_INIT_STOP_GRACE=2s") as box:
        box.ready()
        code = box.stop(seconds=60)
        check(code != 137, "Docker had to kill it")
        return f"exit {code}"


@case("stop: INT, QUIT and SIGRTMIN+3 stop in order too")
def others(world):
    """Whatever the platform's stop signal is."""
    for name in ("INT", "QUIT", "RTMIN+3"):
        with world.start(*QUIET) as box:
            box.ready()
            box.kill(name)
            same(f"exit after {name}", box.wait(), 0)
    return "exit 0 each"


@case("stop: a second TERM skips the waiting")
def impatient(world):
    """The first starts a grace of ten minutes; the second ends it."""
    with world.worker("deaf.py", *QUIET, "-e", "SKILL_INIT_STOP_GRACE=10m") as box:
        box.ready()
        box.kill("TERM")
        wait_for("it is stopping", lambda: box.http("/readyz", 8079)[0] != 200)
        box.kill("TERM")
        code = box.wait(120)
        return f"exit {code}"


@case("exit: the worker's code reaches docker wait")
def codes(world):
    """Restart never: the first end is the last."""
    seen = {}
    for script, want in (("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137), ("kill -11 $$", 139)):
        with world.start(*QUIET, "-e", "SKILL_INIT_RESTART=never", "-e",
                         f"SKILL_INIT_API_COMMAND=sh -c '{script}'") as box:
            seen[script] = box.wait()
            same(script, seen[script], want)
    return ", ".join(f"{k} -> {v}" for k, v in seen.items())


@case("exit: entrypoint CMD and the bare init give the command's code, 126 and 127")
def one_off_codes(world):
    """`docker run IMAGE CMD` and `docker run --entrypoint skill-init IMAGE -- CMD`."""
    wanted = ((("sh", "-c", "exit 7"), 7), (("sh", "-c", "kill -9 $$"), 137), (("no-such-command",), 127),
              (("/etc/passwd",), 126))
    for command, want in wanted:
        got = world.run(*QUIET, world.image, *command, check=False).code
        same(f"entrypoint {command}", got, want)
        got = world.run("--entrypoint", "/sbin/skill-init", world.image, "--", *command, check=False).code
        same(f"bare {command}", got, want)
    return "7, 137, 127, 126, both ways"


@case("exit: wrong configuration is told at once, exit 78, nothing touched")
def wrong(world):
    """Every mistake in one go."""
    data = world.folder("data")
    done = world.run("-v", f"{data}:/data", "-e", "UI_BASIC_AUTH_ENABLED=enabled", "-e", "PORT=eighty",
                     "-e", "SKILL_RUNNER_CPU_FACTOR=much", world.image, check=False)
    same("exit", done.code, 78)
    said = done.out + done.err
    for name in ("UI_BASIC_AUTH_ENABLED", "PORT", "SKILL_RUNNER_CPU_FACTOR"):
        check(name in said, f"{name} is not mentioned: {said[:500]}")
    done = world.run("-e", "UI_BASIC_AUTH_ENABLED=true", world.image, check=False)
    same("exit without credentials", done.code, 78)
    import os
    same("files in /data", os.listdir(data), [])
    return "three mistakes and missing credentials named, 78"


@case("signal: HUP re-reads and leaves the services alone")
def hup(world):
    """`docker kill -s HUP`."""
    with world.start(*QUIET) as box:
        box.ready()
        before = {s["name"]: s["pid"] for s in box.status()["services"]}
        box.kill("HUP")
        wait_for("the log tells of the reload", lambda: "re-read" in box.logs())
        box.ready()
        same("pids", {s["name"]: s["pid"] for s in box.status()["services"]}, before)
        return f"same pids {before}"


@case("signal: pause and unpause")
def paused(world):
    """The freezer; the clock that health counts with stands still or not, nothing is killed for it."""
    with world.start(*QUIET) as box:
        box.ready()
        before = {s["name"]: (s["pid"], s["restarts"]) for s in box.status()["services"]}
        world.engine.docker("pause", box.name)
        same("state", box.inspect(".State.Status"), "paused")
        time.sleep(12)  # longer than a probe's interval and its timeout: the freeze itself is what is tested
        world.engine.docker("unpause", box.name)
        box.ready()
        same("pids and restarts", {s["name"]: (s["pid"], s["restarts"]) for s in box.status()["services"]}, before)
        same("GET /", box.http("/")[0], 200)
        return "nothing was restarted"
