"""A private dockerd: its own data, state, socket and pid file; no bridge, no firewall rule, no forwarding.

Containers get `--network none` (their own loopback) or `host`. `--bridge=none` makes dockerd delete a docker0 that is
there, also one that belongs to another daemon: an idle one is noted and put back, one in use stops the suite.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from . import host
from .shell import CommandError, run, say, wait_for

CLIENT = "/usr/bin/docker"


class Engine:
    """One dockerd. `data` survives between runs (images, build cache); everything else is per run."""

    def __init__(self, name="engine", extra=()):
        self.dir = host.CACHE / name
        self.extra = list(extra)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.socket = self.dir / "docker.sock"
        self.pidfile = self.dir / "dockerd.pid"
        self.process = None
        self.env = {
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(self.dir / "client"),
            "DOCKER_BUILDKIT": "1",
            "BUILDKIT_PROGRESS": "plain",
        }
        (self.dir / "client").mkdir(exist_ok=True)

    def start(self):
        """Start dockerd and wait until it answers."""
        host.need(["dockerd", CLIENT, "iptables"])
        self._end_leftover()
        bridge = _note_bridge()
        log = open(self.dir / "dockerd.log", "wb")
        argv = ["dockerd", "--data-root", self.dir / "data", "--exec-root", self.dir / "exec",
                "--host", f"unix://{self.socket}", "--pidfile", self.pidfile, "--storage-driver", "overlay2",
                "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
                *self.extra]
        self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        start_new_session=True)
        try:
            wait_for("dockerd answers", lambda: self._alive() and self.docker("info", check=False).code == 0, 120)
        except AssertionError as fault:
            tail = (self.dir / "dockerd.log").read_text(errors="replace")[-3000:]
            raise CommandError(f"{fault}\n{tail}") from fault
        finally:
            _restore_bridge(bridge)
        say(f"engine: docker {self.docker('version', '--format', '{{.Server.Version}}').text}")

    def _alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"dockerd ended with {self.process.returncode}")
        return True

    def _end_leftover(self):
        """A dockerd of an earlier, killed run: ours by its pid file *and* its command line."""
        try:
            pid = int(self.pidfile.read_text())
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except (OSError, ValueError):
            self.pidfile.unlink(missing_ok=True)
            return
        if str(self.dir / "data") in command:
            say(f"ending the dockerd of an earlier run (pid {pid})")
            os.kill(pid, signal.SIGTERM)
            wait_for("the earlier dockerd is gone", lambda: not pathlib.Path(f"/proc/{pid}").exists(), 60)
        self.pidfile.unlink(missing_ok=True)

    def stop(self):
        """Remove what the cases left and stop dockerd."""
        if self.process is None or self.process.poll() is not None:
            return
        try:
            left = self.docker("ps", "-aq", check=False).out.split()
            if left:
                self.docker("rm", "-f", "-v", *left, check=False)
        except CommandError as fault:
            say(f"clean-up: {fault}")
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def docker(self, *argv, timeout=300, check=True, stdin=None, env=None):
        """Run the docker client against this engine."""
        return run([CLIENT, *argv], timeout=timeout, check=check, stdin=stdin, env={**self.env, **(env or {})})

    def has_image(self, tag):
        """Is `tag` there?"""
        return self.docker("image", "inspect", tag, check=False).code == 0

    def image_label(self, tag, label):
        """A label of an image, or None."""
        shown = self.docker("image", "inspect", "-f", "{{json .Config.Labels}}", tag, check=False)
        return (json.loads(shown.out) or {}).get(label) if shown.code == 0 else None


def _note_bridge():
    bridge = pathlib.Path("/sys/class/net/docker0")
    if not bridge.exists():
        return None
    if any((bridge / "brif").iterdir()):
        raise CommandError("docker0 is in use by another engine's containers: stop them first")
    shown = json.loads(run(["ip", "-json", "addr", "show", "docker0"]).out)[0]
    return shown["address"], [f"{a['local']}/{a['prefixlen']}" for a in shown["addr_info"] if a["family"] == "inet"]


def _restore_bridge(noted):
    if noted is None or pathlib.Path("/sys/class/net/docker0").exists():
        return
    mac, addresses = noted
    run(["ip", "link", "add", "name", "docker0", "address", mac, "type", "bridge"])
    for address in addresses:
        run(["ip", "addr", "add", address, "brd", "+", "dev", "docker0"])
    run(["ip", "link", "set", "docker0", "up"])


def now():
    """A monotonic clock, for evidence only: no case asserts a time."""
    return time.monotonic()


def have(program):
    """Is `program` on PATH?"""
    return shutil.which(program) is not None
