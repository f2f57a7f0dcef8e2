"""A demo in a process of its own, and its API."""

import json
import os
import queue
import re
import subprocess
import threading
import time
import urllib.request

from chromium import DIRECT, free_port
from proxy import Proxy

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
# The demo makes about 20 things happen in a minute; every state comes up in the first few.
STATES_SECONDS_MAX = 180


class Appliance:
    """A demo in a new data directory, and its API; under a prefix it is behind a proxy."""

    def __init__(self, binary, directory, prefix=""):
        directory.mkdir(exist_ok=True)
        self.port = free_port()
        self.prefix = prefix
        self.direct = f"http://127.0.0.1:{self.port}"
        self.proxy = Proxy(prefix, self.port) if prefix else None
        self.base = f"http://127.0.0.1:{self.proxy.port}{prefix}" if prefix else self.direct
        # The key is the owner's; the runs are those that came up in each state.
        self.key = self.failed = self.waiting = self.retrying = None
        self.log = directory / "log"
        command = [binary, "serve", "--demo", "--data-dir", directory / "data"]
        self.process = subprocess.Popen(
            [*command, "--listen", f"127.0.0.1:{self.port}"],
            env={**os.environ, **self.settings()},
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=self.log.open("wb"),
            text=True,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def settings(self):
        settings = {"ERGANE_LOG__LEVEL": "error"}
        if self.prefix:
            settings["ERGANE_HTTP__BASE_PATH"] = self.prefix
            settings["ERGANE_HTTP__TRUSTED_PROXIES"] = "127.0.0.0/8"
        return settings

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def link(self):
        """Returns the one-time link that the appliance prints."""
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end and self.process.poll() is None:
            try:
                line = self.lines.get(timeout=0.2)
            except queue.Empty:
                continue
            found = re.search(r"http://\S+/setup\?\S+", line)
            if found:
                return found[0].replace(self.direct + self.prefix, self.base)
        raise SystemExit(f"the appliance printed no link:\n{self.log.read_text()[-2000:]}")

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with DIRECT.open(request, timeout=30) as response:
            return json.load(response)

    def one(self, path):
        """Returns the first item of a list, or `None`."""
        separator = "&" if "?" in path else "?"
        data = self.ask("GET", f"{path}{separator}limit=1")["data"]
        return data[0] if data else None

    def run(self, run):
        return self.ask("GET", f"/v1/runs/{run}")

    def wait(self, what, condition, seconds=STATES_SECONDS_MAX):
        """Returns the first true answer of `condition`."""
        end = time.monotonic() + seconds
        while True:
            answer = condition()
            if answer:
                return answer
            if time.monotonic() > end:
                raise AssertionError(f"no {what} within {seconds} s")
            time.sleep(0.1)

    def new_ticket(self, text):
        body = {
            "title": text,
            "description": text,
            "requestorEmail": "mallory@halden.example",
            "teamId": self.one("/v1/teams")["id"],
            "tags": [text],
        }
        return self.ask("POST", "/v1/tickets", body)["id"]

    def stop(self):
        """Ends it as an operator does; returns its exit code."""
        if self.proxy:
            self.proxy.close()
        self.process.terminate()
        try:
            return self.process.wait(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None
