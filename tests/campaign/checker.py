"""What must be true of an appliance, found out by its public API alone and compared with a ledger."""

import datetime
import json
import time

from appliance import Api, Refused
from scenario import FINAL, KINDS, SLEEP_SECONDS

SETTLE_SECONDS_MAX = 120
# What each kind leaves on the shared ticket, once each.
COMMENTS = {
    "fused": ["fused"],
    "outside": ["before", "after"],
    "sleep": ["slept"],
    "wait": ["heard"],
    "many": ["each-1", "each-2", "each-3", "left", "right"],
    "nested": ["child", "parent"],
    "worked": ["worked"],
}
ENDINGS = {
    "undo": ("failed", "done"),
    "cancelled": ("cancelled", "done"),
    "parked": ("cancelled", "done"),
}


def check(world, patience=SETTLE_SECONDS_MAX):
    """Waits up to `patience` seconds for what is under way to end; returns a list of (promise, how
    many things were checked, list of violations)."""
    world.start_worker()
    try:
        world.finish()
        return Findings(world, patience).all()
    finally:
        world.halt()


def settle(api, ledger, patience):
    """Waits until no run is under way; answers all runs."""
    end = time.monotonic() + patience
    while True:
        runs = list(api.pages("/v1/runs"))
        if all(is_settled(run, ledger) for run in runs) or time.monotonic() > end:
            return runs
        time.sleep(0.1)


def is_settled(run, ledger):
    """A run is over, or it waits, says what for, and nobody was told of it who could go on."""
    if run["status"] in FINAL:
        return True
    event = ledger.events.get(run["eventId"])
    is_left = event and event["kind"] in ("wait", "cancelled") and not event["acked"]
    return bool(is_left and (run["waitingFor"] or {}).get("kind"))


