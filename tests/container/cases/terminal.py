"""The terminal through the gateway, with a real ttyd and a real browser."""

import base64
import re

from suite import host
from suite.browser import Browser
from suite.cases import case, check, same
from suite.shell import wait_for

QUIET = ("-e", "SKILL_INIT_ENSURE=off")
PORT = 7681
ORIGIN = f"Origin: http://127.0.0.1:{PORT}"
# Stands in for a CLI: says how it was called, shows the files that it finds, waits for a line, ends.
AGENT = """#!/bin/sh
for argument; do echo "${0##*/} argument: $argument"; done
echo "${0##*/} called in $PWD"
find . -type f | sort | xargs -r cat
echo "${0##*/} has no more files"
read line
echo "${0##*/} got $line"
"""


def with_agents(box, *names, script=AGENT):
    """Puts stand-ins where the menu looks."""
    for name in names:
        box.sh(f"mkdir -p $NPM_CONFIG_PREFIX/bin && cat > $NPM_CONFIG_PREFIX/bin/{name} <<'E'\n{script}E\n"
               f"chmod +x $NPM_CONFIG_PREFIX/bin/{name}")


def choose(page, label):
    """Choose an entry of the menu by its number; the agent's first screen without line breaks."""
    def number():
        found = re.findall(rf"^ *(\d+) +{label} +(?:managed|global)", page.screen(), re.M)
        return found[-1] if found and "Choice" in page.screen().splitlines()[-1] else None
    page.type(f"{on(page, f'{label} in the menu', number)}\r")
    screen = wait_for(f"{label} runs", lambda: _with(page.screen(), f"{label} called in", f"{label} has no more files"))
    return " ".join(re.findall(f"^{label} argument: (.*)", screen, re.M)), screen


def answer(page, label):
    """Give it its line; back in the menu."""
    page.type("hello\r")
    on(page, f"{label} ended", lambda: _with(page.screen(), f"{label} got hello", f"{label} ended"))


def on(page, what, look, seconds=240):
    """Wait for it; a failure shows the screen."""
    try:
        return wait_for(what, look, seconds)
    except AssertionError as fault:
        raise AssertionError(f"{fault}; on the screen: {page.screen()}") from fault


def _with(screen, *words):
    return screen if all(word in screen for word in words) else None


# Sends a request and prints the status of the answer, without waiting for anything behind its first line.
STATUS = ("import socket, sys\ns = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 60)\n"
          "s.sendall(sys.argv[2].encode())\nline = s.makefile('rb').readline().split()\n"
          "print(line[1].decode() if line else 0)")


