"""What every screen must be: in each width, light and dark, for eyes, for readers and for a line."""

import importlib.util
import pathlib
import re

SIZES = ((1440, 900), (768, 1024), (360, 740))
SCHEMES = ("light", "dark")
COLD_BYTES_MAX = 100_000
WARM_BYTES_MAX = 20_000
AXE_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
# What may be another on a phone, and in the dark.
NARROW_RULES = ("target-size", "scrollable-region-focusable", "color-contrast", "link-name", "button-name")
DARK_RULES = ("color-contrast", "link-in-text-block")
# The reference of the whole API repeats a few forms a thousand times; one look at it is enough.
ELEMENTS_MAX = 5_000
COUNT = "return document.getElementsByTagName('*').length"

LOOK = """
const entry = performance.getEntriesByType('navigation')[0];
const fetched = performance.getEntriesByType('resource').map(entry => entry.name);
return {
  status: entry.responseStatus,
  headings: document.querySelectorAll('h1').length,
  title: document.title,
  foreign: fetched.filter(url => new URL(url).origin !== location.origin),
  bare: [...document.querySelectorAll('table')].filter(table => !table.caption
    || table.querySelector('th:not([scope])')).map(table => table.outerHTML.slice(0, 90)),
};
"""
# The first element that sticks out tells more than the fact that something does.
MEASURE = """
const widest = document.documentElement.scrollWidth;
const scrolls = element => element !== document.body && element !== document.documentElement
  && (getComputedStyle(element).overflowX !== 'visible' || scrolls(element.parentElement));
const all = widest > innerWidth ? [...document.querySelectorAll('body *')] : [];
const sticking = all.find(element =>
  element.getBoundingClientRect().right > innerWidth + 1 && !scrolls(element.parentElement))
  || all.findLast(element => element.scrollWidth > element.clientWidth + 1 && !scrolls(element));
return {
  over: Math.max(0, widest - innerWidth),
  what: sticking ? sticking.outerHTML.slice(0, 90) : '',
  ink: getComputedStyle(document.body).color,
};
"""
# What came over the line for the page in front, and how long the server thought about it.
WEIGH = """
const page = performance.getEntriesByType('navigation')[0];
const all = [page, ...performance.getEntriesByType('resource')];
return {
  bytes: all.reduce((sum, entry) => sum + entry.transferSize, 0),
  milliseconds: page.responseStart - page.requestStart,
};
"""
AXE = """
const [rules, done] = arguments;
axe.run(document, {...rules, resultTypes: ['violations'], preload: false}).then(
  found => done(found.violations.flatMap(rule => rule.nodes.slice(0, 3).map(node =>
    `${rule.id}: ${node.html.slice(0, 120)}: ${node.any.concat(node.all, node.none).map(
      check => check.message).join('; ').slice(0, 160)}`))),
  error => done([`axe: ${error}`]));
"""


def axe_source():
    """Returns the source of axe, which comes in a package of Python."""
    package = importlib.util.find_spec("axe_playwright_python")
    if not package:
        raise SystemExit("axe is missing: pip install --no-deps -r tests/browser/requirements.txt")
    return (pathlib.Path(package.origin).parent / "axe.min.js").read_text()


class Eye:
    """Looks at screens in one browser, and remembers how fast they came."""

    def __init__(self, browser, check, axe=None, shots=None):
        self.browser = browser
        self.check = check
        self.axe = axe
        self.shots = shots
        self.milliseconds = []
        self.heaviest = {}

    def page(self, name, path, status):
        """Opens a page twice, without and with what the browser keeps, and looks at it."""
        browser = self.browser
        browser.devtools("Network.clearBrowserCache")
        for kind, bytes_max in (("cold", COLD_BYTES_MAX), ("warm", WARM_BYTES_MAX)):
            # From a page to a place on it nothing would be loaded.
            browser.open("about:blank")
            browser.open(path)
            weight = browser.run(WEIGH)
            heavy = f"{name}: {weight['bytes']} bytes {kind}, more than {bytes_max}"
            self.check(heavy, weight["bytes"] <= bytes_max)
            self.milliseconds.append((weight["milliseconds"], name))
            self.heaviest[kind] = max(self.heaviest.get(kind, (0, "")), (weight["bytes"], name))
        self.look(name, status)

    def look(self, name, status=200):
        """Checks the page in front in every width, light and dark."""
        browser, check = self.browser, self.check
        self.glance(name, status)
        for width, height in SIZES:
            browser.resize(width, height)
            inks = {self.measure(name, width, height, scheme) for scheme in SCHEMES}
            check(f"{name}: dark looks like light", len(inks) == 2)
        if self.axe:
            self.examine(name)
        browser.resize(*SIZES[0])
        browser.prefer(SCHEMES[0])
        self.quiet(name, status)

    def glance(self, name, status):
        """Checks what does not depend on how the window is."""
        check, seen = self.check, self.browser.run(LOOK)
        check(f"{name}: status {seen['status']}", seen["status"] == status)
        check(f"{name}: {seen['headings']} h1", seen["headings"] == 1)
        check(f"{name}: title `{seen['title']}`", "Ergane" in seen["title"])
        check(f"{name}: asks elsewhere: {seen['foreign']}", not seen["foreign"])
        check(f"{name}: tables without a caption or scopes: {seen['bare']}", not seen["bare"])

    def measure(self, name, width, height, scheme):
        """Checks that nothing sticks out; returns the colour of the text."""
        browser = self.browser
        browser.prefer(scheme)
        size = browser.run(MEASURE)
        sticks = f"{name}: {size['over']} px wider than {width}, {scheme}: {size['what']}"
        self.check(sticks, not size["over"])
        if self.shots:
            file = re.sub(r"[^a-z0-9]+", "-", name.lower())
            browser.shoot(self.shots / f"{file}-{width}-{scheme}.png", width)
            browser.resize(width, height)
        return size["ink"]

    def examine(self, name):
        """Lets axe look at the page: with all rules once, then with what depends on the look."""
        browser = self.browser
        browser.run(self.axe)
        for size, scheme, kind, values in (
            (SIZES[-1], "light", "rule", NARROW_RULES),
            (SIZES[0], "light", "tag", AXE_TAGS),
            (SIZES[0], "dark", "rule", DARK_RULES),
        ):
            if kind == "rule" and browser.run(COUNT) > ELEMENTS_MAX:
                continue
            browser.resize(*size)
            browser.prefer(scheme)
            for wrong in browser.run_later(AXE, {"runOnly": {"type": kind, "values": values}}):
                self.check(f"{name}: {size[0]}, {scheme}: {wrong}", False)
            self.check("axe has looked", True)

    def quiet(self, name, status=200):
        """Checks that the console has no complaint but the page's own status."""
        complaints = [
            message["message"]
            for message in self.browser.messages()
            if message["level"] in ("SEVERE", "WARNING")
            and not (status != 200 and f"status of {status}" in message["message"])
        ]
        self.check(f"{name}: the console says {complaints}", not complaints)
        reports = self.browser.violations()
        self.check(f"{name}: against the content security policy: {reports}", not reports)
