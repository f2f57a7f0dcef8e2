"""A service outside that remembers every call with its key and its body, and fails as it is told."""

import http.server
import socket
import struct
import threading
import time
import zlib

# What happens to the first call of a path, by the remainder of its checksum; all others are served.
FAULTS = 16
HUGE_BYTES = 3 * 1024 * 1024
DRIP_SECONDS = 0.3


class Sink:
    """Serves calls and deliveries on a port of its own.

    `order(path)` may name a fault for the first call of a path: `503`, `429`, `reset` (acts, then
    cuts the connection), `cut` (the answer ends in its middle), `hang`, `drip` or `huge`.
    """

    def __init__(self, order=None):
        self.order = order or by_checksum
        self.lock = threading.Lock()
        self.paths = {}
        self.keys = {}
        self.calls = 0
        self.changed = []
        self.clock = 0
        self.gate = threading.Event()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                key = self.headers.get("Idempotency-Key") or self.headers.get("webhook-id")
                number = sink.remember(self.path, key, body)
                fault = sink.order(self.path) if number == 1 else None
                try:
                    answer(self, sink, fault)
                except OSError:
                    pass  # The caller was killed while it waited.

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):
                pass  # A killed caller resets its connections.

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def remember(self, path, key, body):
        """Notes a call; answers how many there were to the path, or with the key for deliveries."""
        # Deliveries have one path and a key each; calls have a path each, and a key.
        place = f"{path}#{key}" if path.startswith("/hook") else path
        with self.lock:
            self.calls += 1
            self.clock += 1
            seen = self.paths.setdefault(place, {"key": key, "body": body, "first": self.clock, "count": 0})
            seen["count"] += 1
            if seen["key"] != key:
                self.changed.append(f"{place}: the key was {seen['key']} and is {key}")
            if seen["body"] != body:
                self.changed.append(f"{place}: the body was {seen['body'][:200]} and is {body[:200]}")
            former = self.keys.setdefault(key, place)
            if former != place:
                self.changed.append(f"the key {key} came to {former} and to {place}")
            return seen["count"]

    def seen(self, path):
        with self.lock:
            return dict(self.paths.get(path) or {"count": 0, "first": None, "key": None, "body": None})

    def deliveries(self, path):
        """Returns the first arrival and the body of every message to a path, in order."""
        with self.lock:
            found = [seen for place, seen in self.paths.items() if place.startswith(path + "#")]
        return sorted(found, key=lambda seen: seen["first"])

    def close(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


def by_checksum(path):
    """Some first calls fail; few enough that no circuit opens."""
    if path.startswith("/hook"):
        return None
    names = {0: "503", 1: "reset", 2: "drip", 3: "cut"}
    return names.get(zlib.crc32(path.encode()) % FAULTS)


def answer(handler, sink, fault):
    if fault == "reset":
        # Acted and not answered: the connection ends with a reset instead of an answer.
        linger = struct.pack("ii", 1, 0)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        handler.close_connection = True
        handler.connection.close()
        return
    if fault == "hang":
        sink.gate.wait(30)
        handler.close_connection = True
        return
    status = int(fault) if fault in ("503", "429", "500") else 200
    text = b'{"error":"try again"}' if status != 200 else b'{"ok":true}'
    if fault == "huge":
        text = b'"' + b"x" * HUGE_BYTES + b'"'
    handler.send_response(status)
    if status == 429:
        handler.send_header("Retry-After", "1")
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    if fault == "drip":
        for letter in text:
            handler.wfile.write(bytes([letter]))
            handler.wfile.flush()
            time.sleep(DRIP_SECONDS / len(text))
    elif fault == "cut":
        handler.wfile.write(text[: len(text) // 2])
        handler.close_connection = True
    else:
        handler.wfile.write(text)