def upgrade(box, *headers):
    """Status of a websocket handshake; 101 is accepted, 0 is no answer."""
    lines = ["GET /ws HTTP/1.1", f"Host: 127.0.0.1:{PORT}", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: c2tpbGwtaW5pdC10ZXN0IQ==", "Sec-WebSocket-Protocol: tty", *headers]
    return int(box.inside("python3", "-c", STATUS, str(PORT), "\r\n".join(lines) + "\r\n\r\n").text)


@case("terminal: a browser sees the menu, starts an agent command, and is the only client")
def browser(world):
    """Headless Chromium; the screenshot is kept in the cache."""
    with world.start(*QUIET) as box:
        box.ready()
        with_agents(box, "codex")
        with Browser(box.inspect(".State.Pid")) as chromium:
            page = chromium.open(f"http://127.0.0.1:{PORT}/")
            menu = wait_for("the menu", lambda: page.screen() if "Choice" in page.screen() else None)
            check("codex" in menu, menu)
            check("$" not in menu.splitlines()[-1] and "#" not in menu.splitlines()[-1], f"a shell prompt: {menu}")
            same("a second client's handshake", upgrade(box, ORIGIN), 409)
            second = chromium.open(f"http://127.0.0.1:{PORT}/")
            wait_for("the second page tells that it has no connection",
                     lambda: re.search("connect", second.run("document.body.innerText") or "", re.I))
            same("the second page's terminal", second.screen(), "")
            second.close()
            arguments, screen = choose(page, "codex")
            same("codex's arguments", arguments, "--sandbox workspace-write --ask-for-approval never "
                 "-c features.shell_tool=false -c features.unified_exec=false")
            check("called in /data/ui_shell_sessions/" in screen, f"the session's folder: {screen}")
            page.picture(host.CACHE / "terminal.png")
            check("ui_shell_sessions" in box.sh("cat $HOME/.codex/config.toml"), "no trust entry while it runs")
            answer(page, "codex")
            check("ui_shell_sessions" not in box.sh("cat $HOME/.codex/config.toml"), "the trust entry is still there")
        wait_for("the seat is free again", lambda: upgrade(box, ORIGIN) == 101)
        return f"menu: {' | '.join(menu.split(chr(10)))[:200]}"


@case("terminal: each agent starts with its predefined flags and finds its own security files; nothing leads to a shell")
def predefined(world):
    """gemini and opencode; keys that would get out of a menu do nothing."""
    with world.start(*QUIET) as box:
        box.ready()
        with_agents(box, "gemini", "opencode")
        with Browser(box.inspect(".State.Pid")) as chromium:
            page = chromium.open(f"http://127.0.0.1:{PORT}/")
            wait_for("the menu", lambda: "Choice" in page.screen())
            page.type("!sh\r;id\r")
            arguments, screen = choose(page, "gemini")
            check("uid=" not in screen, f"a command was run: {screen}")
            same("gemini's arguments", arguments, "--sandbox --approval-mode default")
            check("run_shell_command" in screen and "ShellTool" in screen, f"gemini's settings: {screen}")
            check("ui_shell_sessions" in box.sh("cat $HOME/.gemini/trustedFolders.json"), "no trust entry while it runs")
            answer(page, "gemini")
            check("ui_shell_sessions" not in box.sh("cat $HOME/.gemini/trustedFolders.json"), "the trust entry is still there")
            arguments, screen = choose(page, "opencode")
            same("opencode's arguments", arguments, "")
            check(re.search(r'"permission": *"deny"', screen), f"opencode's settings: {screen}")
            shells = [c for c in box.sh("cat /proc/[0-9]*/comm").split() if c in ("bash", "zsh", "dash")]
            same("shells beside the stand-in's own interpreter", shells, [])
            answer(page, "opencode")
        return "gemini --sandbox --approval-mode default, shell tools excluded, trusted while it ran; opencode: all denied"


# Deaf to what a person or a hang-up would end it with, and with a child in a session of its own.
DEAF = """#!/bin/sh
trap '' TERM HUP INT
setsid sleep 100000 &
echo "$$ $!" > /tmp/agent.pids.part
mv /tmp/agent.pids.part /tmp/agent.pids
while :; do sleep 1; done
"""


@case("terminal: at the time limit the browser sees its session end, with the agent and all that it started, and opens a new one",
      limit=1800)
def time_limit(world):
    """The least limit that there is; a machine that is too slow to start the agent within it tries again."""
    with world.start(*QUIET, "-e", "UI_SHELL_HARD_TTL_SECONDS=60") as box:
        box.ready()
        with_agents(box, "codex", script=DEAF)
        with Browser(box.inspect(".State.Pid")) as chromium:
            page = chromium.open(f"http://127.0.0.1:{PORT}/")

            def started():
                screen = page.screen()
                found = re.findall(r"^ *(\d+) +codex +(?:managed|global)", screen, re.M)
                if found and screen.splitlines()[-1].rstrip().endswith("(q leaves):"):
                    page.type(f"{found[-1]}\r")
                elif disconnected(page):
                    page.type("\r")
                return box.sh("cat /tmp/agent.pids 2>/dev/null || :")

            pids = on(page, "the agent runs", started, 600).split()
            on(page, "the page says that its session has ended", lambda: disconnected(page), 240)
            # ttyd may be too busy to send the last words before it closes: they are told here, not asked for.
            words = "time limit is reached" in page.screen()
            same("what is left of the agent", box.sh(f"ls -d {' '.join(f'/proc/{p}' for p in pids)} 2>/dev/null || :"), "")
            check("ui_shell_sessions" not in box.sh("cat $HOME/.codex/config.toml"), "the trust entry is still there")
            page.type("\r")
            on(page, "a new session's menu",
               lambda: not disconnected(page) and "(q leaves):" in page.screen() and "time limit is reached" not in page.screen())
        return f"the agent (pids {' and '.join(pids)}, deaf to TERM) ended with its session after 60 s" \
            f"{', which the page says' if words else ''}; Enter opened a new one"


def disconnected(page):
    """ttyd's page offers to connect again."""
    return re.search("reconnect", page.run("document.body.innerText") or "", re.I)


@case("terminal: with auth on, refused without credentials, open with them")
def credentials(world):
    """Basic Auth at the gateway, for pages and for the websocket."""
    with world.start(*QUIET, "-e", "UI_BASIC_AUTH_ENABLED=true", "-e", "UI_BASIC_AUTH_USERNAME=admin", "-e",
                     "UI_BASIC_AUTH_PASSWORD=pass:word") as box:
        box.ready()
        same("page without", box.http("/", PORT)[0], 401)
        same("token without", box.http("/token", PORT)[0], 401)
        same("websocket without", upgrade(box, ORIGIN), 401)
        basic = "Authorization: Basic " + base64.b64encode(b"admin:pass:word").decode()
        wrong = "Authorization: Basic " + base64.b64encode(b"admin:pass").decode()
        same("page with a wrong password", box.http("/", PORT, headers=[wrong])[0], 401)
        same("page with", box.http("/", PORT, headers=[basic])[0], 200)
        same("websocket with", upgrade(box, ORIGIN, basic), 101)
        with Browser(box.inspect(".State.Pid")) as chromium:
            outside = chromium.open(f"http://127.0.0.1:{PORT}/")
            wait_for("the page is refused", lambda: outside.run("document.readyState") == "complete")
            check(not outside.screen(), f"a terminal without credentials: {outside.screen()}")
            inside = chromium.open(f"http://admin:pass%3Aword@127.0.0.1:{PORT}/")
            wait_for("the menu", lambda: "codex" in inside.screen())
        check("pass:word" not in box.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "the password is in an argument list")
        return "401 without and with a wrong one, 200 and 101 with; the menu in a browser with credentials"


@case("terminal: a foreign origin is refused, always")
def origins(world):
    """A page of another site cannot open the terminal."""
    with world.start(*QUIET) as box:
        box.ready()
        same("foreign origin", upgrade(box, "Origin: http://evil.example"), 403)
        same("own origin", upgrade(box, ORIGIN), 101)
        return "403 and 101"


@case("terminal: a killed ttyd is restarted; a terminal in Docker's hands ends with the container")
def restarted(world):
    """Supervised."""
    with world.start(*QUIET, "-e", "SKILL_INIT_BACKOFF=10ms") as box:
        box.ready()
        old = box.service("ttyd")["pid"]
        box.exec("kill", "-9", str(old))
        wait_for("a new ttyd", lambda: box.service("ttyd")["pid"] not in (None, old))
        wait_for("it serves", lambda: box.http("/", PORT)[0] == 200)
        check(box.running(), "the container ended")
        return f"pid {old} -> {box.service('ttyd')['pid']}"
