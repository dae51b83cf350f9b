"""Runs in a container of the image: the embedded worker alone and under skill-init, in turns, from execve to its first answer; then
the cost of a probe. Prints JSON: {measure: {contestant: [seconds]}}.
"""

import json
import os
import shutil
import signal
import socket
import sys
import time

WORKER = "/usr/sbin/skill-api"
INIT = "/sbin/skill-init"
QUESTION = b"GET / HTTP/1.0\r\n\r\n"


def environment(folder, port):
    """Folders and ports of its own, so that nothing is shared with another contestant."""
    return {**os.environ, "SKILL_RUNNER_DATA_DIR": f"{folder}/data", "SKILL_RUNNER_AGENT_CACHE_DIR": f"{folder}/cache",
            "SKILL_RUNNER_AGENT_HOME": f"{folder}/cache/agent-home", "SKILL_RUNNER_NPM_PREFIX": f"{folder}/cache/npm",
            "NPM_CONFIG_PREFIX": f"{folder}/cache/npm", "UV_CACHE_DIR": f"{folder}/cache/uv",
            "UV_PROJECT_ENVIRONMENT": f"{folder}/cache/venv", "HOME": f"{folder}/cache/agent-home", "PORT": str(port),
            "SKILL_INIT_SOCKET": f"{folder}/control.sock", "SKILL_INIT_API_COMMAND": WORKER}


def answers(port):
    """Does it answer 200?"""
    try:
        with socket.create_connection(("127.0.0.1", port), 0.2) as client:
            client.sendall(QUESTION)
            return client.recv(12).endswith(b" 200")
    except OSError:
        return False


def started(argv, env, port):
    """Seconds from the start of the process to the first answer; it is stopped afterwards."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    begin = time.monotonic()
    pid = os.posix_spawn(argv[0], argv, env, file_actions=quiet)
    while not answers(port):
        time.sleep(0.0005)
        if time.monotonic() - begin > 60:
            raise SystemExit(f"{argv}: no answer on port {port}")
    took = time.monotonic() - begin
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return took


def ran(argv, env=None):
    """Seconds that a command takes, start and end of its process included."""
    quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    begin = time.monotonic()
    _, status = os.waitpid(os.posix_spawn(argv[0], argv, env or os.environ, file_actions=quiet), 0)
    took = time.monotonic() - begin
    if status:
        raise SystemExit(f"{argv}: status {status}")
    return took


def starts(rounds):
    """Cold (empty folders) and warm (the same ones again)."""
    contestants = {"worker alone": [WORKER], "skill-init": [INIT, "entrypoint"]}
    cold, warm = ({name: [] for name in contestants} for _ in range(2))
    for number in range(rounds + 1):
        for name, argv in contestants.items():
            folder = f"/tmp/{name.replace(' ', '-')}"
            shutil.rmtree(folder, ignore_errors=True)
            # The bare worker gets the folders that skill-init makes for it.
            os.makedirs(f"{folder}/data/runs")
            env = environment(folder, 9000)
            times = [started(argv, env, 9000) for _ in range(2)]
            if number:
                cold[name].append(times[0])
                warm[name].append(times[1])
    return cold, warm


def probes(rounds):
    """`skill-init health` against an init that is ready."""
    env = environment("/tmp/probe", 9001)
    pid = os.posix_spawn(INIT, [INIT, "entrypoint"], env,
                         file_actions=[(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)])
    ran([INIT, "wait", "--ready"], env)
    took = {"floor": [], "skill-init": []}
    for _ in range(rounds):
        took["floor"].append(ran(["/bin/true"]))
        took["skill-init"].append(ran([INIT, "health"], env))
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return took


ROUNDS = int(sys.argv[1])
COLD, WARM = starts(ROUNDS)
print(json.dumps({"cold": COLD, "warm": WARM, "probe": probes(ROUNDS * 10)}))
