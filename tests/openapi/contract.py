"""The worker of tests/openapi/run.sh, what it holds, and schemathesis over it.

Each round has a worker of its own under a fresh folder, with two skills, an ended job, an ended temporary run, an installed
package and an ended upgrade, so that reads have something to read. What is left out is named in `LEFT_OUT` with its reason.
"""

import argparse
import base64
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree
import zipfile

USER, PASSWORD = "me", "secret"
HANG = 120

LEFT_OUT = {
    # Operations that say 501 until they are served.
    "--exclude-tag": "engine login",
    # It would remove what the others read; tests/endpoints.rs asks it.
    "--exclude-path": "/v1/jobs/cleanup",
}

# A schema cannot say these, so what it allows may be refused: which of the engines there are, modes that a skill has, one field
# that depends on another, paths that are none, archives that are none, and that no run waits for its user.
SAYS_MORE = [
    "^/v1/(jobs|temp-skill-runs)$",
    "/(upload|install)$",
    "^/v1/engines/upgrades$",
    "/logs/range$",
    "/interaction/reply$",
    "^/v1/management/runs/{id}/file$",
]

CODEX = """#!/bin/sh
mkdir -p artifacts && echo hello >artifacts/note.txt
echo '{"type":"thread.started","thread_id":"t"}'
echo '{"type":"item.completed","item":{"id":"0","type":"agent_message","text":"{\\\\"answer\\\\": 42}"}}'
echo '{"type":"turn.completed"}'
"""


def skill(name, inputs):
    """The files of a skill, by path."""
    schema = {"type": "object", "required": []}
    schemas = {kind: f"assets/{kind}.schema.json" for kind in ("input", "parameter", "output")}
    runner = {"id": name, "version": "1.0.0", "execution_modes": ["auto"], "schemas": schemas}
    output = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
    files = {"runner.json": runner, "input.schema.json": inputs, "parameter.schema.json": schema, "output.schema.json": output}
    texts = {f"{name}/assets/{file}": json.dumps(content) for file, content in files.items()}
    return {f"{name}/SKILL.md": f"---\nname: {name}\ndescription: a test\n---\n# {name}\n", **texts}


INLINE = {"type": "object", "properties": {"topic": {"type": "string", "x-input-source": "inline"}}}
FILE = {"type": "object", "properties": {"paper": {"type": "string"}}, "required": ["paper"]}


