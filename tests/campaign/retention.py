#!/usr/bin/env python3
"""The retention campaign: what is past its time goes, what is needed stays, and the file stays small,
while the appliance is loaded, compacted and killed.

It knows the appliance by its binary and its public API alone.

    retention.py --binary target/debug/ergane --kills 50 --seconds 60
    retention.py --binary target/debug/ergane --short        in about half a minute
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

from appliance import Api, Away, Refused, Server  # noqa: E402

KEPT_SECONDS = 2
SHOWN_MAX = 5
FILLER = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=30_000))
RULES = {
    "runs": {"succeeded": f"{KEPT_SECONDS}s"},
    "events": {"matched": f"{KEPT_SECONDS}s", "unmatched": f"{KEPT_SECONDS}s"},
}
TRANSFORM = {"id": "note", "activity": "workflows:transform-platform", "input": {"value": "{{trigger.payload.mark}}"}}
BROKEN = {
    "id": "break",
    "activity": "tickets:update-ticket-platform",
    "input": {"ticketId": "there-is-no-such-ticket", "priorityName": "low"},
    "retry": {"attempts": 1},
}
WORKFLOWS = {
    "gone": {"steps": [TRANSFORM]},
    "keep": {"steps": [TRANSFORM], "retention": {"succeeded": "forever"}},
    "fail": {"steps": [BROKEN]},
    "live": {"steps": [{"id": "long", "sleep": "1d"}]},
}


class Ledger:
    """Every run and event that was acknowledged, by what has to become of it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.known = {kind: [] for kind in WORKFLOWS}
        self.refused = []
        # Set when less is sent, so that what was sent before gets past its time.
        self.calm = threading.Event()

    def note(self, kind, event, run):
        with self.lock:
            self.known[kind].append((event, run))

    def of(self, kind):
        with self.lock:
            return list(self.known[kind])


def main():
    arguments = parse()
    chance = random.Random(arguments.seed)
    base = tempfile.mkdtemp(prefix="ergane-retention-")
    print(f"seed {arguments.seed}, data below {base}", flush=True)
    kills, seconds, sample = (4, 4, 3) if arguments.short else (arguments.kills, arguments.seconds, 20)
    results = [
        killed_under_load(arguments, chance, base, kills),
        compacted_under_load(arguments, base, seconds),
        killed_in_compaction(arguments, chance, base, sample),
    ]
    good = all(results)
    if good and not arguments.keep:
        shutil.rmtree(base)
    print("every promise was kept" if good else f"PROMISES WERE BROKEN; see {base}")
    return 0 if good else 1


def parse():
    parser = argparse.ArgumentParser(description="Loads, kills and compacts an appliance that forgets.")
    parser.add_argument("--binary", default="target/debug/ergane")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="keeps the data when all is well")
    arguments = parser.parse_args()
    arguments.binary = os.path.abspath(arguments.binary)
    if not os.path.exists(arguments.binary):
        parser.error(f"there is no binary {arguments.binary}; build it with `cargo build`")
    return arguments


def begin(arguments, base, name):
    server = Server(arguments.binary, os.path.join(base, name), os.path.join(base, f"{name}.log"))
    server.start()
    if not server.wait_ready():
        raise SystemExit(f"the appliance does not start; see {base}/{name}.log")
    api = Api(server)
    for kind, parts in WORKFLOWS.items():
        workflow = {"name": kind, "trigger": {"event": f"{kind}:made"}, **parts}
        api.persist("PUT", f"/v1/workflows/{kind}", workflow)
    api.persist("PUT", "/v1/retention", RULES)
    return server, api


def post(server, ledger, stop, name, strict):
    """Sends events of every kind until told to stop; when `strict`, every refusal is noted."""
    api, count = Api(server), 0
    while not stop.is_set():
        count += 1
        kind = ("gone", "gone", "keep", "gone", "fail", "gone", "live")[count % 7]
        body = {"specversion": "1.0", "id": f"{name}-{count}", "type": f"{kind}:made", "source": "campaign",
                "data": {"mark": f"{name}-{count}", "filler": FILLER}}
        try:
            answer = api.call("POST", "/v1/events", body) if strict else api.persist("POST", "/v1/events", body)
        except (Away, Refused) as problem:
            with ledger.lock:
                ledger.refused.append(str(problem))
            continue
        accepted = answer["accepted"][0]
        for run in accepted["runs"]:
            ledger.note(kind, accepted["id"], run)
        time.sleep(0.05 if ledger.calm.is_set() else 0.001)


