"""What the campaign lets the appliance do: every kind of work at once, in a world that goes on."""

import random
import threading
import time

from appliance import Api, Away, Refused
from ledger import Ledger
from sink import Sink

SLEEP_SECONDS = 1.0
ONCE = {"attempts": 1}
PATIENT = {"attempts": 40, "initial": "100ms", "factor": 1, "max": "100ms"}
# Kinds that anybody may send at any time, each with a workflow of its own unless it is `hooked`.
KINDS = ("fused", "outside", "undo", "sleep", "wait", "many", "nested", "hooked", "worked")
KINDS += ("cancelled", "parked")
FINAL = {"succeeded", "failed", "cancelled"}
WORKER = "campaign:work"
# Short pauses, so that the end of the scenario does not wait for what a kill interrupted.
SETTINGS = {
    "ERGANE_ENGINE__DELIVERY_PAUSES_MS": ",".join(["200"] * 40),
    # An outage may last longer than there are slots to look at by default.
    "ERGANE_ENGINE__SCHEDULE_SLOTS_MAX": "10000",
    "ERGANE_ENGINE__TASK_LEASE_MS": "2000",
    "ERGANE_ENGINE__TASK_LEASES_MAX": "100",
}


def comment(step, word, ticket="{{trigger.payload.ticketId}}", mark="{{trigger.payload.mark}}"):
    return {
        "id": step,
        "activity": "communications:create-comment-platform",
        "input": {"ticketId": ticket, "content": f"{word} {mark}"},
    }


def call(step, port, place, undo=None):
    """A call outside with a path of its own; its undoing, if any, has another."""

    def request(path):
        url = f"http://127.0.0.1:{port}/{path}/" + "{{trigger.payload.mark}}"
        body = {"mark": "{{trigger.payload.mark}}", "at": path}
        return {
            "activity": "workflows:http-request-platform",
            "input": {"url": url, "method": "POST", "body": body},
        }

    undoing = "none" if undo is None else {**request(undo), "retry": PATIENT}
    return {"id": step, **request(place), "retry": PATIENT, "timeout": "10s", "compensate": undoing}


def workflows(port):
    """Returns the definitions by the kind of event that starts them."""
    steps = {
        # Platform records alone: everything of such a step commits with the journal.
        "fused": [
            {
                "id": "shape",
                "activity": "workflows:transform-platform",
                "input": {"set": {"mark": "{{trigger.payload.mark}}"}},
            },
            {
                "id": "open",
                "activity": "tickets:create-ticket-platform",
                "input": {
                    "title": "fused {{trigger.payload.mark}}",
                    "requestorEmail": "campaign@example.com",
                    "teamId": "{{trigger.payload.teamId}}",
                },
            },
            comment("tell", "fused"),
        ],
        "outside": [comment("before", "before"), call("call", port, "out"), comment("after", "after")],
        "undo": [
            {
                "id": "raise",
                "activity": "tickets:update-ticket-platform",
                "input": {"ticketId": "{{trigger.payload.ticketId}}", "priorityName": "urgent"},
            },
            comment("note", "undo"),
            call("first", port, "do1", "undo1"),
            call("second", port, "do2", "undo2"),
            {
                "id": "break",
                "activity": "tickets:update-ticket-platform",
                "input": {"ticketId": "there-is-no-such-ticket", "priorityName": "low"},
                "retry": ONCE,
            },
        ],
        "sleep": [{"id": "rest", "sleep": f"{SLEEP_SECONDS:g}s"}, comment("wake", "slept")],
        "wait": [
            {
                "id": "signal",
                "waitFor": {
                    "event": "crash:signal",
                    "filter": {"mark": {"~eq": "{{trigger.payload.mark}}"}},
                    "timeout": "1h",
                },
            },
            comment("heard", "heard"),
        ],
        "many": [
            {
                "id": "loop",
                "forEach": {
                    "items": [1, 2, 3],
                    "as": "number",
                    "concurrency": 2,
                    "steps": [comment("each", "each-{{ number }}")],
                },
            },
            {"id": "both", "parallel": [[comment("left", "left")], [comment("right", "right")]]},
        ],
        "nested": [
            {
                "id": "sub",
                "run": {
                    "workflow": "crash-child",
                    "input": {"mark": "{{trigger.payload.mark}}", "ticketId": "{{trigger.payload.ticketId}}"},
                },
            },
            comment("parent", "parent"),
        ],
        "worked": [
            {
                "id": "work",
                "activity": WORKER,
                "input": {"mark": "{{trigger.payload.mark}}"},
                "compensate": "none",
                "retry": PATIENT,
            },
            comment("done", "worked"),
        ],
        "cancelled": [comment("here", "here"), {"id": "long", "sleep": "1h"}],
        "parked": [comment("stay", "stay"), {"id": "long", "sleep": "1h"}],
    }
    definitions = [
        {"name": f"crash-{kind}", "trigger": {"event": f"crash:{kind}"}, "steps": steps[kind]}
        for kind in steps
    ]
    child = {"name": "crash-child", "trigger": "manual", "steps": [comment("child", "child")]}
    every_second = {"cron": "* * * * * *", "timezone": "UTC", "missed": "all"}
    beat = {
        "name": "crash-beat",
        "trigger": {"schedule": every_second},
        "steps": [
            {
                "id": "note",
                "activity": "workflows:transform-platform",
                "input": {"at": "{{ trigger.payload.scheduledFor }}"},
            }
        ],
    }
    return [child, *definitions, beat]


