#!/usr/bin/env python3
"""What disks do: they fill up, fail, hang, turn read-only and lose files; nothing accepted is lost.

    disk.py --binary target/debug/ergane [--short] [--only NAME]
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from machine import Machine, Refused, SmallDisk, may_mount, parser, run, wait_for  # noqa: E402

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* Reads its plan from a file at each call: "sync 5", "write 28", "read 5", "slow 200", "none". */
static int (*real_datasync)(int), (*real_sync)(int);
static ssize_t (*real_write)(int, const void *, size_t, off64_t);
static ssize_t (*real_read)(int, void *, size_t, off64_t);
static const char *plan;
__attribute__((constructor)) static void begin(void) {
  plan = getenv("SHIM_PLAN");
  real_datasync = dlsym(RTLD_NEXT, "fdatasync");
  real_sync = dlsym(RTLD_NEXT, "fsync");
  real_write = dlsym(RTLD_NEXT, "pwrite64");
  real_read = dlsym(RTLD_NEXT, "pread64");
}
static int is_ours(int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strstr(path, "ergane.redb") != NULL;
}
static int planned(int file, const char *what) {
  char word[16] = ""; int number = 0;
  if (!plan || !is_ours(file)) return 0;
  FILE *text = fopen(plan, "re");
  if (!text) return 0;
  int found = fscanf(text, "%15s %d", word, &number);
  fclose(text);
  return found == 2 && !strcmp(word, what) ? number : 0;
}
static void drowse(int file) { int pause = planned(file, "slow"); if (pause) usleep(pause * 1000); }
int fdatasync(int file) { int error = planned(file, "sync"); drowse(file);
  if (error) { errno = error; return -1; } return real_datasync(file); }
int fsync(int file) { int error = planned(file, "sync"); drowse(file);
  if (error) { errno = error; return -1; } return real_sync(file); }
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
  int error = planned(file, "write"); if (error) { errno = error; return -1; }
  return real_write(file, data, size, at); }
ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
  return pwrite64(file, data, size, at); }
ssize_t pread64(int file, void *data, size_t size, off64_t at) {
  int error = planned(file, "read"); if (error) { errno = error; return -1; }
  return real_read(file, data, size, at); }
ssize_t pread(int file, void *data, size_t size, off_t at) {
  return pread64(file, data, size, at); }
"""


class Faulty:
    """A machine whose disk does what a plan says, from one call to the next."""

    def __init__(self, binary):
        self.place = tempfile.mkdtemp(prefix="ergane-shim-")
        source, library = (os.path.join(self.place, name) for name in ("shim.c", "shim.so"))
        with open(source, "w", encoding="ascii") as text:
            text.write(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", "-o", library, source, "-ldl"],
                       check=True)
        self.plan_path = os.path.join(self.place, "plan")
        self.plan("none 0")
        self.machine = Machine(binary, environment={"LD_PRELOAD": library,
                                                    "SHIM_PLAN": self.plan_path})

    def plan(self, text):
        new = self.plan_path + ".new"
        with open(new, "w", encoding="ascii") as plan:
            plan.write(text)
        os.replace(new, self.plan_path)

    def __enter__(self):
        self.machine.start()
        self.machine.save_echo()
        return self.machine, self.plan

    def __exit__(self, *_):
        self.machine.close()
        shutil.rmtree(self.place, ignore_errors=True)


