"""The terminal through the gateway, with a real ttyd and a real browser."""

import base64

from suite import host
from suite.browser import Browser
from suite.cases import case, check, same
from suite.shell import wait_for

QUIET = ("-e", "SKILL_INIT_ENSURE=off")
PORT = 7681
# Stands in for the CLI: says how it was called, waits for a line, ends.
AGENT = ("printf '#!/bin/sh\\necho \"agent called: $*\"\\necho \"cwd: $PWD\"\\nread line\\necho \"got $line\"\\n' "
         "> $NPM_CONFIG_PREFIX/bin/codex && chmod +x $NPM_CONFIG_PREFIX/bin/codex")


def with_agent(box):
    """Puts the stand-in where the menu looks."""
    box.sh(f"mkdir -p $NPM_CONFIG_PREFIX/bin && {AGENT}")


def upgrade(box, *headers):
    """Status of a websocket handshake; 101 is accepted."""
    shown = box.inside("curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "--http1.1",
                       "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13",
                       "-H", "Sec-WebSocket-Key: c2tpbGwtaW5pdC10ZXN0IQ==", "-H", "Sec-WebSocket-Protocol: tty",
                       *[word for header in headers for word in ("-H", header)],
                       f"http://127.0.0.1:{PORT}/ws", check=False)
    return int(shown.out.strip()[-3:] or 0)


@case("terminal: a browser sees the menu, starts an agent command, and is the only client")
def browser(world):
    """Headless Chromium; the screenshot is kept in the cache."""
    with world.start(*QUIET) as box:
        box.ready()
        with_agent(box)
        with Browser(box.inspect(".State.Pid")) as chromium:
            page = chromium.open(f"http://127.0.0.1:{PORT}/")
            menu = wait_for("the menu", lambda: page.screen() if "codex" in page.screen() else None)
            check("$" not in menu.splitlines()[-1] and "#" not in menu.splitlines()[-1], f"a shell prompt: {menu}")
            second = chromium.open(f"http://127.0.0.1:{PORT}/")
            wait_for("the second client is told", lambda: "codex" not in second.screen()
                     and second.run("document.readyState") == "complete")
            second.close()
            number = next(line.strip() for line in menu.splitlines() if "codex" in line)
            key = "".join(c for c in number.split()[0] if c.isdigit()) or "1"
            page.type(f"{key}\r")
            called = wait_for("the agent runs", lambda: page.screen() if "agent called:" in page.screen() else None)
            flat = called.replace("\n", "")
            for flag in ("--sandbox workspace-write", "--ask-for-approval never", "features.shell_tool=false",
                         "features.unified_exec=false"):
                check(flag in flat, f"{flag} is missing: {called}")
            check("/data/ui_shell_sessions/" in flat, f"the session's folder: {called}")
            page.picture(host.CACHE / "terminal.png")
            check("ui_shell_sessions" in box.sh("cat $HOME/.codex/config.toml"), "no trust entry while it runs")
            page.type("hello\r")
            wait_for("its answer", lambda: "got hello" in page.screen() or "codex" in page.screen())
        wait_for("the trust entry is gone",
                 lambda: "ui_shell_sessions" not in box.sh("cat $HOME/.codex/config.toml"))
        return f"menu: {' | '.join(menu.split(chr(10)))[:200]}"


@case("terminal: with auth on, refused without credentials, open with them")
def credentials(world):
    """Basic Auth at the gateway, for pages and for the websocket."""
    with world.start(*QUIET, "-e", "UI_BASIC_AUTH_ENABLED=true", "-e", "UI_BASIC_AUTH_USERNAME=admin", "-e",
                     "UI_BASIC_AUTH_PASSWORD=pass:word") as box:
        box.ready()
        same("page without", box.http("/", PORT)[0], 401)
        same("token without", box.http("/token", PORT)[0], 401)
        origin = f"Origin: http://127.0.0.1:{PORT}"
        same("websocket without", upgrade(box, origin), 401)
        basic = "Authorization: Basic " + base64.b64encode(b"admin:pass:word").decode()
        wrong = "Authorization: Basic " + base64.b64encode(b"admin:pass").decode()
        same("page with a wrong password", box.http("/", PORT, headers=[wrong])[0], 401)
        same("page with", box.http("/", PORT, headers=[basic])[0], 200)
        same("websocket with", upgrade(box, origin, basic), 101)
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
        same("own origin", upgrade(box, f"Origin: http://127.0.0.1:{PORT}"), 101)
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