def archive(files):
    """A zip of them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return out.getvalue()


class Worker:
    """The program over a folder, and questions to it."""

    def __init__(self, root, binaries, guarded):
        self.root, self.guarded = root, guarded
        for below in ("skills", "data", "agent-cache/npm/bin", "agent-cache/agent-home", "bin"):
            (root / below).mkdir(parents=True)
        for name, content in {**skill("echo", INLINE), **skill("reader", FILE)}.items():
            path = root / "skills" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.program(root / "agent-cache/npm/bin/codex", CODEX)
        # Beside the worker, where it looks first: an upgrade downloads nothing.
        self.program(root / "bin/skill-init", "#!/bin/sh\necho upgraded\n")
        shutil.copy(binaries / "skill-api", root / "bin/skill-api")
        (root / "data/agent_status.json").write_text(json.dumps({"codex": {"present": True, "version": "codex-cli 0.169.0"}}))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        auth = {"UI_BASIC_AUTH_ENABLED": "on", "UI_BASIC_AUTH_SCOPE": "all", "UI_BASIC_AUTH_USERNAME": USER, "UI_BASIC_AUTH_PASSWORD": PASSWORD}
        env = {
            "PATH": os.environ["PATH"],
            "PORT": str(port),
            "SKILL_INIT_API_HOST": "127.0.0.1",
            "SKILL_RUNNER_RUNTIME_MODE": "local",
            "SKILL_RUNNER_LOCAL_ROOT": str(root),
            **(auth if guarded else {}),
        }
        self.log = (root / "log").open("w+")
        self.process = subprocess.Popen([root / "bin/skill-api"], env=env, stdout=self.log, stderr=self.log)
        self.until("the worker is ready", self.alive)

    @staticmethod
    def program(path, text):
        path.write_text(text)
        path.chmod(0o755)

    def alive(self):
        try:
            return self.process.poll() is None and self.ask("/")
        except OSError:
            return None

    @staticmethod
    def until(what, ask):
        end = time.monotonic() + HANG
        while time.monotonic() < end:
            if answer := ask():
                return answer
            time.sleep(0.05)
        sys.exit(f"it never came to this: {what}")

    def ask(self, path, body=None, form=None):
        headers = {}
        if self.guarded:
            headers["authorization"] = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if form:
            name, content = form
            head = f'--B\r\ncontent-disposition: form-data; name="{name}"; filename="f.zip"\r\n\r\n'
            headers["content-type"], data = "multipart/form-data; boundary=B", head.encode() + content + b"\r\n--B--\r\n"
        elif body is not None:
            headers["content-type"], data = "application/json", json.dumps(body).encode()
        else:
            data = None
        request = urllib.request.Request(self.address + path, data, headers)
        with urllib.request.urlopen(request, timeout=HANG) as answer:
            return json.load(answer)

    def ended(self, path):
        """Waits for the end of what it began."""
        return self.until(path, lambda: self.ask(path)["status"] in ("succeeded", "failed", "canceled"))

    def fill(self):
        """Something of everything; which id belongs to which paths."""
        job = self.ask("/v1/jobs", {"skill_id": "echo"})["request_id"]
        temp = self.ask("/v1/temp-skill-runs", {})["request_id"]
        self.ask(f"/v1/temp-skill-runs/{temp}/upload", form=("skill_package", archive(skill("passing", INLINE))))
        package = self.ask("/v1/skill-packages/install", form=("file", archive(skill("fresh", INLINE))))["request_id"]
        upgrade = self.ask("/v1/engines/upgrades", {"mode": "single", "engine": "codex"})["request_id"]
        ids = {
            "^/v1/jobs/": job,
            "^/v1/management/runs/": job,
            "^/v1/temp-skill-runs/": temp,
            "^/v1/engines/upgrades/": upgrade,
            "^/v1/(management/)?skills/": "echo",
        }
        for path in (f"/v1/jobs/{job}", f"/v1/temp-skill-runs/{temp}", f"/v1/skill-packages/{package}", f"/v1/engines/upgrades/{upgrade}"):
            self.ended(path)
        return ids, package

    def stop(self):
        """Ends it; what it logged as a fault."""
        fault = self.process.poll() is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(HANG)
        self.log.seek(0)
        lines = [line.strip() for line in self.log if "panicked" in line or "request failed" in line]
        return lines + (["the worker ended by itself"] if fault else []) + ([f"exit code {code}"] if code else [])


def settings(ids, package):
    """schemathesis.toml: what stands for each parameter, and where refusing is right."""
    # 405 is the router's answer to every path, and no operation's.
    out = ["[checks]\nunsupported_method.enabled = false\n"]
    out += [f'[parameters]\n"path.engine" = "codex"\n"path.request_id" = "{package}"\n"path.path" = "artifacts/note.txt"\n']
    for paths, known in ids.items():
        out.append(f'[[operations]]\ninclude-path-regex = "{paths}"\nparameters = {{ "path.id" = "{known}" }}\n')
    for paths in SAYS_MORE:
        out.append(f"[[operations]]\ninclude-path-regex = '{paths}'\nchecks.positive_data_acceptance.enabled = false\n")
    return "\n".join(out)


def told(report):
    """Of a report: how many operations and phases kept to the document, and how many did not."""
    cases = list(xml.etree.ElementTree.parse(report).getroot().iter("testcase"))
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    return len(cases) - failed - skipped, failed


def contract(options, guarded):
    """One round; what passed and what failed."""
    name = "Basic Auth on" if guarded else "Basic Auth off"
    with tempfile.TemporaryDirectory(prefix="openapi-") as folder:
        root = pathlib.Path(folder)
        worker = Worker(root / "world", options.bin.resolve(), guarded)
        (root / "schemathesis.toml").write_text(settings(*worker.fill()))
        command = [pathlib.Path(sys.executable).parent / "st", "--config-file", "schemathesis.toml", "run", worker.address + "/openapi.json"]
        command += ["--phases", "coverage,fuzzing", "--seed", str(options.seed), "-n", str(options.examples)]
        # Wrong and missing passwords are a check of their own (ignored_auth); as wrong data they would be made right by --auth.
        command += ["--generation-with-security-parameters", "false", "--generation-database", "none"]
        command += ["--request-timeout", "20", "--continue-on-failure", "--no-color", "--warnings", "off"]
        command += ["--report", "junit", "--report-junit-path", "report.xml"]
        command += [word for pair in LEFT_OUT.items() for word in pair]
        command += ["--auth", f"{USER}:{PASSWORD}"] if guarded else []
        ended = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=options.minutes * 60)
        faults = worker.stop()
        passed, failed = told(root / "report.xml") if (root / "report.xml").exists() else (0, 1)
        # What schemathesis says by its exit code counts even where its report is silent.
        failed = max(failed, int(ended.returncode != 0)) + len(faults)
        if failed:
            print(ended.stdout, *(f"the worker: {line}" for line in faults), sep="\n")
        print(f"{name}: {passed} passed, {failed} failed")
        return passed, failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=20, help="of random requests per operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10, help="at most, per round")
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("target/debug"), help="where skill-api lies")
    options = parser.parse_args()
    if not (options.bin / "skill-api").exists():
        sys.exit(f"{options.bin}/skill-api is not there: cargo build -p skill-api")
    rounds = [contract(options, guarded) for guarded in (False, True)]
    passed, failed = (sum(column) for column in zip(*rounds))
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
