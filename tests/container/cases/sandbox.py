"""The real codex from npm: which seccomp profile lets its own sandbox work, in Docker and under a real kubelet, and its login.

Everything else is as production has it: uid 10001, no capability, no new privileges, a read-only root.
"""

import json
import os
import re

from suite import host
from suite.cases import Skip, case, check, same
from suite.shell import wait_for

from cases.kubernetes import Node, static_pod

PROFILE = host.REPO / "image/seccomp/skill-runner.json"
STRICT = ("--user", "10001:10001", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only", "--tmpfs", "/tmp",
          "--tmpfs", "/data:uid=10001")
# Patience for a loaded machine, not a claim.
PATIENT = ("-e", "SKILL_INIT_CHECK_TIMEOUT=180s", "-e", "SKILL_INIT_NPM_TIMEOUT=10m", "-e", "SKILL_INIT_ENGINES=codex")
NO_REGISTRY = "ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ERR_SOCKET|code E[45][0-9][0-9]|no end within"
ASK = ("skill-init", "agents", "sandbox", "--fresh", "--json")


def codex(world):
    """The cache folder of a container in which its own `agents ensure` has installed codex; kept between runs."""
    folder = host.CACHE / "codex"
    folder.mkdir(exist_ok=True)
    os.chown(folder, 10001, 10001)
    done = world.run(*PATIENT, "-v", f"{folder}:/opt/cache", world.image, "skill-init", "agents", "ensure", "codex",
                     network="host", check=False, timeout=900)
    words = done.out + done.err
    if done.code != 0 and re.search(NO_REGISTRY, words):
        raise Skip(f"codex is not to be had from the npm registry: {words[-300:]}")
    same(f"exit of agents ensure codex ({words[-500:]})", done.code, 0)
    return folder


def verdict(text):
    """(confined, the evidence) of codex, from the JSON of `agents sandbox`."""
    told = json.loads(text)["engines"]["codex"]
    return told["confined"], f"{told['mechanism']}: {told['evidence']}; flags {' '.join(told['flags'])}"


@case("sandbox: codex confines itself under the project's seccomp profile, and not under Docker's default", limit=1800)
def docker(world):
    """The form of docs/sandbox.md."""
    folder, words = codex(world), []
    for name, options, confined in (("Docker's default", (), False),
                                    ("the project's profile", ("--security-opt", f"seccomp={PROFILE}"), True)):
        done = world.run(*STRICT, *PATIENT, *options, "-v", f"{folder}:/opt/cache", "--entrypoint", "/sbin/skill-init",
                         world.image, *ASK[1:], check=False, timeout=600)
        check(done.out, f"{name}: no verdict: {done.err[-500:]}")
        got, evidence = verdict(done.out)
        same(f"{name}: confined ({evidence})", got, confined)
        words.append(f"{name}: {'confined' if got else 'not confined'}, {evidence}")
    return " / ".join(words)


@case("sandbox: under a real kubelet codex confines itself with the Localhost profile, and not with RuntimeDefault",
      limit=2700)
def kubelet(world):
    """The hardened overlay's pod, and the same with the fallback that docs/kubernetes.md names."""
    folder, words = codex(world), []
    with Node(world, world.image) as node:
        for kind, confined in (("Localhost", True), ("RuntimeDefault", False)):
            pod = static_pod(world, world.folder("pod"), "hardened", ready={"cache": folder})
            own = pod["spec"]["securityContext"]["seccompProfile"]
            same("the overlay's profile", own, {"type": "Localhost", "localhostProfile": "skill-runner.json"})
            if kind != "Localhost":
                pod["spec"]["securityContext"]["seccompProfile"] = {"type": kind}
            pod["spec"]["containers"][0]["env"] += [{"name": n, "value": v} for n, v in (
                pair.split("=", 1) for pair in PATIENT[1::2])]
            node.kubelet.place(pod)
            wait_for(f"{kind}: ready", lambda: (node.kubelet.container("hardened") or {}).get("ready"), 600)
            name, shown = node.inspect()
            check(shown["HostConfig"]["ReadonlyRootfs"], "the root is writable")
            state = dict(line.split(":\t", 1) for line in
                         node.engine.docker("exec", name, "cat", "/proc/1/status").out.splitlines() if ":\t" in line)
            same("uid, capabilities, no_new_privs and seccomp mode of PID 1",
                 (state["Uid"].split()[0], state["CapBnd"], state["NoNewPrivs"], state["Seccomp"]), ("10001", "0" * 16, "1", "2"))
            done = node.engine.docker("exec", name, *ASK, check=False, timeout=600)
            check(done.out, f"{kind}: no verdict: {done.err[-500:]}")
            got, evidence = verdict(done.out)
            same(f"{kind}: confined ({evidence})", got, confined)
            words.append(f"{kind}: {'confined' if got else 'not confined'}, {evidence}")
            node.kubelet.remove()
    return " / ".join(words)


@case("exec: the real codex, logged in from bash in the container, is ready for the service and stays so after a restart")
def login(world):
    """`docker exec ... bash`, `codex login`: with a key, the form that asks no server."""
    home, data = world.volume(), world.volume()
    # codex itself is read from the folder; the agents' home is a volume, as the documents have it.
    mounts = ("-v", f"{codex(world)}:/opt/cache", "-v", f"{home}:/opt/cache/skill-runner/agent-home", "-v", f"{data}:/data")
    quiet = ("-e", "SKILL_INIT_ENSURE=off", *PATIENT)
    with world.start(*quiet, *mounts) as box:
        box.ready()
        before = json.loads(box.exec("skill-init", "agents", "auth", "--json", check=False).out)["codex"]
        check(not before["auth_ready"], f"ready before the login: {before}")
        box.exec("bash", "-ic", "echo sk-of-the-suite | codex login --with-api-key")
        same("mode and owner", box.sh("stat -c '%a %u' $HOME/.codex/auth.json"), "600 10001")
    with world.start(*quiet, *mounts) as box:
        box.ready()
        done = box.exec("skill-init", "agents", "auth", "--json", check=False)
        after = json.loads(done.out)["codex"]
        check(after["auth_ready"], f"not ready after the login: {after}")
        check("sk-of-the-suite" not in done.out + done.err + box.logs(), "the key is shown")
        return f"before: {before['reasons'][0][:120]}; after a restart: ready"
