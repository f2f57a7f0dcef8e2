"""What the tests found."""

import threading
import time

PRINTING = threading.Lock()


class Results:
    """Counts checks and prints each group of them in a line; each thread has its own."""

    def __init__(self):
        self.passed = 0
        self.failures = []

    def attempt(self, name, test, *arguments):
        """Runs a test; what it finds wrong does not stop the tests after it. Returns its answer."""
        try:
            return test(*arguments)
        except Exception as error:  # Whatever ends one test is its failure and not the next one's.
            self.failures.append(f"{name}: {type(error).__name__}: {error}{where(error)}")
            return None

    def group(self, name, test, *arguments):
        """Runs a test and says how it went. Returns its answer.

        What fails is tried once more, and both are told: a machine that was too busy for a browser is
        no fault of a page, and a page that is at fault fails twice.
        """
        began, before, wrong = time.monotonic(), self.passed, len(self.failures)
        answer = self.attempt(name, test, *arguments)
        failed = self.failures[wrong:]
        if failed:
            answer = self.attempt(name, test, *arguments)
            again = self.failures[wrong + len(failed):]
            if not again:
                with PRINTING:
                    print("\n        ".join([f"once    {name}", *failed]), flush=True)
                del self.failures[wrong:]
            failed = self.failures[wrong:]
        took = time.monotonic() - began
        lines = [f"{'FAILED' if failed else 'ok':6}  {name}: {self.passed - before} checks, {took:.1f} s"]
        with PRINTING:
            print("\n        ".join([*lines, *failed]), flush=True)
        return answer

    def check(self, what, holds):
        if holds:
            self.passed += 1
        else:
            self.failures.append(what)

    def add(self, other):
        self.passed += other.passed
        self.failures += other.failures


def where(error):
    """Returns the last line of a test that an error came through."""
    at, place = error.__traceback__, ""
    while at:
        file = at.tb_frame.f_code.co_filename
        if "/journeys/" in file or "/screens/" in file:
            place = f" ({file.rsplit('/', 1)[1]}:{at.tb_lineno})"
        at = at.tb_next
    return place
