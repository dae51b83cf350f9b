#!/usr/bin/env python3
"""Makes skill-runner.json from the engines' published default, so that a reader can verify every line.

    apt-get install golang-github-containers-common
    image/seccomp/generate.py            write skill-runner.json
    image/seccomp/generate.py --check    exit 1 if it is not what this script makes

The source is /usr/share/containers/seccomp.json, the default of podman and CRI-O as Debian packages it (another
path: --source). It is resolved for a container without capabilities on amd64 and arm64 and written in the
form of the OCI runtime specification, which Docker, podman, CRI-O and containerd read alike: the source's
conditions (`includes`, `excludes`) are a dialect that containerd does not know and would drop silently.
"""

import argparse
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
PUBLISHED = "cc374cf23846ce1f62f4dc807a8e2b8673c783c6f56cb475467621035d281e6c"

# What bubblewrap needs and Docker's default refuses without CAP_SYS_ADMIN. README.md says why for each.
NEEDED = ["clone", "clone3", "mount", "pivot_root", "umount2", "unshare"]

# In the source, not in Docker's default, and not needed by bubblewrap: taken out again.
TAKEN_OUT = [
    "fsconfig", "fsmount", "fsopen", "fspick", "keyctl", "mount_setattr", "move_mount", "name_to_handle_at",
    "open_tree", "pidfd_getfd", "reboot", "setns", "syslog", "umount",
]

ARCHITECTURES = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
ARCHES = {"amd64", "x86", "x32", "arm64", "arm"}


def applies(rule: dict) -> bool:
    """Does a conditional rule hold without any capability on our architectures?"""
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    return not includes.get("caps") and (not includes.get("arches") or bool(ARCHES & set(includes["arches"]))) \
        and not (excludes.get("arches") and ARCHES <= set(excludes["arches"]))


def make(source: dict) -> dict:
    rules = []
    for rule in filter(applies, source["syscalls"]):
        names = [name for name in rule["names"] if name not in TAKEN_OUT]
        if not names:
            continue
        flat = {"names": sorted(names), "action": rule["action"]}
        if rule["action"] == "SCMP_ACT_ERRNO":
            flat["errnoRet"] = rule.get("errnoRet", 1)
        if rule.get("args"):
            flat["args"] = [{key: arg[key] for key in ("index", "value", "valueTwo", "op") if key in arg}
                            for arg in rule["args"]]
        if flat not in rules:
            rules.append(flat)
    allowed = {name for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    missing = [name for name in NEEDED if name not in allowed]
    if missing:
        rules.append({"names": missing, "action": "SCMP_ACT_ALLOW"})
    # What is taken out answers as a kernel without it does (ENOSYS): programs fall back.
    return {"defaultAction": source["defaultAction"], "defaultErrnoRet": source.get("defaultErrnoRet", 38),
            "architectures": ARCHITECTURES, "syscalls": rules}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, default=pathlib.Path("/usr/share/containers/seccomp.json"))
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if not args.source.exists():
        print(f"{args.source} is not there: apt-get install golang-github-containers-common", file=sys.stderr)
        return 2
    data = args.source.read_bytes()
    if hashlib.sha256(data).hexdigest() != PUBLISHED:
        print(f"note: {args.source} is not the version that README.md names", file=sys.stderr)
    text = json.dumps(make(json.loads(data)), indent=2) + "\n"
    target = HERE / "skill-runner.json"
    if not args.check:
        target.write_text(text)
        return 0
    same = target.read_text() == text
    print("skill-runner.json is what generate.py makes" if same else "skill-runner.json differs: run generate.py")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
