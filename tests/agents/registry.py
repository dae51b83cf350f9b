"""A registry of our own on loopback: small packages in codex's shape, and every way to fail."""

import base64
import gzip
import hashlib
import io
import json
import random
import tarfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The launcher and the platform package are two, as codex's are: the second is optional, so npm swallows
# its failures and leaves a launcher that throws.
LAUNCHER = """#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
answer="$here/../node_modules/@openai/codex-linux-x64/answer"
if [ ! -s "$answer" ]; then
    echo "Error: Missing optional dependency @openai/codex-linux-x64. Reinstall Codex" >&2
    exit 1
fi
# A start takes a while and reads more than one file: one that is torn between two versions shows itself.
read first < "$answer"
sleep 0.05
read second < "$here/own"
[ "$first" = "$second" ] || { echo "Error: torn: $first and $second" >&2; exit 1; }
echo "codex-cli $first"
"""


def tarball(files: dict[str, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo("package/" + name)
            info.size = len(data)
            info.mode = 0o755 if name.startswith("bin/") and not name.endswith("own") else 0o644
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), 1)


def packages(version: str, megabytes: int) -> dict[str, bytes]:
    noise = random.Random(version)
    launcher = {
        "package.json": json.dumps({
            "name": "@openai/codex", "version": version, "bin": {"codex": "bin/codex.js"},
            "optionalDependencies": {"@openai/codex-linux-x64": version},
        }).encode(),
        "bin/codex.js": LAUNCHER.encode(),
        "bin/own": f"{version}\n".encode(),
    }
    platform = {
        "package.json": json.dumps({"name": "@openai/codex-linux-x64", "version": version}).encode(),
        "answer": f"{version}\n".encode(),
    }
    for n in range(megabytes * 4):
        platform[f"vendor/part{n}"] = noise.randbytes(256 * 1024)
    return {"@openai/codex": tarball(launcher), "@openai/codex-linux-x64": tarball(platform)}


class Registry:
    """`trouble` maps a word of the path to what happens there: 404, 500, "hash", "hold", "black-hole"."""

    def __init__(self, versions: list[str], megabytes: int) -> None:
        self.trouble: dict[str, object] = {}
        self.latest = versions[-1]
        self.tarballs = {(name, v): data for v in versions for name, data in packages(v, megabytes).items()}
        self.versions = versions
        self.release, self.asked = threading.Event(), threading.Event()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # Clients are killed here: a connection that breaks is no news.
        self.server.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def packument(self, name: str) -> dict:
        versions = {}
        for v in self.versions:
            data = self.tarballs[(name, v)]
            digest = hashlib.sha512(data).digest()
            if "hash" in self.trouble and self.trouble["hash"] in name:
                digest = hashlib.sha512(b"something else").digest()
            versions[v] = {
                "name": name, "version": v,
                "dist": {
                    "tarball": f"{self.url}{name}/-/{v}.tgz",
                    "integrity": "sha512-" + base64.b64encode(digest).decode(),
                },
            }
            if name == "@openai/codex":
                versions[v] |= {"bin": {"codex": "bin/codex.js"},
                                "optionalDependencies": {"@openai/codex-linux-x64": v}}
        return {"name": name, "dist-tags": {"latest": self.latest}, "versions": versions}

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = urllib.parse.unquote(request.path).lstrip("/")
        for word, trouble in list(self.trouble.items()):
            if word in path and isinstance(trouble, int):
                return self.send(request, trouble, b'{"error":"as ordered"}')
            if word in path and trouble == "hold":
                # Answered once somebody takes the trouble away.
                self.asked.set()
                while self.trouble.get(word) == "hold":
                    time.sleep(0.01)
            if word in path and trouble == "black-hole":
                self.release.wait(600)
                return None
        name, _, file = path.partition("/-/")
        if file and (name, file.removesuffix(".tgz")) in self.tarballs:
            return self.send(request, 200, self.tarballs[(name, file.removesuffix(".tgz"))])
        if not file and any(known == name for known, _ in self.tarballs):
            return self.send(request, 200, json.dumps(self.packument(name)).encode())
        return self.send(request, 404, b'{"error":"Not found"}')

    @staticmethod
    def send(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        try:
            request.send_response(status)
            request.send_header("content-length", str(len(body)))
            request.send_header("content-type", "application/json")
            request.end_headers()
            request.wfile.write(body)
        except OSError:
            pass

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
