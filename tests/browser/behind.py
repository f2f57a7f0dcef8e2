"""The appliance under a base path behind a proxy, full of hostile text: every page, link by link."""

import re

from hostility import DANGERS, Planter
from looking import SIZES

# Pages of one kind are alike: of each, so many are opened that were only found by a link, and so
# many more where something hostile stands beside the link.
ALIKE_MAX = 2
ODD_MAX = 6
PAGES_MAX = 150
ADDRESSES = """
const odd = /onerror=|onmouseover=|q{{7|WWWWWWWWWWWW|gnp\\.tob|javascript:alert/;
const names = ['href', 'action', 'formaction', 'src', 'hx-get', 'hx-post', 'hx-put', 'hx-delete',
  'hx-push-url', 'data-log'];
const found = names.flatMap(name => [...document.querySelectorAll(`[${name}]`)].map(element =>
  element.getAttribute(name)));
return {
  addresses: [...new Set(found)],
  links: [...document.querySelectorAll('a[href]')].filter(link => !link.download).map(link =>
    ({to: new URL(link.getAttribute('href'), location).href, odd: odd.test((link.closest('tr, li, dd, .row') || link).textContent)})),
  odd: odd.test(document.body.textContent),
};
"""


def plant(walk):
    """Fills the appliance; no text is too strange for at least one record of each kind."""
    planter = Planter(walk.appliance)
    planter.all()
    walk.check("hostile text was taken", planter.number)
    for route, why in planter.refused.items():
        print(f"        nothing hostile is taken by {route}: {str(why)[:160]}", flush=True)


def crawl(walk, listed):
    """Opens every page, the listed ones and those that they lead to."""
    browser, base = walk.browser, walk.appliance.base
    waiting = [(name, path, status) for name, path, status in listed]
    seen, kinds = {path for _, path, _ in waiting}, {}
    browser.prefer("light")
    opened = odd = 0
    while waiting and opened < PAGES_MAX:
        name, path, status = waiting.pop(0)
        opened += 1
        browser.open(path)
        found = look(walk, f"{name} ({path[:80]})", status)
        odd += found["odd"]
        for link in found["links"]:
            to = link["to"].removeprefix(base).split("#")[0]
            if not link["to"].startswith(base + "/") or to in seen or not is_page(to):
                continue
            kind = re.sub(r"[a-z]*_?[0-9A-Z]{20,}|hostile-\d|=[^&]*", "*", to), link["odd"]
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] <= (ODD_MAX if link["odd"] else ALIKE_MAX):
                seen.add(to)
                entry = ("linked from " + name.split(" from ")[-1], to, None)
                waiting.insert(0 if link["odd"] else len(waiting), entry)
    walk.check(f"only {opened} pages were opened", opened > 20)
    walk.check(f"only {odd} pages showed hostile text", odd > 20)
    print(f"        {opened} pages opened, {odd} with hostile text, {len(waiting)} left", flush=True)


def is_page(path):
    other = ("/static", "/v1", "/docs/", "/sign-out", "/metrics", "/forms/")
    return not path.startswith(other) and "export" not in path and "download" not in path


def look(walk, name, status):
    """Checks the page in front; returns where it leads and whether it shows what was planted."""
    browser, check, eye = walk.browser, walk.check, walk.eye
    check(f"{name}: a dialog", browser.dialog() is None)
    status = 200 if status is None else status
    eye.glance(name, status)
    dangers = browser.run(DANGERS)
    check(f"{name}: taken for markup: {dangers}", not dangers)
    seen = browser.run(ADDRESSES)
    prefix = walk.appliance.prefix
    outside = [
        address
        for address in seen["addresses"]
        if address.startswith("/") and not address.startswith(prefix + "/") and address != prefix
    ]
    check(f"{name}: leads out of {prefix}: {outside[:5]}", not outside)
    for (width, height), scheme in ((SIZES[0], "light"), (SIZES[-1], "dark")):
        browser.resize(width, height)
        eye.measure(name, width, height, scheme)
    eye.quiet(name, status)
    return seen
