"""A long time under mixed load with faults at random: nothing may grow that does not hold data."""

import os
import signal
import time

from checker import check

SHORT_MINUTES, LONG_MINUTES = 0.15, 60
POSTERS = 3
SAMPLE_SECONDS = 1.0
# A life without a kill is long enough to see a slope in it.
LIFE_SECONDS = (20, 60)
RSS_GROWTH_MB_MAX = 96
DESCRIPTORS_GROWTH_MAX = 64
# What one event with its run, its records and its audit may take on disk.
BYTES_PER_EVENT_MAX = 200_000


def soak(context):
    minutes = context.length(SHORT_MINUTES, LONG_MINUTES, context.arguments.minutes)
    world = context.world()
    world.start_posters(POSTERS)
    end = time.monotonic() + minutes * 60
    lives = []
    while time.monotonic() < end:
        lives.append(live(context, world, min(end, time.monotonic() + context.chance.uniform(*LIFE_SECONDS))))
        world.server.kill()
        world.server.start()
        if not world.server.wait_ready():
            raise SystemExit(f"it did not come back; see {context.place('log')}")
        context.count("kills")
    world.halt()
    file_bytes = os.stat(os.path.join(world.server.directory, "ergane.redb")).st_blocks * 512
    events = len(world.ledger.acked_events())
    judge(context, lives, file_bytes, events)
    context.add(check(world))
    world.server.kill()
    world.sink.close()


def live(context, world, end):
    """Lets it work until `end`, stopped for a moment now and then; answers what was measured."""
    samples, pid = [], world.server.pid()
    while time.monotonic() < end:
        time.sleep(SAMPLE_SECONDS)
        samples.append(sample(pid))
        if context.chance.random() < 0.05:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(context.chance.uniform(0.1, 2.0))
            os.kill(pid, signal.SIGCONT)
            context.count("stops in between")
    return samples


def sample(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return rss / 1024, len(os.listdir(f"/proc/{pid}/fd"))


def judge(context, lives, file_bytes, events):
    longest = max(lives, key=len)
    half = longest[len(longest) // 2 :]
    growth = half[-1][0] - half[0][0]
    descriptors = max(count for _, count in half) - min(count for _, count in half)
    context.counts["events acknowledged"] = events
    context.counts["MB at the most"] = round(max(rss for life in lives for rss, _ in life))
    context.counts["bytes on disk an event"] = round(file_bytes / max(1, events))
    context.hold("memory does not grow without end", growth < RSS_GROWTH_MB_MAX, f"{growth:.0f} MB")
    context.hold("descriptors do not grow", descriptors < DESCRIPTORS_GROWTH_MAX, f"{descriptors} more")
    per_event = file_bytes / max(1, events)
    # A file has a size of its own, which few events do not fill.
    is_bounded = file_bytes < 64 << 20 or per_event < BYTES_PER_EVENT_MAX
    context.hold("the file grows with what it holds", is_bounded, f"{per_event:.0f} bytes an event")
