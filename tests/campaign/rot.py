"""What rots at rest: flipped bits, pages that are zeroed, stale or swapped, and files that are no
store at all. Everything is read by the API and compared with what was there before."""

import concurrent.futures
import json
import os
import shutil
import threading

from appliance import Api, Away, Refused
from checker import settle
from scenario import KINDS, World

PAGE = 4096
ROUNDS = 3
READY_SECONDS_MAX = 20
# Fields that differ from one reading to the next.
MOVING = {"durationMs", "requestId", "lastUsedAt"}
AT_ONCE = 2


def flips(context):
    """Flips one bit of the file at rest, again and again, in used bytes and anywhere."""
    archive = Archive(context)
    size = len(archive.bytes)
    used = [place for place in range(0, size, 64) if any(archive.bytes[place : place + 64])]

    def flipped(chance):
        place = chance.choice(used) + chance.randrange(64) if chance.random() < 0.9 else chance.randrange(size)
        changed = bytearray(archive.bytes)
        changed[place] ^= 1 << chance.randrange(8)
        return f"bit at {place}", bytes(changed)

    archive.try_all(flipped, context.length(60, 2000, context.arguments.flips), "flips")


def pages(context):
    """Zeroes a page, brings back an older one, or swaps two."""
    archive = Archive(context)
    full = [at for at in range(len(archive.bytes) // PAGE) if any(page(archive.bytes, at))]
    stale = [at for at in full if page(archive.older, at) not in (b"", page(archive.bytes, at))]

    def harmed(chance):
        kind = chance.choice(("zeroed", "stale", "swapped"))
        changed = bytearray(archive.bytes)
        if kind == "zeroed":
            at = chance.choice(full)
            changed[at * PAGE : (at + 1) * PAGE] = bytes(PAGE)
        elif kind == "stale":
            at = chance.choice(stale)
            changed[at * PAGE : (at + 1) * PAGE] = page(archive.older, at)
        else:
            at, other = chance.sample(full, 2)
            changed[at * PAGE : (at + 1) * PAGE] = page(archive.bytes, other)
            changed[other * PAGE : (other + 1) * PAGE] = page(archive.bytes, at)
        return f"page {at} {kind}", bytes(changed)

    archive.try_all(harmed, context.length(12, 400), "pages")


def page(data, at):
    return data[at * PAGE : (at + 1) * PAGE]


def files(context):
    """Starts on files that are cut off, too long, empty, garbage or somebody else's."""
    archive = Archive(context)
    whole, chance = archive.bytes, context.chance
    cases = {
        "empty": b"",
        "one byte": b"r",
        "garbage": chance.randbytes(100_000),
        "a database of SQLite": b"SQLite format 3\0" + bytes(100_000),
        "only the first bytes of ours": whole[:9] + chance.randbytes(100_000),
        "a header and nothing": whole[:PAGE],
        "half": whole[: len(whole) // 2],
        "a page short": whole[:-PAGE],
        "a byte short": whole[:-1],
        "a byte longer": whole + b"x",
        "a page longer": whole + bytes(PAGE),
        "twice as long": whole + chance.randbytes(len(whole)),
        "text": b"this is not a database\n" * 400,
    }
    for name, data in cases.items():
        outcome, problem = archive.try_one(name.replace(" ", "-"), data, {})
        context.count(outcome)
        context.hold("a file that is none is refused or right", problem is None, f"{name}: {problem}")


class Archive:
    """A store at rest with everything that its API told, and what it was a while before."""

    def __init__(self, context):
        self.context = context
        self.lock = threading.Lock()
        world = context.world("archive")
        world.start_worker()
        api = Api(world.server)
        for number in range(ROUNDS):
            for kind in KINDS:
                world.send(api, f"r{number}-{kind}", kind, 100)
            if number == 0:
                world.halt()
                world.finish()
                world.server.stop()
                self.older = self.read(world.server)
                context.begin(world.server)
                world.start_worker()
        world.finish()
        settle(api, world.ledger, 60)
        world.halt()
        api.persist("POST", "/v1/schedules/crash-beat/pause", {})
        self.places = places(api)
        self.truth = {place: read(api, place) for place in self.places}
        code, _ = world.server.stop()
        context.hold("a request to stop is followed", code == 0, f"exit code {code}")
        self.directory = world.server.directory
        self.bytes = self.read(world.server)
        world.sink.close()

    @staticmethod
    def read(server):
        with open(os.path.join(server.directory, "ergane.redb"), "rb") as file:
            return file.read()

    def try_all(self, change, count, what):
        """Tries `count` changed files; every other one is opened without the check of the whole."""
        context = self.context
        changes = []
        for number in range(count):
            name, data = change(context.chance)
            changes.append((number, name, data)) if count <= 100 else changes.append((number, name, None))
            if data is not None and count > 100:
                changes[-1] = (number, name, delta(self.bytes, data))
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda it: self.judge(*it, what), changes))

    def judge(self, number, name, data, what):
        context = self.context
        checked = number % 2 == 0
        settings = {} if checked else {"ERGANE_STORE__CHECK_ON_OPEN_BYTES_MAX": "0"}
        data = patched(self.bytes, data) if isinstance(data, list) else data
        outcome, problem = self.try_one(str(number), data, settings)
        with self.lock:
            context.count(what)
            if outcome == "silently wrong" and not checked:
                # Checksums of records cannot show that a page with others took their place: that
                # is what the check at the start is for, and files above its limit go without.
                context.count("hidden where the check at the start is off")
                context.notes.append(f"{name}: {problem}"[:300])
                return
            context.count(outcome)
            where = f"{name} of {len(self.bytes)}, {'checked at the start' if checked else 'not checked'}"
            context.hold("no wrong answer and no crash", problem is None, f"{where}: {problem}")

    def try_one(self, name, data, settings):
        """Starts on a changed file and reads everything; answers what happened, and what is wrong."""
        directory = self.context.place(f"try-{name}")
        shutil.copytree(self.directory, directory, ignore=shutil.ignore_patterns("*.sock", "ergane.redb"))
        path = os.path.join(directory, "ergane.redb")
        with open(path, "wb") as file:
            file.write(data)
        server = self.context.server(directory, settings)
        log = self.context.place(f"log-{name}")
        server.log = open(log, "wb")
        try:
            server.start()
            if not server.wait_ready(READY_SECONDS_MAX):
                return "refused at the start", self.refusal(server, log, path, data)
            return self.compare(server)
        except SystemExit:
            # Its file opens and its part does not: it lives, refuses all work and must say why.
            with open(log, encoding="utf-8", errors="replace") as file:
                said = file.read()
            problem = None if "damaged" in said else f"not ready without a reason: {said[-500:]}"
            return "alive, never ready, told why", problem
        finally:
            server.kill()
            server.log.close()
            shutil.rmtree(directory)
            os.remove(log)

    @staticmethod
    def refusal(server, log, path, data):
        """A refusal ends the process in order, says why, and leaves the file as it was."""
        with open(log, encoding="utf-8", errors="replace") as file:
            said = file.read()
        if server.process.returncode not in (1, 4, 5, 75):
            return f"ended with {server.process.returncode}: {said[-300:]}"
        if "ergane: cannot use the data directory" not in said:
            return f"said: {said[-500:]}"
        with open(path, "rb") as file:
            kept = file.read() == data
        # A start that looked into the file may have repaired what a crash leaves, never more.
        return None if kept or len(data) >= PAGE else "the file was changed although it was refused"

    def compare(self, server):
        api, outcome, wrong = Api(server), "harmless", []
        for place, truth in self.truth.items():
            try:
                found = read(api, place)
            except Refused as refused:
                # A record that cannot be read is told as such, never as one that is not there.
                outcome = "told as an error"
                if refused.status < 500:
                    wrong.append(f"{place}: {refused}")
                continue
            except Away as away:
                if not server.is_alive():
                    return "crashed", f"ended with {server.process.returncode} at {place}"
                wrong.append(f"{place}: {away}")
                continue
            if found != truth:
                wrong.append(f"{place}: {difference(truth, found)}")
        return ("silently wrong" if wrong else outcome), "; ".join(wrong[:3]) or None


def delta(old, new):
    """Returns the runs of bytes in which two files of one size differ, to keep many of them."""
    found = []
    for at in range(0, len(old), PAGE):
        if old[at : at + PAGE] != new[at : at + PAGE]:
            found.append((at, new[at : at + PAGE]))
    return found


def patched(old, changes):
    new = bytearray(old)
    for at, data in changes:
        new[at : at + len(data)] = data
    return bytes(new)


def places(api):
    """Returns the paths of everything that is compared."""
    lists = ["/v1/runs", "/v1/tickets", "/v1/workflows", "/v1/event-types", "/v1/teams", "/v1/audit"]
    lists += ["/v1/webhooks", "/v1/bulk", "/v1/keys", "/v1/activities", "/v1/contacts", "/v1/incidents"]
    found = [f"{path}?limit=200" for path in lists]
    found += [f"/v1/events?type=crash:{kind}&limit=200" for kind in KINDS]
    found += ["/v1/audit/verify"]
    for run in api.pages("/v1/runs"):
        if run["workflow"] != "crash-beat":
            found += [f"/v1/runs/{run['id']}", f"/v1/runs/{run['id']}/journal"]
    for ticket in list(api.pages("/v1/tickets"))[:4]:
        found += [f"/v1/tickets/{ticket['id']}", f"/v1/tickets/{ticket['id']}/comments?limit=200"]
    found += [f"/v1/workflows/{workflow['name']}" for workflow in api.pages("/v1/workflows")]
    return found


def read(api, place):
    return still(api.call("GET", place, timeout=20))


def still(value):
    """Takes out what differs from one reading to the next."""
    if isinstance(value, dict):
        return {name: still(inner) for name, inner in value.items() if name not in MOVING}
    if isinstance(value, list):
        return [still(inner) for inner in value]
    return value


def difference(truth, found, path=""):
    """Returns where two values differ first."""
    if type(truth) is not type(found):
        return f"{path}: {json.dumps(truth)[:120]} became {json.dumps(found)[:120]}"
    if isinstance(truth, dict):
        for name in sorted({*truth, *found}):
            if truth.get(name) != found.get(name):
                return difference(truth.get(name), found.get(name), f"{path}/{name}")
    if isinstance(truth, list):
        if len(truth) != len(found):
            return f"{path}: {len(truth)} items became {len(found)}"
        for place, (one, other) in enumerate(zip(truth, found)):
            if one != other:
                return difference(one, other, f"{path}/{place}")
    return f"{path}: {json.dumps(truth)[:120]} became {json.dumps(found)[:120]}"
