#!/usr/bin/env python3
"""The pages as people meet them: a real browser walks through a demo, looks and presses.

Each screen is looked at in three widths, light and dark, and examined by axe; then everything that
can be pressed is pressed, with scripts and without. Needs Debian's packages `chromium` and
`chromium-driver`, and axe: `pip install --no-deps -r tests/browser/requirements.txt`.

What there is to see and to press is listed in `screens/*.py` and `journeys/*.py`, each of which may
have `seed(appliance)`, which makes what it needs; `screens(appliance)`, a list of name, path and
status; and `journeys(walk)`, a list of name and function, which is given the walk.

    tests/browser/pages.py [--binary PATH] [--shots DIR] [--only AREA]...
"""

import argparse
import importlib
import pathlib
import shutil
import sys
import tempfile
import threading
import time

from appliance import Appliance
from chromium import Driver
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


def listed(appliance, results, modules):
    """Returns all screens."""
    found = []
    for module in modules:
        if hasattr(module, "screens"):
            found += results.group(f"list {module.__name__}", module.screens, appliance) or []
    return found


class Suite:
    """One demo, looked at and pressed at the same time in two browsers."""

    def __init__(self, appliance, driver, options):
        self.appliance = appliance
        self.driver = driver
        self.options = options
        self.axe = axe_source()
        self.screens = areas("screens", options.only)
        self.journeys = self.screens + areas("journeys", options.only)
        self.results = Results()

    def all(self):
        walk = Walk(self.appliance, self.driver, self.results, self.axe, self.options.shots)
        try:
            self.results.group("first visit", walk.first_visit)
            if not self.appliance.key:
                return
            seed(self.appliance, self.results, self.journeys)
            presses = Results()
            other = threading.Thread(target=self.press, args=[presses])
            other.start()
            self.see(walk)
            other.join()
            self.results.add(presses)
        finally:
            walk.close()

    def see(self, walk):
        """Looks at every screen."""
        for name, path, status in listed(self.appliance, self.results, self.screens):
            self.results.group(f"screen {name}", walk.eye.page, name, path, status)
        report(walk.eye)

    def press(self, results):
        """Goes every journey."""
        walk = Walk(self.appliance, self.driver, results, self.axe, self.options.shots)
        try:
            walk.browser.open("/sign-in")
            walk.sign_in()
            for module in self.journeys:
                if hasattr(module, "journeys"):
                    for name, journey in module.journeys(walk):
                        results.group(name, journey, walk)
        finally:
            walk.close()


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
    options = parser.parse_args()
    if options.shots:
        options.shots.mkdir(parents=True, exist_ok=True)
    if not shutil.which("chromedriver"):
        raise SystemExit("chromedriver is missing: apt-get install chromium chromium-driver")
    began = time.monotonic()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="ergane-pages-"))
    appliance = Appliance(options.binary.resolve(), directory)
    driver = None
    try:
        driver = Driver()
        suite = Suite(appliance, driver, options)
        suite.all()
    finally:
        code = appliance.stop()
        if driver:
            driver.stop()
        log = appliance.log.read_text()
        shutil.rmtree(directory, ignore_errors=True)
    results = suite.results
    results.check(f"the appliance ends with {code}", code == 0)
    results.check(f"the appliance logged errors:\n{log[-2000:]}", not log.strip())
    print(f"{results.passed} passed, {len(results.failures)} failed", end="")
    print(f", in {time.monotonic() - began:.0f} s")
    sys.exit(1 if results.failures else 0)


if __name__ == "__main__":
    main()
