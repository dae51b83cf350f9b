#!/usr/bin/env python3
"""The container suite: the product's image on a real engine, one line per case.

    sudo tests/container/run.py                 everything
    sudo tests/container/run.py --only stop     the cases whose name contains "stop" (or match a glob)
    tests/container/run.py --list               the names
    sudo tests/container/run.py --from-source   the image as `docker build` without arguments makes it: a Rust image compiles it
    sudo tests/container/run.py --shell         start the engine, build, print how to use it, wait for Enter

Needs root, a Debian 12 machine and its package mirror, the npm and Python registries; no image registry. Installs what
is missing. Keeps downloads, images and the build cache in SKILL_INIT_TEST_CACHE (default ~/.cache/skill-init-tests).
SKILL_INIT_TEST_BINARIES=DIR uses ready static binaries, SKILL_INIT_TEST_BASE_IMAGE=TAG another base image.
"""

import argparse
import importlib
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from suite import cases, host, product  # noqa: E402
from suite.engine import Engine  # noqa: E402
from suite.shell import say, timed  # noqa: E402
from suite.world import World  # noqa: E402

CASES = sorted(p.stem for p in (pathlib.Path(__file__).parent / "cases").glob("[a-z]*.py"))


def main():
    """Parse, prepare, run, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="run the cases whose name contains this, or match this glob; repeatable")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--from-source", action="store_true", help="let the Dockerfile compile the binaries, as it does by default")
    parser.add_argument("--shell", action="store_true", help="prepare, then wait for Enter")
    arguments = parser.parse_args()
    for name in CASES:
        importlib.import_module(f"cases.{name}")
    if arguments.list:
        print("\n".join(name for name, _, _ in cases.ALL))
        return 0
    host.require_root()
    held = host.lock()
    host.announce()
    engine = Engine()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        timed("engine", engine.start)
        world = World(engine, product.build(engine, arguments.from_source))
        if arguments.shell:
            print("\n".join(f"export {k}={v}" for k, v in engine.env.items()), flush=True)
            sys.stdin.readline()
            return 0
        passed, failed, skipped = cases.run_all(world, arguments.only)
        world.close()
    finally:
        engine.stop()
        held.close()
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    if passed + failed == 0:
        say("no case ran")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
