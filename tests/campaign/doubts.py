#!/usr/bin/env python3
"""The campaign of doubts: kills the appliance while calls are under way to a service that cannot
recognise a repeated call, and checks that none is repeated in silence.

    doubts.py --binary target/debug/ergane --kills 200
    doubts.py --binary target/debug/ergane --short          8 kills, in about half a minute
"""

import argparse
import http.server
import os
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from appliance import Api, Server  # noqa: E402

EACH = 2
SHORT_KILLS = 8
SECONDS_MAX = 60
SHOWN_MAX = 5


class Remote:
    """A service that does whatever it is asked, each time anew, and answers a first call only when
    it is let go."""

    def __init__(self):
        self.calls = []
        self.lock = threading.Lock()
        self.gate = threading.Event()
        remote = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                key = self.headers.get("Idempotency-Key")
                with remote.lock:
                    is_first = all(path != self.path for path, _ in remote.calls)
                    remote.calls.append((self.path, key))
                    gate = remote.gate
                if is_first:
                    gate.wait(SECONDS_MAX)
                answer = b'{"ok":true}'
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass  # The caller was killed while it waited.

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # A killed caller resets its connections.

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keys_of(self, path):
        with self.lock:
            return [key for called, key in self.calls if called == path]

    def let_go(self):
        """Answers those who wait, and lets the next wait again."""
        with self.lock:
            self.gate.set()
            self.gate = threading.Event()


def main():
    arguments = parse()
    base = tempfile.mkdtemp(prefix="ergane-doubts-")
    print(f"data below {base}", flush=True)
    kills = SHORT_KILLS if arguments.short else arguments.kills
    server = Server(arguments.binary, os.path.join(base, "data"), os.path.join(base, "log"))
    try:
        results = campaign(server, Remote(), kills, base)
    finally:
        server.kill()
    good = report(f"{kills} kills while {2 * EACH} calls were under way", results)
    if good and not arguments.keep:
        shutil.rmtree(base)
    print("every doubt was told" if good else f"PROMISES WERE BROKEN; see {base}")
    return 0 if good else 1


def parse():
    parser = argparse.ArgumentParser(description="Kills the appliance during calls.")
    parser.add_argument("--binary", default="target/debug/ergane")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keeps the data when all is well")
    arguments = parser.parse_args()
    arguments.binary = os.path.abspath(arguments.binary)
    if not os.path.exists(arguments.binary):
        parser.error(f"there is no binary {arguments.binary}; build it with `cargo build`")
    return arguments


def campaign(server, remote, kills, base):
    api = Api(server)
    restart(server, base)
    for name in ("ask", "repeat"):
        api.persist("POST", "/v1/workflows", definition(name, remote.port))
    runs = {}
    for number in range(kills):
        begun = {}
        for name in ("ask", "repeat"):
            for twin in range(EACH):
                path = f"/{name}/{number}/{twin}"
                payload = {"payload": {"path": path}}
                run = api.persist("POST", f"/v1/workflows/{name}/run", payload)
                begun[path] = run["id"]
        until(lambda: all(remote.keys_of(path) for path in begun), "the calls to come")
        server.kill()
        remote.let_go()
        restart(server, base)
        runs.update(begun)
    return verdicts(api, remote, runs)


def definition(name, port):
    step = {
        "id": "charge",
        "activity": "workflows:http-request-platform",
        "input": {"method": "POST", "url": f"http://127.0.0.1:{port}" + "{{trigger.payload.path}}"},
        "inDoubt": name,
        "compensate": "none",
        "timeout": "60s",
    }
    return {"name": name, "trigger": "manual", "steps": [step]}


def restart(server, base):
    server.start()
    if not server.wait_ready():
        raise SystemExit(f"the appliance does not start; see {base}/log")


def until(holds, what):
    end = time.monotonic() + SECONDS_MAX
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"waited {SECONDS_MAX} s for {what}")
        time.sleep(0.005)


def verdicts(api, remote, runs):
    asked = {path: run for path, run in runs.items() if path.startswith("/ask/")}
    repeated = {path: run for path, run in runs.items() if path.startswith("/repeat/")}
    results = []

    listed = {}
    end = time.monotonic() + SECONDS_MAX
    while len(listed) < len(asked) and time.monotonic() < end:
        listed = {item["run"]: item for item in api.pages("/v1/incidents")}
    silent = [run for run in asked.values() if listed.get(run, {}).get("kind") != "doubt"]
    results.append(("every call that asks ends as a doubt that is listed", len(asked), silent))
    unclear = []
    for run in asked.values():
        view = api.persist("GET", f"/v1/runs/{run}")
        waits = (view.get("waitingFor") or {}).get("kind")
        outcome = view["steps"][0]["attempts"][0]["outcome"]
        if (view["status"], waits, outcome) != ("waiting", "doubt", "unknown"):
            unclear.append(f"{run} {view['status']} {waits} {outcome}")
    results.append(("its run waits, and says that the outcome is unknown", len(asked), unclear))
    twice = [path for path in asked if len(remote.keys_of(path)) != 1]
    results.append(("no call that asks is made a second time by itself", len(asked), twice))

    ends = {path: api.persist("GET", f"/v1/runs/{run}?wait=30s") for path, run in repeated.items()}
    open_runs = [path for path, view in ends.items() if view["status"] != "succeeded"]
    results.append(("every call that is repeated ends", len(repeated), open_runs))
    other = [path for path in repeated if len(set(remote.keys_of(path))) != 1]
    results.append(("it is repeated with the same key alone", len(repeated), other))
    once = [path for path in repeated if len(remote.keys_of(path)) < 2]
    results.append(("it is made again after the kill", len(repeated), once))

    wrong = []
    for number, (path, run) in enumerate(asked.items()):
        again = number % 2 == 1
        body = {"action": "retry"} if again else {"action": "complete", "output": {"status": 200}}
        api.persist("POST", f"/v1/runs/{run}/steps/charge/resolve", body)
        view = api.persist("GET", f"/v1/runs/{run}?wait=30s")
        keys = remote.keys_of(path)
        if view["status"] != "succeeded" or len(keys) != (2 if again else 1) or len(set(keys)) != 1:
            wrong.append(f"{run} {view['status']} {keys}")
    results.append(("a doubt is settled as somebody says, with the same key", len(asked), wrong))
    left = [item["run"] for item in api.pages("/v1/incidents")]
    results.append(("no doubt is left", len(asked), left))
    return results


def report(title, results):
    print(title)
    for promise, count, broken in results:
        print(f"  {'kept  ' if not broken else 'BROKEN'} {promise} ({count})")
        for problem in broken[:SHOWN_MAX]:
            print(f"         {problem}")
    return all(not broken for _, _, broken in results)


if __name__ == "__main__":
    sys.exit(main())
