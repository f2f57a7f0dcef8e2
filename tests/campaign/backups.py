#!/usr/bin/env python3
"""The campaign of backups: taken under load, killed, restored elsewhere, damaged, on a full disk.

It knows the appliance by its binary and its public API alone.

    backups.py --binary target/debug/ergane --short     in about half a minute
    backups.py --binary target/debug/ergane             more of everything
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from appliance import Api, Away, Refused, Server  # noqa: E402

BATCH = 100
BATCH_TYPE = {"Content-Type": "application/cloudevents-batch+json"}
WORKFLOW = {
    "name": "note-orders",
    "trigger": {"event": "order:placed", "filter": {"n": {"~lt": 40}}},
    "steps": [{"id": "nap", "sleep": "1h"}],
}


def main():
    arguments = parse()
    chance = random.Random(arguments.seed)
    base = tempfile.mkdtemp(prefix="ergane-backups-")
    print(f"seed {arguments.seed}, data below {base}", flush=True)
    os.environ["ERGANE_BACKUP__BYTES_PER_SECOND_MAX"] = str(arguments.bytes_per_second)
    os.environ["ERGANE_BACKUP__POINT_IN_TIME"] = "true"
    server = Server(arguments.binary, os.path.join(base, "data"), os.path.join(base, "server.log"))
    server.start()
    if not server.wait_ready():
        raise SystemExit(f"the appliance does not start; see {base}/server.log")
    api = Api(server)
    load = Load(server)
    prepare(api, load, arguments.events)
    results = [
        under_load(arguments, server, load, base),
        killed(arguments, chance, server, load, base),
        carried_on(arguments, server, load, base),
        damaged(arguments, chance, base),
    ]
    server.stop()
    results.append(full_disk(arguments, base))
    good = all(results)
    if good and not arguments.keep:
        shutil.rmtree(base)
    print("every promise was kept" if good else f"PROMISES WERE BROKEN; see {base}")
    return 0 if good else 1


def parse():
    parser = argparse.ArgumentParser(description="Takes and restores backups against the odds.")
    parser.add_argument("--binary", default="target/debug/ergane")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="keeps the data when all is well")
    arguments = parser.parse_args()
    arguments.binary = os.path.abspath(arguments.binary)
    if not os.path.exists(arguments.binary):
        parser.error(f"there is no binary {arguments.binary}; build it with `cargo build`")
    arguments.events = 4_000 if arguments.short else 100_000
    arguments.rate = 1_000
    arguments.kills = 4 if arguments.short else 50
    arguments.flips = 40 if arguments.short else 2_000
    arguments.bytes_per_second = 1_000_000 if arguments.short else 8_000_000
    return arguments


class Load:
    """Events that are sent at a rate, and those of them that were answered for."""

    def __init__(self, server):
        self.server = server
        self.next = 0
        self.acknowledged = []
        self.took = []
        self.lock = threading.Lock()
        self.stop = None

    def batch(self, api, count):
        """Sends a batch; answers whether it was taken."""
        with self.lock:
            first, self.next = self.next, self.next + count
        events = [
            {"specversion": "1.0", "id": f"order-{n}", "source": "shop", "type": "order:placed",
             "data": {"n": n, "text": "a line of an order " * 10}}
            for n in range(first, first + count)
        ]
        began = time.monotonic()
        api.call("POST", "/v1/events", events, BATCH_TYPE, timeout=20)
        with self.lock:
            self.took.append(time.monotonic() - began)
            self.acknowledged += [f"order-{n}" for n in range(first, first + count)]

    def run(self, rate):
        """Sends events until it is told to stop."""
        self.stop = threading.Event()
        size = 20
        pause = size / rate

        def send():
            api, due = Api(self.server), time.monotonic()
            while not self.stop.is_set():
                try:
                    self.batch(api, size)
                except (Away, Refused):
                    time.sleep(0.02)
                due = max(due + pause, time.monotonic() - 1)
                time.sleep(max(0.0, due - time.monotonic()))

        self.thread = threading.Thread(target=send, daemon=True)
        self.thread.start()

    def halt(self):
        self.stop.set()
        self.thread.join()

    def known(self):
        with self.lock:
            return set(self.acknowledged)

    def p99(self, since):
        with self.lock:
            took = sorted(self.took[since:])
        return took[int(len(took) * 0.99) - 1] if len(took) > 10 else 0.0


def prepare(api, load, events):
    api.call("POST", "/v1/event-types", {"type": "order:placed"})
    api.call("POST", "/v1/workflows", WORKFLOW)
    team = api.call("POST", "/v1/teams", {"name": "Support"})
    for number in range(5):
        ticket = {"title": f"Printer {number} on fire", "teamId": team["id"], "requestorEmail": "ada@example.com"}
        api.call("POST", "/v1/tickets", ticket)
    for _ in range(events // BATCH):
        load.batch(api, BATCH)


def finished(api, name, seconds=240):
    """Waits for the end of a backup and answers its state."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        listed = api.call("GET", "/v1/system/backups")
        job = listed["state"]["job"]
        if job is None or job["name"] != name:
            return "gone", listed
        if job["state"] != "running":
            return job["state"], listed
        time.sleep(0.05)
    raise SystemExit(f"the backup {name} did not end within {seconds} s")


