"""The screens of the desk and the house."""

import urllib.error

from screens import basics

ASKING = {
    "name": "refund-asks-first",
    "title": "Refund with a question",
    "trigger": "manual",
    "steps": [
        {
            "id": "pay",
            "activity": "workflows:transform-platform",
            "approval": {
                "approvers": [],
                "timeout": "3h",
                "escalate": {"after": "1h", "to": ["role:lead"]},
                "reason": "Refund {{ trigger.payload.amount }} EUR to"
                " {{ trigger.payload.who }} for order 4711; the item came broken.",
            },
            "input": {"output": {"done": True}},
        }
    ],
}
STUCK = {**basics.STUCK, "name": "page-on-call", "trigger": "manual"}
NIGHTLY = {
    "name": "digest-{}",
    "trigger": {"schedule": {"every": "hour", "timezone": "Europe/Berlin"}},
    "steps": [
        {
            "id": "sum",
            "activity": "workflows:transform-platform",
            "input": {"output": {"done": True}},
        }
    ],
}
HOSTILE = "<img src=x onerror=alert(1)>"


def made(appliance, path, body):
    """Makes something, or leaves it where it was made before."""
    try:
        return appliance.ask("POST", path, body)
    except urllib.error.HTTPError as error:
        if error.code not in (409, 422):
            raise
        return None


def seed(appliance):
    """Makes what the demo does not."""
    ask = appliance.ask
    made(appliance, "/v1/workflows", ASKING)
    made(appliance, "/v1/workflows", STUCK)
    for name in ("tickets", "accounts"):
        made(appliance, "/v1/workflows", {**NIGHTLY, "name": f"digest-{name}"})
    for who, amount in (("ada@example.com", 240), (HOSTILE, 18)):
        payload = {"who": who, "amount": amount}
        ask("POST", f"/v1/workflows/{ASKING['name']}/run", {"payload": payload})
    for _ in range(3):
        ask("POST", f"/v1/workflows/{STUCK['name']}/run", {})
    appliance.wait("an approval", lambda: appliance.one("/v1/approvals"))
    appliance.wait("an incident", lambda: appliance.one("/v1/incidents"))
    made(appliance, "/v1/tenants", {"slug": "apex", "name": "Apex " + HOSTILE})
    field = {"name": "Order number", "source": "ticket", "fieldType": "single_line"}
    made(appliance, "/v1/custom-fields", field)
    appliance.account = appliance.one("/v1/accounts")["id"]
    note = {"content": "Renewal in May " + HOSTILE}
    ask("POST", f"/v1/accounts/{appliance.account}/notes", note)


def screens(appliance):
    """Lists them by name, path and status."""
    ticket = appliance.one("/v1/tickets")["id"]
    contact = appliance.one("/v1/contacts")["id"]
    team = appliance.one("/v1/teams")["id"]
    account = appliance.account
    return [
        ("approvals for me", "/approvals", 200),
        ("approvals, all", "/approvals?show=all", 200),
        ("approvals, decided", "/approvals?show=decided", 200),
        ("approvals, no such list", "/approvals?show=others", 400),
        ("incidents", "/incidents", 200),
        ("roles", "/people/roles", 200),
        ("people with sessions", "/people", 200),
        ("tenants", "/tenants", 200),
        ("tenant", "/tenants/apex", 200),
        ("no such tenant", "/tenants/nobody", 404),
        ("audit, verified", "/audit/verify", 200),
        ("system", "/system", 200),
        ("licences", "/system/licences", 200),
        ("schedules with a day", "/schedules", 200),
        ("ticket with a feed", f"/tickets/{ticket}", 200),
        ("new ticket", "/tickets/new", 200),
        ("import tickets", "/tickets/import", 200),
        ("accounts", "/accounts", 200),
        ("accounts, none", "/accounts?q=nothing-is-called-so", 200),
        ("account", f"/accounts/{account}", 200),
        ("new account", "/accounts/new", 200),
        ("edit account", f"/accounts/{account}/edit", 200),
        ("import accounts", "/accounts/import", 200),
        ("contacts", "/contacts", 200),
        ("contact", f"/contacts/{contact}", 200),
        ("edit contact", f"/contacts/{contact}/edit", 200),
        ("teams", "/teams", 200),
        ("team", f"/teams/{team}", 200),
        ("new team", "/teams/new", 200),
    ]


