"""From nothing to a published workflow: with a keyboard alone, and without scripts."""

from chromium import CONTROL, RELEASE, Browser
from journeys.keyboard import sign_in
from keyboard import ENTER, press_at, stops, write

SOURCE = """\
name: {name}
title: Written by hand
trigger:
  event: ticket:created
  filter:
    ticket.title: { "~eq": "{name}" }
steps:
  # It touches nothing, so nothing has to be undone.
  - id: shape
    activity: workflows:transform-platform
    input:
      set: { title: "{{ trigger.payload.ticket.title }}" }
    compensate: none
"""


def journeys(walk):
    return [("publish by keyboard", by_keyboard), ("publish without scripts", without_scripts)]


def by_keyboard(walk):
    """A new workflow, a step from the catalogue, its source, and its first version."""
    browser, name = Browser(walk.driver, walk.appliance.base), "by-keyboard"
    try:
        sign_in(walk, browser)
        browser.press("g", "w")
        browser.wait("the workflows", lambda: browser.path() == "/workflows")
        press_at(browser, walk.check, 'a[href$="/workflows/new"]')
        browser.find("#title")
        stops(browser, walk.check, "#title")
        write(browser, "Written by hand")
        stops(browser, walk.check, "#name")
        write(browser, name + ENTER)
        browser.wait("the editor", lambda: browser.path().startswith(f"/workflows/{name}/edit"))
        press_at(browser, walk.check, 'a[href*="tab=source"]')
        browser.wait("the source", lambda: "tab=source" in browser.path())
        stops(browser, walk.check, "#text")
        browser.press(CONTROL, "a", RELEASE)
        write(browser, SOURCE.replace("{name}", name).replace("\n", ENTER))
        # Tab leads out of the text, as everywhere.
        # A page that is on its way takes no further key.
        browser.run("window.isOld = true")
        press_at(browser, walk.check, 'button[name="do"][value="save"]')
        fresh = "return !window.isOld && document.readyState === 'complete'"
        browser.wait("the saved source", lambda: browser.run(fresh))
        press_at(browser, walk.check, f'a[href*="/workflows/{name}/publish"]')
        browser.wait("what is published", lambda: "/publish" in browser.path())
        press_at(browser, walk.check, f'form[action$="/workflows/{name}/publish"] .button')
        published(walk, browser, name)
        browser.open(f"/workflows/{name}")
        copied = browser.run("return document.querySelector('#source .copy').dataset.copy")
        walk.check("its comment is kept", "# It touches nothing" in copied)
    finally:
        browser.close()


def without_scripts(walk):
    off = {"profile.managed_default_content_settings.javascript": 2}
    browser, name = Browser(walk.driver, walk.appliance.base, off), "without-scripts"
    try:
        browser.open("/workflows/new")
        walk.sign_in(browser)
        browser.type("#title", "Written without scripts")
        browser.type("#name", name)
        browser.click('form[action$="/workflows/new"] .button')
        browser.wait("the editor", lambda: browser.path().startswith(f"/workflows/{name}/edit"))
        browser.click('button[value^="add:"][value*="sleep"]')
        browser.find("#step-id")
        browser.type("#step-id", "rest")
        browser.click("#state")
        browser.open(f"/workflows/{name}/edit?tab=source")
        browser.type("#text", SOURCE.replace("{name}", name))
        browser.click('button[name="do"][value="save"]')
        browser.click(f'a[href*="/workflows/{name}/publish"]')
        browser.type("#note", "The first one.")
        browser.click(f'form[action$="/workflows/{name}/publish"] .button')
        published(walk, browser, name)
    finally:
        browser.close()


def published(walk, browser, name):
    """The workflow is there, and an event starts it."""
    names = lambda: [item["name"] for item in walk.appliance.ask("GET", "/v1/workflows")["data"]]
    browser.wait("the first version", lambda: name in names())
    ticket = walk.appliance.new_ticket(name)
    run = walk.appliance.wait("its run", lambda: walk.appliance.one(f"/v1/runs?workflow={name}"))
    ends = lambda: walk.appliance.run(run["id"])["status"] == "succeeded"
    walk.check(f"{ticket} starts it", walk.appliance.wait("its end", ends))
