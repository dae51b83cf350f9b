#!/usr/bin/env python3
"""arm64: both programs cross-compiled and interpreted by QEMU, then the image for arm64 built and started by the real engine.

    sudo tests/arm64/run.py             everything; many minutes the first time, afterwards only what has changed is made
    sudo tests/arm64/run.py programs    the programs alone
    sudo tests/arm64/run.py image       the image alone, with the programs that are there

Leaves the programs in target/dist/aarch64. The last line is "N passed, N failed, N skipped".
"""

import argparse
import sys

import qemu  # makes the container suite's parts importable, so it comes first
import programs
import image
from suite import cases, host

PARTS = ("programs", "image")


def main():
    """Build, run, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS, help="only this")
    only = parser.parse_args().part
    host.require_root()
    qemu.ensure()
    counts = []
    if only != "image" or not (programs.OUT / "skill-init").exists():
        programs.build()
    if only != "image":
        counts.append(cases.run_all(None, ["programs: "]))
    if only != "programs":
        counts.append(image.run())
    passed, failed, skipped = (sum(part) for part in zip(*counts))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
