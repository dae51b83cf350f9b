"""A person's way through the pages under /ui in a real browser, and what must hold on every page on the way.

On each page: no request outside the policy, no script error, no serious or critical finding of axe-core, no horizontal
scrolling down to 320 px. The same walk makes the pictures of docs/ui.md.
"""

import base64
import json
import pathlib
import tarfile
import zipfile

from . import host
from .cases import check, same
from .shell import run, wait_for

# Collects what a page must not do, before its own script runs.
WATCH = """window.faults = [];
addEventListener('securitypolicyviolation', e => faults.push('policy: ' + e.violatedDirective + ' ' + e.blockedURI), true);
addEventListener('error', e => faults.push('error: ' + (e.message || (e.target && e.target.src))), true);
addEventListener('unhandledrejection', e => faults.push('promise: ' + e.reason));"""


def axe():
    """axe-core's source, from the npm registry."""
    path = host.CACHE / "axe/package/axe.min.js"
    if not path.exists():
        host.need(["npm"])
        host.clean_dir(host.CACHE / "axe")
        packed = run(["npm", "pack", "--silent", "axe-core@4"], cwd=host.CACHE / "axe", timeout=300).text.splitlines()[-1]
        with tarfile.open(host.CACHE / "axe" / packed) as archive:
            archive.extractall(host.CACHE / "axe", filter="data")
    return path.read_text(encoding="utf-8")


def package(folder, source, name):
    """A skill package out of an example skill under another name; its path."""
    path = pathlib.Path(folder) / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(pathlib.Path(source).rglob("*")):
            if file.is_file():
                text = file.read_text(encoding="utf-8").replace("\"hello\"", f"\"{name}\"").replace("name: hello", f"name: {name}")
                archive.writestr(f"{name}/{file.relative_to(source)}", text)
    return path


