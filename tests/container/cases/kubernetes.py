"""The manifests: strictly valid, and their pod under a real kubelet."""

import base64
import json
import math
import pathlib
import re
import textwrap
import urllib.error
import urllib.request

from suite import codex, host, kubernetes, plugins
from suite.cases import case, check, same
from suite.shell import CommandError, run, wait_for

from cases import dropin

OVERLAYS = ("default", "hardened", "resized", "python-worker")
NEWEST, OLDEST = "1.37", "1.30"


def rendered(overlay):
    """What `kubectl apply -k` would send, as objects."""
    return kubernetes.parse(plugins.kustomize(host.REPO / "healthcheck/overlays" / overlay))


def pod_of(objects):
    """The pod template of the stateful set."""
    return next(o for o in objects if o["kind"] == "StatefulSet")["spec"]["template"]


@case("kubernetes: every overlay validates strictly against the published schemas")
def schemas(_world):
    """Unknown fields are errors; a typo is caught."""
    program = kubernetes.validator()
    count = 0
    for overlay in OVERLAYS:
        path = host.CACHE / f"rendered-{overlay}.yaml"
        text = plugins.kustomize(host.REPO / "healthcheck/overlays" / overlay)
        path.write_text(text, encoding="utf-8")
        for version in (NEWEST, OLDEST):
            count += run([program, "--strict", "-k", version, path]).out.count(" passed for ")
        typo = text.replace("livenessProbe:", "livenessProb:")
        path.write_text(typo, encoding="utf-8")
        check(run([program, "--strict", path], check=False).code != 0, "a typo passes: the check checks nothing")
    return f"{count} objects, {len(OVERLAYS)} overlays, schemas {OLDEST} and {NEWEST}; livenessProb: is refused"


