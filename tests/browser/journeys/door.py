"""The door: signing out and in, sessions that end, and the whole way without scripts."""

from chromium import Browser
from journeys.everyday import press_retry
from walk import EMAIL


def journeys(walk):
    return [
        ("sign out and in", door),
        ("a session ends", session_ends),
        ("without scripts", without_scripts),
    ]


def door(walk):
    browser = walk.browser
    browser.open("/runs")
    browser.click('form[action$="/sign-out"] button')
    browser.wait("the door", lambda: browser.path().startswith("/sign-in"))
    browser.open("/events?matched=true")
    walk.check("a page leads to the door", browser.path().startswith("/sign-in?next="))
    walk.look("sign-in, signed out")
    browser.type("#email", EMAIL)
    browser.type("#password", "not the password")
    browser.click('form[action$="/sign-in"] .button')
    browser.find('[role="alert"]')
    walk.check("a wrong password is refused", browser.path() == "/sign-in")
    walk.look("sign-in, refused", 401)
    walk.sign_in(browser)
    where = browser.path()
    walk.check(f"the password leads on, to {where}", where == "/events?matched=true")
    walk.quiet("door", 401)


def session_ends(walk):
    """A page that keeps itself new leads to the door when its session has ended."""
    browser = walk.browser
    browser.open("/runs")
    browser.forget("ergane_session")
    browser.wait("the door", lambda: browser.path() == "/sign-in?next=%2Fruns")
    walk.sign_in(browser)
    walk.check("and from there back", browser.path() == "/runs")
    browser.open(f"/runs/{walk.appliance.failed}")
    browser.forget("ergane_session")
    browser.click('form[action$="/retry"] button')
    browser.wait("the door", lambda: browser.path().startswith("/sign-in?next="))
    walk.sign_in(browser)
    where = browser.path()
    walk.check(f"a form leads back to its page, not {where}", where == f"/runs/{walk.appliance.failed}")
    walk.quiet("door", 401)


def without_scripts(walk):
    off = {"profile.managed_default_content_settings.javascript": 2}
    browser = Browser(walk.driver, walk.appliance.base, off)
    try:
        browser.open("/runs?status=failed")
        off = browser.run("return matchMedia('(scripting: none)').matches")
        walk.check("scripts are off", off)
        walk.sign_in(browser)
        walk.check("the password leads on", browser.path() == "/runs?status=failed")
        scripted = "return [...document.querySelectorAll('.scripted')]"
        shown = browser.run(f"{scripted}.some(element => element.offsetParent)")
        walk.check("what needs a script is not shown", not shown)
        press_retry(walk, browser)
        browser.click("#theme button")
        browser.find("[data-theme]")
        walk.check("the theme can be switched", browser.path() == f"/runs/{walk.appliance.failed}")
    finally:
        browser.close()