def settle(api):
    """Waits for the backup that the appliance takes by itself as the base of its log."""
    for _ in range(200):
        job = api.call("GET", "/v1/system/backups")["state"]["job"]
        if job is None or job["state"] != "running":
            return
        time.sleep(0.1)


def seen(api):
    """Reads what the public API shows: events, runs, tickets, the end of the audit."""
    return {
        "events": {event["id"] for event in api.pages("/v1/events?type=order:placed")},
        "runs": {(run["id"], run["status"]) for run in api.pages("/v1/runs")},
        "tickets": {(ticket["id"], ticket["title"]) for ticket in api.pages("/v1/tickets")},
        "audit": api.call("GET", "/v1/audit/verify"),
    }


def restore(arguments, backup, directory, *more):
    command = [arguments.binary, "--data-dir", directory, "--json", "restore", backup, *more]
    return subprocess.run(command, capture_output=True, text=True)


def opened(arguments, directory, key, log):
    """Starts a restored appliance, which is paused."""
    shutil.copy(key, os.path.join(directory, "secret.key"))
    server = Server(arguments.binary, directory, log)
    server.start()
    api = Api(server)
    for _ in range(600):
        try:
            api.call("GET", "/readyz", timeout=2)
            raise SystemExit("a restored appliance is not paused")
        except Refused as refused:
            if "paused" in str(refused):
                return server, api
        except Away:
            pass
        time.sleep(0.05)
    raise SystemExit("a restored appliance does not start")


def verdict(name, faults, told):
    print(f"{name:12} {'kept' if not faults else 'BROKEN'}: {told}", flush=True)
    for fault in faults[:5]:
        print(f"             {fault}")
    return not faults


def compare(found, acknowledged, before):
    """Says what of the ledger is missing in what a restored appliance shows."""
    lost = acknowledged - found["events"]
    faults = [f"{len(lost)} events that were answered for are not in it"] if lost else []
    for name in ("runs", "tickets"):
        missing = before[name] - found[name]
        faults += [f"{len(missing)} {name} are not in it as they were"] if missing else []
    if not found["audit"]["valid"]:
        faults.append("its audit is not intact")
    return faults


def under_load(arguments, server, load, base):
    """Takes a backup under load, restores it elsewhere and compares it with the ledger."""
    api = Api(server)
    settle(api)
    before = seen(api)
    load.run(arguments.rate)
    since = len(load.took)
    time.sleep(2 if arguments.short else 15)
    alone, since = load.p99(since), len(load.took)
    acknowledged = load.known()
    began = time.monotonic()
    name = api.call("POST", "/v1/system/backups", {})["name"]
    state, listed = finished(api, name)
    seconds, beside = time.monotonic() - began, load.p99(since)
    load.halt()
    if state != "completed":
        return verdict("under load", [str(listed["state"])], "the backup failed")
    backup = os.path.join(base, "data", "backups", name)
    shutil.copy(backup, os.path.join(base, "kept.backup"))
    target = os.path.join(base, "restored")
    outcome = restore(arguments, backup, target)
    if outcome.returncode:
        return verdict("under load", [outcome.stderr], "it cannot be restored")
    other, api = opened(arguments, target, os.path.join(base, "data", "secret.key"), os.path.join(base, "restored.log"))
    found = seen(api)
    other.kill()
    faults = compare(found, acknowledged, before)
    # A quarter of a second is the noise of a machine that others use as well.
    if beside > 2 * alone + 0.25:
        faults.append(f"p99 of events rose from {alone * 1000:.0f} to {beside * 1000:.0f} ms")
    told = f"{len(found['events'])} events, backup in {seconds:.1f} s, "
    return verdict("under load", faults, told + f"p99 {alone * 1000:.0f} -> {beside * 1000:.0f} ms")


