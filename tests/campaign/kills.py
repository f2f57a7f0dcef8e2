"""Kills: at random times under load and during recovery, at the n-th write and sync, at failpoints."""

import os
import shutil
import time

from appliance import Api, Away, Refused
from checker import check
from part import Skipped
from scenario import FINAL, KINDS, World
from sink import Sink

POSTERS = 4
ROUND_KILLS = 40
# Their file systems calls; a sync and a write are told apart, since each is another moment.
CALLS = ("pwrite64", "fdatasync")
STRACE = ("strace", "-f", "-qq", "-o", "/dev/null")


def random_kills(context):
    """Kills at random times while events come in, also while it recovers."""
    left = context.length(15, 1000, context.arguments.kills)
    number = 0
    while left > 0:
        kills = min(left, ROUND_KILLS)
        left -= kills
        number += 1
        world = context.world(f"round-{number}")
        world.start_posters(POSTERS)
        for _ in range(kills):
            time.sleep(context.chance.uniform(0.02, 0.4))
            kill_once(context, world.server)
        if not end_round(context, world):
            return
        context.drop(world.server.directory)


def kill_once(context, server):
    server.kill()
    server.start()
    context.count("kills")
    while context.chance.random() < 0.25:
        # A crash while it recovers from the last one.
        time.sleep(context.chance.uniform(0.0, 0.12))
        server.kill()
        server.start()
        context.count("of them during recovery")
        context.count("kills")
    if not server.wait_ready():
        raise SystemExit(f"it did not come back after a kill; see {context.place('log')}")


def end_round(context, world):
    """Stops it in good order, starts it once more and checks everything."""
    world.halt()
    code, seconds = world.server.stop()
    problem = f"exit code {code} after {seconds:.1f} s"
    context.hold("a request to stop is followed", code == 0 and seconds < 15, problem)
    context.begin(world.server)
    good = context.add(check(world))
    context.count("events acknowledged", len(world.ledger.acked_events()))
    context.count("calls outside", world.sink.calls)
    world.server.kill()
    world.sink.close()
    return good


