"""The programs for arm64: cross-compiled in a folder with Debian's newest Rust, run by QEMU, and what they must do there.

QEMU interprets the program and hands its system calls to this machine's kernel, so what the programs decide is shown, not how an
arm64 kernel answers.
"""

import json
import os
import pathlib
import shutil
import tempfile

import qemu
from suite import base, host
from suite.cases import case, check, same
from suite.shell import run, timed

ROOT = host.REPO
SUITE = "sid"
PACKAGES = ["rustc", "cargo", "libstd-rust-dev:arm64", "gcc", "gcc-aarch64-linux-gnu", "libc6-dev:arm64", "ca-certificates"]
# What cargo has to see of the source.
PARTS = ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo", "src", "api", "xtask", "benches", "scripts", "docs", "fuzz/targets"]
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


def unsaid():
    """Words before a command that take the suite's own variables from it: skill-init calls them mistakes."""
    return ["env", *(word for name in os.environ if name.startswith("SKILL_INIT_TEST_") for word in ("-u", name))]


def skill_init(*argv, **more):
    """The program, interpreted."""
    return run([*unsaid(), qemu.PROGRAM, OUT / "skill-init", *argv], check=False, **more)


def told(*argv, **more):
    """What it says as JSON."""
    done = skill_init(*argv, "--json", **more)
    same(f"exit of {argv} ({done.err[-400:]})", done.code, 0)
    return json.loads(done.out)


@case("programs: for arm64, and they start")
def version(_world):
    """The machine in the ELF header, and the answer."""
    said = []
    for name in ("skill-init", "skill-api"):
        machine = (OUT / name).read_bytes()[18:20]
        same(f"{name}: machine", machine, b"\xb7\x00")
        done = run([qemu.PROGRAM, OUT / name, "--version"], check=False)
        check(done.code == 0 and done.out.startswith(f"{name} "), done.err)
        said.append(done.text)
    return ", ".join(said)


@case("programs: bare mode gives the command's code, the signal that ended it, 127 for none")
def codes(_world):
    """The codes of a shell."""
    # 126 is not here: the reason why an exec failed comes back through memory that QEMU does not share.
    wanted = ((("sh", "-c", "exit 7"), 7), (("sh", "-c", "kill -9 $$"), 137), (("true",), 0), (("no-such-command",), 127))
    for command, want in wanted:
        got = skill_init("--", *command)
        same(f"{command}: exit ({got.err})", got.code, want)
    return ", ".join(f"{' '.join(command)} -> {want}" for command, want in wanted)


@case("programs: bare mode as PID 1: orphans come back to it and are reaped")
def orphans(_world):
    """Each leaves a child behind and waits until that has ended and nobody waits for it any more."""
    script = ("for n in 1 2 3 4 5; do sh -c 'sh -c \"exit 0\" & echo $!' > orphan; pid=$(cat orphan); "
              "while [ -e /proc/$pid ]; do :; done; done; exit 3")
    with tempfile.TemporaryDirectory() as folder:
        done = run(["unshare", "--pid", "--fork", "--mount-proc", qemu.PROGRAM, OUT / "skill-init", "--", "sh", "-c", script],
                   check=False, cwd=folder)
    same(f"exit ({done.err})", done.code, 3)
    return "five orphans of a PID 1 reaped, exit 3"


@case("programs: probe says every fact with its source")
def probe(_world):
    """The kernel's and Landlock's among them."""
    facts = told("probe")
    check(facts["kernel"] and "landlock" in facts, sorted(facts))
    return f"{len(facts)} groups of facts, Landlock usable: {facts['landlock']['usable']}"


@case("programs: plan says numbers, files and services of a start on an empty volume")
def plan(_world):
    """The same parts as the native program's, where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        env = {"SKILL_RUNNER_RUNTIME_MODE": "container", "SKILL_RUNNER_DATA_DIR": f"{folder}/data",
               "SKILL_RUNNER_AGENT_CACHE_DIR": f"{folder}/cache"}
        shown = told("plan", env=env)
        native = ROOT / "target/dist/skill-init"
        words = ""
        if native.exists():
            same("parts", sorted(shown), sorted(json.loads(run([*unsaid(), native, "plan", "--json"], check=False, env=env).out)))
            words = ", the same parts as on this machine"
    check(shown["concurrency"]["max_concurrent"] >= 1, shown["concurrency"])
    return f"{shown['concurrency']['max_concurrent']} runs, {shown['concurrency']['binds']} binds{words}"
