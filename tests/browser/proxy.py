"""A reverse proxy as people run them: one path is the appliance's, all else is somebody else's."""

import asyncio
import logging
import threading

# Streams that are still open when everything ends are nobody's mistake.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)

HEAD_BYTES_MAX = 64 << 10
PIECE_BYTES = 16 << 10
ELSEWHERE = b"<!doctype html><title>The house</title><h1>Another application</h1>"


class Proxy:
    """Listens in a thread of its own; nothing is stripped from a path, streams go through."""

    def __init__(self, prefix, upstream_port):
        self.prefix = prefix
        self.upstream_port = upstream_port
        # What was asked of the other application, which no page of the appliance may do.
        self.strayed = []
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self.run, args=[ready], daemon=True).start()
        ready.wait()

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(
            asyncio.start_server(self.serve, "127.0.0.1", 0, limit=HEAD_BYTES_MAX)
        )
        self.port = self.server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()

    def close(self):
        self.loop.call_soon_threadsafe(self.server.close)

    async def serve(self, reader, writer):
        """Answers one request; a connection is not used again."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *headers = head.split("\r\n")
            path = line.split(" ")[1]
            if path.startswith(self.prefix + "/") or path == self.prefix:
                await self.forward(line, headers, reader, writer)
            else:
                self.strayed.append(path)
                length = f"content-length: {len(ELSEWHERE)}"
                kind = "content-type: text/html"
                writer.write(f"HTTP/1.1 200 OK\r\n{kind}\r\n{length}\r\n".encode())
                writer.write(b"connection: close\r\n\r\n" + ELSEWHERE)
                await writer.drain()
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass  # A browser that goes on to another page breaks off what it asked for.
        except asyncio.CancelledError:
            pass  # The proxy is closing.
        finally:
            writer.close()

    async def forward(self, line, headers, reader, writer):
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        try:
            host = next(it.split(":", 1)[1].strip() for it in headers if it.lower().startswith("host:"))
            kept = [it for it in headers if it and not it.lower().startswith("connection:")]
            kept += ["connection: close", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http"]
            kept += [f"x-forwarded-host: {host}"]
            up_writer.write("\r\n".join([line, *kept, "", ""]).encode("latin-1"))
            there = asyncio.ensure_future(pour(reader, up_writer))
            await pour(up_reader, writer)
            there.cancel()
        finally:
            up_writer.close()


async def pour(reader, writer):
    while piece := await reader.read(PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
