#!/usr/bin/env python3
"""What the system withholds: descriptors, memory, threads, readers, patience; it refuses and lives.

    limits.py --binary target/debug/ergane [--short] [--only NAME]
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from machine import Machine, Refused, parser, run, wait_for  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process):
    with open(f"/proc/{process}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def few_descriptors(arguments):
    """64 descriptors and more connections than that: no spin, no crash, and the store keeps its own."""
    with Machine(arguments.binary, wrapper=["prlimit", "--nofile=64"]) as it:
        it.start()
        it.save_echo()
        it.publish(1)
        process, held = it.server_id, []
        for _ in range(150):
            one = socket.socket()
            one.settimeout(2)
            one.connect(("127.0.0.1", it.port))
            held.append(one)
        before, pause = cpu_seconds(process), 3 if arguments.short else 10
        time.sleep(pause)
        share = (cpu_seconds(process) - before) / pause
        assert share < 0.2, f"it spins: {share:.0%} of a processor"
        assert it.process.poll() is None
        for one in held:
            one.close()
        wait_for(it.is_up, 15, "it answers again")
        it.publish(2)
        it.check_ledger([1, 2])
        assert it.stop()[0] == 0
    return f"{share:.0%} of a processor meanwhile"


def little_memory(arguments):
    """128 MB by the kernel's group under load: it refuses rather than dies."""
    with kernel_group("memory", "memory.limit_in_bytes", "128M") as group:
        if group is None:
            return "skipped: no memory groups of the first kind"
        enter = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
        with Machine(arguments.binary, wrapper=enter) as it:
            it.start()
            it.save_echo()
            accepted, refused, lost = [], [], []
            end = time.monotonic() + (8 if arguments.short else 60)

            def load(first):
                number = first
                while time.monotonic() < end:
                    number += 1
                    try:
                        it.publish(number, 200_000)
                        accepted.append(number)
                    except Refused as fault:
                        refused.append(fault.status)
                    except (OSError, http.client.HTTPException) as fault:
                        lost.append(repr(fault))
            clients = [threading.Thread(target=load, args=(each * 1_000_000,))
                       for each in range(24)]
            for one in clients:
                one.start()
            for one in clients:
                one.join()
            with open(os.path.join(group, "memory.oom_control"), encoding="ascii") as control:
                killed = [line for line in control if line.startswith("oom_kill ")]
            assert it.process.poll() is None, f"it died: {killed} {it.said()[-500:]}"
            assert set(refused) <= {413, 429, 503}, set(refused)
            assert not lost, lost[:3]
            it.check_ledger(accepted[:50] + accepted[-50:])
        return f"{len(accepted)} accepted, {len(refused)} refused, alive"


@contextlib.contextmanager
def kernel_group(kind, limit, value):
    """A group of the kernel (cgroups, version 1) with a limit; None where there is none to be had."""
    group = os.path.join("/sys/fs/cgroup", kind, f"ergane-limits-{os.getpid()}")
    try:
        os.mkdir(group)
    except OSError:
        group = None
    try:
        if group:
            write(os.path.join(group, limit), value)
        yield group
    finally:
        if group:
            wait_for(lambda: not read(os.path.join(group, "cgroup.procs")), 15, "the group is empty")
            os.rmdir(group)


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def no_room_for_threads_or_memory(arguments):
    """No address space and no threads: a sentence and an exit code at the start."""
    told = []
    for name, limit in (("address space", "--as=400000000"), ("1 thread", "--nproc=1"),
                        ("3 threads", "--nproc=3"), ("5 threads", "--nproc=5")):
        wrapper = ["prlimit", limit]
        if "thread" in name:
            if os.geteuid() != 0 or not os.path.exists("/usr/bin/setpriv"):
                continue  # The limit does not bind root, and nobody else can be had.
            wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] + wrapper
        with Machine(arguments.binary, wrapper=wrapper) as it:
            os.chmod(it.base, 0o777)
            if "thread" in name and not readable_by_all(it.binary):
                continue
            try:
                code, said = it.attempt(patience=8)
            except subprocess.TimeoutExpired:
                assert name == "address space", f"{name}: it neither serves nor ends"
                told.append(f"{name}: serves")
                continue
            assert code in (1, 75), f"{name}: {code} {said}"
            assert "panicked" not in said and "ergane: " in said, f"{name}: {said}"
            told.append(f"{name}: {code}")
    return ", ".join(told)


def readable_by_all(path):
    while path != "/":
        if not os.stat(path).st_mode & 0o005:
            return False
        path = os.path.dirname(path)
    return True


def closed_output(arguments):
    """Output that nobody reads: closed after one line, or never read; it serves all the same."""
    with Machine(arguments.binary) as it:
        out_end, in_end = os.pipe()
        it.start(stdout=in_end, stderr=in_end)
        os.close(in_end)
        os.read(out_end, 10)
        os.close(out_end)
        for number in range(20):
            it.publish(number)
            it.ask("GET", "/v1/runs")
        it.signal(signal.SIGPIPE)
        it.publish(21)
        assert it.stop()[0] == 0
    return "serves on"


