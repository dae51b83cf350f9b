"""Leaves N orphans behind: each grandchild is re-parented to PID 1 (its parent is gone) and exits by itself."""

import os
import sys

made = 0
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            os._exit(7)
        os._exit(0)
    os.waitpid(pid, 0)
    made += 1
print(made)
