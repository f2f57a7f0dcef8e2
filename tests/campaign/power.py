"""Power cuts: what the disk held at a moment, taken as an image from under a working appliance."""

import os
import shutil
import signal
import subprocess
import time

from appliance import Refused
from checker import SETTLE_SECONDS_MAX, check
from part import Skipped
from scenario import World
from writes import library

IMAGE_BYTES = 512 * 1024 * 1024
ROUND_CUTS = 20
POSTERS = 3
CONTROL_CUTS = 3


def cuts(context):
    """Cuts the power again and again; then once more with syncs that lie, which must be seen."""
    need_loop(context)
    left, number = context.length(5, 200, context.arguments.cuts), 0
    while left > 0:
        number += 1
        these = min(left, ROUND_CUTS)
        left -= these
        with Machine(context, f"round-{number}") as machine:
            for _ in range(these):
                results = machine.cut()
                context.count("cuts")
                if not context.add(results, f"cut {context.counts['cuts']}"):
                    return
    control(context)


def control(context):
    """A campaign that stays green on a disk that lies would prove nothing."""
    red = 0
    with Machine(context, "control", {"LD_PRELOAD": library(context), "FI_NOSYNC": "1"}) as machine:
        for _ in range(CONTROL_CUTS):
            results = machine.cut(patience=2)
            context.count("control cuts")
            red += any(broken for _, _, broken in results)
    context.count("of them seen to lose", red)
    context.hold("a lying disk is seen", red > 0, "the control is green: the cuts prove nothing")


def need_loop(context):
    if os.geteuid() != 0:
        raise Skipped("power cuts need root, for a file system of their own")
    for tool in ("losetup", "mkfs.ext4", "mount", "umount"):
        if shutil.which(tool) is None:
            raise Skipped(f"power cuts need `{tool}`")
    image = context.place("probe.img")
    try:
        with Mount(context, image, "probe"):
            pass
    except subprocess.CalledProcessError as error:
        raise Skipped(f"power cuts need loop devices: {error.stderr}") from error
    os.remove(image)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Mount:
    """An image on a loop device, mounted; a new image becomes an ext4 file system."""

    def __init__(self, context, image, name):
        self.image, self.point, self.device = image, context.place(name), None

    def __enter__(self):
        os.makedirs(self.point, exist_ok=True)
        if not os.path.exists(self.image):
            with open(self.image, "wb") as file:
                file.truncate(IMAGE_BYTES)
            run("mkfs.ext4", "-q", "-F", self.image)
        for attempt in range(5):
            try:
                self.device = run("losetup", "-f", "--show", self.image)
                break
            except subprocess.CalledProcessError:
                if attempt == 4:
                    raise
                time.sleep(0.3)  # Somebody else took the same device.
        try:
            run("mount", self.device, self.point)
        except subprocess.CalledProcessError:
            run("losetup", "-d", self.device)
            raise
        return self

    def __exit__(self, *_):
        for _ in range(50):
            if subprocess.run(["umount", self.point], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        run("losetup", "-d", self.device)


class Machine:
    """An appliance on a disk of its own, under load, whose disk can be taken as it is."""

    def __init__(self, context, name, extra=None):
        self.context, self.name, self.extra = context, name, extra
        self.mount = Mount(context, context.place(f"{name}.img"), name)

    def __enter__(self):
        self.mount.__enter__()
        self.server = self.context.server(os.path.join(self.mount.point, "data"))
        self.context.begin(self.server, extra=self.extra)
        self.world = World(self.server, f"{self.context.seed}-{self.name}")
        self.world.prepare()
        os.sync()  # The world stands before the first cut, also where syncs lie.
        self.world.start_posters(POSTERS)
        return self

    def cut(self, patience=SETTLE_SECONDS_MAX):
        """Takes the disk at a random moment and lets another appliance go on from it; answers what
        was found there."""
        context = self.context
        time.sleep(context.chance.uniform(0.1, 1.2))
        # The order is what makes it sound: what is in the ledger was answered before the cut.
        ledger = self.world.ledger.snapshot()
        os.kill(self.server.pid(), signal.SIGSTOP)
        copy = context.place("cut.img")
        try:
            run("cp", "--sparse=always", self.mount.image, copy)
            context.count("events acknowledged before a cut", len(ledger.acked_events()))
            with Mount(context, copy, "cut") as cut:
                return self.look(os.path.join(cut.point, "data"), ledger, patience)
        finally:
            os.kill(self.server.pid(), signal.SIGCONT)
            os.remove(copy)

    def look(self, directory, ledger, patience):
        context = self.context
        server = context.server(directory)
        server.start()
        if not server.wait_ready():
            return [("it starts after the cut", 1, [f"see {context.place('log')}"])]
        try:
            return check(self.world.of(server, ledger), patience)
        except Refused as refused:
            return [("an acknowledged record is there", 1, [str(refused)])]
        finally:
            server.kill()

    def __exit__(self, *_):
        self.server.kill()
        self.world.stop_flag.set()
        self.world.halt()
        self.world.sink.close()
        self.mount.__exit__()
        os.remove(self.mount.image)
