"""Text that wants to be markup stays text, wherever it is shown."""

import urllib.parse

HOSTILE = "</script><img src=x onerror=alert(1)>"


def journeys(walk):
    return [("hostile text", hostile)]


def hostile(walk):
    appliance, browser = walk.appliance, walk.browser
    ticket = appliance.new_ticket(HOSTILE)
    started = lambda: appliance.one(f"/v1/runs?q={ticket}")
    run = browser.wait("the run of the ticket", started)
    text = urllib.parse.quote(HOSTILE)
    for path in (
        f"/tickets/{ticket}",
        "/tickets",
        f"/events/{run['eventId']}",
        f"/runs/{run['id']}",
        "/",
        f"/tickets?q={text}",
        f"/runs?q={text}&workflow={text}&event={text}",
        f"/events?type={text}",
        f"/workflows?q={text}",
        f"/search?q={text}",
        f"/sign-in?next={text}",
    ):
        browser.open(path)
        walk.check(f"{path}: a dialog", browser.dialog() is None)
        images = browser.run("return [...document.images].map(image => image.src)")
        strange = [image for image in images if "/static/favicon-" not in image]
        walk.check(f"{path}: images {strange}", not strange)
        walk.quiet(path)
    browser.open(f"/tickets/{ticket}")
    title = browser.texts("h1")[0]
    walk.check(f"the title is what was written: {title}", title == HOSTILE)
    foreign = f"/sign-in?next={urllib.parse.quote('https://evil.example/')}"
    for path in (foreign, "/sign-in?next=//evil.example/"):
        browser.open(path)
        walk.sign_in(browser)
        walk.check(f"{path} leads to {browser.path()}", browser.path() == "/")