@case("kubernetes: grace periods, probes and rights fit together in every overlay")
def coherent(_world):
    """What no schema knows."""
    for overlay in OVERLAYS:
        spec = pod_of(rendered(overlay))["spec"]
        box = spec["containers"][0]
        env = {e["name"]: e.get("value") for e in box["env"]}
        stop, drain = (int(env[n].rstrip("s")) for n in ("SKILL_INIT_STOP_GRACE", "SKILL_INIT_DRAIN"))
        check(drain < stop < spec["terminationGracePeriodSeconds"], f"{overlay}: {drain} < {stop} < grace")
        for name, path in (("startupProbe", "/startupz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            same(f"{overlay} {name}", box[name]["httpGet"], {"path": path, "port": "health"})
        check(spec["securityContext"]["runAsNonRoot"], f"{overlay} may run as root")
        same(f"{overlay} capabilities", box["securityContext"]["capabilities"], {"drop": ["ALL"]})
        mounted = {m["name"] for m in box["volumeMounts"]}
        check({"data", "cache", "credentials"} <= mounted, f"{overlay}: {mounted}")
    return ", ".join(OVERLAYS)


def static_pod(world, directory, overlay, image=None, ready=()):
    """An overlay's pod as a kubelet without an API server can run it: claims and Secrets become folders, and the network
    is the host's. Probes, rights, resources, environment and the grace period stay as they are. `ready` names folders that
    are there already, by volume."""
    template = pod_of(rendered(overlay))
    spec = json.loads(json.dumps(template["spec"]))
    box = spec["containers"][0]
    box["image"], box["imagePullPolicy"] = image or world.image, "Never"
    for first in spec.get("initContainers", []):
        first["image"], first["imagePullPolicy"] = world.image, "Never"
    box["env"] = [e for e in box["env"] if e["name"] != "SKILL_INIT_HTTP_ADDR"]
    # On the host's network: ports that nobody else on this machine is likely to hold, on loopback.
    ports = {"http": 18000, "terminal": 17681, "health": 18079}
    for port in box["ports"]:
        port["containerPort"] = ports[port["name"]]
    box["env"] += [{"name": n, "value": v} for n, v in (
        ("PORT", "18000"), ("UI_SHELL_TTYD_PORT", "17681"), ("SKILL_INIT_HTTP_ADDR", "127.0.0.1:18079"),
        ("SKILL_INIT_API_HOST", "127.0.0.1"), ("UI_SHELL_TTYD_BIND_HOST", "127.0.0.1"), ("SKILL_INIT_ENSURE", "off"))]
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        box[name]["httpGet"]["host"] = "127.0.0.1"
    directory = pathlib.Path(directory)
    directory.chmod(0o755)
    empty = [v for v in spec["volumes"] if "emptyDir" in v and v["name"] != "skills"]
    folders = {m["name"]: directory / m["name"] for m in box["volumeMounts"]}
    folders.update(ready)
    for volume in empty:
        folders.pop(volume["name"])
    for path in folders.values():
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
    if "ui-auth" in folders:
        (folders["ui-auth"] / "password").write_text(PASSWORD, encoding="utf-8")
    spec["volumes"] = [*empty, *({"name": n, "hostPath": {"path": str(p)}} for n, p in folders.items())]
    spec["hostNetwork"] = True
    spec.pop("hostUsers", None)  # a kubelet of that age does not know it
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": overlay, "namespace": "default"}, "spec": spec}


PASSWORD = "of-the-suite"


def get(path, credentials=None):
    """(status, body) from the pod's API, which is on the host's loopback."""
    request = urllib.request.Request(f"http://127.0.0.1:18000{path}")
    if credentials:
        request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


class Node:
    """An engine of its own, with the images, and a kubelet on it."""

    def __init__(self, world, *images):
        from suite.engine import Engine
        wrapper = pathlib.Path(kubernetes.__file__).with_name("modest-runc")
        self.world, self.images = world, images
        self.engine = Engine("kubelet-engine", extra=["--add-runtime", f"modest={wrapper}", "--default-runtime", "modest"])

    def __enter__(self):
        kubernetes.binary()
        self.engine.start()
        try:
            for image in self.images:
                _carry_image(self.world.engine, self.engine, image)
            kubernetes.pause_image(self.engine, self.world.image, host.CACHE / "context/target/dist/skill-init")
            self.kubelet = kubernetes.Kubelet(self.engine)
            self.kubelet.__enter__()
        except BaseException:
            self.engine.stop()
            raise
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and issubclass(kind, (AssertionError, CommandError)):
            value.container_log = self.engine.docker("ps", "-a", check=False).out + self.log()
        try:
            self.kubelet.__exit__(kind, value, trace)
        finally:
            self.engine.stop()

    def log(self):
        """What the newest container of the pod wrote."""
        names = self.engine.docker("ps", "-aq", "-f", "label=io.kubernetes.container.name=api", check=False).out.split()
        if not names:
            return ""
        shown = self.engine.docker("logs", "--tail", "30", names[0], check=False)
        return shown.out + shown.err

    def inspect(self):
        """`docker inspect` of the pod's container."""
        name = self.engine.docker("ps", "-q", "-f", "label=io.kubernetes.container.name=api").text.split()[0]
        return name, json.loads(self.engine.docker("inspect", name).out)[0]


@case("kubernetes: the pods of the hardened, the resized and the Python worker's overlay get ready under a real kubelet",
      limit=2700)
def overlays(world):
    """Each with what it is there for."""
    existing = dropin.existing(world)
    words = []
    with Node(world, world.image, existing) as node:
        for overlay, image in (("hardened", None), ("resized", None), ("python-worker", existing)):
            node.kubelet.place(static_pod(world, world.folder("pod"), overlay, image))
            seen = []
            wait_for(f"{overlay}: ready",
                     lambda o=overlay, s=seen: _see(node.kubelet, o, s, lambda x: x["started"] and x["ready"]), 600)
            name, shown = node.inspect()
            if overlay == "hardened":
                same("/ without credentials, for health checks", get("/")[0], 200)
                check(shown["HostConfig"]["ReadonlyRootfs"], "the root is writable")
                check("seccomp" in str(shown["HostConfig"]["SecurityOpt"]), f"{shown['HostConfig']['SecurityOpt']}")
                for path in ("/v1/skills", "/v1/engines"):
                    same(f"{path} without credentials", get(path)[0], 401)
                    same(f"{path} with", get(path, f"admin:{PASSWORD}")[0], 200)
                words.append("hardened: read-only, seccomp profile, 401 without the Secret's password")
            elif overlay == "resized":
                same("memory limit", shown["HostConfig"]["Memory"], 8 << 30)
                told = json.loads(node.engine.docker("exec", name, "skill-init", "config", "--json").out)["settings"]
                same("SKILL_INIT_TICK", told["SKILL_INIT_TICK"]["value"], "5s")
                words.append("resized: 8 GiB, looks every 5 s")
            else:
                worker = json.loads(get("/")[1])
                same("worker and its uid", (worker["worker"], worker["uid"]), ("python", 10001))
                words.append("python-worker: uvicorn of the existing image as 10001")
            node.kubelet.remove()
    return "; ".join(words)


@case("kubernetes: the pod of the manifests under a real kubelet: started, ready, unready, restarted on liveness, stopped",
      limit=2700)
def kubelet(world):
    """Static pod, the manifests' own probes."""
    with Node(world, world.image) as machine:
        node, engine = machine.kubelet, machine.engine
        node.place(static_pod(world, world.folder("pod"), "default"))
        seen = []
        wait_for("started and ready", lambda: _see(node, "default", seen, lambda s: s["started"] and s["ready"]), 600)
        name, shown = machine.inspect()
        same("user", shown["Config"]["User"], "10001:10001")
        same("memory limit", shown["HostConfig"]["Memory"], 4 << 30)
        check("no-new-privileges" in str(shown["HostConfig"]["SecurityOpt"]), f"{shown['HostConfig']['SecurityOpt']}")
        engine.docker("exec", name, "skill-init", "stop", "api")
        wait_for("unready while the worker is down", lambda: _see(node, "default", seen, lambda s: not s["ready"]), 600)
        engine.docker("exec", name, "skill-init", "start", "api")
        wait_for("ready again", lambda: _see(node, "default", seen, lambda s: s["ready"]), 600)
        # The probe's own target goes away: liveness fails and the kubelet restarts the container.
        engine.docker("exec", name, "skill-init", "stop", "gateway")
        wait_for("restarted by liveness", lambda: _see(node, "default", seen, lambda s: s["restartCount"] >= 1), 600)
        last = wait_for("ready after the restart",
                        lambda: _see(node, "default", seen, lambda s: s["restartCount"] >= 1 and s["ready"]), 600)
        ended = (last.get("lastState") or {}).get("terminated") or {}
        same("exit code of the stopped container", ended.get("exitCode"), 0)
    return " -> ".join(seen)


def _see(node, pod, seen, wanted):
    status = node.container(pod)
    if status is None:
        return None
    words = f"started={status['started']} ready={status['ready']} restarts={status['restartCount']}"
    if not seen or seen[-1] != words:
        seen.append(words)
    return status if wanted(status) else None


def _carry_image(source, target, tag):
    if target.docker("image", "inspect", "-f", "{{.Id}}", tag, check=False).text == \
            source.docker("image", "inspect", "-f", "{{.Id}}", tag).text:
        return
    path = host.CACHE / "image.tar"
    source.docker("save", "-o", path, tag, timeout=600)
    target.docker("load", "-i", path, timeout=600)
    path.unlink()


GATE = "/tmp/go"
JOB = {"skill_id": "hello", "engine": "codex", "input": {"name": "Ada"}}


def replicas(queued, ready, target):
    """What the autoscaler wants for an average value over the ready pods (its documented formula)."""
    return math.ceil(queued / ready / target) or 1


@case("kubernetes: the autoscaler's metric: the name that the adapter's rule asks for, rising with the queue and falling again")
def autoscaled(world):
    """Read by Prometheus' own library; runs of a stand-in that waits to be let go, one at a time."""
    scaler = next(o for o in rendered("default") if o["kind"] == "HorizontalPodAutoscaler")["spec"]
    wanted = scaler["metrics"][0]["pods"]
    name, target = wanted["metric"]["name"], float(wanted["target"]["averageValue"])
    page = (host.REPO / "docs/kubernetes.md").read_text(encoding="utf-8")
    rule = kubernetes.parse(textwrap.dedent(re.search(r"^    rules:\n(?:     .*\n)+", page, re.M).group()))[0]["rules"][0]
    same("the series of the adapter's rule", rule["seriesQuery"].split("{")[0], name)
    with world.start("-e", "SKILL_INIT_ENSURE=off", "-e", "SKILL_RUNNER_MAX_CONCURRENT_HARD_CAP=1") as box:
        box.ready()
        box.exec("sh", "-c", "mkdir -p $NPM_CONFIG_PREFIX/bin && printf '%s' \"$1\" > $NPM_CONFIG_PREFIX/bin/codex && "
                 "chmod +x $NPM_CONFIG_PREFIX/bin/codex", "sh", codex.stand_in(GATE))

        def look():
            status, body = box.http("/metrics")
            same("GET /metrics", status, 200)
            return kubernetes.samples(body)

        same("at rest", look()[name], ("gauge", 0.0))
        ids = []
        for _ in range(5):
            status, body = box.http("/v1/jobs", method="POST", body=json.dumps(JOB), headers=["Content-Type: application/json"])
            same(f"POST /v1/jobs ({body[:200]})", status, 200)
            ids.append(json.loads(body)["request_id"])
        seen = wait_for("one runs, four wait", lambda: _samples_are(look(), {name: 4.0, "skill_runner_jobs_running": 1.0}))
        more = replicas(seen[name][1], 1, target)
        same("replicas wanted for it", more, min(2, scaler["maxReplicas"]))
        box.sh(f"touch {GATE}")
        wait_for("none waits, none runs", lambda: _samples_are(look(), {name: 0.0, "skill_runner_jobs_running": 0.0}), 600)
        same("replicas wanted then", replicas(0.0, more, target), scaler["minReplicas"])
        ends = {json.loads(box.http(f"/v1/jobs/{job}")[1])["status"] for job in ids}
        same("how the runs ended", ends, {"succeeded"})
        return f"{name}, a gauge: 0, then 4 ({more} replicas wanted), then 0; five runs succeeded"


def _samples_are(found, wanted):
    return found if all(found[name][1] == value for name, value in wanted.items()) else None