class Walk:
    """One visitor."""

    def __init__(self, browser, base, terminal, credentials=None, pictures=None):
        """`base`, `terminal`: addresses without a slash at the end; `credentials`: user:password."""
        self.base, self.terminal, self.pictures, self.seen = base, terminal, pictures, []
        self.page = browser.open("about:blank")
        self.page.call("Page.enable")
        self.page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        if credentials:
            # What a person types into the browser's dialogue, once per origin.
            for address in (base + "/ui", terminal + "/token"):
                self.go(address.replace("://", f"://{credentials}@"))
        self.axe = axe()

    def go(self, url):
        """Navigate and wait for the page."""
        self.page.run("window.old = true")
        self.page.go(url)
        self.loaded()

    def ask(self, script):
        """The value of a script; none where the page gave way to the next one meanwhile."""
        try:
            return self.page.run(script)
        except AssertionError as fault:
            if "navigated" in str(fault) or "context was destroyed" in str(fault):
                return None
            raise

    def loaded(self):
        """Wait for the page after this one."""
        wait_for("the page", lambda: self.ask("!window.old && document.readyState === 'complete'"))

    def follow(self, script):
        """Do something that leads to another page."""
        self.page.run("window.old = true")
        self.ask(script)
        self.loaded()

    def text(self, selector="main"):
        """What a person reads there."""
        return self.ask(f"(document.querySelector({json.dumps(selector)}) || {{}}).innerText || ''") or ""

    def has(self, words, selector="main", seconds=60):
        """Wait until it can be read."""
        def look():
            text = self.text(selector)
            if words not in text:
                raise ValueError(f"it says {text[:300]!r}")
            return text
        return wait_for(f"{words!r} in {selector}", look, seconds)

    def press(self, key, code, number):
        """A key."""
        for kind in ("rawKeyDown", "keyUp"):
            self.page.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number)

    def size(self, width, height=900, dark=False):
        """The window and the scheme."""
        self.page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.page.call("Emulation.setEmulatedMedia", features=[scheme, still])

    def sound(self, name):
        """Everything that must hold on any page; `name` is the picture's."""
        for width, dark in ((1180, False), (1180, True), (360, True), (360, False)):
            self.size(width, dark=dark)
            wide = self.page.run("document.documentElement.scrollWidth")
            check(wide <= width, f"{name}: {wide} px wide in a window of {width}")
            if width == 1180 or not dark:
                self.readable(f"{name} {width} {'dark' if dark else 'light'}")
                self.picture(name, width, dark)
        self.size(320)
        wide = self.page.run("document.documentElement.scrollWidth")
        check(wide <= 320, f"{name}: {wide} px wide in a window of 320")
        self.size(1180)
        same(f"{name}: faults", self.page.run("window.faults.filter(f => !f.includes('ResizeObserver'))"), [])
        self.seen.append(name)

    def readable(self, name):
        """axe-core finds nothing serious."""
        if not self.page.run("typeof axe === 'object'"):
            self.page.run(self.axe + "; 0")
        found = self.page.run("""axe.run(document, {iframes: false}).then(r => r.violations.map(v =>
            [v.impact, v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + (n.failureSummary || ''))]))""")
        check(found is not None, f"{name}: axe-core did not run")
        bad = [one for one in found if one[0] in ("serious", "critical")]
        check(not bad, f"{name}: {bad}")

    def picture(self, name, width, dark):
        """A picture for the documentation, where wanted."""
        if not self.pictures:
            return
        full = self.page.run("Math.min(document.documentElement.scrollHeight, 1500)")
        self.size(width, height=max(full, 500), dark=dark)
        self.page.run("scrollTo(0, 0)")
        kind = ("phone" if width < 500 else "wide") + ("-dark" if dark else "")
        data = self.page.call("Page.captureScreenshot", format="png")["data"]
        self.pictures(f"{name}-{kind}", base64.b64decode(data))

    # The way.

    def skills(self, archive):
        """The list; a broken package is refused readably; the good one is installed and seen without a reload."""
        self.go(self.base + "/ui")
        self.page.run("document.body.focus()")
        self.press("Tab", "Tab", 9)
        same("the first stop of the keyboard", self.page.run("document.activeElement.className"), "skip")
        broken = pathlib.Path(archive).with_name("broken.zip")
        broken.write_bytes(b"this is no archive")
        self.send(broken)
        self.has("Not installed:", "#upload-status")
        self.send(archive)
        self.has("Installed:", "#upload-status")
        self.has(pathlib.Path(archive).stem, "#skills")
        self.sound("skills")

    def send(self, path):
        """Choose a file and upload it."""
        document = self.page.call("DOM.getDocument")["root"]["nodeId"]
        node = self.page.call("DOM.querySelector", nodeId=document, selector="#package")["nodeId"]
        self.page.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])
        self.page.run("document.querySelector('#upload button').focus()")
        self.page.run("document.getElementById('upload-status').textContent = ''")
        self.page.run("document.querySelector('#upload button').click()")

    def browse(self, skill):
        """The skill's page and one of its files."""
        self.follow(f"document.querySelector('a[href=\"/ui/skills/{skill}\"]').click()")
        self.has(skill, "h1")
        self.sound("skill")
        self.follow("[...document.querySelectorAll('.tree a')].find(a => a.textContent === 'SKILL.md').click()")
        self.has("Greet", "pre.source")
        self.sound("file")
        self.go(f"{self.base}/ui/skills/{skill}")

    def start(self):
        """Fill the form in; a mistake stands at its field; then it runs."""
        self.page.run("document.querySelector('#run-form').noValidate = true")
        self.follow("document.querySelector('#run-form').requestSubmit()")
        self.has("This is required", "#run-form .error")
        check("alert" in self.page.run("document.activeElement.className"), "the focus is not on what is wrong")
        self.sound("form-refused")
        self.page.run("document.getElementById('input.name').focus()")
        self.page.call("Input.insertText", text="Ada")
        self.page.run("document.querySelector('#run-form [name=no_cache]').checked = true")
        self.follow("document.querySelector('#run-form [type=submit]').click()")
        check("/ui/runs/" in self.page.run("location.pathname"), self.text())

    def watch(self, release):
        """What the agent says is on the page before it has ended; then the end comes by itself."""
        self.has("I have read the skill", "#log")
        self.has("running", "#view")
        self.has("1", ".load")
        self.sound("run-live")
        where = self.page.run("location.href")
        release()
        self.has("succeeded", "#view")
        self.has("Good morning", "#log")
        self.has("greeting.txt", "#view")
        lines = self.page.run("[...document.querySelectorAll('#log li')].length")
        self.sound("run")
        self.go(where)
        same("lines after a reload", self.page.run("[...document.querySelectorAll('#log li')].length"), lines)
        self.follow("[...document.querySelectorAll('#view a')].find(a => a.textContent === 'greeting.txt').click()")
        self.has("Good morning, Ada!", "pre.source")
        self.go(self.base + "/ui/runs")
        self.has("succeeded", "table")
        self.sound("runs")
        self.go(self.base + "/ui/runs?status=failed")
        self.has("No runs here")

    def engines(self, shown):
        """The engines; the terminal is opened in the page, is the only one, and is given back."""
        self.go(self.base + "/ui/engines")
        self.has("codex", "table")
        self.has("The terminal is free", "#terminal-status")
        self.page.run("document.getElementById('terminal-start').click()")
        wait_for("the menu in the frame", lambda: "codex" in self.frame(self.terminal, shown))
        self.has("open below", "#terminal-status")
        wait_for("the seat is taken", lambda: self.session() == "taken")
        self.page.run("document.getElementById('terminal').scrollIntoView()")
        self.sound("engines")
        self.page.run("document.getElementById('terminal-stop').click()")
        wait_for("the seat is free again", lambda: self.session() == "free")
        self.go(self.base + "/ui/engines/codex/models")
        self.has("Models of codex", "h1")
        self.sound("models")
        self.go(self.base + "/ui/nowhere")
        self.has("Not found", "h1")
        self.sound("error")

    def session(self):
        """Where the terminal stands, as the page asks."""
        return self.page.run("fetch('/ui/engines/tui/session').then(r => r.json()).then(s => s.state)")

    def frame(self, address, script):
        """The value of a script in the frame of that address; empty while it is not there."""
        self.page.call("Runtime.enable")
        found = self.page.browser.contexts(self.page.session, address)
        return (self.page.evaluate(script, found[-1]) or "") if found else ""

    def whole(self, archive, release, shown):
        """All of it; one line of evidence."""
        self.skills(archive)
        self.browse(pathlib.Path(archive).stem)
        self.start()
        self.watch(release)
        self.engines(shown)
        return f"{len(self.seen)} pages without fault ({', '.join(self.seen)}), uploaded, ran live, terminal taken and given back"
