"""A real kubelet for the manifests' pod, and the published schemas for all of them.

The kubelet is built once from Debian's own source package (complete with its dependencies, so it needs no module proxy)
and runs static pods on an engine of its own, without an API server. It is of 2020: only the pod's part that it knows is
exercised; the rest is checked against the schemas.
"""

import json
import os
import pathlib
import shutil
import subprocess
import urllib.request

from . import host
from .shell import run, timed, wait_for

RELEASE = "bookworm"
VERSION = "1.20.2"
PAUSE = "skill-init-pause:1"
NODE = "node1"
READ_ONLY_PORT = 10255

# What the kubelet would set on the machine: it gets private copies instead.
SYSCTLS = {"vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10, "kernel/panic_on_oops": 1,
           "kernel/keys/root_maxkeys": 1000000, "kernel/keys/root_maxbytes": 25000000}


def binary():
    """The kubelet, built on first use (about three minutes on two cores)."""
    out = host.CACHE / f"kubelet-{VERSION}"
    if not out.exists():
        timed("kubelet", lambda: _build(out))
    return out


def _build(out):
    if not shutil.which("go"):
        host.apt_install(["golang-go"])
    # Kept when it does not get to its end, so that the next try goes on from Go's build cache.
    work = host.CACHE / "kubelet-work"
    tree = work / "gopath/src/k8s.io/kubernetes"
    if not (work / "unpacked").exists():
        host.clean_dir(work)
        host.ForeignSuite(RELEASE, source=True).source("kubernetes", work)
        tree.mkdir(parents=True)
        run(["tar", "-xzf", next(work.glob("kubernetes_*.orig.tar.gz")), "-C", tree, "--strip-components=1"], timeout=300)
        (work / "unpacked").touch()
    packages = ("k8s.io/kubernetes/vendor/k8s.io/component-base/version",
                "k8s.io/kubernetes/vendor/k8s.io/client-go/pkg/version")
    stamp = " ".join(f"-X {p}.gitVersion=v{VERSION} -X {p}.gitMajor=1 -X {p}.gitMinor=20" for p in packages)
    run(["nice", "go", "build", "-o", work / "kubelet", "-ldflags", f"-s -w {stamp}", "./cmd/kubelet"], cwd=tree,
        timeout=2400, env={"GOPATH": str(work / "gopath"), "GOCACHE": str(work / "gocache"), "GO111MODULE": "off",
                           "GOPROXY": "off", "GOFLAGS": ""})
    (work / "kubelet").rename(out)
    shutil.rmtree(work, ignore_errors=True)


def pause_image(engine, base_image, init):
    """A pause container: the bare init over `sleep`, no registry needed."""
    folder = host.clean_dir(host.CACHE / "pause")
    shutil.copy(init, folder / "skill-init")
    (folder / "Dockerfile").write_text(
        f"FROM {base_image}\nCOPY skill-init /sbin/skill-init\n"
        'ENTRYPOINT ["/sbin/skill-init", "--", "sleep", "infinity"]\n', encoding="utf-8")
    engine.docker("build", "-q", "-t", PAUSE, folder, timeout=300)


