#!/usr/bin/env python3
"""What clocks do: they leap, are set back, and are wrong at the start; nothing early, nothing twice.

    clock.py --binary target/debug/ergane [--short] [--only NAME]
"""

import glob
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from machine import Machine, parser, run, wait_for  # noqa: E402

LIBRARIES = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
HOUR = 3600


class Faked(Machine):
    """A machine whose clock is set apart from the true one, also while it runs."""

    def __init__(self, binary):
        super().__init__(binary)
        self.offset_path = os.path.join(self.base, "offset")
        self.set("+0")
        self.environment = {
            "LD_PRELOAD": LIBRARIES[0], "FAKETIME_TIMESTAMP_FILE": self.offset_path,
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset):
        new = self.offset_path + ".new"
        with open(new, "w", encoding="ascii") as text:
            text.write(f"{offset}\n")
        os.replace(new, self.offset_path)

    def sleeper(self, name, pause):
        self.ask("POST", "/v1/workflows", {
            "name": name, "trigger": {"event": f"{name}:begun"},
            "steps": [{"id": "nap", "sleep": pause},
                      {"id": "woken", "activity": "workflows:publish-event-platform",
                       "input": {"type": f"{name}:woken", "payload": {}}}]})

    def register(self, kind):
        self.ask("POST", "/v1/event-types", {"type": kind, "name": kind, "schema": {}})

    def begin(self, name):
        return self.ask("POST", f"/v1/events/{name}:begun", {})["accepted"][0]["runs"][0]

    def status(self, run_id):
        return self.ask("GET", f"/v1/runs/{run_id}")["status"]

    def woken(self, name):
        return len(self.ask("GET", f"/v1/events?type={name}:woken&limit=200")["data"])


def without_faketime():
    return None if LIBRARIES else "skipped: libfaketime is not installed"


def leap_forward(arguments):
    """An hour or a day forward: what was due comes, once, and the leap is told of."""
    if without_faketime():
        return without_faketime()
    with Faked(arguments.binary) as it:
        it.start()
        it.sleeper("nap", "30m")
        it.sleeper("rest", "40h")
        naps = [it.begin("nap") for _ in range(20)]
        rest = it.begin("rest")
        time.sleep(2)
        assert all(it.status(nap) == "waiting" for nap in naps)
        it.set("+1h")
        wait_for(lambda: all(it.status(nap) == "succeeded" for nap in naps), 20, "all woke")
        assert it.woken("nap") == len(naps), it.woken("nap")
        assert it.status(rest) == "waiting", "one woke early"
        wait_for(lambda: "clock_leapt" in it.ready()[1], 5, f"it is told: {it.ready()}")
        assert it.ready()[0] == "degraded" and it.state() == "healthy"
        it.stop()
        it.set("+50h")
        it.start()
        wait_for(lambda: it.status(rest) == "succeeded", 20, "it woke after the start")
        assert it.woken("rest") == 1 and it.woken("nap") == len(naps)
    return f"{len(naps) + 1} sleepers, each woke once"


def set_back(arguments):
    """Set back again and again while it runs: nothing early, nothing twice."""
    if without_faketime():
        return without_faketime()
    jumps = 6 if arguments.short else 200
    with Faked(arguments.binary) as it:
        it.start()
        it.sleeper("nap", "2s")
        begun = []
        for jump in range(jumps):
            it.set(f"-{HOUR}" if jump % 2 else "+0")
            begun.append(it.begin("nap"))
            time.sleep(0.3)
        it.set("+0")
        wait_for(lambda: all(it.status(nap) == "succeeded" for nap in begun), 30, "all woke")
        time.sleep(1)
        assert it.woken("nap") == len(begun), f"{it.woken('nap')} of {len(begun)}"
        for nap in begun:
            events = it.ask("GET", f"/v1/runs/{nap}/journal")
            assert events, nap
    return f"{jumps} jumps, {len(begun)} sleepers, each woke once"


def wrong_at_the_start(arguments):
    """A start with a clock before the last record: nothing fires until it is right or accepted."""
    if without_faketime():
        return without_faketime()
    with Faked(arguments.binary) as it:
        it.start()
        it.sleeper("nap", "3s")
        first = it.begin("nap")
        wait_for(lambda: it.status(first) == "succeeded", 20, "the first woke")
        assert it.stop()[0] == 0
        it.set("-86400")
        it.start()
        assert it.ready() == ("degraded", ["clock_behind"]), it.ready()
        assert it.state() == "clock_behind", it.state()
        second = it.begin("nap")
        time.sleep(5)
        assert it.status(second) == "waiting", "fired by a clock that nobody believes"
        assert it.ask("GET", "/v1/system/clock")["state"] == "behind"
        it.set("+10")
        wait_for(lambda: "clock_behind" not in it.ready()[1], 5, "it is believed again")
        wait_for(lambda: it.status(second) == "succeeded", 20, "the second woke")
        assert it.stop()[0] == 0
        it.set("-86400")
        it.start()
        third = it.begin("nap")
        assert it.ready()[1] == ["clock_behind"], it.ready()
        answer = it.ask("POST", "/v1/system/clock/accept", {})
        assert answer["state"] == "trusted", answer
        wait_for(lambda: it.status(third) == "succeeded", 20, "the third woke")
        assert it.stop()[0] == 0
        it.start()
        assert it.ready() == ("ok", []), f"what was accepted is forgotten: {it.ready()}"
        audit = it.ask("GET", "/v1/audit?action=clock.accept")["data"]
        assert len(audit) == 1, audit
    return "held, caught up, accepted, remembered"


def years_away(arguments):
    """1971 and 2100 at the start: named, and nothing fires."""
    if without_faketime():
        return without_faketime()
    with Faked(arguments.binary) as it:
        it.set("@1971-01-01 00:00:00")
        it.start()
        assert it.ready() == ("degraded", ["clock_behind"]), it.ready()
        it.stop()
    with Faked(arguments.binary) as it:
        it.start()
        it.sleeper("nap", "2h")
        nap = it.begin("nap")
        it.stop()
        it.set("+75y")
        it.start()
        assert it.ready() == ("degraded", ["clock_ahead"]), it.ready()
        time.sleep(3)
        assert it.status(nap) == "waiting", "it woke in 2100"
        it.stop()
        it.set("+3h")
        it.start()
        wait_for(lambda: it.status(nap) == "succeeded", 20, "it woke when the clock was right")
    return "1971 and 2100 are not believed"


def main():
    arguments = parser(__doc__.splitlines()[0]).parse_args()
    return run([leap_forward, set_back, wrong_at_the_start, years_away], arguments)


if __name__ == "__main__":
    sys.exit(main())
