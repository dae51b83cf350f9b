"""The cases: registered by a decorator, run one after the other, one line each.

`PASS name: evidence`, `FAIL name: what`, `SKIP name: why`; the last line is `N passed, N failed, N skipped`.
"""

import fnmatch
import signal
import sys
import time
import traceback

from .shell import CommandError, say

ALL = []
LIMIT = 900  # seconds for one case: a hang becomes a failure, not a stuck CI


class Skip(Exception):
    """The case cannot run here; the reason is printed and counted."""


class Late(Exception):
    """A case ran over LIMIT."""


def case(name, limit=LIMIT):
    """Register a case. It gets the World and returns its evidence, one line."""
    def register(function):
        ALL.append((name, function, limit))
        return function
    return register


def check(true, what):
    """The assertion of the cases."""
    if not true:
        raise AssertionError(what)


def same(what, got, want):
    """Equality with a message that shows both."""
    check(got == want, f"{what}: got {got!r}, want {want!r}")


def _alarm(_number, _frame):
    raise Late()


def run_all(world, only=None, out=sys.stdout):
    """Run what `only` (globs or parts of names) selects; returns (passed, failed, skipped)."""
    counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    signal.signal(signal.SIGALRM, _alarm)
    for name, function, limit in _chosen(only):
        start = time.monotonic()
        signal.alarm(limit)
        try:
            verdict, words = "PASS", function(world) or "as documented"
        except Skip as reason:
            verdict, words = "SKIP", str(reason)
        except Late:
            verdict, words = "FAIL", f"still running after {limit} s"
        except (AssertionError, CommandError) as fault:
            verdict, words = "FAIL", str(fault)
            _explain(fault)
        except Exception as fault:  # a fault of the case itself is a failure too, never the end of the suite
            verdict, words = "FAIL", f"{type(fault).__name__}: {fault}"
            traceback.print_exc()
        finally:
            signal.alarm(0)
        counts[verdict] += 1
        line = " ".join(str(words).split())
        print(f"{verdict} {name}: {line[:700]} [{time.monotonic() - start:.1f} s]", file=out, flush=True)
    return counts["PASS"], counts["FAIL"], counts["SKIP"]


def _chosen(only):
    return [entry for entry in ALL
            if not only or any(fnmatch.fnmatch(entry[0], part) or part in entry[0] for part in only)]


def skip_all(only, reason, out=sys.stdout):
    """The cases that `only` selects cannot run here; (passed, failed, skipped)."""
    names = [name for name, _, _ in _chosen(only)]
    for name in names:
        print(f"SKIP {name}: {reason}", file=out, flush=True)
    return 0, 0, len(names)


def _explain(fault):
    log = getattr(fault, "container_log", None)
    where = traceback.extract_tb(fault.__traceback__)[-1]
    place = next((f for f in reversed(traceback.extract_tb(fault.__traceback__)) if "/cases/" in f.filename), where)
    say(f"at {place.filename}:{place.lineno}: {place.line}")
    if log:
        say("the container's last words:\n" + log)
