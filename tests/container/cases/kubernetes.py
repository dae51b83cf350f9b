"""The manifests: strictly valid, and their pod under a real kubelet."""

import json
import pathlib

from suite import host, kubernetes, plugins
from suite.cases import case, check, same
from suite.shell import CommandError, run, wait_for

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


def static_pod(world, directory):
    """The default overlay's pod as a kubelet without an API server can run it: claims become folders, no Secret, the
    host's network. Probes, rights, resources, environment and the grace period stay as they are."""
    template = pod_of(rendered("default"))
    spec = json.loads(json.dumps(template["spec"]))
    box = spec["containers"][0]
    box["image"], box["imagePullPolicy"] = world.image, "Never"
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
    folders = {}
    for name in ("data", "cache", "skills", "credentials"):
        folders[name] = pathlib.Path(directory) / name
        folders[name].mkdir()
        folders[name].chmod(0o777)
    spec["volumes"] = [{"name": n, "hostPath": {"path": str(p)}} for n, p in folders.items()]
    spec["hostNetwork"] = True
    spec.pop("seccompProfile", None)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "skill-runner", "namespace": "default"}, "spec": spec}


@case("kubernetes: the pod of the manifests under a real kubelet: started, ready, unready, restarted on liveness, stopped",
      limit=2700)
def kubelet(world):
    """Static pod, the manifests' own probes."""
    from suite.engine import Engine
    wrapper = pathlib.Path(kubernetes.__file__).with_name("modest-runc")
    engine = Engine("kubelet-engine", extra=["--add-runtime", f"modest={wrapper}", "--default-runtime", "modest"])
    kubernetes.binary()
    engine.start()
    try:
        _carry_image(world.engine, engine, world.image)
        kubernetes.pause_image(engine, world.image, host.CACHE / "context/target/dist/skill-init")
        with kubernetes.Kubelet(engine) as node:
            node.place(static_pod(world, world.folder("pod")))
            seen = []
            wait_for("started and ready", lambda: _see(node, seen, lambda s: s["started"] and s["ready"]), 180)
            name = engine.docker("ps", "-q", "-f", "label=io.kubernetes.container.name=api").text.split()[0]
            shown = json.loads(engine.docker("inspect", name).out)[0]
            same("user", shown["Config"]["User"], "10001:10001")
            same("memory limit", shown["HostConfig"]["Memory"], 4 << 30)
            check("no-new-privileges" in str(shown["HostConfig"]["SecurityOpt"]), f"{shown['HostConfig']['SecurityOpt']}")
            engine.docker("exec", name, "skill-init", "stop", "api")
            wait_for("unready while the worker is down", lambda: _see(node, seen, lambda s: not s["ready"]), 120)
            engine.docker("exec", name, "skill-init", "start", "api")
            wait_for("ready again", lambda: _see(node, seen, lambda s: s["ready"]), 120)
            # The probe's own target goes away: liveness fails and the kubelet restarts the container.
            engine.docker("exec", name, "skill-init", "stop", "gateway")
            wait_for("restarted by liveness", lambda: _see(node, seen, lambda s: s["restartCount"] >= 1), 240)
            last = wait_for("ready after the restart",
                            lambda: _see(node, seen, lambda s: s["restartCount"] >= 1 and s["ready"]), 240)
            ended = (last.get("lastState") or {}).get("terminated") or {}
            same("exit code of the stopped container", ended.get("exitCode"), 0)
        return " -> ".join(seen)
    except (AssertionError, CommandError) as fault:
        fault.container_log = engine.docker("ps", "-a", check=False).out
        raise
    finally:
        engine.stop()


def _see(node, seen, wanted):
    status = node.container()
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


@case("kubernetes: the autoscaler's metric is one that the worker serves")
def autoscaled(world):
    """By name, in the worker's /metrics."""
    scaler = next(o for o in rendered("default") if o["kind"] == "HorizontalPodAutoscaler")
    name = scaler["spec"]["metrics"][0]["pods"]["metric"]["name"]
    with world.start("-e", "SKILL_INIT_ENSURE=off") as box:
        box.ready()
        status, body = box.http("/metrics")
        same("GET /metrics", status, 200)
        line = next((x for x in body.splitlines() if x.startswith(f"{name} ")), None)
        check(line is not None, f"{name} is not served: {body[:300]}")
        return line
