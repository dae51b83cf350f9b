"""The same binary in an existing image that has its own Python worker and its own entry point (docs/drop-in.md)."""

import json
import pathlib

from suite import host
from suite.cases import case, check, same
from suite.shell import wait_for

TAG = "existing-skill-runner:test"
# Laid out as the old image is: /app/server/main.py, uvicorn in /opt/venv, root as its user, a shell entry point.
MAIN = '''import json, os
from fastapi import FastAPI
app = FastAPI()
@app.get("/")
def root():
    return {"worker": "python", "env": dict(os.environ), "cwd": os.getcwd(), "uid": os.getuid()}
'''


def existing(world):
    """An image like the old one: made from ours minus skill-init."""
    folder = host.clean_dir(pathlib.Path(world.folder("existing")) / "context")
    (folder / "server").mkdir()
    (folder / "server/main.py").write_text(MAIN, encoding="utf-8")
    (folder / "server/__init__.py").write_text("", encoding="utf-8")
    (folder / "Dockerfile").write_text(
        f"FROM {world.image}\nUSER 0\n"
        "RUN rm -f /usr/sbin/skill-init /usr/sbin/skill-api /usr/local/bin/skill-init /usr/local/bin/skill-api \\\n"
        " && /opt/venv/bin/pip install --no-cache-dir uvicorn fastapi && chown -R 0:0 /app /data /opt/cache /opt/config\n"
        "COPY server /app/server\n"
        "ENV SKILL_INIT_USER= HOME=/root\nHEALTHCHECK NONE\n"
        'ENTRYPOINT ["/bin/sh", "-c", "exec uvicorn server.main:app --host 0.0.0.0 --port 8000"]\n', encoding="utf-8")
    world.engine.docker("build", "--network", "host", "-t", TAG, folder, timeout=600)
    return TAG


@case("drop-in: skill-init mounted into an existing image runs its Python worker, as its user, with the plan's numbers")
def mounted(world):
    """No rebuild: `-v skill-init:/sbin/skill-init --entrypoint /sbin/skill-init IMAGE entrypoint`."""
    image = existing(world)
    binary = host.CACHE / "context/target/dist/skill-init"
    with world.start("-v", f"{binary}:/sbin/skill-init:ro", "--entrypoint", "/sbin/skill-init", "-e",
                     "SKILL_INIT_ENSURE=off", "-e", "SKILL_RUNNER_CPU_FACTOR=8", "--cpus", "0.5", image=image,
                     command=("entrypoint",)) as box:
        box.ready()
        status, body = box.http("/")
        same("GET /", status, 200)
        shown = json.loads(body)
        same("worker", shown["worker"], "python")
        same("working directory", shown["cwd"], "/app")
        same("uid (the image's own user: SKILL_INIT_USER is unset)", shown["uid"], 0)
        plan = box.status()["concurrency"]["max_concurrent"]
        same("SKILL_RUNNER_MAX_CONCURRENT", shown["env"].get("SKILL_RUNNER_MAX_CONCURRENT"), str(plan))
        same("the cap that an older worker obeys", shown["env"].get("SKILL_RUNNER_MAX_CONCURRENT_HARD_CAP"), str(plan))
        check(shown["env"].get("LANDLOCK_ENABLED") in ("0", "1"), "LANDLOCK_ENABLED")
        services = {s["name"] for s in box.status()["services"]}
        check("ttyd" not in services, f"ttyd is supervised beside a worker that starts its own: {services}")
        same("exit", box.stop(), 0)
        return f"uvicorn under skill-init, {plan} runs, no ttyd of ours, exit 0"


@case("drop-in: built into the image with two lines, with SKILL_INIT_USER it repairs and drops rights")
def built_in(world):
    """FROM existing / COPY / ENTRYPOINT."""
    image = existing(world)
    folder = host.clean_dir(pathlib.Path(world.folder("built")) / "context")
    import shutil
    shutil.copy(host.CACHE / "context/target/dist/skill-init", folder)
    (folder / "Dockerfile").write_text(f"FROM {image}\nCOPY skill-init /sbin/skill-init\n"
                                       'ENTRYPOINT ["/sbin/skill-init", "entrypoint"]\n', encoding="utf-8")
    tag = "existing-skill-runner:with-init"
    world.engine.docker("build", "-t", tag, folder, timeout=300)
    with world.start("-e", "SKILL_INIT_ENSURE=off", "-e", "SKILL_INIT_USER=10001:10001", image=tag) as box:
        box.ready()
        shown = json.loads(wait_for("the worker answers", lambda: box.http("/")[1]))
        same("uid of the worker", shown["uid"], 10001)
        same("owner of /data", box.sh("stat -c %u /data"), "10001")
        return "worker as 10001, /data repaired"
