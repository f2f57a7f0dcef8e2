#!/usr/bin/env python3
"""Everything that the API describes, asked for by a program that knows only the description.

`schemathesis` reads the served description and sends to each operation what it allows, and what it
does not. No answer may be a fault of the server, of an undescribed kind or of an undescribed shape.

    schema.py --binary target/debug/ergane --short
    schema.py --binary target/release/ergane
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "campaign"))

from appliance import KEY, Server  # noqa: E402

# Two checks are left out: a schema does not say all that a definition must be (a name that is free,
# a scope that exists), so what it allows may be refused; and `null` stands for a field left out.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance," \
    "response_headers_conformance,response_schema_conformance,unsupported_method"
# Streams never end, and the door of the Model Context Protocol answers as that says.
LEFT_OUT = "stream|/mcp"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--short", action="store_true", help="about a minute")
    arguments = parser.parse_args()
    beside = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    program = beside if os.path.exists(beside) else shutil.which("schemathesis")
    if program is None:
        sys.exit("schemathesis is not installed; see tests/clients/requirements.txt")
    with tempfile.TemporaryDirectory() as directory:
        log = os.path.join(directory, "log")
        server = Server(arguments.binary, os.path.join(directory, "data"), log)
        server.start()
        try:
            if not server.wait_ready():
                sys.exit(open(log, encoding="utf-8").read())
            code = ask(program, server.port, arguments.short, directory)
            if not server.is_alive():
                sys.exit("the server has ended")
        finally:
            server.kill()
    sys.exit(code)


def ask(program, port, short, directory):
    command = [program, "run", f"http://127.0.0.1:{port}/v1/openapi.json"]
    command += ["-H", f"Authorization: Bearer {KEY}", "--checks", CHECKS, "--no-color"]
    command += ["--exclude-path-regex", LEFT_OUT, "--continue-on-failure", "--no-shrink"]
    command += ["--generation-deterministic", "--warnings", "off", "--request-timeout", "30"]
    if short:
        command += ["--phases", "fuzzing", "--max-examples", "2", "--max-time", "60"]
    else:
        command += ["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "50"]
    return subprocess.run(command, cwd=directory, check=False).returncode


if __name__ == "__main__":
    main()
