"""Commands and waiting. Everything is bounded; nothing sleeps except between two looks at an event."""

import os
import subprocess
import sys
import time


class CommandError(Exception):
    """A command that had to succeed did not."""


class Result:
    """What a command left behind."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    @property
    def text(self):
        """Standard output without the last newline."""
        return self.out.rstrip("\n")


def say(words):
    """A line for the reader of the log, with the time."""
    print(f"[{time.strftime('%H:%M:%S')}] {words}", file=sys.stderr, flush=True)


def run(argv, *, timeout=120, check=True, env=None, cwd=None, stdin=None):
    """Run `argv` and return its Result; with `check`, anything but exit 0 raises CommandError."""
    argv = [str(a) for a in argv]
    full = dict(os.environ)
    full.update(env or {})
    source = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    try:
        done = subprocess.run(argv, env=full, cwd=cwd, timeout=timeout, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **source)
    except subprocess.TimeoutExpired as late:
        raise CommandError(f"{' '.join(argv[:6])} did not end within {timeout} s") from late
    result = Result(argv, done.returncode, done.stdout, done.stderr)
    if check and done.returncode != 0:
        tail = (done.stderr or done.stdout).strip()[-1500:]
        raise CommandError(f"{' '.join(argv[:8])} ended with {done.returncode}: {tail}")
    return result


def wait_for(what, look, seconds=240, every=0.05):
    """Look until `look()` is truthy and return that; after the (generous) deadline raise AssertionError."""
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            last = look()
        except (CommandError, OSError, ValueError, KeyError) as fault:
            last = None
            reason = str(fault)
        else:
            reason = ""
        if last:
            return last
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} {reason}".rstrip())
        time.sleep(every)


def timed(what, action):
    """Say how long `action()` took and return its value."""
    start = time.monotonic()
    value = action()
    say(f"{what}: {time.monotonic() - start:.1f} s")
    return value
