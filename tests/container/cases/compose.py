"""The compose file, as a person uses it; only the network differs (no bridge here, each container its own loopback)."""

import base64
import json
import pathlib
import re

from suite import host, plugins
from suite.cases import Skip, case, check, same
from suite.container import Container
from suite.shell import run, wait_for

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

    def __init__(self, world, name, *files, override=NO_BRIDGE):
        self.world, self.name = world, name
        last = pathlib.Path(world.folder("compose")) / "no-bridge.yml"
        last.write_text(override, encoding="utf-8")
        self.files = [*files, last]

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


# One-off containers reach the package registry through this machine's network; a catalogue of their own has
# one small package in the agents' place.
ONE_OFF = NO_BRIDGE.replace("network_mode: none", "network_mode: host")
PACKAGE = "json5"  # small, without dependencies, brings a command that tells its version
OLD = "2.2.1"
CATALOGUE = """[engine.small]
package = "json5"
binary = "json5"
version = "{version}"
disk_mib = 1
dirs = [".small"]
"""


def offline(result):
    """Was it the network, not the product?"""
    return any(word in result.out + result.err for word in ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT"))


@case("compose: run --rm api sh -lc \"npm install -g PACKAGE\", then scripts/upgrade_agents.sh container, with the service down and up")
def upgrades(world):
    """As README and the script say, against the compose file with nothing changed but the network."""
    etc = pathlib.Path(world.folder("etc"))
    etc.chmod(0o755)
    (etc / "engines.toml").write_text(CATALOGUE, encoding="utf-8")
    override = ONE_OFF.replace("    network_mode: host\n", f"""    network_mode: host
    environment:
      PORT: "18000"
      UI_SHELL_TTYD_PORT: "17681"
      SKILL_INIT_HTTP_ADDR: 127.0.0.1:18079
      SKILL_INIT_API_HOST: 127.0.0.1
      UI_SHELL_TTYD_BIND_HOST: 127.0.0.1
      SKILL_INIT_ENSURE: "off"
      SKILL_INIT_ENGINES: small
      SKILL_INIT_CATALOGUE: /etc/skill-init/engines.toml
    volumes:
      - {etc}:/etc/skill-init:ro
""")
    project = Project(world, "upgrades", FILE, override=override)
    config = host.CACHE / "plugins"
    env = {**world.engine.env, "DOCKER_CONFIG": str(config), "COMPOSE_FILE": ":".join(map(str, project.files)),
           "COMPOSE_PROJECT_NAME": project.name, "SKILL_RUNNER_IMAGE": world.image}
    script = host.REPO / "scripts/upgrade_agents.sh"
    try:
        done = project("run", "--rm", "-T", "api", "sh", "-lc", f"npm install -g {PACKAGE}@{OLD}", check=False)
        if done.code != 0 and offline(done):
            raise Skip(f"no npm registry from inside a container: {done.err[-200:]}")
        same(f"exit of npm ({done.err[-400:]})", done.code, 0)
        found = project("run", "--rm", "-T", "api", "sh", "-lc", f"command -v {PACKAGE}; {PACKAGE} --version").out.split("\n")
        same("where it is", found[0], f"/opt/cache/skill-runner/npm/bin/{PACKAGE}")
        seen = [found[1]]
        for up in (False, True):
            if up:
                project("up", "-d", "--no-build")
                project("exec", "-T", "api", "skill-init", "wait", "--ready")
                project("exec", "-T", "api", "sh", "-lc", f"npm install -g {PACKAGE}@{OLD}")
            done = run(["sh", script, "container"], env=env, check=False, timeout=300)
            same(f"exit of the script, service {'up' if up else 'down'} ({(done.err + done.out)[-600:]})", done.code, 0)
            check(done.out.rstrip().endswith("Container upgrade done."), done.out)
            way = ("exec", "-T", "api") if up else ("run", "--rm", "-T", "api")
            version = project(*way, "sh", "-lc", f"{PACKAGE} --version").out.strip()
            check(version and version != seen[0], f"not upgraded: {version}")
            seen.append(version)
    finally:
        project("down", "-v", "-t", "5", check=False)
    return f"{seen[0]} installed in a one-off container, upgraded to {seen[1]} with the service down and up"


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
