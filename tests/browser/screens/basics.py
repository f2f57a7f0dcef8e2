"""The screens that the demo alone fills."""

# A workflow whose failure somebody has to settle.
STUCK = {
    "name": "ask-when-paging-fails",
    "steps": [
        {
            "id": "page",
            "activity": "workflows:http-request-platform",
            "input": {"method": "POST", "url": "http://127.0.0.1:9/page"},
            "retry": {"attempts": 1},
            "onFailure": "pause",
            "compensate": "none",
        }
    ],
}


def seed(appliance):
    """Waits until every state has come up."""
    ask, wait = appliance.one, appliance.wait
    appliance.ask("POST", "/v1/workflows", STUCK)
    appliance.ask("POST", f"/v1/workflows/{STUCK['name']}/run", {})

    def undone():
        runs = appliance.ask("GET", "/v1/runs?status=failed&limit=50")["data"]
        return next((run for run in runs if run["compensation"] == "done"), None)

    def come(name, condition):
        return wait(name, condition)["id"]

    come("run that succeeded", lambda: ask("/v1/runs?status=succeeded"))
    appliance.failed = come("run that failed and was undone", undone)
    appliance.waiting = come("run that waits", lambda: ask("/v1/runs?status=waiting"))
    appliance.retrying = come("run that tries again", lambda: ask("/v1/runs?status=retrying"))
    stuck = f"/v1/runs?status=waiting&workflow={STUCK['name']}"
    appliance.stuck = come("run that waits for somebody", lambda: ask(stuck))


def screens(appliance):
    """Lists them by name, path and status; the one that changes soonest is first."""
    workflows = ["refund-with-undo", "vip-alert", "morning-report"]
    succeeded = appliance.one("/v1/runs?status=succeeded")["id"]
    matched = appliance.one("/v1/events?matched=true")["id"]
    ticket = appliance.one("/v1/tickets")["id"]
    return [
        ("run, retrying", f"/runs/{appliance.retrying}", 200),
        ("run, waiting", f"/runs/{appliance.waiting}", 200),
        ("run, waiting for somebody", f"/runs/{appliance.stuck}", 200),
        ("run, failed and undone", f"/runs/{appliance.failed}", 200),
        ("run, succeeded", f"/runs/{succeeded}", 200),
        ("dashboard", "/", 200),
        ("workflows", "/workflows", 200),
        ("workflows, inactive", "/workflows?state=inactive", 200),
        *((f"workflow {name}", f"/workflows/{name}", 200) for name in workflows),
        ("workflow as JSON", f"/workflows/{workflows[0]}?source=json", 200),
        ("runs", "/runs", 200),
        ("runs, failed", "/runs?status=failed&since=24h", 200),
        ("runs, none", "/runs?q=nothing-is-called-so&workflow=nor-so", 200),
        ("events", "/events", 200),
        ("events, without runs", "/events?matched=false&since=1h", 200),
        ("event that started a run", f"/events/{matched}", 200),
        ("event that started none", f"/events/{ignored(appliance)}#why", 200),
        ("schedules", "/schedules", 200),
        ("tickets", "/tickets", 200),
        ("tickets, urgent", "/tickets?priority=urgent", 200),
        ("ticket", f"/tickets/{ticket}", 200),
        ("docs", "/docs", 200),
        ("demo messages", "/demo", 200),
        ("people", "/people", 200),
        ("apps", "/apps", 200),
        ("bulk, to be confirmed", "/bulk?action=cancel&status=waiting", 200),
        ("destinations", "/destinations", 200),
        ("backups", "/system/backups", 200),
        ("audit", "/audit", 200),
        ("storage", "/system/storage", 200),
        ("audit, none", "/audit?actor=nobody", 200),
        ("profile", "/profile", 200),
        ("sign-in", "/sign-in", 200),
        ("no such page", "/nowhere", 404),
        ("no such run", "/runs/run_00000000000000000000000000", 404),
        ("wrong address", "/runs?status=perhaps", 400),
    ]


def ignored(appliance):
    """Returns an event that a workflow listens to and that its filter let go."""
    events = appliance.ask("GET", "/v1/events?matched=false&limit=50")["data"]
    for event in events:
        verdicts = appliance.ask("GET", f"/v1/events/{event['id']}/explain")["data"]
        if any(verdict["outcome"] == "filtered" for verdict in verdicts):
            return event["id"]
    return events[0]["id"]
