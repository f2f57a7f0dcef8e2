"""A keyboard and nothing else: keys go where the focus is, and the focus is looked at on its way."""

TAB = "\ue004"
ENTER = "\ue007"
STOPS_MAX = 200

# Where the focus is, whether a person sees it there, and that nothing covers it (WCAG 2.4.7, 2.4.11).
FOCUS = """
const element = document.activeElement;
if (!element || element === document.body) return null;
const box = element.getClientRects()[0] || element.getBoundingClientRect();
const x = Math.min(box.left + box.width / 2, innerWidth - 1);
const y = box.top + box.height / 2;
const on = document.elementFromPoint(x, y);
const marked = it => [null, '::after'].map(part => getComputedStyle(it, part)).some(style =>
  (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0)
    || (style.boxShadow !== 'none' && style.content !== 'none'));
return {
  what: element.outerHTML.slice(0, 90),
  there: arguments[0] ? element.matches(arguments[0]) : false,
  shown: marked(element) || marked(element.parentElement),
  free: box.width < 3 || box.height < 3
    || Boolean(on && (element.contains(on) || on.contains(element))),
};
"""


def stops(browser, check, until=None):
    """Presses Tab up to an element, or around the whole page; returns how many stops there were."""
    for count in range(1, STOPS_MAX):
        browser.press(TAB)
        focus = browser.run(FOCUS, until)
        if focus is None:
            # From the last element the focus leaves the page.
            if until and count < STOPS_MAX - 1:
                continue
            return count
        check(f"{browser.path()}: the focus is not seen on {focus['what']}", focus["shown"])
        check(f"{browser.path()}: the focus is covered on {focus['what']}", focus["free"])
        if focus["there"]:
            return count
    raise AssertionError(f"no way with Tab to `{until}` at {browser.path()}")


def press_at(browser, check, selector, key=ENTER):
    """Goes to an element and presses a key there."""
    browser.find(selector)
    stops(browser, check, selector)
    browser.press(key)


def write(browser, text):
    browser.press(*text)
