"""A headless Chromium in a container's network namespace, driven over its DevTools pipe: no port, no library."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from . import host

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1000,700",
         "--remote-debugging-pipe"]

# The text of ttyd's terminal.
SCREEN = """(() => { const b = window.term && window.term.buffer.active; if (!b) return '';
    return Array.from({length: window.term.rows}, (_, i) => { const l = b.getLine(i + b.viewportY);
    return l ? l.translateToString(true) : ''; }).join('\\n').trimEnd(); })()"""


def ensure():
    """The program, installed when it is missing."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return name
    host.apt_install(["chromium"])
    return "chromium"


class Browser:
    """One browser, several pages."""

    def __init__(self, pid):
        """`pid`: a process in the network namespace to use."""
        self.profile = tempfile.mkdtemp(prefix="skill-init-chromium.")
        to_read, self.to_write = os.pipe()
        self.to_look, to_answer = os.pipe()
        # DevTools speaks on descriptors 3 and 4.
        script = f'exec "$@" 3<&{to_read} 4>&{to_answer}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "bash", "nsenter", "-n", "-t", str(pid), "--", ensure(), *FLAGS,
             f"--user-data-dir={self.profile}", "about:blank"],
            pass_fds=(to_read, to_answer), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_read)
        os.close(to_answer)
        self.buffer = b""
        self.number = 0
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
            self.process.wait(20)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.to_write)
        os.close(self.to_look)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, session=None, seconds=240, **parameters):
        """One DevTools command; its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            answer = self._next(deadline, method)
            if "id" not in answer:
                self.events.append(answer)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def _next(self, deadline, method):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.to_look], [], [], left)[0]:
                raise AssertionError(f"the browser does not answer {method}")
            chunk = os.read(self.to_look, 1 << 16)
            if not chunk:
                raise AssertionError(f"the browser is gone ({self.process.poll()})")
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(line)

    def contexts(self, session, origin):
        """The script contexts of a page's frames of that origin which are there now, oldest first."""
        found = {}
        for event in self.events:
            if event.get("sessionId") != session:
                continue
            method, about = event["method"], event["params"]
            if method == "Runtime.executionContextCreated" and about["context"]["origin"] == origin:
                if about["context"]["auxData"].get("isDefault"):
                    found[about["context"]["id"]] = True
            elif method == "Runtime.executionContextDestroyed":
                found.pop(about["executionContextId"], None)
            elif method == "Runtime.executionContextsCleared":
                found.clear()
        return list(found)

    def open(self, url):
        """A new page, without waiting for it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        page.go(url)
        return page


class Page:
    """One tab."""

    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target

    def call(self, method, **parameters):
        """A command to this page."""
        return self.browser.call(method, session=self.session, **parameters)

    def go(self, url):
        """Navigate."""
        self.call("Page.enable")
        self.call("Page.navigate", url=url)

    def run(self, script):
        """Evaluate an expression (a promise is awaited); its value."""
        return self.evaluate(script)

    def evaluate(self, script, context=None):
        """The same in one of the page's contexts."""
        where = {"contextId": context} if context is not None else {}
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, **where)
        return done["result"].get("value")

    def screen(self):
        """The text of ttyd's terminal."""
        return self.run(SCREEN) or ""

    def type(self, text):
        """Keys, as a person presses them."""
        self.run("window.term.focus()")
        for letter in text:
            if letter == "\r":
                for kind in ("keyDown", "keyUp"):
                    self.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13,
                              text="\r" if kind == "keyDown" else "")
            else:
                self.call("Input.insertText", text=letter)

    def picture(self, path):
        """A screenshot as a PNG file."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as out:
            out.write(base64.b64decode(data))

    def close(self):
        """Close the tab."""
        self.browser.call("Target.closeTarget", targetId=self.target)
