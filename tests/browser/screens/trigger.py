"""Triggers, trials, versions, templates and what comes in and goes out."""

TRIED = {
    "name": "tried-and-compared",
    "title": "Tried and compared",
    "trigger": {
        "event": "ticket:created",
        "filter": {
            "ticket.priorityName": {"~in": ["high", "urgent"]},
            "~or": [{"ticket.tags": {"~contains": "vip"}}, {"ticket.assignedAgentId": {"~isnull": True}}],
        },
    },
    "steps": [
        {"id": "look", "title": "Look at it", "activity": "tickets:get-ticket-platform",
         "input": {"id": "{{ trigger.payload.ticket.id }}"}},
        {"id": "tag", "title": "Tag it", "activity": "tickets:add-tags-platform",
         "input": {"id": "{{ trigger.payload.ticket.id }}", "tags": ["tried"]}},
    ],
    "tests": [
        {"name": "an urgent ticket starts it",
         "event": {"type": "ticket:created", "payload": {"ticket": {"priorityName": "urgent", "tags": ["vip"]}}},
         "expect": {"matches": True}},
    ],
}


def seed(appliance):
    """Saves a workflow in two versions, so that there is something to compare."""
    appliance.ask("POST", "/v1/workflows", TRIED)
    changed = {**TRIED, "steps": [*TRIED["steps"], {"id": "rest", "title": "Rest", "sleep": "1s"}]}
    appliance.ask("PUT", f"/v1/workflows/{TRIED['name']}?draft=true", changed)


def screens(appliance):
    """Lists them by name, path and status."""
    own = f"/workflows/{TRIED['name']}"
    return [
        ("trigger of an event", f"{own}/match", 200),
        ("trigger of a schedule", "/workflows/morning-report/match", 200),
        ("trigger that matches nothing", "/workflows/vip-alert/match", 200),
        ("trial", f"{own}/test", 200),
        ("trial with a failure", "/workflows/refund-with-undo/test?failAt=pay", 200),
        ("cases", f"{own}/cases", 200),
        ("cases, none", "/workflows/vip-alert/cases", 200),
        ("backtest", f"{own}/backtest", 200),
        ("versions", f"{own}/versions", 200),
        ("difference", f"{own}/diff?from=1&to=2", 200),
        ("templates", "/templates", 200),
        ("import", "/workflows/import", 200),
        ("workflows that never ran", "/workflows?only=never", 200),
        ("workflows with a draft", "/workflows?only=draft", 200),
    ]


def journeys(walk):
    """Lists what is pressed, with a name for each."""
    return [
        ("edit a filter in rows", edit),
        ("keep an event as a test case", keep),
        ("begin with a template", begin),
    ]


def edit(walk):
    browser = walk.browser
    browser.open(f"/workflows/{TRIED['name']}/match")
    rows = lambda: len(browser.texts(".cond"))
    before = rows()
    browser.click(".group:not(.group .group) > .group-foot button[value='add ']")
    browser.wait("the new row", lambda: rows() == before + 1)
    browser.click("button[value='remove 0']")
    browser.wait("one row less", lambda: rows() == before)
    browser.find("#live-match [role='status']")


def keep(walk):
    browser = walk.browser
    browser.open("/workflows/vip-alert/match")
    browser.click(".matches summary")
    browser.click(".matches details[open] button[name='case.event']")
    browser.wait("the cases", lambda: browser.path() == "/workflows/vip-alert/cases")
    walk.check("the case passes", "1 of 1 cases pass" in browser.text(".verdict"))


def begin(walk):
    browser = walk.browser
    browser.open("/templates")
    browser.click("#tag-by-words .button.first")
    browser.wait("the new workflow", lambda: browser.path().startswith("/workflows/tag-by-words"))
    walk.check("it is no more than a draft", "inactive" in browser.text("h1"))
