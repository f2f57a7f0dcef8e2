"""The frame of the pages: the design language, the dashboard, errors, the one stream."""


def seed(appliance):
    """The demo itself makes what these screens show."""


def screens(appliance):
    return [
        ("dashboard", "/", 200),
        ("design", "/ui", 200),
        ("profile with display", "/profile#display", 200),
        ("nowhere", "/no-such-page", 404),
        ("wrong parameter", "/runs?status=perhaps", 400),
    ]


def journeys(walk):
    return [("live rows", live), ("shortcuts", shortcuts), ("the API's command", command)]


def live(walk):
    """New rows come by themselves at the top, and wait below a button further down."""
    browser, check = walk.browser, walk.check
    browser.open("/runs")
    state = "return document.getElementById('mark').dataset.state"
    browser.wait("the live mark", lambda: browser.run(state) == "Live")
    first = "return document.querySelector('.go').getAttribute('href')"
    before = browser.run(first)
    browser.wait("a new row", lambda: browser.run(first) != before)
    browser.run("document.querySelector('main').style.minHeight = '3000px'; scrollTo(0, 400)")
    hidden = "return document.getElementById('news').hidden"
    browser.wait("the button", lambda: not browser.run(hidden))
    check("nothing jumped", browser.run("return scrollY") == 400)
    check("it says how many", "new, show" in browser.text("#news"))
    browser.click("#news")
    browser.wait("the new rows", lambda: browser.run(hidden))
    browser.click("#mark")
    check("it can be held", browser.run(state) == "Paused")
    walk.quiet("live rows")


def shortcuts(walk):
    """`?` lists the shortcuts, Escape closes the list."""
    browser = walk.browser
    browser.open("/")
    browser.press("?")
    opened = "return document.getElementById('shortcuts').matches(':popover-open')"
    walk.check("`?` opens the list", browser.run(opened))
    walk.check("it has the runs", "Runs" in browser.texts("#shortcuts dd"))
    browser.press("\ue00c")
    walk.check("Escape closes it", not browser.run(opened))
    walk.quiet("shortcuts")


def command(walk):
    """A list shows its question to the API with the filters in force."""
    browser = walk.browser
    browser.open("/runs?status=failed")
    browser.click(".api summary")
    walk.check("it has the filter", "/v1/runs?status=failed" in browser.text(".api pre"))
    browser.click("#find")
    walk.check("it closes", not browser.run("return document.querySelector('.api').open"))
    walk.quiet("the API's command")
