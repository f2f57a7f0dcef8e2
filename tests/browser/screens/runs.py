"""The screens of runs and events."""


def seed(appliance):
    """Makes a type with a schema and an event that breaks it."""
    schema = {
        "type": "object",
        "required": ["amount"],
        "properties": {"amount": {"type": "number"}},
    }
    kind = {"type": "browser:paid", "name": "Paid", "description": "", "schema": schema}
    appliance.ask("POST", "/v1/event-types", kind)
    batch = {"specversion": "1.0", "type": "browser:paid", "source": "browser", "id": "b-1"}
    try:
        appliance.ask("POST", "/v1/events", {**batch, "data": {"amount": "much"}})
    except OSError:
        pass  # It is refused, which is what the screen shows.


def screens(appliance):
    """Lists them by name, path and status."""
    failed = appliance.one("/v1/runs?status=failed")["id"]
    other = appliance.one("/v1/runs?status=succeeded")["id"]
    event = appliance.one("/v1/events?matched=true")["id"]
    screens = [
        ("runs, searched", "/runs?q=status:failed+attempts:%3E0+since:24h", 200),
        ("runs, mistyped", "/runs?q=stauts:failed", 400),
        ("runs, waiting long", "/runs?status=waiting&until=1d", 200),
        ("run, an open step", f"/runs/{failed}?step=pay", 200),
        ("run, context", f"/runs/{failed}?tab=context&at=3&expression=trigger.type", 200),
        ("run, context, wrong", f"/runs/{failed}?tab=context&expression=steps.gone.x", 200),
        ("run, history", f"/runs/{failed}?tab=history", 200),
        ("run, to be retried", f"/runs/{failed}?tab=redo", 200),
        ("run, to be compared", f"/runs/{failed}?tab=compare", 200),
        ("run, compared", f"/runs/{failed}?diff={other}", 200),
        ("bulk, restart", "/bulk?action=restart&status=failed", 200),
        ("events, paused", "/events?live=off", 200),
        ("events, by text", "/events?q=ticket&type=ticket:*", 200),
        ("event, explained", f"/events/{event}#why", 200),
        ("refused events", "/events/rejected", 200),
    ]
    refused = appliance.one("/v1/events/rejected")
    if refused:
        screens.append(("refused event", f"/events/rejected/{refused['id']}", 200))
    return screens
