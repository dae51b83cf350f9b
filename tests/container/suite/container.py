"""One container under test, with its own network namespace: its ports are reached by entering it, loopback only."""

import itertools
import json

from .shell import CommandError, run, wait_for

_numbers = itertools.count(1)


class Container:
    """`docker run -d`; removed with its anonymous volumes at the end of the `with` block."""

    def __init__(self, engine, image, options=(), command=(), network="none"):
        self.engine = engine
        self.name = f"skill-init-{next(_numbers)}"
        self.image = image
        self.options = [str(o) for o in options]
        self.command = [str(c) for c in command]
        self.network = network

    def __enter__(self):
        self.engine.docker("rm", "-f", "-v", self.name, check=False)
        network = ["--network", self.network] if self.network else []
        self.engine.docker("run", "-d", "--name", self.name, *network, *self.options, self.image,
                           *self.command)
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and issubclass(kind, (AssertionError, CommandError)):
            value.container_log = self.logs()[-4000:]
        self.engine.docker("rm", "-f", "-v", self.name, check=False)

    def inspect(self, field):
        """A field of `docker inspect`, such as `.State.Pid`."""
        return json.loads(self.engine.docker("inspect", "-f", f"{{{{json {field}}}}}", self.name).out)

    def running(self):
        """Is it running?"""
        return self.inspect(".State.Running")

    def logs(self):
        """Everything it wrote."""
        shown = self.engine.docker("logs", self.name, check=False)
        return shown.out + shown.err

    def exec(self, *argv, user=None, check=True, env=(), timeout=240):
        """`docker exec`."""
        flags = ["-u", user] if user else []
        for pair in env:
            flags += ["-e", pair]
        return self.engine.docker("exec", *flags, self.name, *argv, check=check, timeout=timeout)

    def sh(self, script, **options):
        """A shell script inside; its output."""
        return self.exec("sh", "-c", script, **options).text

    def http(self, path, port=8000, headers=(), method="GET", body=None):
        """(status, body) of a request to the container's own loopback. Status 0: no answer."""
        flags = [word for header in headers for word in ("-H", header)]
        if body is not None:
            flags += ["--data-binary", body]
        shown = self.inside("curl", "-sS", "-m", "60", "-X", method, "-w", "\n%{http_code}", *flags,
                            f"http://127.0.0.1:{port}{path}", check=False)
        if shown.code != 0:
            return 0, shown.err.strip()
        text, _, status = shown.out.rpartition("\n")
        return int(status), text

    def inside(self, *argv, check=True, timeout=240):
        """A program of this machine in the container's network namespace."""
        pid = self.inspect(".State.Pid")
        return run(["nsenter", "-n", "-t", pid, "--", *argv], check=check, timeout=timeout)

    def ready(self, seconds=240):
        """Wait until the container answers that it is ready; the answer."""
        def look():
            if not self.running():
                raise AssertionError(f"the container ended with {self.inspect('.State.ExitCode')}")
            status, body = self.http("/readyz", 8079)
            return body or "ready" if status == 200 else None
        return wait_for("readiness on :8079/readyz", look, seconds)

    def health(self):
        """Docker's own verdict."""
        return self.inspect(".State.Health.Status")

    def status(self):
        """`skill-init status --json`."""
        return json.loads(self.exec("/sbin/skill-init", "status", "--json").out)

    def service(self, name):
        """One service of the status."""
        return next(s for s in self.status()["services"] if s["name"] == name)

    def plan(self):
        """`skill-init plan --json`."""
        return json.loads(self.exec("/sbin/skill-init", "plan", "--json").out)

    def stop(self, seconds=None):
        """`docker stop`; the exit code."""
        grace = ["-t", str(seconds)] if seconds is not None else []
        self.engine.docker("stop", *grace, self.name, timeout=300)
        return self.inspect(".State.ExitCode")

    def kill(self, signal):
        """`docker kill -s`."""
        self.engine.docker("kill", "-s", signal, self.name)

    def wait(self, seconds=300):
        """`docker wait`: the exit code."""
        return int(self.engine.docker("wait", self.name, timeout=seconds).text)