def killed(arguments, chance, server, load, base):
    """Kills the process while it takes a backup: what has the name of one is whole."""
    faults, during = [], 0
    directory = os.path.join(base, "data", "backups")
    for _ in range(arguments.kills):
        api = Api(server)
        settle(api)
        try:
            name = api.call("POST", "/v1/system/backups", {})["name"]
        except Refused:
            continue
        time.sleep(chance.uniform(0.0, 1.5))
        part = os.path.join(directory, name + ".part")
        during += os.path.exists(part)
        server.kill()
        for entry in os.listdir(directory):
            if entry.endswith(".backup") and not verifies(arguments, os.path.join(directory, entry)):
                faults.append(f"{entry} has the name of a backup and is not whole")
        server.start()
        if not server.wait_ready():
            raise SystemExit("the appliance does not start after a kill")
        left = [entry for entry in os.listdir(directory) if entry == name + ".part"]
        faults += [f"{entry} was left behind" for entry in left]
    lost = load.known() - seen(Api(server))["events"]
    faults += [f"{len(lost)} events were lost"] if lost else []
    return verdict("killed", faults, f"{arguments.kills} kills, {during} of them while it was written")


def carried_on(arguments, server, load, base):
    """Carries a backup on to an instant after it, by the log."""
    api = Api(server)
    settle(api)
    name = api.call("POST", "/v1/system/backups", {})["name"]
    finished(api, name)
    for _ in range(5):
        load.batch(api, BATCH)
    time.sleep(0.05)
    instant = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{int(time.time() * 1000) % 1000:03d}Z"
    acknowledged = load.known()
    time.sleep(0.05)
    later = load.next
    load.batch(api, BATCH)
    backup = os.path.join(base, "data", "backups", name)
    target = os.path.join(base, "carried")
    outcome = restore(arguments, backup, target, "--at", instant, "--log", os.path.join(base, "data", "log"))
    if outcome.returncode:
        return verdict("carried on", [outcome.stderr], "it cannot be restored")
    other, restored = opened(arguments, target, os.path.join(base, "data", "secret.key"), os.path.join(base, "carried.log"))
    found = seen(restored)
    other.kill()
    faults = compare(found, acknowledged, {"runs": set(), "tickets": set()})
    beyond = found["events"] & {f"order-{n}" for n in range(later, load.next)}
    faults += [f"{len(beyond)} events from after the instant are in it"] if beyond else []
    notes = json.loads(outcome.stdout)["notes"]
    return verdict("carried on", faults, notes[0])


def verifies(arguments, path):
    command = [arguments.binary, "backup", "verify", path]
    return subprocess.run(command, capture_output=True).returncode == 0


def damaged(arguments, chance, base):
    """Flips bits and cuts: each is refused, by the check and by the restore."""
    path = os.path.join(base, "kept.backup")
    good = open(path, "rb").read()
    faults = [] if verifies(arguments, path) else ["the whole one is refused"]
    changed = os.path.join(base, "changed.backup")
    for number in range(arguments.flips):
        bytes_ = bytearray(good)
        at = chance.randrange(len(bytes_))
        if number % 4 == 3:
            del bytes_[at:]
        else:
            bytes_[at] ^= 1 << chance.randrange(8)
        with open(changed, "wb") as file:
            file.write(bytes_)
        if verifies(arguments, changed):
            faults.append(f"a change at byte {at} was not found")
    outcome = restore(arguments, changed, os.path.join(base, "never"))
    if outcome.returncode == 0 or os.path.exists(os.path.join(base, "never", "ergane.redb")):
        faults.append("a damaged one was restored")
    return verdict("damaged", faults, f"{arguments.flips} flips and cuts")


def full_disk(arguments, base):
    """Takes a backup to a disk without room: nothing is named, and events go on."""
    small = os.path.join(base, "small")
    os.makedirs(small)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        return verdict("full disk", [], "left out: it takes root to mount a small disk")
    try:
        os.environ["ERGANE_BACKUP__DIRECTORY"] = small
        os.environ["ERGANE_BACKUP__POINT_IN_TIME"] = "false"
        server = Server(arguments.binary, os.path.join(base, "data"), os.path.join(base, "full.log"))
        server.start()
        if not server.wait_ready():
            raise SystemExit("the appliance does not start")
        api = Api(server)
        faults = []
        # Once it is refused before it begins, and once it finds out while it writes.
        for path in (os.environ["PATH"], "/nowhere"):
            server.stop()
            old, os.environ["PATH"] = os.environ["PATH"], path
            server.start()
            os.environ["PATH"] = old
            server.wait_ready()
            name = api.call("POST", "/v1/system/backups", {})["name"]
            state, listed = finished(api, name)
            if state != "failed":
                faults.append(f"the backup is {state}")
            if os.listdir(small):
                faults.append(f"{os.listdir(small)} was left behind")
            api.call("POST", "/v1/events/order:placed", {"n": 1})
        reason = listed["state"]["lastFailure"]["reason"] if listed["state"]["lastFailure"] else "none"
        server.stop()
        return verdict("full disk", faults, reason[:100])
    finally:
        subprocess.run(["umount", small], check=False)


if __name__ == "__main__":
    sys.exit(main())
