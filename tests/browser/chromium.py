"""A headless Chromium, driven through chromedriver by the W3C WebDriver protocol."""

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage"
    " --no-first-run --no-proxy-server --disable-background-networking"
    " --disable-component-update --disable-sync --disable-extensions --hide-scrollbars --lang=en-US"
    " --window-size=1440,900"
).split()
# A browser must wait for the test and not the other way round, also on a busy machine.
ANSWER_SECONDS_MAX = 120
# Of the WebDriver protocol (https://www.w3.org/TR/webdriver2/#keyboard-actions).
CONTROL, RELEASE = "\ue009", "\ue000"
WAIT_SECONDS_MAX = 60
# Counts, before a page does anything, what it does against its content security policy.
WITNESS = """
window.broken = [];
document.addEventListener('securitypolicyviolation', event =>
  window.broken.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
# Nothing in this test is ever asked through a proxy.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Trouble(Exception):
    """The browser could not do what it was asked for; `kind` is WebDriver's word for why."""

    def __init__(self, kind, message):
        super().__init__(f"{kind}: {message.splitlines()[0] if message else ''}")
        self.kind = kind


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Driver:
    """One process of chromedriver."""

    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen(
            ["chromedriver", f"--port={self.port}", "--log-level=SEVERE"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + ANSWER_SECONDS_MAX
        while not self.is_ready():
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit("chromedriver does not answer")
            time.sleep(0.05)

    def is_ready(self):
        try:
            return self.ask("GET", "/status")["ready"]
        except OSError:
            return False

    def ask(self, method, path, body=None):
        """Returns the `value` of an answer; raises `Trouble` when it is an error."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data,
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with DIRECT.open(request, timeout=ANSWER_SECONDS_MAX) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise Trouble(value["error"], value["message"]) from error

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=ANSWER_SECONDS_MAX)


class Browser:
    """One window of a browser with a fresh profile."""

    def __init__(self, driver, base, preferences=None):
        self.driver = driver
        self.base = base
        self.profile = tempfile.mkdtemp(prefix="ergane-browser-")
        options = {
            "args": [*FLAGS, f"--user-data-dir={self.profile}"],
            "prefs": {"credentials_enable_service": False, **(preferences or {})},
        }
        wanted = {
            "browserName": "chrome",
            # A dialog that no check expects must be seen and not be closed on the way.
            "unhandledPromptBehavior": "ignore",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": options,
        }
        body = {"capabilities": {"alwaysMatch": wanted}}
        self.session = driver.ask("POST", "/session", body)["sessionId"]
        self.ask("POST", "/timeouts", {"script": ANSWER_SECONDS_MAX * 1000})
        self.devtools("Page.addScriptToEvaluateOnNewDocument", source=WITNESS)

    def close(self):
        try:
            self.ask("DELETE", "")
        finally:
            shutil.rmtree(self.profile, ignore_errors=True)

    def ask(self, method, path, body=None):
        if method == "POST" and body is None:
            body = {}
        return self.driver.ask(method, f"/session/{self.session}{path}", body)

    def devtools(self, command, **params):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    # What a user does.

    def open(self, path):
        """Goes to a path of the appliance, or to a whole address."""
        url = path if path.startswith(("http", "about")) else self.base + path
        self.ask("POST", "/url", {"url": url})

    def reload(self):
        self.ask("POST", "/refresh")

    def click(self, selector):
        self.ask("POST", f"/element/{self.find(selector)}/click")

    def type(self, selector, text):
        element = self.find(selector)
        self.ask("POST", f"/element/{element}/clear")
        self.ask("POST", f"/element/{element}/value", {"text": text})

    def tap(self, element):
        """Touches an element as a finger does."""
        self.run("arguments[0].scrollIntoView({block: 'nearest'})", element)
        touch = {"type": "pointer", "id": "finger", "parameters": {"pointerType": "touch"}}
        touch["actions"] = [
            {"type": "pointerMove", "origin": element, "x": 0, "y": 0},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self.ask("POST", "/actions", {"actions": [touch]})

    def press(self, *keys):
        """Presses keys where the focus is; Control is held until `RELEASE` or the last key."""
        turns, held = [], []
        for key in (*keys, RELEASE):
            if key == RELEASE:
                turns += [("keyUp", modifier) for modifier in held]
                held = []
            elif key == CONTROL:
                turns.append(("keyDown", key))
                held.append(key)
            else:
                turns += [("keyDown", key), ("keyUp", key)]
        turns = [{"type": kind, "value": key} for kind, key in turns]
        actions = [{"type": "key", "id": "keyboard", "actions": turns}]
        self.ask("POST", "/actions", {"actions": actions})

    def answer_dialog(self, answer):
        """Answers a question with `accept` or `dismiss`; returns the question."""
        question = self.wait("a question", self.dialog)
        self.ask("POST", f"/alert/{answer}")
        return question

    # What a user sees.

    def find(self, selector):
        """Returns the first element that matches, a moment later when there is none yet."""
        body = {"using": "css selector", "value": selector}
        found = self.wait(f"`{selector}`", lambda: self.ask("POST", "/elements", body))
        return found[0][ELEMENT]

    def element(self, selector):
        """Returns the same as a script takes it."""
        return {ELEMENT: self.find(selector)}

    def has(self, selector):
        body = {"using": "css selector", "value": selector}
        return bool(self.ask("POST", "/elements", body))

    def text(self, selector):
        return self.ask("GET", f"/element/{self.find(selector)}/text")

    def texts(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText.trim())"
        return self.run(script, selector)

    def path(self):
        return self.ask("GET", "/url").removeprefix(self.base)

    def run(self, script, *arguments):
        """Returns what a script in the page returns."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def run_later(self, script, *arguments):
        """Returns what a script in the page gives to its last argument, a function."""
        return self.ask("POST", "/execute/async", {"script": script, "args": arguments})

    def violations(self):
        """Returns what the page in front did against its content security policy."""
        return self.run("return (window.broken || []).splice(0)")

    def dialog(self):
        """Returns the text of the dialog that is open, or `None`."""
        try:
            return self.ask("GET", "/alert/text")
        except Trouble as trouble:
            if trouble.kind != "no such alert":
                raise
            return None

    def messages(self):
        """Returns what the console said since the last call."""
        return self.ask("POST", "/se/log", {"type": "browser"})

    def wait(self, what, condition, seconds=WAIT_SECONDS_MAX):
        """Returns the first true answer of `condition`."""
        end = time.monotonic() + seconds
        while True:
            # A page may be replaced while it is asked; then the next one is asked.
            try:
                answer = condition()
            except Trouble as trouble:
                if trouble.kind not in ("stale element reference", "no such element"):
                    raise
                answer = None
            if answer:
                return answer
            if time.monotonic() > end:
                raise AssertionError(f"no {what} within {seconds} s at {self.path()}")
            time.sleep(0.05)

    # How the window is.

    def resize(self, width, height):
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def become_phone(self, width, height):
        """Makes the window that of a phone, which is touched."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)
        self.devtools("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=1)

    def prefer(self, scheme):
        """Sets what the system says of light and dark; nothing fades from one to the other."""
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def forget(self, cookie):
        self.ask("DELETE", f"/cookie/{cookie}")

    def shoot(self, path, width):
        """Saves the whole page as a picture, as if the window were as high as the page."""
        self.resize(width, self.run("return document.documentElement.scrollHeight"))
        shot = self.devtools("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(shot["data"]))
