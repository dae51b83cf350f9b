"""What is done to the container: each blow is a function of the world and of a seeded generator.

A blow that promises something (a kill has its status in the log, a refused request is answered) checks it at once; what
holds only afterwards is the judge's. Blows that need what this machine does not give are left out and counted.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

from world import Broken, until, write

# Services that end only by the hand of the chaos, so that the end of one has one cause.
STEADY = ["db", "app", "worker", "notifier", "escaper", "deaf"]
# What sh and python do not survive. INT and HUP are blocked or ignored by some of them.
FATAL = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGUSR1, signal.SIGALRM, signal.SIGRTMIN + 3]

STORM = """
import os, random, sys, time
random.seed(int(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    try:
        if os.fork() == 0:
            if random.random() < 0.5:
                os.setsid()
            try:
                if os.fork() == 0:
                    time.sleep(random.random() * 2)
            except OSError:
                pass
            os._exit(random.randrange(256))
    except OSError:
        time.sleep(0.01)
"""


def ready(world, name):
    """Starts the service if an order stopped it, and waits until it is ready; its pid in there and out here."""
    world.ask({"request": "start", "service": name})

    def look():
        service = world.services().get(name, {})
        return service["pid"] if service.get("state") == "ready" and service["pid"] else None
    inner = until(lambda: f"{name} is ready: {world.services().get(name)}", look)
    return inner, world.outer(inner)


def kill(world, dice):
    """A signal ends a service: the log names it, or what was quicker (a failed probe, memory, an exit of its own, or the
    SIGIO of an earlier blow, which PID 1 passes on to the main service)."""
    name, number = dice.choice(STEADY), dice.choice(FATAL)
    inner, outer = ready(world, name)
    if outer is None:
        return
    since = len(world.read_log())
    try:
        os.kill(outer, number)
    except ProcessLookupError:
        return
    end = world.seen(
        lambda e: e.get("service") == name and e.get("from") in ("ready", "unready") and e["to"] not in ("ready", "unready"),
        f"the end of {name} (pid {inner}, signal {int(number)})", since,
    )
    told = end["reason"]
    if not re.search(rf"\bsignal {int(number)}\b", told) and not any(other in told for other in ("probe", "oom-killed", "exit ", "(SIGIO)")):
        raise Broken(f"{name} (pid {inner}) was killed by signal {int(number)}, the log says {told!r}")


def pause(world, dice):
    """A service is stopped and continued: its probes may fail, it is not lost."""
    _, outer = ready(world, dice.choice(STEADY))
    if outer is None:
        return
    try:
        os.kill(outer, signal.SIGSTOP)
        time.sleep(dice.random())
        os.kill(outer, signal.SIGCONT)
    except ProcessLookupError:
        pass  # its liveness probe was quicker


def freeze(world, dice):
    """PID 1 itself stands still (a suspended machine, the cgroup freezer), and is asked meanwhile."""
    world.signal(signal.SIGSTOP)
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(world.folder / "run/control.sock"))
            s.sendall(b'{"request":"status"}\n')
            time.sleep(dice.uniform(0.2, 3))
    finally:
        world.signal(signal.SIGCONT)
    world.status()


def hup(world, dice):
    """The configuration is read again, with or without one service; sometimes it is torn."""
    if dice.random() < 0.2:
        write(world.folder / "init.toml", "[service.torn\n")
    elif dice.random() < 0.3:
        # As many editors save: what is there in between is a configuration without services, which must not be taken.
        config = world.folder / "init.toml"
        text = config.read_text()
        with config.open("w") as file:
            world.signal(signal.SIGHUP)
            time.sleep(dice.uniform(0, 0.2))
            file.write(text)
    else:
        world.configure(extra=dice.random() < 0.5)
    for _ in range(dice.randrange(1, 4)):
        world.signal(signal.SIGHUP)


def signals(world, dice):
    """Everything else that PID 1 may be sent, often."""
    harmless = [signal.SIGCHLD, signal.SIGCONT, signal.SIGWINCH, signal.SIGPIPE, signal.SIGURG, signal.SIGIO]
    for _ in range(200):
        world.signal(dice.choice(harmless))


def orders(world, dice):
    """Start, stop and restart from beside the container, also of what does not exist."""
    for _ in range(dice.randrange(1, 6)):
        name = dice.choice([*STEADY, "setup", "flapper", "nobody"])
        verb = dice.choice(["start", "restart", "restart", "stop"])
        answer = world.ask({"request": verb, "service": name})
        if name == "nobody" and answer.get("code") != "no-such-service":
            raise Broken(f"{verb} nobody: {answer}")
    world.ask({"request": "health", "kind": dice.choice(["live", "ready", "startup"])})


def babble(world, dice):
    """Noise, half questions and held connections, on the socket and on the gateway."""
    held = []
    for _ in range(dice.randrange(10, 100)):
        tcp = dice.random() < 0.5
        s = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        s.settimeout(2)
        try:
            s.connect(("127.0.0.1", world.port) if tcp else str(world.folder / "run/control.sock"))
            s.sendall(dice.choice([
                dice.randbytes(dice.randrange(1, 3000)), b'{"request":"status"', b"GET /readyz HTTP/1.1\r\n",
                b'{"request":"wait-ready","timeout_ms":50}\n', b"\n", b"",
            ]))
        except OSError:
            pass  # refused or full: the next question must still be answered
        held.append(s)
    time.sleep(dice.random())
    for s in held:
        s.close()


def storm(world, dice):
    """Hundreds of orphans at once, up to the pids limit: what `docker exec` may bring in."""
    def join():
        world.join()
        pathlib.Path("/proc/self/oom_score_adj").write_text("500")
    subprocess.run(
        ["nsenter", "--target", str(world.pid), "--pid", "--mount",
         sys.executable, "-c", STORM, str(dice.randrange(1 << 30)), str(dice.randrange(50, 800))],
        preexec_fn=join, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )


def oom(world, dice):
    """A service takes more memory than the container has: the kernel kills it, the log says so."""
    del dice
    ready(world, "eater")
    since = len(world.read_log())
    with open(world.folder / "plenty", "r+b", buffering=0) as told:
        told.write(b"!")
    world.seen(
        lambda e: e.get("service") == "eater" and "oom-killed" in e.get("reason", ""), "the OOM kill of eater", since
    )


def full_disk(world, dice):
    """The data folder is full while everything is written anew."""
    ballast = world.folder / "data/ballast"
    try:
        with open(ballast, "wb") as file:
            while True:
                file.write(b"\0" * 65536)
                file.flush()
    except OSError:
        pass
    for name in ("concurrency.json", "bootstrap_report.json"):
        if dice.random() < 0.7:
            pathlib.Path(world.folder, "data", name).unlink(missing_ok=True)
    world.signal(signal.SIGHUP)
    world.status()
    time.sleep(dice.random())


def clock_jump(world, dice):
    """The wall clock goes somewhere else, back and forth, by up to years."""
    world.jump(dice.choice([-1, 1]) * dice.choice([1, 60, 3600, 86400, 86400 * 400]))
    world.status()


def silence(world, dice):
    """The liveness probe of the worker fails: it is restarted."""
    del dice
    ready(world, "worker")
    since = len(world.read_log())
    (world.folder / "alive").unlink(missing_ok=True)
    try:
        world.seen(
            lambda e: e.get("service") == "worker" and e.get("from") in ("ready", "unready"), "the end of a dead worker", since
        )
    finally:
        (world.folder / "alive").touch()


# How often each is drawn, and what it needs.
ALL = [
    (kill, 10, None), (pause, 4, None), (freeze, 2, None), (hup, 4, None), (signals, 3, None), (orders, 6, None),
    (babble, 3, None), (storm, 5, "pids limit"), (oom, 2, "memory limit"), (full_disk, 3, "full disk"),
    (clock_jump, 4, "clock jump"), (silence, 1, None),
]
