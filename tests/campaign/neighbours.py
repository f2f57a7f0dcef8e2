#!/usr/bin/env python3
"""Neighbours: what one tenant does to another, measured through the public API alone.

    neighbours.py --binary target/release/ergane [--short] [--only flood herd panics loop]

Four scenes, each with a quiet tenant B whose times alone are measured first, and a loud tenant A:

flood   A sends at twenty times its quota: it is refused with 429, every event of it that was accepted
        is there, and B's p99 of event to 202 and of event to the end of its run stay within twice.
herd    The runs of A that sleep are all overdue when the process starts: they are over within the
        time allowed, at a bounded memory, and B's p99 stays within twice.
panics  The steps of A panic again and again (needs a build with debug assertions): the process lives,
        and B's p99 stays within one and a half.
loop    The actor of a run of A dies again and again (needs the same): the run is set aside with its
        reason, A goes on, the operator retries the run; and an event that starts itself is stopped.

B's time alone and beside A are taken turn by turn in the same process where that can be, and a floor
keeps the noise of a small machine from counting as unfair.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from appliance import Api, Server  # noqa: E402

QUOTA = 100
LOUDER = 20
FLOODERS = 4
EVENTS_AT_ONCE = 10
HEADERS_OF_BATCH = {"Content-Type": "application/cloudevents-batch+json"}
QUICK = {"name": "quick", "trigger": {"event": "quiet:asked"}, "steps": [{"id": "rest", "sleep": "1ms"}]}


def main():
    arguments = parse()
    # Writing down where each panic came from takes longer than all the rest in a build for tests.
    os.environ["RUST_BACKTRACE"] = "0"
    findings = []
    scenes = {"flood": flood, "herd": herd, "panics": panics, "loop": crash_loop}
    for name in arguments.only or scenes:
        base = tempfile.mkdtemp(prefix=f"ergane-neighbours-{name}-")
        scene = Scene(arguments, base)
        try:
            scenes[name](scene)
        finally:
            scene.server.kill()
        for finding in scene.findings:
            print(f"WRONG {name}: {finding}", flush=True)
        if not scene.findings:
            shutil.rmtree(base)
        findings += scene.findings
    print("nobody was disturbed" if not findings else "NEIGHBOURS WERE DISTURBED")
    return 1 if findings else 0


def parse():
    parser = argparse.ArgumentParser(description="Measures what one tenant does to another.")
    parser.add_argument("--binary", default="target/release/ergane")
    parser.add_argument("--short", action="store_true", help="within half a minute, for every change")
    parser.add_argument("--seconds", type=int, help="how long the flood lasts")
    parser.add_argument("--sleepers", type=int, help="how many runs of the herd")
    parser.add_argument("--panics", type=int, help="how many steps panic")
    parser.add_argument("--floor-ms", type=float, help="what is quick enough anyway")
    parser.add_argument("--only", nargs="*", choices=["flood", "herd", "panics", "loop"])
    arguments = parser.parse_args()
    arguments.binary = os.path.abspath(arguments.binary)
    arguments.seconds = arguments.seconds or (3 if arguments.short else 60)
    # So few times as the short form takes say little of the slowest hundredth.
    arguments.floor_ms = arguments.floor_ms or (2_000.0 if arguments.short else 50.0)
    arguments.sleepers = arguments.sleepers or (1_000 if arguments.short else 100_000)
    arguments.panics = arguments.panics or (200 if arguments.short else 10_000)
    return arguments


class Scene:
    """One appliance with a quiet tenant and a loud one."""

    def __init__(self, arguments, base):
        self.arguments = arguments
        self.server = Server(arguments.binary, os.path.join(base, "data"), os.path.join(base, "log"))
        self.findings = []
        self.keys = {}

    def start(self, fail=None):
        if fail:
            os.environ["ERGANE_FAIL"] = fail
        self.server.start()
        os.environ.pop("ERGANE_FAIL", None)
        if not self.server.wait_ready():
            raise SystemExit("the appliance does not start; see its log")
        self.owner = Api(self.server)
        if not self.keys:
            for tenant in ("loud", "quiet"):
                self.owner.call("POST", "/v1/tenants", {"slug": tenant})
                wanted = {"name": tenant, "scopes": ["*"]}
                made = self.owner.call("POST", "/v1/keys", wanted, {"X-Tenant": tenant})
                self.keys[tenant] = made["key"]
            self.ask("quiet", "POST", "/v1/workflows", QUICK)

    def ask(self, tenant, method, path, body=None, headers=None):
        return self.owner.persist(method, path, body, self.as_tenant(tenant, headers))

    def as_tenant(self, tenant, headers=None):
        return {"Authorization": f"Bearer {self.keys[tenant]}", **(headers or {})}

    def quiet_times(self, seconds, most=10_000):
        """Sends an event of B and waits for its run, again and again; returns both times in ms."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        accepted, finished = [], []
        end = time.monotonic() + seconds
        while time.monotonic() < end and len(accepted) < most:
            began = time.monotonic()
            status, answer = exchange(connection, "POST", "/v1/events/quiet:asked", {}, self.as_tenant("quiet"))
            accepted.append((time.monotonic() - began) * 1000)
            if status != 202:
                self.findings.append(f"B was answered with {status}: {answer}")
                break
            run = answer["accepted"][0]["runs"][0]
            path = f"/v1/runs/{run}?wait=30s"
            _, view = exchange(connection, "GET", path, None, self.as_tenant("quiet"))
            finished.append((time.monotonic() - began) * 1000)
            if view["status"] != "succeeded":
                self.findings.append(f"B's run {run} is {view['status']}")
            time.sleep(0.01)
        return accepted, finished

    def compare(self, what, alone, beside, factor):
        floor = self.arguments.floor_ms
        for name, one, other in zip(("event to 202", "event to end"), alone, beside):
            solo, crowd = share(one, 0.99), share(other, 0.99)
            half = (share(one, 0.5), share(other, 0.5))
            print(f"{what}: {name}: p99 {solo:.1f} ms alone, {crowd:.1f} ms beside A, the median "
                  f"{half[0]:.1f} and {half[1]:.1f} ms, of {len(one)} and {len(other)}", flush=True)
            if crowd > max(solo * factor, floor):
                self.findings.append(f"{name}: {crowd:.1f} ms is more than {factor} times {solo:.1f} ms")

    def succeeded(self, workflow):
        return self.ask("loud", "GET", f"/v1/workflows/{workflow}")["totals"]["succeeded"]

    def memory_mb(self):
        with open(f"/proc/{self.server.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


def share(times, part):
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("inf")


def exchange(connection, method, path, body, headers):
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
    connection.request(method, path, data, headers)
    response = connection.getresponse()
    text = response.read()
    return response.status, json.loads(text) if text else None


def events(prefix, count, kind, start=0):
    return [
        {"specversion": "1.0", "id": f"{prefix}-{number}", "source": "neighbours", "type": kind,
         "data": {"number": number}}
        for number in range(start, start + count)
    ]


def flood(scene):
    arguments = scene.arguments
    scene.start()
    limits = {"eventsPerSecond": QUOTA, "eventsBurst": QUOTA}
    scene.owner.call("PUT", "/v1/tenants/loud/quotas", limits)
    loud = {"name": "loud", "trigger": {"event": "loud:shouted"}, "steps": [
        {"id": "say", "activity": "workflows:transform-platform", "input": {"set": {"a": 1}}}]}
    scene.ask("loud", "POST", "/v1/workflows", loud)
    alone = scene.quiet_times(arguments.seconds)
    results = multiprocessing.Queue()
    until = time.time() + arguments.seconds + 1
    rate = QUOTA * LOUDER / FLOODERS / EVENTS_AT_ONCE
    flooders = [
        multiprocessing.Process(target=shout, args=(scene.server.port, scene.keys["loud"], number, rate, until, results))
        for number in range(FLOODERS)
    ]
    for flooder in flooders:
        flooder.start()
    time.sleep(1)
    beside = scene.quiet_times(arguments.seconds)
    told = [results.get(timeout=60) for _ in flooders]
    for flooder in flooders:
        flooder.join()
    accepted = sum(len(one["accepted"]) for one in told)
    refused, others = sum(one["refused"] for one in told), sum((one["others"] for one in told), [])
    print(f"flood: A had {accepted} events accepted and {refused} refused with 429", flush=True)
    if not refused:
        scene.findings.append("A was never refused")
    if others:
        scene.findings.append(f"A was answered with {sorted(set(others))}")
    most = QUOTA * (arguments.seconds + 2) + QUOTA
    if accepted > most * 1.1:
        scene.findings.append(f"{accepted} events of A were accepted; its quota is {most}")
    ids = {event["id"] for event in pages(scene, "loud", "/v1/events?type=loud:shouted")}
    missing = [one for teller in told for one in teller["accepted"] if one not in ids]
    if missing:
        scene.findings.append(f"{len(missing)} accepted events of A are not there, such as {missing[0]}")
    scene.compare("flood", alone, beside, 2)


def shout(port, key, number, rate, until, results):
    """Sends batches of events of A at a steady rate, whatever is answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    told = {"accepted": [], "refused": 0, "others": []}
    headers = {"Authorization": f"Bearer {key}", **HEADERS_OF_BATCH}
    sent, began = 0, time.time()
    while time.time() < until:
        time.sleep(max(0.0, began + sent / rate - time.time()))
        batch = events(f"{number}-{sent}", EVENTS_AT_ONCE, "loud:shouted")
        status, answer = exchange(connection, "POST", "/v1/events", batch, headers)
        sent += 1
        if status == 202:
            told["accepted"].extend(one["id"] for one in answer["accepted"])
        elif status == 429:
            told["refused"] += EVENTS_AT_ONCE
        else:
            told["others"].append(status)
    results.put(told)


def pages(scene, tenant, path):
    cursor = None
    while True:
        page = scene.ask(tenant, "GET", path + "&limit=200" + (f"&cursor={cursor}" if cursor else ""))
        yield from page["data"]
        cursor = page["nextCursor"]
        if not cursor:
            return


def herd(scene):
    arguments = scene.arguments
    scene.start()
    sleep = 3 if arguments.short else 20
    sleeper = {"name": "sleeper", "trigger": {"event": "loud:slept"}, "steps": [
        {"id": "rest", "sleep": f"{sleep}s"},
        {"id": "say", "activity": "workflows:transform-platform", "input": {"set": {"a": 1}}}]}
    scene.ask("loud", "POST", "/v1/workflows", sleeper)
    alone = scene.quiet_times(3 if arguments.short else 20)
    # They are put to bed while the process would wake them, so each batch is sent with time to spare.
    put = 0
    while put < arguments.sleepers:
        batch = events("s", min(1_000, arguments.sleepers - put), "loud:slept", put)
        answer = scene.ask("loud", "POST", "/v1/events", batch, HEADERS_OF_BATCH)
        put += len(answer["accepted"])
    over = scene.succeeded("sleeper")
    scene.server.kill()
    time.sleep(sleep + 1)
    scene.start()
    before, most, began = scene.memory_mb(), 0.0, time.monotonic()
    times = ([], [])
    while True:
        accepted, finished = scene.quiet_times(1)
        times[0].extend(accepted)
        times[1].extend(finished)
        most = max(most, scene.memory_mb())
        done = scene.succeeded("sleeper")
        took = time.monotonic() - began
        if done >= arguments.sleepers or took > 180:
            break
    print(f"herd: {arguments.sleepers - over} overdue runs were over after {took:.1f} s; memory {before:.0f} MB "
          f"at the start and {most:.0f} MB at most", flush=True)
    if done != arguments.sleepers:
        scene.findings.append(f"{done} of {arguments.sleepers} sleepers woke, each once")
    if took > 120:
        scene.findings.append(f"the herd took {took:.0f} s")
    scene.compare("herd", alone, times, 2)


def panics(scene):
    arguments = scene.arguments
    scene.start(fail=f"activity.run=panic*{arguments.panics}")
    clumsy = {"name": "clumsy", "trigger": {"event": "loud:fell"}, "steps": [
        {"id": "say", "activity": "workflows:transform-platform", "input": {"set": {"a": 1}},
         "retry": {"attempts": 1}}]}
    scene.ask("loud", "POST", "/v1/workflows", clumsy)
    alone = scene.quiet_times(3 if arguments.short else 20)
    pid = scene.server.process.pid
    fallen = multiprocessing.Process(target=fall, args=(scene.server.port, scene.keys["loud"], arguments.panics))
    fallen.start()
    times = ([], [])
    while fallen.is_alive():
        accepted, finished = scene.quiet_times(1)
        times[0].extend(accepted)
        times[1].extend(finished)
    if not scene.server.is_alive() or scene.server.process.pid != pid:
        scene.findings.append("the process did not live through it")
        return
    end = time.monotonic() + 60
    while True:
        totals = scene.ask("loud", "GET", "/v1/workflows/clumsy")["totals"]
        if totals["failed"] + totals["succeeded"] >= arguments.panics or time.monotonic() > end:
            break
        time.sleep(0.1)
    print(f"panics: {totals['failed']} runs of A failed by a panic, {totals['succeeded']} did not", flush=True)
    if totals["failed"] < arguments.panics:
        scene.findings.append("not every step panicked: is this a build with debug assertions?")
    scene.compare("panics", alone, times, 1.5)


def fall(port, key, count):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {key}", **HEADERS_OF_BATCH}
    for start in range(0, count, 50):
        connection.request("POST", "/v1/events", json.dumps(events("p", 50, "loud:fell", start)), headers)
        connection.getresponse().read()
        time.sleep(0.02)


def crash_loop(scene):
    # The default lets an actor crash three times and sets the run aside at the fourth.
    scene.start(fail="actor.start=panic*4")
    doomed = {"name": "doomed", "trigger": {"event": "loud:doomed"}, "steps": [
        {"id": "say", "activity": "workflows:transform-platform", "input": {"set": {"a": 1}}}]}
    scene.ask("loud", "POST", "/v1/workflows", doomed)
    first = scene.ask("loud", "POST", "/v1/events/loud:doomed", {})["accepted"][0]["runs"][0]
    view = scene.ask("loud", "GET", f"/v1/runs/{first}?wait=20s")
    reason = (view["error"] or {}).get("message", "")
    print(f"loop: the run is {view['status']}: {reason}", flush=True)
    if view["status"] != "failed" or "crashes" not in reason:
        scene.findings.append(f"the run was not set aside with its reason: {view['status']} {reason}")
    listed = scene.ask("loud", "GET", "/v1/runs?status=failed")["data"]
    if first not in [run["id"] for run in listed]:
        scene.findings.append("the run that was set aside is not listed")
    second = scene.ask("loud", "POST", "/v1/events/loud:doomed", {})["accepted"][0]["runs"][0]
    if scene.ask("loud", "GET", f"/v1/runs/{second}?wait=20s")["status"] != "succeeded":
        scene.findings.append("the tenant does not go on")
    scene.ask("loud", "POST", f"/v1/runs/{first}/retry", {})
    again = scene.ask("loud", "GET", f"/v1/runs/{first}?wait=20s")
    if again["status"] != "succeeded":
        scene.findings.append(f"the operator retried the run, and it is {again['status']}")
    _, finished = scene.quiet_times(1)
    if not finished:
        scene.findings.append("B does not go on")
    echo(scene)


def echo(scene):
    """An event that starts itself is stopped with a reason."""
    loop = {"name": "echo", "trigger": {"event": "loud:echo"}, "steps": [
        {"id": "say", "activity": "workflows:publish-event-platform",
         "input": {"type": "loud:echo", "payload": {}}}]}
    scene.ask("loud", "POST", "/v1/workflows", loop)
    scene.ask("loud", "POST", "/v1/events/loud:echo", {})
    seen, end = -1, time.monotonic() + 30
    while time.monotonic() < end:
        heard = scene.ask("loud", "GET", "/v1/events?type=loud:echo&limit=200")["data"]
        if len(heard) == seen:
            break
        seen = len(heard)
        time.sleep(0.5)
    last = scene.ask("loud", "GET", f"/v1/events/{heard[0]['id']}/explain")["data"][0]
    print(f"loop: an event that starts itself came {seen} times; the last one: {last['outcome']}", flush=True)
    if seen > 50 or last["outcome"] == "started":
        scene.findings.append(f"an event that starts itself came {seen} times")


if __name__ == "__main__":
    sys.exit(main())