def nth_calls(context):
    """Kills at the n-th write and sync of the scenario, for n = 1, 2, … until it ends unharmed."""
    need_strace()
    for call in CALLS:
        prepared = Prepared(context, call)
        n = 1
        while prepared.one(n, call, inject=f"inject={call}:signal=SIGKILL:when={n}"):
            context.counts[f"last {call}"] = n
            # A sample takes larger and larger steps, so that it still meets the end.
            n += context.chance.randint(n // 2 + 1, n + 8) if context.is_sample else 1
        prepared.close()


def need_strace():
    if shutil.which("strace") is None:
        raise Skipped("there is no strace")


class Prepared:
    """A prepared data directory, copied for every single kill."""

    def __init__(self, context, name):
        self.context, self.name = context, name
        world = context.world(f"{name}-prepared")
        world.server.kill()
        self.world = world

    def one(self, n, name, inject=None, extra=None, before_the_end=None, lives_on=False):
        """Runs the scenario once with a fault; answers whether the process ended by it."""
        context = self.context
        directory = context.place(f"{name}-{n}")
        shutil.copytree(self.world.server.directory, directory, ignore=shutil.ignore_patterns("*.sock"))
        server = context.server(directory)
        call = inject.split("=")[1].split(":")[0] if inject else None
        tracer = (*STRACE, "-e", f"trace={call}", "-e", inject) if inject else ()
        server.start(tracer, extra)
        world = World(server, f"{self.world.seed}-{name}-{n}", self.world.sink)
        world.team, world.ticket = self.world.team, self.world.ticket
        if server.wait_ready():
            once(world, f"{name}-{n}")
            if before_the_end:
                before_the_end(world)
        was_killed = not server.is_alive()
        context.count("ends" if was_killed else "scenarios without an end")
        if was_killed or not lives_on:
            server.kill()
            server.start()
        if not server.wait_ready():
            context.hold("it starts after the fault", False, f"{name} {n}: it does not start; see {directory}")
            return was_killed
        # Every client sends again what was not acknowledged.
        world.resend()
        good = context.add(check(world), f"{name} {n}")
        server.kill()
        if good:
            context.drop(directory)
        return was_killed

    def close(self):
        self.world.sink.close()
        self.context.drop(self.world.server.directory)


def once(world, name):
    """Sends one event of every kind while the process lives, and lets the runs go on."""
    world.start_worker()
    api = Api(world.server)
    for kind in KINDS:
        mark = f"{name}-{kind}"
        try:
            ticket = world.ticket
            if kind == "undo":
                ticket = live_ticket(api, world, mark)
            world.ledger.sent(mark, kind, ticket, mark)
            world.ledger.acked(mark, world.deliver(api, mark, kind, ticket, timeout=10))
        except (Away, Refused):
            if not world.server.is_alive():
                break
    linger(world, 4 if world.server.is_alive() else 0)
    world.halt()


def live_ticket(api, world, mark):
    ticket = {
        "title": f"campaign {mark}",
        "requestorEmail": "campaign@example.com",
        "teamId": world.team,
        "priorityName": "low",
    }
    return api.call("POST", "/v1/tickets", ticket, {"Idempotency-Key": f"ticket-{mark}"})["id"]


def linger(world, seconds):
    """Lets the runs go on until they only wait or the process is dead."""
    end = time.monotonic() + seconds
    api = Api(world.server)
    waiting = {"crash-wait", "crash-cancelled", "crash-parked", "crash-beat"}
    while world.server.is_alive() and time.monotonic() < end:
        try:
            runs = api.call("GET", "/v1/runs?limit=200")["data"]
        except (Away, Refused):
            continue
        if all(run["status"] in FINAL or run["workflow"] in waiting for run in runs):
            return
        time.sleep(0.05)


def first_start(context):
    """Kills the very first start at its n-th write and sync; the next start must succeed."""
    need_strace()
    for call in CALLS:
        n, was_killed = 0, True
        while was_killed:
            n += context.chance.randint(1, 3) if context.is_short else 1
            directory = context.place(f"{call}-{n}")
            server = context.server(directory)
            server.start((*STRACE, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={n}"))
            was_killed = not server.wait_ready()
            server.kill()
            context.count("faults" if was_killed else "starts that ended unharmed")
            server.start()
            is_up = server.wait_ready()
            context.hold("the next start succeeds", is_up, f"{call} {n}: see {directory}")
            if is_up:
                context.hold("the prepared key works", works(server), f"{call} {n}")
            server.kill()
            if is_up:
                context.drop(directory)


def works(server):
    try:
        Api(server).call("GET", "/v1/workflows")
        return True
    except (Refused, Away):
        return False


def failpoints(context):
    """Kills at every failpoint of the binary, at its first passing and at later ones."""
    names = names_of_failpoints(context)
    prepared = Prepared(context, "failpoints")
    passings = (1,) if context.is_short else (1, 2, 7)
    chosen = context.chance.sample(names, min(len(names), 5)) if context.is_short else names
    for name in sorted(chosen):
        for passing in passings:
            plan = {"ERGANE_FAIL": f"{name}=exit(137)@{passing}"}
            was_killed = prepared.one(passing, name, extra=plan)
            context.count("passed at all", int(was_killed))
    context.counts["places"] = len(chosen)
    prepared.close()


def names_of_failpoints(context):
    """Asks the binary for its failpoints, by a name that it does not know and so refuses."""
    server = context.server("names")
    path = context.place("names.log")
    server.log = open(path, "wb")
    server.start(extra={"ERGANE_FAIL": "there is none=exit"})
    has_failpoints = not server.wait_ready()
    server.kill()
    server.log.close()
    with open(path, encoding="utf-8") as file:
        said = file.read()
    if not has_failpoints or "there are " not in said:
        raise Skipped("this binary has no failpoints; they are in a debug build")
    return said.split("there are ")[1].strip().split(", ")