def full_disk(arguments):
    """Filled and emptied again and again: nothing lost, no restart, work within 5 s."""
    if not may_mount():
        return "skipped: only root may mount"
    cycles = 6 if arguments.short else 100
    accepted, refused, slowest, number = [], 0, 0.0, 0
    with SmallDisk("96m") as disk, Machine(arguments.binary, os.path.join(disk.path, "d")) as it:
        it.start()
        it.save_echo()
        process = it.process.pid
        wait_for(lambda: os.path.exists(os.path.join(it.data, "ergane.reserve")), 10, "a reserve")
        for cycle in range(cycles):
            # Every other time the disk is filled so fast that nobody can see it come.
            disk.fill(0 if cycle % 2 else 3 << 20)
            end = time.monotonic() + 8
            seen = set()
            while time.monotonic() < end and not ("disk_full" in seen and refused):
                number += 1
                try:
                    it.publish(number, 20_000)
                    accepted.append(number)
                except Refused as fault:
                    assert fault.status == 503, fault
                    seen.add(fault.code)
                    refused += 1
            assert "disk_full" in seen, f"cycle {cycle}: {seen}, {it.ready()}"
            assert it.ready()[0] == "unready" and "disk_full" in it.ready()[1], it.ready()
            assert it.state() in ("read_only", "reopening"), it.state()
            it.ask("GET", "/v1/runs")
            it.ask("GET", "/v1/events?limit=5")
            disk.empty()
            begun = time.monotonic()
            while True:
                number += 1
                try:
                    it.publish(number, 100)
                    accepted.append(number)
                    break
                except Refused as fault:
                    assert fault.status == 503, fault
                    assert time.monotonic() - begun < 5, f"no recovery: {it.ready()}"
                    time.sleep(0.02)
            slowest = max(slowest, time.monotonic() - begun)
            wait_for(lambda: it.ready()[0] == "ok", 5, "it is ready")
        it.check_ledger(accepted)
        assert it.process.pid == process and it.process.poll() is None
        code, _ = it.stop()
        assert code == 0, code
        it.start()
        it.check_ledger(accepted)
    return (f"{cycles} cycles, {len(accepted)} accepted, 0 lost, {refused} refused, "
            f"back within {slowest:.1f} s, no restart")


def deletes_on_a_full_disk(arguments):
    """What makes room goes on while what takes it is refused."""
    if not may_mount():
        return "skipped: only root may mount"
    with SmallDisk("64m") as disk, Machine(arguments.binary, os.path.join(disk.path, "d")) as it:
        it.start()
        it.save_echo()
        run_id = sleeping_run(it)
        wait_for(lambda: os.path.exists(os.path.join(it.data, "ergane.reserve")), 10, "a reserve")
        disk.fill(0)
        provoke(it, "disk_full")
        wait_for(lambda: it.ready()[1] == ["disk_full"], 5, "only the disk is in the way")
        expect_refusal(it, "disk_full", "POST", "/v1/workflows",
                       {"name": "more", "trigger": {"event": "a:b"},
                        "steps": [{"id": "nap", "sleep": "1s"}]})
        eventually(lambda: it.ask("POST", f"/v1/runs/{run_id}/cancel", {"compensate": False}))
        eventually(lambda: it.ask("DELETE", "/v1/workflows/echo"))
        it.ask("GET", "/v1/workflows")
        disk.empty()
        eventually(lambda: it.publish(1))
    return "cancelled and deleted while full"


def start_on_a_full_disk(arguments):
    """A start where there is no room left: it serves what is there, and takes work when there is."""
    if not may_mount():
        return "skipped: only root may mount"
    with SmallDisk("64m") as disk, Machine(arguments.binary, os.path.join(disk.path, "d")) as it:
        it.start()
        it.save_echo()
        it.publish(1)
        wait_for(lambda: os.path.exists(os.path.join(it.data, "ergane.reserve")), 10, "a reserve")
        disk.fill(0)
        assert it.stop()[0] == 0
        disk.fill(0)
        it.start()
        it.check_ledger([1])
        provoke(it, "disk_full")
        disk.empty()
        eventually(lambda: it.publish(2))
        it.check_ledger([1, 2])
        assert it.stop()[0] == 0
    return "served, refused, and back"


def sleeping_run(it):
    it.ask("POST", "/v1/workflows", {"name": "sleeper", "trigger": {"event": "nap:taken"},
                                     "steps": [{"id": "nap", "sleep": "1h"}]})
    answer = it.ask("POST", "/v1/events/nap:taken", {})
    return answer["accepted"][0]["runs"][0]


def provoke(it, code):
    def refused():
        try:
            it.publish(time.monotonic_ns(), 20_000)
            return False
        except Refused as fault:
            return fault.code == code
    wait_for(refused, 10, f"refused for {code}: {it.ready()}")


def expect_refusal(it, code, *request):
    try:
        it.ask(*request)
    except Refused as fault:
        assert (fault.status, fault.code) == (503, code), fault
        return
    raise AssertionError(f"{request[:2]} was done")


