#!/usr/bin/env python3
"""The crash campaign: kills the appliance again and again, and checks what it promised.

It knows the appliance by its binary and its public API alone, so that it cannot share a mistake
with it.

    crash.py --binary target/debug/ergane --kills 200      at random times, under load
    crash.py --binary target/debug/ergane --every-write    at the n-th write and sync, for every n
    crash.py --binary target/debug/ergane --short          both, in about a minute
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from appliance import Api, Away, Refused, Server, Sink  # noqa: E402
from scenario import KINDS, Ledger, prepare, send, verdicts  # noqa: E402

POSTERS = 4
SHOWN_MAX = 5


def main():
    arguments = parse()
    chance = random.Random(arguments.seed)
    base = tempfile.mkdtemp(prefix="ergane-campaign-")
    print(f"seed {arguments.seed}, data below {base}", flush=True)
    results = []
    if arguments.short:
        results.append(first_start(arguments, base))
        results.append(random_kills(arguments, chance, base, 25))
        results += [nth_call(arguments, chance, base, call, sample=8) for call in ("pwrite64", "fdatasync")]
    elif arguments.every_write:
        results.append(first_start(arguments, base))
        results += [nth_call(arguments, chance, base, call, sample=None) for call in ("pwrite64", "fdatasync")]
    else:
        results.append(random_kills(arguments, chance, base, arguments.kills))
    good = all(results)
    if good and not arguments.keep:
        shutil.rmtree(base)
    print("every promise was kept" if good else f"PROMISES WERE BROKEN; see {base}")
    return 0 if good else 1


def parse():
    parser = argparse.ArgumentParser(description="Kills the appliance and checks its promises.")
    parser.add_argument("--binary", default="target/debug/ergane")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--every-write", action="store_true")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="keeps the data when all is well")
    arguments = parser.parse_args()
    arguments.binary = os.path.abspath(arguments.binary)
    if not os.path.exists(arguments.binary):
        parser.error(f"there is no binary {arguments.binary}; build it with `cargo build`")
    return arguments


def random_kills(arguments, chance, base, kills):
    """Kills at random times while events come in, also while it recovers."""
    directory = os.path.join(base, "random")
    server = Server(arguments.binary, directory, os.path.join(base, "random.log"))
    sink = Sink()
    server.start()
    if not server.wait_ready():
        raise SystemExit(f"the appliance does not start; see {base}/random.log")
    team, shared = prepare(Api(server), sink.port)
    ledger, stop = Ledger(), threading.Event()
    posters = [
        threading.Thread(target=post, args=(server, ledger, team, shared, stop, number, arguments.seed))
        for number in range(POSTERS)
    ]
    for poster in posters:
        poster.start()
    recoveries = 0
    for number in range(kills):
        time.sleep(chance.uniform(0.02, 0.4))
        server.kill()
        server.start()
        if chance.random() < 0.2:
            # A crash while it recovers from the last one.
            time.sleep(chance.uniform(0.0, 0.08))
            server.kill()
            server.start()
            recoveries += 1
        if not server.wait_ready():
            stop.set()
            print(f"kill {number}: the appliance did not come back; see {base}/random.log")
            return False
    stop.set()
    for poster in posters:
        poster.join()
    code, seconds = server.stop()
    server.start()
    alive = server.wait_ready()
    results = verdicts(server, sink, ledger, shared) if alive else []
    server.kill()
    title = (
        f"{kills} kills at random times, {recoveries} more during recovery; "
        f"{ledger.count()} of {len(ledger.events)} events acknowledged, "
        f"slowest start {server.slowest_start * 1000:.0f} ms"
    )
    stopped = [] if code == 0 and seconds < 30 else [f"exit code {code} after {seconds:.1f} s"]
    results.append(("a request to stop is followed", 1, stopped))
    return report(title, results) and alive


def post(server, ledger, team, shared, stop, number, seed):
    """Sends events of every kind until told to stop."""
    chance, api, count = random.Random(f"{seed}-{number}"), Api(server), 0
    while not stop.is_set():
        count += 1
        kind = chance.choice(KINDS)
        patience = 1 if chance.random() < 0.1 else 100_000
        try:
            send(api, ledger, team, shared, f"p{number}-{count}", kind, patience)
        except Refused as refused:
            print(f"p{number}-{count} ({kind}) was refused: {refused}", flush=True)
            stop.set()
        time.sleep(chance.uniform(0.0, 0.02))


def nth_call(arguments, chance, base, call, sample):
    """Kills at the n-th write or sync of a small scenario, for n = 1, 2, … until none is left."""
    prepared = os.path.join(base, f"{call}-prepared")
    log = os.path.join(base, f"{call}.log")
    sink = Sink()
    first = Server(arguments.binary, prepared, log)
    first.start()
    if not first.wait_ready():
        raise SystemExit(f"the appliance does not start; see {log}")
    team, shared = prepare(Api(first), sink.port)
    first.kill()
    total, n, step, last = {}, 1, 1, 0
    while True:
        directory = os.path.join(base, f"{call}-{n}")
        shutil.copytree(prepared, directory, ignore=shutil.ignore_patterns("*.sock"))
        was_killed, results = one_call(arguments, directory, log, sink, team, shared, call, n)
        add(total, results)
        if not any(broken for _, _, broken in results) and not arguments.keep:
            shutil.rmtree(directory)
        if not was_killed:
            break
        last = n
        # A sample takes larger and larger steps, so that it still meets the end of the scenario.
        step = 1 if sample is None else max(1, chance.randint(n // 4, n // 2 + 1))
        n += step
    title = f"killed at the n-th {call}, n up to {last}" + ("" if sample is None else " (a sample)")
    return report(title, [(promise, *counts) for promise, counts in total.items()])


def first_start(arguments, base):
    """Kills the very first start at its n-th write, for every n; the next start must succeed."""
    log, n, broken = os.path.join(base, "first.log"), 0, []
    was_killed = True
    while was_killed:
        n += 1
        directory = os.path.join(base, f"first-{n}")
        server = Server(arguments.binary, directory, log)
        tracer = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64"]
        server.start([*tracer, "-e", f"inject=pwrite64:signal=SIGKILL:when={n}"])
        was_killed = not server.wait_ready()
        server.kill()
        server.start()
        if not server.wait_ready():
            broken.append(f"write {n}: the next start failed")
        else:
            try:
                Api(server).call("GET", "/v1/workflows")
            except Refused as refused:
                broken.append(f"write {n}: the prepared key does not work: {refused}")
        server.kill()
        if not broken and not arguments.keep:
            shutil.rmtree(directory)
    return report(f"the first start killed at the n-th write, n up to {n - 1}", [("the next start succeeds", n, broken)])


def one_call(arguments, directory, log, sink, team, shared, call, n):
    server = Server(arguments.binary, directory, log)
    tracer = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}"]
    server.start([*tracer, "-e", f"inject={call}:signal=SIGKILL:when={n}"])
    ledger, api = Ledger(), Api(server)
    if server.wait_ready():
        for kind in KINDS:
            if not server.is_alive():
                break
            try:
                send_once(server, api, ledger, team, shared, f"{call}-{n}-{kind}", kind)
            except Away:
                break
        linger(server)
    was_killed = not server.is_alive()
    server.kill()
    server.start()
    if not server.wait_ready():
        return was_killed, [("it starts after the kill", 1, [f"{call} {n}: it did not start"])]
    results = verdicts(server, sink, ledger, shared)
    server.kill()
    return was_killed, results


def send_once(server, api, ledger, team, shared, mark, kind):
    """Sends one event while the process lives; `persist` would wait for a restart for ever."""
    if kind == "undo":
        ticket = {
            "title": mark,
            "requestorEmail": "campaign@example.com",
            "teamId": team,
            "priorityName": "low",
        }
        shared = api.call("POST", "/v1/tickets", ticket)["id"]
    ledger.sent(mark, kind, shared)
    event = {
        "specversion": "1.0",
        "id": mark,
        "source": "campaign",
        "type": f"crash:{kind}",
        "data": {"mark": mark, "ticketId": shared, "teamId": team},
    }
    headers = {"Content-Type": "application/cloudevents+json"}
    answer = api.call("POST", "/v1/events", event, headers)
    ledger.acked(mark, answer["accepted"][0]["runs"])


def linger(server):
    """Lets the runs go on until they are over or the process is dead."""
    end = time.monotonic() + 6
    api = Api(server)
    while server.is_alive() and time.monotonic() < end:
        try:
            runs = api.call("GET", "/v1/runs?limit=200")["data"]
        except (Away, Refused):
            continue
        if all(run["status"] in ("succeeded", "failed", "cancelled") for run in runs):
            return
        time.sleep(0.05)


def add(total, results):
    for promise, checked, broken in results:
        count, all_broken = total.get(promise, (0, []))
        total[promise] = (count + checked, all_broken + broken)


def report(title, results):
    print(f"\n{title}")
    width = max(len(promise) for promise, _, _ in results)
    for promise, checked, broken in results:
        verdict = "kept" if not broken else f"BROKEN {len(broken)} times"
        print(f"  {promise:{width}}  {checked:7}  {verdict}")
        for line in broken[:SHOWN_MAX]:
            print(f"      {line}")
    sys.stdout.flush()
    return not any(broken for _, _, broken in results)


if __name__ == "__main__":
    sys.exit(main())
