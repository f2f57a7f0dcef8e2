"""What the campaign lets the appliance do, and what must be true of it afterwards."""

import threading
import time

from appliance import Api, Away, Refused

FINAL = {"succeeded", "failed", "cancelled"}
KINDS = ("fused", "outside", "undo", "sleep")
SLEEP_SECONDS = 1.0
SETTLE_SECONDS_MAX = 180
ONCE = {"attempts": 1}
PATIENT = {"attempts": 30, "initial": "100ms", "factor": 1, "max": "100ms"}


def comment(step, word):
    return {
        "id": step,
        "activity": "communications:create-comment-platform",
        "input": {
            "ticketId": "{{trigger.payload.ticketId}}",
            "content": word + " {{trigger.payload.mark}}",
        },
    }


def workflows(sink_port):
    """Returns the definitions, one for each kind of event."""
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
        "outside": [
            comment("before", "before"),
            {
                "id": "call",
                "activity": "workflows:http-request-platform",
                "input": {
                    "url": f"http://127.0.0.1:{sink_port}/" + "{{trigger.payload.mark}}",
                    "method": "POST",
                    "body": {"mark": "{{trigger.payload.mark}}"},
                },
                "retry": PATIENT,
                "compensate": "none",
            },
            comment("after", "after"),
        ],
        "undo": [
            {
                "id": "raise",
                "activity": "tickets:update-ticket-platform",
                "input": {"ticketId": "{{trigger.payload.ticketId}}", "priorityName": "urgent"},
            },
            comment("note", "undo"),
            {
                "id": "break",
                "activity": "tickets:update-ticket-platform",
                "input": {"ticketId": "there-is-no-such-ticket", "priorityName": "low"},
                "retry": ONCE,
            },
        ],
        "sleep": [{"id": "rest", "sleep": f"{SLEEP_SECONDS:g}s"}, comment("wake", "slept")],
    }
    return [
        {"name": f"crash-{kind}", "trigger": {"event": f"crash:{kind}"}, "steps": steps[kind]}
        for kind in KINDS
    ]


def prepare(api, sink_port):
    """Saves everything that the events need; answers the team and a ticket that all may use."""
    for kind in KINDS:
        event_type = {"type": f"crash:{kind}", "name": kind, "schema": {"type": "object"}}
        try:
            api.persist("POST", "/v1/event-types", event_type)
        except Refused as refused:
            if refused.status not in (404, 405, 409):
                raise
    for workflow in workflows(sink_port):
        api.persist("PUT", f"/v1/workflows/{workflow['name']}", workflow)
    team = api.persist("POST", "/v1/teams", {"name": "Campaign"})["id"]
    return team, open_ticket(api, team, "shared")


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


