"""Runs the cases, prints one line each, and the table of outcomes."""

import argparse
import pathlib
import re
import sys
import time
import traceback

import cases
import ready
import real
import sweeps
from registry import Registry
from world import ROOT, Failed, Skipped

MARKS = ("<!-- outcomes: tests/agents/run.sh --real --write -->\n", "<!-- end of outcomes -->\n")


READY = ("<!-- readiness: tests/agents/run.sh --real --write -->\n", "<!-- end of readiness -->\n")


def table(rows: list[tuple[str, ...]]) -> str:
    lines = ["| what was done to it | meanwhile | afterwards |", "|---|---|---|"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def key(row: tuple[str, ...]) -> str:
    """What was done, without the numbers of one run."""
    told = re.sub(r" \([^)]*\)", "", row[0])
    return re.sub(r"(?<![\d.])(?!(404|500) )\d+(\.\d+)*", "N", told)


def write(outcomes: list[tuple[str, ...]]) -> None:
    """The rows of this run into the page: in the place of the same rows of an earlier run, else at the end."""
    path = ROOT / "docs/agents.md"
    before, rest = path.read_text().split(MARKS[0])
    old, after = rest.split(MARKS[1])
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in old.splitlines()
            if line.startswith("| ") and not line.startswith("| what was")]
    fresh = {key(row): row for row in outcomes}
    rows = [fresh.pop(key(row), row) for row in rows] + [row for row in outcomes if key(row) in fresh]
    path.write_text(before + MARKS[0] + "\n" + table(rows) + "\n" + MARKS[1] + after)


def write_readiness() -> None:
    path = ROOT / "docs/agents.md"
    before, rest = path.read_text().split(READY[0])
    path.write_text(before + READY[0] + "\n" + ready.table() + "\n" + READY[1] + rest.split(READY[1])[1])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    known = cases.ALL + sweeps.ALL + (real.ALL + [ready.readiness_with_real_clis] if args.real else [ready.readiness])
    wanted = [case for case in known if args.only in case.__name__]
    if not wanted:
        parser.error(f"no case has {args.only!r} in its name; --list shows them")
    if args.list:
        print(*(f"{case.__name__}: {case.__doc__}" for case in wanted), sep="\n")
        return 0
    registry = Registry(["1.0.0", "2.0.0"], megabytes=8)
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for case in wanted:
        start = time.monotonic()
        try:
            case(registry)
            result, why = "passed", ""
        except Skipped as reason:
            result, why = "skipped", f": {reason}"
        except Failed as reason:
            result, why = "failed", f":\n{reason}"
        except Exception:
            result, why = "failed", ":\n" + traceback.format_exc()
        count[result] += 1
        print(f"{result:8}{case.__doc__} ({time.monotonic() - start:.0f} s){why}", flush=True,
              file=sys.stderr if result == "skipped" else sys.stdout)
    cases.close()
    registry.close()
    if ready.TIMES:
        print("\n" + ready.table())
    if cases.OUTCOMES:
        print("\n" + table(cases.OUTCOMES))
    if args.write:
        write(cases.OUTCOMES)
        if ready.TIMES:
            write_readiness()
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    sys.exit(main())
