"""Each option that `docker run` has for limits and rights: readiness, concurrency and Landlock against what was set."""

import json
import os
import pathlib

from suite import expect
from suite.cases import case, check, same
from suite.shell import run, wait_for

QUIET = ("-e", "SKILL_INIT_ENSURE=off")
# Plenty of CPU per run, so that the option under test is what binds.
WIDE = (*QUIET, "-e", "SKILL_RUNNER_CPU_FACTOR=8")


def binds(box, resource, runs):
    """The status names what binds, and how many runs that makes."""
    shown = box.status()["concurrency"]
    same("what binds", shown["binds"], resource)
    same("concurrent runs", shown["max_concurrent"], runs)
    return f"{runs} runs, {resource} binds"


def boots(world, *options, look=None, **more):
    """Ready with `options`, with the numbers that follow from them; returns the evidence, `look`'s in front."""
    with world.start(*options, **more) as box:
        box.ready()
        same("GET /", box.http("/")[0], 200)
        words = [look(box)] if look else []
        words.append(expect.agrees(box))
        same("exit", box.stop(), 0)
        return "ready, " + ", ".join(words)


def rights(box, uid="10001", no_new_privileges=None):
    """Uid, capabilities and no_new_privs of the worker against what was asked for."""
    pid = box.service("api")["pid"]
    shown = dict(line.split(":\t", 1) for line in box.sh(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
    same("uid of the worker", shown["Uid"].split()[0], uid)
    same("effective capabilities of the worker", shown["CapEff"], "0" * 16)
    if no_new_privileges is not None:
        same("NoNewPrivs of the worker", shown["NoNewPrivs"], no_new_privileges)
    return f"worker uid {uid}, CapEff {shown['CapEff']}, NoNewPrivs {shown['NoNewPrivs']}"


@case("option: --read-only with tmpfs")
def read_only(world):
    """Nothing but tmpfs and volumes is written."""
    return boots(world, *QUIET, "--read-only", "--tmpfs", "/tmp:exec,mode=1777", "--tmpfs",
                 "/run:uid=10001", "--tmpfs", "/data:uid=10001", "--tmpfs", "/opt/cache:exec,uid=10001", look=rights)


@case("option: --read-only with nothing writable at all still starts, and names each path")
def nothing_writable(world):
    """Degrade, or refuse with the paths named: never silently."""
    with world.start(*QUIET, "--read-only") as box:
        wait_for("it is ready or has ended", lambda: not box.running() or box.http("/readyz", 8079)[0] == 200)
        log = box.logs()
        check("/data" in log, f"/data is named: {log[-800:]}")
        return f"ready, {expect.agrees(box)}" if box.running() else f"exit {box.inspect('.State.ExitCode')}, paths named"


@case("option: --user 12345:0")
def arbitrary_uid(world):
    """As OpenShift does."""
    return boots(world, *QUIET, "--user", "12345:0", look=lambda box: rights(box, uid="12345"))


@case("option: --user 0 runs the services as 10001, without capabilities")
def root(world):
    """SKILL_INIT_USER of the image."""
    return boots(world, *QUIET, "--user", "0", look=lambda box: rights(box, no_new_privileges="1"))


@case("option: --cap-drop ALL")
def no_capabilities(world):
    """Nothing needs one."""
    return boots(world, *QUIET, "--cap-drop", "ALL", look=rights)


@case("option: --cap-drop ALL --user 0: root without rights says what it cannot do, and serves")
def powerless_root(world):
    """No CAP_SETUID, no CAP_CHOWN."""
    with world.start(*QUIET, "--cap-drop", "ALL", "--user", "0") as box:
        wait_for("it is ready or has ended", lambda: not box.running() or box.http("/readyz", 8079)[0] == 200)
        log = box.logs()
        if box.running():
            return f"ready: {rights(box, uid='0')}, {expect.agrees(box)}"
        check("CAP_SETUID" in log or "setuid" in log.lower() or "SKILL_INIT_USER" in log, log[-600:])
        return f"exit {box.inspect('.State.ExitCode')} with the reason"


@case("option: no-new-privileges")
def no_new_privileges(world):
    """Landlock needs it anyway."""
    return boots(world, *QUIET, "--security-opt", "no-new-privileges", look=lambda box: rights(box, no_new_privileges="1"))


@case("option: --memory counts")
def memory(world):
    """(3500 - what is in use - 1024) / 1024 = 2."""
    return boots(world, *WIDE, "--memory", "3500m", look=lambda box: binds(box, "memory", 2))


@case("option: --cpus counts")
def cpus(world):
    """One CPU's worth of quota times 0.75, rounded down, at least 1; with the factor 8: 8."""
    return boots(world, *WIDE, "--cpus", "1", look=lambda box: binds(box, "cpu", 8))


@case("option: --cpuset-cpus counts")
def cpuset(world):
    """One CPU."""
    return boots(world, *WIDE, "--cpuset-cpus", "0", look=lambda box: binds(box, "cpu", 8))


@case("option: --pids-limit counts")
def pids(world):
    """(400 - 128) / 64 = 4."""
    return boots(world, *WIDE, "--pids-limit", "400", look=lambda box: binds(box, "pids", 4))


@case("option: --ulimit nofile counts, and the soft limit is raised towards the hard one")
def descriptors(world):
    """(600 - 256) / 64 = 5 where soft = hard = 600; soft 300 of hard 4096 does not bind."""
    first = boots(world, *WIDE, "--ulimit", "nofile=600:600", look=lambda box: binds(box, "descriptors", 5))

    def raised(box):
        shown = box.status()["concurrency"]
        check(shown["binds"] != "descriptors", f"descriptors bind: {shown}")
        return f"soft 300 of hard 4096: {shown['max_concurrent']} runs, {shown['binds']} binds"
    return f"{first}; {boots(world, *WIDE, '--ulimit', 'nofile=300:4096', look=raised)}"


@case("option: LANDLOCK_ENABLED of the operator wins over the probe")
def operator_verdict(world):
    """Both ways, in the worker's environment."""
    seen = []
    for value in ("0", "1"):
        with world.worker("runs.py", *QUIET, "-e", f"LANDLOCK_ENABLED={value}") as box:
            box.ready()
            env = json.loads(box.http("/env")[1])
            same("LANDLOCK_ENABLED", env.get("LANDLOCK_ENABLED"), value)
            expect.agrees(box)
            seen.append(value)
    return f"{seen}"


@case("option: secrets reach only what needs them, and no argument list")
def secrets(world):
    """A password by file."""
    folder = pathlib.Path(world.folder("secrets"))
    (folder / "password").write_text("s3cret-of-the-suite\n")
    os.chmod(folder, 0o755)
    with world.start(*QUIET, "-v", f"{folder}:/run/secrets:ro", "-e", "UI_BASIC_AUTH_ENABLED=true", "-e",
                     "UI_BASIC_AUTH_USERNAME=admin", "-e", "UI_BASIC_AUTH_PASSWORD_FILE=/run/secrets/password") as box:
        box.ready()
        check("s3cret-of-the-suite" not in box.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "in an argument list")
        check("s3cret-of-the-suite" not in box.logs(), "in the log")
        check("s3cret-of-the-suite" not in box.sh("skill-init config --json; skill-init status --json"), "in config")
        same("no credentials", box.http("/v1/engines/auth-status")[0], 401)
        same("terminal without credentials", box.http("/", 7681)[0], 401)
        return "401 without credentials; in no argv, log, config"


@case("volumes: old ones that belong to root are repaired when started as root")
def old_volumes(world):
    """What an older image with root as its user left behind."""
    cache, data = world.volume(), world.volume()
    mounts = ("-v", f"{cache}:/opt/cache", "-v", f"{data}:/data")
    world.run("--user", "0", "--entrypoint", "sh", *mounts, world.image, "-c",
              "mkdir -p /opt/cache/skill-runner/agent-home/.codex /data/runs/old && echo '{}' > /data/runs/old/result.json "
              "&& chown -R 0:0 /opt/cache /data && chmod 755 /opt/cache /data && chmod -R go-w /opt/cache /data")
    with world.start(*QUIET, *mounts) as box:
        wait_for("the log names the folder and the command that mends it",
                 lambda: any("/data" in line and ("chown" in line or "start as root" in line)
                             for line in box.logs().splitlines()))
        as_user = next(line for line in box.logs().splitlines() if "/data" in line and "root" in line)[-200:]
    with world.start(*QUIET, "--user", "0", *mounts) as box:
        box.ready()
        same("owner", box.sh("stat -c %u /data /data/runs/old/result.json /opt/cache/skill-runner/agent-home/.codex")
             .split(), ["10001"] * 3)
        words = f"{rights(box)}, {expect.agrees(box)}"
    return f"as 10001: {as_user}; as root: repaired, {words}"


@case("volumes: a full /data is told, and the container still starts")
def full(world):
    """A tmpfs of 1 MiB without a byte left."""
    folder = world.folder("full")
    run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "tmpfs", folder])
    try:
        filler = os.open(f"{folder}/filler", os.O_CREAT | os.O_WRONLY)
        try:
            while True:
                os.write(filler, b"x" * 4096)
        except OSError:
            os.close(filler)
        with world.worker("runs.py", *QUIET, "-v", f"{folder}:/data") as box:
            box.ready()
            log = box.logs()
            check("No space left" in log or "ENOSPC" in log, f"the log says so: {log[-800:]}")
            return f"ready; the log names the full volume; {expect.agrees(box)}"
    finally:
        run(["umount", "-l", folder])