class Ledger:
    """What was sent, and what the appliance said to it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.events = {}

    def sent(self, mark, kind, ticket):
        with self.lock:
            self.events[mark] = {"kind": kind, "ticket": ticket, "acked": False, "runs": None}

    def acked(self, mark, runs):
        with self.lock:
            event = self.events[mark]
            event["acked"] = True
            event.setdefault("answers", []).append(runs)

    def count(self):
        with self.lock:
            return sum(event["acked"] for event in self.events.values())


def send(api, ledger, team, shared_ticket, mark, kind, patience):
    """Sends one event until it is acknowledged, or as often as `patience` allows."""
    ticket = open_ticket(api, team, mark) if kind == "undo" else shared_ticket
    ledger.sent(mark, kind, ticket)
    event = {
        "specversion": "1.0",
        "id": mark,
        "source": "campaign",
        "type": f"crash:{kind}",
        "data": {"mark": mark, "ticketId": ticket, "teamId": team},
    }
    for _ in range(patience):
        try:
            headers = {"Content-Type": "application/cloudevents+json"}
            answer = api.call("POST", "/v1/events", event, headers)
            ledger.acked(mark, answer["accepted"][0]["runs"])
            return
        except Away:
            time.sleep(0.01)
        except Refused as refused:
            if refused.status not in (429, 503):
                raise
            time.sleep(0.02)


def settle(server):
    """Waits until no run is under way; answers all runs and whether any was left."""
    api = Api(server)
    end = time.monotonic() + SETTLE_SECONDS_MAX
    while True:
        runs = list(api.pages("/v1/runs"))
        open_runs = [run for run in runs if run["status"] not in FINAL]
        if not open_runs or time.monotonic() > end:
            return runs, open_runs
        time.sleep(0.2)


def verdicts(server, sink, ledger, shared_ticket):
    """Returns a list of (promise, how many things were checked, list of violations)."""
    api = Api(server)
    runs, stuck = settle(server)
    by_event = {}
    for run in runs:
        by_event.setdefault(run["eventId"], []).append(run)
    full = {run["id"]: api.persist("GET", f"/v1/runs/{run['id']}") for run in runs}
    comments = marks_of(api.pages(f"/v1/tickets/{shared_ticket}/comments"), "content")
    titles = marks_of(api.pages("/v1/tickets"), "title")
    acked = {mark: event for mark, event in ledger.events.items() if event["acked"]}
    stuck_lines = [f"{run['id']} {run['status']} {run.get('waitingFor')}" for run in stuck]
    return [
        ("an acknowledged event is there", len(acked), lost_events(api, acked)),
        ("an event starts its workflow once", len(ledger.events), starts(ledger, by_event)),
        ("an answer names the run that there is", len(acked), answers(acked, by_event)),
        ("no run is stuck", len(runs), stuck_lines),
        ("a run ends as it should", len(runs), endings(acked, by_event, full)),
        ("a step succeeds once", len(runs), attempts(full.values())),
        ("a platform effect happens once", len(acked), effects(acked, comments, titles)),
        ("an undone run leaves nothing", len(acked), undone(api, acked)),
        ("a sleep never ends early", len(runs), early(acked, by_event, full)),
        ("a call outside keeps its key and body", len(sink.calls), calls(sink, acked, by_event)),
    ]


def marks_of(items, field):
    counts = {}
    for item in items:
        counts[item[field]] = counts.get(item[field], 0) + 1
    return counts


def lost_events(api, acked):
    lost = []
    for mark in acked:
        try:
            api.persist("GET", f"/v1/events/{mark}")
        except Refused as refused:
            lost.append(f"{mark}: {refused}")
    return lost


def starts(ledger, by_event):
    wrong = []
    for mark, event in ledger.events.items():
        started = [run["workflow"] for run in by_event.get(mark, [])]
        expected = [f"crash-{event['kind']}"]
        # What was never acknowledged may have been lost, but it may not have happened twice.
        if started != expected and (event["acked"] or started):
            wrong.append(f"{mark} ({event['kind']}): started {started}")
    return wrong


def answers(acked, by_event):
    wrong = []
    for mark, event in acked.items():
        present = [run["id"] for run in by_event.get(mark, [])]
        wrong += [f"{mark}: told {told}, there is {present}" for told in event["answers"] if told != present]
    return wrong


def endings(acked, by_event, full):
    wrong = []
    for mark, event in acked.items():
        for run in by_event.get(mark, []):
            whole = full[run["id"]]
            ending = (run["status"], whole["compensation"])
            expected = ("failed", "done") if event["kind"] == "undo" else ("succeeded", "none")
            if ending != expected:
                wrong.append(f"{run['id']} ({event['kind']}): {ending}, error {whole.get('error')}")
    return wrong


def attempts(runs):
    wrong = []
    for run in runs:
        for step in run["steps"]:
            good = sum(attempt["outcome"] == "succeeded" for attempt in step["attempts"])
            if good > 1:
                wrong.append(f"{run['id']} step {step['id']}: {good} successful attempts")
        orders = [step["status"] for step in run["steps"]]
        if "pending" in orders and "succeeded" in orders[orders.index("pending") :]:
            wrong.append(f"{run['id']}: a step was done before an earlier one: {orders}")
    return wrong


def effects(acked, comments, titles):
    words = {"fused": ["fused"], "outside": ["before", "after"], "sleep": ["slept"], "undo": []}
    wrong = []
    for mark, event in acked.items():
        for word in words[event["kind"]]:
            count = comments.get(f"{word} {mark}", 0)
            if count != 1:
                wrong.append(f"{mark}: {count} comments `{word}`")
        if event["kind"] == "fused" and titles.get(f"fused {mark}", 0) != 1:
            wrong.append(f"{mark}: {titles.get(f'fused {mark}', 0)} tickets")
    return wrong


def undone(api, acked):
    wrong = []
    for mark, event in acked.items():
        if event["kind"] != "undo":
            continue
        ticket = api.persist("GET", f"/v1/tickets/{event['ticket']}")
        priority = ticket.get("priorityName") or ticket.get("priority")
        if priority != "low":
            wrong.append(f"{mark}: the priority is {priority}")
        left = list(api.pages(f"/v1/tickets/{event['ticket']}/comments"))
        left = [comment for comment in left if not comment.get("deletedAt")]
        if left:
            wrong.append(f"{mark}: {len(left)} comments are left")
    return wrong


def early(acked, by_event, full):
    wrong = []
    for mark, event in acked.items():
        if event["kind"] != "sleep":
            continue
        for run in by_event.get(mark, []):
            took = full[run["id"]]["durationMs"] / 1000
            if took < SLEEP_SECONDS:
                wrong.append(f"{run['id']}: slept {took} s instead of {SLEEP_SECONDS} s")
    return wrong


def calls(sink, acked, by_event):
    wrong = []
    for mark, event in acked.items():
        if event["kind"] != "outside":
            continue
        made = sink.calls_to(f"/{mark}")
        keys = {key for _, key, _ in made}
        bodies = {body for _, _, body in made}
        run = by_event.get(mark, [{"id": None}])[0]["id"]
        if keys != {f"{run}/call"}:
            wrong.append(f"{mark}: {len(made)} calls with the keys {keys}, the run is {run}")
        elif len(bodies) != 1:
            wrong.append(f"{mark}: bodies differ: {bodies}")
    return wrong
