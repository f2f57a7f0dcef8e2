"""What people do every day, with a mouse and scripts."""

from chromium import Browser
from looking import SIZES
from walk import ENTER, PASSWORD


def journeys(walk):
    return [
        ("theme", theme),
        ("keys", keys),
        ("search", search),
        ("filter runs", filters),
        ("pause and resume the generator", generator),
        ("retry a failed run", retry),
        ("cancel a waiting run", cancel),
        ("replay an event", replay),
        ("change a ticket", change),
        ("disable and enable a workflow", disable),
        ("invite somebody", invite),
    ]


def theme(walk):
    browser = walk.browser
    browser.open("/workflows")
    browser.prefer("light")
    browser.click("#theme button")
    shown = "return document.documentElement.dataset.theme"
    walk.check("the switch makes it dark", browser.run(shown) == "dark")
    browser.reload()
    walk.check("it stays dark", browser.run(shown) == "dark")
    browser.click("#theme button")
    walk.check("and light again", browser.run(shown) == "light")
    browser.forget("ergane_theme")
    walk.quiet("theme")


def keys(walk):
    browser = walk.browser
    browser.open("/")
    browser.press("g", "r")
    browser.wait("the runs after `g r`", lambda: browser.path() == "/runs")
    walk.check("`g r` leads to the runs", browser.texts("h1") == ["Runs"])
    browser.press("/")
    focus = "return document.activeElement.id"
    walk.check("`/` focuses the search", browser.run(focus) == "find")
    browser.press("g", "t")
    walk.check("typing goes nowhere", browser.path() == "/runs")
    walk.check("`/` itself is not typed", browser.run('return document.getElementById("find").value') == "gt")
    browser.press("\ue00c", "j")
    row = "return document.activeElement.matches('.go')"
    walk.check("`j` goes to a row", browser.run(row))
    browser.press(ENTER)
    browser.wait("a run", lambda: browser.path().startswith("/runs/"))
    walk.check("Enter opens it", browser.has(".step"))
    walk.quiet("keys")


def search(walk):
    browser = walk.browser
    browser.open("/")
    ticket = walk.appliance.one("/v1/tickets")
    for text, path in (
        (walk.appliance.failed, f"/runs/{walk.appliance.failed}"),
        ("vip-alert", "/workflows/vip-alert"),
        (ticket["id"], f"/tickets/{ticket['id']}"),
        ("no such thing", "/runs?q=no"),
    ):
        browser.type("#find", text + ENTER)
        browser.wait(path, lambda: browser.path().startswith(path))
        walk.check(f"`{text}` is found", True)
    walk.quiet("search")


def filters(walk):
    browser = walk.browser
    browser.open("/runs")
    browser.click('.tabs a[href*="status=failed"]')
    browser.wait("the failed runs", lambda: "status=failed" in browser.path())
    marks = browser.texts("td:first-child .mark")
    walk.check(f"all have failed: {set(marks)}", set(marks) == {"Failed"})
    browser.type('.filters [name="q"]', "workflow:refund-with-undo" + ENTER)
    browser.wait("one workflow", lambda: "refund-with-undo" in browser.path())
    names = set(browser.texts(".list .go"))
    walk.check(f"all are of one workflow: {names}", names == {"refund-with-undo"})
    walk.check("the status is kept", "status=failed" in browser.path())
    browser.click('.bar a.chip[aria-label*="status"]')
    browser.wait("no status", lambda: "status=" not in browser.path())
    walk.check("the workflow is kept", "refund-with-undo" in browser.path())
    browser.resize(*SIZES[-1])
    browser.open("/runs?status=cancelled")
    right = "return document.querySelector('.tabs [aria-current]').getBoundingClientRect().right"
    walk.check("the chosen tab is in sight on a phone", browser.run(right) <= SIZES[-1][0])
    browser.resize(*SIZES[0])
    walk.quiet("filters")


def generator(walk):
    browser, ask = walk.browser, walk.appliance.ask
    browser.open("/tickets")
    for word, running in (("pause", False), ("resume", True), ("pause", False)):
        browser.click(f'.stripe button[value="{word}"]')
        other = "resume" if word == "pause" else "pause"
        browser.find(f'.stripe button[value="{other}"]')
        walk.check(word, ask("GET", "/v1/demo")["running"] is running)
        walk.check("it leads back", browser.path() == "/tickets")
    walk.quiet("generator")


def pays(walk, run):
    """Returns how often the step that a retry begins with was begun."""
    steps = walk.appliance.run(run)["steps"]
    return sum(len(step["attempts"]) for step in steps)


