"""On call at three in the morning: a phone, a failed run, a thumb."""

from chromium import Browser
from journeys.everyday import pays
from looking import MEASURE, SIZES

# What is smaller is missed by a thumb (WCAG 2.5.8), in pixels.
TARGET_MIN = 24
# A link in a row is as large as its row, so what is hit counts and not what is drawn.
HIT = """
const [element, away] = arguments;
element.scrollIntoView({block: 'nearest'});
const box = element.getBoundingClientRect();
const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
const missed = [[0, -away], [0, away], [-away, 0], [away, 0]].filter(([right, down]) =>
  !element.contains(document.elementFromPoint(x + right, y + down)));
return {missed: missed.length, top: box.top + scrollY};
"""


def journeys(walk):
    return [("retry on a phone", retry)]


def retry(walk):
    browser = Browser(walk.driver, walk.appliance.base)
    try:
        browser.become_phone(*SIZES[-1])
        browser.open("/sign-in?next=/runs?status=failed")
        walk.sign_in(browser)
        browser.wait("the failed runs", lambda: browser.path() == "/runs?status=failed")
        fits(walk, browser)
        tap(walk, browser, ".go")
        browser.wait("a run", lambda: browser.path().startswith("/runs/run_"))
        fits(walk, browser)
        run = browser.path().split("/")[2].split("?")[0]
        before = pays(walk, run)
        top = tap(walk, browser, 'form[action$="/retry"] button')
        walk.check(f"the way out is in sight, {top} px down", top < SIZES[-1][1])
        walk.appliance.wait("another attempt", lambda: pays(walk, run) > before)
        walk.check("the run is still in front", browser.path().startswith(f"/runs/{run}"))
        fits(walk, browser)
    finally:
        browser.close()


def fits(walk, browser):
    size = browser.run(MEASURE)
    walk.check(f"{browser.path()}: {size['over']} px too wide: {size['what']}", not size["over"])


def tap(walk, browser, selector):
    """Taps an element that a thumb can hit; returns how far down the page it is."""
    element = browser.element(selector)
    hit = browser.run(HIT, element, TARGET_MIN // 2 - 1)
    walk.check(f"{selector} is easily missed", not hit["missed"])
    browser.tap(element)
    return hit["top"]
