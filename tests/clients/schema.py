"""Asks whether the description of the API is true: `openapi-spec-validator` reads it, and
`schemathesis` makes requests of every kind out of it, valid and hostile, and checks the answers.

    python tests/clients/schema.py --binary target/debug/ergane [--short] [--only TEXT]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

KEY = "key-of-the-schema-0123456789"
# Streams have no end, a page of the docs is no JSON, and what ends the key of the caller ends the
# examination. An export is read back by `tests/it/moving.rs`.
LEFT_OUT = [
    ".*/export$",
    ".*stream",
    "/docs",
    "/v1/system/secrets/rotate-key$",
    "/v1/tasks/poll$",
    "/v1/me",
]
# What is left out of the checks, and why:
# - negative_data_rejection: `null` stands for a field left out, and a few lists ignore what they do
#   not know.
# - positive_data_acceptance: a body that fits its schema may still name what is not there.
# - missing_required_header, ignored_auth: keys come in three headers, and `tests/it/roles.rs` asks
#   every route without any.
# - use_after_free, ensure_resource_availability, object_level_authorization: need links that the
#   description does not have.
CHECKS = ",".join(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "unsupported_method",
        "allow_header_conformance",
    ]
)


def serve(binary, directory):
    """Starts a server and returns it with its address."""
    environment = dict(
        os.environ,
        ERGANE_BOOTSTRAP_KEY=KEY,
        ERGANE_HTTP__REQUESTS_PER_SECOND="0",
        ERGANE_ACCESS__PASSWORD_MEMORY_KIB="64",
        ERGANE_ACCESS__PASSWORD_PASSES="1",
        RUST_BACKTRACE="0",
    )
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(directory / "data")]
    log = open(directory / "log", "w", encoding="utf-8")
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, env=environment, cwd=directory, text=True
    )
    for line in server.stdout:
        if "http://" in line:
            return server, "http://" + line.split("http://", 1)[1].strip().rstrip("/")
    sys.exit(f"it does not serve: {(directory / 'log').read_text()}")


def ask(base, method, path, body=None, tenant=None):
    """Returns the JSON that answers a request."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    if tenant:
        headers["X-Tenant"] = tenant
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def examine(base, document, directory, key, options):
    """Runs schemathesis and returns how it ended."""
    command = [Path(sys.executable).parent / "schemathesis", "run", document, "--url", base]
    command += ["--checks", CHECKS, "--header", f"Authorization: Bearer {key}"]
    command += ["--request-timeout", "20", "--suppress-health-check", "all"]
    command += ["--warnings", "off", "--no-color"]
    command += ["--seed", str(options.seed), "--generation-deterministic"]
    left_out = "".join(f"(?!{pattern})" for pattern in LEFT_OUT)
    command += ["--include-path-regex", f"^{left_out}.*{options.only}"]
    if options.short:
        command += ["--phases", "coverage,fuzzing", "--max-examples", "2", "--max-time", "60"]
    else:
        command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "60"]
    command += ["--continue-on-failure"]
    return subprocess.run([str(part) for part in command], cwd=directory, check=False).returncode


def main():
    """Serves an appliance and examines it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--short", action="store_true", help="about a minute, few examples")
    parser.add_argument("--only", default="", help="paths that hold this expression alone")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    binary = str(Path(options.binary).resolve())
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        server, base = serve(binary, directory)
        try:
            document = directory / "openapi.json"
            document.write_text(json.dumps(ask(base, "GET", "/v1/openapi.json")))
            validator = Path(sys.executable).parent / "openapi-spec-validator"
            subprocess.run([str(validator), str(document)], check=True)
            # A tenant of its own: nothing that is tried may end the appliance's own key.
            ask(base, "POST", "/v1/tenants", {"slug": "tried"})
            wanted = {"name": "tries", "scopes": ["*"]}
            key = ask(base, "POST", "/v1/keys", wanted, "tried")["key"]
            outcome = examine(base, document, directory, key, options)
            alive = server.poll() is None
            log = (directory / "log").read_text(encoding="utf-8", errors="replace")
        finally:
            server.terminate()
            server.wait(timeout=30)
    panics = [line for line in log.splitlines() if "panicked" in line]
    print(f"{time.monotonic() - begun:.0f} s, {len(panics)} panics, alive: {alive}")
    for line in panics[:10]:
        print(line)
    sys.exit(outcome or (not alive) or bool(panics))


if __name__ == "__main__":
    main()
