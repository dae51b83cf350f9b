#!/usr/bin/env python3
"""The binaries for arm64: cross-compiled in a folder with Debian's newest Rust, then run by QEMU's user mode.

    sudo tests/arm64/run.py           root; minutes the first time, afterwards only what has changed is built

Leaves them in target/dist/aarch64. QEMU interprets the program and hands its system calls to this machine's kernel, so what the
programs decide is shown, not how an arm64 kernel answers. Ends with "N passed, N failed, N skipped".
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/container")]

from suite import base, host  # noqa: E402
from suite.shell import run, timed  # noqa: E402

SUITE = "sid"
PACKAGES = ["rustc", "cargo", "libstd-rust-dev:arm64", "gcc", "gcc-aarch64-linux-gnu", "libc6-dev:arm64", "ca-certificates"]
# What cargo has to see of the source.
PARTS = ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo", "src", "api", "xtask", "benches", "scripts", "docs", "fuzz/targets"]
QEMU = "qemu-aarch64-static"
OUT = ROOT / "target/dist/aarch64"


def root_folder():
    """The folder with both architectures' libraries."""
    folder = host.CACHE / "arm64-root"
    if not (folder / "complete").exists():
        host.need(["mmdebstrap"])
        if folder.exists():
            shutil.rmtree(folder)
        options = [f"--aptopt={line}" for line in ('Acquire::Languages "none"', 'Acquire::Check-Valid-Until "false"')]
        options += [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")]
        timed("the folder with Debian's Rust", lambda: run(
            ["mmdebstrap", "--quiet", "--mode=root", "--variant=essential", "--architectures=amd64,arm64",
             f"--include={','.join(PACKAGES)}", *options, SUITE, folder, *host.sources(SUITE)], timeout=1800))
        (folder / "complete").touch()
    return folder


def build():
    """Both programs, by `cargo xtask dist --arch aarch64` within that folder."""
    folder = root_folder()
    source = folder / "src"
    for part in PARTS:
        target = source / part
        if target.is_dir():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(ROOT / part, target) if (ROOT / part).is_dir() else shutil.copy(ROOT / part, target)
    shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
    shutil.copy(pathlib.Path(base.BUNDLE).resolve(), folder / base.BUNDLE.lstrip("/"))
    (folder / "cargo").mkdir(exist_ok=True)
    own = pathlib.Path(os.environ.get("CARGO_HOME") or pathlib.Path.home() / ".cargo") / "config.toml"
    if own.exists():
        shutil.copy(own, folder / "cargo")
    words = (f"mount -t proc proc {folder}/proc && exec chroot {folder} env -i PATH=/usr/bin:/bin HOME=/root CARGO_HOME=/cargo "
             f"CARGO_HTTP_CAINFO={base.BUNDLE} sh -c 'cd /src && cargo xtask dist --arch aarch64'")
    timed("cargo xtask dist --arch aarch64", lambda: run(["unshare", "-m", "sh", "-c", words], timeout=3600))
    OUT.mkdir(parents=True, exist_ok=True)
    for name in ("skill-init", "skill-api"):
        shutil.copy(source / "target/dist/aarch64" / name, OUT)


def skill_init(*argv, **more):
    """The program, interpreted."""
    return run([QEMU, OUT / "skill-init", *argv], check=False, **more)


def codes():
    """bare mode: the command's code, the signal that ended it, 127 for none"""
    # 126 is not here: the reason why an exec failed comes back through memory that QEMU does not share.
    wanted = ((("sh", "-c", "exit 7"), 7), (("sh", "-c", "kill -9 $$"), 137), (("true",), 0), (("no-such-command",), 127))
    for command, want in wanted:
        got = skill_init("--", *command)
        assert got.code == want, f"{command}: {got.code}, want {want}: {got.err}"
    return ", ".join(f"{' '.join(command)} -> {want}" for command, want in wanted)


def orphans():
    """bare mode as PID 1: orphans come back to it and are reaped"""
    # Each leaves a child behind and waits until that has ended and nobody waits for it any more.
    script = ("for n in 1 2 3 4 5; do sh -c 'sh -c \"exit 0\" & echo $!' > orphan; pid=$(cat orphan); "
              "while [ -e /proc/$pid ]; do :; done; done; exit 3")
    with tempfile.TemporaryDirectory() as folder:
        done = run(["unshare", "--pid", "--fork", "--mount-proc", QEMU, OUT / "skill-init", "--", "sh", "-c", script],
                   check=False, cwd=folder)
    assert done.code == 3, f"{done.code}: {done.err}"
    return "five orphans of a PID 1 reaped, exit 3"


def version():
    """arm64 programs that start"""
    said = []
    for name in ("skill-init", "skill-api"):
        machine = (OUT / name).read_bytes()[18:20]
        assert machine == b"\xb7\x00", f"{name} is for another machine: {machine}"
        done = run([QEMU, OUT / name, "--version"], check=False)
        assert done.code == 0 and done.out.startswith(f"{name} "), done.err
        said.append(done.text)
    return ", ".join(said)


def probe():
    """probe: every fact with its source"""
    facts = json.loads(skill_init("probe", "--json").out)
    assert facts["kernel"] and "landlock" in facts, sorted(facts)
    return f"{len(facts)} groups of facts, Landlock usable: {facts['landlock']['usable']}"


def plan():
    """plan: numbers, files, services of a start on an empty volume"""
    with tempfile.TemporaryDirectory() as folder:
        env = {"SKILL_RUNNER_RUNTIME_MODE": "container", "SKILL_RUNNER_DATA_DIR": f"{folder}/data",
               "SKILL_RUNNER_AGENT_CACHE_DIR": f"{folder}/cache"}
        shown = json.loads(skill_init("plan", "--json", env=env).out)
        native = run([ROOT / "target/dist/skill-init", "plan", "--json"], check=False, env=env) \
            if (ROOT / "target/dist/skill-init").exists() else None
        same = native is not None and sorted(json.loads(native.out)) == sorted(shown)
    assert shown["concurrency"]["max_concurrent"] >= 1, shown["concurrency"]
    return f"{shown['concurrency']['max_concurrent']} runs, {shown['concurrency']['binds']} binds" + \
        (", the same parts as on this machine" if same else "")


def main():
    host.require_root()
    if os.uname().machine == "x86_64" and not shutil.which(QEMU):
        host.apt_install(["qemu-user-static"])
    build()
    passed = failed = 0
    for case in (version, codes, orphans, probe, plan):
        try:
            print(f"passed  {case.__doc__}: {case()}", flush=True)
            passed += 1
        except (AssertionError, ValueError, KeyError) as fault:
            print(f"failed  {case.__doc__}: {fault!r}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
