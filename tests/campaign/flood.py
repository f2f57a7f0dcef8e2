#!/usr/bin/env python3
"""The flood: events in batches at a steady rate, and afterwards every one of them accounted for.

It knows the appliance by its binary and its public API alone.

    flood.py --binary target/release/ergane --rate 10000 --seconds 60

Two tenants send three types of events. One workflow of each tenant listens to one of them, with a
filter that lets every fourth event through. In the end the counts by tenant and type, and the runs
that were started, must be exactly those of the events that were answered with 2xx; an event that
was sent twice must have been recognised.
"""

import argparse
import http.client
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from appliance import KEY, Api, Server  # noqa: E402

POSTERS = 4
BATCH = 500
TENANTS = ("default", "second")
TYPES = ("flood:listened", "flood:ignored", "flood:other")
EVERY = 4
SETTLE_SECONDS_MAX = 120


def main():
    arguments = parse()
    base = tempfile.mkdtemp(prefix="ergane-flood-")
    server = Server(arguments.binary, os.path.join(base, "data"), os.path.join(base, "log"))
    server.start()
    if not server.wait_ready():
        raise SystemExit(f"the appliance does not start; see {base}/log")
    api = Api(server)
    api.call("POST", "/v1/tenants", {"slug": TENANTS[1], "name": "The second"})
    for tenant in TENANTS:
        listen(api, tenant)
    senders = [Sender(server, number, arguments) for number in range(POSTERS)]
    began = time.monotonic()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    took = time.monotonic() - began
    good = report(api, senders, took)
    server.kill()
    if good:
        shutil.rmtree(base)
    return 0 if good else 1


def parse():
    parser = argparse.ArgumentParser(description="Floods the appliance and counts.")
    parser.add_argument("--binary", default="target/release/ergane")
    parser.add_argument("--rate", type=int, default=10_000, help="events a second, altogether")
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    arguments.binary = os.path.abspath(arguments.binary)
    return arguments


def listen(api, tenant):
    definition = {
        "name": "counted",
        "trigger": {"event": TYPES[0], "filter": {"number": {"~in": [0]}}},
        "steps": [{"id": "say", "activity": "workflows:transform-platform", "input": {"set": {"a": 1}}}],
    }
    api.call("POST", "/v1/workflows", definition, {"X-Tenant": tenant})


class Sender(threading.Thread):
    """Sends its share of the events, a batch at a time, and remembers what was answered."""

    def __init__(self, server, number, arguments):
        super().__init__()
        self.number = number
        self.port = server.port
        self.pause = BATCH * POSTERS / arguments.rate
        self.batches = max(1, arguments.rate * arguments.seconds // (BATCH * POSTERS))
        self.accepted, self.matching = {}, {}
        self.duplicates, self.refused, self.late = 0, 0, 0.0

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        began = time.monotonic()
        for batch in range(self.batches):
            due = began + batch * self.pause
            time.sleep(max(0.0, due - time.monotonic()))
            self.late = max(self.late, time.monotonic() - due)
            tenant = TENANTS[batch % len(TENANTS)]
            self.send(connection, tenant, self.events(batch))
        # The first batch once more: nothing of it may count twice.
        answer = self.post(connection, TENANTS[0], self.events(0))
        self.duplicates = sum(1 for event in answer["accepted"] if event["duplicate"])

    def events(self, batch):
        return [
            {
                "specversion": "1.0",
                "id": f"{self.number}-{batch}-{place}",
                "source": "flood",
                "type": TYPES[place % len(TYPES)],
                "data": {"number": place // len(TYPES) % EVERY, "text": "x" * 200},
            }
            for place in range(BATCH)
        ]

    def send(self, connection, tenant, events):
        answer = self.post(connection, tenant, events)
        accepted = answer.get("accepted", [])
        self.refused += len(events) - len(accepted)
        for event, told in zip(events, accepted):
            if told["duplicate"]:
                continue
            key = (tenant, event["type"])
            self.accepted[key] = self.accepted.get(key, 0) + 1
            if event["type"] == TYPES[0] and event["data"]["number"] == 0:
                self.matching[tenant] = self.matching.get(tenant, 0) + 1

    def post(self, connection, tenant, events):
        headers = {
            "Authorization": f"Bearer {KEY}",
            "X-Tenant": tenant,
            "Content-Type": "application/cloudevents-batch+json",
        }
        connection.request("POST", "/v1/events", json.dumps(events), headers)
        response = connection.getresponse()
        text = response.read()
        return json.loads(text) if response.status == 202 else {}


def report(api, senders, took):
    """Compares what was counted with what was answered."""
    accepted, matching = {}, {}
    for sender in senders:
        for key, count in sender.accepted.items():
            accepted[key] = accepted.get(key, 0) + count
        for tenant, count in sender.matching.items():
            matching[tenant] = matching.get(tenant, 0) + count
    total = sum(accepted.values())
    refused = sum(sender.refused for sender in senders)
    late = max(sender.late for sender in senders)
    print(f"{total} events accepted in {took:.1f} s, {total / took:,.0f} a second; {refused} refused;")
    print(f"the latest batch left {late * 1000:.0f} ms after its time")
    counted = counted_events(api)
    findings = [
        f"{tenant} {kind}: {count} accepted, {counted.get((tenant, kind), 0)} counted"
        for (tenant, kind), count in sorted(accepted.items())
        if counted.get((tenant, kind), 0) != count
    ]
    for tenant in TENANTS:
        runs = settled_runs(api, tenant, matching[tenant])
        print(f"{tenant}: {matching[tenant]} events match, {runs} runs succeeded")
        if runs != matching[tenant]:
            findings.append(f"{tenant}: {matching[tenant]} events match, {runs} runs succeeded")
    if any(sender.duplicates != BATCH for sender in senders):
        findings.append("not every event that was sent twice was recognised")
    for finding in findings:
        print(f"WRONG {finding}")
    print("every event is accounted for" if not findings else "EVENTS ARE NOT ACCOUNTED FOR")
    return not findings


def counted_events(api):
    text = api.persist("GET", "/metrics")
    found = re.findall(r'ergane_events_total\{tenant="([^"]+)",type="([^"]+)"\} (\d+)', text)
    return {(tenant, kind): int(count) for tenant, kind, count in found}


def settled_runs(api, tenant, expected):
    end = time.monotonic() + SETTLE_SECONDS_MAX
    while True:
        totals = api.persist("GET", "/v1/workflows/counted", headers={"X-Tenant": tenant})["totals"]
        if totals["succeeded"] >= expected or time.monotonic() > end:
            return totals["succeeded"]
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
