"""The compose file, as a person uses it; only the network differs (no bridge here, each container its own loopback)."""

import json
import pathlib
import re

from suite import host, plugins
from suite.cases import case, check, same
from suite.container import Container
from suite.shell import wait_for

FILE = host.REPO / "compose/docker-compose.yml"
AUTH = host.REPO / "compose/auth.yml"
NO_BRIDGE = """services:
  api:
    network_mode: none
    ports: !reset []
    networks: !reset {}
networks: !reset {}
"""


class Project:
    """`docker compose up`, and down again with its volumes."""

    def __init__(self, world, name, *files):
        self.world, self.name = world, name
        override = pathlib.Path(world.folder("compose")) / "no-bridge.yml"
        override.write_text(NO_BRIDGE, encoding="utf-8")
        self.files = [*files, override]

    def __enter__(self):
        self("up", "-d", "--no-build")
        return self

    def __exit__(self, *_):
        self("down", "-v", "-t", "5", check=False)

    def __call__(self, *argv, **more):
        return plugins.compose(self.world.engine, *argv, files=self.files, project=self.name,
                               env={"SKILL_RUNNER_IMAGE": self.world.image}, **more)

    def box(self):
        """The container of the service `api`."""
        box = Container(self.world.engine, self.world.image)
        box.name = self("ps", "-q", "api").text
        return box


@case("compose: the file names the documented ports, volumes and settings")
def contract(world):
    """As compose itself understands it, without the override."""
    shown = json.loads(plugins.compose(world.engine, "config", "--format", "json", files=[FILE], project="contract").out)
    api = shown["services"]["api"]
    same("ports", sorted(f"{p['published']}:{p['target']}" for p in api["ports"]), ["7681:7681", "8000:8000"])
    targets = {v["target"]: v["type"] for v in api["volumes"]}
    same("volumes", targets, {"/app/skills": "bind", "/opt/config": "bind", "/opt/cache": "volume", "/data": "volume"})
    check(api["read_only"] and api["cap_drop"] == ["ALL"], "read-only and without capabilities")
    grace = int(api["environment"]["SKILL_INIT_STOP_GRACE"].rstrip("s"))
    check(grace < int(re.sub(r"\D", "", api["stop_grace_period"])), "init's grace is below compose's")
    same("restart", api["restart"], "unless-stopped")
    check(re.search(r"#.*\./data:/data", FILE.read_text()), "the optional ./data")
    return "8000, 7681; skills, agent_config, agent_cache, data; read-only, no capability, unless-stopped"


@case("compose: up, healthy, run --rm, exec, restart, down")
def life(world):
    """With the read-only root, the seccomp profile and no capability, as the file says."""
    with Project(world, "life", FILE) as project:
        box = project.box()
        wait_for("healthy", lambda: box.health() == "healthy")
        box.ready()
        same("GET /", box.http("/")[0], 200)
        done = project("run", "--rm", "-T", "api", "sh", "-lc", "echo one-off in $HOME; exit 4", check=False)
        same("exit of run --rm", done.code, 4)
        check("one-off in /opt/cache/skill-runner/agent-home" in done.out, done.out)
        check("api" in project("exec", "-T", "api", "skill-init", "status").out, "exec status")
        first = box.inspect(".State.StartedAt")
        project("restart", "api")
        box.ready()
        check(box.inspect(".State.StartedAt") != first, "not restarted")
        same("exit code of the stop", project("stop", "api").code, 0)
        same("exit", box.inspect(".State.ExitCode"), 0)
        return "healthy, one-off exit 4, restarted, stopped with 0"


@case("compose: with auth.yml the UI and the terminal ask for the password of the secret file")
def auth(world):
    """401 without, 200 with."""
    secret = host.REPO / "compose/secrets/ui_password"
    made = not secret.exists()
    if made:
        secret.parent.mkdir(exist_ok=True)
        secret.write_text("of-the-suite\n", encoding="utf-8")
        secret.chmod(0o444)
    password = secret.read_text(encoding="utf-8").strip()
    try:
        with Project(world, "auth", FILE, AUTH) as project:
            box = project.box()
            box.ready()
            import base64
            basic = f"Authorization: Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}"
            same("protected API without", box.http("/v1/engines/auth-status")[0], 401)
            same("terminal without", box.http("/", 7681)[0], 401)
            same("terminal with", box.http("/", 7681, headers=[basic])[0], 200)
            check(box.http("/v1/engines/auth-status", headers=[basic])[0] == 200, "API with credentials")
            check(password not in json.dumps(json.loads(world.engine.docker("inspect", box.name).out)[0]["Config"]),
                  "the password is in the container's configuration")
            return "401 without credentials, in with them; the password is in no environment"
    finally:
        if made:
            secret.unlink()
            secret.parent.rmdir()
