"""The image for arm64: built from image/Dockerfile by the real engine with the arm64 programs, and started.

Every program in it, at its making and at its run, is an arm64 one that the kernel hands to QEMU. Beside the cases here, cases of the
container suite run on it as they are.
"""

import json
import signal
import sys

import programs
import qemu
from cases import boot, image, oneoff, stop, terminal  # noqa: F401  (they register their cases)
from suite import cases, host, product
from suite.cases import case, check, same
from suite.engine import Engine
from suite.machine import ARM64
from suite.shell import timed, wait_for
from suite.world import World

# Of the container suite. The others need what QEMU's user mode lacks (sub-reapers, Landlock, the reason of a failed exec), did not end
# under it (INT, QUIT and RTMIN+3), or are about the engine and not about the image.
SHARED = (
    "image: entry point", "image: the environment", "image: the old manager", "image: runtime tools", "image: the pre-made folders",
    "boot: docker run with", "boot: a second start", "boot: docker run to healthy",
    "stop: docker stop of an idle", "exit: wrong configuration", "signal: HUP",
    "one-off: run --rm", "exec: bash", "exec: a one-off", "exec: skill-init status",
    "terminal: a foreign origin", "terminal: a killed ttyd",
)
QUIET = ("-e", "SKILL_INIT_ENSURE=off")
MACHINE_OF = "import sys; print(*(int.from_bytes(open(path, 'rb').read(20)[18:20], 'little') for path in sys.argv[1:]))"
EM_AARCH64 = 183


@case("arm64 image: made for arm64, and every program in it is")
def machine(world):
    """What the engine says, what the kernel tells the programs, and the programs' own headers."""
    same("architecture of the image", world.engine.docker("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", world.image).text,
         ARM64.platform)
    files = ["/usr/sbin/skill-init", "/usr/sbin/skill-api", "/usr/local/bin/ttyd", "/usr/local/bin/node", "/usr/bin/python3",
             "/usr/bin/bwrap", "/usr/bin/rg", "/opt/venv/bin/uv"]
    script = ('uname -m; dpkg --print-architecture; node -p process.arch; '
              'python3 -c "import platform; print(platform.machine())"; python3 -c "$0" "$@"')
    shown = world.run("--entrypoint", "sh", world.image, "-c", script, MACHINE_OF, *files).out.splitlines()
    same("uname, dpkg, node, python", shown[:4], ["aarch64", "arm64", "arm64", "aarch64"])
    same(f"machine of {files}", shown[4].split(), [str(EM_AARCH64)] * len(files))
    return f"{' '.join(shown[:4])}; {len(files)} programs with an arm64 header"


@case("arm64 image: docker run gets healthy, answers, and ends with 0 on TERM")
def whole(world):
    """Status, probe, worker, health probe, the machine as PID 1 sees it, the end."""
    with world.start(*QUIET) as box:
        box.ready()
        wait_for("healthy", lambda: box.health() == "healthy")
        status = box.status()
        states = {service["name"]: service["state"] for service in status["services"]}
        for name in ("api", "gateway", "ttyd"):
            same(f"service {name}", states.get(name), "ready")
        facts = json.loads(box.exec("skill-init", "probe", "--json").out)
        check(facts["kernel"] and "landlock" in facts, sorted(facts))
        same("GET /", box.http("/")[0], 200)
        same("exit of the health probe", box.exec("/sbin/skill-init", "health", check=False).code, 0)
        same("ttyd's page", box.http("/", 7681)[0], 200)
        same("machine", box.sh("uname -m"), "aarch64")
        box.kill("TERM")
        same("exit", box.wait(), 0)
    return f"{states}, max_concurrent {status['concurrency']['max_concurrent']}, GET / 200, probe {len(facts)} groups, exit 0 on TERM"


OWN = [name for name, _, _ in cases.ALL if name.startswith("arm64 image: ")]


def run():
    """Build, run the cases; (passed, failed, skipped). Needs programs.OUT."""
    chosen = [*OWN, *SHARED]
    unknown = [part for part in chosen if not any(part in name for name, _, _ in cases.ALL)]
    if unknown:
        raise SystemExit(f"no such case: {unknown}")
    held = host.lock()
    host.announce()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        # Before the engine starts: BuildKit looks then for what it can execute.
        with qemu.registered():
            # Its own engine: the tags of the container suite's mean this machine's images.
            engine = Engine("arm64-engine")
            try:
                timed("engine", engine.start)
                world = World(engine, product.build(engine, machine=ARM64, ready=programs.OUT))
                counts = cases.run_all(world, chosen)
                world.close()
            finally:
                engine.stop()
    except qemu.Unavailable as reason:
        counts = cases.skip_all(chosen, reason)
    finally:
        held.close()
    return counts
