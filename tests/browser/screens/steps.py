"""The editor of workflows: its form with a card open, its source, and what it asks."""

PAID = "trigger.payload.order"
DRAFT = {
    "name": "thank-and-ship",
    "title": "Thank and ship",
    "trigger": {"event": "shop:order:paid", "filter": {"order.total": {"~gt": 100}}},
    "steps": [
        {
            "id": "note",
            "title": "Leave a note",
            "activity": "communications:create-comment-platform",
            "input": {
                "ticketId": "{{ trigger.payload.ticket.id }}",
                "content": f"{{{{ {PAID}.number }}}} was paid",
            },
        },
        {
            "id": "choose",
            "branch": [
                {"if": {f"{PAID}.total": {"~gt": 500}}, "steps": [{"id": "ask", "sleep": "1h"}]},
                {"else": True, "steps": [{"id": "go_on", "sleep": "1s"}]},
            ],
        },
        {
            "id": "ship",
            "activity": "workflows:http-request-platform",
            "input": {"method": "POST", "url": f"https://ship.example/{{{{ {PAID}.id }}}}"},
            "retry": {"attempts": 5, "initial": "2s", "factor": 2, "max": "30s"},
        },
    ],
}


def seed(appliance):
    """Keeps a draft that nobody has published."""
    appliance.ask("PUT", f"/v1/workflows/{DRAFT['name']}/draft", DRAFT)


def screens(appliance):
    edit = "/workflows/escalate-urgent/edit"
    return [
        ("new workflow", "/workflows/new", 200),
        ("editor", edit, 200),
        ("editor, a card", f"{edit}?open=/steps/0", 200),
        ("editor, an outside call", f"{edit}?open=/steps/3", 200),
        ("editor, adding", f"{edit}?add=/steps/1", 200),
        ("editor, source", f"{edit}?tab=source", 200),
        ("editor, first draft", "/workflows/thank-and-ship/edit", 200),
        ("publish", "/workflows/escalate-urgent/publish", 200),
    ]
