"""Runs the cases, prints one line each, and the table of outcomes."""

import argparse
import pathlib
import sys
import time
import traceback

import cases
import real
from registry import Registry
from world import ROOT, Failed, Skipped

MARKS = ("<!-- outcomes: tests/agents/run.sh --real --write -->\n", "<!-- end of outcomes -->\n")


def table() -> str:
    rows = ["| what was done to it | meanwhile | afterwards |", "|---|---|---|"]
    rows += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cases.OUTCOMES]
    return "\n".join(rows) + "\n"


def write(text: str) -> None:
    path = ROOT / "docs/agents.md"
    page = path.read_text()
    before, rest = page.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    path.write_text(before + MARKS[0] + "\n" + text + "\n" + MARKS[1] + after)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    wanted = [case for case in cases.ALL + (real.ALL if args.real else []) if args.only in case.__name__]
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
    registry.close()
    if cases.OUTCOMES:
        print("\n" + table())
    if args.write:
        write(table())
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    sys.exit(main())
