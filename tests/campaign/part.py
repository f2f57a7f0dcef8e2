"""What every part of the campaign has in hand, and how its result is told."""

import os
import random
import shutil
import time

from appliance import Server
from scenario import SETTINGS, World

SHOWN_MAX = 5


class Skipped(Exception):
    """A part cannot be done on this machine; the text says why."""


class Context:
    """One part: its name, its chance, its place, and what it found."""

    def __init__(self, arguments, base, name, seed):
        self.arguments, self.name, self.seed = arguments, name, seed
        self.binary = arguments.binary
        self.is_short = arguments.short
        self.is_sample = arguments.short or arguments.sample
        self.chance = random.Random(f"{seed}-{name}")
        self.base = os.path.join(base, name)
        os.makedirs(self.base)
        self.counts, self.promises, self.notes = {}, {}, []

    def length(self, short, long, asked=None):
        """Returns how often something is done: as asked for, else by the form of the campaign."""
        if asked is not None:
            return asked
        return short if self.is_short else long

    def place(self, name):
        return os.path.join(self.base, name)

    def server(self, directory, settings=None):
        path = directory if os.path.isabs(directory) else self.place(directory)
        return Server(self.binary, path, self.place("log"), {**SETTINGS, **(settings or {})})

    def begin(self, server, tracer=(), extra=None):
        """Starts a server that must come up."""
        server.start(tracer, extra)
        if not server.wait_ready():
            raise SystemExit(f"the appliance does not start; see {self.place('log')}")

    def world(self, directory="data", sink=None, settings=None):
        """Returns a running appliance with everything that the scenario needs."""
        server = self.server(directory, settings)
        self.begin(server)
        world = World(server, f"{self.seed}-{self.name}", sink)
        world.prepare()
        return world

    def count(self, what, number=1):
        self.counts[what] = self.counts.get(what, 0) + number

    def add(self, results, where=""):
        """Adds the verdicts of one check; answers whether all was well."""
        good = True
        for promise, checked, broken in results:
            count, all_broken = self.promises.get(promise, (0, []))
            lines = [f"{where}: {line}" if where else line for line in broken]
            self.promises[promise] = (count + checked, all_broken + lines)
            good = good and not broken
        return good

    def hold(self, promise, is_kept, problem):
        """Adds the verdict on one thing."""
        return self.add([(promise, 1, [] if is_kept else [problem])])

    def drop(self, directory):
        """Removes what a check that went well left."""
        shutil.rmtree(directory, ignore_errors=True)

    def is_good(self):
        return not any(broken for _, broken in self.promises.values())


def result_of(context, began, skipped=None, problem=None):
    """Returns what is told of a part, as one line of JSON carries it."""
    verdict = "kept"
    if skipped:
        verdict = "skipped"
    elif problem or not context.is_good():
        verdict = "BROKEN"
    return {
        "name": context.name,
        "seed": context.seed,
        "form": "short" if context.is_short else "long",
        "counts": context.counts,
        "checked": sum(count for count, _ in context.promises.values()),
        "broken": {promise: broken[:20] for promise, (_, broken) in context.promises.items() if broken},
        "notes": context.notes[:20],
        "seconds": round(time.monotonic() - began, 1),
        "verdict": verdict,
        **({"reason": skipped or problem} if skipped or problem else {}),
    }


def show(context, result):
    counts = ", ".join(f"{number} {what}" for what, number in result["counts"].items())
    print(f"{result['verdict']:7} {result['name']:12} {result['seconds']:6.1f} s  {counts}", flush=True)
    if "reason" in result:
        print(f"        {result['reason']}")
    for promise, (checked, broken) in context.promises.items():
        if broken:
            print(f"        BROKEN {promise}: {len(broken)} of {checked}")
            for line in broken[:SHOWN_MAX]:
                print(f"            {line}")