def eventually(deed, patience=5.0):
    end = time.monotonic() + patience
    while True:
        try:
            return deed()
        except Refused as fault:
            if fault.status != 503 or time.monotonic() > end:
                raise
            time.sleep(0.02)


def failing_calls(arguments):
    """Syncs and writes that fail: 503, never a false 2xx, and work again by itself."""
    told = []
    rounds = 3 if arguments.short else 20
    with Faulty(arguments.binary) as (it, plan):
        accepted, number = [], 0
        for error, what in ((5, "sync"), (5, "write"), (28, "write"), (27, "write"), (30, "sync")):
            for _ in range(rounds):
                plan(f"{what} {error}")
                for _ in range(3):
                    number += 1
                    try:
                        it.publish(number, timeout=20)
                        raise AssertionError(f"accepted although {what} answers {error}")
                    except Refused as fault:
                        assert fault.status == 503, fault
                assert it.ready()[0] == "unready", it.ready()
                it.ask("GET", "/healthz")
                plan("none 0")
                number += 1
                eventually(lambda: it.publish(number), 8)
                accepted.append(number)
                wait_for(lambda: it.ready()[0] == "ok", 5, "it is ready again")
            told.append(f"{what}:{error}")
        it.check_ledger(accepted)
        assert it.stop()[0] == 0
        it.start()
        it.check_ledger(accepted)
    return f"{', '.join(told)} x {rounds}; {len(accepted)} accepted, 0 lost"


