"""One container's life without an engine: an init in a PID namespace of its own, its folder, its limits, its log.

The init runs below a memory cgroup and a pids cgroup where root can make them (v1 or v2), on a data folder that is a
tmpfs of two MiB, and with a wall clock that jumps where libfaketime is installed. What this machine does not allow is
in `World.missing`, with the reason; the report counts it.
"""

import collections
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
# Nothing waits this long when it works.
DEADLINE = 90
MEMORY = 256 << 20
PIDS = 400
DISK = "2m"

Process = collections.namedtuple("Process", "outer inner parent state name")


class Broken(Exception):
    """A promise that did not hold."""


def until(what, look, deadline=DEADLINE):
    """Polls until `look` gives something; says `what` did not happen otherwise."""
    end = time.monotonic() + deadline
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > end:
            raise Broken(f"within {deadline} s it did not come true: {what() if callable(what) else what}")
        time.sleep(0.02)


class World:
    """The folder, the limits and the running init."""

    def __init__(self, folder, binary):
        self.folder, self.binary = folder, binary
        # Read once: a checkout that changes meanwhile must not change the run.
        self.services_file = (HERE / "services.toml").read_text()
        self.missing = {}
        self.port = free_port()
        self.log_path = folder / "log"
        for name in ("started", "data"):
            (folder / name).mkdir()
        for name in ("pulse", "plenty"):
            os.mkfifo(folder / name)
        (folder / "alive").touch()
        self.disk = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "chaos", folder / "data"], capture_output=True, text=True
        ).returncode == 0
        if not self.disk:
            self.missing["full disk"] = "no tmpfs can be mounted here"
        self.groups = self._limits()
        self.clock = self._clock()
        self.child = self.pid = None
        self.events, self._tail, self._rest = [], 0, b""
        self.configure(extra=False)

    # ---- what surrounds the init -------------------------------------------------------------------------------

    def _limits(self):
        """{controller: folder} of fresh cgroups; the init's process joins them before it is executed."""
        made = {}
        name = f"skill-init-chaos-{os.getpid()}"
        for controller, limit, value in (("memory", "memory.limit_in_bytes", MEMORY), ("pids", "pids.max", PIDS)):
            places = [(f"/sys/fs/cgroup/{controller}", limit), ("/sys/fs/cgroup", f"{controller}.max")]
            for root, file in places:
                group = pathlib.Path(root) / name
                try:
                    if not os.path.exists(f"{root}/cgroup.procs"):
                        continue
                    if root == "/sys/fs/cgroup":
                        pathlib.Path(root, "cgroup.subtree_control").write_text(f"+{controller}")
                    group.mkdir(exist_ok=True)
                    (group / file).write_text(str(value))
                    made[controller] = group
                    break
                except OSError as error:
                    self.missing[f"{controller} limit"] = f"{group}: {error.strerror}"
            if controller in made:
                self.missing.pop(f"{controller} limit", None)
            else:
                self.missing.setdefault(f"{controller} limit", f"no {controller} controller here")
        return made

    def _clock(self):
        """libfaketime's library, or None: nothing else moves the wall clock of one container."""
        found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        if not found and shutil.which("apt-get"):
            subprocess.run(
                ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends", "libfaketime"],
                stdin=subprocess.DEVNULL, capture_output=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
            found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        if not found:
            self.missing["clock jump"] = "libfaketime is not installed and cannot be"
            return None
        self.jump(0)
        return found[0]

    def jump(self, seconds):
        """Moves the init's wall clock to this distance from the true one."""
        write(self.folder / "clock", f"{seconds:+d}\n")

    def configure(self, extra):
        """Writes the configuration, with or without the service that comes and goes."""
        text = self.services_file.replace("@DIR@", str(self.folder)).replace("@PYTHON@", sys.executable)
        if not extra:
            text = text.split("# comes and goes\n")[0]
        write(self.folder / "init.toml", text)

    # ---- its life ----------------------------------------------------------------------------------------------

    def start(self):
        """Starts the init and waits until it is ready."""
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "SKILL_INIT_CONFIG": str(self.folder / "init.toml"),
            "SKILL_INIT_API": "false",
            "SKILL_INIT_ENSURE": "off",
            "SKILL_INIT_TTYD": "off",
            "SKILL_INIT_HTTP_ADDR": f"127.0.0.1:{self.port}",
            "SKILL_INIT_LOG_FORMAT": "json",
            "SKILL_INIT_STOP_GRACE": "30s",
            "SKILL_INIT_TICK": "1s",
            "SKILL_INIT_RESTART_BUDGET": "1000000",
            "SKILL_INIT_BACKOFF": "100ms",
            "SKILL_INIT_BACKOFF_MAX": "500ms",
        }
        if self.clock:
            env |= {
                "LD_PRELOAD": self.clock,
                "FAKETIME_TIMESTAMP_FILE": str(self.folder / "clock"),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_DISABLE_SHM": "1",
            }

        out = open(self.folder / "output", "ab")
        err = open(self.log_path, "ab")
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
        settings = [f"{name}={value}" for name, value in env.items()]
        self.child = subprocess.Popen(
            # env(1) is within the namespace, so that neither unshare nor this program is preloaded.
            [*command, "env", "-i", *settings, self.binary, "local", "--dir", self.folder],
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=self.join,
        )
        self.pid = until("the init runs", lambda: (self.alive(), children(self.child.pid))[1])[0]
        self.seen(lambda e: e.get("message") == "ready", "the first readiness")

    def join(self):
        """Moves the calling process into the container's cgroups."""
        for group in self.groups.values():
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def alive(self):
        """Breaks if the init has ended."""
        if self.child.poll() is not None:
            raise Broken(f"the init ended by itself with {self.child.returncode}")
        return True

    def stop(self):
        """TERM; its exit code (unshare hands it on)."""
        self.signal(signal.SIGTERM)
        try:
            return self.child.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise Broken("the stop did not end") from None

    def signal(self, number):
        """To PID 1, from outside: an ancestor namespace may send it anything."""
        os.kill(self.pid, number)

    def close(self):
        """Ends what is left, gives the cgroups back."""
        if self.child and self.child.poll() is None:
            os.kill(self.pid or self.child.pid, signal.SIGKILL)
            self.child.wait()
        for group in self.groups.values():
            until(f"{group} is empty", lambda: not (group / "cgroup.procs").read_text(), 30)
            group.rmdir()

    # ---- what it says ------------------------------------------------------------------------------------------

    def read_log(self):
        """Takes in the log lines that are new; all of them so far."""
        with open(self.log_path, "rb") as file:
            file.seek(self._tail)
            new = file.read()
        self._tail += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"message": "raw", "text": line.decode(errors="replace")}
            self.events.append(event)
            if "panicked" in str(event):
                raise Broken(f"a panic: {event}")
        return self.events

    def seen(self, wanted, what, since=0):
        """Waits for a log line for which this holds, from index `since` on."""
        def look():
            self.alive()
            return next((e for e in self.read_log()[since:] if wanted(e)), None)
        return until(lambda: f"{what}; the log ends with {self.events[-5:]}", look)

    def ask(self, request, timeout=DEADLINE):
        """One question on the control socket, from beside the init."""
        self.alive()
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(timeout)
                s.connect(str(self.folder / "run/control.sock"))
                s.sendall(json.dumps(request).encode() + b"\n")
                answer = s.makefile("rb").readline()
        except OSError as error:
            until("the init has ended", lambda: self.child.poll() is not None, 1)
            raise Broken(f"{request}: {error}; the init ended with {self.child.returncode}") from error
        if not answer:
            raise Broken(f"no answer to {request}")
        return json.loads(answer)

    def status(self):
        """The whole status."""
        return self.ask({"request": "status"})

    def services(self):
        """{name: its status}."""
        return {s["name"]: s for s in self.status()["services"]}

    # ---- what the kernel says ----------------------------------------------------------------------------------

    def processes(self):
        """Every process of the namespace, zombies too."""
        space = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                text = pathlib.Path(f"/proc/{entry}/status").read_text()
            except OSError:
                continue
            fields = dict(re.findall(r"^(\w+):\t(.*)$", text, re.M))
            ids = fields.get("NSpid", "").split()
            # A zombie has no ns link any more: its place is told by the number of its ids and its parent.
            if len(ids) < 2:
                continue
            try:
                inside = os.readlink(f"/proc/{entry}/ns/pid") == space
            except OSError:
                inside = int(fields["PPid"]) == self.pid
            if inside:
                found.append(Process(int(entry), int(ids[-1]), int(fields["PPid"]), fields["State"][0], fields["Name"]))
        return found

    def outer(self, inner):
        """The pid here of a pid in there, or None."""
        return next((p.outer for p in self.processes() if p.inner == inner), None)

    def memory(self):
        """KiB that PID 1 holds for itself, in memory or swapped out. Not the pages of its program: they go and come back with
        the memory limit, up to two MiB within one blow. smaps_rollup counts pages; the counters of `status` are estimates."""
        rollup = dict(re.findall(r"^(\w+): +(\d+) kB", pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text(), re.M))
        return int(rollup["Anonymous"]) + int(rollup["Swap"])

    def descriptors(self):
        """Open descriptors of PID 1."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu(self):
        """CPU seconds that PID 1 has used."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid):
    """Pids of the children of a process."""
    found = []
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = pathlib.Path(stat).read_text()
        except OSError:
            continue
        if int(fields.rsplit(")", 1)[1].split()[1]) == pid:
            found.append(int(fields.split()[0]))
    return found


def free_port():
    """A TCP port of the loopback that nobody has."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write(path, text):
    """Old or new, never torn: the init may read it at any time."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)
