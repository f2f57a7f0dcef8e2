#!/usr/bin/env python3
"""The worker that the README shows, against the binary: it survives a killed server.

    workers.py --binary target/debug/ergane
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "campaign"))

from appliance import Api, Server  # noqa: E402

ACTIVITY = {
    "uniqueIdentifier": "invoices:render",
    "kind": "worker",
    "inputSchema": {"type": "object", "required": ["number"]},
    "outputSchema": {"type": "object", "required": ["file"]},
}
WORKFLOW = {
    "name": "invoice",
    "trigger": {"event": "order:paid"},
    "steps": [
        {
            "id": "render",
            "activity": "invoices:render",
            "input": {"number": "{{trigger.payload.number}}"},
            "compensate": "none",
        }
    ],
}


def main():
    parser = argparse.ArgumentParser(description="Works as a worker does.")
    parser.add_argument("--binary", default="target/debug/ergane")
    binary = os.path.abspath(parser.parse_args().binary)
    base = tempfile.mkdtemp(prefix="ergane-workers-")
    server = Server(binary, os.path.join(base, "data"), os.path.join(base, "log"))
    start(server)
    api, worker = Api(server), None
    try:
        api.call("POST", "/v1/activities", ACTIVITY)
        api.call("POST", "/v1/event-types", {"type": "order:paid"})
        api.call("POST", "/v1/workflows", WORKFLOW)
        key = api.call("POST", "/v1/keys", {"name": "worker", "scopes": ["tasks:write"]})["key"]
        first = pay(api, 1)
        expect(api.call("GET", f"/v1/runs/{first}?wait=1s")["waitingFor"]["kind"], "worker")
        server.kill()
        start(server)
        worker = run_worker(server, key)
        for number, run in ((1, first), (2, pay(api, 2))):
            ended = api.call("GET", f"/v1/runs/{run}?wait=30s")
            output = {"file": f"invoice-{number}.pdf", "key": f"{run}/render"}
            expect((ended["status"], ended["steps"][0]["output"]), ("succeeded", output))
    finally:
        if worker is not None:
            worker.kill()
            worker.wait()
        server.kill()
    shutil.rmtree(base)
    print("ok   a worker in Python carries out what a killed server had handed out")


def start(server):
    server.start()
    if not server.wait_ready():
        raise SystemExit("the appliance does not start")


def run_worker(server, key):
    address = f"http://127.0.0.1:{server.port}"
    environment = {**os.environ, "ERGANE_URL": address, "ERGANE_KEY": key}
    return subprocess.Popen([sys.executable, os.path.join(HERE, "worker.py")], env=environment)


def pay(api, number):
    answer = api.call("POST", "/v1/events/order:paid", {"number": number})
    return answer["accepted"][0]["runs"][0]


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"found {found!r}, wanted {wanted!r}")


if __name__ == "__main__":
    main()
