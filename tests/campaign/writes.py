"""Writes that tear, syncs and writes that fail: at the n-th call, by a library between the two."""

import errno
import os
import shutil
import subprocess
import time

from appliance import Api, Away, Refused
from kills import Prepared
from part import Skipped

# How many bytes of a write reach the file before the process ends.
TORN_BYTES = (1, 512, 1_000, 4_095)
# What comes: its name, the call, the error.
ERRORS = (
    ("eio-sync", "fsync", errno.EIO),
    ("eio-write", "pwrite", errno.EIO),
    ("enospc-write", "pwrite", errno.ENOSPC),
    ("eio-read", "pread", errno.EIO),
)
AGAIN_SECONDS_MAX = 20


def library(context):
    """Compiles the library between the binary and the C library; answers where it is."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shim.c")
    path = context.place("shim.so")
    if shutil.which("cc") is None:
        raise Skipped("there is no C compiler `cc`")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", path, source, "-ldl"], check=True)
    return path


def torn_writes(context):
    """A write reaches the disk in part, and the process ends in it."""
    shim = library(context)
    prepared = Prepared(context, "torn")
    number, n, came = 0, 1, True
    while came:
        torn = TORN_BYTES[number % len(TORN_BYTES)]
        extra = {"LD_PRELOAD": shim, "FI_MATCH": "ergane.redb", "FI_OP": "pwrite"}
        extra |= {"FI_AT": str(n), "FI_TORN": str(torn)}
        came = prepared.one(n, "torn", extra=extra)
        context.counts["last write"] = n
        n += context.chance.randint(n, 2 * n + 20) if context.is_sample else 1
        number += 1
    prepared.close()


def failing_calls(context):
    """The n-th write, sync or read fails once; it goes on by itself and loses nothing."""
    shim = library(context)
    prepared = Prepared(context, "failing")
    for name, op, error in ERRORS:
        n, came = 1, True
        while came:
            mark = context.place(f"{name}-{n}.mark")
            extra = {"LD_PRELOAD": shim, "FI_MATCH": "ergane.redb", "FI_OP": op}
            extra |= {"FI_AT": str(n), "FI_ERR": str(error), "FI_MARK": mark}
            prepared.one(n, name, extra=extra, before_the_end=lambda world: goes_on(context, world, f"{name} {n}"))
            came = os.path.exists(mark)
            context.count(f"{name} faults", int(came))
            n += context.chance.randint(3 * n, 6 * n + 20) if context.is_sample else 1
    prepared.close()


def goes_on(context, world, where):
    """The fault came once, so that a process that lives takes work again soon."""
    api, end = Api(world.server), time.monotonic() + AGAIN_SECONDS_MAX
    problem = None
    while world.server.is_alive() and time.monotonic() < end:
        try:
            api.call("POST", "/v1/events/crash:probe", {}, timeout=5)
            return
        except (Away, Refused) as error:
            problem = error
            time.sleep(0.05)
    if world.server.is_alive():
        context.hold("it takes work again after the fault", False, f"{where}: {problem}")
    else:
        # An end at the start is a refusal; later it is for the supervisor to start it again.
        context.count("ended by the fault")
