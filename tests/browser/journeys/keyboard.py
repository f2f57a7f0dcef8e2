"""From the door to a retried run, with a keyboard alone."""

from chromium import Browser
from journeys.everyday import pays
from keyboard import ENTER, TAB, press_at, stops, write
from walk import EMAIL, PASSWORD


def journeys(walk):
    return [("by keyboard", by_keyboard), ("every stop of Tab", every_stop)]


def by_keyboard(walk):
    browser = Browser(walk.driver, walk.appliance.base)
    try:
        sign_in(walk, browser)
        retry(walk, browser)
    finally:
        browser.close()


def sign_in(walk, browser):
    browser.open("/sign-in")
    focus = "return document.activeElement.id"
    walk.check("the first field has the focus", browser.run(focus) == "email")
    write(browser, EMAIL)
    browser.press(TAB)
    write(browser, PASSWORD + ENTER)
    browser.wait("the dashboard", lambda: browser.path() == "/")


def retry(walk, browser):
    browser.press("g", "r")
    browser.wait("the runs", lambda: browser.path() == "/runs")
    press_at(browser, walk.check, 'a[href*="status=failed"]')
    browser.wait("the failed runs", lambda: "status=failed" in browser.path())
    browser.find(".go")
    browser.press("j", ENTER)
    browser.wait("a run", lambda: browser.path().startswith("/runs/run_"))
    run = browser.path().split("/")[2].split("?")[0]
    before = pays(walk, run)
    press_at(browser, walk.check, 'form[action$="/retry"] button')
    walk.appliance.wait("another attempt", lambda: pays(walk, run) > before)
    walk.check("the run is still in front", browser.path().startswith(f"/runs/{run}"))


def every_stop(walk):
    """Tab leads through each page and shows where it is."""
    browser = walk.browser
    for path in ("/", "/workflows/vip-alert", "/runs", f"/runs/{walk.appliance.failed}", "/tickets"):
        browser.open(path)
        count = stops(browser, walk.check)
        walk.check(f"{path}: only {count} stops", count > 10)
    browser.open("/")
    browser.press(TAB, ENTER)
    focus = "return document.activeElement.id"
    walk.check("the first stop skips to the content", browser.run(focus) == "main")
    walk.quiet("every stop of Tab")
