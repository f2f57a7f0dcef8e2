#!/usr/bin/env python3
"""The fault campaign: breaks the appliance in every way that is known, and checks its promises.

It knows the appliance by its binary and its public API alone, so that it cannot share a mistake
with it. Each part prints its seed; the same seed chooses the same faults again.

    campaign.py --binary target/debug/ergane --short           every part, in about two minutes
    campaign.py --binary target/debug/ergane --only kills      one part, in its long form
    campaign.py --list                                         what there is
    campaign.py --report-table results.jsonl                   the results of `--report` as a table
"""

import argparse
import concurrent.futures
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import answers  # noqa: E402
import control  # noqa: E402
import kills  # noqa: E402
import others  # noqa: E402
import panics  # noqa: E402
import power  # noqa: E402
import rot  # noqa: E402
import soak  # noqa: E402
import writes  # noqa: E402
from part import Context, Skipped, result_of, show  # noqa: E402

SHORT_AT_ONCE = 3
# How a program ends that was asked to.
STOPPED = 143

# name: (what it does, the part)
PARTS = {
    "control": ("the checker itself, beside a ledger of what never happened", control.blind),
    "kills": ("kills at random times under load, also during recovery", kills.random_kills),
    "first-start": ("the very first start killed at its n-th write and sync", kills.first_start),
    "nth-call": ("killed at the n-th write and at the n-th sync", kills.nth_calls),
    "torn-write": ("a write that tears, and the process ends in it", writes.torn_writes),
    "failing-call": ("the n-th write, sync or read fails", writes.failing_calls),
    "power-cut": ("the disk as it was at a moment, under load", power.cuts),
    "bit-flip": ("a flipped bit in the file at rest", rot.flips),
    "page": ("a zeroed, stale or swapped page in the file at rest", rot.pages),
    "file": ("a file that is cut off, too long, empty, garbage or foreign", rot.files),
    "failpoints": ("killed at every failpoint of a debug binary", kills.failpoints),
    "panics": ("panics in steps, filters, actors, timers and deliveries", panics.panics),
    "answers": ("lost answers, faults of remotes, events that come again", answers.answers),
    "doubts": ("killed during calls that must not be repeated in silence", others.doubts),
    "flood": ("events in batches at a steady rate, counted", others.flood),
    "soak": ("mixed load with random faults; memory, descriptors, file", soak.soak),
}


def main():
    arguments = parse()
    if arguments.list:
        for name, (about, _) in PARTS.items():
            print(f"{name:14} {about}")
        return 0
    if arguments.report_table:
        print(table(arguments.report_table))
        return 0
    # An end that was asked for is one that ends what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    base = tempfile.mkdtemp(prefix="ergane-campaign-", dir=arguments.directory)
    print(f"seed {arguments.seed}, data below {base}", flush=True)
    chosen = arguments.only or PARTS
    if arguments.short:
        # Most of a part is waiting.
        with concurrent.futures.ThreadPoolExecutor(SHORT_AT_ONCE) as pool:
            results = list(pool.map(lambda name: run_part(arguments, base, name), chosen))
    else:
        # One by one, so that the figures mean something, and a signal unmounts what was mounted.
        results = [run_part(arguments, base, name) for name in chosen]
    good = all(result["verdict"] != "BROKEN" for result in results)
    if good and not arguments.keep:
        shutil.rmtree(base)
    print("every promise was kept" if good else f"PROMISES WERE BROKEN; see {base}")
    return 0 if good else 1


def parse():
    parser = argparse.ArgumentParser(description="Breaks the appliance and checks its promises.")
    parser.add_argument("--binary", default="target/debug/ergane")
    parser.add_argument("--short", action="store_true", help="a sample of everything")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be repeated")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--list", action="store_true", help="names the parts")
    parser.add_argument("--directory", help="where the data lies, on the disk that is to be tested")
    parser.add_argument("--keep", action="store_true", help="keeps the data when all is well")
    parser.add_argument("--report", metavar="FILE", help="appends a line of JSON for each part")
    parser.add_argument("--report-table", metavar="FILE", help="prints such a file as a table")
    parser.add_argument("--kills", type=int, help="how many kills")
    parser.add_argument("--cuts", type=int, help="how many power cuts")
    parser.add_argument("--flips", type=int, help="how many flipped bits")
    parser.add_argument("--minutes", type=float, help="how long the soak lasts")
    parser.add_argument("--sample", action="store_true", help="a sample of the n instead of all")
    arguments = parser.parse_args()
    arguments.binary = os.path.abspath(arguments.binary)
    if not (arguments.list or arguments.report_table or os.path.exists(arguments.binary)):
        parser.error(f"there is no binary {arguments.binary}; build it with `cargo build`")
    return arguments


def run_part(arguments, base, name):
    context = Context(arguments, base, name, arguments.seed)
    began, skipped, problem = time.monotonic(), None, None
    try:
        PARTS[name][1](context)
    except Skipped as reason:
        skipped = str(reason)
    except (Exception, SystemExit) as error:  # One broken part must not hide the others.
        if getattr(error, "code", None) == STOPPED:
            raise
        problem = f"{type(error).__name__}: {error}"
        if arguments.keep:
            raise
    result = result_of(context, began, skipped, problem)
    show(context, result)
    if arguments.report:
        with open(arguments.report, "a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
    if result["verdict"] != "BROKEN" and not arguments.keep:
        shutil.rmtree(context.base, ignore_errors=True)
    return result


def table(path):
    """Returns the results as a table in Markdown, the last of each part."""
    lines = ["| fault | how often | result | command |", "| --- | --- | --- | --- |"]
    latest = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            result = json.loads(line)
            latest[result["name"]] = result
    for name, result in latest.items():
        counts = ", ".join(f"{number:,} {what}" for what, number in result["counts"].items())
        command = f"`campaign.py --only {name}`"
        told = f"{result['verdict']}, {result['checked']:,} things checked"
        lines.append(f"| {PARTS[name][0]} | {counts} | {told} | {command} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
