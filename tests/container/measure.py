#!/usr/bin/env python3
"""The container's figures, each beside its floor, measured in turns on a real engine; written into docs/performance.md.

    sudo tests/container/measure.py               measure and write the table between the markers
    sudo tests/container/measure.py --print       measure and only print it
    sudo tests/container/measure.py --rounds 5    a quick look (15 rounds are usual: three minutes)

Per round every contestant runs once, so that a busy moment meets all of them; the table has medians. The floor is a container
that does nothing (or a process that does nothing); `worker alone` is the embedded worker as the image's entry point, without
an init. Needs what tests/container/run.py needs.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from suite import host, product  # noqa: E402
from suite.engine import CLIENT, Engine  # noqa: E402
from suite.shell import say  # noqa: E402

PAGE = host.REPO / "docs/performance.md"
BEGIN, END = "<!-- container:begin -->", "<!-- container:end -->"
QUIET = ("-e", "SKILL_INIT_ENSURE=off", "-v", f"{product.SKILLS}:/app/skills:ro")
# Does nothing, but ends when it is asked to; a health check that asks nobody.
IDLE = ("--entrypoint", "python3", "--health-cmd", "true", "{image}", "-c",
        "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0)); signal.pause()")
WORKER = ("--entrypoint", "/usr/sbin/skill-api", "--health-cmd", "true", "{image}")
INIT = ("{image}",)
CONTESTANTS = {"floor": IDLE, "worker alone": WORKER, "skill-init": INIT}


class Health:
    """The engine's own events: when a container turned healthy."""

    def __init__(self, engine):
        self.seen = {}
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [CLIENT, "events", "--filter", "event=health_status: healthy", "--filter", "event=health_status",
             "--format", "{{.Actor.Attributes.name}} {{.Status}}"],
            env={**os.environ, **engine.env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            name, _, what = line.strip().partition(" ")
            if what == "health_status: healthy":
                with self.changed:
                    self.seen.setdefault(name, time.monotonic())
                    self.changed.notify_all()

    def wait(self, name, seconds=90):
        """The moment at which it turned healthy."""
        with self.changed:
            if not self.changed.wait_for(lambda: name in self.seen, seconds):
                raise SystemExit(f"{name} did not turn healthy within {seconds} s")
            return self.seen[name]

    def close(self):
        """End the client."""
        self.process.terminate()
        self.process.wait()


def outside(engine, image, rounds):
    """What `docker run` and `docker stop` take: {measure: {contestant: [seconds]}}."""
    took = {what: {name: [] for name in CONTESTANTS} for what in ("returns", "healthy", "stop")}
    health = Health(engine)
    try:
        for number in range(rounds + 1):
            for name, words in CONTESTANTS.items():
                box = f"measure-{number}-{name.replace(' ', '-')}"
                command = [word.format(image=image) for word in words]
                start = time.monotonic()
                engine.docker("run", "-d", "--name", box, "--network", "none", *QUIET, *command)
                ran = time.monotonic()
                healthy = health.wait(box)
                asked = time.monotonic()
                engine.docker("stop", box)
                stopped = time.monotonic()
                engine.docker("rm", "-f", "-v", box)
                if number:  # the first round warms the page cache
                    for what, seconds in (("returns", ran - start), ("healthy", healthy - start), ("stop", stopped - asked)):
                        took[what][name].append(seconds)
            say(f"round {number} of {rounds}")
    finally:
        health.close()
    return took


def inside(engine, image, rounds):
    """What happens between execve(2) and the worker's first answer, and what a probe costs, in one container."""
    script = pathlib.Path(__file__).parent / "inside.py"
    done = engine.docker("run", "--rm", "--network", "none", *QUIET, "-v", f"{script}:/inside.py:ro", "--entrypoint", "python3",
                         image, "/inside.py", str(rounds), timeout=600)
    return json.loads(done.out)


def execs(engine, image, rounds):
    """`docker exec` of nothing and of the probe."""
    took = {"floor": [], "skill-init": []}
    engine.docker("run", "-d", "--name", "measure-exec", "--network", "none", *QUIET, image)
    try:
        engine.docker("exec", "measure-exec", "skill-init", "wait", "--ready")
        for _ in range(rounds):
            for name, command in (("floor", ["true"]), ("skill-init", ["/sbin/skill-init", "health"])):
                start = time.monotonic()
                engine.docker("exec", "measure-exec", *command)
                took[name].append(time.monotonic() - start)
    finally:
        engine.docker("rm", "-f", "-v", "measure-exec", check=False)
    return took


def row(what, took, target=None, added=None):
    """One line: medians in ms, the worst of ours, the target and whether it was met."""
    def shown(name):
        return f"{statistics.median(took[name]) * 1000:.1f}" if took.get(name) else ""
    ours = statistics.median(took["skill-init"])
    extra = ours - statistics.median(took[added]) if added else None
    verdict = ""
    if target is not None:
        measured = extra if added else ours
        verdict = f"{target * 1000:.0f}{' added' if added else ''}: {'met' if measured <= target else 'missed'}"
    cells = [what, shown("floor"), shown("worker alone"), shown("skill-init"), f"{max(took['skill-init']) * 1000:.1f}",
             f"{extra * 1000:+.1f}" if added else "", verdict]
    return f"| {' | '.join(cells)} |"


def table(engine, rounds, out, within, probes):
    """The text between the markers."""
    server = engine.docker("version", "--format", "{{.Server.Version}}").text
    load = f"{os.getloadavg()[0]:.1f}"
    release = os.uname().release.split("-")[0]
    lines = [
        f"Linux {release}, {os.cpu_count()} CPUs (load {load} at the end), Docker {server}; {rounds} rounds in turns; medians in ms.",
        "",
        "| | floor | worker alone | skill-init | its worst | added to the worker | target |",
        "| --- | --: | --: | --: | --: | --: | --- |",
        row("`docker run -d` returns", out["returns"], added="worker alone"),
        row("`docker run` to `healthy`", out["healthy"], target=1.0),
        row("`docker stop` of an idle container", out["stop"], target=0.5),
        row("execve to the worker's first answer, empty volumes", within["cold"], target=0.030, added="worker alone"),
        row("the same, second start", within["warm"], target=0.030, added="worker alone"),
        row("`skill-init health`, process and all (floor: `true`)", within["probe"], target=0.010),
        row("`docker exec` of the same", probes),
    ]
    return "\n".join(lines) + "\n"


def write(text):
    """Between the markers, and nothing else."""
    page = PAGE.read_text(encoding="utf-8")
    before, found, rest = page.partition(BEGIN)
    _, also, after = rest.partition(END)
    if not (found and also):
        raise SystemExit(f"{PAGE} lacks {BEGIN} or {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def main():
    """Prepare as the suite does, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--print", action="store_true", dest="only_print")
    arguments = parser.parse_args()
    host.require_root()
    held = host.lock()
    engine = Engine()
    try:
        engine.start()
        image = product.build(engine)
        out = outside(engine, image, arguments.rounds)
        within = inside(engine, image, arguments.rounds)
        probes = execs(engine, image, arguments.rounds)
        text = table(engine, arguments.rounds, out, within, probes)
    finally:
        engine.stop()
        held.close()
    print(text, end="")
    if not arguments.only_print:
        write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