def journeys(walk):
    return [
        ("approve and reject", decide),
        ("settle incidents together", settle),
        ("import accounts", take),
        ("foresee a change", foresee),
        ("make and edit an account", account),
    ]


def decide(walk):
    browser, appliance = walk.browser, walk.appliance
    browser.open("/approvals")
    before = len(browser.texts("article.ask"))
    browser.type("article.ask textarea", "Seen <b>here</b>")
    browser.click('article.ask [value="approve"]')
    browser.wait("the word of it", lambda: "Approved. The run goes on." in browser.texts(".notice"))
    walk.check("one fewer waits", len(browser.texts("article.ask")) == before - 1)
    browser.open("/approvals?show=decided")
    walk.check("the reason stays", "Seen <b>here</b>" in browser.texts(".say"))
    decided = appliance.one("/v1/approvals?status=decided")
    walk.check("the API says so", decided["status"] == "approved")
    walk.quiet("approvals")


def settle(walk):
    browser, appliance = walk.browser, walk.appliance
    browser.open("/incidents")
    walk.check("they are grouped", browser.texts(".count"))
    browser.click('form:has([value="page-on-call"]) [value="skip"]')
    browser.click('form:has([value="page-on-call"]) .button')
    told = lambda: any("settled" in text for text in browser.texts(".notice"))
    walk.check("it says what came of it", browser.wait("the outcome", told))
    left = lambda: not appliance.one("/v1/incidents?workflow=page-on-call")
    walk.check("none is left", browser.wait("no incident", left))
    walk.quiet("incidents")


def take(walk):
    browser = walk.browser
    browser.open("/accounts/import")
    browser.type("#text", "name,primaryDomain\nOne,one.example\nTwo,nonsense\n")
    browser.click('[value="check"]')
    browser.wait("the look ahead", lambda: browser.has('[value="make"]'))
    walk.check("the fault is told", any("nonsense" in text for text in browser.texts("td")))
    walk.look("import, looked at")
    browser.click('[value="make"]')
    # The page before says `1 of 2` as well, so that what came of it is asked for.
    names = lambda: [it["name"] for it in walk.appliance.ask("GET", "/v1/accounts?limit=200")["data"]]
    walk.check("it was made", browser.wait("the account", lambda: "One" in names()))
    walk.check("and said", browser.wait("the outcome", lambda: any("1 of 2" in text for text in browser.texts(".notice"))))
    walk.quiet("import")


def foresee(walk):
    browser, appliance = walk.browser, walk.appliance
    ticket = appliance.one("/v1/tickets")["id"]
    browser.open(f"/tickets/{ticket}")
    browser.type("#f-tags", "foreseen")
    browser.click('[formaction$="/preview"]')
    browser.wait("what would come", lambda: browser.has("#foreseen"))
    walk.check("the event is told", "ticket:tag:updated" in browser.texts("code.chip"))
    walk.look("ticket, foreseen")
    tags = appliance.ask("GET", f"/v1/tickets/{ticket}")["tags"] or []
    walk.check("nothing was changed", "foreseen" not in tags)
    walk.quiet("preview")


def account(walk):
    browser, appliance = walk.browser, walk.appliance
    browser.open("/accounts/new")
    browser.type("#f-name", "Apex " + HOSTILE)
    browser.type("#f-primaryDomain", "no domain")
    browser.click("form.blanks .button")
    browser.wait("the refusal", lambda: browser.has('[role="alert"]'))
    walk.look("account, refused", 422)
    browser.type("#f-primaryDomain", "apex.example")
    browser.click("form.blanks .button")
    browser.wait("the account", lambda: "It was made." in browser.texts(".notice"))
    walk.check("its name is written as it is", browser.texts("h1") == ["Apex " + HOSTILE])
    path = browser.path().split("?")[0]
    browser.open(path + "/edit")
    browser.type("#f-industry", "Robots")
    browser.click("form.blanks .button")
    browser.wait("the change", lambda: "The changes were saved." in browser.texts(".notice"))
    made = appliance.ask("GET", "/v1/accounts/apex.example")
    walk.check("the change is kept", made["industry"] == "Robots")
    walk.quiet("account")