def again_and_again(server, path, stop, outcomes):
    """Asks for a pass or a compaction again and again; that it is refused or cut off is no fault."""
    api = Api(server)
    while not stop.is_set():
        try:
            outcomes.append(api.call("POST", path, {}))
        except (Away, Refused):
            pass
        time.sleep(0.05)


def start_all(targets):
    threads = [threading.Thread(target=target, args=parts, daemon=True) for target, *parts in targets]
    for thread in threads:
        thread.start()
    return threads


def killed_under_load(arguments, chance, base, kills):
    server, api = begin(arguments, base, "killed")
    ledger, stop, passes, compactions = Ledger(), threading.Event(), [], []
    threads = start_all([
        *[(post, server, ledger, stop, f"p{number}", False) for number in range(3)],
        (again_and_again, server, "/v1/retention/run", stop, passes),
        (again_and_again, server, "/v1/system/compact", stop, compactions),
    ])
    for number in range(kills):
        time.sleep(chance.uniform(0.2, 1.2))
        server.kill()
        server.start()
        if not server.wait_ready():
            stop.set()
            print(f"kill {number}: the appliance did not come back; see {base}/killed.log")
            return False
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    time.sleep(KEPT_SECONDS + 0.5)
    settle(api)
    pass_until_idle(api)
    compacted = compact(api)
    title = (
        f"{kills} kills under load with passes and compactions: {sum(map(len, ledger.known.values()))} runs, "
        f"{len(passes)} passes, {len(compactions)} compactions answered"
    )
    results = verdicts(api, ledger)
    storage = api.persist("POST", "/v1/system/storage/measure", {})
    rows, bytes_ = storage["file"]["rowBytes"], compacted["bytesAfter"]
    small = [] if bytes_ < rows * 2 + 4_000_000 else [f"{bytes_} bytes of file for {rows} of rows"]
    results.append(("the file is as small as what is kept", 1, small))
    server.kill()
    server.start()
    alive = server.wait_ready()
    results += [(f"{promise}, after a restart", *rest) for promise, *rest in verdicts(api, ledger)] if alive else []
    server.kill()
    return report(title, results) and alive


def removed_at_least(passes, wanted):
    """Waits until the passes have removed so many runs."""
    for _ in range(1200):
        if sum(outcome["removed"].get("runs", 0) for outcome in list(passes)) >= wanted:
            return
        time.sleep(0.05)
    raise SystemExit(f"{wanted} runs were never removed")


def settle(api):
    """Waits until everything that can end has ended."""
    for _ in range(600):
        busy = [run for status in ("queued", "running", "retrying", "compensating")
                for run in api.persist("GET", f"/v1/runs?status={status}&limit=1")["data"]]
        if not busy:
            return
        time.sleep(0.05)
    raise SystemExit("runs go on and on")


def pass_until_idle(api):
    for _ in range(200):
        try:
            if not api.persist("POST", "/v1/retention/run", {})["removed"]:
                return
        except Refused as refused:
            if refused.status != 409:
                raise
        time.sleep(0.02)
    raise SystemExit("there is always something to remove")


def compact(api):
    for _ in range(400):
        try:
            return api.persist("POST", "/v1/system/compact", {})
        except Refused as refused:
            if refused.status != 409:
                raise
        time.sleep(0.02)
    raise SystemExit("a compaction never ended")


def status_of(api, path):
    try:
        return 200, api.persist("GET", path)
    except Refused as refused:
        return refused.status, None


def verdicts(api, ledger):
    """Checks what was acknowledged against what is there."""
    results = []
    for kind, wanted in (("keep", "succeeded"), ("fail", "failed"), ("live", "waiting")):
        broken = []
        for event, run in ledger.of(kind):
            status, view = status_of(api, f"/v1/runs/{run}")
            if status != 200 or view["status"] != wanted:
                broken.append(f"run {run}: {status} {view and view['status']}")
            if status_of(api, f"/v1/events/{event}")[0] != 200:
                broken.append(f"event {event} of the run {run} is gone")
        results.append((f"what is to be kept is there ({kind})", len(ledger.of(kind)), broken))
    broken = []
    for event, run in ledger.of("gone"):
        seen = (status_of(api, f"/v1/runs/{run}")[0], status_of(api, f"/v1/events/{event}")[0])
        if seen != (410, 410):
            broken.append(f"run {run}, event {event}: {seen}")
    results.append(("what is past its time is gone, and says so", len(ledger.of("gone")), broken))
    audit = api.persist("GET", "/v1/audit/verify")
    results.append(("the audit is whole", 1, [] if audit["valid"] else [str(audit)]))
    return results


