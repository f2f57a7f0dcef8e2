#!/usr/bin/env python3
"""The pages as people meet them: a real browser walks through a demo, looks and presses.

Each page is looked at in three widths, light and dark; then everything that can be pressed is
pressed, with scripts and without. Needs Debian's packages `chromium` and `chromium-driver`.

    tests/browser/pages.py [--binary PATH] [--shots DIR]
"""

import argparse
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

from chromium import DIRECT, Browser, Driver, Trouble, free_port

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SIZES = ((1440, 900), (768, 1024), (360, 740))
SCHEMES = ("light", "dark")
START_SECONDS_MAX = 60
# The demo makes about 20 things happen in a minute; every state comes up in the first few.
STATES_SECONDS_MAX = 90
HOSTILE = "</script><img src=x onerror=alert(1)>"
ENTER = "\ue007"

LOOK = """
const entry = performance.getEntriesByType('navigation')[0];
const fetched = performance.getEntriesByType('resource').map(entry => entry.name);
return {
  status: entry.responseStatus,
  headings: document.querySelectorAll('h1').length,
  title: document.title,
  foreign: fetched.filter(url => new URL(url).origin !== location.origin),
};
"""
# The first element that sticks out tells more than the fact that something does.
MEASURE = """
const widest = document.documentElement.scrollWidth;
const scrolls = element => element !== document.body && element !== document.documentElement
  && (getComputedStyle(element).overflowX !== 'visible' || scrolls(element.parentElement));
const sticking = widest > innerWidth && [...document.querySelectorAll('body *')].find(element =>
  element.getBoundingClientRect().right > innerWidth + 1 && !scrolls(element.parentElement));
return {
  over: Math.max(0, widest - innerWidth),
  what: sticking ? sticking.outerHTML.slice(0, 90) : '',
  ink: getComputedStyle(document.body).color,
};
"""

EMAIL = "olga@example.com"
PASSWORD = "violet kettle umbrella"


# A workflow whose failure somebody has to settle.
STUCK = {
    "name": "ask-when-paging-fails",
    "steps": [
        {
            "id": "page",
            "activity": "workflows:http-request-platform",
            "input": {"method": "POST", "url": "http://127.0.0.1:9/page"},
            "retry": {"attempts": 1},
            "onFailure": "pause",
            "compensate": "none",
        }
    ],
}


