#!/usr/bin/env python3
"""The pages as people meet them: a real browser walks through a demo, looks and presses.

Each screen is looked at in three widths, light and dark, and examined by axe; then everything that
can be pressed is pressed, with scripts and without. Needs Debian's packages `chromium` and
`chromium-driver`, and axe: `pip install --no-deps -r tests/browser/requirements.txt`.

What there is to see and to press is listed in `screens/*.py` and `journeys/*.py`, each of which may
have `seed(appliance)`, which makes what it needs; `screens(appliance)`, a list of name, path and
status; and `journeys(walk)`, a list of name and function, which is given the walk.

    tests/browser/pages.py [--binary PATH] [--shots DIR] [--only AREA]... [--lane LANE]
"""

import argparse
import importlib
import pathlib
import shutil
import sys
import tempfile
import threading
import time

import behind
from appliance import Appliance
from chromium import Driver
from journeys import everyday
from looking import axe_source
from results import Results
from walk import Walk

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


def areas(folder, only):
    """Returns the modules of a folder, those with what everything else needs first."""
    names = sorted(path.stem for path in (HERE / folder).glob("*.py"))
    names.sort(key=lambda name: name != "basics")
    wanted = [name for name in names if not only or name in ("basics", *only)]
    return [importlib.import_module(f"{folder}.{name}") for name in wanted]


def seed(appliance, results, modules):
    for module in modules:
        if hasattr(module, "seed"):
            results.group(f"seed {module.__name__}", module.seed, appliance)


def listed(appliance, results, modules, only=None):
    """Returns all screens of the areas that are wanted."""
    found = []
    for module in modules:
        if hasattr(module, "screens") and (not only or module.__name__.split(".")[1] in only):
            found += results.group(f"list {module.__name__}", module.screens, appliance) or []
    return found


class Suite:
    """What is done in several browsers at the same time."""

    def __init__(self, driver, options, directory):
        self.driver = driver
        self.options = options
        self.directory = directory
        self.axe = axe_source()
        self.screens = areas("screens", options.only)
        self.journeys = self.screens + areas("journeys", options.only)
        self.lanes = []

    def all(self):
        """Returns what all of them found."""
        lanes = {"root": self.root, "behind": self.behind}
        wanted = [lane for name, lane in lanes.items() if self.options.lane in (None, name)]
        self.together(*wanted)
        results = Results()
        for lane in self.lanes:
            results.add(lane)
        return results

    def together(self, *parts):
        """Does parts at the same time, each with results of its own."""
        threads = []
        for part in parts:
            results = Results()
            self.lanes.append(results)
            threads.append(threading.Thread(target=results.group, args=[part.__name__, part, results]))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def demo(self, results, part, prefix=""):
        """Serves a demo, sets it up, and does `part` with a user of it."""
        name = "behind" if prefix else "root"
        appliance = Appliance(self.options.binary.resolve(), self.directory / name, prefix)
        walk = None
        try:
            axe, shots = (None, None) if prefix else (self.axe, self.options.shots)
            walk = Walk(appliance, self.driver, results, axe, shots)
            results.group(f"first visit, {name}", walk.first_visit)
            if appliance.key:
                seed(appliance, results, self.journeys)
                part(walk, results)
        finally:
            if walk:
                walk.close()
            code = appliance.stop()
            log = appliance.log.read_text()
            results.check(f"the appliance ends with {code}", code == 0)
            results.check(f"the appliance logged errors:\n{log[-2000:]}", not log.strip())

    def root(self, results):
        """Looks at every screen and goes every journey, in two browsers."""
        self.demo(results, self.see_and_press)

    def see_and_press(self, walk, results):
        def looking(results):
            walk.check = walk.eye.check = results.check
            screens = listed(walk.appliance, results, self.screens, self.options.only)
            for name, path, status in screens:
                results.group(f"screen {name}", walk.eye.page, name, path, status)
            report(walk.eye)

        def pressing(results):
            other = Walk(walk.appliance, self.driver, results, self.axe, self.options.shots)
            try:
                other.browser.open("/sign-in")
                other.sign_in()
                for module in self.journeys:
                    for name, journey in getattr(module, "journeys", lambda walk: [])(other):
                        results.group(name, journey, other)
            finally:
                other.close()

        self.together(looking, pressing)

    def behind(self, results):
        """Opens every page under a base path behind a proxy, with hostile text in every field."""

        def part(walk, results):
            results.group("hostile text in every field", behind.plant, walk)
            screens = listed(walk.appliance, results, self.screens)
            results.group("every page, link by link", behind.crawl, walk, screens)
            for journey in (everyday.retry, everyday.filters, everyday.change):
                results.group(f"behind a proxy: {journey.__name__}", journey, walk)
            strayed = walk.appliance.proxy.strayed
            results.check(f"the other application was asked for {strayed[:9]}", not strayed)

        self.demo(results, part, "/flows")


def report(eye):
    """Says how heavy and how slow the screens are."""
    times = sorted(eye.milliseconds)
    if times:
        half, most = times[len(times) // 2], times[len(times) * 95 // 100]
        print(f"the server answers within {half[0]:.0f} ms, p95 {most[0]:.0f} ms ({most[1]})")
    for kind, (size, name) in eye.heaviest.items():
        print(f"the heaviest screen, {kind}: {size / 1000:.1f} kB ({name})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=REPOSITORY / "target/debug/ergane", type=pathlib.Path)
    parser.add_argument("--shots", type=pathlib.Path, help="where to save a picture of each page")
    parser.add_argument("--only", action="append", help="an area, such as `runs`; all without it")
    parser.add_argument("--lane", choices=["root", "behind"], help="a part; all without it")
    options = parser.parse_args()
    if options.shots:
        options.shots.mkdir(parents=True, exist_ok=True)
    if not shutil.which("chromedriver"):
        raise SystemExit("chromedriver is missing: apt-get install chromium chromium-driver")
    began = time.monotonic()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="ergane-pages-"))
    driver = Driver()
    try:
        results = Suite(driver, options, directory).all()
    finally:
        driver.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{results.passed} passed, {len(results.failures)} failed", end="")
    print(f", in {time.monotonic() - began:.0f} s")
    sys.exit(1 if results.failures else 0)


if __name__ == "__main__":
    main()
