#!/usr/bin/env python3
"""Clients that take their time, and one that does not notice them.

A thousand connections send heads byte by byte, then bodies, then take no answers; meanwhile a clean
client asks as ever, and what it waits is measured. Then thousands of connections are opened that
say nothing, and what they cost in memory is measured. Where `slowhttptest` is installed and the run
is a long one, its three attacks follow as well.

    clients.py --binary target/release/ergane
    clients.py --binary target/debug/ergane --short
"""

import argparse
import asyncio
import http.client
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from appliance import KEY, Server

OPEN_FILES = 20_000
FAULTS = []


def main():
    arguments = parse()
    limit = min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    seconds = 4 if arguments.short else 20
    slow = 400 if arguments.short else 1_000
    idle = 2_000 if arguments.short else 10_000
    # How fast a machine is that does other things beside is not what the short form is about.
    p99_ms_max = arguments.p99_ms or (float("inf") if arguments.short else 50)
    with tempfile.TemporaryDirectory() as directory:
        server = serve(arguments.binary, directory, {"ERGANE_HTTP__ANSWER_GRACE_MS": "3000"})
        try:
            judge("nobody else", clean(server, 2, None), p99_ms_max)
            for name, attack in (("heads", heads), ("bodies", bodies), ("answers", answers)):
                figures = clean(server, seconds, (attack, slow))
                judge(f"{slow} slow {name}", figures, p99_ms_max)
            cut_off(server)
            if not arguments.short and shutil.which("slowhttptest"):
                for flag in ("-H", "-B", "-X"):
                    judge(f"slowhttptest {flag}", clean(server, 25, flag), p99_ms_max)
        finally:
            server.process.terminate()
            server.process.wait(60)
        server = serve(arguments.binary, directory, {
            "ERGANE_HTTP__CONNECTIONS_PER_ADDRESS_MAX": "0",
            "ERGANE_HTTP__CONNECTIONS_MAX": "15000",
            "ERGANE_HTTP__HEAD_TIMEOUT_MS": "120000",
            "ERGANE_HTTP__KEEP_ALIVE_MS": "120000",
        })
        try:
            asyncio.run(idle_ones(server, idle))
        finally:
            server.process.terminate()
            server.process.wait(60)
    for fault in FAULTS:
        print(f"FAULT: {fault}")
    sys.exit(1 if FAULTS else 0)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=os.path.abspath, required=True)
    parser.add_argument("--short", action="store_true", help="some twenty seconds")
    parser.add_argument("--p99-ms", type=float, help="what the clean client may wait at the 99th percentile")
    return parser.parse_args()


def serve(binary, directory, settings):
    os.environ.update(settings)
    server = Server(binary, os.path.join(directory, "data"), os.path.join(directory, "log"))
    server.start()
    begun = time.monotonic()
    while time.monotonic() - begun < 60:
        try:
            if ask(server.port, "/readyz")[0] == 200:
                return server
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit("the server does not come up")


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {KEY}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def clean(server, seconds, attack):
    """Asks on one kept connection and on new ones while the attack runs in a process of its own."""
    attacker = None
    if isinstance(attack, str):
        attacker = subprocess.Popen(
            ["slowhttptest", attack, "-c", "1000", "-r", "500", "-i", "2", "-l", str(seconds), "-p", "3",
             "-u", f"http://127.0.0.1:{server.port}/v1/openapi.json", "-x", "24", "-w", "512", "-y", "1024",
             "-n", "1", "-z", "32", "-k", "3"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(3)
    elif attack:
        attacker = multiprocessing.Process(target=run_attack, args=(*attack, server.port, seconds + 2))
        attacker.start()
        time.sleep(1.5)
    waits, failures = [], 0
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    until = time.monotonic() + seconds
    count = 0
    while time.monotonic() < until:
        count += 1
        begun = time.monotonic()
        try:
            if count % 4:
                kept.request("GET", "/v1/workflows", headers={"authorization": f"Bearer {KEY}"})
                answer = kept.getresponse()
                status, _ = answer.status, answer.read()
            else:
                status, _ = ask(server.port, "/v1/workflows")
            failures += status != 200
        except (OSError, http.client.HTTPException):
            failures += 1
            kept.close()
        waits.append((time.monotonic() - begun) * 1_000)
        time.sleep(0.005)
    kept.close()
    if isinstance(attacker, multiprocessing.Process):
        attacker.join()
    elif attacker:
        attacker.wait()
    return waits, failures


def judge(name, figures, p99_ms_max):
    waits, failures = figures
    waits.sort()
    middle, high = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
    print(f"{name}: {len(waits)} requests, median {middle:.1f} ms, p99 {high:.1f} ms, {failures} failed", flush=True)
    if failures:
        FAULTS.append(f"{name}: {failures} requests of the clean client failed")
    if high > p99_ms_max:
        FAULTS.append(f"{name}: the clean client waits {high:.1f} ms, more than {p99_ms_max} ms")


def run_attack(attack, count, port, seconds):
    async def all_of_them():
        until = time.monotonic() + seconds
        await asyncio.gather(*(again(attack, port, until) for _ in range(count)))

    asyncio.run(all_of_them())


async def again(attack, port, until):
    """Whoever is cut off comes back."""
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await attack(reader, writer, until)
            finally:
                writer.transport.abort()
        except OSError:
            pass
        await asyncio.sleep(0.2)


async def heads(reader, writer, until):
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
    while time.monotonic() < until and not reader.at_eof():
        writer.write(b"x-a: b\r\n")
        await writer.drain()
        await asyncio.sleep(0.5)


async def bodies(reader, writer, until):
    writer.write(b"POST /v1/events/a:b HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\nx-api-key: " + KEY.encode())
    writer.write(b"\r\n\r\n")
    while time.monotonic() < until and not reader.at_eof():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.5)


async def answers(reader, writer, until):
    writer.transport.pause_reading()
    writer.write(b"GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 20)
    while time.monotonic() < until and not writer.transport.is_closing():
        await asyncio.sleep(0.5)


def cut_off(server):
    """After the attacks nothing of them is left."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        links = os.listdir(f"/proc/{server.process.pid}/fd")
        if len(links) < 100:
            print(f"after the attacks: {len(links)} open files, {rss_mb(server):.0f} MB")
            return
        time.sleep(0.2)
    FAULTS.append(f"{len(links)} files are still open a minute after the attacks")


def rss_mb(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1_024


async def idle_ones(server, count):
    before = rss_mb(server)
    held = []
    for start in range(0, count, 500):
        held += await asyncio.gather(*(
            asyncio.open_connection("127.0.0.1", server.port) for _ in range(min(500, count - start))
        ))
    after_opening = rss_mb(server)
    # Each has asked once, as kept connections have.
    for start in range(0, count, 500):
        await asyncio.gather(*(ask_once(*pair) for pair in held[start:start + 500]))
    after = rss_mb(server)
    status, _ = await asyncio.to_thread(ask, server.port, "/readyz")
    grown = max(after, after_opening) - before
    print(f"{count} idle connections: {before:.0f} MB before, {after_opening:.0f} MB opened, "
          f"{after:.0f} MB after one request each: {grown * 1_024 / count:.1f} KB each")
    if status != 200:
        FAULTS.append("the server answers nobody beside idle connections")
    if grown > 200:
        FAULTS.append(f"{count} idle connections take {grown:.0f} MB")
    for _, writer in held:
        writer.transport.abort()


async def ask_once(reader, writer):
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    await reader.readexactly(int(size.split(b":")[1]))


if __name__ == "__main__":
    main()