class Appliance:
    """A demo in a new data directory, and its API."""

    def __init__(self, binary, directory):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.key = None
        self.log = directory / "log"
        command = [binary, "serve", "--demo", "--data-dir", directory / "data"]
        self.process = subprocess.Popen(
            [*command, "--listen", f"127.0.0.1:{self.port}"],
            env={**os.environ, "ERGANE_LOG__LEVEL": "error"},
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=self.log.open("wb"),
            text=True,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def link(self):
        """Returns the one-time link that the appliance prints."""
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end and self.process.poll() is None:
            try:
                line = self.lines.get(timeout=0.2)
            except queue.Empty:
                continue
            found = re.search(r"http://\S+/setup\?\S+", line)
            if found:
                return found[0]
        raise SystemExit(f"the appliance printed no link:\n{self.log.read_text()[-2000:]}")

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with DIRECT.open(request, timeout=30) as response:
            return json.load(response)

    def one(self, path):
        """Returns the first item of a list, or `None`."""
        separator = "&" if "?" in path else "?"
        data = self.ask("GET", f"{path}{separator}limit=1")["data"]
        return data[0] if data else None

    def run(self, run):
        return self.ask("GET", f"/v1/runs/{run}")

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(timeout=45)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


class Results:
    """Counts checks and prints each group of them in a line."""

    def __init__(self):
        self.passed = 0
        self.failures = []

    def group(self, name, test, *arguments):
        """Runs a test; what it finds wrong does not stop the tests after it."""
        began, before, wrong = time.monotonic(), self.passed, len(self.failures)
        try:
            test(*arguments)
        except (AssertionError, Trouble, OSError, LookupError, TypeError) as error:
            self.failures.append(f"{name}: {type(error).__name__}: {error}")
        failed = self.failures[wrong:]
        took = time.monotonic() - began
        word = "FAILED" if failed else "ok"
        print(f"{word:6}  {name}: {self.passed - before} checks, {took:.1f} s", flush=True)
        for failure in failed:
            print(f"        {failure}", flush=True)

    def check(self, what, holds):
        if holds:
            self.passed += 1
        else:
            self.failures.append(what)


class Walk:
    """A user of the demo, with a browser in front."""

    def __init__(self, appliance, driver, results, shots):
        self.appliance = appliance
        self.driver = driver
        self.results = results
        self.shots = shots
        self.check = results.check
        self.browser = Browser(driver, appliance.base)
        self.failed = self.waiting = self.retrying = None

    def all(self):
        group = self.results.group
        try:
            group("first visit", self.first_visit)
            if not self.appliance.key:
                return
            group("every state comes up", self.every_state)
            for name, path, status in self.pages():
                group(f"page {name}", self.page, name, path, status)
            group("theme", self.theme)
            group("keys", self.keys)
            group("search", self.search)
            group("filter runs", self.filters)
            group("pause and resume the generator", self.generator)
            group("retry a failed run", self.retry)
            group("cancel a waiting run", self.cancel)
            group("replay an event", self.replay)
            group("change a ticket", self.change)
            group("disable and enable a workflow", self.disable)
            group("hostile text", self.hostile)
            group("invite somebody", self.invite)
            group("sign out and in", self.door)
            group("a session ends", self.session_ends)
        finally:
            self.browser.close()
        group("without scripts", self.without_scripts)

    # Looking.

    def first_visit(self):
        browser = self.browser
        link = self.appliance.link()
        browser.open(link)
        self.look("welcome")
        browser.type("#name", "Olga Owner")
        browser.type("#email", EMAIL)
        browser.type("#password", PASSWORD)
        browser.click("form .button")
        key = browser.text("pre.code")
        self.check(f"the key is shown, not `{key}`", re.fullmatch(r"\S{20,}", key))
        self.appliance.key = key
        self.look("key")
        browser.click("a.button")
        browser.wait("the dashboard", lambda: browser.path() == "/")
        self.check("the dashboard follows", browser.texts("h1") == ["Dashboard"])
        browser.open(link)
        browser.find('[role="alert"]')
        self.look("link that was used", 401)

    def every_state(self):
        ask, wait = self.appliance.one, self.browser.wait

        def undone():
            runs = self.appliance.ask("GET", "/v1/runs?status=failed&limit=50")["data"]
            return next((run for run in runs if run["compensation"] == "done"), None)

        def come(name, condition):
            found = wait(name, condition, STATES_SECONDS_MAX)
            self.check(name, found)
            return found["id"]

        come("a run that succeeded", lambda: ask("/v1/runs?status=succeeded"))
        self.failed = come("a run that failed and was undone", undone)
        self.waiting = come("a run that waits", lambda: ask("/v1/runs?status=waiting"))
        self.retrying = come("a run that tries again", lambda: ask("/v1/runs?status=retrying"))
        self.appliance.ask("POST", "/v1/workflows", STUCK)
        self.appliance.ask("POST", f"/v1/workflows/{STUCK['name']}/run", {})
        stuck = f"/v1/runs?status=waiting&workflow={STUCK['name']}"
        self.stuck = come("a run that waits for somebody", lambda: ask(stuck))

    def pages(self):
        """Lists every page by name, path and status; the one that changes soonest is first."""
        if not self.retrying:
            return []
        appliance = self.appliance
        workflows = [item["name"] for item in appliance.ask("GET", "/v1/workflows")["data"]]
        succeeded = appliance.one("/v1/runs?status=succeeded")["id"]
        matched = appliance.one("/v1/events?matched=true")["id"]
        ignored = self.ignored()
        ticket = appliance.one("/v1/tickets")["id"]
        return [
            ("run, retrying", f"/runs/{self.retrying}", 200),
            ("run, waiting", f"/runs/{self.waiting}", 200),
            ("run, waiting for somebody", f"/runs/{self.stuck}", 200),
            ("run, failed and undone", f"/runs/{self.failed}", 200),
            ("run, succeeded", f"/runs/{succeeded}", 200),
            ("dashboard", "/", 200),
            ("workflows", "/workflows", 200),
            ("workflows, inactive", "/workflows?state=inactive", 200),
            *((f"workflow {name}", f"/workflows/{name}", 200) for name in workflows),
            ("workflow as JSON", f"/workflows/{workflows[0]}?source=json", 200),
            ("runs", "/runs", 200),
            ("runs, failed", "/runs?status=failed&since=24h", 200),
            ("runs, none", "/runs?q=nothing-is-called-so&workflow=nor-so", 200),
            ("events", "/events", 200),
            ("events, without runs", "/events?matched=false&since=1h", 200),
            ("event that started a run", f"/events/{matched}", 200),
            ("event that started none", f"/events/{ignored}#why", 200),
            ("schedules", "/schedules", 200),
            ("tickets", "/tickets", 200),
            ("tickets, urgent", "/tickets?priority=urgent", 200),
            ("ticket", f"/tickets/{ticket}", 200),
            ("docs", "/docs", 200),
            ("demo messages", "/demo", 200),
            ("people", "/people", 200),
            ("apps", "/apps", 200),
            ("bulk, to be confirmed", "/bulk?action=cancel&status=waiting", 200),
            ("destinations", "/destinations", 200),
            ("backups", "/system/backups", 200),
            ("audit", "/audit", 200),
            ("storage", "/system/storage", 200),
            ("audit, none", "/audit?actor=nobody", 200),
            ("profile", "/profile", 200),
            ("sign-in", "/sign-in", 200),
            ("no such page", "/nowhere", 404),
            ("no such run", "/runs/run_00000000000000000000000000", 404),
            ("wrong address", "/runs?status=perhaps", 400),
        ]

    def ignored(self):
        """Returns an event that a workflow listens to and that its filter let go."""
        events = self.appliance.ask("GET", "/v1/events?matched=false&limit=50")["data"]
        for event in events:
            verdicts = self.appliance.ask("GET", f"/v1/events/{event['id']}/explain")["data"]
            if any(verdict["outcome"] == "filtered" for verdict in verdicts):
                return event["id"]
        return events[0]["id"]

    def page(self, name, path, status):
        self.browser.open(path)
        self.look(name, status)

    def look(self, name, status=200):
        """Checks the page in front in every width, light and dark."""
        browser, check = self.browser, self.check
        seen = browser.run(LOOK)
        check(f"{name}: status {seen['status']}", seen["status"] == status)
        check(f"{name}: {seen['headings']} h1", seen["headings"] == 1)
        check(f"{name}: title `{seen['title']}`", "Ergane" in seen["title"])
        check(f"{name}: asks elsewhere: {seen['foreign']}", not seen["foreign"])
        for width, height in SIZES:
            browser.resize(width, height)
            inks = set()
            for scheme in SCHEMES:
                browser.prefer(scheme)
                size = browser.run(MEASURE)
                inks.add(size["ink"])
                sticks = f"{name}: {size['over']} px wider than {width}, {scheme}: {size['what']}"
                check(sticks, not size["over"])
                if self.shots:
                    file = re.sub(r"[^a-z0-9]+", "-", name.lower())
                    browser.shoot(self.shots / f"{file}-{width}-{scheme}.png", width)
                    browser.resize(width, height)
            check(f"{name}: dark looks like light", len(inks) == 2)
            unnamed = browser.unnamed()
            check(f"{name}: without a name at {width}: {unnamed}", not unnamed)
        browser.resize(*SIZES[0])
        self.quiet(name, status)

    def quiet(self, name, status=200):
        """Checks that the console has no complaint but the page's own status."""
        complaints = [
            message["message"]
            for message in self.browser.messages()
            if message["level"] in ("SEVERE", "WARNING")
            and not (status != 200 and f"status of {status}" in message["message"])
        ]
        self.check(f"{name}: the console says {complaints}", not complaints)

    # Pressing.

    def theme(self):
        browser = self.browser
        browser.open("/workflows")
        browser.prefer("light")
        browser.click("#theme button")
        shown = "return document.documentElement.dataset.theme"
        self.check("the switch makes it dark", browser.run(shown) == "dark")
        browser.reload()
        self.check("it stays dark", browser.run(shown) == "dark")
        browser.click("#theme button")
        self.check("and light again", browser.run(shown) == "light")
        browser.forget("ergane_theme")
        self.quiet("theme")

    def keys(self):
        browser = self.browser
        browser.open("/")
        browser.press("g", "r")
        browser.wait("the runs after `g r`", lambda: browser.path() == "/runs")
        self.check("`g r` leads to the runs", browser.texts("h1") == ["Runs"])
        browser.press("/")
        focus = "return document.activeElement.id"
        self.check("`/` focuses the search", browser.run(focus) == "find")
        browser.press("g", "t")
        self.check("typing goes nowhere", browser.path() == "/runs")
        self.check("`/` itself is not typed", browser.run('return document.getElementById("find").value') == "gt")
        browser.press("\ue00c", "j")
        row = "return document.activeElement.matches('.go')"
        self.check("`j` goes to a row", browser.run(row))
        browser.press(ENTER)
        browser.wait("a run", lambda: browser.path().startswith("/runs/"))
        self.check("Enter opens it", browser.has(".step"))
        self.quiet("keys")

    def search(self):
        browser = self.browser
        browser.open("/")
        ticket = self.appliance.one("/v1/tickets")
        for text, path in (
            (self.failed, f"/runs/{self.failed}"),
            ("vip-alert", "/workflows/vip-alert"),
            (ticket["id"], f"/tickets/{ticket['id']}"),
            ("no such thing", "/runs?q=no"),
        ):
            browser.type("#find", text + ENTER)
            browser.wait(path, lambda: browser.path().startswith(path))
            self.check(f"`{text}` is found", True)
        self.quiet("search")

    def filters(self):
        browser = self.browser
        browser.open("/runs")
        browser.click('.tabs a[href*="status=failed"]')
        browser.wait("the failed runs", lambda: "status=failed" in browser.path())
        marks = browser.texts("td:first-child .mark")
        self.check(f"all have failed: {set(marks)}", set(marks) == {"Failed"})
        browser.type('.filters [name="workflow"]', "refund-with-undo")
        browser.click(".filters .button")
        browser.wait("one workflow", lambda: "workflow=refund-with-undo" in browser.path())
        names = set(browser.texts(".list .go"))
        self.check(f"all are of one workflow: {names}", names == {"refund-with-undo"})
        self.check("the status is kept", "status=failed" in browser.path())
        browser.click('.bar a.chip[aria-label*="status"]')
        browser.wait("no status", lambda: "status=" not in browser.path())
        self.check("the workflow is kept", "workflow=refund-with-undo" in browser.path())
        browser.resize(*SIZES[-1])
        browser.open("/runs?status=cancelled")
        right = "return document.querySelector('.tabs [aria-current]').getBoundingClientRect().right"
        self.check("the chosen tab is in sight on a phone", browser.run(right) <= SIZES[-1][0])
        browser.resize(*SIZES[0])
        self.quiet("filters")

    def generator(self):
        browser, ask = self.browser, self.appliance.ask
        browser.open("/tickets")
        for word, running in (("pause", False), ("resume", True), ("pause", False)):
            browser.click(f'.stripe button[value="{word}"]')
            other = "resume" if word == "pause" else "pause"
            browser.find(f'.stripe button[value="{other}"]')
            self.check(word, ask("GET", "/v1/demo")["running"] is running)
            self.check("it leads back", browser.path() == "/tickets")
        self.quiet("generator")

    def pays(self, run):
        """Returns how often the step that a retry begins with was begun."""
        steps = self.appliance.run(run)["steps"]
        return sum(len(step["attempts"]) for step in steps)

    def press_retry(self, browser):
        before = self.pays(self.failed)
        browser.open(f"/runs/{self.failed}")
        browser.click('form[action$="/retry"] button')
        browser.wait("another attempt", lambda: self.pays(self.failed) > before)
        self.check("the run is in front", browser.path() == f"/runs/{self.failed}")
        browser.wait("its end", lambda: self.appliance.run(self.failed)["status"] == "failed")

    def retry(self):
        self.press_retry(self.browser)
        # The page keeps itself new, so the end shows without a reload.
        mark = lambda: self.browser.text(".strap .mark") == "Failed"
        self.check("the page shows the end", self.browser.wait("the end on the page", mark))
        self.quiet("retry")

    def new_ticket(self, text):
        body = {
            "title": text,
            "description": text,
            "requestorEmail": "mallory@halden.example",
            "teamId": self.appliance.one("/v1/teams")["id"],
            "tags": [text],
        }
        return self.appliance.ask("POST", "/v1/tickets", body)["id"]

    def cancel(self):
        browser, appliance = self.browser, self.appliance
        # A run that began just now waits long enough, however slow the machine is.
        ticket = self.new_ticket("The printer prints nothing")
        run = browser.wait("a waiting run", lambda: appliance.one(f"/v1/runs?q={ticket}"))["id"]
        waits = lambda: appliance.run(run)["status"] == "waiting"
        browser.wait("the wait", waits)
        browser.open(f"/runs/{run}")
        undo = 'form[action$="/cancel"]:has([value="true"]) button'
        browser.click(undo)
        question = browser.answer_dialog("dismiss")
        self.check(f"it asks: {question}", "undo" in question)
        self.check("a no leaves it", waits())
        browser.click(undo)
        browser.answer_dialog("accept")
        cancelled = lambda: appliance.run(run)["status"] == "cancelled"
        self.check("a yes cancels it", browser.wait("the cancelled run", cancelled))
        mark = lambda: browser.text(".strap .mark") == "Cancelled"
        self.check("the page shows it", browser.wait("the end on the page", mark))
        self.check("no button is left", not browser.has(undo))
        self.quiet("cancel")

    def replay(self):
        browser = self.browser
        event = self.appliance.one("/v1/events?matched=true")
        before = f"/events/{event['id']}"
        browser.open(before)
        browser.click('form[action$="/replay"] button')
        browser.answer_dialog("accept")
        browser.wait("another event", lambda: browser.path() not in ("", before))
        copy = self.appliance.ask("GET", "/v1" + browser.path().split("#")[0])
        self.check("it has the same type", copy["type"] == event["type"])
        self.quiet("replay")

    def change(self):
        browser, appliance = self.browser, self.appliance
        ticket = appliance.one("/v1/tickets")["id"]
        path = f"/tickets/{ticket}"
        browser.open(path)
        wanted = "low" if appliance.ask("GET", f"/v1{path}")["priorityName"] != "low" else "high"
        browser.click(f"#priority option:nth-child({1 if wanted == 'low' else 3})")
        browser.click("form:has(#priority) .button")
        changed = lambda: appliance.ask("GET", f"/v1{path}")["priorityName"] == wanted
        self.check("the priority is saved", browser.wait("the new priority", changed))
        shown = "return document.getElementById('priority').value"
        chosen = lambda: browser.run(shown) == wanted
        self.check("and shown", browser.wait("the shown priority", chosen))
        browser.type("#reply", "Seen by <b>a browser</b>.")
        browser.click("form:has(#reply) .button")
        said = lambda: "Seen by <b>a browser</b>." in browser.texts(".say")
        self.check("a comment appears as written", browser.wait("the comment", said))
        self.quiet("ticket")

    def disable(self):
        browser = self.browser
        path = "/workflows/vip-alert"
        browser.open(path)
        browser.click('form[action$="/disable"] button')
        browser.answer_dialog("accept")
        browser.find('form[action$="/enable"] button')
        active = lambda: self.appliance.ask("GET", f"/v1{path}")["active"]
        self.check("it is inactive", not active())
        browser.click('form[action$="/enable"] button')
        browser.find('form[action$="/disable"] button')
        self.check("it is active", active())
        self.quiet("workflow")

    def hostile(self):
        """Text that wants to be markup stays text, wherever it is shown."""
        appliance, browser = self.appliance, self.browser
        ticket = self.new_ticket(HOSTILE)
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
            self.check(f"{path}: a dialog", browser.dialog() is None)
            images = browser.run("return [...document.images].map(image => image.src)")
            strange = [image for image in images if "/static/favicon-" not in image]
            self.check(f"{path}: images {strange}", not strange)
            self.quiet(path)
        browser.open(f"/tickets/{ticket}")
        title = browser.texts("h1")[0]
        self.check(f"the title is what was written: {title}", title == HOSTILE)
        foreign = f"/sign-in?next={urllib.parse.quote('https://evil.example/')}"
        for path in (foreign, "/sign-in?next=//evil.example/"):
            browser.open(path)
            self.sign_in(browser)
            self.check(f"{path} leads to {browser.path()}", browser.path() == "/")

    def invite(self):
        browser = self.browser
        browser.open("/people")
        browser.type("#email", "bob@example.com")
        browser.type("#name", "Bob")
        browser.click('form[action="/people"] [value="viewer"]')
        browser.click('form[action="/people"] .button')
        link = browser.text("pre.code")
        self.check(f"the link is shown, not {link}", "/join?t=" in link)
        self.look("people, invited")
        guest = Browser(self.driver, self.appliance.base)
        try:
            guest.open(link)
            guest.type("#password", PASSWORD)
            guest.click("form .button")
            guest.wait("the dashboard", lambda: guest.path() == "/")
            guest.open("/people")
            self.check("a viewer sees no people", guest.texts("h1") != ["People"])
        finally:
            guest.close()

    # The door.

    def sign_in(self, browser):
        browser.type("#email", EMAIL)
        browser.type("#password", PASSWORD)
        browser.click('form[action="/sign-in"] .button')
        browser.wait("the way in", lambda: not browser.path().startswith("/sign-in"))

    def door(self):
        browser = self.browser
        browser.open("/runs")
        browser.click('[aria-label="Sign out"]')
        browser.wait("the door", lambda: browser.path().startswith("/sign-in"))
        browser.open("/events?matched=true")
        self.check("a page leads to the door", browser.path().startswith("/sign-in?next="))
        self.look("sign-in, signed out")
        browser.type("#email", EMAIL)
        browser.type("#password", "not the password")
        browser.click('form[action="/sign-in"] .button')
        browser.find('[role="alert"]')
        self.check("a wrong password is refused", browser.path() == "/sign-in")
        self.look("sign-in, refused", 401)
        self.sign_in(browser)
        where = browser.path()
        self.check(f"the password leads on, to {where}", where == "/events?matched=true")
        self.quiet("door", 401)

    def session_ends(self):
        """A page that keeps itself new leads to the door when its session has ended."""
        browser = self.browser
        browser.open("/runs")
        browser.forget("ergane_session")
        browser.wait("the door", lambda: browser.path() == "/sign-in?next=%2Fruns")
        self.sign_in(browser)
        self.check("and from there back", browser.path() == "/runs")
        browser.open(f"/runs/{self.failed}")
        browser.forget("ergane_session")
        browser.click('form[action$="/retry"] button')
        browser.wait("the door", lambda: browser.path().startswith("/sign-in?next="))
        self.sign_in(browser)
        where = browser.path()
        self.check(f"a form leads back to its page, not {where}", where == f"/runs/{self.failed}")
        self.quiet("door", 401)

    def without_scripts(self):
        off = {"profile.managed_default_content_settings.javascript": 2}
        browser = Browser(self.driver, self.appliance.base, off)
        try:
            browser.open("/runs?status=failed")
            off = browser.run("return matchMedia('(scripting: none)').matches")
            self.check("scripts are off", off)
            self.sign_in(browser)
            self.check("the password leads on", browser.path() == "/runs?status=failed")
            scripted = "return [...document.querySelectorAll('.scripted')]"
            shown = browser.run(f"{scripted}.some(element => element.offsetParent)")
            self.check("what needs a script is not shown", not shown)
            self.press_retry(browser)
            browser.click("#theme button")
            browser.find("[data-theme]")
            self.check("the theme can be switched", browser.path() == f"/runs/{self.failed}")
        finally:
            browser.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=REPOSITORY / "target/debug/ergane", type=pathlib.Path)
    parser.add_argument("--shots", type=pathlib.Path, help="where to save a picture of each page")
    options = parser.parse_args()
    if options.shots:
        options.shots.mkdir(parents=True, exist_ok=True)
    if not shutil.which("chromedriver"):
        raise SystemExit("chromedriver is missing: apt-get install chromium chromium-driver")
    began, results = time.monotonic(), Results()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="ergane-pages-"))
    appliance = Appliance(options.binary.resolve(), directory)
    driver = None
    try:
        driver = Driver()
        Walk(appliance, driver, results, options.shots).all()
    finally:
        code = appliance.stop()
        if driver:
            driver.stop()
        log = appliance.log.read_text()
        shutil.rmtree(directory, ignore_errors=True)
    results.check(f"the appliance ends with {code}", code == 0)
    results.check(f"the appliance logged errors:\n{log[-2000:]}", not log.strip())
    print(f"{results.passed} passed, {len(results.failures)} failed", end="")
    print(f", in {time.monotonic() - began:.0f} s")
    sys.exit(1 if results.failures else 0)


if __name__ == "__main__":
    main()