class Findings:
    """Everything that the API tells, read once, and what is wrong with it."""

    def __init__(self, world, patience):
        self.patience = patience
        self.world, self.ledger, self.sink = world, world.ledger, world.sink
        self.api = Api(world.server)
        # The schedule goes on by itself; stopped, the runs come to an end.
        self.pause_beat()
        self.runs = settle(self.api, self.ledger, patience)
        self.full = {
            run["id"]: self.api.persist("GET", f"/v1/runs/{run['id']}")
            for run in self.runs
            if run["workflow"] != "crash-beat"
        }
        self.by_event = {}
        for run in self.runs:
            self.by_event.setdefault(run["eventId"], []).append(run)
        self.acked = self.ledger.acked_events()
        self.known = set()
        for kind in KINDS:
            self.known |= {event["id"] for event in self.api.pages(f"/v1/events?type=crash:{kind}")}
        comments = list(self.api.pages(f"/v1/tickets/{world.ticket}/comments"))
        self.comments = {}
        for comment in comments:
            if not comment.get("deletedAt"):
                self.comments.setdefault(comment["content"], []).append(comment)
        self.titles = {}
        for ticket in self.api.pages("/v1/tickets"):
            self.titles[ticket["title"]] = self.titles.get(ticket["title"], 0) + 1

    def pause_beat(self):
        try:
            self.api.persist("POST", "/v1/schedules/crash-beat/pause", {})
        except Refused as refused:
            if refused.status not in (404, 409):
                raise

    def all(self):
        runs, acked = len(self.runs), len(self.acked)
        beats = list(self.api.pages("/v1/events?type=cron:custom"))
        return [
            ("an acknowledged event is there", acked, self.lost()),
            ("an event starts its workflow once", len(self.ledger.events), self.starts()),
            ("an answer names the run that there is", acked, self.answers()),
            ("nothing is stuck", runs, self.stuck()),
            ("a run ends as it should", runs, self.endings()),
            ("a step succeeds once and in order", len(self.full), self.attempts()),
            ("a platform effect happens once", acked, self.effects()),
            ("what failed is undone whole, in reverse", acked, self.undone()),
            ("a sleep never ends early", acked, self.early()),
            ("a slot of a schedule fires once, not early", len(beats), self.beats(beats)),
            ("a call keeps its key and its body", self.sink.calls, list(self.sink.changed) + self.calls()),
            ("a webhook gets each event, in order", acked, self.deliveries()),
            ("a saved definition is there", len(self.ledger.saves), self.saves()),
            ("the audit is whole", 1, self.audit()),
            ("nobody outside saw anything odd", 1, list(self.world.problems)),
        ]

    def lost(self):
        gone = [mark for mark in self.acked if mark not in self.known]
        return [mark for mark in gone if not self.is_there(mark)]

    def is_there(self, mark):
        try:
            return bool(self.api.persist("GET", f"/v1/events/{mark}"))
        except Refused:
            return False

    def starts(self):
        wrong = []
        for mark, event in self.ledger.events.items():
            started = [run["workflow"] for run in self.by_event.get(mark, [])]
            expected = [] if event["kind"] == "hooked" else [f"crash-{event['kind']}"]
            # What was never acknowledged may have been lost, but it may not have happened twice.
            if started != expected and (event["acked"] or started):
                wrong.append(f"{mark} ({event['kind']}): started {started}")
        return wrong

    def answers(self):
        wrong = []
        for mark, event in self.acked.items():
            present = [run["id"] for run in self.by_event.get(mark, [])]
            wrong += [f"{mark}: told {told}, is {present}" for told in event["answers"] if told != present]
        return wrong

    def stuck(self):
        return [
            f"{run['id']} {run['workflow']} {run['status']} {run.get('waitingFor')}"
            for run in self.runs
            if not is_settled(run, self.ledger)
        ]

    def endings(self):
        wrong = []
        for mark, event in self.acked.items():
            for run in self.by_event.get(mark, []):
                whole = self.full[run["id"]]
                ending = (run["status"], whole["compensation"])
                if ending != ENDINGS.get(event["kind"], ("succeeded", "none")):
                    wrong.append(f"{run['id']} ({mark}, {event['kind']}): {ending}, {whole.get('error')}")
        return wrong

    def attempts(self):
        wrong = []
        for run in self.full.values():
            for step in run["steps"]:
                good = sum(attempt["outcome"] == "succeeded" for attempt in step["attempts"])
                if good > 1:
                    wrong.append(f"{run['id']} step {step['id']}: {good} successful attempts")
            states = [step["status"] for step in run["steps"] if not step["depth"]]
            if "pending" in states and "succeeded" in states[states.index("pending") :]:
                wrong.append(f"{run['id']}: a step was done before an earlier one: {states}")
        return wrong

    def effects(self):
        wrong = []
        for mark, event in self.ledger.events.items():
            least = 1 if event["acked"] else 0
            for word in COMMENTS.get(event["kind"], []):
                count = len(self.comments.get(f"{word} {mark}", []))
                if not least <= count <= 1:
                    wrong.append(f"{mark}: {count} comments `{word}`")
            titles = self.titles.get(f"fused {mark}", 0)
            if event["kind"] == "fused" and not least <= titles <= 1:
                wrong.append(f"{mark}: {titles} tickets")
            left = {"cancelled": "here", "parked": "stay"}.get(event["kind"])
            if left and event["acked"] and self.comments.get(f"{left} {mark}"):
                wrong.append(f"{mark}: what was cancelled left its comment")
        return wrong

    def undone(self):
        wrong = []
        for mark in self.ledger.acked_events("undo"):
            event = self.ledger.events[mark]
            ticket = self.api.persist("GET", f"/v1/tickets/{event['ticket']}")
            if ticket["priorityName"] != "low":
                wrong.append(f"{mark}: the priority is {ticket['priorityName']}")
            left = self.api.pages(f"/v1/tickets/{event['ticket']}/comments")
            if [comment for comment in left if not comment.get("deletedAt")]:
                wrong.append(f"{mark}: comments are left")
            for run in self.by_event.get(mark, []):
                order = [(it["step"], it["status"]) for it in self.full[run["id"]]["compensations"]]
                if order != [(step, "done") for step in ("second", "first", "note", "raise")]:
                    wrong.append(f"{run['id']}: undone {order}")
            places = ("do1", "do2", "undo2", "undo1")
            firsts = [self.sink.seen(f"/{place}/{mark}")["first"] for place in places]
            if None in firsts or firsts != sorted(firsts):
                wrong.append(f"{mark}: {places} came at {firsts}")
        return wrong

    def early(self):
        """Compares the clock of the client with the time of the comment after the sleep."""
        wrong = []
        for mark, event in self.ledger.acked_events("sleep").items():
            for comment in self.comments.get(f"slept {mark}", []):
                slept = seconds(comment["createdAt"]) - event["sentAt"]
                # The appliance's times are cut to milliseconds.
                if slept < SLEEP_SECONDS - 0.002:
                    wrong.append(f"{mark}: woke {slept:.3f} s after it was sent")
        return wrong

    def beats(self, beats):
        wrong, slots = [], []
        for beat in beats:
            slot, fired = beat["payload"]["scheduledFor"], beat["payload"]["firedAt"]
            slots.append(slot)
            if fired < slot:
                wrong.append(f"{slot} fired early, at {fired}")
            runs = [run for run in self.by_event.get(beat["id"], []) if run["workflow"] == "crash-beat"]
            if len(runs) != 1 or runs[0]["status"] != "succeeded":
                wrong.append(f"{slot}: runs {runs}")
        if len(set(slots)) != len(slots):
            wrong.append("a slot fired twice")
        if slots:
            span = seconds(max(slots)) - seconds(min(slots)) + 1
            # As many as `missed: all` makes up for after one outage.
            if span != len(slots):
                wrong.append(f"{len(slots)} slots fired in {span:.0f} s")
        return wrong

    def calls(self):
        wrong = []
        steps = {"outside": [("out", "call")], "undo": [("do1", "first"), ("do2", "second")]}
        for mark, event in self.ledger.acked_events(*steps).items():
            run = self.by_event.get(mark, [{"id": None}])[0]["id"]
            for place, step in steps[event["kind"]]:
                key = self.sink.seen(f"/{place}/{mark}")["key"]
                if key != f"{run}/{step}":
                    wrong.append(f"{mark}: {place} came with the key {key}, the run is {run}")
        return wrong

    def deliveries(self):
        hooked = self.ledger.acked_events("hooked")
        end = time.monotonic() + self.patience / 2
        while True:
            order = [json.loads(seen["body"])["data"]["id"] for seen in self.sink.deliveries("/hook")]
            missing = set(hooked) - set(order)
            if not missing or time.monotonic() > end:
                break
            time.sleep(0.1)
        wrong = [f"{mark}: never came to the webhook" for mark in sorted(missing)]
        by_source = {}
        for mark in order:
            event = self.ledger.events.get(mark)
            if event and event["acked"] and not event.get("resent"):
                by_source.setdefault(event["source"], []).append(event["sentAt"])
        for source, times in by_source.items():
            if times != sorted(times):
                wrong.append(f"{source}: its events came out of order")
        return wrong

    def saves(self):
        listed = self.api.pages("/v1/workflows/crash-fused/versions")
        versions = {it["version"]: it["description"] for it in listed}
        return [
            f"version {version} says `{versions.get(version)}` and not `{words}`"
            for (_, version), words in self.ledger.saves.items()
            if versions.get(version) != words
        ]

    def audit(self):
        found = self.api.persist("GET", "/v1/audit/verify")
        return [] if found["valid"] else [json.dumps(found)]


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
