"""A bounded fork bomb: forks sleepers until the kernel refuses, says how many, holds them until its input ends."""

import os
import signal
import sys

children = []
try:
    while len(children) < 5000:
        pid = os.fork()
        if pid == 0:
            while True:
                signal.pause()
        children.append(pid)
    print("no limit", flush=True)
except OSError as fault:
    print(f"refused after {len(children)}: {fault}", flush=True)
sys.stdin.read()
for pid in children:
    os.kill(pid, signal.SIGKILL)