def compacted_under_load(arguments, base, seconds):
    server, api = begin(arguments, base, "loaded")
    ledger, stop = Ledger(), threading.Event()
    threads = start_all([(post, server, ledger, stop, f"p{number}", True) for number in range(4)])
    time.sleep(seconds)
    passes = []
    threads += start_all([(again_and_again, server, "/v1/retention/run", stop, passes)])
    ledger.calm.set()
    removed_at_least(passes, len(ledger.of("gone")) * 3 // 4)
    outcomes = [compact(api) for _ in range(3)]
    stop.set()
    for thread in threads:
        thread.join()
    pause = max(outcome["pauseUs"] for outcome in outcomes) / 1000
    shrunk = [] if outcomes[0]["bytesAfter"] < outcomes[0]["bytesBefore"] else [str(outcomes[0])]
    settle(api)
    lost = []
    for kind in ("keep", "fail", "live"):
        lost += [run for _, run in ledger.of(kind) if status_of(api, f"/v1/runs/{run}")[0] != 200]
    server.kill()
    first = outcomes[0]
    title = (
        f"compacted under load: {first['bytesBefore'] // 1024} KiB became {first['bytesAfter'] // 1024} KiB, "
        f"the longest pause of commits {pause:.1f} ms"
    )
    sent = sum(map(len, ledger.known.values()))
    return report(title, [
        ("no request failed", sent, ledger.refused),
        ("the file shrank", 1, shrunk),
        ("nothing was lost", sent, lost),
    ])


def killed_in_compaction(arguments, chance, base, sample):
    """Kills at the n-th write, sync and rename after the start, while a compaction goes on."""
    server, api = begin(arguments, base, "prepared")
    ledger, stop = Ledger(), threading.Event()
    threads = start_all([(post, server, ledger, stop, f"p{number}", True) for number in range(2)])
    time.sleep(1.0)
    stop.set()
    for thread in threads:
        thread.join()
    settle(api)
    server.stop()
    checked, broken, killed = 0, [], 0
    for call in ("rename", "fdatasync", "fsync", "pwrite64"):
        n, last = 1, False
        for turn in range(1 if call == "rename" else sample):
            directory = os.path.join(base, f"{call}-{n}")
            shutil.copytree(server.directory, directory, ignore=shutil.ignore_patterns("*.sock"))
            was_killed, problems = one_kill(arguments, base, directory, ledger, call, n)
            checked, killed = checked + 1, killed + was_killed
            broken += [f"at {call} {n}: {problem}" for problem in problems]
            if not problems and not arguments.keep:
                shutil.rmtree(directory)
            if not was_killed:
                break
            n += chance.randint(1, max(1, 12 if call == "pwrite64" else 2)) * (turn + 1)
    title = f"killed in a compaction {killed} times of {checked}, at writes, syncs and the rename"
    return report(title, [("one whole file is left, with everything in it", checked, broken)])


def one_kill(arguments, base, directory, ledger, call, n):
    server = Server(arguments.binary, directory, os.path.join(base, "compaction.log"))
    calls = "rename,renameat,renameat2" if call == "rename" else call
    tracer = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}"]
    server.start([*tracer, "-e", f"inject={calls}:signal=SIGKILL:when={n}"])
    if server.wait_ready():
        try:
            compact_once(Api(server))
        except Away:
            pass
    was_killed = not server.is_alive()
    server.kill()
    server.start()
    if not server.wait_ready():
        return was_killed, ["the next start failed"]
    api, problems = Api(server), []
    for kind in WORKFLOWS:
        for _, run in ledger.of(kind):
            if status_of(api, f"/v1/runs/{run}")[0] != 200:
                problems.append(f"the run {run} is gone")
    leftovers = [name for name in os.listdir(directory) if name.endswith(".copy")]
    problems += [f"{name} is left over" for name in leftovers]
    server.kill()
    return was_killed, problems


def compact_once(api):
    try:
        api.call("POST", "/v1/system/compact", {})
    except Refused:
        pass


def report(title, results):
    good = True
    print(f"\n{title}", flush=True)
    for promise, checked, broken in results:
        good = good and not broken
        print(f"  {'kept  ' if not broken else 'BROKEN'} {promise}: {checked} checked, {len(broken)} broken", flush=True)
        for problem in broken[:SHOWN_MAX]:
            print(f"         {problem}", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
