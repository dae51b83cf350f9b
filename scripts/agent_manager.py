#!/usr/bin/env python3
"""The call of the old agent manager, `python3 scripts/agent_manager.py --upgrade`, handed to agent_manager.sh.

That script has the arguments; this one exists so that cron jobs, documents and `docker compose exec` lines of the old
container go on working. Nothing happens here.
"""

import os
import sys

SCRIPT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "agent_manager.sh")

if __name__ == "__main__":
    os.execv("/bin/sh", ["sh", SCRIPT, *sys.argv[1:]])