def slow_syncs(arguments):
    """Syncs of 200 ms: slower, nothing refused, nothing twice."""
    with Faulty(arguments.binary) as (it, plan):
        plan("slow 200")
        took, faults = [], []

        def client(first):
            for number in range(first, first + 5):
                begun = time.monotonic()
                try:
                    it.publish(number)
                    took.append(time.monotonic() - begun)
                except Refused as fault:
                    faults.append(str(fault))
        clients = [threading.Thread(target=client, args=(each * 100,)) for each in range(20)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        assert not faults, faults[:3]
        worst = max(took)
        assert worst < 5, f"{worst:.2f} s"
        plan("none 0")
        it.check_ledger([each * 100 + step for each in range(20) for step in range(5)])
    return f"100 events by 20 clients, the slowest in {worst:.2f} s"


def hanging_sync(arguments):
    """A sync that hangs: named, refused at once, reads go on, and work again by itself."""
    hang = 12 if arguments.short else 60
    with Faulty(arguments.binary) as (it, plan):
        it.publish(1)
        plan(f"slow {hang * 1000}")
        answers = []

        def first():
            answers.append(it.publish(2, timeout=hang + 20))
        waiting = threading.Thread(target=first)
        begun = time.monotonic()
        waiting.start()
        wait_for(lambda: "stalled" in it.ready()[1], 9, "it is called stalled")
        plan("none 0")
        assert it.state() == "stalled", it.state()
        asked = time.monotonic()
        expect_refusal(it, "stalled", "POST", "/v1/events/order:placed?id=event-3", {"n": 3})
        refused_in = time.monotonic() - asked
        assert refused_in < 1, f"{refused_in:.2f} s"
        it.ask("GET", "/v1/events/event-1", timeout=3)
        it.ask("GET", "/v1/runs", timeout=3)
        waiting.join()
        assert time.monotonic() - begun >= hang - 1 and answers, "the one that waited is answered"
        eventually(lambda: it.publish(4))
        wait_for(lambda: it.ready()[0] == "ok", 5, "it is ready again")
        it.check_ledger([1, 2, 4])
    return f"hung for {hang} s; refused within {refused_in * 1000:.0f} ms"


def lost_file(arguments):
    """A store's file that is removed, replaced or put back while it is served."""
    with Machine(arguments.binary) as it:
        it.start()
        it.save_echo()
        it.publish(1)
        path = os.path.join(it.data, "ergane.redb")
        os.rename(path, path + ".away")
        expect_refusal_soon(it, "file_replaced")
        wait_for(lambda: it.ready()[1] == ["file_replaced"], 5, f"named: {it.ready()}")
        assert it.state() == "file_replaced", it.state()
        it.ask("GET", "/v1/events/event-1")
        with open(path, "wb") as other:
            other.write(b"something else")
        time.sleep(1.5)
        assert it.ready()[1] == ["file_replaced"], it.ready()
        with open(path, "rb") as other:
            assert other.read() == b"something else", "it wrote to a foreign file"
        os.rename(path + ".away", path)
        eventually(lambda: it.publish(2), 8)
        wait_for(lambda: it.ready()[0] == "ok", 5, "it is ready again")
        it.check_ledger([1, 2])
    return "refused, read on, untouched, and back"


def expect_refusal_soon(it, code):
    def refused():
        try:
            it.publish(time.monotonic_ns())
        except Refused as fault:
            assert fault.status == 503, fault
            return fault.code == code
        raise AssertionError("accepted into a file without a name")
    wait_for(refused, 5, f"refused for {code}")


def read_only_file_system(arguments):
    """A file system that turns read-only under the server, and back."""
    if not may_mount():
        return "skipped: only root may mount"
    place = tempfile.mkdtemp(prefix="ergane-ext4-")
    image, mounted = os.path.join(place, "image"), os.path.join(place, "disk")
    os.mkdir(mounted)
    subprocess.run(["truncate", "-s", "64M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    loop = subprocess.run(["losetup", "-f", "--show", image], check=False, capture_output=True,
                          text=True)
    if loop.returncode:
        shutil.rmtree(place)
        return "skipped: there is no loop device"
    device = loop.stdout.strip()
    try:
        options = ["-o", "errors=remount-ro"]
        subprocess.run(["mount", *options, device, mounted], check=True)
        with Machine(arguments.binary, os.path.join(mounted, "d")) as it:
            it.start()
            it.save_echo()
            it.publish(1)
            trigger = f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error"
            with open(trigger, "w", encoding="ascii") as error:
                error.write("1")
            provoke(it, "read_only_file_system")
            assert it.ready()[0] == "unready"
            assert it.state() in ("read_only", "reopening"), it.state()
            it.ask("GET", "/healthz")
            assert it.stop()[0] == 0
        return "named, refused, stopped cleanly"
    finally:
        subprocess.run(["umount", "-l", mounted], check=False)
        subprocess.run(["losetup", "-d", device], check=False)
        shutil.rmtree(place, ignore_errors=True)


def bad_places(arguments):
    """Places that cannot hold a store: one sentence and an exit code at the start."""
    told = []

    def case(name, prepare, undo=None):
        with Machine(arguments.binary) as it:
            prepare(it)
            code, said = it.attempt()
            if undo:
                undo(it)
            lines = [line for line in said.splitlines() if "ergane:" in line]
            assert code in (1, 2, 75) and len(lines) == 1, f"{name}: {code} {said}"
            assert "panicked" not in said, said
            told.append(name)

    def file_in_place(it):
        with open(it.data, "w", encoding="ascii") as other:
            other.write("no directory")

    def directory_in_place(it):
        os.makedirs(os.path.join(it.data, "ergane.redb"))

    def immutable(it):
        it.start()
        it.stop()
        subprocess.run(["chattr", "+i", os.path.join(it.data, "ergane.redb")], check=True)

    def mutable(it):
        subprocess.run(["chattr", "-i", os.path.join(it.data, "ergane.redb")], check=True)

    def below_a_file(it):
        with open(os.path.join(it.base, "file"), "w", encoding="ascii"):
            it.data = os.path.join(it.base, "file", "data")

    def read_only_mount(it):
        os.mkdir(it.data)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", it.data], check=True)

    def unmount(it):
        subprocess.run(["umount", "-l", it.data], check=False)

    case("a file", file_in_place)
    case("a directory as the file", directory_in_place)
    case("below a file", below_a_file)
    if may_mount():
        case("a read-only mount", read_only_mount, unmount)
        if shutil.which("chattr"):
            case("an immutable file", immutable, mutable)
    return ", ".join(told)


def main():
    arguments = parser(__doc__.splitlines()[0]).parse_args()
    checks = [full_disk, deletes_on_a_full_disk, start_on_a_full_disk, failing_calls, slow_syncs, hanging_sync,
              lost_file, read_only_file_system, bad_places]
    return run(checks, arguments)


if __name__ == "__main__":
    sys.exit(main())
