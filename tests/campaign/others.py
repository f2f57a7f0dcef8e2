"""The campaigns that are programs of their own, as parts of the whole."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def doubts(context):
    kills = context.length(3, 200, context.arguments.kills)
    run(context, "doubts.py", "--kills", str(kills))
    context.counts["kills"] = kills


def flood(context):
    rate, seconds = context.length(2000, 5000), context.length(4, 60)
    run(context, "flood.py", "--rate", str(rate), "--seconds", str(seconds))
    context.counts["events"] = rate * seconds


def run(context, program, *arguments):
    command = [sys.executable, os.path.join(HERE, program), "--binary", context.binary, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    context.hold("what the program checks", done.returncode == 0, (done.stdout + done.stderr)[-1500:])
