"""The appliance as the campaign sees it: a process that can be killed, and an API."""

import atexit
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time

KEY = "campaign-key-0123456789abcdef"
READY_SECONDS_MAX = 60


# Whatever still runs when the campaign ends, in whichever way; a session of its own outlives it.
LIVING = set()


@atexit.register
def end_all():
    for server in list(LIVING):
        server.kill()


class Refused(Exception):
    """The appliance answered, and the answer is no."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text[:600]}")
        self.status = status


class Away(Exception):
    """Nobody answered, or the answer was cut off: what was asked may or may not have been done."""


def free_port():
    """Returns a port below those that outgoing connections take, so that none is taken in between."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    """One data directory and, most of the time, one process that serves it."""

    def __init__(self, binary, directory, log_path, settings=None):
        self.binary = binary
        self.settings = settings or {}
        self.directory = directory
        self.log = open(log_path, "ab")
        self.process = None
        self.port = None
        self.starts = 0
        self.slowest_start = 0.0

    def start(self, tracer=(), extra=None):
        """Starts the process on a new port, under `tracer` and with `extra` variables when they
        are given; does not wait."""
        self.port = free_port()
        self.starts += 1
        command = [*tracer, self.binary, "serve", "--data-dir", self.directory]
        command += ["--listen", f"127.0.0.1:{self.port}"]
        environment = {
            **os.environ,
            "ERGANE_BOOTSTRAP_KEY": KEY,
            "ERGANE_EGRESS__ALLOW": "127.0.0.1/32",
            "ERGANE_LOG__LEVEL": "warn",
            **self.settings,
            **(extra or {}),
        }
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=tempfile.gettempdir(),
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        LIVING.add(self)

    def wait_ready(self, seconds=READY_SECONDS_MAX):
        """Waits until the process takes work; answers whether it lived to do so."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self.process.poll() is not None:
                return False
            try:
                Api(self).call("GET", "/readyz", timeout=2)
                self.slowest_start = max(self.slowest_start, time.monotonic() - began)
                return True
            except (Away, Refused):
                time.sleep(0.005)
        raise SystemExit(f"the appliance was not ready after {seconds} s")

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Ends the process, and a tracer around it, without any warning."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        LIVING.discard(self)

    def pid(self):
        """Returns the id of the process that serves, also when a tracer is around it."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(children, encoding="ascii") as file:
            below = file.read().split()
        with open(f"/proc/{self.process.pid}/comm", encoding="ascii") as file:
            is_tracer = file.read().strip() == "strace"
        return int(below[0]) if is_tracer and below else self.process.pid

    def stop(self):
        """Asks the process to end; answers its exit code and how long it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=45)
        except subprocess.TimeoutExpired:
            self.kill()
            code = None
        return code, time.monotonic() - began


class Api:
    """One connection to the API of a server that may go away at any moment."""

    def __init__(self, server, stop=None):
        self.server = server
        self.stop = stop
        self.connection = None
        self.port = None

    def call(self, method, path, body=None, headers=None, timeout=40):
        """Returns the JSON of an answer; raises `Refused` or `Away`."""
        if self.connection is None or self.port != self.server.port:
            self.port = self.server.port
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        all_headers = {"Authorization": f"Bearer {KEY}", **(headers or {})}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            all_headers.setdefault("Content-Type", "application/json")
        try:
            self.connection.request(method, path, data, all_headers)
            response = self.connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            raise Away(str(error)) from error
        if response.status >= 300:
            raise Refused(response.status, text)
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text

    def persist(self, method, path, body=None, headers=None, seconds=60):
        """Calls until there is an answer, through restarts; a refusal to write counts as none.
        Whoever was given a `stop` gives up when it is set, with `Away`."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.call(method, path, body, headers)
            except Away:
                problem = "nobody answers"
            except Refused as refused:
                if refused.status not in (429, 503):
                    raise
                problem = str(refused)
            if self.stop is not None and self.stop.is_set():
                raise Away(problem)
            if time.monotonic() > end:
                raise SystemExit(f"{method} {path}: no answer within {seconds} s: {problem}")
            time.sleep(0.01)

    def pages(self, path):
        """Yields every item of a list."""
        cursor = None
        while True:
            separator = "&" if "?" in path else "?"
            suffix = f"{separator}limit=200" + (f"&cursor={cursor}" if cursor else "")
            page = self.persist("GET", path + suffix)
            yield from page["data"]
            cursor = page.get("nextCursor")
            if not cursor:
                return

