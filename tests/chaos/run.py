#!/usr/bin/env python3
"""Chaos: random kills, stops, HUPs, fork storms, OOM kills, full disks and clock jumps against a living init.

    sudo tests/chaos/run.py                        three minutes, a new seed
    sudo tests/chaos/run.py --minutes 30 --seed 7  the long form, this order of blows again
    sudo tests/chaos/run.py --only storm,oom       some blows
    tests/chaos/run.py --binary PATH               another build than target/debug/skill-init

A real init in a PID namespace of its own supervises eleven services (services.toml). Between the blows (blows.py) it
must answer; at every quiet point, and at the end, judge.py looks for zombies, lost statuses, stuck services and growth. The
seed decides the blows and their order; the kernel's scheduling is its own. The last line is 'N passed, N failed, N skipped':
one is the whole run, the skipped ones are kinds of blows that this machine cannot deal, named above it.
"""

import argparse
import collections
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import blows  # noqa: E402
from judge import LEAST_SAMPLES, Judge, growth  # noqa: E402
from world import Broken, World  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BETWEEN_QUIET_POINTS = 12


def options():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--only", default="", help="names of blows, by comma")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/debug/skill-init")
    return parser.parse_args()


def live(world, judge, seed, minutes, only):
    """The life: blows between quiet points until the time is over; the count of each blow."""
    dice = random.Random(seed)
    known = {blow.__name__ for blow, _, _ in blows.ALL}
    if only - known:
        raise Broken(f"no such blow: {', '.join(only - known)}; there are {', '.join(sorted(known))}")
    chosen = [
        (blow, weight) for blow, weight, need in blows.ALL
        if need not in world.missing and (not only or blow.__name__ in only)
    ]
    dealt = collections.Counter()
    judge.quiet()
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end or len(judge.samples) < LEAST_SAMPLES:
        for blow in dice.choices([b for b, _ in chosen], [w for _, w in chosen], k=BETWEEN_QUIET_POINTS):
            world.alive()
            try:
                blow(world, dice)
            except Broken as error:
                raise Broken(f"{blow.__name__}: {error}") from error
            dealt[blow.__name__] += 1
        judge.quiet()
    return dealt


def main():
    """Sets up, lives, judges, reports."""
    wanted = options()
    if os.geteuid() != 0:
        print("chaos needs root (namespaces, cgroups, signals): SKIPPED", flush=True)
        print("0 passed, 0 failed, 1 skipped")
        return 0
    if "CHAOS_IN_NAMESPACE" not in os.environ:
        # Mounts of this run are nobody else's, and are gone with it.
        os.environ["CHAOS_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv, "--seed", str(wanted.seed)])
    print(f"chaos: seed {wanted.seed}, {wanted.minutes:g} minutes, {wanted.binary}", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="skill-init-chaos-"))
    # A build that replaces the binary meanwhile must not change what is tested.
    binary = shutil.copy2(wanted.binary, folder / "skill-init")
    world, failed = World(folder, binary), None
    for what, why in world.missing.items():
        print(f"SKIPPED {what}: {why}", flush=True)
    try:
        world.start()
        judge = Judge(world)
        dealt = live(world, judge, wanted.seed, wanted.minutes, {name for name in wanted.only.split(",") if name})
        status, cpu = world.status(), world.cpu()
        code = world.stop()
        if code != 0:
            raise Broken(f"TERM ended the init with {code}, not with 0")
        flaps, starts = judge.accounts()
        before, after = growth(judge.samples)
        world.start()
        if (code := world.stop()) != 0:
            raise Broken(f"the next start on the same folder ended with {code}")
        print("blows:", ", ".join(f"{name} {count}" for name, count in sorted(dealt.items())))
        print(f"quiet points: {len(judge.samples)}; processes started: {starts}, and {flaps} ends with a status written down, all in the log")
        print(f"orphans reaped: {status['orphans']['reaped_total']}, oom kills: {status['oom_kills']}, restarts: {status['restarts_total']}")
        print(f"descriptors of PID 1: {before[0]:g} -> {after[0]:g}; its own KiB: {before[1]:g} -> {after[1]:g}; its CPU: {cpu:.1f} s")
    except Exception as error:  # whatever went wrong, the evidence is kept and the count printed
        failed = error
        traceback.print_exc()
        print(f"FAILED with seed {wanted.seed}: {error}\nthe folder is kept: {folder}", flush=True)
    finally:
        world.close()
    if not failed:
        os.system(f"umount {folder}/data 2>/dev/null")
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{int(not failed)} passed, {int(bool(failed))} failed, {len(world.missing)} skipped", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