def reader_that_stands_still(arguments):
    """A log that nobody reads any more: lines are dropped and counted, and nothing waits for it."""
    with Machine(arguments.binary, environment={"ERGANE_LOG__LEVEL": "debug"}) as it:
        out_end, in_end = os.pipe()
        it.start(stderr=in_end)
        os.close(in_end)
        slowest = 0.0
        for number in range(400):
            begun = time.monotonic()
            it.publish(number, timeout=10)
            slowest = max(slowest, time.monotonic() - begun)
        metrics = it.ask("GET", "/metrics")
        lines = [line for line in metrics.splitlines()
                 if line.startswith("ergane_log_lines_dropped")]
        assert lines and int(float(lines[0].split()[1])) > 0, lines
        assert slowest < 3, slowest
        code, took = it.stop()
        assert code == 0 and took < 10, (code, took)
        os.close(out_end)
    return f"{lines[0].split()[1]} lines dropped, slowest request {slowest * 1000:.0f} ms"


def signals(arguments):
    """HUP and PIPE are survived; TERM ends it cleanly and soon; twice, at once."""
    told = []
    with Machine(arguments.binary) as it:
        it.start()
        it.save_echo()
        for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGUSR1):
            if number == signal.SIGUSR1:
                continue
            it.signal(number)
            time.sleep(0.1)
            it.publish(int(number))
        time.sleep(0.5)
        code, took = it.stop()
        assert code == 0, code
        assert took < (0.3 if "release" in it.binary else 1.0), f"idle, it took {took:.2f} s"
        told.append(f"idle {took * 1000:.0f} ms")
        it.start()
        accepted, stop = [], threading.Event()

        def load(first):
            number = first
            while not stop.is_set():
                number += 1
                try:
                    it.publish(number, timeout=15)
                    accepted.append(number)
                except (Refused, OSError, http.client.HTTPException):
                    time.sleep(0.01)
        clients = [threading.Thread(target=load, args=(each * 100_000 + 1000,))
                   for each in range(8)]
        for one in clients:
            one.start()
        time.sleep(1.5)
        code, took = it.stop()
        stop.set()
        for one in clients:
            one.join()
        assert code == 0 and took <= 10, (code, took)
        told.append(f"under load {took * 1000:.0f} ms")
        it.start()
        it.check_ledger(accepted)
        held = socket.create_connection(("127.0.0.1", it.port))
        held.sendall(b"POST /v1/events/a:b HTTP/1.1\r\nhost: x\r\nx-api-key: "
                     b"key-of-the-campaign-0123456789\r\ncontent-type: application/json\r\n"
                     b"content-length: 100\r\n\r\n{")
        time.sleep(0.2)
        begun = time.monotonic()
        it.signal(signal.SIGTERM)
        time.sleep(0.3)
        if it.process.poll() is None:
            it.signal(signal.SIGTERM)
        it.process.wait(5)
        took = time.monotonic() - begun
        assert took < 2, f"twice, it took {took:.2f} s"
        told.append(f"twice {took * 1000:.0f} ms, exit {it.process.returncode}")
        held.close()
        it.start()
        it.check_ledger(accepted[-20:])
    return ", ".join(told)


def second_process(arguments):
    """A second process on the same data: told by whom it is in use, within a second."""
    with Machine(arguments.binary) as it:
        it.start()
        port = it.port
        begun = time.monotonic()
        code, said = it.attempt()
        took = time.monotonic() - begun
        it.port = port
        assert code == 4, f"{code}: {said}"
        assert f"in use by pid {it.server_id}" in said, said
        assert took < (1 if "release" in it.binary else 3), took
        it.publish(1)
    return f"exit 4 within {took * 1000:.0f} ms"


def starved(arguments):
    """A tenth of a processor: slow, and correct."""
    with kernel_group("cpu", "cpu.cfs_quota_us", "10000") as group:
        if group is None:
            return "skipped: no processor groups of the first kind"
        with Machine(arguments.binary) as it:
            it.start()
            it.save_echo()
            write(os.path.join(group, "cgroup.procs"), str(it.server_id))
            for number in range(10):
                it.publish(number, timeout=30)
            begun = time.monotonic()
            it.ask("GET", "/healthz", timeout=5)
            took = time.monotonic() - begun
            it.check_ledger(range(10))
        return f"health within {took * 1000:.0f} ms"


def main():
    arguments = parser(__doc__.splitlines()[0]).parse_args()
    checks = [few_descriptors, little_memory, no_room_for_threads_or_memory, closed_output,
              reader_that_stands_still, signals, second_process, starved]
    return run(checks, arguments)


if __name__ == "__main__":
    sys.exit(main())
