"""The base image without an image registry: a stand-in for node:24-bookworm-slim.

A minimal Debian from the machine's own mirror, and the Node binary and npm as the npm registry ships them. With
SKILL_INIT_TEST_BASE_IMAGE the real one (or any other) is used instead.
"""

import os
import pathlib
import shutil
import tarfile

from . import host
from .machine import HERE
from .shell import run, timed

TAG = "node:24-bookworm-slim"
SUITE = "bookworm"
NODE_MAJOR = "24"
NPM_MAJOR = "11"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

# The official image's entry point: words that are no command are arguments of node.
NODE_ENTRYPOINT = """#!/bin/sh
set -e
if [ "${1#-}" != "$1" ] || ! command -v "$1" >/dev/null || { [ -f "$1" ] && [ ! -x "$1" ]; }; then
  set -- node "$@"
fi
exec "$@"
"""


def chosen(engine, variable):
    """The image that the variable names, pulled where it is missing; None where it names none."""
    tag = os.environ.get(variable)
    if tag and not engine.has_image(tag):
        timed(f"docker pull {tag}", lambda: engine.docker("pull", tag, timeout=900))
    return tag


def ensure(engine, machine=HERE):
    """The tag of a base image for `machine` that `engine` has."""
    given = chosen(engine, "SKILL_INIT_TEST_BASE_IMAGE")
    if given:
        return given
    if not engine.has_image(TAG):
        host.need(["mmdebstrap", "npm"])
        tarball = host.CACHE / f"{machine.own('base')}-{SUITE}-node{NODE_MAJOR}.tar"
        if not tarball.exists():
            timed("base image", lambda: _make(tarball, machine))
        timed("base image into the engine", lambda: _load(engine, tarball, machine))
        tarball.unlink()
    return TAG


def _load(engine, tarball, machine):
    changes = ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               'ENTRYPOINT ["docker-entrypoint.sh"]', 'CMD ["node"]']
    if host.extra_authorities():
        changes += [f"ENV {name}={BUNDLE}" for name in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "PIP_CERT")]
    if machine == HERE:
        flags = [word for change in changes for word in ("--change", change)]
        engine.docker("import", *flags, tarball, TAG, timeout=600)
        return
    # `docker import` (20.10) writes this machine's architecture into an image, whatever its --platform says.
    folder = host.clean_dir(host.CACHE / machine.own("base-context"))
    os.link(tarball, folder / "base.tar")
    (folder / "Dockerfile").write_text("\n".join(["FROM scratch", "ADD base.tar /", *changes, ""]), encoding="utf-8")
    engine.docker("build", "--platform", machine.platform, "-t", TAG, folder, timeout=600)
    shutil.rmtree(folder)


def _make(tarball, machine):
    root = host.CACHE / machine.own("base-root")
    if root.exists():
        shutil.rmtree(root)
    run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=apt",
         # Whoever wants another machine has seen to QEMU.
         f"--architectures={machine.debian}", "--skip=check/qemu",
         "--aptopt=Acquire::Languages \"none\"", "--dpkgopt=path-exclude=/usr/share/man/*",
         "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
         SUITE, root, *host.sources(SUITE)], timeout=1800)
    _authorities(root)
    _node(root, machine)
    run(["chroot", root, "groupadd", "--gid", "1000", "node"])
    run(["chroot", root, "useradd", "--uid", "1000", "--gid", "node", "--shell", "/bin/bash", "--create-home", "node"])
    script = root / "usr/local/bin/docker-entrypoint.sh"
    script.write_text(NODE_ENTRYPOINT, encoding="utf-8")
    script.chmod(0o755)
    for folder in ("var/lib/apt/lists", "var/cache/apt", "dev"):
        for entry in (root / folder).iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    (root / "etc/hostname").write_text("localhost\n", encoding="utf-8")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("", encoding="utf-8")
    part = tarball.with_suffix(".part")
    run(["tar", "-C", root, "--numeric-owner", "-cf", part, "."], timeout=600)
    part.rename(tarball)
    shutil.rmtree(root)


def _authorities(root):
    """The machine's extra authorities, usable before ca-certificates is installed in the image."""
    into = root / "usr/local/share/ca-certificates"
    into.mkdir(parents=True, exist_ok=True)
    extra = host.extra_authorities()
    for path in extra:
        shutil.copy(path, into)
    if extra:
        (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        shutil.copy(pathlib.Path(BUNDLE).resolve(), root / BUNDLE.lstrip("/"))


def _node(root, machine):
    """/usr/local as the official image has it: node, npm, npx."""
    packs = host.clean_dir(host.CACHE / machine.own("npm-packs"))
    wanted = {"node": f"node-linux-{machine.node}@{NODE_MAJOR}", "npm": f"npm@{NPM_MAJOR}"}
    for name in wanted.values():
        run(["npm", "pack", "--silent", name], cwd=packs, timeout=600)
    node_pack = next(packs.glob("node-linux-*.tgz"))
    npm_pack = next(packs.glob("npm-*.tgz"))
    local = root / "usr/local"
    modules = local / "lib/node_modules/npm"
    modules.mkdir(parents=True)
    with tarfile.open(node_pack) as pack:
        member = pack.getmember("package/bin/node")
        member.name = "node"
        pack.extract(member, local / "bin")
    (local / "bin/node").chmod(0o755)
    run(["tar", "-xzf", npm_pack, "-C", modules, "--strip-components=1"])
    for name in ("npm", "npx"):
        (local / "bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
    (local / "bin/nodejs").symlink_to("node")
    shutil.rmtree(packs)
