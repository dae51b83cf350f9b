"""What must hold between and after the blows: nothing lost, nothing stuck, nothing left, nothing grown."""

import collections
import re
import signal
import statistics
import urllib.error
import urllib.request

from world import Broken, until

# What the medians of two quarters may differ by without a leak. A leak is found when it adds more than this between them,
# about half a run: in three minutes a KiB per blow, in thirty also a descriptor every 200 blows (judge_test.py).
# One accepted connection may not be closed yet, another may be of a probe or a client that comes and goes.
SLACK_DESCRIPTORS = 2
# glibc keeps for each thread up to seven freed pieces of each of 64 sizes, 235 KiB (its tcache), and fills that slowly; the
# init has two threads. What is left to fill after the warm-up is about half of one.
SLACK_KIB = 128
# Fewer say nothing: a quarter of them is the warm-up, and a quarter of the rest has to have a median.
LEAST_SAMPLES = 24


class Judge:
    """Collects a sample at every quiet point."""

    def __init__(self, world):
        self.world = world
        self.samples = []

    def quiet(self):
        """Gives everything back, then waits until the container is whole; takes a sample."""
        world = self.world
        (world.folder / "data/ballast").unlink(missing_ok=True)
        (world.folder / "alive").touch()
        if world.clock:
            world.jump(0)
        world.configure(extra=False)
        world.ask({"request": "reload"})
        goals = {"setup": "done"} | dict.fromkeys(["db", "app", "worker", "notifier", "deaf", "escaper", "eater", "gateway"], "ready")
        for name in [*goals, "flapper"]:
            world.ask({"request": "start", "service": name})

        def whole():
            world.alive()
            world.read_log()
            services = world.services()
            return all(services.get(name, {}).get("state") == goal for name, goal in goals.items()) and \
                "extra" not in services and world.ask({"request": "health", "kind": "ready"})["ok"]
        until(lambda: f"every service is where it belongs: {world.status()}", whole)
        until("the flapper flaps", lambda: world.services()["flapper"]["state"] in ("starting", "ready", "backoff"))
        until(lambda: f"no zombie is left: {self.zombies()}", lambda: not self.zombies())
        until("readiness over HTTP", self.http)
        self.owners()
        # The flapper's and the probes' pipes come and go: what is held for good is the least of a few looks.
        until("the sample", lambda: self._looks(20))

    def _looks(self, count):
        self.samples.append((min(self.world.descriptors() for _ in range(count)), self.world.memory()))
        return True

    def zombies(self):
        """Zombies that are the init's to reap. One that is seen once may be on its way: callers look again."""
        return [p for p in self.world.processes() if p.state == "Z" and p.parent == self.world.pid]

    def http(self):
        """The gateway says ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.world.port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def owners(self):
        """Each pid that the status shows is a living child of the init."""
        def look():
            alive = {p.inner for p in self.world.processes() if p.parent == self.world.pid and p.state != "Z"}
            shown = {name: s["pid"] for name, s in self.world.services().items() if s["pid"] and name != "flapper"}
            return not [name for name, pid in shown.items() if pid not in alive]
        until("every shown pid lives", look)

    def accounts(self):
        """After the stop: each end that the flapper wrote down is in the log; the stop was in order."""
        world = self.world
        events = [e for e in world.read_log() if "service" in e and "from" in e]
        written = [tuple(map(int, line.split())) for line in (world.folder / "flaps").read_text().splitlines()]
        lost = unaccounted(written, ends(e for e in events if e["service"] == "flapper"))
        if lost:
            raise Broken(f"(pid, status) that the flapper left and the log does not have: {lost}")
        starts = sum(len(f.read_text().split()) for f in (world.folder / "started").iterdir())
        spawned = sum(e["to"] == "starting" for e in events if e["service"] not in ("flapper", "gateway"))
        if starts > spawned:
            raise Broken(f"{starts} processes started, the log has {spawned} starts")
        shutdown = [(e["service"], e["to"]) for e in events if e["reason"].startswith("shutdown")]
        for later, earlier in (("app", "db"),):
            if shutdown.index((later, "stopped")) > shutdown.index((earlier, "stopping")):
                raise Broken(f"{earlier} was asked to stop before {later} had ended: {shutdown}")
        return len(written), starts


def growth(samples):
    """(descriptors, KiB) of the first and of the last quarter after a warm-up of a quarter, as medians; Broken if they grew."""
    if len(samples) < LEAST_SAMPLES:
        raise Broken(f"only {len(samples)} samples: run for longer")
    warm = samples[len(samples) // 4:]
    quarter = len(warm) // 4
    before, after = (tuple(map(statistics.median, zip(*part))) for part in (warm[:quarter], warm[-quarter:]))
    for what, slack, old, new in zip(("descriptors", "KiB of memory"), (SLACK_DESCRIPTORS, SLACK_KIB), before, after):
        if new > old + slack:
            raise Broken(f"{what} grew from {old:g} to {new:g}: {samples}")
    return before, after


def ends(events):
    """(pid, "exit N", "signal N" or "oom-killed") of every process that ended, from one service's changes of state."""
    pid, found = None, []
    for e in events:
        if e["from"] in ("starting", "ready", "unready", "stopping", "killing") and (how := re.search(r"\b(?:exit|signal) \d+|oom-killed", e["reason"])):
            found.append((pid, how[0]))
        pid = e.get("pid", pid)
    return found


def unaccounted(written, ended):
    """What of `written`, (pid, status), the log does not have. Between writing it down and leaving with it, a process may be
    told to stop, or be the one that memory is taken from: then a signal or that is its end. Pids come again: those of one number count in their order."""
    rest = collections.defaultdict(collections.deque)
    for pid, how in ended:
        rest[pid].append(how)
    lost = []
    for pid, status in written:
        left = rest[pid]
        while left and left[0] not in (f"exit {status}", f"signal {int(signal.SIGTERM)}", f"signal {int(signal.SIGKILL)}", "oom-killed"):
            left.popleft()
        if left:
            left.popleft()
        else:
            lost.append((pid, status))
    return lost