def press_retry(walk, browser):
    before = pays(walk, walk.appliance.failed)
    browser.open(f"/runs/{walk.appliance.failed}")
    browser.click('form[action$="/retry"] button')
    browser.wait("another attempt", lambda: pays(walk, walk.appliance.failed) > before)
    walk.check("the run is in front", browser.path() == f"/runs/{walk.appliance.failed}")
    browser.wait("its end", lambda: walk.appliance.run(walk.appliance.failed)["status"] == "failed")


def retry(walk):
    press_retry(walk, walk.browser)
    # The page keeps itself new, so the end shows without a reload.
    mark = lambda: walk.browser.text(".strap .mark") == "Failed"
    walk.check("the page shows the end", walk.browser.wait("the end on the page", mark))
    walk.quiet("retry")


def cancel(walk):
    browser, appliance = walk.browser, walk.appliance
    # A run that began just now waits long enough, however slow the machine is.
    ticket = walk.appliance.new_ticket("The printer prints nothing")
    run = browser.wait("a waiting run", lambda: appliance.one(f"/v1/runs?q={ticket}"))["id"]
    waits = lambda: appliance.run(run)["status"] == "waiting"
    browser.wait("the wait", waits)
    browser.open(f"/runs/{run}")
    undo = 'form[action$="/cancel"]:has([value="true"]) button'
    browser.click(undo)
    question = browser.answer_dialog("dismiss")
    walk.check(f"it asks: {question}", "undo" in question)
    walk.check("a no leaves it", waits())
    browser.click(undo)
    browser.answer_dialog("accept")
    cancelled = lambda: appliance.run(run)["status"] == "cancelled"
    walk.check("a yes cancels it", browser.wait("the cancelled run", cancelled))
    mark = lambda: browser.text(".strap .mark") == "Cancelled"
    walk.check("the page shows it", browser.wait("the end on the page", mark))
    walk.check("no button is left", not browser.has(undo))
    walk.quiet("cancel")


def replay(walk):
    browser = walk.browser
    event = walk.appliance.one("/v1/events?matched=true")
    before = f"/events/{event['id']}"
    browser.open(before)
    browser.click('form[action$="/replay"] button')
    browser.answer_dialog("accept")
    browser.wait("another event", lambda: browser.path() not in ("", before))
    copy = walk.appliance.ask("GET", "/v1" + browser.path().split("#")[0])
    walk.check("it has the same type", copy["type"] == event["type"])
    walk.quiet("replay")


def change(walk):
    browser, appliance = walk.browser, walk.appliance
    ticket = appliance.one("/v1/tickets")["id"]
    path = f"/tickets/{ticket}"
    browser.open(path)
    wanted = "low" if appliance.ask("GET", f"/v1{path}")["priorityName"] != "low" else "high"
    browser.click(f"#priority option:nth-child({1 if wanted == 'low' else 3})")
    browser.click("form:has(#priority) .button")
    changed = lambda: appliance.ask("GET", f"/v1{path}")["priorityName"] == wanted
    walk.check("the priority is saved", browser.wait("the new priority", changed))
    shown = "return document.getElementById('priority').value"
    chosen = lambda: browser.run(shown) == wanted
    walk.check("and shown", browser.wait("the shown priority", chosen))
    browser.type("#reply", "Seen by <b>a browser</b>.")
    browser.click("form:has(#reply) .button")
    said = lambda: "Seen by <b>a browser</b>." in browser.texts(".say")
    walk.check("a comment appears as written", browser.wait("the comment", said))
    walk.quiet("ticket")


def disable(walk):
    browser = walk.browser
    path = "/workflows/vip-alert"
    browser.open(path)
    browser.click('form[action$="/disable"] button')
    browser.answer_dialog("accept")
    browser.find('form[action$="/enable"] button')
    active = lambda: walk.appliance.ask("GET", f"/v1{path}")["active"]
    walk.check("it is inactive", not active())
    browser.click('form[action$="/enable"] button')
    browser.find('form[action$="/disable"] button')
    walk.check("it is active", active())
    walk.quiet("workflow")


def invite(walk):
    browser = walk.browser
    browser.open("/people")
    browser.type("#email", "bob@example.com")
    browser.type("#name", "Bob")
    browser.click('form[action$="/people"] [value="viewer"]')
    browser.click('form[action$="/people"] .button')
    link = browser.text("main pre.code")
    walk.check(f"the link is shown, not {link}", "/join?t=" in link)
    walk.look("people, invited")
    guest = Browser(walk.driver, walk.appliance.base)
    try:
        guest.open(link)
        guest.type("#password", PASSWORD)
        guest.click("form .button")
        guest.wait("the dashboard", lambda: guest.path() == "/")
        guest.open("/people")
        walk.check("a viewer sees no people", guest.texts("h1") != ["People"])
    finally:
        guest.close()