class Kubelet:
    """One kubelet over one engine; static pods from `pods`."""

    def __init__(self, engine):
        self.engine = engine
        self.dir = host.clean_dir(host.CACHE / "kubelet-state")
        self.pods = self.dir / "pods"
        self.pods.mkdir()
        # What docs/kubernetes.md has an operator put on the nodes.
        (self.dir / "seccomp").mkdir()
        shutil.copy(host.REPO / "image/seccomp/skill-runner.json", self.dir / "seccomp")
        self.process = None

    def __enter__(self):
        kubelet = binary()
        copies = self.dir / "sysctl"
        copies.mkdir()
        mounts = []
        for index, (name, value) in enumerate(SYSCTLS.items()):
            target = pathlib.Path("/proc/sys") / name
            if target.exists():
                (copies / str(index)).write_text(f"{value}\n", encoding="utf-8")
                mounts.append(f"mount --bind {copies / str(index)} {target}")
        flags = [
            f"--pod-manifest-path={self.pods}", "--container-runtime=docker",
            f"--docker-endpoint=unix://{self.engine.socket}", f"--pod-infra-container-image={PAUSE}",
            f"--root-dir={self.dir}/root", f"--cert-dir={self.dir}/pki", "--cgroup-driver=cgroupfs",
            "--cgroups-per-qos=false", "--enforce-node-allocatable=", "--address=127.0.0.1",
            f"--read-only-port={READ_ONLY_PORT}", "--healthz-bind-address=127.0.0.1", "--healthz-port=10248",
            "--port=10250", "--anonymous-auth=true", "--authorization-mode=AlwaysAllow",
            "--make-iptables-util-chains=false", "--fail-swap-on=false", f"--hostname-override={NODE}",
            "--file-check-frequency=1s", "--sync-frequency=1s", "--image-gc-high-threshold=100",
            "--image-gc-low-threshold=99", "--eviction-hard=", "--oom-score-adj=0",
            f"--experimental-dockershim-root-directory={self.dir}/dockershim",
            f"--seccomp-profile-root={self.dir}/seccomp", f"--volume-plugin-dir={self.dir}/plugins",
            f"--cni-conf-dir={self.dir}/cni", "--v=2"]
        script = "set -e; " + "; ".join([*mounts, 'exec "$@"'])
        self.log = open(self.dir / "kubelet.log", "wb")
        self.process = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "bash", "-c", script, "bash", str(kubelet), *flags],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True, env=dict(os.environ))
        return self

    def __exit__(self, *_):
        for path in self.pods.iterdir():
            path.unlink()
        try:
            wait_for("the pods are gone", lambda: not self.engine.docker("ps", "-q").text, 300)
        except AssertionError:
            pass  # the engine's own clean-up removes them
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_words(self):
        """The end of its log."""
        return (self.dir / "kubelet.log").read_text(errors="replace")[-4000:]

    def place(self, pod):
        """Hand it a static pod."""
        part = self.pods / ".pod.json"
        part.write_text(json.dumps(pod), encoding="utf-8")
        part.rename(self.pods / "pod.json")

    def remove(self):
        """Take the pod away and wait until its containers are gone."""
        (self.pods / "pod.json").unlink()
        wait_for("the pod is gone", lambda: not self.engine.docker("ps", "-q").text, 300)

    def container(self, pod):
        """Status of the first container of the pod of this name, or None."""
        if self.process.poll() is not None:
            raise AssertionError(f"the kubelet ended with {self.process.returncode}: {self.last_words()}")
        with urllib.request.urlopen(f"http://127.0.0.1:{READ_ONLY_PORT}/pods", timeout=60) as answer:
            items = json.load(answer)["items"] or []
        for item in items:
            if item["metadata"]["name"] != f"{pod}-{NODE}":
                continue
            for status in item["status"].get("containerStatuses", []):
                return status
        return None


def documents(text):
    """The documents of a YAML stream as objects (through kubectl's own reading where that is needed)."""
    return [part for part in text.split("\n---\n") if part.strip()]


def validator():
    """The program `kubernetes-validate`."""
    return host.python_with("kubernetes-validate") / "kubernetes-validate"


def parse(text):
    """YAML to objects, by the library in the validator's environment: the suite itself has none."""
    script = "import sys, json, yaml; json.dump([d for d in yaml.safe_load_all(sys.stdin) if d], sys.stdout)"
    return json.loads(run([validator().parent / "python", "-c", script], stdin=text).out)


def samples(exposition):
    """{name: (type, value)} of a text in Prometheus' format, as its own library reads it; each series is without labels."""
    script = ("import sys, json\nfrom prometheus_client.parser import text_string_to_metric_families as parse\n"
              "json.dump([[s.name, f.type, s.labels, s.value] for f in parse(sys.stdin.read()) for s in f.samples], sys.stdout)")
    rows = json.loads(run([host.python_with("prometheus-client") / "python", "-c", script], stdin=exposition).out)
    labelled = [row for row in rows if row[2]]
    if labelled:
        raise AssertionError(f"labels on {labelled}")
    return {name: (kind, value) for name, kind, _, value in rows}