@case("volumes: credentials of /opt/config are imported, 0600, settings are not")
def credentials(world):
    """And a refreshed token is not overwritten by the same source again."""
    folder = pathlib.Path(world.folder("config"))
    (folder / "codex").mkdir(parents=True)
    source = {"OPENAI_API_KEY": None, "tokens": {"id_token": "a.b.c", "access_token": "old", "refresh_token": "r",
                                                  "account_id": None}, "last_refresh": "2026-01-01T00:00:00Z"}
    (folder / "codex/auth.json").write_text(json.dumps(source))
    (folder / "codex/config.toml").write_text("model = 'not imported'\n")
    os.chmod(folder / "codex/auth.json", 0o644)
    os.chmod(folder, 0o755)
    cache = world.volume()
    mounts = ("-v", f"{folder}:/opt/config:ro", "-v", f"{cache}:/opt/cache")
    auth = "/opt/cache/skill-runner/agent-home/.codex/auth.json"
    with world.start(*QUIET, *mounts) as box:
        box.ready()
        same("mode", box.sh(f"stat -c %a {auth}"), "600")
        check("not imported" not in box.sh("cat /opt/cache/skill-runner/agent-home/.codex/config.toml"), "settings too")
        refreshed = json.dumps({**source, "tokens": {**source["tokens"], "access_token": "new"},
                                "last_refresh": "2026-02-01T00:00:00Z"})
        box.sh(f"cat > {auth}.new <<'E'\n{refreshed}\nE\nmv {auth}.new {auth}")
    with world.start(*QUIET, *mounts) as box:
        box.ready()
        same("access token after a restart", json.loads(box.sh(f"cat {auth}"))["tokens"]["access_token"], "new")
    return "imported as 0600; the refreshed token survived the restart"
