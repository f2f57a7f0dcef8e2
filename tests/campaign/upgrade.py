#!/usr/bin/env python3
"""The campaign of upgrades: opens each older file, killed at each write of its migration.

    upgrade.py --binary target/debug/ergane            at every write and every sync
    upgrade.py --binary target/debug/ergane --short    at some of them
"""

import argparse
import glob
import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import appliance  # noqa: E402
from appliance import Api, Server  # noqa: E402

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "*.redb.lz4")
SECRET_KEY = "07" * 32
# The key of the owner in every fixture.
appliance.KEY = "key-of-the-tests-0123456789"
SAMPLES = 5


def main():
    parser = argparse.ArgumentParser(description="Kills the appliance while it upgrades a file.")
    parser.add_argument("--binary", default="target/debug/ergane")
    parser.add_argument("--short", action="store_true")
    arguments = parser.parse_args()
    binary = os.path.abspath(arguments.binary)
    os.environ["ERGANE_SECRET_KEY"] = SECRET_KEY
    base = tempfile.mkdtemp(prefix="ergane-upgrade-")
    good = True
    for fixture in sorted(glob.glob(FIXTURES)):
        file = unpacked(open(fixture, "rb").read())
        for call in ("pwrite64", "fdatasync"):
            good &= killed_at_each(binary, base, (fixture, file), call, arguments.short)
    if good:
        shutil.rmtree(base)
    print("every file was upgraded" if good else f"PROMISES WERE BROKEN; see {base}")
    return 0 if good else 1


def killed_at_each(binary, base, fixture, call, short):
    """Kills at the n-th call of the first start, starts again, and looks at everything."""
    (path, file), faults, kills, number = fixture, [], 0, 1
    while number < 10_000:
        directory = os.path.join(base, f"{os.path.basename(path)}-{call}-{number}")
        os.makedirs(directory)
        with open(os.path.join(directory, "ergane.redb"), "wb") as out:
            out.write(file)
        # The configuration is only shown, so that nothing but the opening writes.
        command = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}"]
        command += ["-e", f"inject={call}:signal=SIGKILL:when={number}"]
        command += [binary, "--data-dir", directory, "backup", "-o", os.path.join(directory, "x.backup")]
        code = subprocess.run(command, capture_output=True).returncode
        if code == 0:
            break
        kills += 1
        fault = look(binary, directory)
        if fault:
            faults.append(f"{call} number {number}: {fault}")
        else:
            shutil.rmtree(directory)
        number += random.randrange(1, 12) if short and kills >= SAMPLES else 1
        if short and kills >= 2 * SAMPLES:
            break
    name = os.path.basename(path)
    print(f"{name:24} {call:10} {'kept' if not faults else 'BROKEN'}: {kills} kills", flush=True)
    for fault in faults[:5]:
        print(f"    {fault}")
    return not faults


def look(binary, directory):
    """Starts the appliance and says what is not as it was."""
    server = Server(binary, directory, os.path.join(directory, "log"))
    server.start()
    if not server.wait_ready():
        return "it does not start any more"
    api = Api(server)
    try:
        runs = list(api.pages("/v1/runs"))
        for run in runs:
            ended = api.call("GET", f"/v1/runs/{run['id']}?wait=20s")
            if ended["status"] != "succeeded":
                return f"a run is {ended['status']}"
        events = list(api.pages("/v1/events?type=order:placed"))
        tickets = list(api.pages("/v1/tickets"))
        if (len(runs), len(events), len(tickets)) != (5, 5, 3):
            return f"{len(runs)} runs, {len(events)} events, {len(tickets)} tickets"
        if not api.call("GET", "/v1/audit/verify")["valid"]:
            return "the audit is not intact"
        return None
    finally:
        server.kill()


def unpacked(packed):
    """Unpacks an LZ4 block that has its length before it."""
    length, at, out = int.from_bytes(packed[:4], "little"), 4, bytearray()
    while at < len(packed):
        token = packed[at]
        at += 1
        count, at = extended(packed, token >> 4, at)
        out += packed[at:at + count]
        at += count
        if at >= len(packed):
            break
        offset = int.from_bytes(packed[at:at + 2], "little")
        count, at = extended(packed, token & 15, at + 2)
        for _ in range(count + 4):
            out.append(out[-offset])
    assert len(out) == length, "the fixture is damaged"
    return bytes(out)


def extended(packed, count, at):
    if count == 15:
        while True:
            count += packed[at]
            at += 1
            if packed[at - 1] != 255:
                break
    return count, at


if __name__ == "__main__":
    sys.exit(main())