def open_ticket(api, team, mark):
    """Opens a ticket once, however often the answer is lost."""
    ticket = {
        "title": f"campaign {mark}",
        "requestorEmail": "campaign@example.com",
        "teamId": team,
        "priorityName": "low",
    }
    headers = {"Idempotency-Key": f"ticket-{mark}"}
    return api.persist("POST", "/v1/tickets", ticket, headers)["id"]


class World:
    """An appliance with its ledger, what lies outside of it, and those who use it."""

    def __init__(self, server, seed, sink=None, ledger=None):
        self.server = server
        self.seed = seed
        self.sink = sink or Sink()
        self.ledger = ledger or Ledger()
        self.team = self.ticket = None
        self.stop_flag = threading.Event()
        self.threads = []
        self.problems = []

    def prepare(self):
        """Saves everything that the events need."""
        api = Api(self.server)
        for kind in (*KINDS, "signal"):
            event_type = {"type": f"crash:{kind}", "name": kind, "schema": {"type": "object"}}
            self.settle_conflict(lambda: api.persist("POST", "/v1/event-types", event_type))
        worker = {"uniqueIdentifier": WORKER, "kind": "worker", "inputSchema": {"type": "object"}}
        self.settle_conflict(lambda: api.persist("POST", "/v1/activities", worker))
        for workflow in workflows(self.sink.port):
            api.persist("PUT", f"/v1/workflows/{workflow['name']}", workflow)
        hook = {"url": f"http://127.0.0.1:{self.sink.port}/hook", "types": ["crash:hooked"]}
        self.settle_conflict(lambda: self.allow_hook(api, hook))
        self.team = api.persist("POST", "/v1/teams", {"name": "Campaign"})["id"]
        self.ticket = open_ticket(api, self.team, "shared")

    @staticmethod
    def allow_hook(api, hook):
        api.persist("POST", "/v1/webhooks", hook, {"Idempotency-Key": "the-hook"})

    @staticmethod
    def settle_conflict(ask):
        try:
            ask()
        except Refused as refused:
            if refused.status not in (409,):
                raise

    def of(self, server, ledger):
        """Returns the same world around another appliance, with what was known at a moment."""
        other = World(server, self.seed, self.sink, ledger)
        other.team, other.ticket = self.team, self.ticket
        return other

    # -- those who use it

    def start_posters(self, count):
        for number in range(count):
            self.begin(self.post, number)
        self.begin(self.save)
        self.start_worker()

    def start_worker(self):
        self.begin(self.work)

    def begin(self, action, *arguments):
        thread = threading.Thread(target=self.guarded, args=(action, *arguments), daemon=True)
        self.threads.append(thread)
        thread.start()

    def guarded(self, action, *arguments):
        try:
            action(*arguments)
        except (Exception, SystemExit) as error:  # Whatever it is, it must not pass unseen.
            if not self.stop_flag.is_set():
                self.problems.append(f"{action.__name__}: {type(error).__name__}: {error}")

    def halt(self):
        """Ends the posters and the worker."""
        self.stop_flag.set()
        for thread in self.threads:
            thread.join(timeout=60)
        self.threads = []
        self.stop_flag = threading.Event()

    def post(self, number):
        """Sends events of every kind until told to stop; some twice, some without patience."""
        stop = self.stop_flag
        chance, api, count = random.Random(f"{self.seed}-{number}"), Api(self.server, stop), 0
        while not stop.is_set():
            count += 1
            kind = chance.choice(KINDS)
            patience = 1 if chance.random() < 0.1 else 100_000
            mark = f"p{number}-{count}"
            if not self.send(api, mark, kind, patience):
                continue
            if chance.random() < 0.1:
                self.send(api, mark, kind, patience)
            if kind in ("wait", "cancelled") and chance.random() < 0.7:
                self.follow(api, mark)
            stop.wait(chance.uniform(0.0, 0.03))

    def send(self, api, mark, kind, patience):
        """Sends one event until it is acknowledged, or as often as `patience` allows."""
        event = self.ledger.events.get(mark)
        ticket = event["ticket"] if event else self.ticket_of(api, mark, kind)
        self.ledger.sent(mark, kind, ticket, mark.split("-")[0])
        for _ in range(patience):
            try:
                self.ledger.acked(mark, self.deliver(api, mark, kind, ticket))
                return True
            except Away:
                time.sleep(0.01)
            except Refused as refused:
                if refused.status not in (429, 503):
                    raise
                time.sleep(0.02)
            if api.stop is not None and api.stop.is_set():
                return False
        return False

    def ticket_of(self, api, mark, kind):
        return open_ticket(api, self.team, mark) if kind == "undo" else self.ticket

    def deliver(self, api, mark, kind, ticket, timeout=40):
        """Sends one event once; answers the runs that it is said to have started."""
        event = {
            "specversion": "1.0",
            "id": mark,
            "source": "campaign",
            "type": f"crash:{kind}",
            "data": {"mark": mark, "ticketId": ticket, "teamId": self.team},
        }
        headers = {"Content-Type": "application/cloudevents+json"}
        answer = api.call("POST", "/v1/events", event, headers, timeout)
        return answer["accepted"][0]["runs"]

    def follow(self, api, mark):
        """Does what an acknowledged event of two kinds waits for: the signal, or the cancelling."""
        event = self.ledger.events[mark]
        if event["kind"] == "wait" and not event["signalled"]:
            signal = {
                "specversion": "1.0",
                "id": f"signal-{mark}",
                "source": "campaign",
                "type": "crash:signal",
                "data": {"mark": mark},
            }
            api.persist("POST", "/v1/events", signal, {"Content-Type": "application/cloudevents+json"})
            self.ledger.note(mark, "signalled")
        if event["kind"] == "cancelled" and not event["cancelled"]:
            for run in event["answers"][0]:
                try:
                    api.persist("POST", f"/v1/runs/{run}/cancel", {"compensate": True})
                except Refused as refused:
                    if refused.status != 409:  # It was cancelled, and the answer was lost.
                        raise
            self.ledger.note(mark, "cancelled")

    def save(self):
        """Saves a definition again and again, each time with other words."""
        count, stop = 0, self.stop_flag
        api = Api(self.server, stop)
        definition = next(it for it in workflows(self.sink.port) if it["name"] == "crash-fused")
        while not stop.wait(0.3):
            count += 1
            words = f"revision {count}"
            saved = api.persist("PUT", "/v1/workflows/crash-fused", {**definition, "description": words})
            self.ledger.saved("crash-fused", saved["version"], words)

    def work(self):
        """Takes tasks and completes them; a task whose lease was lost comes again."""
        api, stop = Api(self.server), self.stop_flag
        asked = {"activities": [WORKER], "worker": "campaign", "wait": "1s"}
        while not stop.is_set():
            try:
                tasks = api.call("POST", "/v1/tasks/poll", asked)["data"]
            except (Away, Refused):
                time.sleep(0.02)
                continue
            for task in tasks:
                if not self.ledger.worked(task["idempotencyKey"], task["input"]):
                    self.problems.append(f"task {task['idempotencyKey']} came with another input")
                done = {"token": task["token"], "output": {"mark": task["input"]["mark"]}}
                try:
                    api.call("POST", f"/v1/tasks/{task['id']}/complete", done)
                except (Away, Refused):
                    pass  # It was given back or it is somebody else's; it comes again.

    # -- the end

    def resend(self, share=1.0):
        """Sends what was never acknowledged once more, as a good client does."""
        api, chance = Api(self.server), random.Random(f"{self.seed}-resend")
        for mark, event in list(self.ledger.events.items()):
            if not event["acked"] and chance.random() < share:
                self.send(api, mark, event["kind"], 100_000)

    def finish(self):
        """Sends the last signals, cancels what was to be cancelled, one by one and in bulk."""
        api = Api(self.server)
        for mark in list(self.ledger.acked_events("wait", "cancelled")):
            self.follow(api, mark)
        body = {"action": "cancel", "filter": {"workflow": "crash-parked"}}
        end = time.monotonic() + 120
        while True:
            job = api.persist("POST", "/v1/bulk", body)
            self.ledger.began_bulk(job["id"])
            while job["status"] not in ("finished", "cancelled") and time.monotonic() < end:
                time.sleep(0.05)
                job = api.persist("GET", f"/v1/bulk/{job['id']}")
            if not job["total"] or time.monotonic() > end:
                return
