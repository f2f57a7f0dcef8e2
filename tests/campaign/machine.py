"""One appliance on a machine that is made to fail, known by its binary and its public API alone."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

KEY = "key-of-the-campaign-0123456789"


class Refused(Exception):
    """The server answered, and not with what was asked for."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body[:200]}")
        self.status = status
        self.body = body
        try:
            self.code = json.loads(body).get("code")
        except ValueError:
            self.code = None


class Machine:
    """A data directory, the process that serves it, and a client with its owner's key."""

    def __init__(self, binary, directory=None, environment=None, wrapper=()):
        self.binary = os.path.abspath(binary)
        self.base = tempfile.mkdtemp(prefix="ergane-machine-")
        self.data = directory or os.path.join(self.base, "data")
        self.log = os.path.join(self.base, "log")
        self.environment = environment or {}
        self.wrapper = list(wrapper)
        self.process = None
        self.port = None

    def command(self):
        self.port = free_port()
        listen = f"127.0.0.1:{self.port}"
        return self.wrapper + [self.binary, "serve", "--listen", listen, "--data-dir", self.data]

    def variables(self, extra=None):
        own = {"ERGANE_BOOTSTRAP_KEY": KEY, "RUST_BACKTRACE": "0"}
        own["ERGANE_HTTP__REQUESTS_PER_SECOND"] = "0"
        return {**os.environ, **own, **self.environment, **(extra or {})}

    def start(self, extra=None, patience=60.0, stdout=subprocess.DEVNULL, stderr=None):
        log = stderr if stderr is not None else open(self.log, "ab")
        self.process = subprocess.Popen(
            self.command(), env=self.variables(extra), cwd=self.base, stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=log, start_new_session=True)
        wait_for(lambda: self.is_up() or self.process.poll() is not None, patience, "it answers")
        assert self.process.poll() is None, f"it ended: {self.process.returncode}\n{self.said()}"
        return self

    def attempt(self, extra=None, patience=20.0):
        """Starts it and waits for its end: what it said, and its exit code."""
        ended = subprocess.run(
            self.command(), env=self.variables(extra), cwd=self.base, capture_output=True,
            text=True, timeout=patience, stdin=subprocess.DEVNULL)
        return ended.returncode, ended.stdout + ended.stderr

    def is_up(self):
        try:
            return self.ask("GET", "/healthz", timeout=2) is not None
        except (OSError, http.client.HTTPException, Refused):
            return False

    @property
    def server_id(self):
        """The process that serves, also below a wrapper that did not replace itself."""
        for child in children_of(self.process.pid):
            if os.path.basename(os.readlink(f"/proc/{child}/exe")) == os.path.basename(self.binary):
                return child
        return self.process.pid

    def ask(self, method, path, body=None, timeout=30, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            given = {"x-api-key": KEY, "content-type": "application/json", **(headers or {})}
            text = None if body is None else json.dumps(body)
            connection.request(method, path, body=text, headers=given)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        if answer.status >= 300:
            raise Refused(answer.status, text)
        return json.loads(text) if text.startswith(("{", "[")) else text

    def publish(self, number, size=1000, timeout=30):
        body = {"n": number, "text": "x" * size}
        return self.ask("POST", f"/v1/events/order:placed?id=event-{number}", body, timeout)

    def ready(self):
        """The status of readiness and the codes of its reasons."""
        try:
            answer = self.ask("GET", "/readyz", timeout=5)
        except Refused as refused:
            answer = json.loads(refused.body)
            return "unready", [reason["code"] for reason in answer.get("reasons", [])]
        return answer["status"], [reason["code"] for reason in answer["reasons"]]

    def state(self):
        """The one state that the metrics show."""
        text = self.ask("GET", "/metrics", timeout=5)
        lines = [line for line in text.splitlines() if line.startswith("ergane_store_state{")]
        shown = [line.split('"')[1] for line in lines if line.endswith(" 1")]
        assert len(shown) == 1, lines
        return shown[0]

    def save_echo(self):
        self.ask("POST", "/v1/workflows", {
            "name": "echo", "trigger": {"event": "order:placed"},
            "steps": [{"id": "show", "activity": "workflows:transform-platform",
                       "input": {"output": "{{ trigger.payload.n }}"}}]})

    def check_ledger(self, accepted):
        for number in accepted:
            event = self.ask("GET", f"/v1/events/event-{number}")
            assert event["payload"]["n"] == number, f"event {number} was changed"
            assert len(event["runs"]) == 1, f"event {number} started {event['runs']}"

    def signal(self, number):
        os.kill(self.server_id, number)

    def stop(self, patience=20.0):
        begun = time.monotonic()
        self.signal(signal.SIGTERM)
        self.process.wait(patience)
        return self.process.returncode, time.monotonic() - begun

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]

    def close(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.base, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class SmallDisk:
    """A file system in memory that can be filled and emptied."""

    def __init__(self, size="48m"):
        self.path = tempfile.mkdtemp(prefix="ergane-disk-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.path],
                       check=True)
        self.filler = os.path.join(self.path, "filler")

    def free(self):
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def fill(self, leave=0):
        """Writes until `leave` bytes are free."""
        with open(self.filler, "ab", buffering=0) as filler:
            try:
                while self.free() > leave:
                    filler.write(b"x" * min(1 << 20, max(4096, self.free() - leave)))
            except OSError:
                pass

    def empty(self):
        if os.path.exists(self.filler):
            os.remove(self.filler)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=False)
        os.rmdir(self.path)


def children_of(process):
    try:
        with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as children:
            return [int(child) for child in children.read().split()]
    except OSError:
        return []


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(condition, patience, what):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"within {patience} s it did not come true: {what}")


def may_mount():
    return os.geteuid() == 0 and shutil.which("mount") is not None


def run(checks, arguments):
    """Runs each check, says what came of it, and returns the exit code."""
    failed = 0
    for check in checks:
        if arguments.only and check.__name__ not in arguments.only:
            continue
        begun = time.monotonic()
        try:
            told = check(arguments)
            verdict = "skipped" if isinstance(told, str) and told.startswith("skipped") else "good"
        except (AssertionError, Refused, OSError, subprocess.TimeoutExpired) as fault:
            verdict, told = "BROKEN", f"{type(fault).__name__}: {fault}"
            failed += 1
        took = time.monotonic() - begun
        print(f"{verdict:8} {check.__name__:40} {took:6.1f} s  {told or ''}", flush=True)
    return 1 if failed else 0


def parser(about):
    import argparse
    arguments = argparse.ArgumentParser(description=about)
    arguments.add_argument("--binary", default="target/debug/ergane")
    arguments.add_argument("--short", action="store_true", help="a sample of everything")
    arguments.add_argument("--only", action="append", help="this check; may be repeated")
    return arguments
